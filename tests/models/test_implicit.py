"""Implicit ALS: what options default to, the random start, weights of rows, and the factors that a sweep becomes."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.data import rows_of
from palate.data.rows import transpose_rows
from palate.models import implicit
from palate.models.factors import Factors, Prior
from palate.models.implicit import (
    ImplicitFactors,
    ImplicitProblem,
    Sweep,
    choice_signals,
    default_problem,
    is_exact,
    mean_counts_of,
    start,
    sweeps,
    weighted_choices,
    with_confidence_of,
    with_given_weights,
    with_mean_counts,
)


@pytest.mark.parametrize("exponent", [1.0, 0.5, 0.0])
def test_defaults_follow_from_the_density_of_the_choices(exponent):
    """Four choices by three users of three items, in a model of four users and five items."""
    rows = rows_of([[0, 1], [2], [], [0]])
    weight = np.sqrt(4 / (3 * 3))
    total = np.sqrt((4 / 3 + weight * 5) * (4 / 3 + weight * 4))
    found = default_problem(rows, 5, count_exponent=exponent)
    assert found.unobserved_weight == pytest.approx(weight)
    assert found.weight_decay == pytest.approx(0.45 * 2 * np.sqrt(4 / 3) / total**exponent)
    assert found.count_exponent == exponent
    heavier = default_problem(rows, 5, unobserved_weight=2.0, count_exponent=exponent)
    total = np.sqrt((4 / 3 + 10) * (4 / 3 + 8))
    assert heavier.weight_decay == pytest.approx(0.45 * 2 * np.sqrt(4 / 3) / total**exponent)
    uneven = default_problem(rows_of([[0, 1], [0, 1]]), 2, weight_decay=3.0)
    assert (uneven.unobserved_weight, uneven.weight_decay, uneven.count_exponent) == (1.0, 3.0, 1.0)
    wide = default_problem(rows_of([[0, 1, 2, 3]]), 4, unobserved_weight=1.0, count_exponent=0.0)
    assert wide.weight_decay == pytest.approx(0.45 * (2 + 1))
    nothing = default_problem(rows_of([[], []]), 3)
    assert nothing.unobserved_weight == 1 and nothing.weight_decay == pytest.approx(
        0.45 * 2 / np.sqrt((1 + 3) * (1 + 2))
    )


def test_rows_are_held_back_by_their_total_weight():
    problem = ImplicitProblem(0.5, 0.2, 0.75)
    np.testing.assert_allclose(problem.ridge(np.array([0, 3]), 8), 0.2 * np.array([4, 7]) ** 0.75, rtol=1e-6)
    others = np.float32([[1, 2], [3, 4], [5, 6]])
    np.testing.assert_allclose(problem.background(others), 0.5 * others.T @ others)


@pytest.mark.parametrize("k", [1, 4, 25])
def test_the_start_has_scores_of_a_tenth(k):
    one = start(3, 20_000 // k, k, seed=1)
    assert not one.users.any() and one.users.shape == (3, k) and not one.is_settled
    assert one.items.std() == pytest.approx(0.1 / np.sqrt(k), rel=0.03)
    assert one.items.mean() == pytest.approx(0, abs=0.003)
    np.testing.assert_array_equal(one.items, start(3, 20_000 // k, k, seed=1).items)
    assert (one.items != start(3, 20_000 // k, k, seed=2).items).all()


def test_a_sweep_becomes_factors_without_biases():
    rng = np.random.default_rng(0)
    users, items = (rng.standard_normal((n, 2)).astype(np.float32) for n in (4, 5))
    factors = Sweep(users, items).factors(ImplicitProblem(0.5, 0.2, 0.75), "relative")
    for whole, part in ((factors.users, users), (factors.items, items)):
        np.testing.assert_array_equal(whole, np.column_stack([part, np.zeros(len(part))]))
    assert (factors.mean, factors.unobserved_weight, factors.confidence) == (0, 0.5, "relative")
    np.testing.assert_allclose(factors.user_prior.mean, [*users.mean(axis=0), 0], rtol=1e-6)
    assert [prior.precision.shape for prior in (factors.user_prior, factors.item_prior)] == [(3, 3), (3, 3)]
    assert factors.item_prior.mean.tolist() == [0, 0, 0] and factors.problem == ImplicitProblem(0.5, 0.2, 0.75)
    precision = np.zeros((3, 3))
    precision[:2, :2] = 0.5 * items.T.astype(float) @ items
    np.testing.assert_allclose(factors.row_precision(4), precision + 0.2 * (4 + 2.5) ** 0.75 * np.eye(3), rtol=1e-5)
    np.testing.assert_array_equal(factors.partners(np.array([2, 0])), factors.items[[2, 0]])


@pytest.mark.parametrize("weight", [0.0, -1.0, np.inf, np.nan])
def test_a_weight_of_what_was_not_chosen_is_above_zero_and_finite(weight):
    prior = Prior(np.eye(2, dtype=np.float32), np.zeros(2, np.float32))
    vectors = np.zeros((2, 2), np.float32)
    fine = ImplicitFactors(0.0, vectors, vectors, prior, prior)
    assert fine.unobserved_weight == 1 and fine.confidence == "equal"
    assert replace(fine, unobserved_weight=1e-9, confidence="given").confidence == "given"
    with pytest.raises(ValueError, match="is not valid"):
        replace(fine, unobserved_weight=weight)
    with pytest.raises(ValueError, match="is not valid"):
        replace(fine, confidence="high")


# ---- how much a choice counts

COUNTED = rows_of([[0, 1], [], [2], [0, 1, 2]], [2, 6, 5, 1, 1, 4])


def signal(ratio):
    return (1 + np.log(1 + ratio)) / (1 + np.log(2))


def test_choices_count_by_the_average_of_their_user():
    np.testing.assert_array_equal(mean_counts_of(COUNTED), [4, 0, 5, 2])
    np.testing.assert_array_equal(mean_counts_of(replace(COUNTED, weights=None)), [1, 0, 1, 1])
    ratios = [2 / 4, 6 / 4, 1, 1 / 2, 1 / 2, 4 / 2]
    found = choice_signals(COUNTED, "relative")
    assert found.dtype == np.float32 and found[2] == 1
    np.testing.assert_allclose(found, [signal(ratio) for ratio in ratios], rtol=1e-6)
    assert choice_signals(COUNTED, "equal") is None and choice_signals(COUNTED, "given") is COUNTED.weights
    for confidence in ("relative", "given"):
        assert choice_signals(replace(COUNTED, weights=None), confidence) is None
    nothing = replace(COUNTED, weights=np.zeros(6, np.float32))
    np.testing.assert_allclose(choice_signals(nothing, "relative"), [1 / (1 + np.log(2))] * 6, rtol=1e-6)
    weighted = weighted_choices(COUNTED, "relative")
    np.testing.assert_array_equal(weighted.weights, found)
    assert weighted.indices is COUNTED.indices


def test_where_rows_are_items_the_average_is_that_of_each_column():
    """A new user, whose average nobody knows, is at the average with each choice."""
    means = np.array([4.0, 0.5, 0.0])
    expected = [signal(2 / 4), signal(12), 1, signal(1 / 4), signal(2), 1]
    np.testing.assert_allclose(choice_signals(COUNTED, "relative", means), expected, rtol=1e-6)
    np.testing.assert_allclose(weighted_choices(COUNTED, "relative", means).weights, expected, rtol=1e-6)


# ---- solving


def solved_by_numpy(problem, rows, others):
    y, found = others.astype(np.float64), np.zeros((rows.n_rows, others.shape[1]))
    for row in range(rows.n_rows):
        here = slice(*rows.indptr[row : row + 2])
        own, weights = y[rows.indices[here]], rows.weights[here].astype(np.float64)
        ridge = problem.weight_decay * (len(own) + problem.unobserved_weight * len(y)) ** problem.count_exponent
        matrix = (own.T * weights) @ own + problem.unobserved_weight * y.T @ y + ridge * np.eye(y.shape[1])
        found[row] = np.linalg.solve(matrix, weights @ own)
    return found


PROBLEM = ImplicitProblem(0.3, 0.1, 0.75)


def started(k):
    rng = np.random.default_rng(1)
    rows = replace(COUNTED, values=np.ones(6, np.float32))
    return rows, transpose_rows(rows, 3), Sweep(*(rng.standard_normal((n, k)).astype(np.float32) for n in (4, 3)))


def test_a_sweep_solves_all_users_and_then_all_items():
    rows, columns, at = started(2)
    first, second, third = (one for one, _ in zip(sweeps(PROBLEM, rows, columns, at), range(3), strict=False))
    np.testing.assert_allclose(first.users, solved_by_numpy(PROBLEM, rows, at.items), rtol=1e-4)
    np.testing.assert_array_equal(first.items, at.items)
    np.testing.assert_allclose(second.items, solved_by_numpy(PROBLEM, columns, first.users), rtol=1e-4)
    np.testing.assert_allclose(second.users, solved_by_numpy(PROBLEM, rows, second.items), rtol=1e-4)
    np.testing.assert_allclose(third.items, solved_by_numpy(PROBLEM, columns, second.users), rtol=1e-4)
    assert first.is_settled and second.is_settled and first.settled(PROBLEM, rows) is first
    settled = at.settled(PROBLEM, rows)
    np.testing.assert_array_equal(settled.users, first.users)
    assert settled.is_settled and settled.items is at.items


def test_of_many_columns_some_are_solved_at_a_time_and_the_last_sweep_solves_whole_rows():
    assert is_exact(64) and not is_exact(65)
    rows, columns, at = started(65)
    found = list(zip(sweeps(PROBLEM, rows, columns, at, last=2), range(3), strict=False))
    first, second, third = (one for one, _ in found)
    exact = [solved_by_numpy(PROBLEM, rows, one.items) for one in (first, second, third)]
    assert [one.is_settled for one in (first, second, third)] == [False, True, False]
    away = [np.abs(one.users - best).max() for one, best in zip((first, second, third), exact, strict=True)]
    assert away[1] < 1e-4 < min(away[0], away[2])


def test_the_error_is_that_of_choices_evenly_spaced(monkeypatch):
    rng = np.random.default_rng(3)
    lists = [[0, 2, 4], [], [1, 3], [0, 1, 2, 3, 4]]
    rows, users, items = rows_of(lists), *(rng.standard_normal((n, 2)).astype(np.float32) for n in (4, 5))
    pairs = [(user, item) for user, own in enumerate(lists) for item in own]
    missed = np.array([1 - users[user].astype(np.float64) @ items[item] for user, item in pairs])
    for n, kept in ((20_000, slice(None)), (10, slice(None)), (6, slice(None)), (5, slice(None, None, 2)),
                    (3, slice(None, None, 3)), (1, slice(0, 1))):  # fmt: skip
        monkeypatch.setattr(implicit, "N_ERROR_PAIRS", n)
        assert Sweep(users, items).error(rows) == pytest.approx(np.sqrt(np.mean(missed[kept] ** 2)), rel=1e-5)


def test_a_new_user_is_solved_as_the_others_were():
    rows, _, at = started(2)
    factors = at.factors(PROBLEM, "given")
    expected = solved_by_numpy(PROBLEM, rows, at.items)
    expected[1] = at.users.mean(axis=0)
    found = factors.fold_in(rows)
    np.testing.assert_allclose(found, np.column_stack([expected, np.zeros(4)]), rtol=1e-4)
    relative = replace(rows, weights=choice_signals(rows, "relative"))
    np.testing.assert_allclose(
        at.factors(PROBLEM, "relative").fold_in(rows)[:, :2][[0, 2, 3]],
        solved_by_numpy(PROBLEM, relative, at.items)[[0, 2, 3]],
        rtol=1e-4,
    )
    np.testing.assert_array_equal(at.factors(PROBLEM, "relative").linearised(rows, found).weights, relative.weights)


def test_only_implicit_factors_have_a_confidence_and_counts():
    rows, _, at = started(2)
    own = at.factors(PROBLEM, "relative")
    prior = Prior.flat(3, ridge=0.1)
    plain = Factors(3.0, own.users, own.items, prior, prior)
    given = with_given_weights(own)
    assert given.confidence == "given" and with_given_weights(plain) is plain
    assert with_confidence_of(given, own).confidence == "relative"
    assert with_confidence_of(plain, own) is plain and with_confidence_of(given, plain) is given
    assert with_mean_counts(plain, rows) is plain and own.mean_counts is None
    turned = with_mean_counts(own, rows)
    np.testing.assert_array_equal(turned.mean_counts, mean_counts_of(rows))
    assert with_mean_counts(turned, rows).mean_counts is None
