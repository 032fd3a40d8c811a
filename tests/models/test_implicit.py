"""Implicit ALS: what options default to, the random start, weights of rows, and the factors that a sweep becomes."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.data import rows_of
from palate.models.factors import Prior
from palate.models.implicit import ImplicitFactors, ImplicitProblem, Sweep, default_problem, start


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
    users, items = (rng.standard_normal((n, 2)).astype(np.float32) for n in (4, 3))
    factors = Sweep(users, items).factors(ImplicitProblem(0.5, 0.2, 0.75), "relative")
    for whole, part in ((factors.users, users), (factors.items, items)):
        np.testing.assert_array_equal(whole, np.column_stack([part, np.zeros(len(part))]))
    assert (factors.mean, factors.unobserved_weight, factors.confidence) == (0, 0.5, "relative")
    np.testing.assert_allclose(factors.user_prior.mean, [*users.mean(axis=0), 0], rtol=1e-6)
    assert [prior.precision.shape for prior in (factors.user_prior, factors.item_prior)] == [(3, 3), (3, 3)]
    assert factors.item_prior.mean.tolist() == [0, 0, 0] and factors.problem == ImplicitProblem(0.5, 0.2, 0.75)
    precision = np.zeros((3, 3))
    precision[:2, :2] = 0.5 * items.T.astype(float) @ items
    np.testing.assert_allclose(factors.row_precision(4), precision + 0.2 * (4 + 1.5) ** 0.75 * np.eye(3), rtol=1e-5)
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
