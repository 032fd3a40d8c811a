"""Series: what Python objects become, and what is missing among them."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from palate.data.reading.series import _is_missing, of_objects, series_of_values
from palate.errors import DataError, LabelTypeError

NAN, NAT = float("nan"), np.datetime64("NaT")


@pytest.mark.parametrize("value", [None, NAN, np.float32("nan"), NAT])
def test_what_is_missing(value):
    assert _is_missing(value)


def test_pandas_has_missing_values_of_its_own():
    pd = pytest.importorskip("pandas")
    assert _is_missing(pd.NA) and _is_missing(pd.NaT)
    assert series_of_values(pd.Series(["a", pd.NA]), "x").to_list() == ["a", None]


@pytest.mark.parametrize("value", ["", "nan", 0, 0.0, False, -1, np.int64(0), date(2020, 1, 1), "None", float("inf")])
def test_what_is_not_missing(value):
    assert not _is_missing(value)


@pytest.mark.parametrize(
    ("values", "expected", "kind"),
    [
        (["a", None, NAN], ["a", None, None], pl.String), ([1, None, 3], [1, None, 3], pl.Int64),
        ([None, None], [None, None], pl.String), ([], [], pl.String), ([np.int8(1), 2], [1, 2], pl.Int64),
        ([1, 2.5], [1.0, 2.5], pl.Float64), ([1, "NA", NAN], [1, None, None], pl.Int64),
        ([1, "x"], ["1", "x"], pl.String), ([True, 1], ["True", "1"], pl.String), ([[1], "x"], ["[1]", "x"],
        pl.String),
    ],
)  # fmt: skip
def test_objects_become_a_column(values, expected, kind):
    found = of_objects(values, "x", labels=False)
    assert found.dtype == kind
    assert found.to_list() == expected


def test_missing_numbers_among_whole_ones_are_not_numbers():
    """A NaN is missing, so that what is left are whole numbers; among fractions it stays what it is."""
    assert of_objects([1, NAN, 3], "x", labels=True).to_list() == [1, None, 3]
    halves = of_objects([1.5, NAN, None], "x", labels=False)
    assert halves[0] == 1.5 and np.isnan(halves[1]) and halves[2] is None


def test_labels_are_of_one_type():
    for values in ([1, "x"], [1, "NA"], [True, "x"], [2.5, None, "a"]):
        with pytest.raises(LabelTypeError, match="must be all strings or all integers, got "):
            of_objects(values, "x", labels=True)
    assert of_objects(["a", None], "x", labels=True).to_list() == ["a", None]
    assert of_objects([1, "NA"], "x", labels=False, words=False).to_list() == ["1", "NA"]


def test_lists_stay_lists_only_where_they_may():
    assert of_objects([[1, 2], None, (3,)], "x", labels=False, lists=True).to_list() == [[1, 2], None, [3]]
    assert of_objects([[1, 2]], "x", labels=False).to_list() == ["[1, 2]"]
    assert of_objects([[1], ["a"]], "x", labels=False, lists=True).dtype == pl.String


def test_arrays_become_a_column():
    assert series_of_values(np.array(["a", "b"]), "x").to_list() == ["a", "b"]
    assert series_of_values(np.array([0.5, 2], np.float16), "x").to_list() == [0.5, 2]
    assert series_of_values(np.array([1, None], object), "x").to_list() == [1, None]
    assert series_of_values(pl.Series([3]), "x").to_list() == [3]
    with pytest.raises(DataError, match=r"column 'x' has shape \(2, 1\)"):
        series_of_values(np.zeros((2, 1)), "x")
    with pytest.raises(DataError, match="beyond 64 bits"):
        of_objects([2**70], "x", labels=False)
    with pytest.raises(DataError, match=r"row 1 \(from 0\): .* half of a pair"):
        of_objects(["a", "\ud800"], "x", labels=False)


def test_types_that_polars_has_not_become_text():
    assert series_of_values(np.array([1j]), "x").to_list() == ["1j"]
    assert series_of_values(np.array([(1, 2.5)], dtype=[("a", int), ("b", float)]), "x").to_list() == ["(1, 2.5)"]
    assert of_objects([True, 1, "NA"], "x", labels=False).to_list() == ["True", "1", None]
    assert of_objects([np.str_("a"), "NA"], "x", labels=False).to_list() == ["a", "NA"]
    assert of_objects([np.bool_(True), 1], "x", labels=False).dtype == pl.String
    days = of_objects([np.datetime64("2020-01-02"), None], "x", labels=False)
    assert days.to_list()[0].date() == date(2020, 1, 2) and days[1] is None
    assert of_objects([(1, 2), np.array([3])], "x", labels=False, lists=True).to_list() == [[1, 2], [3]]
    assert of_objects([[1], 2], "x", labels=False, lists=True).to_list() == ["[1]", "2"]
    foreign = pl.Series([object()], dtype=pl.Object)
    assert series_of_values(foreign, "x").dtype == pl.String
    assert series_of_values(pl.Series([1.5, None]), "x").to_list() == [1.5, None]
    assert series_of_values([1, "NA"], "x").to_list() == [1, None]
    assert series_of_values([1, "NA"], "x", words=False).to_list() == ["1", "NA"]
    assert series_of_values([[1]], "x").to_list() == ["[1]"]
    assert series_of_values([[1]], "x", lists=True).to_list() == [[1]]
    with pytest.raises(LabelTypeError):
        series_of_values([1, "NA"], "x", labels=True)
    for wrong in ([2**63], [-(2**63) - 1]):
        with pytest.raises(DataError, match="beyond 64 bits"):
            of_objects(wrong, "x", labels=False)
    assert of_objects([2**63 - 1, -(2**63)], "x", labels=False).to_list() == [2**63 - 1, -(2**63)]


def test_half_characters_are_found_in_any_row():
    for texts, row in ((["\udfff", None], 0), ([None, "a", "x\ud800"], 2)):
        with pytest.raises(DataError, match=rf"row {row} \(from 0\)"):
            of_objects(texts, "x", labels=False)
