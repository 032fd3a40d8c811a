"""The link from history and attributes to factors: against brute force, and what it finds of what was planted."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import palate
from helpers.data import rows_of
from palate.data.datasets import synthetic
from palate.data.features import Features
from palate.data.rows import columns_from, rows_where
from palate.kernels import reference
from palate.models.model import take_rows
from palate.models.sideinfo import SideInfo
from palate.recipes.gibbs.chain import Chain
from palate.recipes.gibbs.sides import Link
from palate.recipes.monitor import rmse

few = settings(max_examples=60, deadline=None)


def ratings_of(user_codes, item_codes, values, n_users, n_items, **more):
    vocabularies = {
        "user_vocabulary": palate.Vocabulary.in_order([f"u{n}" for n in range(n_users)], what="user"),
        "item_vocabulary": palate.Vocabulary.in_order([f"i{n}" for n in range(n_items)], what="item"),
    }
    return palate.Ratings(user_codes, item_codes, np.asarray(values, np.float32), **vocabularies, **more)


def dense(rows, n_columns):
    out = np.zeros((rows.n_rows, n_columns))
    np.add.at(out, (np.repeat(np.arange(rows.n_rows), rows.counts), rows.indices), rows.values)
    return out


# ---- the chain


class BruteSide:
    """One side of Macau by the formulas, in float64: beta drawn as a whole. Rows are the rated ones."""

    def __init__(self, rows, F, groups, k, rng, stream):
        self.rows, self.F, self.groups, self.rng, self.stream = rows, F, groups, rng, stream
        self.X = rng.standard_normal((rows.n_rows, k))
        self.beta, self.l = np.zeros((F.shape[1], k)), np.ones(groups.max() + 1)

    def draw(self, other, **options):
        (n, k), rng = self.X.shape, self.rng
        L, around = self.l[self.groups], self.X - self.F @ self.beta
        center, beta0 = around.mean(axis=0), 2 + n
        inverse_W = np.eye(k) + (around - center).T @ (around - center) + 2 * n / beta0 * np.outer(center, center)
        inverse_W += (self.beta.T * L) @ self.beta
        precision = stats.wishart(k + n + len(L), np.linalg.inv(inverse_W)).rvs(random_state=rng)
        mean = rng.multivariate_normal(n * center / beta0, np.linalg.inv(beta0 * precision))
        inverse = np.linalg.inv(self.F.T @ self.F + np.diag(L))
        roots = np.linalg.cholesky(inverse), np.linalg.cholesky(np.linalg.inv(precision))
        self.beta = inverse @ self.F.T @ (self.X - mean) + roots[0] @ rng.standard_normal(self.beta.shape) @ roots[1].T
        for g in range(len(self.l)):
            own = self.beta[self.groups == g]
            self.l[g] = rng.gamma(1 + own.size / 2) / (1 + np.trace(own @ precision @ own.T) / 2)
        self.X, errors = reference.solve_rows(
            self.rows.indptr, self.rows.indices, self.rows.values, other, precision=precision,
            mean=mean + self.F @ self.beta, bias=True, draw=True, stream=self.stream, errors=True, **options,
        )  # fmt: skip
        return errors.sum()


def seen(users, items, user_shift, user_l, item_l):
    """What is compared of a draw: the expected rating of every pair, the link's part of each bias, its precisions."""
    cells = users[:, :1] @ items[:, :1].T + users[:, 1:] + items[:, 1]
    return np.concatenate([cells.ravel(), user_shift[:, 1], np.log(user_l), np.log(item_l)])


def brute_force(ratings, infos, n_users, n_sweeps, seed):
    """What is seen of each draw, of the first n_users."""
    rng = np.random.default_rng(seed)
    center, scale = ratings.values.mean(dtype=np.float64), ratings.values.std(dtype=np.float64)
    by_user = take_rows(ratings.by_user(), np.arange(n_users))
    matrices = [dense(F, info.n_features) for info, F in infos.values()]
    users = BruteSide(by_user, matrices[0][:n_users], infos["user"][0].groups, 2, rng, 0)
    items = BruteSide(ratings.by_item(), matrices[1], infos["item"][0].groups, 2, rng, 1)
    alpha, draws = 1.0, []
    for sweep in range(n_sweeps):
        options = {"center": center, "scale": scale, "seed": seed, "sweep": sweep}
        users.draw(items.X, alpha=alpha, **options)
        errors = items.draw(users.X, alpha=alpha, **options)
        alpha = rng.gamma(len(ratings) / 2 + 1) / (errors / 2 + 1)
        draws.append(seen(users.X, items.X, users.F @ users.beta, users.l, items.l))
    return np.array(draws)


def batch_errors(draws, n_batches=25):
    """Mean over draws and its Monte Carlo standard error, by means of batches (draws of a chain are dependent)."""
    means = draws.reshape(n_batches, -1, *draws.shape[1:]).mean(axis=1)
    return means.mean(axis=0), means.std(axis=0, ddof=1) / np.sqrt(n_batches)


def test_the_chain_samples_the_posterior():
    """With a user nobody knows a rating of among its rows, whom brute force has never heard of."""
    some = synthetic(7, 6, 32, n_factors=1, noise=0.5, seed=4, step=None, scale=(-20.0, 30.0))
    ratings = ratings_of(some.user_codes, some.item_codes, some.values, 8, 6)
    attributes = Features.learned(
        {"job": ["cook", "smith", "cook", "smith", "cook", "king", "king", "king"]}, min_rows=1
    )
    infos = {"user": SideInfo(6, attributes), "item": SideInfo(8)}
    table = pl.DataFrame({"job": ["cook", "smith", "cook", "smith", "cook", "king", "king", "king"]})
    infos = {
        "user": (infos["user"], infos["user"].matrix(ratings.by_user(), attributes.encode(table))),
        "item": (infos["item"], infos["item"].matrix(ratings.by_item())),
    }
    n_draws, burn_in = 1500, 100
    theirs = brute_force(ratings, infos, 7, n_draws + burn_in, seed=11)[burn_in:]
    chain = Chain(ratings, 1, seed=7, n_threads=1, side_infos=infos)
    ours = np.empty_like(theirs)
    for number in range(-burn_in, n_draws):
        chain.draw_sweep(number + burn_in + 1)
        links = chain.users.link, chain.items.link
        rows = chain.users.vectors[:7], chain.items.vectors
        ours[number] = seen(*rows, links[0].shift[:7], links[0].precisions, links[1].precisions)
    for measure in (lambda draws: draws, lambda draws: (draws - theirs.mean(axis=0)) ** 2):
        (one, error_one), (two, error_two) = batch_errors(measure(ours)), batch_errors(measure(theirs))
        z = (one - two) / np.hypot(error_one, error_two)
        assert np.abs(z).max() < 5
        assert np.sqrt(np.mean(z**2)) < 2


def test_a_link_without_evidence_has_its_prior():
    precision = np.array([[4.0, 1.8], [1.8, 1.0]])
    link = Link(SideInfo(4000), rows_of([[], [], []]), k=2, n_threads=1)
    link.draw(np.ones((3, 2), np.float32), np.ones(2), precision, np.random.default_rng(0), seed=1, sweep=1, stream=2)
    expected = np.linalg.inv(precision)
    spread = np.sqrt(np.diag(expected))
    assert (np.abs(np.cov(link.beta.T) - expected) < 5 * np.outer(spread, spread) * np.sqrt(2 / 4000)).all()
    assert link.precisions == pytest.approx([1], abs=0.1)
    assert (link.shift == 0).all()


def test_rows_without_ratings_do_not_move_the_others():
    ratings, _, _ = planted(cold=0.3)
    unrated = np.flatnonzero(ratings.by_user().counts == 0)
    jobs = ratings.user_table["job"].to_numpy().copy()
    other = jobs.copy()
    other[unrated] = np.random.default_rng(0).permutation(jobs[unrated])
    assert (other != jobs).any()
    turned = ratings.with_users(pl.DataFrame({"job": other}))
    one, two = (palate.Bayes(n_factors=3, n_sweeps=12).fit(each).model.posterior for each in (ratings, turned))
    rated = np.setdiff1d(np.arange(ratings.n_users), unrated)
    assert one.items.vectors.tobytes() == two.items.vectors.tobytes()
    assert one.users.link.tobytes() == two.users.link.tobytes()
    assert one.users.vectors[:, rated].tobytes() == two.users.vectors[:, rated].tobytes()
    assert one.users.vectors[:, unrated].tobytes() != two.users.vectors[:, unrated].tobytes()


# ---- what was planted


def planted(n_users=500, n_items=100, per_user=10, n_jobs=4, noise=0.5, cold=0.0, seed=0):
    """Users with one of n_jobs, which says most of their taste: (ratings, truth of all pairs, whose job).

    The last share `cold` of users has no ratings.
    """
    rng = np.random.default_rng(seed)
    jobs = rng.integers(0, n_jobs, n_users)
    users = rng.standard_normal((n_jobs, 4))[jobs] + 0.3 * rng.standard_normal((n_users, 4))
    items = rng.standard_normal((n_items, 4)) / 2
    truth = 3 + users[:, :3] @ items[:, :3].T + 0.5 * users[:, 3:] + items[:, 3]
    n_rated = round(n_users * (1 - cold))
    codes = np.concatenate([rng.choice(n_items, per_user, replace=False) for _ in range(n_rated)])
    rows = np.repeat(np.arange(n_rated), per_user)
    values = truth[rows, codes] + noise * rng.standard_normal(len(rows))
    table = pl.DataFrame({"job": [f"job {job}" for job in jobs]})
    return ratings_of(rows, codes, values, n_users, n_items, user_table=table), truth, jobs


def test_attributes_that_matter_are_found():
    ratings, truth, _ = planted(cold=0.2)
    recipe = palate.Bayes(n_factors=4, n_sweeps=60, history=False)
    with_jobs, without = recipe.fit(ratings), replace(recipe, features=False).fit(ratings)
    users, items = (part.ravel().astype(np.int32) for part in np.indices(truth.shape))
    told, untold = (rec.predict_codes(users, items)[0].reshape(truth.shape) for rec in (with_jobs, without))
    assert rmse(told[:400], truth[:400]) < 0.85 * rmse(untold[:400], truth[:400])
    assert rmse(told[400:], truth[400:]) < 0.6 * rmse(untold[400:], truth[400:])


@pytest.mark.parametrize("history", [False, True])
def test_intervals_of_the_unrated_cover(history):
    ratings, truth, _ = planted(cold=0.3, seed=1)
    rec = palate.Bayes(n_factors=4, n_sweeps=60, history=history).fit(ratings)
    rng = np.random.default_rng(0)
    users, items = rng.integers(350, 500, 6000).astype(np.int32), rng.integers(0, 100, 6000).astype(np.int32)
    values = truth[users, items] + 0.5 * rng.standard_normal(6000)
    low, high = ratings.range
    inside = (low < values) & (values < high)  # where the interval is not cut off
    for level in (0.5, 0.9):
        _, low, high = rec.predict_codes(users, items, level=level)
        share = np.mean(((low <= values) & (values <= high))[inside])
        assert level - 0.05 < share < level + 0.06


def test_what_does_not_matter_costs_little():
    whole = synthetic(300, 150, 12_000, n_factors=3, noise=0.6, seed=3)
    rng = np.random.default_rng(0)
    table = pl.DataFrame({"sign": rng.choice(["ram", "bull", "twins", "crab"], 300), "shoe": rng.normal(42, 2, 300)})
    train, test = palate.split_random(whole.with_users(table), test=0.2, seed=0)
    recipe = palate.Bayes(n_factors=5, n_sweeps=60, history=False, features=False)
    codes = test.user_codes, test.item_codes
    plain = rmse(recipe.fit(train).predict_codes(*codes)[0], test.values)
    for more in ({"history": True}, {"features": True}, {"history": True, "features": True}):
        assert rmse(replace(recipe, **more).fit(train).predict_codes(*codes)[0], test.values) < plain + 0.01


# ---- the matrix F


histories = st.lists(st.lists(st.integers(0, 6), max_size=8), max_size=8)
JOBS = Features.learned({"job": ["cook", "smith", "king"] * 20, "age": [20 + n % 30 for n in range(60)]})


def test_rows_encoded_before_are_those_encoded_now():
    table = pl.DataFrame({"job": ["king", None, "cook", "stranger"] * 3, "age": [30, 20, None, 90] * 3})
    codes, fresh = np.array([7, 0, 3, 3, 10]), SideInfo(7, JOBS)
    at_hand = fresh.learned_from(table)
    assert at_hand == fresh and at_hand.encoded is not None and SideInfo(7).learned_from(table).encoded is None
    for one in (table, table.clone()):  # the very table, and one that only looks the same
        for part in ("indptr", "indices", "values"):
            found, right = (getattr(info.encode_some(one, codes), part) for info in (at_hand, fresh))
            assert found.dtype == right.dtype
            np.testing.assert_array_equal(found, right)
    other = table.with_columns(job=pl.lit("smith"))
    np.testing.assert_array_equal(at_hand.encode_some(other, codes).to_dense(), fresh.encode(other[codes]).to_dense())
    assert at_hand.encode_some(None, codes) is None


@few
@given(histories, st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=64, max_size=64), st.booleans(), st.data())
def test_the_matrix_is_history_beside_attributes(lists, weights, told, data):
    """Also where a pair was rated more than once, and where ratings of weight 0 do not count."""
    history = rows_of(lists, weights)
    info = SideInfo(7, JOBS)
    jobs = st.fixed_dictionaries({"job": st.sampled_from(["cook", "king", "stranger"]), "age": st.integers(1, 90)})
    rows = data.draw(st.lists(jobs | st.just({}), min_size=len(lists), max_size=len(lists)))
    design = info.encode(rows) if told else None
    there = np.zeros((len(lists), 7))
    for row in range(len(lists)):
        here = slice(*history.indptr[row : row + 2])
        there[row, history.indices[here][history.weights[here] > 0]] = 1
    shares = there / np.sqrt(np.maximum(there.sum(axis=1, keepdims=True), 1))
    right = np.zeros((len(lists), JOBS.n_features)) if design is None else design.to_dense()
    F = info.matrix(history, design)
    assert (F.indptr.dtype, F.indices.dtype, F.values.dtype) == (np.int64, np.int32, np.float32)
    np.testing.assert_allclose(dense(F, info.n_features), np.hstack([shares, right]), rtol=1e-6)
    cells = np.repeat(np.arange(F.n_rows), F.counts) * info.n_features + F.indices
    assert len(np.unique(cells)) == len(cells)
    np.testing.assert_array_equal(dense(columns_from(F, 7), JOBS.n_features), right.astype(np.float32))
    keep = np.array([len(codes) % 2 == 0 for codes in lists], bool)
    expected = dense(F, info.n_features) * keep[:, None]
    np.testing.assert_array_equal(dense(rows_where(F, keep), info.n_features), expected)


def test_groups_are_history_then_fields():
    info = SideInfo(7, JOBS)
    assert info.n_features == 7 + JOBS.n_features == len(info.groups)
    assert info.group_names == ["history", "job", "age"]
    assert info.groups[:7].tolist() == [0] * 7
    assert info.groups[7:].tolist() == (JOBS.groups + 1).tolist()
    assert (SideInfo(0, JOBS).group_names, SideInfo(5).group_names, SideInfo(0).group_names) == (
        ["job", "age"], ["history"], [],
    )  # fmt: skip
    np.testing.assert_array_equal(SideInfo(0, JOBS).groups, JOBS.groups)
    assert SideInfo(0).matrix(rows_of([[1], []])).counts.tolist() == [0, 0]
    assert SideInfo(5).encode([{}]) is None


def test_ratings_of_weight_zero_are_no_history():
    ratings = synthetic(60, 40, 900, seed=2)
    extra = synthetic(60, 40, 400, seed=5)
    joined = ratings_of(
        *(np.concatenate([getattr(part, name) for part in (ratings, extra)]) for name in
          ("user_codes", "item_codes", "values")), 60, 40, weights=np.repeat([1.0, 0.0], [900, 400]),
    )  # fmt: skip
    some = ratings_of(ratings.user_codes, ratings.item_codes, ratings.values, 60, 40)
    one, two = (palate.Bayes(n_factors=2, n_sweeps=4).fit(each).model.posterior for each in (some, joined))
    np.testing.assert_allclose(one.users.link, two.users.link, atol=1e-3)
    np.testing.assert_allclose(one.items.vectors, two.items.vectors, atol=1e-3)


def test_pairs_rated_more_than_once_are_history_once():
    ratings = synthetic(60, 40, 1200, seed=2)
    often = palate.Bayes(n_factors=2, n_sweeps=30).fit(ratings[np.repeat(np.arange(1200), 10)])
    link = often.model.posterior.users.link
    assert np.isfinite(link).all()
    assert np.abs(link).mean() < 3


# ---- strangers, whole (their Normals: test_strangers.py)


@pytest.mark.parametrize("history", [False, True])
def test_the_unrated_are_what_folding_them_in_says(history):
    ratings, _, _ = planted(cold=0.1)
    rec = palate.Bayes(n_factors=3, n_sweeps=30, history=history).fit(ratings)
    items = list(ratings.item_vocabulary)
    for user in ("u470", "u490"):
        job = ratings.user_table["job"][int(user[1:])]
        new, known = rec.fold_in({}, features={"job": job}).predict(items), rec.predict([user] * 100, items)
        np.testing.assert_allclose(new["prediction"], known["prediction"], atol=1e-4)
        widths = [(frame["high"] - frame["low"]).mean() for frame in (new, known)]
        assert widths[0] == pytest.approx(widths[1], rel=0.25)  # each of some draws of its own
    nobody = rec.fold_in({}).predict(items)["prediction"]
    np.testing.assert_allclose(nobody, rec.predict(["nobody"] * 100, items)["prediction"], atol=1e-4)


def test_a_new_item_of_which_attributes_are_known():
    flipped, _, _ = planted(cold=0.1)
    ratings = palate.Ratings(
        flipped.item_codes, flipped.user_codes, flipped.values,
        user_vocabulary=palate.Vocabulary.in_order([f"u{n}" for n in range(100)], what="user"),
        item_vocabulary=palate.Vocabulary.in_order([f"i{n}" for n in range(500)], what="item"),
        item_table=flipped.user_table,
    )  # fmt: skip
    rec = palate.Bayes(n_factors=3, n_sweeps=30).fit(ratings)
    users = [f"u{n}" for n in range(100)]
    new = rec.fold_in({}, side="item", features={"job": ratings.item_table["job"][480]})
    known = rec.predict(users, ["i480"] * 100)["prediction"]
    np.testing.assert_allclose(new.predict(users)["prediction"], known, atol=1e-4)
    assert known.std() > 0.2
