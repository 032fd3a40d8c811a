"""BPR: what it learns, its grid and alias tables, odd data, fold-in, explanations, files."""

import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import palate
from palate.data.rows import CompressedRows
from palate.errors import DataError, OptionError
from palate.models.factors import Factors, Prior
from palate.models.pairwise import PairwiseFactors, PairwiseProblem
from palate.recipes.bpr import Given
from palate.recipes.pair_grid import Choices, PairGrid, alias_tables, relative_counts

SMALL = palate.BPR(n_factors=4, n_epochs=120, n_candidates=1, seed=1)


def likes_of(pairs):
    users, items = zip(*pairs, strict=True)
    return palate.read({"user": list(users), "item": list(items), "rating": [5] * len(users)}).likes(at_least=4)


def is_hidden(u, i):
    return (u // 2 + i) % 5 == 0


@cache
def checkerboard(n_users=24, n_items=16):
    """Users of one colour choose the items of that colour; every fifth cell is held back."""
    cells = [(u, i) for u in range(n_users) for i in range(n_items) if u % 2 == i % 2 and not is_hidden(u, i)]
    return likes_of([(f"u{u}", f"i{i}") for u, i in cells])


@cache
def drawn():
    return palate.datasets.synthetic(n_users=150, n_items=110, n_ratings=4000, n_factors=3, seed=2).likes(at_least=4)


@cache
def fitted(recipe=SMALL, data=checkerboard):
    return recipe.fit(data(), progress=False)


@pytest.mark.parametrize(
    "recipe",
    [
        SMALL, replace(SMALL, n_candidates=4), replace(SMALL, popularity_exponent=1.0),
        replace(SMALL, loss="softmax", n_negatives=8), replace(SMALL, loss="cosine", n_negatives=8),
    ],
)  # fmt: skip
def test_the_checkerboard_has_an_obvious_answer(recipe):
    rec = fitted(recipe)
    for u in range(24):
        held_back = {f"i{i}" for i in range(16) if u % 2 == i % 2 and is_hidden(u, i)}
        assert held_back
        assert set(rec.recommend(f"u{u}", n=len(held_back))["item"]) == held_back


@pytest.mark.parametrize(("loss", "falls_to", "begins_at"), [
    ("bpr", 0.7, np.log(2)), ("softmax", 0.95, np.log(110)), ("cosine", 0.95, np.log(110)),
])  # fmt: skip
def test_the_defaults_learn_too(loss, falls_to, begins_at):
    train = drawn()
    rec = palate.BPR(loss=loss).fit(train, progress=False)
    losses = [sweep["train_rmse"] for sweep in rec.model.training["epochs"]]
    assert losses[-1] < falls_to * losses[0]
    assert losses[0] == pytest.approx(begins_at, rel=0.5)


@pytest.mark.parametrize(
    "options",
    [{}, {"popularity_exponent": 0.75}, {"n_candidates": 1}, {"loss": "softmax"}, {"loss": "cosine"}],
)
def test_same_seed_same_bytes_at_any_number_of_threads(options):
    recipe = palate.BPR(n_factors=5, n_epochs=3, seed=3, **options)
    one, *others = (replace(recipe, n_threads=n).fit(drawn(), progress=False).model.factors for n in (1, 2, 3))
    for other in others:
        assert one.users.tobytes() == other.users.tobytes()
        assert one.items.tobytes() == other.items.tobytes()
    assert one.users.tobytes() != replace(recipe, seed=4).fit(drawn(), progress=False).model.factors.users.tobytes()


# ---- the grid ------------------------------------------------------------------------------------------------------


def grid_of(data, exponent=0.0, seed=0):
    choices = Choices.of(data)
    return choices, PairGrid.of(choices, exponent, np.random.default_rng(seed))


def test_an_epoch_visits_every_choice_once_and_strata_share_no_row():
    choices, grid = grid_of(drawn())
    assert grid.side == 2
    np.testing.assert_array_equal(np.sort(grid.order), np.arange(len(choices.user_codes)))
    strata = grid.strata(np.random.default_rng(1))
    np.testing.assert_array_equal(np.sort(strata.ravel()), np.arange(2 * grid.side**2))
    block_of = np.empty(choices.n_items, int)
    block_of[grid.block_items] = np.repeat(np.arange(2 * grid.side), np.diff(grid.blocks))
    for stratum in strata:
        users, blocks = [], []
        for pair in stratum:
            here = np.concatenate([grid.order[grid.cells[cell] : grid.cells[cell + 1]] for cell in pair])
            users += np.unique(choices.user_codes[here]).tolist()
            blocks += [int(cell) % (2 * grid.side) for cell in pair]
            assert set(block_of[choices.item_codes[here]]) <= set(blocks[-2:])
        assert len(set(users)) == len(users)
        assert sorted(blocks) == list(range(2 * grid.side))


def test_blocks_have_nearly_the_same_mass():
    _, grid = grid_of(drawn(), exponent=1.0)
    np.testing.assert_allclose(grid.own, 1 / len(grid.own), rtol=0.1)
    assert np.ptp(np.diff(grid.blocks)) <= 1


@pytest.mark.parametrize("exponent", [0.3, 1.0, 50.0])
def test_alias_tables_give_the_masses(exponent):
    rng = np.random.default_rng(0)
    mass = relative_counts(rng.integers(0, 1000, 40)) ** exponent
    blocks, items = np.array([0, 1, 1, 15, 40]), rng.permutation(40).astype(np.int32)
    accept, alias = alias_tables(mass, items, blocks)
    for first, last in ((0, 1), (1, 15), (15, 40)):
        share = np.zeros(40)
        np.add.at(share, items[first:last], accept[first:last])
        np.add.at(share, alias[first:last], 1 - accept[first:last])
        expected = mass[first:last] / mass[first:last].sum()
        np.testing.assert_allclose(share[items[first:last]] / (last - first), expected, atol=1e-6)


# ---- unusual data ---------------------------------------------------------------------------------------------------

ODD = {
    "one choice": [("a", "x")],
    "one user": [("a", "x"), ("a", "y")],
    "one item": [("a", "x"), ("b", "x")],
    "a user with everything": [("a", "x"), ("a", "y"), ("a", "z"), ("b", "x")],
}


@pytest.mark.parametrize("name", ODD)
def test_unusual_data(name):
    data = likes_of(ODD[name])
    rec = palate.BPR(n_factors=3, n_epochs=5, popularity_exponent=0.5).fit(data, progress=False)
    assert np.isfinite(rec.model.factors.scores(rec.model.factors.users)).all()
    assert np.isfinite(rec.fold_in(["x"]).vector).all()
    assert rec.recommend("a", n=3).height == len({item for _, item in ODD[name]}) - len(
        {item for user, item in ODD[name] if user == "a"}
    )


def test_choices_of_weight_zero_are_none_and_counts_do_not_matter():
    data = checkerboard()
    weights = np.ones(len(data), np.float32)
    weights[:5] = 0
    less = SMALL.fit(data.with_weights(weights), progress=False).model.factors
    assert less.users.tobytes() == SMALL.fit(data[5:], progress=False).model.factors.users.tobytes()
    weights[5:] = np.arange(1, len(data) - 4)
    assert less.users.tobytes() == SMALL.fit(data.with_weights(weights), progress=False).model.factors.users.tobytes()
    with pytest.raises(DataError, match="weight 0"):
        SMALL.fit(data.with_weights(np.zeros(len(data), np.float32)), progress=False)


@pytest.mark.parametrize(
    "options",
    [
        {"n_factors": 0}, {"n_epochs": 0}, {"n_epochs": None}, {"lr": 0}, {"lr": np.nan}, {"weight_decay": -1},
        {"weight_decay": "no"}, {"popularity_exponent": -0.5}, {"popularity_exponent": np.inf}, {"n_candidates": 0},
        {"n_candidates": 1025}, {"loss": "hinge"}, {"loss": None}, {"n_negatives": 0}, {"n_negatives": 4097},
        {"temperature": 0}, {"temperature": np.inf}, {"seed": -1}, {"n_threads": -1}, {"weight_decay": True},
    ],
)  # fmt: skip
def test_options_that_make_no_sense(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        palate.BPR(**options)


def test_a_learning_rate_too_large_is_an_error():
    with pytest.raises(OptionError, match="smaller lr"):
        replace(SMALL, lr=1e6, weight_decay=0.1).fit(checkerboard(), progress=False)


def test_options_that_are_not_given_follow_the_loss():
    for loss, lr in (("bpr", 0.2), ("softmax", 0.1), ("cosine", 0.5)):
        plain, given = (
            palate.BPR(loss=loss, n_factors=4, n_epochs=2),
            palate.BPR(loss=loss, n_factors=4, n_epochs=2, lr=lr),
        )
        one, two, other = (
            recipe.fit(checkerboard(), progress=False).model.factors
            for recipe in (plain, given, replace(given, lr=0.05))
        )
        assert one.items.tobytes() == two.items.tobytes()
        assert one.items.tobytes() != other.items.tobytes()
        assert plain.label().replace("loss='bpr', ", "").startswith("BPR(" if loss == "bpr" else f"BPR(loss='{loss}'")


def test_cosines_are_cosines_and_have_biases():
    factors = fitted(replace(SMALL, loss="cosine")).model.factors
    for table in (factors.users, factors.items):
        np.testing.assert_allclose(np.linalg.norm(table[:, :-1], axis=1), 1, atol=1e-5)
    assert not factors.users[:, -1].any()
    assert factors.items[:, -1].any()


def test_the_temperature_of_cosines_falls_with_the_fourth_root_of_the_number_of_items():
    cosine = palate.BPR(loss="cosine")
    assert Given.of(cosine, 100).temperature == Given.of(cosine, 3000).temperature == 0.2
    assert Given.of(cosine, 48_000).temperature == pytest.approx(0.1)
    assert Given.of(replace(cosine, temperature=0.3), 48_000).temperature == 0.3
    assert Given.of(palate.BPR(loss="softmax"), 48_000).temperature == 1


# ---- fold-in and explanations ------------------------------------------------------------------------------------


def problem(n_candidates, seed=0, n=5, m=40, k=3):
    rng = np.random.default_rng(seed)
    draw = rng.standard_normal
    return PairwiseProblem(draw((n, k)), draw(n), draw((m, k)), draw(m), n_candidates, 0.05)


@pytest.mark.parametrize("n_candidates", [1, 4])
def test_a_fold_in_user_minimises_the_loss(n_candidates):
    asked = problem(n_candidates)
    p, rng = asked.solved(), np.random.default_rng(1)
    least = asked.loss(p)
    for size in (1e-2, 0.1, 1.0):
        assert all(asked.loss(p + size * rng.standard_normal(len(p))) > least for _ in range(20))
    np.testing.assert_allclose(
        asked.pulls(p).sum(axis=0) / (2 * asked.decay), p, atol=1e-5 if n_candidates == 1 else 0.02
    )


def test_the_pull_is_the_slope_of_the_loss():
    asked, p = problem(1), np.array([0.3, -0.2, 0.5])
    slopes = [(asked.loss(p + nudge) - asked.loss(p - nudge)) / 2e-6 for nudge in np.eye(3) * 1e-6]
    np.testing.assert_allclose(2 * asked.decay * p - asked.pulls(p).sum(axis=0), slopes, rtol=1e-6)


def test_the_probability_of_the_highest_candidate():
    asked, scores = problem(3, m=4), np.array([0.1, 2.0, -1.0, 0.5])
    drawn = np.random.default_rng(0).integers(0, 4, (200_000, 3))
    highest = drawn[np.arange(len(drawn)), np.argmax(scores[drawn], axis=1)]
    chances = asked.probabilities(scores)
    assert chances.sum() == pytest.approx(1)
    np.testing.assert_allclose(chances, np.bincount(highest) / len(drawn), atol=0.005)


@pytest.mark.parametrize("loss", ["bpr", "softmax", "cosine"])
def test_folding_in_a_known_history_gives_nearly_that_user(loss):
    rec = fitted(replace(SMALL, loss=loss))
    factors, history = rec.model.factors, rec.model.history
    folded = factors.fold_in(history)
    scores = factors.scores(factors.users), factors.scores(folded)
    assert np.mean([np.corrcoef(one, two)[0, 1] for one, two in zip(*scores, strict=True)]) > 0.98


@pytest.mark.parametrize("loss", ["softmax", "cosine"])
def test_explanations_of_many_negatives_add_up(loss):
    told = fitted(replace(SMALL, loss=loss)).fold_in(["i0", "i2"]).explain("i4")
    assert {reason.item for reason in told.because} == {"i0", "i2"}
    assert sum(reason.contribution for reason in told.because) == pytest.approx(told.parts["factors"], abs=1e-3)
    assert sum(told.parts.values()) == pytest.approx(told.prediction, abs=1e-5)


@pytest.mark.parametrize("options", [{}, {"loss": "softmax"}, {"loss": "cosine", "temperature": 1.0}])
def test_a_fold_in_user_is_recommended_their_colour(options):
    new_user = fitted(replace(SMALL, **options)).fold_in(["i0", "i2"])
    assert all(int(item[1:]) % 2 == 0 for item in new_user.recommend(n=6)["item"])
    nobody = fitted().model.factors.fold_in(CompressedRows.empty(2))
    assert (nobody == 0).all()


def test_explanations_add_up_and_name_the_choices():
    new_user = fitted().fold_in(["i0", "i2"])
    told = new_user.explain("i4")
    assert sum(told.parts.values()) == pytest.approx(told.prediction, abs=1e-5)
    assert {reason.item for reason in told.because} == {"i0", "i2"}
    assert sum(reason.contribution for reason in told.because) == pytest.approx(told.parts["factors"], abs=1e-3)
    known = fitted().explain("u0", "i4")
    assert sum(reason.contribution for reason in known.because) + known.rest == pytest.approx(
        known.parts["factors"] + known.parts["user"]
    )


def test_what_it_cannot_do_is_an_error():
    rec = fitted()
    with pytest.raises(OptionError, match="cannot fold in an item"):
        rec.fold_in(["u1", "u2"], side="item")
    with pytest.raises(OptionError, match="train it again"):
        rec.update(checkerboard())
    with pytest.raises(OptionError, match="likes"):
        palate.BPR().fit(palate.datasets.synthetic(n_users=20, n_items=20, n_ratings=100))


@pytest.mark.parametrize("loss", ["bpr", "softmax", "cosine"])
def test_a_saved_model_answers_the_same(tmp_path, loss):
    rec = fitted(replace(SMALL, n_candidates=4, loss=loss))
    rec.save(tmp_path / "bpr.palate")
    loaded = palate.load(tmp_path / "bpr.palate")
    assert isinstance(loaded.model.factors, PairwiseFactors)
    assert (loaded.model.factors.loss, loaded.model.factors.temperature) == (loss, rec.model.factors.temperature)
    assert loaded.fold_in(["i0", "i2"]).vector.tobytes() == rec.fold_in(["i0", "i2"]).vector.tobytes()
    assert loaded.recommend("u3").equals(rec.recommend("u3"))


def test_no_candidates_are_refused():
    flat, prior = np.zeros((2, 2), np.float32), Prior(np.eye(2, dtype=np.float32), np.zeros(2, np.float32))
    with pytest.raises(ValueError, match="candidates"):
        PairwiseFactors.of(Factors(0.0, flat, flat, prior, prior), n_candidates=0)
    with pytest.raises(ValueError, match="loss"):
        PairwiseFactors.of(Factors(0.0, flat, flat, prior, prior), loss="hinge")
    with pytest.raises(ValueError, match="temperature"):
        PairwiseFactors.of(Factors(0.0, flat, flat, prior, prior), loss="softmax", temperature=0.0)


@pytest.mark.data
def test_movielens_100k():
    """Likes split by user, everything ranked: above LightFM's WARP, which has an NDCG@10 of 0.2998."""
    path = Path(os.environ.get("PALATE_DATA", "")) / "ml-100k" / "u.data"
    if not path.exists():
        pytest.skip("PALATE_DATA does not lead to ml-100k")
    users, items, stars, _ = np.loadtxt(path, dtype=np.int64).T
    users, items = (np.unique(codes[stars >= 4], return_inverse=True)[1] for codes in (users, items))
    order = np.lexsort((np.random.default_rng(0).random(len(users)), users))
    users, items = users[order], items[order]
    counts = np.bincount(users)
    test = np.arange(len(users)) - (np.cumsum(counts) - counts)[users] < (counts // 5)[users]
    train = palate.Ratings(
        users[~test], items[~test], np.ones(np.count_nonzero(~test)), kind="implicit",
        user_vocabulary=palate.Vocabulary.in_order(np.arange(users.max() + 1)),
        item_vocabulary=palate.Vocabulary.in_order(np.arange(items.max() + 1)),
    )  # fmt: skip
    factors = palate.BPR().fit(train, progress=False).model.factors
    scores = factors.scores(factors.users)
    scores[users[~test], items[~test]] = -np.inf
    wanted = np.zeros(scores.shape, bool)
    wanted[users[test], items[test]] = True
    hits = np.take_along_axis(wanted, np.argsort(-scores, axis=1)[:, :10], axis=1)
    gains = 1 / np.log2(np.arange(2, 12))
    asked = wanted.any(axis=1)
    best = np.cumsum(gains)[np.minimum(wanted.sum(axis=1), 10)[asked] - 1]
    assert np.mean(hits[asked] @ gains / best) > 0.304
