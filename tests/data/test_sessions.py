"""Sessions from gaps: by hand, and longer ones around shorter ones."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.data.sessions import session_levels


def test_sessions_by_hand():
    #                    ann: two sittings, the first in two halves;       bob: one;         cy: alone
    times = np.array([0, 10, 20, 100, 110, 120, 5000, 5010, 5020, 5030, 0, 10, 20, 30, 40, 7])
    users = np.array([0] * 10 + [1] * 5 + [2], np.int32)
    gaps, firsts = session_levels(users, times)
    assert gaps == [80.0, 10.0]  # the largest gap but one, and the one that most have
    np.testing.assert_array_equal(firsts[0], [0, 6, 10, 15])
    np.testing.assert_array_equal(firsts[1], [0, 3, 6, 10, 15])
    for unit in (1000, 86_400):  # any unit of time finds the same
        other, same = session_levels(users, times * unit)
        assert other == [gap * unit for gap in gaps]
        for one, two in zip(same, firsts, strict=True):
            np.testing.assert_array_equal(one, two)


def test_levels_without_information_are_left_out():
    users = np.repeat(np.arange(10, dtype=np.int32), 4)
    same_moment = np.zeros(40, np.int64)
    assert session_levels(users, same_moment) == ([], [])  # one session per user: his bias
    assert session_levels(np.arange(5, dtype=np.int32), np.arange(5)) == ([], [])  # one rating each
    by_day = np.tile(np.array([0, 0, 0, 5]) * 86_400, 10)
    gaps, firsts = session_levels(users, by_day)
    assert gaps == [0.0]
    assert len(firsts[0]) == 20


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 400))
@settings(max_examples=50, deadline=None)
def test_shorter_sessions_lie_inside_longer_ones(seed, n, span):
    rng = np.random.default_rng(seed)
    users, times = np.sort(rng.integers(0, 4, n)).astype(np.int32), rng.integers(0, span, n)
    times = times[np.lexsort((times, users))]
    gaps, firsts = session_levels(users, times)
    assert gaps == sorted(gaps, reverse=True)
    for gap, first in zip(gaps, firsts, strict=True):
        expected = [0] + [j for j in range(1, n) if users[j] != users[j - 1] or times[j] - times[j - 1] > gap]
        np.testing.assert_array_equal(first, expected)
    for longer, shorter in pairwise(firsts):
        assert set(longer) < set(shorter)
