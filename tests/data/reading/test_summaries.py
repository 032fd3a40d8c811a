"""Columns that add up others: sums, means and counts of each row, with blanks, on both sides of each limit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.data.reading.summaries import MIN_OTHERS, MIN_ROWS, _agreeing, _rounding

NAN = np.nan
N = MIN_ROWS + 4


def cells(seed, n_columns, share_blank):
    rng = np.random.default_rng(seed)
    table = rng.integers(1, 6, (n_columns, N)).astype(float)
    table[:, 0] += np.arange(n_columns)  # no two columns alike
    blank = rng.random(table.shape) < share_blank
    blank[:2] = False  # two ratings in each row
    table[blank] = NAN
    return table


@pytest.mark.parametrize("kind", ["sum", "mean", "rounded mean", "count"])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(MIN_OTHERS, 9), at=st.integers(0, 9), blank=st.sampled_from([0, 0.4]))
def test_the_column_that_says_what_the_others_do_is_found(kind, seed, n, at, blank):
    table = cells(seed, max(n, 3), blank)
    total, count = np.nansum(table, axis=0), (~np.isnan(table)).sum(axis=0).astype(float)
    own = {"sum": total, "mean": total / count, "rounded mean": np.round(total / count, 2), "count": count}[kind]
    at = min(at, len(table))
    columns = [*table[:at], own, *table[at:]]
    if np.ptp(own) == 0:
        return
    found = _agreeing(columns)
    assert found == at or (found is not None and kind == "count")  # a count can equal another column's too


def test_a_row_that_the_column_leaves_blank_is_not_looked_at():
    table = cells(1, 5, 0)
    own = np.nansum(table, axis=0)
    own[3] = NAN
    assert _agreeing([*table, own]) == 5
    lonely = np.vstack([table, np.nansum(table, axis=0)])
    lonely[:5, 2] = NAN  # a row in which the column alone is there has no others to agree with
    assert _agreeing(list(lonely)) == 5
    lonely[5, 3] += 1
    assert _agreeing(list(lonely)) is None


def test_columns_that_agree_with_nothing_are_none():
    table = cells(2, 6, 0.3)
    assert _agreeing(list(table)) is None
    assert _agreeing(list(table[:MIN_OTHERS])) is None
    own = np.nansum(table, axis=0)
    assert _agreeing([*table, own + 1e-5]) is None
    assert _agreeing([*table, own + 1e-7]) == 6
    constant = np.full_like(table, 2.0)
    assert _agreeing([*constant, np.full(N, 12.0)]) is None  # what is the same everywhere says nothing
    few = [*table[:, : MIN_ROWS - 1], own[: MIN_ROWS - 1]]
    assert _agreeing(few) is None
    many = [*table[:, :MIN_ROWS], own[:MIN_ROWS]]
    assert _agreeing(many) == 6


@pytest.mark.parametrize(
    ("values", "allowed"), [([1.0, 2.0], 0.51), ([1.5, 2.25], 0.0051), ([3.125], 0.00051), ([0.1, 7.0], 0.051)]
)
def test_the_places_of_values_say_how_they_were_rounded(values, allowed):
    assert _rounding(np.array(values)) == pytest.approx(allowed)
