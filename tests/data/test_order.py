"""The order of events: each user's oldest first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palate
from palate.data import plan
from palate.data.order import oldest_first

events = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=30)


def of(rows, *, with_times=True):
    columns = {"user": [f"u{user}" for user, _ in rows], "item": [f"i{number}" for number in range(len(rows))]}
    if with_times:
        columns["time"] = [time for _, time in rows]
    return palate.read(columns, kind="implicit")


@given(events)
def test_the_events_of_each_user_rise_in_time_and_equal_times_keep_the_order_of_rows(rows):
    ordered = oldest_first(of(rows)).to_frame()
    for user in {user for user, _ in rows}:
        mine = ordered.filter(ordered["user"] == f"u{user}")
        expected = sorted((time, row) for row, (owner, time) in enumerate(rows) if owner == user)
        assert mine["item"].to_list() == [f"i{row}" for _, row in expected]


@given(events)
def test_what_falls_within_no_user_stays_as_it_is_by_any_blocks(rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "MIN_RATINGS", 4)
        ratings = of(rows)
        times = [[time for owner, time in rows if owner == user] for user in range(4)]
        assert (oldest_first(ratings) is ratings) == all(one == sorted(one) for one in times)


def test_what_is_in_order_already_or_has_no_times_stays_as_it_is():
    for ratings in (of([(1, 3), (0, 9), (1, 5)]), of([(1, 3), (1, 2)], with_times=False)):
        assert oldest_first(ratings) is ratings


def test_a_model_of_implicit_feedback_keeps_the_histories_oldest_first():
    ratings = of([(0, 5), (0, 1), (1, 2), (0, 3)])
    history = palate.Popularity().fit(ratings).model.history
    assert [ratings.classes["item"][code] for code in history.row(0)[0]] == ["i1", "i3", "i0"]
    np.testing.assert_array_equal(history.counts, [3, 1])
