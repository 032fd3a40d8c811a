"""Dates and spans that 64 bits can hold and nothing else can are refused in words at every entrance of a table."""

from datetime import date

import polars as pl
import pytest

import palate
from palate.errors import DataError, PalateError

FAR = {
    "milliseconds": pl.Series([2**62, 1, 2]).cast(pl.Datetime("ms")),
    "microseconds": pl.Series([0, 2**62, 2]).cast(pl.Datetime("us")),
    "before the year 1": pl.Series([0, 1, -(2**62)]).cast(pl.Datetime("us")),
    "in a zone": pl.Series([2**62, 1, 2]).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC"),
    "days": pl.Series([2**31 - 1, 1, None], dtype=pl.Int32).cast(pl.Date),
    "days before": pl.Series([-719_163, 1, None], dtype=pl.Int32).cast(pl.Date),
    "spans": pl.Series([2**62, 1, 2]).cast(pl.Duration("ms")),
}
NEAR = {
    "days": pl.Series([date.min, date.max, None]),
    "milliseconds": pl.Series([date.min, date.max, None]).cast(pl.Datetime("ms")),
    "nanoseconds": pl.Series([-(2**63), 2**63 - 1, None]).cast(pl.Datetime("ns")),
    "spans": pl.Series([-(2**62), 2**62, None]).cast(pl.Duration("us")),
    "spans of nanoseconds": pl.Series([2**63 - 1, 1, None]).cast(pl.Duration("ns")),
}


@pytest.fixture(scope="module")
def ratings():
    return palate.read({"user": ["a", "b", "c"], "item": ["x", "y", "z"], "rating": [1, 2, 3]})


def direct(ratings, series):
    sides = {"user_vocabulary": ratings.user_vocabulary, "item_vocabulary": ratings.item_vocabulary}
    table = pl.DataFrame({"day": series})
    return palate.Ratings(ratings.user_codes, ratings.item_codes, ratings.values, **sides, item_table=table)


ENTRANCES = {
    "with_items": lambda ratings, series: ratings.with_items(pl.DataFrame({"item": ["x", "y", "z"], "day": series})),
    "in order": lambda ratings, series: ratings.with_items(pl.DataFrame({"day": series})),
    "directly": direct,
}


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("kind", FAR)
def test_what_is_out_of_range_is_refused(ratings, kind, entrance):
    with pytest.raises(DataError, match=r"beyond the years|cannot be read"):
        ENTRANCES[entrance](ratings, FAR[kind])


@pytest.mark.parametrize("kind", NEAR)
def test_what_is_just_within_can_be_used_and_saved(ratings, kind, tmp_path):
    rec = palate.Mean().fit(direct(ratings, NEAR[kind]))
    rec.save(tmp_path / "m.palate")
    assert palate.load(tmp_path / "m.palate").model.item_table.height == 3
    str(rec.model.item_table)


@pytest.mark.parametrize("kind", FAR)
def test_times_out_of_range_are_refused_in_words(kind):
    columns = {"user": ["a", "b", "c"], "item": ["x", "y", "z"], "rating": [1, 2, 3], "time": FAR[kind]}
    try:
        ratings = palate.read(pl.DataFrame(columns))
    except PalateError:
        return
    assert len(ratings) == 3
