"""Sequence: the closed form against its equations, chosen settings, sessions, repeats, updates, real data."""

import os

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from palate.data.rows import CompressedRows, added_rows
from palate.errors import OptionError
from palate.models.history_factors import to_dense
from palate.models.item_weights import check_rows
from palate.recipes import sequence, sequence_choice

DATA = os.environ.get("PALATE_DATA")
GIVEN = {"recency": 2.0, "weight_decay": 5.0, "similarity": 0.0}


def walks(n_users=150, n_items=20, n=10, seed=0, noise=0.2, repeats=False):
    """Events of users who walk a circle of items: mostly the next one follows. As (user, item) columns in order."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(n_users):
        at = int(rng.integers(n_items))
        for _ in range(n):
            rows.append((f"u{user}", f"i{at:02}"))
            at = int(rng.integers(n_items)) if rng.random() < noise else (at + 1) % n_items
    frame = pl.DataFrame(rows, schema=["user", "item"], orient="row")
    return frame if repeats else frame.unique(maintain_order=True)


def events(**options):
    return palate.read(walks(**options), kind="implicit", duplicates="keep")


def dense_weights(rec):
    weights = rec.model.factors.weights
    return to_dense(weights, rec.n_items) if isinstance(weights, CompressedRows) else weights


def equations(ratings, recency, reach=64):
    """S'S and S'T in double precision, by a loop over events."""
    n, rows = ratings.n_items, ratings.by_user()
    C, T = np.zeros((n, n)), np.zeros((n, n))
    for user in range(ratings.n_users):
        items, _ = rows.row(user)
        for at in range(len(items)):
            past = items[max(0, at - reach) : at][::-1]
            s = np.bincount(past, 1 / (1 + np.arange(len(past)) / recency), n)
            C += np.outer(s, s)
            T[:, items[at]] += s
    return C, T


@pytest.mark.parametrize("repeats", [False, True])
def test_weights_are_the_ridge_regression_of_the_next_item_on_the_past(repeats):
    ratings = events(repeats=repeats)
    rec = palate.Sequence(**GIVEN, dropout=0.2).fit(ratings, progress=False)
    C, T = equations(ratings, 2.0)
    expected = np.linalg.solve(C + np.diag(5 + 0.25 * np.diag(C)), T)
    np.testing.assert_allclose(dense_weights(rec), expected, atol=2e-5)


def test_with_a_support_each_item_is_regressed_on_those_that_come_before_it_most():
    ratings = events()
    rec = palate.Sequence(**GIVEN, dropout=0.2, k=5).fit(ratings, progress=False)
    C, T = equations(ratings, 2.0)
    weights = rec.model.factors.weights
    check_rows("weights", weights, rec.n_items, rec.n_items)
    found = to_dense(weights, rec.n_items)
    for item in range(rec.n_items):
        share = np.where(T[:, item] > 0, T[:, item] ** 2 / np.diag(C), 0)
        S = np.sort(np.argsort(-share, kind="stable")[:5])
        L = np.diag(5 + 0.25 * np.diag(C)[S])
        expected = np.linalg.solve(C[np.ix_(S, S)] + L, T[S, item])
        np.testing.assert_array_equal(np.flatnonzero(found[:, item]), S)
        np.testing.assert_allclose(found[S, item], expected, atol=2e-5)


@pytest.mark.parametrize("k", [None, 6])
def test_similarity_adds_the_weights_of_ease(k):
    ratings = events()
    alone = palate.Sequence(**GIVEN, k=k).fit(ratings, progress=False)
    both = palate.Sequence(**GIVEN | {"similarity": 0.3}, k=k).fit(ratings, progress=False)
    ease = (palate.EASE() if k is None else palate.SparseEASE(k=k)).fit(ratings, progress=False)
    expected = dense_weights(alone) + 0.3 * dense_weights(ease)
    np.testing.assert_allclose(dense_weights(both), expected, atol=1e-6)


def test_a_score_is_the_sum_of_weights_by_recency():
    ratings = events()
    rec = palate.Sequence(**GIVEN).fit(ratings, progress=False)
    W, vocabulary = dense_weights(rec), ratings.classes["item"]
    session = ["i03", "i09", "i04"]
    codes = [vocabulary.index(item) for item in session]
    expected = W[codes[0]] / 2 + W[codes[1]] / 1.5 + W[codes[2]]  # 2, 1 and 0 later events
    answer = rec.recommend(session=session, n=20, keep_seen=True)
    found = dict(zip(answer["item"], answer["score"], strict=True))
    np.testing.assert_allclose([found[item] for item in vocabulary], expected, rtol=1e-4, atol=1e-6)
    reasons = {reason.item: reason.contribution for reason in rec.fold_in(session).explain("i05").because}
    shares = [W[code, vocabulary.index("i05")] / part for code, part in zip(codes, (2, 1.5, 1), strict=True)]
    np.testing.assert_allclose([reasons[item] for item in session], shares, rtol=1e-4, atol=1e-7)
    why = str(rec.fold_in(session).explain("i05"))
    assert "chose i04, the last" in why
    assert "chose i03, 2 before the last" in why


def test_what_follows_is_recommended_where_the_order_tells():
    rec = palate.Sequence().fit(events(), progress=False)
    assert rec.recommend(session=["i07"], n=1)["item"].to_list() == ["i08"]
    assert rec.recommend(session=["i08", "i07"], n=1)["item"].to_list() != ["i07"]
    assert rec.recommend(session=["i11", "i12", "i13"], n=1)["item"].to_list() == ["i14"]


@given(st.integers(0, 10**6), st.sampled_from([None, 4]))
@settings(max_examples=10)
def test_times_tell_the_order_and_rows_do_not_matter_then(seed, k):
    frame = walks(n_users=40, seed=seed % 1000).with_row_index("time")
    recipe = palate.Sequence(k=k, **GIVEN)
    one, two = (
        recipe.fit(palate.read(rows, kind="implicit"), progress=False)
        for rows in (frame, frame.sample(fraction=1, shuffle=True, seed=seed))
    )
    np.testing.assert_allclose(dense_weights(one), dense_weights(two), atol=1e-5)
    assert one.recommend(n=3)["item"].to_list() == two.recommend(n=3)["item"].to_list()


@pytest.mark.parametrize("k", [None, 7])
def test_any_number_of_threads_gives_the_same_bytes(k):
    one, two = (palate.Sequence(k=k, n_threads=n).fit(events(), progress=False) for n in (1, 3))
    np.testing.assert_array_equal(dense_weights(one), dense_weights(two))


# ---- settings


def test_settings_are_chosen_reported_and_told_beforehand():
    ratings = events(n_users=300, n=12)
    rec = palate.Sequence().fit(ratings, progress=False)
    taken = {name: rec.model.training[name] for name in ("recency", "weight_decay", "similarity", "keep_seen", "k")}
    assert palate.Sequence().data_defaults(ratings) == taken
    assert palate.Sequence(**taken | {"k": None}).fit(ratings).recommend(n=4).equals(rec.recommend(n=4))
    assert palate.Sequence(recency=3, weight_decay=2, similarity=0, keep_seen=True, k=4).data_defaults(ratings) == {}


def test_a_walk_needs_a_short_recency_and_tastes_without_order_a_long_one():
    short = palate.Sequence().data_defaults(events(n_users=400, n_items=60, n=20, noise=0.3))
    rng = np.random.default_rng(1)
    tastes = [
        (f"u{user}", f"i{item:02}")
        for user in range(600)
        for item in np.unique(
            np.where(rng.random(24) < 0.7, 20 * (user % 3), 20 * rng.integers(3, size=24)) + rng.integers(20, size=24)
        )
    ]
    frame = pl.DataFrame(tastes, schema=["user", "item"], orient="row").sample(fraction=1, shuffle=True, seed=1)
    assert short["recency"] <= 2
    assert palate.Sequence().data_defaults(palate.read(frame, kind="implicit"))["recency"] >= 8


def test_with_few_users_the_usual_settings_are_taken():
    taken = palate.Sequence().data_defaults(events(n_users=50))
    usual = (sequence_choice.RECENCY, sequence_choice.USUAL_DECAY, sequence_choice.USUAL_SIMILARITY)
    assert (taken["recency"], taken["weight_decay"], taken["similarity"]) == usual


@pytest.mark.parametrize(("repeats", "expected"), [(True, True), (False, False)], ids=["who come back", "who do not"])
def test_whether_users_come_back_is_found_in_the_data(repeats, expected):
    ratings = events(n_users=200, n_items=6 if repeats else 40, n=15, repeats=repeats)
    rec = palate.Sequence().fit(ratings, progress=False)
    assert rec.model.training["keep_seen"] is expected
    seen = set(ratings.to_frame().filter(pl.col("user") == "u0")["item"])
    assert bool(seen & set(rec.recommend("u0", n=40)["item"])) is expected
    assert not seen & set(rec.recommend("u0", n=40, keep_seen=False)["item"])
    assert seen <= set(rec.recommend("u0", n=40, keep_seen=True)["item"])


def test_keep_seen_is_true_false_or_left_open():
    with pytest.raises(OptionError, match="keep_seen must be True or False"):
        palate.Sequence(**GIVEN).fit(events(), progress=False).recommend("u1", keep_seen="no")


@pytest.mark.parametrize(
    "options",
    [{"recency": 0}, {"weight_decay": -1}, {"similarity": -0.1}, {"dropout": 1}, {"k": 0}, {"keep_seen": 2}],
    ids=str,
)
def test_options_out_of_range_raise(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        palate.Sequence(**options)


def test_a_fit_that_needs_too_much_memory_is_refused_before_it_begins():
    with pytest.raises(OptionError, match=r"Sequence of 20 items needs .* memory= allows: .* a smaller k"):
        palate.Sequence(memory="1KB").fit(events())
    assert palate.Sequence().bytes_needed(events()) > 0
    assert palate.Sequence(k=3).seconds_needed(events()) < 60


def test_ratings_are_refused_with_advice():
    ratings = palate.datasets.synthetic(60, 40, 1200, seed=1)
    with pytest.raises(OptionError, match=r"Sequence learns from implicit feedback.*likes\(at_least=4\)"):
        palate.Sequence().fit(ratings)


def test_histories_of_one_event_leave_nothing_to_learn_and_popularity_answers():
    ratings = palate.read({"user": ["a", "b", "c"], "item": ["x", "x", "y"]}, kind="implicit")
    rec = palate.Sequence().fit(ratings, progress=False)
    assert not dense_weights(rec).any()
    assert rec.recommend("nobody", n=2, on_unknown="fallback")["item"].to_list() == ["x", "y"]


# ---- keeping up


@pytest.mark.parametrize("k", [None, 8])
def test_an_update_moves_on_and_equals_a_longer_history(k, tmp_path):
    frame = walks()
    whole = palate.read(frame, kind="implicit")
    is_last = frame.select(pl.col("item").cum_count(reverse=True).over("user") == 1).to_series().to_numpy()
    rec = palate.Sequence(k=k).fit(whole[~is_last], progress=False)
    after = rec.update(whole[is_last])
    sessions = frame.filter(pl.col("user") == "u3")["item"].to_list()
    expected = rec.recommend(session=sessions, n=3)
    assert after.recommend("u3", n=3)["item"].to_list() == expected["item"].to_list()
    after.save(tmp_path / "m.palate")
    assert palate.load(tmp_path / "m.palate").recommend(n=3).equals(after.recommend(n=3))


@pytest.mark.parametrize("k", [None, 19])
def test_weights_of_late_items_are_a_regression_and_a_step_of_descent(k):
    frame = walks(n_users=120)
    early = palate.read(frame.filter(pl.col("item") != "i05"), kind="implicit")
    rec = palate.Sequence(**GIVEN, dropout=0.2, k=k).fit(early, progress=False)
    fresh = frame.filter(pl.col("user").is_in([f"u{n}" for n in range(120)])).with_columns(user=pl.col("user") + "new")
    after = rec.update(palate.read(fresh, kind="implicit"))
    assert after.model.factors.is_late.sum() == 1
    late = after.model.item_vocabulary.encode(["i05"])[0]
    C, T = equations(_ratings_of(after), 2.0)
    L = 5 + 0.25 * np.diag(C)
    W = dense_weights(after).astype(float)
    S = np.flatnonzero(T[:, late] > 0)  # what has come before it
    np.testing.assert_allclose(W[S, late], np.linalg.solve(C[np.ix_(S, S)] + np.diag(L[S]), T[S, late]), atol=2e-4)
    others = np.flatnonzero((T[late] > 0) & (np.arange(len(C)) != late))
    without = W.copy()
    without[late] = 0
    step = (T[late] - C[late] @ without) / (C[late, late] + L[late])
    np.testing.assert_allclose(W[late, others], step[others], atol=2e-4)
    assert "i05" in after.recommend(session=["i04"], n=2)["item"].to_list()
    assert after.recommend(session=["i05"], n=1)["item"].to_list() == ["i06"]
    untouched = np.setdiff1d(np.arange(len(C)), [late])
    np.testing.assert_array_equal(W[np.ix_(untouched, untouched)], dense_weights(rec)[np.ix_(untouched, untouched)])


def _ratings_of(rec):
    history = rec.model.history
    owners = np.repeat(np.arange(rec.n_users, dtype=np.int32), history.counts)
    return palate.Ratings(
        owners, history.indices, history.values, kind="implicit",
        user_vocabulary=rec.model.user_vocabulary, item_vocabulary=rec.model.item_vocabulary,
    )  # fmt: skip


def test_forgotten_users_and_items_are_gone():
    rec = palate.Sequence(k=6).fit(events(), progress=False)
    after = rec.forget(users=["u1"], items=["i08"])
    assert "i08" not in after.recommend(session=["i07"], n=20)["item"].to_list()
    assert (after.n_users, after.n_items) == (rec.n_users - 1, rec.n_items - 1)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 10**6))
def test_sums_of_sparse_matrices(n_rows, n_columns, seed):
    rng = np.random.default_rng(seed)
    dense = [np.where(rng.random((n_rows, n_columns)) < 0.4, rng.integers(1, 9, (n_rows, n_columns)), 0) for _ in "ab"]
    sparse = [
        CompressedRows(
            np.concatenate([[0], np.cumsum((d != 0).sum(1))]), np.nonzero(d)[1].astype(np.int32),
            d[np.nonzero(d)].astype(np.float32), None,
        ) for d in dense
    ]  # fmt: skip
    found = added_rows(*sparse, np.float32(2), n_columns)
    np.testing.assert_array_equal(to_dense(found, n_columns), dense[0] + 2 * dense[1])
    check_rows("sum", found, n_rows, n_columns)


# ---- real data


def _next_item_ndcg(rec, last):
    return palate.evaluate(rec, last, next_item=True).to_dict()["measures"]["ndcg@10"]["value"]


@pytest.mark.skipif(DATA is None, reason="needs PALATE_DATA, the folder of data sets")
def test_on_movielens_order_tells_more_than_similarity():
    """On the last but one event of each user: the last stays unseen."""
    ratings, _ = palate.split_last(palate.datasets.load("ml-100k").likes(at_least=1))
    train, last = palate.split_last(ratings)
    aware, blind = (
        _next_item_ndcg(recipe.fit(train, progress=False), last) for recipe in (palate.Sequence(), palate.EASE())
    )
    assert aware > 0.13
    assert aware > 1.4 * blind


def test_the_limit_of_dense_weights_is_by_items():
    assert sequence.MAX_DENSE == 5000
    assert palate.Sequence()._k(5000) == 5000
    assert palate.Sequence()._k(5001) == 120
    assert palate.Sequence(k=7)._k(5000) == 7
