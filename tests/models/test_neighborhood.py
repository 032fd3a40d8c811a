"""Neighborhoods among users, against dense matrices in double precision: similarities, scores, their parts, files."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.data import rows_of
from palate.data.rows import CompressedRows
from palate.models.factors import Factors, Prior
from palate.models.history_factors import no_biases
from palate.models.neighborhood import (
    K1,
    MEASURES,
    B,
    NeighborIndex,
    Similarity,
    UserNeighbors,
    neighbor_rows,
    pack,
    unpack,
)

LISTS = [[0, 2, 3], [], [4], [1, 2, 4], [0, 1, 2, 3, 4, 5], [2, 3], [0, 3, 5], [1, 4]]
N_USERS, N_ITEMS = len(LISTS), 6
PLAIN = rows_of(LISTS)
N = len(PLAIN.indices)
OWNERS = np.repeat(np.arange(N_USERS), PLAIN.counts)
RNG = np.random.default_rng(3)
RATED = replace(PLAIN, values=RNG.uniform(1, 5, N).astype(np.float32))
WEIGHTED = replace(RATED, weights=RNG.uniform(0.2, 3, N).astype(np.float32))
COUNTED = replace(PLAIN, weights=RNG.integers(1, 9, N).astype(np.float32))
PRIOR = Prior(np.ones((1, 1), np.float32), np.zeros(1, np.float32), 1.0)

CASES = {  # history, measure, damping, confidence
    "choices": (PLAIN, "cosine", None, "equal"),
    "counted choices": (COUNTED, "cosine", None, "relative"),
    "choices by bm25": (COUNTED, "bm25", None, "relative"),
    "ratings": (RATED, "pearson", 0.7, "equal"),
    "weighted ratings": (WEIGHTED, "pearson", 2.5, "equal"),
}
case = pytest.mark.parametrize("name", CASES)
shrunk = pytest.mark.parametrize("shrinkage", [0.0, 3.0])


def made(name, shrinkage, k=N_USERS):
    history, measure, damping, confidence = CASES[name]
    if damping is None:
        biases = no_biases(N_USERS, N_ITEMS)
    else:
        rng = np.random.default_rng(1)
        users, items = (rng.normal(0, 0.3, (n, 1)).astype(np.float32) for n in (N_USERS, N_ITEMS))
        biases = Factors(3.1, users, items, PRIOR, PRIOR, 1.4)
    similarity = Similarity(measure, k, shrinkage)
    factors = UserNeighbors.of(biases, damping=damping, confidence=confidence, similarity=similarity)
    return factors.with_history(history), history


def dense(values):
    table = np.zeros((N_USERS, N_ITEMS))
    table[OWNERS, PLAIN.indices] = values
    return table


def tables(factors, history):
    """Signals, weights, the values whose products sum to similarities, and how many items each two users share."""
    found = factors.signals(history, factors.users)
    signals = dense(np.ones(N) if found is None else found)
    weights = dense(1.0 if history.weights is None or factors.damping is None else history.weights)
    has = dense(1.0)
    if factors.similarity.measure == "bm25":
        length = signals.sum(axis=0)
        idf = np.maximum(np.log(N_ITEMS) - np.log1p(has.sum(axis=1)), 0)[:, None]
        compared = idf * signals * (K1 + 1) / (K1 * ((1 - B) + B * length / length.mean()) + signals)
    else:
        compared = signals * np.sqrt(weights)
        compared = compared / np.maximum(np.linalg.norm(compared, axis=1, keepdims=True), 1e-30)
    return signals, weights, compared, has @ has.T


def similarities(factors, history):
    """(n_users, n_users), 0 where they have no neighbors in each other: nothing alike, or the same items."""
    _, _, compared, shared = tables(factors, history)
    found = compared @ compared.T * shared / np.maximum(shared + factors.similarity.shrinkage, 1e-30)
    is_same = (shared == PLAIN.counts) & (shared == PLAIN.counts[:, None])
    return np.where((found > 1e-9) & ~is_same, found, 0)


@case
@shrunk
def test_a_score_is_the_sum_of_what_neighbors_chose_or_the_damped_mean_of_their_ratings(name, shrinkage):
    factors, history = made(name, shrinkage)
    signals, weights, _, _ = tables(factors, history)
    near = similarities(factors, history)
    expected = near @ (signals * weights)
    if factors.damping is not None:
        expected = expected / (near @ weights + factors.damping)
    found = factors.history_scores(history, factors.signals(history, factors.users))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@case
@shrunk
def test_each_entry_of_a_history_has_its_part_of_the_similarities(name, shrinkage):
    factors, history = made(name, shrinkage)
    signals, weights, compared, shared = tables(factors, history)
    near = similarities(factors, history)
    all_signals = factors.signals(history, factors.users)
    for user in (0, 2, 4, 6):
        here = slice(*history.indptr[user : user + 2])
        own_weights = None if history.weights is None else history.weights[here]
        own = CompressedRows(np.array([0, len(LISTS[user])]), history.indices[here], history.values[here], own_weights)
        shrinking = shared[user] / np.maximum(shared[user] + shrinkage, 1e-30)
        for item in range(N_ITEMS):
            raters = (near[user] > 0) * (signals * weights)[:, item] * shrinking
            expected = [compared[user, code] * compared[:, code] @ raters for code in LISTS[user]]
            if factors.damping is not None:
                expected = np.array(expected) / (near[user] @ weights[:, item] + factors.damping)
            found = factors.contributions(own, None if all_signals is None else all_signals[here], item)
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@case
@pytest.mark.parametrize("k", [1, 2])
def test_only_the_nearest_are_neighbors(name, k):
    factors, history = made(name, 0.0, k)
    near = similarities(factors, history)
    rows = factors.with_signals(history, factors.signals(history, factors.users))
    codes, found = NeighborIndex(rows, N_ITEMS, factors.similarity).neighbors_of(rows)
    assert codes.shape == found.shape == (N_USERS, k)
    for user in range(N_USERS):
        best = np.sort(near[user][near[user] > 0])[::-1][:k]
        assert (codes[user] >= 0).sum() == len(best)
        np.testing.assert_allclose(found[user, : len(best)], best, rtol=1e-4)
        np.testing.assert_allclose(near[user, codes[user, : len(best)]], best, rtol=1e-4)


@case
def test_the_most_similar_are_compared_with_everybody_else_those_of_the_same_items_too(name):
    factors, history = made(name, 0.0)
    _, _, compared, _ = tables(factors, history)
    found, measured, measure = factors.most_similar(history, np.arange(N_USERS, dtype=np.int32), 3)
    assert measure == factors.similarity.measure
    for user in range(N_USERS):
        alike = compared @ compared[user]
        alike[user] = 0
        best = np.sort(alike[alike > 1e-9])[::-1][:3]
        assert user not in found[user] and (found[user] >= 0).sum() == len(best)
        np.testing.assert_allclose(measured[user, : len(best)], best, rtol=1e-4)


def test_neighbors_as_rows():
    codes, found = np.array([[3, 1], [-1, -1], [0, -1]], np.int32), np.float32([[0.9, 0.5], [0, 0], [0.2, 0]])
    rows = neighbor_rows(codes, found)
    assert rows.indptr.tolist() == [0, 2, 2, 3] and rows.indices.tolist() == [3, 1, 0]
    np.testing.assert_array_equal(rows.values, np.float32([0.9, 0.5, 0.2]))
    assert rows.weights is None


def test_cosines_lie_within_one_whatever_is_rounded_and_bm25_may_not():
    rng = np.random.default_rng(0)
    lists = [sorted(rng.choice(60, size=rng.integers(1, 50), replace=False).tolist()) for _ in range(300)]
    rows = rows_of(lists * 2)
    values = rng.uniform(1, 9, len(rows.indices) // 2).astype(np.float32)
    rows = replace(rows, values=np.tile(values, 2))
    _, cosine = NeighborIndex(rows, 60, Similarity("cosine", 2)).nearest_neighbors()
    assert cosine.max() == 1


def test_bm25_where_few_columns_are_filled_and_where_a_row_fills_them_all():
    few = replace(rows_of([[0, 1], [0, 1], *[[2, 3]] * 4]), values=np.full(12, 9, np.float32))
    codes, found = NeighborIndex(few, 300, Similarity("bm25", 1)).nearest_neighbors()
    idf, lengths = np.log(300) - np.log(3), np.repeat([18, 36], 2)
    weights = idf * 9 * (K1 + 1) / (K1 * ((1 - B) + B * lengths / (108 / 300)) + 9)
    assert codes[:3, 0].tolist() == [1, 0, 3]
    np.testing.assert_allclose(found[[0, 2], 0], [2 * weights[0] ** 2, 2 * weights[2] ** 2], rtol=1e-5)
    assert found.max() > 1
    whole = rows_of([[0, 1, 2], [0, 1, 2], [0], [1]])  # whoever chose everything is like nobody
    index = NeighborIndex(whole, 3, Similarity("bm25", 3))
    codes, _ = index.most_similar(whole, np.arange(4, dtype=np.int32), 3)
    assert (codes[:2] == -1).all()


def test_what_is_no_similarity():
    assert Similarity("cosine", 1).shrinkage == 0 and set(MEASURES) == {"cosine", "bm25", "pearson"}
    for measure, k, shrinkage in (("love", 1, 0), ("cosine", 0, 0), ("cosine", 1, -0.1), ("cosine", 1, np.inf),
                                  ("cosine", 1, np.nan), ("cosine", np.nan, 0)):  # fmt: skip
        with pytest.raises(ValueError, match="is not valid"):
            Similarity(measure, k, shrinkage)


@case
def test_neighbors_survive_packing_and_find_each_other_again(name):
    factors, history = made(name, 3.0, 2)
    header, tensors = pack(factors)
    assert tensors == {}
    again = unpack(factors.biases, header, tensors).with_history(history)
    assert again.similarity == factors.similarity
    np.testing.assert_array_equal(again.user_scores(), factors.user_scores())
    fewer = factors.resized(factors.users[:3], factors.items)
    assert len(fewer.users) == 3 and fewer.items is factors.items
