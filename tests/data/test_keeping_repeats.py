"""Repeated pairs as events of their own: what keeps them, and what takes each pair once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from palate.data.order import joined, oldest_first
from palate.data.rows import (
    CompressedRows,
    columns_where,
    distinct,
    row_codes,
    rows_of_entries,
    stack_rows,
    take_rows,
    transpose_rows,
)
from palate.errors import OptionError

RECIPES = [
    palate.EASE(),
    palate.SparseEASE(),
    palate.ImplicitALS(n_factors=4),
    palate.Neighbors(),
    palate.Neighbors(by="users"),
    palate.BPR(n_factors=4, n_epochs=3),
    palate.Popularity(),
    palate.Blend(["EASE", "Popularity"]),
]
events = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 5), st.integers(1, 3)), min_size=1, max_size=30
)


def read(rows, duplicates, *, timed=True, counted=True):
    columns = {"user": [f"u{user:02d}" for user, *_ in rows], "item": [f"i{item:02d}" for _, item, *_ in rows]}
    columns |= {"time": [time for *_, time, _ in rows]} if timed else {}
    columns |= {"plays": [count for *_, count in rows]} if counted else {}
    return palate.read(columns, kind="implicit", duplicates=duplicates)


def many(seed=0, n=300, n_users=25, n_items=12):
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, most, n).tolist() for most in (n_users, n_items, 1000)]
    return list(zip(*columns, rng.integers(1, 4, n).tolist(), strict=True))


@settings(max_examples=30)
@given(events, st.booleans(), st.booleans())
def test_every_row_stays_in_its_place(rows, timed, counted):
    ratings = read(rows, "keep", timed=timed, counted=counted)
    assert [(int(u[1:]), int(i[1:])) for u, i in ratings.to_frame()["user", "item"].rows()] == [r[:2] for r in rows]
    assert not timed or ratings.times.tolist() == [time for *_, time, _ in rows]
    assert not counted or ratings.weights.tolist() == [count for *_, count in rows]
    assert ratings.report.is_clean


@settings(max_examples=30)
@given(events, st.booleans(), st.booleans())
def test_joined_gives_what_reading_with_sum_gives(rows, timed, counted):
    kept, summed = (read(rows, policy, timed=timed, counted=counted) for policy in ("keep", "sum"))
    assert joined(kept).to_frame().equals(summed.to_frame())
    assert len(joined(kept)) == len(summed) and joined(summed) is summed


def test_joined_likes_stay_likes():
    pairs = {"user": [0, 0, 0], "item": [1, 1, 0]}
    twice = palate.Ratings(pairs["user"], pairs["item"], [5, 4, 5], user_vocabulary=palate.Vocabulary(["ann"]),
                           item_vocabulary=palate.Vocabulary(["jam", "tea"]))  # fmt: skip
    likes = joined(twice.likes(at_least=4))
    assert (len(likes), likes.weights, likes.like_threshold) == (2, None, 4)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.label())
def test_a_recipe_that_knows_no_order_sees_each_pair_once(recipe):
    kept, summed = (read(many(), policy) for policy in ("keep", "sum"))
    one, other = (recipe.fit(ratings, progress=False) for ratings in (kept, summed))
    assert one.model.fingerprint == other.model.fingerprint
    assert one.recommend(n=5).equals(other.recommend(n=5))
    assert one.recommend(n=5)["score"].to_list() == other.recommend(n=5)["score"].to_list()


def test_an_update_takes_each_pair_once():
    rows = many()
    rec = palate.EASE().fit(read(rows, "keep"), progress=False)
    more = [(1, 2, 2000, 1), (1, 3, 2001, 2), (1, 2, 2002, 5)]
    one, other = (rec.update(read(more, policy)) for policy in ("keep", "sum"))
    assert one.model.history.row(1)[0].tolist()[-2:] == [3, 2]
    np.testing.assert_array_equal(one.model.history.weights, other.model.history.weights)
    np.testing.assert_array_equal(one.model.history.times, other.model.history.times)


@pytest.mark.parametrize(
    "split",
    [
        palate.split_random,
        palate.split_last,
        palate.split_within_users,
        palate.split_users,
        lambda ratings: palate.split_time(ratings, test=0.2),
        lambda ratings: palate.split_folds(ratings, folds=3)[0],
        lambda ratings: palate.split_folds_within_users(ratings, folds=3)[0],
    ],
)
def test_splits_are_of_rows_and_lists_are_evaluated(split):
    kept = read(many(), "keep")
    train, test = split(kept)
    assert len(train) + len(test) == len(kept)
    report = palate.evaluate(palate.EASE().fit(train, progress=False), test, k=5, n_bootstrap=10)
    pairs = {tuple(pair) for pair in zip(test.user_codes.tolist(), test.item_codes.tolist(), strict=True)}
    assert report.n == len(pairs)


def test_comparing_and_tuning_work():
    train, test = palate.split_last(read(many(), "keep"))
    found = palate.compare(train, test, [palate.EASE(), palate.Popularity()], k=5, n_bootstrap=10, progress=False)
    assert found.best.report is not None
    assert palate.tune(palate.EASE(), train, trials=2, progress=False).best.label().startswith("EASE(")


def test_the_doctor_counts_a_pair_once_and_says_how_many_repeat():
    kept, summed = (read(many(), policy) for policy in ("keep", "sum"))
    found, plain = palate.check(kept), palate.check(summed)
    assert found["density"].says == plain["density"].says and found["size"].says == plain["size"].says
    assert f"{len(kept) - len(summed):,} of {len(kept):,} rows" in found["events"].says
    assert "events" not in plain
    assert kept.describe().splitlines()[0].split(", ")[1:] == summed.describe().splitlines()[0].split(", ")[1:]


def test_only_choices_can_be_kept():
    with pytest.raises(OptionError, match="duplicates='keep' is not valid"):
        palate.read({"user": ["ann"], "item": ["tea"], "rating": [5]}, duplicates="keep")


# ---- times in compressed rows


@settings(max_examples=50)
@given(events, st.integers(0, 2**31))
def test_times_go_with_their_entries(rows, seed):
    ratings = oldest_first(read(rows, "keep"))
    whole = ratings.by_user()
    rng = np.random.default_rng(seed)

    def triples(given, owners=None, columns=None):
        owner = row_codes(given) if owners is None else np.asarray(owners)[row_codes(given)]
        column = given.indices if columns is None else np.asarray(columns)[given.indices]
        return sorted(zip(owner.tolist(), column.tolist(), given.times.tolist(), strict=True))

    columns = (ratings.user_codes.tolist(), ratings.item_codes.tolist(), ratings.times.tolist())
    expected = sorted(zip(*columns, strict=True))
    assert triples(whole) == expected
    rows_of_times = np.split(whole.times, whole.indptr[1:-1])
    assert all((np.diff(times) >= 0).all() for times in rows_of_times)
    turned = transpose_rows(whole, ratings.n_items)
    assert sorted((u, i, t) for i, u, t in triples(turned)) == expected
    some = rng.permutation(ratings.n_users)[: rng.integers(1, ratings.n_users + 1)]
    assert triples(take_rows(whole, some), some) == [one for one in expected if one[0] in some]
    keep = rng.random(len(ratings)) < 0.5
    kept = rows_of_entries(whole, keep)
    assert kept.times.tolist() == whole.times[keep].tolist()
    columns = rng.random(ratings.n_items) < 0.5
    left = columns_where(whole, columns)
    assert triples(left, columns=np.flatnonzero(columns)) == [one for one in expected if columns[one[1]]]
    stacked = stack_rows([whole, whole])
    assert stacked.times.tolist() == whole.times.tolist() * 2
    untimed = CompressedRows(whole.indptr, whole.indices, whole.values, whole.weights)
    assert stack_rows([untimed, whole]).times.tolist() == [0] * len(ratings) + whole.times.tolist()
    assert stack_rows([untimed, untimed]).times is None and transpose_rows(untimed, ratings.n_items).times is None
    assert len(distinct(whole, ratings.n_items).indices) == len(joined(ratings))


def test_only_implicit_ratings_have_times_in_their_rows():
    rated = palate.read({"user": ["ann"], "item": ["tea"], "rating": [5], "time": [3]})
    assert rated.by_user().times is None and rated.likes(4).by_user().times.tolist() == [3]


# ---- times in models


def test_a_model_keeps_times_through_update_forget_and_its_file(tmp_path):
    rows = many()
    rec = palate.EASE().fit(read(rows, "keep"), progress=False)
    last = {}
    for user, item, time, _ in sorted(rows, key=lambda row: row[2]):
        last[user, item] = time

    def times(model):
        labels = model.user_vocabulary.labels[row_codes(model.history)].tolist()
        items = model.item_vocabulary.labels[model.history.indices].tolist()
        pairs = zip(labels, items, model.history.times.tolist(), strict=True)
        return {(int(user[1:]), int(item[1:])): time for user, item, time in pairs}

    assert times(rec.model) == last
    updated = rec.update(read([(0, 1, 500, 1), (30, 2, 7, 1)], "sum"))
    assert times(updated.model) == last | {(0, 1): 500, (30, 2): 7}
    row = updated.model.history
    assert (np.diff(row.times[row.indptr[0] : row.indptr[1]]) >= 0).all()
    forgotten = updated.forget(users=["u03"], items=["i04"])
    assert times(forgotten.model) == {p: t for p, t in times(updated.model).items() if p[0] != 3 and p[1] != 4}
    forgotten.save(tmp_path / "m.palate")
    assert times(palate.load(tmp_path / "m.palate").model) == times(forgotten.model)


def test_an_update_without_times_leaves_a_history_without_times():
    rec = palate.EASE().fit(read(many(), "sum"), progress=False)
    updated = rec.update(read([(0, 1, 0, 1)], "sum", timed=False))
    assert updated.model.history.times is None
    assert updated.model.history.row(0)[0].tolist()[-1] == 1
