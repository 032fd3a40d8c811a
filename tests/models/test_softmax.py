"""The vector of one user by a softmax over items: the loss by its definition, its derivatives, its minimum."""

import numpy as np
import pytest

from palate.models.softmax import CosineProblem, SoftmaxProblem, unit


def problem_of(kind, seed=0, n=5, m=40, k=3):
    rng = np.random.default_rng(seed)
    draw = rng.standard_normal
    more = (0.05,) if kind is SoftmaxProblem else ()
    return kind(draw((n, k)), draw(n) * bool(more), draw((m, k)), draw(m) * bool(more), 2.5, 0.6, *more)


def by_definition(asked, p):
    """The loss without weight decay, in one line of logarithms for each choice."""
    scores = [(q @ p + b) / asked.temperature for q, b in
              ((asked.chosen, asked.chosen_biases), (asked.others, asked.others_biases))]  # fmt: skip
    others = np.logaddexp.reduce(scores[1]) + np.log(asked.each)
    return asked.temperature * sum(np.logaddexp(score, others) - score for score in scores[0])


@pytest.mark.parametrize("kind", [SoftmaxProblem, CosineProblem])
def test_the_pulls_of_many_negatives_are_the_slope_of_the_loss(kind):
    asked, p = problem_of(kind), np.array([0.3, -0.2, 0.5])
    assert asked.data_loss(p) == pytest.approx(by_definition(asked, p))
    nudges = np.eye(3) * 1e-6
    slopes = [(by_definition(asked, p + nudge) - by_definition(asked, p - nudge)) / 2e-6 for nudge in nudges]
    np.testing.assert_allclose(-asked.pulls(p).sum(axis=0), slopes, rtol=1e-6)


@pytest.mark.parametrize("kind", [SoftmaxProblem, CosineProblem])
def test_the_curvature_is_the_slope_of_the_pulls(kind):
    asked, p = problem_of(kind), np.array([0.3, -0.2, 0.5])
    ends = [[-asked.pulls(p + sign * nudge).sum(axis=0) for sign in (1, -1)] for nudge in np.eye(3) * 1e-5]
    np.testing.assert_allclose(asked.curvature(p), [(one - two) / 2e-5 for one, two in ends], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_a_fold_in_user_of_a_softmax_minimises_the_loss(seed):
    asked, rng = problem_of(SoftmaxProblem, seed), np.random.default_rng(1)
    p = asked.solved()
    np.testing.assert_allclose(asked.pulls(p).sum(axis=0) / (2 * asked.decay), p, atol=1e-4)
    assert all(asked.loss(p + 0.01 * rng.standard_normal(3)) > asked.loss(p) for _ in range(20))
    item = rng.standard_normal(3)
    assert asked.contributions(p, item).sum() == pytest.approx(p @ item, abs=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_a_fold_in_user_of_cosines_minimises_the_loss_among_vectors_of_length_one(seed):
    asked, rng = problem_of(CosineProblem, seed), np.random.default_rng(1)
    p = asked.solved()
    assert np.linalg.norm(p) == pytest.approx(1)
    nearby = p + 0.05 * rng.standard_normal((50, 3))
    assert all(asked.loss(unit(other)) > asked.loss(p) for other in nearby)
    item = rng.standard_normal(3)
    assert asked.contributions(p, item).sum() == pytest.approx(p @ item, abs=1e-3)


def test_huge_scores_overflow_nothing():
    asked = problem_of(SoftmaxProblem)
    for p in (np.full(3, 1e4), np.full(3, -1e4)):
        assert np.isfinite(asked.loss(p))
        assert np.isfinite(asked.pulls(p)).all()
