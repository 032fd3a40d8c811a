"""Preference elicitation: the drop of variance against inverting again, greedy against all pairs, obvious toys."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from helpers.data import rows_of
from palate.answers.elicitation import (
    FEW_RATINGS,
    Start,
    UserPosteriors,
    most_informative,
    rated_shares,
    user_posteriors,
)
from palate.data.rows import CompressedRows
from palate.models.factors import Factors, Prior

RECIPES = {
    "Bayes": palate.Bayes(n_factors=3, n_sweeps=20, n_samples=5),
    "ALS": palate.ALS(n_factors=3),
    "SGD": palate.SGD(n_factors=3, n_epochs=3),
    "SGD in a range": palate.SGD(n_factors=3, n_epochs=3, y_range=(0.5, 5.5)),
    "Bias": palate.Bias(),
}
each = pytest.mark.parametrize("name", RECIPES)


@pytest.fixture(scope="module")
def data():
    return palate.datasets.synthetic(80, 50, 2500, n_factors=3, noise=0.3, seed=3)


@pytest.fixture(scope="module")
def fits(data):
    return {name: recipe.fit(data) for name, recipe in RECIPES.items()}


def posteriors_of(rec, rated):
    return user_posteriors(rec.model, rec.fold_in(rated)._rows, rated_shares(rec.model))


def history(codes, weights=None):
    codes = np.array(codes, np.int32)
    weights = None if weights is None else np.array(weights, np.float32)
    return CompressedRows(np.array([0, len(codes)]), codes, np.ones(len(codes), np.float32), weights)


def variance_again(items, precision, alpha, rated, weights, importance, unit, slopes=None):
    """V from its definition: the sum over items of v_i z_i' A^-1 z_i, item by item."""
    Z = np.column_stack([items[:, :-1], np.ones(len(items))]).astype(np.float64)
    Z *= 1 if slopes is None else slopes[:, None]
    A = precision.astype(np.float64)
    for code, weight in zip(rated, weights, strict=True):
        A = A + alpha * weight * np.outer(Z[code], Z[code])
    inverse = np.linalg.inv(A)
    return unit**2 * sum(v * z @ inverse @ z for v, z in zip(importance, Z, strict=True))


def random_posterior(rng, n_items=8, k=3, n_rated=2, stretched=False):
    """(The posteriors under one draw, the arguments that variance_again needs) of a random model and user."""
    items = rng.standard_normal((n_items, k)).astype(np.float32)
    root = rng.standard_normal((k, k + 2))
    precision = (root @ root.T + 0.1 * np.eye(k)).astype(np.float32)
    alpha, unit = float(rng.uniform(0.3, 4)), float(rng.uniform(0.5, 3))
    rated, weights = rng.permutation(n_items)[:n_rated], rng.uniform(0.2, 3, n_rated).astype(np.float32)
    importance = rng.dirichlet(np.ones(n_items))
    slopes = rng.uniform(0.05, 0.3, n_items) if stretched else None
    made = items, precision, alpha, rated.tolist(), weights.tolist(), importance, unit, slopes
    return together([made]), made


def together(made):
    """The posteriors of one user under several draws, each made of the arguments of variance_again."""
    items, precisions, alphas, rated, weights, importance, unit, slopes = zip(*made, strict=True)
    items, precisions = np.stack(items), np.stack(precisions)
    start = Start.of(items, precisions, importance[0], slopes[0])
    alphas = np.array(alphas, np.float32)
    return UserPosteriors(items, start, alphas, unit[0], history(rated[0], weights[0]), slopes[0])


# ---- the formula


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), k=st.integers(1, 5), n_rated=st.integers(0, 3), n_asked=st.integers(0, 4),
    stretched=st.booleans(),
)  # fmt: skip
def test_drops_are_those_of_inverting_again(seed, k, n_rated, n_asked, stretched):
    rng = np.random.default_rng(seed)
    posterior, (items, precision, alpha, rated, weights, *rest) = random_posterior(rng, 8, k, n_rated, stretched)
    for code in rng.integers(0, 8, n_asked):  # the same question twice is a second, independent answer
        posterior.add_ratings(np.array([code], np.int32))
        rated, weights = [*rated, int(code)], [*weights, 1.0]
    before = variance_again(items, precision, alpha, rated, weights, *rest)
    after = [variance_again(items, precision, alpha, [*rated, j], [*weights, 1.0], *rest) for j in range(8)]
    assert posterior.variance == pytest.approx(before, rel=1e-5)
    np.testing.assert_allclose(posterior.drops(), before - np.array(after), rtol=1e-3, atol=1e-5 * before)


@pytest.mark.parametrize("stretched", [False, True])
def test_many_ratings_count_as_the_same_ratings_one_by_one(stretched):
    n = FEW_RATINGS + 3
    rng = np.random.default_rng(5)
    whole, (items, precision, alpha, rated, weights, *rest) = random_posterior(rng, 40, 4, n, stretched)
    one_by_one = together([(items, precision, alpha, [], [], *rest)])
    for code, weight in zip(rated, weights, strict=True):
        one_by_one.add_ratings(np.array([code], np.int32), np.array([weight], np.float32))
    few = together([(items, precision, alpha, rated[:20], weights[:20], *rest)])
    few.add_ratings(np.array(rated[20:], np.int32), np.array(weights[20:], np.float32))
    expected = variance_again(items, precision, alpha, rated, weights, *rest)
    for found in (whole, one_by_one, few):
        assert found.variance == pytest.approx(expected, rel=1e-5)
        np.testing.assert_allclose(found.drops(), whole.drops(), rtol=1e-3, atol=1e-5 * expected)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 10))
def test_greedy_is_the_best_at_every_step(seed, n):
    rng = np.random.default_rng(seed)
    first, *others = [random_posterior(rng, 7)[1] for _ in range(3)]
    made = [first, *((*draw[:3], *first[3:]) for draw in others)]  # one user, three draws
    probabilities, allowed = rng.uniform(0.1, 1, 7), rng.random(7) < 0.8
    codes, gains = most_informative(together(made), probabilities, allowed, n)
    assert len(codes) == len(set(codes.tolist())) == min(n, allowed.sum())
    asked = []
    for code, gain in zip(codes, gains, strict=True):
        drops = np.array([mean_drop(made, asked, j) for j in range(7)])
        free = [j for j in range(7) if allowed[j] and j not in asked]
        assert gain == pytest.approx(drops[code], rel=1e-3, abs=1e-5)
        assert drops[code] * probabilities[code] >= max((drops * probabilities)[free]) * (1 - 1e-4) - 1e-6
        asked.append(int(code))


def mean_drop(made, asked, j):
    drops = []
    for items, precision, alpha, rated, weights, *rest in made:
        before = [*rated, *asked], [*weights, *[1.0] * len(asked)]
        after = [*before[0], j], [*before[1], 1.0]
        drops.append(
            variance_again(items, precision, alpha, *before, *rest)
            - variance_again(items, precision, alpha, *after, *rest)
        )
    return np.mean(drops)


@pytest.mark.parametrize("seed", range(5))
def test_two_greedy_questions_are_nearly_the_best_pair(seed):
    rng = np.random.default_rng(seed)
    posterior, (items, precision, alpha, rated, weights, *rest) = random_posterior(rng, 10, 3, 0)
    start = posterior.variance
    codes, gains = most_informative(posterior, np.ones(10), np.ones(10, bool), 2)

    def left(pair):
        return variance_again(items, precision, alpha, [*rated, *pair], [*weights, 1.0, 1.0], *rest)

    pairs = {pair: left(pair) for pair in combinations(range(10), 2)}
    best = start - min(pairs.values())
    assert gains.sum() == pytest.approx(start - pairs[tuple(sorted(codes.tolist()))], rel=1e-3)
    assert 0.9 * best <= gains.sum() <= best * (1 + 1e-4)
    assert gains.sum() > start - np.median(list(pairs.values()))


@each
def test_the_gain_is_what_a_real_answer_takes_away(name, fits):
    rec = fits[name]
    rated = {"i1": 5.0, "i2": 1.0}
    before = posteriors_of(rec, rated).variance
    first = rec.ask(1, rated, popularity=1, exclude=set(rec.model.item_vocabulary) - {"i9"})
    assert first["item"].to_list() == ["i9"]
    assert first["gain"][0] > 0
    if name in ("ALS", "SGD", "SGD in a range", "Bias"):
        return  # the weight decay of the first grows with the answer, the slopes of the last move with it
    for answer in (1.0, 5.0):  # whatever it is
        after = posteriors_of(rec, rated | {"i9": answer}).variance
        assert first["gain"][0] == pytest.approx(before - after, rel=1e-3)


def test_the_variance_is_that_of_draws(fits):
    """V of a Bayes fit is the mean variance, over items, of the user's scores under draws of the user's vector."""
    posterior = fits["Bayes"].model.posterior
    one = posterior.select_draws(np.zeros(4000, np.int64))
    rated = history([1, 4])
    importance = np.arange(1, 51) / np.arange(1, 51).sum()
    start = Start.of(posterior.items.vectors[:1], posterior.users.precision[:1], importance)
    own = UserPosteriors(posterior.items.vectors[:1], start, posterior.alpha[:1], posterior.scale, rated)
    drawn = one.solve(rated, draw=True)
    assert own.variance == pytest.approx(float(one.score_variance(drawn)[0] @ importance), rel=0.08)


# ---- what it says


def toy(items, counts, precision=(1.0, 1.0), alpha=1.0):
    """A Recommender whose items have these factors, rated by `counts[i]` users."""
    users, codes = zip(*[(user, item) for item, count in enumerate(counts) for user in range(count)], strict=True)
    ratings = palate.Ratings(
        np.array(users, np.int32),
        np.array(codes, np.int32),
        np.linspace(1, 5, len(users), dtype=np.float32),
        user_vocabulary=palate.Vocabulary([f"u{u}" for u in range(max(counts))]),
        item_vocabulary=palate.Vocabulary([f"i{i}" for i in range(len(counts))]),
    )
    vectors = np.column_stack([items, np.zeros(len(items))]).astype(np.float32)
    prior = Prior(np.diag(precision).astype(np.float32), np.zeros(2, np.float32), alpha)
    user_rows = np.zeros((ratings.n_users, 2), np.float32)
    return palate.Recommender.from_training(ratings, factors=Factors(3.0, user_rows, vectors, prior, prior), noise=1.0)


def test_the_item_that_divides_users_is_asked_first():
    rec = toy([0.0, 0.0, 3.0, 0.0, -1.0], [10] * 5)
    asked = rec.ask(5)
    assert asked["item"].to_list()[0] == "i2"
    assert asked["gain"].to_list()[0] == asked["gain"].max()


def test_what_is_answered_is_not_asked_in_other_words():
    # Two kinds of items, and nothing but the kind matters: after one of a kind, the other kind is asked about.
    rec = toy([2.0, 2.0, 0.0, 0.0], [10] * 4, precision=(1.0, 0.5))
    first, second = rec.ask(2)["item"].to_list()
    assert {first, second} & {"i0", "i1"}
    assert {first, second} & {"i2", "i3"}
    # Equal items have one gain, and the lower code goes first.
    assert first == "i0"
    assert rec.ask(1, {"i0": 5})["item"][0] == second


def test_popular_items_are_asked_first():
    rec = toy([1.0, 1.1, 1.1], [40, 2, 40])
    rec_rare = toy([1.0, 1.1, 1.0], [40, 2, 40])
    assert rec.ask(1)["item"][0] == "i2"
    assert rec_rare.ask(1)["item"][0] == "i0"
    assert rec_rare.ask(1, popularity=0)["item"][0] == "i1"
    assert rec_rare.ask(3)["known"].to_list() == pytest.approx([1.0, 1.0, 0.05])


@each
def test_the_frame(name, fits, data):
    rec = fits[name]
    asked = rec.ask(4, {"i1": 5.0})
    assert asked.columns == ["item", "gain", "known", "rank"]
    assert asked["rank"].to_list() == [1, 2, 3, 4]
    assert "i1" not in asked["item"].to_list()
    share = {item: len(set(rows["user"])) / 80 for (item,), rows in data.to_frame().group_by("item")}
    assert asked["known"].to_list() == pytest.approx([share[item] for item in asked["item"]])
    assert asked.equals(rec.ask(4, {"i1": 5.0}))
    assert asked.equals(rec.fold_in({"i1": 5.0}).ask(4))
    assert asked.head(2).equals(rec.ask(2, {"i1": 5.0}))
    assert len(rec.ask()) == 5
    assert rec.ask(0).columns == asked.columns
    assert len(rec.ask(0)) == 0


@each
def test_n_beyond_the_catalogue_and_choices_of_items(name, fits):
    rec = fits[name]
    everything = rec.ask(1000, {"i1": 5.0, "i2": 1.0})
    assert sorted(everything["item"]) == sorted(set(rec.model.item_vocabulary) - {"i1", "i2"})
    assert (everything["gain"] >= 0).all()
    assert np.isfinite(everything["gain"].to_numpy()).all()
    assert set(rec.ask(9, items=["i3", "i4", "i5"], exclude=["i4"])["item"]) == {"i3", "i5"}
    assert len(rec.ask(9, {"i3": 4}, items=["i3"])) == 0


@each
def test_more_known_leaves_less_to_learn(name, fits):
    rec = fits[name]
    user_rows = [{}, {"i1": 3.0}, {"i1": 3.0, "i2": 3.2, "i3": 3.0}, {f"i{j}": 3.0 + (j % 2) / 5 for j in range(1, 21)}]
    variances = [posteriors_of(rec, given).variance for given in user_rows]
    assert variances == sorted(variances, reverse=True)
    if name != "SGD in a range":  # there the slopes move with what is expected
        gains = [rec.ask(1, given, items=["i30"])["gain"][0] for given in user_rows]
        assert gains == sorted(gains, reverse=True)


def test_weights_count(fits):
    import polars as pl

    given = pl.DataFrame({"item": ["i1", "i2"], "rating": [5.0, 1.0], "weight": [4.0, 4.0]})
    rec = fits["Bayes"]
    heavy = posteriors_of(rec, given).variance
    light = posteriors_of(rec, given.drop("weight")).variance
    assert heavy < light
    assert rec.ask(3, given.drop("weight")).equals(rec.ask(3, {"i1": 5.0, "i2": 1.0}))


def test_compact_asks_much_the_same(fits):
    whole, compact = fits["Bayes"], fits["Bayes"].compact()
    items = list(whole.model.item_vocabulary)
    gains = [dict(rec.ask(50, popularity=0).select("item", "gain").iter_rows()) for rec in (whole, compact)]
    first = [[rec.ask(1, items=[item])["gain"][0] for item in items] for rec in (whole, compact)]
    assert len(gains[0]) == len(gains[1]) == 50
    assert np.corrcoef(*first)[0, 1] > 0.5


def test_a_new_item_asks_users(fits):
    asked = fits["Bayes"].fold_in({"u1": 4.0, "u2": 2.0}, side="item").ask(3)
    assert asked.columns == ["user", "gain", "known", "rank"]
    assert not {"u1", "u2"} & set(asked["user"])


def test_titles_come_along(ml_titles):
    assert ml_titles.ask(2).columns == ["item", "title", "gain", "known", "rank"]


@pytest.fixture(scope="module")
def ml_titles(data):
    import polars as pl

    rec = palate.Bias().fit(data)
    table = pl.DataFrame({"item": list(data.item_vocabulary), "title": [f"T {i}" for i in data.item_vocabulary]})
    return palate.Recommender(replace(rec.model, item_table=table))


def test_only_items_that_may_be_asked_about_matter(fits):
    """Their importance is how often they are rated, made to sum to one among themselves."""
    items, counts = [0.5, 2.0, 1.0, -1.5], [4, 1, 2, 3]
    rec = toy(items, counts, precision=(1.0, 2.0))
    vectors = np.column_stack([items, np.zeros(4)])
    for asked, popularity in (([0, 1, 2, 3], 1.0), ([0, 2, 3], 1.0), ([1, 2], 1.0), ([0, 1, 3], 0.5), ([2], 0.0)):
        importance = np.zeros(4)
        importance[asked] = (np.array(counts)[asked] / 4) ** popularity
        importance /= importance.sum()
        before, *after = (
            variance_again(vectors, np.diag([1.0, 2.0]), 1.0, rated, [1.0] * len(rated), importance, 1.0)
            for rated in ([], *([at] for at in asked))
        )
        for at, left in zip(asked, after, strict=True):
            others = set(range(4)) - {at}
            found = rec.ask(1, items=[f"i{i}" for i in asked], exclude=[f"i{i}" for i in others], popularity=popularity)
            assert found["item"].to_list() == [f"i{at}"]
            assert found["gain"][0] == pytest.approx(before - left, rel=1e-5)
    assert fits["Bayes"].ask(9).equals(fits["Bayes"].ask(9, popularity=1))
    everything = list(fits["Bayes"].model.item_vocabulary)
    for popularity in (1.0, 0.5):
        found = fits["Bayes"].ask(9, popularity=popularity)
        assert found.equals(fits["Bayes"].ask(9, popularity=popularity, items=everything))


def test_the_variance_under_draws_is_that_of_each_item_weighted_by_its_importance(fits):
    model, rows = fits["Bayes"].model, fits["Bayes"].fold_in({"i1": 5.0})._rows
    alone = [user_posteriors(model, rows, np.eye(50)[at]).variance for at in range(50)]
    shares = rated_shares(model)
    assert user_posteriors(model, rows).variance == pytest.approx(shares @ alone / shares.sum(), rel=1e-5)
    assert max(alone) > 1.05 * min(alone)


def test_items_that_nobody_rated_are_asked_about_last_and_once():
    rec = toy([0.1, 1.0, 2.0, 3.0], [0, 3, 0, 1])
    found = rec.ask(9)
    assert found["item"].to_list()[2:] == ["i0", "i2"] and sorted(found["item"])[2:] == ["i2", "i3"]
    assert found["known"].to_list()[2:] == [0, 0] and sorted(found["known"].to_list())[2:] == pytest.approx([1 / 3, 1])
    assert rec.ask(9, exclude=["i0"])["item"].to_list()[2:] == ["i2"]
    nobody = rec.ask(2, items=["i0", "i2"])  # of these alone, nothing can be said to matter
    assert nobody["item"].to_list() == ["i0", "i2"] and nobody["gain"].to_list() == [0, 0]
    model = toy([1.0, 2.0], [1, 0]).model
    assert rated_shares(model).tolist() == [1, 0]
    for lists, shares in (([[0], [], [0, 1]], [1, 0.5]), ([[], []], [0, 0])):  # of the users with ratings
        assert rated_shares(replace(model, history=rows_of(lists))).tolist() == shares


def test_a_prior_that_is_flat_in_one_direction_is_refused():
    assert toy([1.0, 2.0], [1, 1], precision=(0.1, 0.1)).ask(1).height == 1
    for precision in ((1e-7, 1.0), (1.0, 1e-7)):
        with pytest.raises(palate.errors.OptionError, match="weight_decay"):
            toy([1.0, 2.0], [1, 1], precision=precision).ask(1)
    with pytest.raises(palate.errors.OptionError, match="weight_decay"):  # beside what a rating says
        toy([1.0, 2.0], [1, 1], precision=(5e-4, 1.0), alpha=100.0).ask(1)
    assert toy([1.0, 2.0], [1, 1], precision=(1e-6, 1.0), alpha=0.01).ask(1).height == 1


def test_in_a_range_a_rating_moves_with_the_slope_of_its_sigmoid(fits):
    rec = fits["SGD in a range"]
    factors = replace(rec.model.factors, scale=1.7)
    new = rec.fold_in({"i1": 5.0, "i2": 1.0})._rows
    found = user_posteriors(replace(rec.model, factors=factors), new)
    vector, items = new.vectors[0].astype(np.float64), factors.items.astype(np.float64)
    scores = factors.mean + 1.7 * (items[:, :-1] @ vector[:-1] + items[:, -1] + vector[-1])
    share = 1 / (1 + np.exp(-scores))
    np.testing.assert_allclose(found.slopes, 1.7 * share * (1 - share), rtol=1e-4)
    assert found.scale == 5.0
    for name in ("ALS", "SGD", "Bias"):
        own = posteriors_of(fits[name], {"i1": 5.0})
        assert own.slopes is None and own.scale == fits[name].model.factors.scale


def test_ordered_ratings_are_asked_for_by_the_variance_of_their_latents(data):
    rec = palate.Bayes(n_factors=2, n_sweeps=10, n_samples=3, likelihood="ordinal").fit(data, progress=False).compact()
    own, factors = posteriors_of(rec, {"i1": 4.0}), rec.model.factors
    assert own.slopes is None and own.scale == factors.scale
    prior = factors.user_prior
    expected = variance_again(
        factors.items, prior.precision, prior.alpha, [rec.model.item_vocabulary.encode_one("i1")], [1.0],
        rated_shares(rec.model) / rated_shares(rec.model).sum(), factors.scale,
    )  # fmt: skip
    assert own.variance == pytest.approx(expected, rel=1e-4)


# ---- what it refuses


def test_refusals(fits, data):
    rec = fits["Bayes"]
    with pytest.raises(palate.errors.UnknownLabelError):
        rec.ask(3, {"nobody knows this": 5})
    assert rec.ask(3, items=["nobody knows this"]).height == 0
    assert rec.ask(3, exclude=["nobody knows this"]).equals(rec.ask(3))
    with pytest.raises(palate.errors.DataError):
        rec.ask(3, {"i1": float("nan")})
    for n in (-1, 2.5, True, "3", None):
        with pytest.raises(palate.errors.OptionError, match="n must be"):
            rec.ask(n)
    for popularity in (-0.1, float("nan"), float("inf"), "much", None, True):
        with pytest.raises(palate.errors.OptionError, match="popularity must be"):
            rec.ask(3, popularity=popularity)
    with pytest.raises(palate.errors.OptionError, match="predicts no ratings"):
        palate.Popularity().fit(data).ask(3)
    with pytest.raises(palate.errors.OptionError, match="weight_decay"):
        palate.ALS(n_factors=3, n_sweeps=1, weight_decay=1e-9).fit(data).ask(3)
    assert palate.SGD(n_factors=3, n_epochs=1, weight_decay=0).fit(data).ask(3).height == 3  # it has a fitted prior


def test_a_neural_net_is_refused(data):
    pytest.importorskip("torch")
    from palate import nn

    net = nn.EmbeddingNet([(data.n_users, 3), (data.n_items, 3)], layers=(4,), y_range=(0.5, 5.5))
    with pytest.raises(palate.errors.OptionError, match="neural net"):
        palate.nn.from_torch(net, data).ask(3)


# ---- real data


@pytest.mark.long
@pytest.mark.data
def test_five_good_questions_beat_five_popular_ones(ml_100k):
    """Held-out users are asked about items of one half of their ratings, and tested on the other half."""
    order = np.random.default_rng(1).permutation(ml_100k.n_users)
    out = order[:400]
    rec = palate.Bayes(n_sweeps=40, n_samples=8).fit(ml_100k[~np.isin(ml_100k.user_codes, out)], progress=False)
    labels, popularity = ml_100k.item_vocabulary.labels, np.bincount(ml_100k.item_codes)
    rng = np.random.default_rng(2)
    squares = {"ask": [], "popular": []}
    for user in out:
        rows = rng.permutation(np.flatnonzero(ml_100k.user_codes == user))
        own, test = rows[: len(rows) // 2], rows[len(rows) // 2 :]
        rating = dict(zip(labels[ml_100k.item_codes[own]], ml_100k.values[own].tolist(), strict=True))
        common = own[np.argsort(-popularity[ml_100k.item_codes[own]], kind="stable")][:5]
        for way, asked in (
            ("ask", rec.ask(5, items=list(rating), popularity=0)["item"].to_list()),
            ("popular", labels[ml_100k.item_codes[common]].tolist()),
        ):
            answer = rec.fold_in({item: rating[item] for item in asked}).predict(labels[ml_100k.item_codes[test]])
            squares[way].append((answer["prediction"].to_numpy() - ml_100k.values[test]) ** 2)
    error = {way: np.mean([np.sqrt(np.mean(square)) for square in found]) for way, found in squares.items()}
    assert error["ask"] < error["popular"]
