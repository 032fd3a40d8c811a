"""Pairwise factors: the loss by counting candidates, its derivatives by differences, its minimum, and the parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.data import rows_of
from palate.errors import OptionError
from palate.models.factors import Prior
from palate.models.pairwise import MIN_DECAY, N_NEGATIVES, PairwiseFactors, PairwiseProblem, _sigmoid, _softplus


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


# ---- factors of many users


def factors_of(n_items, ridge=0.3, seed=0, **more):
    rng = np.random.default_rng(seed)
    users, items = (rng.standard_normal((n, 3)).astype(np.float32) for n in (4, n_items))
    return PairwiseFactors(0.0, users, items, Prior.flat(3, ridge=ridge), Prior.flat(3, ridge=ridge), **more)


def test_a_problem_sets_the_chosen_items_against_all_others():
    factors = factors_of(9, n_candidates=2)
    problem = factors.problem_of(np.array([7, 2], np.int32))
    items = factors.items.astype(np.float64)
    others = [0, 1, 3, 4, 5, 6, 8]
    np.testing.assert_array_equal(problem.chosen, items[[7, 2], :2])
    np.testing.assert_array_equal(problem.chosen_biases, items[[7, 2], 2])
    np.testing.assert_array_equal(problem.others, items[others, :2])
    np.testing.assert_array_equal(problem.others_biases, items[others, 2])
    assert (problem.n_candidates, problem.weight_decay) == (2, pytest.approx(0.3))
    assert factors_of(9, ridge=0).problem_of(np.array([1])).weight_decay == MIN_DECAY == 1e-4


def test_of_many_others_the_same_sample_is_taken_each_time():
    factors = factors_of(3 * N_NEGATIVES)
    chosen = np.arange(0, 3 * N_NEGATIVES, 5)
    problem, again = factors.problem_of(chosen), factors_of(3 * N_NEGATIVES).problem_of(chosen)
    np.testing.assert_array_equal(problem.others, again.others)
    where = {row.tobytes(): at for at, row in enumerate(factors.items[:, :2].astype(np.float64))}
    codes = [where[row.tobytes()] for row in problem.others]
    assert len(set(codes)) == N_NEGATIVES and codes == sorted(codes)
    assert not set(codes) & set(chosen.tolist())
    assert 1.3 * N_NEGATIVES < np.mean(codes) < 1.7 * N_NEGATIVES  # from everywhere, not the first
    exactly = factors_of(N_NEGATIVES + 2).problem_of(np.array([0, 5]))
    assert len(exactly.others) == N_NEGATIVES


@pytest.mark.parametrize("n_candidates", [1, 3])
def test_new_users_are_the_solutions_of_their_problems_and_their_choices_add_up_to_their_scores(n_candidates):
    factors = factors_of(9, n_candidates=n_candidates)
    everything = list(range(9))
    found = factors.fold_in(rows_of([[4, 1], [], [6, 6, 0], everything]))
    assert (found.shape, found.dtype) == ((4, 3), np.float32)
    for row, chosen in ((0, [1, 4]), (2, [0, 6])):
        np.testing.assert_array_equal(found[row, :2], factors.problem_of(np.array(chosen)).solved().astype(np.float32))
    assert found[0].any() and not found[[1, 3]].any() and not found[:, 2].any()
    own = rows_of([[4, 1]])
    for item in (0, 4):
        parts = factors.contributions(own, found[0], item)
        assert parts.shape == (2,)
        if n_candidates == 1:
            assert parts.sum() == pytest.approx(float(found[0, :2] @ factors.items[item, :2]), abs=1e-3)
    assert factors.contributions(rows_of([everything]), found[3], 2).tolist() == [0.0] * 9


def test_exchanged_factors_fold_in_nobody_new():
    factors = factors_of(5)
    turned = factors.transposed()
    assert turned.users is factors.items and turned.items is factors.users
    assert not turned.by_user and turned.transposed().by_user and factors.by_user
    assert not turned.fold_in(rows_of([[], []])).any()
    with pytest.raises(OptionError, match="BPR cannot fold in an item"):
        turned.fold_in(rows_of([[], [1]]))


def test_one_candidate_is_the_least_and_infinitely_many_are_none():
    assert factors_of(5).n_candidates == 1
    for wrong in (0, -1, np.inf, np.nan):
        with pytest.raises(ValueError, match="n_candidates"):
            factors_of(5, n_candidates=wrong)
