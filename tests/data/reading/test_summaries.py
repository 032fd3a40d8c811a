"""Columns that add up others: sums, means and counts of each row, with blanks, on both sides of each limit."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.data.reading.frames import table_of
from palate.data.reading.summaries import (
    MIN_OTHERS,
    MIN_ROWS,
    _agreeing,
    _numbers,
    _rounding,
    _says,
    _stacked,
    without_summaries,
)
from palate.errors import DataError

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


SUMMARIES = {
    "sums of the others": np.nansum, "means of the others": np.nanmean, "medians of the others": np.nanmedian,
    "largest of the others": np.nanmax, "smallest of the others": np.nanmin,
    "counts of the others": lambda table, axis: (~np.isnan(table)).sum(axis=axis).astype(float),
}  # fmt: skip


@pytest.mark.parametrize("says", SUMMARIES)
def test_what_a_row_says_of_the_others(says):
    table = np.array([[1, 5, 2, NAN, 9, NAN], [4, 1, NAN, 3, 9, NAN], [5, 2, NAN, NAN, 3, NAN], [5, 1, 8, NAN, 2, NAN]])
    own = np.full(6, 7.0)
    own[:5] = SUMMARIES[says](table[:, :5], axis=0)  # the last column has nobody else, and says nothing
    assert _says(table, own) == says
    own[1] = NAN
    assert _says(table, own) == says  # a blank is not looked at
    own[0] += 0.52
    assert _says(table, own) == ""


def test_what_says_nothing():
    table = np.array([[1.0, 5.0], [2.0, 4.0]])
    for others, own in (
        (table, None),
        (table[:0], table[0]),
        (table, np.full(2, NAN)),
        (np.full((2, 2), NAN), table[0]),
    ):
        assert _says(others, own) == ""


def test_cells_as_numbers():
    assert _numbers(pl.Series(["a", "1"]), None) is None
    np.testing.assert_array_equal(_numbers(pl.Series([1, None, 0]), None), [1, NAN, 0])
    np.testing.assert_array_equal(_numbers(pl.Series(["1", "", "0"]), 0), [1, NAN, NAN])
    assert _numbers(pl.Series(["a"]), 0) is None
    np.testing.assert_array_equal(_stacked([None, np.ones(2), None, np.zeros(2)]), [[1, 1], [0, 0]])
    assert _stacked([None]).shape == _stacked([]).shape == (0, 0)


def test_a_row_of_two_is_enough_and_of_one_is_not():
    """A rating and its sum are two in a row; of the rows with the column alone nothing is asked."""
    table = np.full((3, 12), NAN)
    table[np.arange(12) % 3, np.arange(12)] = np.arange(1.0, 13)  # one rating in each row
    own = np.nansum(table, axis=0)
    assert _agreeing([*table, own]) == 3
    own[4] += 1
    assert _agreeing([*table, own]) is None


# ---- tables without them


def kept(columns, *, at=0, named=True, blank=None):
    """What is left of a table whose labels stand in the first column: names of columns, rows, and what is told."""
    table = table_of(pl.DataFrame(columns, strict=False))
    positions = [position for position in range(len(columns)) if position != at]
    found = without_summaries(table, at, positions, list(columns) if named else None, blank)
    rows = found.table.column(positions[0] if at is not None else 0).to_list()
    return [table.names[position] for position in found.positions], rows, found.unused, found.how


PEOPLE = {"user": ["ann", "bob", "cid", "dan"], "tea": [5, 3, 4, 1], "jam": [1, 2, 2, 4], "egg": [4, 4, 1, 2]}
SUMS = [own[0] + own[1] + own[2] for own in zip(*list(PEOPLE.values())[1:], strict=True)]


def test_a_column_of_sums_by_name_and_values_is_left_out():
    assert kept(PEOPLE) == (["tea", "jam", "egg"], PEOPLE["tea"], {}, {})
    assert kept(PEOPLE | {"Total": SUMS}) == (
        ["tea", "jam", "egg"], PEOPLE["tea"], {"Total": "sums of the others"}, {},
    )  # fmt: skip
    assert kept(PEOPLE | {"Total": SUMS}, named=False)[0] == ["tea", "jam", "egg", "Total"]
    assert kept(PEOPLE | {"max": [5, 4, 4, 4]})[2] == {"max": "largest of the others"}
    assert kept(PEOPLE | {"max": [5, 4, 4, 1]})[0] == ["tea", "jam", "egg", "max"]  # a short name may be an item
    assert kept({name: PEOPLE[name] for name in ("user", "tea", "jam")} | {"max": [5, 3, 4, 4]})[2] == {}
    assert kept({name: PEOPLE[name] for name in ("user", "tea", "jam")} | {"sum": [6, 5, 6, 5]})[2] == {
        "sum": "sums of the others"
    }
    assert kept(PEOPLE | {"note": ["a", "b", "c", "d"], "Total": SUMS})[2] == {"Total": "sums of the others"}


@pytest.mark.parametrize("name", ["Total", "mean", "age", "count", "Zip"])
def test_a_column_that_may_be_no_item_by_its_name_only_is_refused(name):
    with pytest.raises(DataError, match=f"the column {name!r} may be no item by its name"):
        kept(PEOPLE | {name: [9, 1, 9, 2]})


def test_a_column_of_another_name_that_sums_the_others_is_refused():
    rng = np.random.default_rng(0)
    many = {f"i{at}": rng.integers(1, 6, 12) for at in range(4)}
    columns = {"user": [f"u{at}" for at in range(12)]} | many
    assert kept(columns)[2:] == ({}, {})
    with pytest.raises(DataError, match="the column 'thing' has the sum, the mean or the count"):
        kept(columns | {"thing": sum(many.values())})


def with_row(label, *values):
    return {name: [*own, value] for (name, own), value in zip(PEOPLE.items(), (label, *values), strict=True)}


def test_last_rows_of_sums_are_left_out():
    means = with_row("Mean", 3.25, 2.25, 2.75)
    assert kept(means) == (
        ["tea", "jam", "egg"], [5, 3, 4, 1], {}, {"rows left out": "'Mean' (means of the others)"},
    )  # fmt: skip
    both = {name: [*own, value] for (name, own), value in zip(means.items(), ("Total", 13, 9, 11), strict=True)}
    assert kept(both)[1] == [5, 3, 4, 1]
    assert kept(both)[3] == {"rows left out": "'Total' (sums of the others), 'Mean' (means of the others)"}
    assert kept(with_row("max", 5, 4, 4))[3] == {"rows left out": "'max' (largest of the others)"}
    assert kept(with_row("max", 4, 4, 3))[1] == [5, 3, 4, 1, 4]  # a person may be called so
    assert kept(with_row("eve", 13, 9, 11))[1] == [5, 3, 4, 1, 13]
    for odd in (with_row("Total", 2, 2, 9), {name: own[::-1] for name, own in means.items()}):
        with pytest.raises(DataError, match="may be nobody's ratings by its label"):
            kept(odd)
    few = {name: [*own[:2], value] for (name, own), value in zip(PEOPLE.items(), ("max", 5, 2, 4), strict=True)}
    assert kept(few)[1] == [5, 3, 5]
    few["user"] = ["ann", "bob", "Sum"]
    assert kept(few | {"tea": [5, 3, 8], "jam": [1, 2, 3], "egg": [4, 4, 8]})[1] == [5, 3]
    assert kept({"user": ["Total"], "tea": [5], "jam": [3]})[1] == [5]
    assert kept(with_row("Total", 13, 9, 11) | {"note": ["a", "b", "c", "d", "e"]})[1] == [5, 3, 4, 1, 13]


def test_numbers_that_mean_no_rating_are_no_part_of_a_sum():
    zeros = {"user": ["a", "b", "c", "mean"], "tea": [5, 0, 3, 4], "jam": [0, 2, 4, 3], "egg": [1, 0, 0, 1]}
    assert kept(zeros, blank=0)[1] == [5, 0, 3]
    with pytest.raises(DataError, match="nobody's ratings"):
        kept(zeros)


def test_a_shorter_table_is_shorter_in_all_its_parts():
    frame = pd.DataFrame({name: own for name, own in with_row("Total", 13, 9, 11).items() if name != "user"})
    frame.index = [*PEOPLE["user"], "Total"]
    found = without_summaries(table_of(frame), None, [0, 1, 2], None, None).table
    assert (found.height, found.index.to_list()) == (4, PEOPLE["user"])
    assert found.label(0).to_list() == found.column(0).to_list() == found.sample(0).to_list() == PEOPLE["tea"]
