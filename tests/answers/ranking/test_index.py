"""The approximate index of the items: what it finds, what it leaves out, what it says of itself. Needs faiss."""

import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import palate
from helpers.data import rows_of
from palate.answers.ranking import top_n
from palate.answers.ranking.index import (
    MAX_LOOKUP,
    N_EXTRA,
    ItemIndex,
    _best_of,
    _cells_of,
    _recall,
    _without,
    build_index,
)
from palate.data.rows import CompressedRows
from palate.errors import OptionError

N_USERS, N_ITEMS = 300, 4000


@pytest.fixture(scope="module")
def rec():
    data = palate.datasets.synthetic(N_USERS, N_ITEMS, 24_000, n_factors=6, seed=3)
    table = pl.DataFrame({"item": [f"i{n}" for n in range(N_ITEMS)], "kind": [f"k{n % 7}" for n in range(N_ITEMS)]})
    return palate.ALS(n_factors=8, n_sweeps=4).fit(data.with_items(table, unrated="drop"))


@pytest.fixture
def indexed(rec):
    pytest.importorskip("faiss")
    return rec


def test_it_finds_most_of_the_best_and_says_how_many(indexed):
    index = indexed.item_index
    exact, near = indexed.recommend(n=10), indexed.recommend(n=10, index="ann")
    shared = exact.join(near, on=["user", "item"], how="inner")
    assert 0.9 <= shared.height / exact.height <= 1
    assert 0.95 <= index.recall <= 1
    np.testing.assert_allclose(shared["score"], shared["score_right"], atol=1e-5)  # scores are exact
    assert index.n_probes <= index.n_cells and index.seconds > 0
    assert f"recall@10 {index.recall:.3f}" in repr(index)
    assert indexed.item_index is index  # built once


def test_it_is_asked_with_and_without_a_choice_of_items_and_only_where_it_is_named(indexed, monkeypatch):
    asked, top = [], ItemIndex.top
    monkeypatch.setattr(ItemIndex, "top", lambda *given: asked.append(given[2]) or top(*given))
    indexed.recommend("u1", n=3)
    assert asked == []
    indexed.recommend("u1", n=3, index="ann")
    indexed.recommend("u1", n=4, index="ann", where="kind = 'k3'")
    assert asked == [3, 4]


def test_all_cells_are_the_exact_answer(indexed):
    index, factors = indexed.item_index, indexed.model.factors
    whole = type(index)(index.cells, factors, 1.0, index.n_cells, index.n_cells, 0.0)
    users, allowed = factors.users[:50], np.arange(len(factors.items)) % 3 > 0
    lists = CompressedRows(indexed.model.history.indptr[:51], indexed.model.history.indices, np.zeros(0), None)
    lists = CompressedRows(lists.indptr, lists.indices[: lists.indptr[-1]], np.zeros(lists.indptr[-1], "f4"), None)
    for unseen in (None, lists):
        for n in (0, 1, 10, 900):
            exact = top_n.top_of_products(users, factors.items, n, unseen, allowed)
            near = whole.top(users, n, unseen, allowed)
            same = near[0] == exact[0]
            assert same.mean() > 0.99 if n else True  # where rounding orders two otherwise
            np.testing.assert_allclose(near[1], exact[1], atol=1e-4)


def test_what_is_seen_or_filtered_stays_out(indexed):
    seen = indexed.model.history
    kind = dict(zip(indexed.model.item_vocabulary, indexed.model.item_table["kind"], strict=True))
    best = indexed.recommend(n=12, index="ann", where="kind = 'k3'", exclude={"u1": ["i3", "i10"]})
    assert best.height == 12 * N_USERS  # every list fills
    assert set(map(kind.get, best["item"])) == {"k3"}
    rated = {(u, i) for u in range(seen.n_rows) for i in seen.row(u)[0].tolist()}
    codes = [indexed.model.user_vocabulary.encode(best["user"].to_list()).tolist()]
    codes += [indexed.model.item_vocabulary.encode(best["item"].to_list()).tolist()]
    assert not rated & set(zip(*codes, strict=True))
    assert not {"i3", "i10"} & set(best.filter(user="u1")["item"])
    assert best["score"].is_sorted(descending=True) is False  # of many users
    for _, one in best.group_by("user"):
        assert one["score"].is_sorted(descending=True)


def test_a_list_that_does_not_fill_is_made_exactly(indexed):
    few = [f"i{n}" for n in range(5)]
    exact = indexed.recommend(["u1", "nobody"], n=10, items=few)
    assert indexed.recommend(["u1", "nobody"], n=10, items=few, index="ann").equals(exact)
    limited = indexed.recommend(["u1", "u2"], n=10, max_per={"kind": 1}, index="ann")
    assert set(limited["rank"]) == set(range(1, 8))  # seven kinds


def test_what_it_does_not_go_with(indexed):
    with pytest.raises(OptionError, match='index="ann" goes with by="mean"'):
        indexed.recommend(items={"u1": ["i1"]}, index="ann")
    with pytest.raises(OptionError, match="index='hnsw' is not valid; use 'ann'"):
        indexed.recommend(index="hnsw")
    net = palate.SGD(n_epochs=1, y_range=(0, 6)).fit(palate.datasets.synthetic(30, 40, 300, seed=1))
    assert net.recommend("u1", index="ann", n=3).equals(net.recommend("u1", n=3))


def test_without_faiss_it_says_what_to_install(rec, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(OptionError, match=r"pip install \"palate\[ann\]\""):
        palate.Recommender(rec.model).recommend(index="ann")


def test_what_an_index_cannot_answer_is_refused_before_one_is_built(monkeypatch):
    rec = palate.ALS(n_sweeps=2).fit(palate.datasets.synthetic(40, 30, 500, seed=1))
    monkeypatch.setattr("palate.recommender.build_index", lambda _: pytest.fail("built"))
    with pytest.raises(OptionError, match='goes with by="mean"'):
        rec.recommend("u1", index="ann", items={"u1": ["i1"]})


def test_the_best_of_what_was_found_by_exact_products():
    """Lists that do not fill are made exactly later on, which would hide a wrong one here."""
    rng = np.random.default_rng(0)
    users, items = (rng.integers(-2, 3, (n, 3)).astype(np.float32) for n in (40, 12))
    found = np.array([rng.permutation(12)[:6] for _ in range(40)], np.int32)
    found[rng.random(found.shape) < 0.3] = -1
    codes, scores = _best_of(users, items, found, 4)
    for user, some, own, best in zip(users, found, codes, scores, strict=True):
        product = {int(i): float(user[-1] + items[i, -1] + user[:-1] @ items[i, :-1]) for i in some if i >= 0}
        order = sorted(product, key=lambda i: (-product[i], i))[:4]
        missing = 4 - len(order)
        assert own.tolist() == order + [-1] * missing
        assert best.tolist() == [product[i] for i in order] + [-np.inf] * missing


def test_recall_is_the_share_of_the_best_that_are_found():
    exact = np.array([[3, 1, 2], [5, 4, -1]])
    assert _recall(np.array([[1, 2, 3], [4, 5, 6]]), exact) == 1
    assert _recall(np.array([[3, 7, 8], [-1, -1, -1]]), exact) == 0.2
    assert _recall(np.full((2, 3), -1), np.full((2, 3), -1)) == 0


def test_what_is_on_the_list_of_a_row_is_taken_out_of_that_row_alone():
    found = np.array([[0, 3, 5, -1], [3, 0, 4, 5], [5, 4, 3, 2]], np.int32)
    lists = [[3, 1], [], [5, 2, 0]]
    expected = [[-1 if item in own else item for item in row] for row, own in zip(found.tolist(), lists, strict=True)]
    assert _without(found, rows_of(lists), 6).tolist() == expected
    assert _without(found, None, 6) is found


@pytest.mark.parametrize(("n_items", "n_cells"), [(1, 1), (15, 1), (16, 2), (800, 100), (4000, 252)])
def test_cells_hold_eight_items_or_more_and_are_four_times_the_root_of_their_number(n_items, n_cells):
    pytest.importorskip("faiss")
    items = np.random.default_rng(0).standard_normal((n_items, 3)).astype(np.float32)
    assert _cells_of(items)[1] == n_cells


@pytest.mark.parametrize("n_items", [1, 3, 12, 40])
def test_a_small_catalogue_is_searched_whole(indexed, n_items):
    factors = replace(indexed.model.factors, items=indexed.model.factors.items[:n_items])
    index = build_index(factors)
    assert index.recall == 1
    assert index.n_probes == index.n_cells == max(1, n_items // 8)
    assert 0 <= index.seconds < 60


def test_long_lists_are_made_without_the_index(indexed, monkeypatch):
    """Up to MAX_LOOKUP items are looked up, those that may turn out to be seen included, and no more than there are."""

    def looked_up(*_):
        raise LookupError

    monkeypatch.setattr("palate.answers.ranking.index._nearest", looked_up)
    index = indexed.item_index
    small = replace(index, factors=replace(index.factors, items=index.factors.items[:40]))
    hidden = rows_of([[1], [2]])
    for own, n, lists, is_looked_up in (
        *((index, 1, None, True), (index, MAX_LOOKUP, None, True), (index, MAX_LOOKUP + 1, None, False)),
        *((index, 0, None, False), (index, 0, hidden, False), (index, MAX_LOOKUP - N_EXTRA, hidden, True)),
        *((index, MAX_LOOKUP - N_EXTRA + 1, hidden, False), (small, 40, None, True), (small, 41, None, False)),
    ):
        allowed = np.ones(len(own.factors.items), bool)
        if is_looked_up:
            with pytest.raises(LookupError):
                own.top(own.factors.users[:2], n, lists, allowed)
        else:
            codes, _ = own.top(own.factors.users[:2], n, lists, allowed)
            assert codes.shape == (2, min(n, len(allowed)))
