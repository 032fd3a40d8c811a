"""Values of conditions: what is compared with what, where integers end, and what texts say of numbers and dates."""

import datetime as dt
import math
import operator
from decimal import Decimal

import polars as pl
import pytest

from palate.data.conditions.values import (
    alike,
    calculated,
    compared,
    constant,
    decimal,
    kind_of,
    mapped,
    moments,
    plain,
    whole,
)
from palate.errors import DataError

LOW, HIGH = -(2**63), 2**63 - 1
DAY, CLOCK, SPAN = dt.date(2020, 1, 2), dt.time(3, 4), dt.timedelta(5)


def column(values, dtype=None):
    return pl.Series("x", values, dtype=dtype)


KINDS = [
    ([1], pl.Int8, "number"), ([1], pl.UInt64, "number"), ([1.5], pl.Float32, "number"), (["a"], None, "text"),
    ([True], None, "boolean"), ([DAY], None, "moment"), ([dt.datetime(2020, 1, 2)], None, "moment"), ([CLOCK],
    None, "span"),
    ([SPAN], None, "span"), ([["a"]], None, "list"), ([None], None, "nothing"), ([b"a"], None, "other"),
    ([{"a": 1}], None, "other"), (["a"], pl.Categorical, "other"), ([Decimal("1.5")], None, "number"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "dtype", "kind"), KINDS)
def test_what_values_are(values, dtype, kind):
    assert kind_of(column(values, dtype)) == kind


def test_columns_are_plain():
    nan = float("nan")
    for given, expected in (
        (column(["a", None], pl.Categorical), column(["a", None], pl.String)),
        (column(["a"], pl.Enum(["a"])), column(["a"], pl.String)),
        (column([Decimal("1.5"), None]), column([1.5, None])),
        (column([1.5, nan, None, math.inf], pl.Float32), column([1.5, None, None, math.inf])),
        (column([DAY]), column([dt.datetime(2020, 1, 2)], pl.Datetime("us"))),
        (column([dt.datetime(2020, 1, 2, 3)], pl.Datetime("ms", "UTC")), column([dt.datetime(2020, 1, 2, 3)],
        pl.Datetime("us"))),
        (column([1], pl.Int8), column([1], pl.Int8)), (column([CLOCK]), column([CLOCK])),
    ):  # fmt: skip
        found = plain(given)
        assert found.dtype == expected.dtype
        assert found.to_list() == expected.to_list()


@pytest.mark.parametrize(
    ("left", "right", "common"),
    [
        (column([1], pl.Int8), column([1], pl.Int16), pl.Int64), (column([1], pl.Int8), column([1], pl.Int8),
        pl.Int8),
        (column([1], pl.UInt64), column([1], pl.Int8), pl.Int128), (column([1], pl.Int128), column([1], pl.Int64),
        pl.Int128),
        (column([1], pl.UInt64), column([1.5]), pl.Float64), (column([1], pl.UInt64), column([1], pl.UInt64),
        pl.UInt64),
        (column([1]), column([1.5]), pl.Float64), (column([1.5], pl.Float32), column([1.5]), pl.Float64),
        (column([True]), column([1], pl.Int8), (pl.Int64, pl.Int8)), (column([1.5]), column([True]),
        (pl.Float64, pl.Int64)),
        (column([DAY]).cast(pl.Datetime("us")), column(["2020-01-02"]), pl.Datetime("us")),
        (column(["2020-01-02"]), column([DAY]).cast(pl.Datetime("us")), pl.Datetime("us")),
        (column([None]), column(["a"]), pl.String), (column([1]), column([None]), pl.Int64),
        (column([None]), column([None]), pl.Null), (column([CLOCK]), column([CLOCK]), pl.Time),
        (column([SPAN]), column([SPAN]), pl.Duration("us")), (column(["a"]), column(["b"]), pl.String),
        (column([True]), column([True]), pl.Boolean),
    ],
)  # fmt: skip
def test_two_columns_become_alike(left, right, common):
    """The values stay what they are, but for dates that were texts and 1 and 0 that were true and false."""
    one, other = alike(left, right)
    assert (one.dtype, other.dtype) == (common if isinstance(common, tuple) else (common, common))
    for made, own in ((one, left), (other, right)):
        if made.dtype != pl.Datetime:
            assert made.to_list() == own.to_list()
    assert common != pl.Datetime("us") or one.to_list() == other.to_list() == [dt.datetime(2020, 1, 2)]


OTHERS = [column([["a"]]), column([b"a"]), column([CLOCK]), column([SPAN])]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        *((one, one) for one in OTHERS[:2]), (OTHERS[2], OTHERS[3]), (OTHERS[3], OTHERS[2]),
        *((one, column(["a"])) for one in OTHERS), *((column([1]), one) for one in OTHERS),
        (column([1]), column(["1"])), (column(["1"]), column([1])), (column([True]), column(["a"])),
        (column([DAY]), column([1])), (column([DAY]), column([True])),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(left, right):
    with pytest.raises(DataError, match="cannot be compared with"):
        alike(left, right)


def test_the_largest_numbers_of_all_types_are_compared_exactly():
    big, own = column([2**64 - 1, 3], pl.UInt64), column([HIGH, 3])
    assert compared(big, own, operator.gt).to_list() == [True, False]
    widened, _ = alike(big, own)
    assert compared(widened, column([HIGH, 4]), operator.gt).to_list() == [True, False]


EDGES = [LOW, LOW + 1, -3, -1, 0, 1, 2, 3, HIGH - 1, HIGH]
EXACT = {"+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod}


@pytest.mark.parametrize("symbol", EXACT)
def test_integers_are_exact_as_long_as_64_bits_hold_them(symbol):
    for a in EDGES:
        for b in EDGES:
            found = calculated(constant(a), constant(b), symbol)
            if b == 0 and symbol in ("//", "%"):
                assert found.to_list() == [None]
                continue
            exact = EXACT[symbol](a, b)
            is_whole = LOW <= exact <= HIGH and not (a == LOW and symbol in ("//", "%"))
            assert found.dtype == (pl.Int64 if is_whole else pl.Float64), (a, b)
            if is_whole:
                assert found.item() == exact, (a, b)
            elif symbol != "%":
                assert found.item() == pytest.approx(EXACT[symbol](float(a), float(b))), (a, b)


def test_one_number_beyond_64_bits_makes_all_of_them_floats():
    left = column([1, HIGH, None, -5], pl.Int64)
    for right, dtype in (([0, 0, 0, -2], pl.Int64), ([0, 0, 1, -2], pl.Float64)):
        found = calculated(left, column(right), "+")
        assert found.dtype == dtype
        assert found.to_list() == [1, HIGH if dtype == pl.Int64 else pytest.approx(HIGH), None, -7]
    big = column([2**64 - 1, 1], pl.UInt64)
    assert calculated(big, constant(1), "-").to_list() == [pytest.approx(2.0**64), 0.0]
    assert calculated(column([7, 1], pl.UInt64), constant(9), "-").to_list() == [-2, -8]
    assert calculated(column([127], pl.Int8), column([127], pl.Int8), "*").to_list() == [16129]
    assert calculated(column([], pl.Int64), constant(1), "+").to_list() == []


def test_quotients_are_fractions_and_missing_where_there_are_none():
    assert calculated(column([7, -7, 0]), constant(2), "/").to_list() == [3.5, -3.5, 0.0]
    assert calculated(column([7.5, -7.5]), constant(2), "//").to_list() == [3.0, -4.0]
    assert calculated(column([7.5, -7.5]), constant(2), "%").to_list() == [1.5, 0.5]
    for symbol in ("/", "//", "%"):
        assert calculated(column([1.0, 0.0, 4.0]), column([0, 0, 2]), symbol).to_list()[:2] == [None, None]
    nothing = calculated(column([1, 2, 3]), constant(None), "+")
    assert (nothing.to_list(), nothing.dtype) == ([None] * 3, pl.Float64)
    for left, right in ((column(["a"]), constant(1)), (constant(1), column([True]))):
        with pytest.raises(DataError, match=r"stands beside \*, where a number is expected"):
            calculated(left, right, "*")


def test_a_function_is_called_once_for_each_value_and_never_for_what_is_missing():
    called = []
    found = mapped(column(["a", None, "b", "a"]), lambda text: called.append(text) or len(called), pl.Int64)
    assert found.to_list() == [1, None, 2, 1]
    assert called == ["a", "b"]


def test_texts_become_moments():
    texts = ["1990-05-31", " 1990-05-31 12:30 ", "1990-05-31T12:30:00+02:00", "soon", None]
    noon = dt.datetime(1990, 5, 31, 12, 30)
    assert moments(column(texts)).to_list() == [dt.datetime(1990, 5, 31), noon, noon, None, None]
    assert moments(column([None], pl.String)).to_list() == [None]
    with pytest.raises(DataError, match="'soon' is no date"):
        moments(constant("soon"))
    with pytest.raises(DataError, match="a number is no date"):
        moments(constant(1990))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, 7), (-7, -7), (7.9, 7), (-7.9, -7), ("7", 7), (" -7 ", -7), ("+7", 7), ("7.9", 7), ("-1e3", -1000),
        ("x", None),
        ("", None), (str(HIGH), HIGH), (str(LOW), LOW), (str(HIGH + 1), None), (LOW - 1, None), (1e300, None),
        ("1e400", None),
        (math.nan, None), ("-" + "9" * 5000, None), (float(2**53), 2**53),
    ],
)  # fmt: skip
def test_whole_numbers(value, expected):
    assert whole(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1.5", 1.5), (" -2 ", -2.0), ("1e3", 1000.0), ("x", None), ("nan", None), ("-inf", None), ("", None)],
)
def test_decimals(text, expected):
    assert decimal(text) == expected
