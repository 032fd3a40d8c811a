"""Histories with item-item weights, against dense matrices in double precision: scores, parts, similarity."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data import dense_of, rows_of
from palate.data.rows import CompressedRows
from palate.models import history_factors
from palate.models.factors import Factors, Prior
from palate.models.history_factors import cosines, no_biases, shares_of_users, to_dense, unit_values, without_self
from palate.models.item_weights import ItemWeights, check_rows, pack, unpack

RNG = np.random.default_rng(7)
N_USERS, N_ITEMS = 6, 5
LISTS = [[0, 2, 3], [], [4], [1, 2, 4], [0, 1, 2, 3, 4], [2]]
PLAIN = rows_of(LISTS)
N = len(PLAIN.indices)
COUNTED = replace(PLAIN, values=np.ones(N, np.float32), weights=RNG.integers(1, 9, N).astype(np.float32))
RATED = replace(PLAIN, values=RNG.uniform(1, 5, N).astype(np.float32))
WEIGHTED = replace(RATED, weights=RNG.uniform(0.2, 3, N).astype(np.float32))
DENSE = RNG.normal(size=(N_ITEMS, N_ITEMS)).astype(np.float32)
DENSE[np.abs(DENSE) < 0.4] = 0
POSITIVE = np.abs(DENSE)
PRIOR = Prior(np.ones((1, 1), np.float32), np.zeros(1, np.float32), 1.0)
OWNERS = np.repeat(np.arange(N_USERS), PLAIN.counts)


def sparse(matrix):
    rows, columns = np.nonzero(matrix)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(matrix)))]).astype(np.int64)
    return CompressedRows(indptr, columns.astype(np.int32), matrix[rows, columns], None)


def model(history, weights, damping=None, confidence="equal"):
    if damping is None:
        biases = no_biases(N_USERS, N_ITEMS)
    else:
        users, items = (RNG.normal(0, 0.3, (n, 1)).astype(np.float32) for n in (N_USERS, N_ITEMS))
        biases = Factors(3.1, users, items, PRIOR, PRIOR, 1.4)
    made = ItemWeights.of(biases, damping=damping, confidence=confidence, weights=weights)
    return made.with_history(history)


def signals(factors, history):
    if factors.damping is not None:
        bias = factors.users[OWNERS, 0].astype(np.float64) + factors.items[history.indices, 0]
        return history.values - (factors.mean + factors.scale * bias)
    if factors.confidence == "equal" or history.weights is None:
        return np.ones(N)
    means = (np.bincount(OWNERS, history.weights, N_USERS) / np.maximum(history.counts, 1))[OWNERS]
    return (1 + np.log1p(history.weights / means)) / (1 + np.log(2))


def scores(factors, history, matrix):
    """(n_users, n_items) by the formula at the top of history_factors.py."""
    x, w = np.zeros((2, N_USERS, N_ITEMS))
    x[OWNERS, history.indices] = signals(factors, history)
    w[OWNERS, history.indices] = 1 if history.weights is None else history.weights
    matrix = matrix.astype(np.float64)
    if factors.damping is None:
        found = x @ matrix
        found[history.counts == 0] += np.bincount(history.indices, minlength=N_ITEMS) / N_USERS
        return found
    bias = factors.users[:, :1].astype(np.float64) + factors.items[:, 0]
    return factors.mean + factors.scale * bias + (w * x) @ matrix / (w @ matrix + factors.damping)


CASES = {
    "choices": (PLAIN, DENSE, None, "equal"),
    "counted choices": (COUNTED, DENSE, None, "equal"),
    "relative counts": (COUNTED, DENSE, None, "relative"),
    "ratings": (RATED, POSITIVE, 2.5, "equal"),
    "weighted ratings": (WEIGHTED, POSITIVE, 0.5, "equal"),
}
each = pytest.mark.parametrize("kind", ["dense", "sparse"])
case = pytest.mark.parametrize("name", CASES)


def made(name, kind):
    history, matrix, damping, confidence = CASES[name]
    return model(history, matrix if kind == "dense" else sparse(matrix), damping, confidence), history, matrix


@each
@case
@pytest.mark.parametrize("block", [1, 10, 4_000_000])
def test_scores_are_those_of_the_formula(name, kind, block, monkeypatch):
    factors, history, matrix = made(name, kind)
    monkeypatch.setattr(history_factors, "BLOCK_SCORES", block)
    expected = scores(factors, history, matrix)
    np.testing.assert_allclose(factors.user_scores(), expected, rtol=1e-4, atol=1e-5)
    users, items = (axis.ravel().astype(np.int32) for axis in np.indices((N_USERS, N_ITEMS)))
    order = np.random.default_rng(0).permutation(len(users))
    found = factors.pair_scores(factors.users, users[order], items[order])
    np.testing.assert_allclose(found, expected[users[order], items[order]], rtol=1e-4, atol=1e-5)
    turned = factors.transposed()
    np.testing.assert_allclose(turned.pair_scores(turned.users, items, users), expected.ravel(), rtol=1e-4, atol=1e-5)
    assert turned.transposed() is factors


@each
@case
def test_unknown_users_have_no_history_and_unknown_items_no_weights(name, kind):
    factors, history, _ = made(name, kind)
    users, items = np.array([-1, -1, 0, 1, 1], np.int32), np.array([2, -1, -1, -1, 3], np.int32)
    found = factors.pair_scores(factors.users, users, items)
    shares = np.bincount(history.indices, minlength=N_ITEMS) / N_USERS
    popular = shares if factors.damping is None else np.zeros(N_ITEMS)
    own, others = factors.users[:, 0].astype(np.float64), factors.items[:, 0].astype(np.float64)
    bias = np.array([others[2], 0, own[0], own[1], own[1] + others[3]])
    expected = factors.mean + factors.scale * bias + [popular[2], 0, 0, 0, popular[3]]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(factors.cold_start_scores(slice(None)), popular, rtol=1e-6)
    assert factors.cold_start_part(CompressedRows.empty(1), 2) == pytest.approx(popular[2])
    assert factors.cold_start_part(rows_of([[1]]), 2) == 0


@each
@case
def test_contributions_add_up_to_a_score(name, kind):
    factors, history, matrix = made(name, kind)
    expected = scores(factors, history, matrix)
    all_signals = factors.signals(history, factors.users)
    bias = factors.mean + factors.scale * (factors.users[:, :1] + factors.items[:, 0])
    for user in (0, 3, 4):
        here = slice(*history.indptr[user : user + 2])
        weights = None if history.weights is None else history.weights[here]
        own = CompressedRows(
            np.array([0, here.stop - here.start]), history.indices[here], history.values[here], weights
        )
        for item in range(N_ITEMS):
            parts = factors.contributions(own, None if all_signals is None else all_signals[here], item)
            assert parts.shape == (history.counts[user],)
            assert parts.sum() == pytest.approx(expected[user, item] - bias[user, item], abs=1e-4)


@each
@case
def test_more_and_fewer_items(name, kind):
    """New items have no weights; items that are taken out leave the others theirs."""
    factors, history, matrix = made(name, kind)
    more = factors.resized(factors.users, np.vstack([factors.items, np.zeros((2, 1), np.float32)]))
    more = more.with_history(history)
    np.testing.assert_allclose(more.user_scores()[:, :N_ITEMS], factors.user_scores(), rtol=1e-5, atol=1e-6)
    assert more.user_scores().shape == (N_USERS, N_ITEMS + 2)
    kept = np.array([True, False, True, True, False])
    fewer = factors.resized(factors.users, factors.items[kept], kept)
    found = fewer.weights if kind == "dense" else to_dense(fewer.weights, 3)
    np.testing.assert_array_equal(found, matrix[np.ix_(kept, kept)])


@pytest.mark.parametrize(("kind", "are_similarities"), [("dense", False), ("sparse", False), ("sparse", True)])
def test_similar_items_have_the_largest_weights(kind, are_similarities):
    factors = model(PLAIN, DENSE if kind == "dense" else sparse(DENSE))
    factors = replace(factors, are_similarities=are_similarities)
    codes, weights, name = factors.most_similar_items(np.array([3, 0], np.int32), 4)
    assert name == ("similarity" if are_similarities else "weight")
    for row, item in enumerate((3, 0)):
        own = DENSE[:, item] if are_similarities else DENSE[item]
        best = [code for code in np.argsort(-own, kind="stable") if own[code] > 0][:4]
        assert codes[row].tolist() == best + [-1] * (4 - len(best))
        np.testing.assert_array_equal(weights[row, : len(best)], own[best])


# ---- by histories


def unit(history, all_signals):
    table = np.zeros((N_USERS, N_ITEMS))
    table[OWNERS, history.indices] = all_signals * (1 if history.weights is None else np.sqrt(history.weights))
    return table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-30)


@case
def test_similar_users_have_histories_alike(name):
    factors, history, _ = made(name, "dense")
    weights = None if factors.damping is None else history.weights
    table = unit(replace(history, weights=weights), signals(factors, history))
    codes = np.array([0, 4, 1], np.int32)
    rows = CompressedRows.of(
        np.concatenate([np.full(len(LISTS[code]), at) for at, code in enumerate(codes)]).astype(np.int32),
        np.concatenate([history.indices[code == OWNERS] for code in codes]),
        np.concatenate([history.values[code == OWNERS] for code in codes]),
        None if history.weights is None else np.concatenate([history.weights[code == OWNERS] for code in codes]),
        3,
    )
    found, similarity, measure = factors.most_similar(rows, codes, 3)
    assert measure == "cosine"
    for row, code in enumerate(codes):
        cosine = table @ table[code]
        cosine[code] = -1
        positive = np.sort(cosine[cosine > 1e-6])[::-1][:3]
        assert (found[row] >= 0).sum() == len(positive)
        np.testing.assert_allclose(similarity[row, : len(positive)], positive, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(cosine[found[row, : len(positive)]], positive, rtol=1e-4, atol=1e-6)
    by_item, _, _ = factors.transposed().most_similar(rows, np.array([2], np.int32), 2)
    np.testing.assert_array_equal(by_item, factors.most_similar_items(np.array([2], np.int32), 2)[0])


def test_rows_of_length_one():
    found = unit_values(WEIGHTED)
    table = np.zeros((N_USERS, N_ITEMS))
    table[OWNERS, PLAIN.indices] = found
    np.testing.assert_allclose((table**2).sum(axis=1), PLAIN.counts > 0, rtol=1e-5)
    np.testing.assert_allclose(table, unit(WEIGHTED, WEIGHTED.values), rtol=1e-5, atol=1e-7)
    assert not unit_values(replace(PLAIN, values=np.zeros(N, np.float32))).any()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(-1, 6), min_size=4, max_size=4, unique=True), min_size=1, max_size=5),
       st.integers(1, 4), st.integers(-1, 6))  # fmt: skip
def test_a_row_is_not_its_own_neighbor(found, n, code):
    found = np.array([sorted(row, key=lambda one: one < 0) for row in found], np.int32)
    measure = np.tile(np.array([0.9, 0.7, 0.5, 0.1], np.float32), (len(found), 1))
    codes, values = without_self(found, measure, np.full(len(found), code, np.int32), n)
    for row in range(len(found)):
        left = [(one, value) for one, value in zip(found[row], measure[row], strict=True) if one != code][:n]
        known = [pair for pair in left if pair[0] >= 0]
        assert codes[row, : len(known)].tolist() == [one for one, _ in known]
        assert values[row, : len(known)].tolist() == [value for _, value in known]
        assert (codes[row, len(known) :] < 0).all() and codes.shape[1] == n


def test_cosines_keep_who_has_an_equal_history():
    rows = rows_of([[0, 1], [0, 1], [2]])
    codes, measure = cosines(rows, np.array([0, 1, -1], np.int32), rows, 3, 2)
    assert codes.tolist() == [[1, -1], [0, -1], [2, -1]]
    np.testing.assert_allclose(measure[:, 0], 1, rtol=1e-6)


def test_the_share_of_users_who_chose_an_item():
    np.testing.assert_allclose(shares_of_users(PLAIN, 6), [2 / 6, 2 / 6, 4 / 6, 2 / 6, 3 / 6, 0], rtol=1e-6)
    assert shares_of_users(CompressedRows.empty(0), 2).tolist() == [0, 0]
    np.testing.assert_array_equal(to_dense(RATED, N_ITEMS), dense_of(RATED, N_ITEMS).astype(np.float32))


# ---- in files


@each
@case
def test_weights_survive_packing(name, kind):
    factors, history, _ = made(name, kind)
    again = unpack(factors, *pack(factors)).with_history(history)
    np.testing.assert_array_equal(again.user_scores(), factors.user_scores())
    assert (again.damping, again.confidence) == (factors.damping, factors.confidence)


ROWS = sparse(DENSE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"indptr": ROWS.indptr[:-1]}, "indptr is"), ({"indptr": ROWS.indptr.astype(np.int32)}, "indptr is"),
        ({"indices": ROWS.indices[:-1]}, "indices is"), ({"values": ROWS.values.astype(np.float64)}, "values is"),
        ({"indptr": ROWS.indptr + 1}, "do not rise"), ({"indptr": np.minimum(ROWS.indptr, 3)}, "do not rise"),
        ({"indptr": ROWS.indptr[[0, 2, 1, 3, 4, 5]]}, "do not rise"), ({"indices": ROWS.indices - 1}, "out of range"),
        ({"indices": ROWS.indices + 1}, "out of range"), ({"indices": np.zeros_like(ROWS.indices)}, "columns of a row"),
    ],
)  # fmt: skip
def test_rows_that_are_no_matrix_are_refused(change, words):
    check_rows("it", ROWS, N_ITEMS, N_ITEMS)
    with pytest.raises(ValueError, match=f"it: .*{words}"):
        check_rows("it", replace(ROWS, **change), N_ITEMS, N_ITEMS)


def test_matrices_that_are_no_weights_are_refused():
    factors = model(PLAIN, DENSE)
    header, _ = pack(factors)
    for weights in (
        DENSE[:4],
        DENSE.astype(np.float64),
        np.where(DENSE == 0, np.nan, DENSE),
        np.full_like(DENSE, np.inf),
    ):
        with pytest.raises(ValueError, match="item weights"):
            unpack(factors, header, {"item.weights": weights})
    for more in ({"damping": 0.0}, {"damping": -1.0}, {"damping": np.inf}, {"confidence": "given"}):
        with pytest.raises(ValueError, match="is not valid"):
            unpack(factors, header | more, {"item.weights": DENSE})
