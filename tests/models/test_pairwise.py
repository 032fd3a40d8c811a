"""Pairwise factors: the loss by counting candidates, its derivatives by differences, its minimum, and the parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.models.pairwise import PairwiseProblem, _sigmoid, _softplus


def problem_of(seed=0, n=3, m=7, k=2, n_candidates=3, weight_decay=0.2):
    rng = np.random.default_rng(seed)
    parts = (rng.standard_normal(shape) for shape in ((n, k), n, (m, k), m))
    return PairwiseProblem(*parts, n_candidates, weight_decay)


def chances_by_counting(scores, n_candidates):
    """The share of draws with replacement in which each item is the best; ties go by order."""
    m = len(scores)
    ranked = sorted(range(m), key=lambda at: (-scores[at], at))
    place = {item: at for at, item in enumerate(ranked)}
    found = np.zeros(m)
    for draw in np.ndindex(*[m] * n_candidates):
        found[min(draw, key=place.get)] += 1
    return found / m**n_candidates


@pytest.mark.parametrize("n_candidates", [1, 2, 3])
@pytest.mark.parametrize("scores", [[0.5, 2.0, -1.0, 0.7], [1.0, 1.0, 0.0, 1.0], [3.0]])
def test_the_candidate_of_the_highest_score_is_as_likely_as_counting_says(scores, n_candidates):
    found = problem_of(n_candidates=n_candidates).probabilities(np.array(scores))
    np.testing.assert_allclose(found, chances_by_counting(scores, n_candidates), atol=1e-12)


def test_the_loss_is_that_of_the_formula():
    problem, p = problem_of(), np.array([0.3, -0.8])
    others = problem.others @ p + problem.others_biases
    chosen = problem.chosen @ p + problem.chosen_biases
    chances = chances_by_counting(others, 3)
    expected = sum(
        chance * np.log(1 + np.exp(other - own))
        for own in chosen
        for chance, other in zip(chances, others, strict=True)
    )
    assert problem.decay == pytest.approx(0.6)
    assert problem.loss(p) == pytest.approx(expected + 0.6 * p @ p)
    margins, probabilities = problem.margins(p)
    np.testing.assert_allclose(margins, others - chosen[:, None])
    np.testing.assert_allclose(probabilities, chances)


@given(st.integers(0, 10**6))
def test_pulls_and_steps_follow_from_differences_of_the_loss(seed):
    """With one candidate the probabilities are constant, and the step is that of Newton's method on the loss."""
    problem, p = problem_of(seed, n_candidates=1), np.random.default_rng(seed).standard_normal(2)
    nudges = 1e-4 * np.eye(2)
    gradient = np.array([problem.loss(p + nudge) - problem.loss(p - nudge) for nudge in nudges]) / 2e-4
    np.testing.assert_allclose(2 * problem.decay * p - problem.pulls(p).sum(axis=0), gradient, atol=1e-6)
    alone = PairwiseProblem(
        problem.chosen[1:2], problem.chosen_biases[1:2], problem.others, problem.others_biases, 1, 0.2
    )
    np.testing.assert_allclose(problem.pulls(p)[1], alone.pulls(p)[0])
    slopes = lambda at: 2 * problem.decay * at - problem.pulls(at).sum(axis=0)  # noqa: E731
    hessian = np.array([slopes(p + nudge) - slopes(p - nudge) for nudge in nudges]) / 2e-4
    np.testing.assert_allclose(hessian @ problem.step(p), gradient, atol=1e-5)


@given(st.integers(0, 10**6), st.sampled_from([1, 4]), st.sampled_from([1e-4, 0.1, 3.0]))
def test_the_solution_is_where_the_pulls_balance_the_decay(seed, n_candidates, weight_decay):
    problem = problem_of(seed, n_candidates=n_candidates, weight_decay=weight_decay)
    p = problem.solved()
    if n_candidates == 1:
        np.testing.assert_allclose(2 * problem.decay * p, problem.pulls(p).sum(axis=0), atol=2e-2 * problem.decay**0.5)
    rng = np.random.default_rng(seed)
    assert problem.loss(p) <= problem.loss(np.zeros(2))
    if n_candidates == 1:
        nearby = p + 0.1 * rng.standard_normal((20, 2))
        assert min(map(problem.loss, nearby)) >= problem.loss(p) * (1 - 1e-6)


def test_softplus_and_sigmoid_do_not_overflow():
    x = np.array([-1000.0, -2.0, 0.0, 2.0, 1000.0])
    np.testing.assert_allclose(_softplus(x), [0, np.log1p(np.exp(-2)), np.log(2), np.log1p(np.exp(2)), 1000])
    np.testing.assert_allclose(_sigmoid(x), [0, 1 / (1 + np.exp(2)), 0.5, 1 / (1 + np.exp(-2)), 1], atol=1e-300)
