"""Times as people write them: whatever is written is read back as the same second, or refused."""

import io
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.data.reading import moments, read
from palate.data.reading.moments import are_moments, looks_like_date, seconds_of_column, time_form_of
from palate.errors import DataError, OptionError


def seconds(*parts):
    return int(datetime(*parts, tzinfo=UTC).timestamp())


def ratings(written, name="date", **options):
    """The ratings of a file with one of each user, at these times."""
    lines = [f"u{row:03}\ttea\t5\t{text}\n" for row, text in enumerate(written)]
    return read(io.StringIO(f"user\titem\trating\t{name}\n" + "".join(lines)), **options)


MOMENT = seconds(2026, 11, 29, 5, 36, 31)


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("1588687728", 1588687728),
        ("1588687728923", 1588687728),
        ("1588687728923456", 1588687728),
        ("1588687728923456789", 1588687728),
        ("1588687728999999999", 1588687728),
        ("-1", -1),
        ("1588687728.9", 1588687728),
        ("18000", 18000 * 86400),
        ("43689.5", seconds(2019, 8, 12, 12)),
        ("20050906", seconds(2005, 9, 6)),
        ("20050906123000", seconds(2005, 9, 6, 12, 30)),
        ("7", 7),
        ("2026-11-29", seconds(2026, 11, 29)),
        ("2026/11/29", seconds(2026, 11, 29)),
        ("2026.11.29", seconds(2026, 11, 29)),
        ("2026-11-29T05:36:31Z", MOMENT),
        ("2026-11-29T05:36:31.123456Z", MOMENT),
        ("2026-11-29 05:36:31,5", MOMENT),
        ("2026-11-29 05:36", MOMENT - 31),
        ("2026-11-29T07:06:31+01:30", MOMENT),
        ("2026-11-29 07:36:31+0200", MOMENT),
        ("2026-11-29 07:36:31+02", MOMENT),
        ("2026-11-29 05:36:31 UTC", MOMENT),
        ("2026-11-29 05:36:31 +0000 UTC", MOMENT),
        ("20261129T053631Z", MOMENT),
        ("29.11.2026", seconds(2026, 11, 29)),
        ("29.11.26", seconds(2026, 11, 29)),
        ("1.2.2026", seconds(2026, 2, 1)),
        ("29.11.2026, 05:36:31", MOMENT),
        ("29/11/2026 05:36:31", MOMENT),
        ("11/29/2026 5:36:31 AM", MOMENT),
        ("11/29/26 5:36 a.m.", MOMENT - 31),
        ("11/29/2026 12:00 am", seconds(2026, 11, 29)),
        ("11/29/2026 12:00 PM", seconds(2026, 11, 29, 12)),
        ("11 29, 2026", seconds(2026, 11, 29)),
        ("29-11-2026", seconds(2026, 11, 29)),
        ("99/8/18", seconds(1999, 8, 18)),
        ("29 Nov 2026", seconds(2026, 11, 29)),
        ("29-Nov-2026", seconds(2026, 11, 29)),
        ("29-NOV-26", seconds(2026, 11, 29)),
        ("29th of November, 2026", seconds(2026, 11, 29)),
        ("Nov 29, 2026", seconds(2026, 11, 29)),
        ("Sept. 5, 2019", seconds(2019, 9, 5)),
        ("November 29 2026 5 pm", seconds(2026, 11, 29, 17)),
        ("2026-Nov-29", seconds(2026, 11, 29)),
        ("Sunday, November 29, 2026", seconds(2026, 11, 29)),
        ("Sun Nov 29 05:36:31 +0000 2026", MOMENT),
        ("Sun Nov 29 05:36:31 2026", MOMENT),
        ("29 Oct 05:36:31 2026", MOMENT - 31 * 86400),
        ("Sun Nov 29 00:36:31 EST 2026", MOMENT),
        ("Sun, 29 Nov 2026 05:36:31 GMT", MOMENT),
        ("Sun, 29 Nov 2026 06:36:31 +0100", MOMENT),
        ("Sun Nov 29 2026 06:36:31 GMT+0100 (Central European Time)", MOMENT),
    ],
)
def test_a_time_in_each_form(written, read_as):
    assert ratings([written]).times.tolist() == [read_as]


def test_how_times_were_read_is_told():
    assert ratings(["1588687728923"]).report.how["times"] == "milliseconds since 1970, made seconds"
    assert ratings(["13/11/2026"]).report.how["times"] == "day/month/year"
    assert "times" not in ratings(["1588687728"]).report.how


def test_days_are_only_in_columns_called_times():
    assert read(io.StringIO("1,2,3,43689\n")).times.tolist() == [43689]
    assert read(io.StringIO("1,2,3,18000\n")).times.tolist() == [18000]
    assert read(io.StringIO("1,2,3,18000\n"), time=3).times.tolist() == [18000 * 86400]


def test_a_clock_without_a_day_is_no_time():
    text = "user,item,rating,date,time\nann,tea,5,2026-11-29,05:36\n"
    assert read(io.StringIO(text)).times.tolist() == [seconds(2026, 11, 29)]
    assert read(io.StringIO("user,item,rating,time\nann,tea,5,05:36\n")).times is None


# ---- a whole column


def test_a_value_above_12_tells_the_order_for_the_column():
    assert ratings(["1/2/2026", "13/2/2026"]).times.tolist() == [seconds(2026, 2, 1), seconds(2026, 2, 13)]
    assert ratings(["1/2/2026", "2/13/2026"]).times.tolist() == [seconds(2026, 1, 2), seconds(2026, 2, 13)]


@pytest.mark.parametrize(
    ("written", "formats"),
    [
        ("1/2/2026", ('"%d/%m/%Y"', '"%m/%d/%Y"')),
        ("1-2-26", ('"%d-%m-%y"', '"%m-%d-%y"')),
    ],
)
def test_an_order_that_no_value_tells_is_asked_about_only_if_times_are_wanted(written, formats):
    silent = ratings([written, written])
    assert len(silent) == 2
    assert silent.times is None
    assert "time" not in silent.report.columns
    assert formats[0] in silent.report.how["times"]
    with pytest.raises(DataError) as caught:
        ratings([written, written], time="date")
    for form in formats:
        assert f"time_format={form}" in str(caught.value)
        assert ratings([written], time_format=form.strip('"')).times is not None


@pytest.mark.parametrize("unreadable", ["", "soon", "32/13/2026", "2026-02-30"])
def test_a_missing_time_costs_no_rating_unless_times_are_wanted(unreadable):
    written = ["2026-01-31", unreadable, "2026-03-31"]
    silent = ratings(written)
    assert len(silent) == 3
    assert silent.times is None
    assert silent.report.how["times"] == "left out (1 of 3 are missing or cannot be read)"
    with pytest.raises(DataError, match=r"line 3.*time.*time=False"):
        ratings(written, time="date")
    wanted = ratings(written, time="date", on_bad_rows="report")
    assert wanted.times.tolist() == [seconds(2026, 1, 31), seconds(2026, 3, 31)]
    assert sum(wanted.report.bad_rows.values()) == 1


def test_a_unit_is_that_of_the_column():
    mixed = ["1588687728923", "1588687729999", "1588687728"]
    assert ratings(mixed).times is None
    assert ratings([*mixed[:2], "0"]).times.tolist() == [1588687728, 1588687729, 0]


def test_later_blocks_follow_the_first(monkeypatch):
    from palate.data.reading import textfiles

    monkeypatch.setattr(textfiles, "BLOCK", 300)
    written = ["13/2/2026"] * 30 + ["1/2/2026"] * 30
    assert set(ratings(written).times.tolist()) == {seconds(2026, 2, 13), seconds(2026, 2, 1)}
    assert ratings([*written, "2/13/2026"]).times is None


# ---- as the caller says


@pytest.mark.parametrize(
    ("written", "time_format", "read_as"),
    [
        ("1/2/2026", "%d/%m/%Y", seconds(2026, 2, 1)),
        ("1/2/2026 3:00 pm", "%m/%d/%Y %I:%M %p", seconds(2026, 1, 2, 15)),
        ("2026-01-02 10:00:00 +0100", "%Y-%m-%d %H:%M:%S %z", seconds(2026, 1, 2, 9)),
        ("2026-01-02 10:00:00.5", "%Y-%m-%d %H:%M:%S.%f", seconds(2026, 1, 2, 10)),
        ("20260102", "%Y%m%d", seconds(2026, 1, 2)),
        ("5000", "s", 5),
        ("5000", "ms", 5),
        ("5000000", "us", 5),
        ("5000000000", "ns", 5),
        ("3", "days", 3 * 86400),
    ],
)
def test_a_given_format(written, time_format, read_as):
    expected = 5000 if time_format == "s" else read_as
    assert ratings([written], time_format=time_format).times.tolist() == [expected]


@pytest.mark.parametrize("time_format", ["days since", "%Q", "", "dd/mm/yyyy", 5])
def test_a_format_that_is_none_is_refused(time_format):
    with pytest.raises(OptionError, match="time_format"):
        ratings(["1"], time_format=time_format)


def test_a_format_without_a_column_of_times_is_refused():
    with pytest.raises(DataError, match="no column of times is found"):
        read(io.StringIO("user,item,rating,remark\nann,tea,5,1/2/2026\n"), time_format="%d/%m/%Y")


def test_a_value_of_another_format_is_a_bad_row():
    with pytest.raises(DataError, match="line 3"):
        ratings(["1/2/2026", "2026-02-01"], time_format="%d/%m/%Y")


# ---- columns that are asked about later


def test_a_column_of_a_question_is_read_as_ratings_are():
    assert seconds_of_column(pl.Series([1588687728923])).to_list() == [1588687728]
    assert seconds_of_column(pl.Series(["2026-11-29", "5"])).to_list() == [seconds(2026, 11, 29), 5]
    assert seconds_of_column(pl.Series([18000])).to_list() == [18000]
    assert seconds_of_column(pl.Series([20260131, None], dtype=pl.Int32)).to_list() == [seconds(2026, 1, 31), None]
    with pytest.raises(DataError, match="day or the month"):
        seconds_of_column(pl.Series(["1/2/2026"]))


# ---- round trips

some_moment = st.datetimes(datetime(1980, 1, 1), datetime(2060, 1, 1)).map(lambda moment: moment.replace(microsecond=0))
FORMATS = (
    *("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y/%m/%d %H:%M:%S", "%Y%m%dT%H%M%SZ", "%Y%m%d%H%M%S"),
    *("%d.%m.%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%d %B %Y %H:%M:%S", "%b %d, %Y %I:%M:%S %p"),
    *("%a %b %d %H:%M:%S +0000 %Y", "%A, %d %b %Y %H:%M:%S GMT", "%d-%b-%Y %H:%M:%S"),
)


@given(moments=st.lists(some_moment, min_size=1, max_size=12), form=st.sampled_from(FORMATS))
@settings(max_examples=100, deadline=None)
def test_moments_in_any_form_are_read_back_or_asked_about(moments, form):
    series = pl.Series([moment.strftime(form) for moment in moments])
    found = time_form_of(series)
    if found.problem:
        assert "/" in form
        assert all(moment.day <= 12 for moment in moments)
    else:
        assert found.read(series).to_list() == [int(moment.replace(tzinfo=UTC).timestamp()) for moment in moments]


@given(moment=some_moment, minutes=st.integers(-14 * 60, 14 * 60))
@settings(max_examples=40, deadline=None)
def test_zones_are_read_back(moment, minutes):
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    for text in (zoned.isoformat(), format_datetime(zoned)):
        assert seconds_of_column(pl.Series([text])).to_list() == [int(zoned.timestamp())]


@given(moments=st.lists(some_moment, min_size=1, max_size=8), unit=st.sampled_from([1, 10**3, 10**6, 10**9]))
@settings(max_examples=40, deadline=None)
def test_units_are_told_by_size(moments, unit):
    whole = [int(moment.replace(tzinfo=UTC).timestamp()) for moment in moments]
    read_as = seconds_of_column(pl.Series([second * unit for second in whole]))
    assert read_as.to_list() == whole


@given(st.lists(st.one_of(st.text(max_size=12), st.from_regex(r"\A\d{1,4}[-/. ]\d{1,2}[-/. ]\d{1,4}\Z")), max_size=6))
@settings(max_examples=60, deadline=None)
def test_any_texts_are_times_or_null(texts):
    series = pl.Series(texts, dtype=pl.String)
    read_as = time_form_of(series).read(series)
    assert read_as.dtype == pl.Int64
    assert len(read_as) == len(texts)


# ---- where the limits lie


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("19000101", seconds(1900, 1, 1)),
        ("18991231", 18991231),
        ("21991231", seconds(2199, 12, 31)),
        ("22000101", 22000101),
        ("20260229", 20260229),  # there is no such day
        ("202611290536", seconds(2026, 11, 29, 5, 36)),
        ("20261129053631", MOMENT),
        ("20261129053660", MOMENT + 29),  # a leap second
        ("100000000000", 10**8),
        ("99999999999", 99_999_999_999),
        ("4200000000000", 4_200_000_000),
        ("4200000001000", 4_200_000_001_000),
        ("100000000000000", 10**8),
        ("99999999999999", 99_999_999_999_999),
        ("4200000000000000", 4_200_000_000),
        ("100000000000000000", 10**8),
        ("99999999999999000", 99_999_999_999_999_000),
        ("4200000000000000000", 4_200_000_000),
        ("7305", 7305 * 86400),
        ("7304", 7304),
        ("25567", 25567 * 86400),
        ("25568", 25568),
        ("18000.5", 18000),
        ("32874", 7305 * 86400),
        ("32873", 32873),
        ("51136", 25567 * 86400),
        ("51137", 51137),
    ],
)
def test_numbers_are_dates_units_or_days_within_limits(written, read_as):
    assert time_form_of(pl.Series([written])).read(pl.Series([written])).to_list() == [read_as]
    if "." not in written:
        number = pl.Series([int(written)])
        assert time_form_of(number).read(number).to_list() == [read_as]


def test_a_number_of_another_unit_is_no_time_in_the_column():
    milliseconds = [1588687728923, 4_200_000_000, 4_200_000_001, 4_200_000_000_000, 4_200_000_000_001, 0, -1500]
    column = pl.Series([1588687728923] * 8 + milliseconds)
    read_as = time_form_of(column).read(column).to_list()[8:]
    assert read_as == [1588687728, None, 4_200_000, 4_200_000_000, None, 0, -2]


def test_dates_as_numbers_are_the_form_of_all_values_or_of_none():
    for other in (7, 10**8, 18991231, 20261301):
        column = pl.Series([20260131, other])
        assert time_form_of(column).read(column).to_list() == [20260131, other]
    column = pl.Series([20260131, 20260201])
    later = pl.Series([20260131, 20260231, 5, None])
    assert time_form_of(column).read(later).to_list() == [seconds(2026, 1, 31), None, None, None]


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("2026-11-29 23:59:60", seconds(2026, 11, 30)),
        ("2026-11-29 23:59:61", None),
        ("2026-11-29 23:60", None),
        ("2026-11-29 24:00", None),
        ("2026-11-29 0:00", seconds(2026, 11, 29)),
        ("2026-11-29 1 am", seconds(2026, 11, 29, 1)),
        ("2026-11-29 12 pm", seconds(2026, 11, 29, 12)),
        ("2026-11-29 0 am", None),
        ("2026-11-29 13 pm", None),
        ("2026-11-29 11:00 pm", seconds(2026, 11, 29, 23)),
        ("0000-01-01", None),
        ("2026-00-29", None),
        ("2026-12-31", seconds(2026, 12, 31)),
        ("2026-13-01", None),
        ("2026-12-00", None),
        ("2026-12-32", None),
        ("2026-04-31", None),
        ("2024-02-29", seconds(2024, 2, 29)),
        ("2026-02-29", None),
        ("1 Jan 68", seconds(2068, 1, 1)),
        ("1 Jan 69", seconds(1969, 1, 1)),
        ("1 Jan '26", seconds(2026, 1, 1)),
        ("Sun Nov 29 00:36:31 EDT 2026", MOMENT - 3600),
        ("Sun Nov 29 00:36:31 CST 2026", MOMENT + 3600),
        ("Sun Nov 29 00:36:31 PST 2026", MOMENT + 3 * 3600),
        ("Sun Nov 29 00:36:31 PDT 2026", MOMENT + 2 * 3600),
        ("Sun Nov 29 00:36:31 MST 2026", MOMENT + 2 * 3600),
        ("Sun Nov 29 00:36:31 MDT 2026", MOMENT + 3600),
        ("Sun Nov 29 00:36:31 CDT 2026", MOMENT),
        ("2026-11-29T05:36:31-03:30", MOMENT + 12600),
    ],
)
def test_days_and_clocks_that_there_are(written, read_as):
    column = pl.Series([written, "2 Jan 2026 5 pm"])
    assert time_form_of(column).read(column)[0] == read_as
    assert seconds_of_column(column).to_list() == [read_as, seconds(2026, 1, 2, 17)]


def test_a_year_has_four_digits_in_a_format_with_one():
    assert ratings(["1000-01-01"], time_format="%Y-%m-%d").times.tolist() == [seconds(1000, 1, 1)]
    for early in ("0999-12-31", "26-01-02"):
        read_as = ratings(["2026-01-02", early], time_format="%Y-%m-%d", on_bad_rows="report")
        assert read_as.times.tolist() == [seconds(2026, 1, 2)]


def test_points_are_written_where_the_day_comes_first():
    assert seconds_of_column(pl.Series(["1.2.2026"])).to_list() == [seconds(2026, 2, 1)]
    with pytest.raises(DataError, match="day or the month"):
        seconds_of_column(pl.Series(["1.2.2026", "1/2/2026"]))


def test_a_year_first_of_two_digits_is_read_only_if_nothing_else_can_be():
    assert seconds_of_column(pl.Series(["99/8/18", "98/12/31"])).to_list() == [
        seconds(1999, 8, 18), seconds(1998, 12, 31)
    ]  # fmt: skip
    assert seconds_of_column(pl.Series(["13/8/18", "12/12/31"])).to_list() == [
        seconds(2018, 8, 13), seconds(2031, 12, 12)
    ]  # fmt: skip


def test_what_are_moments():
    assert are_moments(["2026-01-31", "1/2/2026"])
    assert not are_moments(["2026-01-31", "soon"])
    assert not are_moments(["2026-01-31", "x7"])
    assert not are_moments([])


def test_a_type_that_is_no_time_has_none():
    form = time_form_of(pl.Series([[1], [2]]))
    assert "which is no time" in form.problem
    assert form.read(pl.Series([[1], [2]])).to_list() == [None, None]
    assert seconds_of_column(pl.Series([datetime(2026, 11, 29, 5, 36, 31)])).to_list() == [MOMENT]
    assert seconds_of_column(pl.Series([1588687728.9, None])).to_list() == [1588687728, None]
    assert seconds_of_column(pl.Series([None, None])).to_list() == [None, None]


# ---- one column at a time


def read_as(values, **options):
    form = time_form_of(pl.Series("t", values), **options)
    return form.read(pl.Series("t", values)).to_list()


def says(*values):
    form = time_form_of(pl.Series("t", values, dtype=pl.String))
    return form.says or form.problem


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1970, 2100], [0, seconds(2100, 1, 1)]),
        ([1969, 2000], [1969, 2000]),
        ([1970, 2101], [1970, 2101]),
        ([1999.5, 2000.0], [1999, 2000]),
        ([10**8] * 3 + [5 * 10**9], [10**8] * 3 + [None]),
        ([10**8 - 1] * 3 + [5 * 10**9], [10**8 - 1] * 3 + [5 * 10**9]),
        ([4_200_000_000] * 3 + [4_200_000_001], [4_200_000_000] * 3 + [None]),
        ([4_200_000_001] * 3 + [5 * 10**9], [4_200_000_001] * 3 + [5 * 10**9]),
        ([10**9 + 0.5, None, -1.5], [10**9, None, -2]),
        ([10**9, None, -1], [10**9, None, -1]),
        (["1588687728", "1588687729", "soon"], [1588687728, 1588687729, None]),
        (["1588687728", "soon"], [1588687728, None]),
        (["1588687728", None, "soon", "late"], [None] * 4),
        (["5", "6", "7", "2020-01-01"], [None, None, None, 1577836800]),
        (["5", "6", "7", "x"], [5, 6, 7, None]),
        (["5", "NA", " ", None, "-"], [5, None, None, None, None]),
        ([1588687728923457] * 2, [1588687728] * 2),
    ],
)
def test_numbers_are_years_seconds_or_what_they_are(values, expected):
    assert read_as(values) == expected


def test_years_and_days_are_only_in_columns_called_times():
    for values in ([1970, 2100], [18000], [43689.5], [7305, 25567]):
        assert read_as(values, is_named=False) == [int(value) for value in values]
    assert read_as([20260131], is_named=False) == [seconds(2026, 1, 31)]
    assert read_as([1588687728923], is_named=False) == [1588687728]


def test_what_is_told_of_a_form():
    assert [says(text) for text in ("2020-01-31", "soon", "13/2/2026", "2/13/2026", "99/8/18", "31/12/31")] == [
        "dates", "dates", "day/month/year", "month/day/year", "year/month/day", "day/month/year"
    ]  # fmt: skip
    assert says("") == says(None) == ""
    assert says("1.2.2026") == says("1.2.03") == "day/month/year"
    for text, formats in (
        ("1/2/2026", '"%d/%m/%Y" or time_format="%m/%d/%Y"'), ("1/2/26", '"%d/%m/%y" or time_format="%m/%d/%y"'),
        ("1-2-2026 5:00", '"%d-%m-%Y" or time_format="%m-%d-%Y"'),
    ):  # fmt: skip
        assert says(text).endswith(formats)
    assert "'2/1/2026' may have" in says("2026-01-31", "2/1/2026", "1/2/2026")


def test_the_order_that_reads_the_most_is_that_of_the_column():
    assert read_as(["2026-01-31", "1/13/2026", "2/13/2026", "13/1/2026"]) == [
        seconds(2026, 1, 31), seconds(2026, 1, 13), seconds(2026, 2, 13), None
    ]  # fmt: skip
    assert read_as(["13/1/2026", "14/1/2026", "1/13/2026", "x"]) == [
        seconds(2026, 1, 13), seconds(2026, 1, 14), None, None
    ]  # fmt: skip


def test_a_given_format_reads_dates_and_numbers_too():
    day = seconds(2026, 1, 2)
    for values in ([20260102], [20260102.0], ["20260102 "], [datetime(2026, 1, 2)], [datetime(2026, 1, 2).date()]):
        assert read_as(values, time_format="%Y%m%d") == [day]
    assert read_as(["2026-01-02 10:00:00 +01:00"], time_format="%Y-%m-%d %H:%M:%S %:z") == [day + 9 * 3600]
    assert read_as([-1, 1999, 2000], time_format="ms") == [-1, 1, 2]
    assert read_as([1.5], time_format="days") == [129600]


def test_seconds_of_any_column():
    assert moments.seconds(pl.Series([1.5, None, -0.5])).to_list() == [1, None, -1]
    assert moments.seconds(pl.Series(["5", "2026-01-02", "1/2/2026", None])).to_list() == [
        5, seconds(2026, 1, 2), None, None
    ]  # fmt: skip
    assert moments.seconds(pl.Series([[1], None])).to_list() == [None, None]
    assert moments.seconds(pl.Series([{"a": 1}])).to_list() == [None]
    assert moments.seconds(pl.Series([datetime(1970, 1, 2)])).to_list() == [86400]


def test_texts_with_the_parts_of_a_date_look_like_one():
    for text in ("32/13/2026", "1.2.26 10:00", "5:30", "5:30:07 pm", "on Sept 5", "MAY 5", "2026-01-31T10"):
        assert looks_like_date(text), text
    for text in ("5", "1/2", "may", "5:3", "mayor", "12345-1-1"):
        assert not looks_like_date(text), text
    assert not are_moments(["soon", "2026-01-31"]) and not are_moments(["soon"])
    assert are_moments(["1/2/2026"]) and not are_moments(["1/2/2026", "13/13/2026"])
