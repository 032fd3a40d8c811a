"""Times of every kind mean the same second, at every place that takes one."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import polars as pl
import pytest

import palate
from palate.data.features import Features
from palate.data.timestamps import seconds_of
from palate.errors import DataError

MIDNIGHT = 1_577_836_800  # 2020-01-01 in UTC
HOURS = [MIDNIGHT, MIDNIGHT + 3_600, MIDNIGHT + 90_000]
NUMPY_UNITS = ["s", "ms", "us", "ns"]
ZONES = [None, "UTC", "Europe/Berlin", "America/New_York"]
MIDNIGHTS = {
    "a number": MIDNIGHT,
    "a number of NumPy": np.int64(MIDNIGHT),
    "a date": date(2020, 1, 1),
    "a datetime": datetime(2020, 1, 1),
    "a datetime with a zone": datetime(2020, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
    "a text of a date": "2020-01-01",
    "a text with a zone": "2020-01-01T01:00:00+01:00",
    "a timestamp of pandas": pd.Timestamp("2020-01-01"),
    "a timestamp of pandas with a zone": pd.Timestamp("2020-01-01 01:00", tz="Europe/Berlin"),
    **{f"datetime64[{unit}]": np.datetime64("2020-01-01", unit) for unit in ["Y", "M", "D", "h", "m", *NUMPY_UNITS]},
}


def columns():
    """(name, column): the seconds of HOURS, as columns of every kind."""
    numbers = np.array(HOURS)
    yield "integers", numbers
    for unit in ["m", *NUMPY_UNITS]:
        yield f"NumPy, {unit}", numbers.astype("datetime64[s]").astype(f"datetime64[{unit}]")
    naive = pl.Series(numbers * 1000).cast(pl.Datetime("ms"))
    for zone in ZONES:
        aware = naive if zone is None else naive.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
        yield f"objects, {zone}", aware.to_list()
        for unit in ("ms", "us", "ns"):
            yield f"polars, {unit}, {zone}", aware.dt.cast_time_unit(unit)
        for unit in NUMPY_UNITS:
            plain = pd.Series(numbers.astype("datetime64[s]")).astype(f"datetime64[{unit}]")
            yield f"pandas, {unit}, {zone}", plain if zone is None else plain.dt.tz_localize("UTC").dt.tz_convert(zone)
    yield "texts", [text.isoformat() for text in naive.to_list()]


COLUMNS = dict(columns())


def frames(times):
    """The columns as a mapping, and as the frame they belong in; both are read and asked about."""
    made = {"user": ["ann", "bob", "ann"], "item": ["tea", "tea", "jam"], "rating": [1.0, 3.0, 5.0], "time": times}
    yield made
    yield pl.DataFrame(made) if isinstance(times, pl.Series) else pd.DataFrame(made)


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_of_times_is_read_as_seconds(kind):
    assert seconds_of(COLUMNS[kind], "when").tolist() == HOURS
    for source in frames(COLUMNS[kind]):
        assert palate.read(source).times.tolist() == HOURS


@pytest.mark.parametrize("kind", COLUMNS)
def test_the_frame_that_was_read_can_be_predicted(kind, timed):
    _, frame = frames(COLUMNS[kind])
    users, items = list(frame["user"]), list(frame["item"])
    expected = timed.predict(users, items, when=HOURS)["prediction"].to_list()
    assert list(timed.predict(frame)["prediction"]) == expected
    assert timed.predict(users, items, when=COLUMNS[kind])["prediction"].to_list() == expected


@pytest.mark.parametrize("kind", MIDNIGHTS)
def test_one_time_of_every_kind(kind, timed):
    time = MIDNIGHTS[kind]
    assert timed.predict("ann", "tea", when=time) == timed.predict("ann", "tea", when=MIDNIGHT)
    assert timed.explain("ann", "tea", when=time) == timed.explain("ann", "tea", when=MIDNIGHT)
    users, items = ["ann"] * 3, ["tea"] * 3
    with_none = timed.predict(users, items, when=[time, None, time])
    assert with_none.equals(timed.predict(users, items, when=[MIDNIGHT, None, MIDNIGHT]))
    ratings = palate.read(next(frames([MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + 1])))
    train, test = palate.split_time(ratings, at=time)
    assert (train.times.tolist(), test.times.tolist()) == ([MIDNIGHT - 1], [MIDNIGHT, MIDNIGHT + 1])


@pytest.mark.parametrize("days", [pl.Series([date(2020, 1, 1)] * 3), [date(2020, 1, 1)] * 3])
def test_dates_are_midnights(days, timed):
    for source in frames(days):
        assert palate.read(source).times.tolist() == [MIDNIGHT] * 3
    _, frame = frames(days)
    same = timed.predict(list(frame["user"]), list(frame["item"]), when=MIDNIGHT)["prediction"].to_list()
    assert list(timed.predict(frame)["prediction"]) == same


@pytest.mark.parametrize("bad", ["soon", "", True, object(), [1], b"2020", timedelta(1)])
def test_what_is_no_time_is_named(bad, timed):
    for asked in (
        lambda: timed.predict("ann", "tea", when=[bad]),
        lambda: timed.predict(["ann"] * 2, "tea", when=[MIDNIGHT, bad]),
        lambda: palate.split_time(palate.read(next(frames(HOURS))), at=bad),
    ):
        with pytest.raises(DataError, match=r"(when|at)=.* is no time: give seconds since 1970"):
            asked()


def test_a_missing_time_of_a_frame_is_an_error(timed):
    frame = pd.DataFrame({"user": ["ann"], "item": ["tea"], "time": pd.to_datetime(["NaT"])})
    with pytest.raises(DataError, match="1 of 1 values in the time column are missing"):
        timed.predict(frame)


def test_fractions_of_a_second_stay():
    assert seconds_of([1.5, None, np.nan], "when").tolist()[0] == 1.5
    assert np.isnan(seconds_of([1.5, None, np.nan], "when")[1:]).all()


@pytest.fixture(scope="module")
def timed():
    """A model with time effects, of ann, bob, tea and jam, whose predictions differ from hour to hour."""
    rng = np.random.default_rng(1)
    users = ["ann", "bob", "cid", "dan"]
    rows = [(user, item, hour) for user in users for item in ("tea", "jam", "egg") for hour in range(20)]
    named = {"user": [row[0] for row in rows], "item": [f"{row[1]}{'' if row[2] < 1 else row[2]}" for row in rows]}
    times = {"time": [MIDNIGHT + 5_400 * row[2] for row in rows]}
    moods = np.repeat(rng.normal(0, 1, 240 // 20), 20) + np.tile(np.sin(np.arange(20)), 12)
    ratings = palate.read(named | {"rating": np.clip(np.round(3 + moods), 1, 5)} | times)
    rec = palate.Bayes(n_factors=2, n_sweeps=20, time=True).fit(ratings, progress=False)
    assert rec.model.effects is not None
    return rec


def test_the_times_of_this_file_are_what_they_say(timed):
    assert datetime.fromtimestamp(MIDNIGHT, UTC) == datetime(2020, 1, 1, tzinfo=UTC)
    assert len({timed.predict("ann", "tea", when=time) for time in HOURS}) == 3


@pytest.mark.parametrize("unit", ["m", *NUMPY_UNITS])
def test_attributes_that_are_times_are_dates_in_every_unit(unit):
    times = np.array(HOURS).astype("datetime64[s]").astype(f"datetime64[{unit}]")
    for column in (times, list(times)):
        features = Features.learned({"born": column}, min_rows=1)
        assert str(features.fields[0]).startswith("date, about 2020.0"), str(features)
    ratings = palate.read({"user": ["ann", "bob", "cid"], "item": ["tea"] * 3, "rating": [1, 2, 3]})
    table = ratings.with_users({"user": ["ann", "bob", "cid"], "born": times}).user_table
    assert table["born"].dt.epoch("s").to_list() == HOURS
