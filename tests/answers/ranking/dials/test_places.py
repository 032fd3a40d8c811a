"""Places in a pool, against counting by hand."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from palate.answers.ranking.dials.places import lift, relevance

VALUES = st.sampled_from([-2.5, 0.0, 1.0, 1.5, 7.0, math.nan, math.inf])


@given(arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 9)), elements=VALUES))
def test_a_lift_counts_the_items_with_a_higher_value(values):
    found = lift(values)
    for row, of_row in zip(values.tolist(), found.tolist(), strict=True):
        known = [value for value in row if not math.isnan(value)]
        most = max((sum(other > value for other in known) for value in known), default=0)
        for value, one in zip(row, of_row, strict=True):
            if math.isnan(value) or most == 0:
                assert one == 0
            else:
                expected = 1 - math.log(1 + sum(other > value for other in known)) / math.log(1 + most)
                assert abs(one - expected) < 1e-12


@given(arrays(np.float64, (2, 7), elements=VALUES))
def test_only_the_order_of_values_counts(values):
    changed = np.where(np.isfinite(values), np.exp(values), values)
    np.testing.assert_array_equal(lift(values), lift(changed))


def test_a_condition_lifts_by_one_or_not_at_all():
    np.testing.assert_allclose(lift(np.array([[1.0, 0, 0, 1, math.nan]])), [[1, 0, 0, 1, 0]], atol=1e-15)
    assert lift(np.full((1, 3), 4.0)).tolist() == lift(np.full((1, 3), math.nan)).tolist() == [[0, 0, 0]]
    assert lift(np.zeros((0, 5))).shape == (0, 5)


def test_relevance_falls_with_the_place_and_ties_are_equal():
    scores = np.array([[9, 5, 5, 5, 1], [2, 1, -math.inf, -math.inf, -math.inf]], np.float32)
    expected = [[1, *[1 - math.log(2) / math.log(5)] * 3, 0], [1, 1 - math.log(2) / math.log(5), 0, 0, 0]]
    np.testing.assert_allclose(relevance(scores, 5), expected, atol=1e-12)
