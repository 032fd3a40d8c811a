"""Recommending step by step, by hand: what is hidden, the best items, frames of blocks, blocks that were kept."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import palate
from helpers.data import rows_of
from palate.answers.ranking import RecommendOptions, query_of, recommending
from palate.answers.ranking.asking import _labels_and_codes, recommend
from palate.answers.ranking.files import Parts
from palate.answers.ranking.filters import Lists
from palate.answers.ranking.recommending import (
    FrameMaker,
    _finished_or_ranked,
    _slices,
    best_items,
    hidden_items,
    rank,
    ranked,
)
from palate.errors import UnknownLabelError

N_USERS, N_ITEMS = 6, 7
SEEN = [[0, 2], [], [6], [1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5, 6], [3]]


@pytest.fixture(scope="module")
def model():
    """Factors at random, ratings from 1 to 5, and predictions beyond both."""
    data = palate.datasets.synthetic(N_USERS, N_ITEMS, 30, n_factors=2, seed=1)
    items = {"item": [f"i{at}" for at in range(N_ITEMS)], "title": [f"T{at}" for at in range(N_ITEMS)]}
    titles = pl.DataFrame(items | {"kind": ["even" if at % 2 == 0 else "odd" for at in range(N_ITEMS)]})
    own = palate.ALS(n_factors=2, n_sweeps=1).fit(data.with_items(titles), progress=False).model
    rng = np.random.default_rng(0)
    users, items = (rng.normal(0, 1.2, (n, 3)).astype(np.float32) for n in (N_USERS, N_ITEMS))
    factors = replace(own.factors, users=users, items=items, mean=3.0, scale=1.0)
    return replace(own, factors=factors, history=rows_of(SEEN), limits=(1.0, 5.0))


def scores_of(model):
    users, items = (side.astype(np.float64) for side in (model.factors.users, model.factors.items))
    return 3 + users[:, :-1] @ items[:, :-1].T + users[:, -1:] + items[:, -1]


def everyone(model, **options):
    codes = np.arange(N_USERS, dtype=np.int32)
    return model.user_rows(codes), query_of(model, RecommendOptions(**options), (model.user_vocabulary.labels, codes))


def expected(scores, n, hidden, allowed=range(N_ITEMS)):
    """Codes and scores of the n best of each user, -1 where there are no more."""
    found = []
    for user, row in enumerate(scores):
        best = sorted((item for item in allowed if item not in hidden[user]), key=lambda item: (-row[item], item))[:n]
        found.append(best + [-1] * (min(n, N_ITEMS) - len(best)))
    return found


OWN = {"u0": ["i1"], "u3": ["i0", "i6"], "u5": ["i3", "i4"]}
OWN_CODES = [[1], [], [], [0, 6], [], [3, 4]]


@pytest.mark.parametrize("keep_seen", [False, True])
@pytest.mark.parametrize("excluded", [False, True])
def test_seen_items_and_own_exclusions_are_hidden(model, keep_seen, excluded):
    rows, query = everyone(model, n=9, keep_seen=keep_seen, exclude=OWN if excluded else ())
    hidden = [
        ([] if keep_seen else seen) + (own if excluded else []) for seen, own in zip(SEEN, OWN_CODES, strict=True)
    ]
    found = hidden_items(rows, query, slice(None))
    if keep_seen and not excluded:
        assert found is None
    else:
        assert [sorted(found.row(user)[0].tolist()) for user in range(N_USERS)] == [sorted(own) for own in hidden]
    codes, scores = best_items(model, rows, query)
    truth = scores_of(model)
    assert codes.tolist() == expected(truth, 9, hidden)
    at = codes >= 0
    np.testing.assert_allclose(scores[at], truth[np.nonzero(at)[0], codes[at]], rtol=1e-4)
    for first in (0, 3):  # a block of the users has the lists of these users
        here = slice(first, first + 3)
        some = model.user_rows(np.arange(first, first + 3, dtype=np.int32))
        np.testing.assert_array_equal(best_items(model, some, query, here)[0], codes[here])


def test_scores_lie_within_the_limits_of_ratings_and_chances_within_one(model, monkeypatch):
    rows, query = everyone(model, n=7, keep_seen=True)
    codes, scores = ranked(model, rows, query)
    truth = np.take_along_axis(scores_of(model), codes.astype(np.int64), axis=1)
    assert truth.min() < 1 and truth.max() > 5
    np.testing.assert_allclose(scores, np.clip(truth, 1, 5), rtol=1e-4)
    assert scores.dtype == np.float32
    _, free = ranked(replace(model, predicts_ratings=False), rows, query)
    np.testing.assert_allclose(free, truth, rtol=1e-4)
    found = np.array([[3, 1]], np.int32), np.array([[7.5, -0.5]], np.float64)
    monkeypatch.setattr(recommending, "best_items", lambda *_: found)
    for by, limited in (("chance", [1, 0]), ("likely", [1, 0]), ("lower", [5, 1]), ("thompson", [5, 1])):
        codes, scores = ranked(model, rows, replace(query, by=by))
        assert codes is found[0] and scores.tolist() == [limited] and scores.dtype == np.float32


def test_lists_of_own_items_are_ranked_among_themselves(model):
    rows, query = everyone(model, n=3, keep_seen=True)
    lists = Lists(rows_of([[2, 0], [], [6], [1, 5, 3, 4], [2], [0]]), np.arange(N_USERS, dtype=np.int64))
    codes, _ = best_items(model, rows, replace(query, included_lists=lists))
    row = scores_of(model)
    own = [[2, 0], [], [6], [1, 5, 3, 4], [2], [0]]
    best = [sorted(items, key=lambda item, user=user: -row[user, item])[:3] for user, items in enumerate(own)]
    assert codes.tolist() == [items + [-1] * (3 - len(items)) for items in best]


@pytest.mark.parametrize("chosen", [["i1", "i4", "i5"], None])
def test_only_items_that_are_allowed(model, chosen):
    rows, query = everyone(model, n=4, items=chosen)
    allowed = range(N_ITEMS) if chosen is None else [1, 4, 5]
    codes, _ = best_items(model, rows, query)
    wanted = expected(scores_of(model), 4, SEEN, allowed)
    assert [[code for code in row if code >= 0] for row in codes.tolist()] == [
        [code for code in row if code >= 0] for row in wanted
    ]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("by", ["products", "scores"])
def test_a_limit_to_each_kind_leaves_the_best_of_each(model, n, by):
    """Also where some of the lists fill at once and others have to be looked through further."""
    rows, query = everyone(model, n=n, keep_seen=True, max_per={"kind": 1})
    if by == "scores":
        lists = Lists(rows_of([list(range(N_ITEMS))] * N_USERS), np.arange(N_USERS, dtype=np.int64))
        query = replace(query, included_lists=lists)
    codes, _ = best_items(model, rows, query)
    for row, found in zip(scores_of(model), codes.tolist(), strict=True):
        best = [max(range(start, N_ITEMS, 2), key=lambda item, row=row: row[item]) for start in (0, 1)]
        assert found == [*sorted(best, key=lambda item, row=row: -row[item]), -1][:n]


def test_users_are_all_or_those_asked_about_and_unknown_ones_as_the_caller_says(model):
    labels, codes = _labels_and_codes(model, None, "fallback")
    assert labels.tolist() == [f"u{at}" for at in range(N_USERS)] and codes.tolist() == list(range(N_USERS))
    asked = ["u3", "nobody", "u0"]
    labels, codes = _labels_and_codes(model, asked, "fallback")
    assert (labels.tolist(), codes.tolist()) == (asked, [3, -1, 0])
    labels, codes = _labels_and_codes(model, asked, "nan")
    assert (labels.tolist(), codes.tolist()) == (["u3", "u0"], [3, 0])
    with pytest.raises(UnknownLabelError, match="nobody"):
        _labels_and_codes(model, asked, "raise")


def test_users_may_come_in_frames_of_any_kind(model):
    pandas = pytest.importorskip("pandas")
    plain = recommend(model, ["u1", "u0"], RecommendOptions(2), None)
    assert plain["user"].to_list() == ["u1", "u1", "u0", "u0"] and plain["rank"].to_list() == [1, 2, 1, 2]
    assert recommend(model, pl.DataFrame({"user": ["u1", "u0"]}), RecommendOptions(2), None).equals(plain)
    found = recommend(model, pandas.DataFrame({"user": ["u1", "u0"]}), RecommendOptions(2), None)
    assert found.equals(plain)  # Recommender makes it a pandas frame: tests/data/test_output.py
    whole = recommend(model, None, RecommendOptions(2), None)
    assert isinstance(whole, pl.DataFrame) and whole.filter(user="u1").equals(plain.head(2))


# ---- frames and blocks


def test_slices_cover_all_users_once_and_nobody_is_one_empty_slice():
    assert list(_slices(7, 3)) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert list(_slices(6, 3)) == [slice(0, 3), slice(3, 6)]
    assert list(_slices(1, 1)) == list(_slices(1, 5)) == [slice(0, 1)] and list(_slices(0, 5)) == [slice(0, 0)]


CODES = np.array([[3, 1], [2, -1], [-1, -1]], np.int32)
SCORES = np.array([[5.0, 4.5], [3.25, -np.inf], [-np.inf, -np.inf]], np.float32)


def test_a_frame_has_a_row_for_each_item_with_its_user_title_score_and_rank(model):
    labels = model.user_vocabulary.labels
    found = FrameMaker(model, labels).make(slice(1, 4), CODES, SCORES)
    assert found.columns == ["user", "item", "title", "score", "rank"]
    assert found.rows() == [("u1", "i3", "T3", 5.0, 1), ("u1", "i1", "T1", 4.5, 2), ("u2", "i2", "T2", 3.25, 1)]
    one = FrameMaker(model, labels).make(slice(2, 3), CODES[:1], SCORES[:1])
    assert one.rows() == [("u2", "i3", "T3", 5.0, 1), ("u2", "i1", "T1", 4.5, 2)]
    short = FrameMaker(model, labels).make(slice(2, 3), CODES[1:2], SCORES[1:2])
    assert short.rows() == [("u2", "i2", "T2", 3.25, 1)]
    new = FrameMaker(model, None).make(slice(0, 1), CODES[:1], SCORES[:1])
    assert new.rows() == [("i3", "T3", 5.0, 1), ("i1", "T1", 4.5, 2)]
    nothing = FrameMaker(model, labels).make(slice(0, 0), CODES[:0], SCORES[:0])
    assert nothing.is_empty() and nothing.columns == found.columns


@pytest.mark.parametrize("step", [1, 2, 4, 6])
def test_blocks_of_any_size_make_the_same_frame_and_file(model, step, monkeypatch, tmp_path):
    _, query = everyone(model, n=3)
    codes, labels = np.arange(N_USERS, dtype=np.int32), model.user_vocabulary.labels
    options = RecommendOptions(3)

    def answer(options):
        return rank(model, lambda rows: model.user_rows(codes[rows]), labels, codes, query, options)

    whole = answer(options)
    monkeypatch.setattr(recommending, "users_at_once", lambda *_: step)
    assert answer(options).equals(whole)
    kept, put = [], Parts.put
    monkeypatch.setattr(Parts, "put", lambda *given: kept.append(given[1]) or put(*given))
    for resume in (False, True):  # only a run that may be resumed keeps its blocks
        path = answer(RecommendOptions(3, out=tmp_path / f"{resume}.parquet", resume=resume))
        assert pl.read_parquet(path).equals(whole)
        assert kept == (list(range(-(-N_USERS // step))) if resume else [])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["False.parquet", "True.parquet"]


def test_only_blocks_that_are_missing_are_ranked_again(model, tmp_path):
    _, query = everyone(model, n=2, keep_seen=True)
    parts, made = Parts(tmp_path), []

    def answers(rows):
        made.append(rows.start)
        return np.full((2, 2), [rows.start, rows.start + 1], np.int32), np.zeros((2, 2), np.float32)

    slices = [slice(0, 2), slice(2, 4), slice(4, 6)]
    first = list(_finished_or_ranked(parts, answers, iter(slices), query))
    assert made == [0, 2, 4] and [rows for rows, _, _ in first] == slices
    (tmp_path / "00000001.npz").unlink()
    again = list(_finished_or_ranked(parts, answers, iter(slices), query))
    assert made == [0, 2, 4, 2]
    for (rows, codes, scores), (other, same, too) in zip(first, again, strict=True):
        assert rows == other and (codes == same).all() and (scores == too).all()
