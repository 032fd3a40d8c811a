"""read(where=): only rows that meet a condition are read, from files and frames alike."""

import polars as pl
import pytest

import palate
from palate.errors import DataError, OptionError

ROWS = pl.DataFrame(
    {
        "user": ["ann", "ann", "bob", "cid"],
        "item": ["tea", "jam", "tea", "jam"],
        "rating": [5, 3, 4, 1],
        "verified": ["Y", "N", "Y", "Y"],
        "year": [2009, 2011, 2012, 2013],
    }
)


def sources(tmp_path):
    for ending, write in (("csv", ROWS.write_csv), ("parquet", ROWS.write_parquet), ("jsonl", ROWS.write_ndjson)):
        write(tmp_path / f"r.{ending}")
        yield tmp_path / f"r.{ending}"
    yield ROWS
    yield ROWS.to_pandas()
    yield ROWS.to_dict(as_series=False)


def test_rows_that_meet_a_condition(tmp_path):
    for source in sources(tmp_path):
        ratings = palate.read(source, where="verified = 'Y' AND year >= 2010")
        with palate.set_output("polars"):
            rows = set(ratings.to_frame().select("user", "item", "rating").rows())
        assert rows == {("bob", "tea", 4), ("cid", "jam", 1)}
        assert ratings.report.left_out == {"where= is not met": 2}
        assert list(ratings.user_vocabulary) == ["bob", "cid"]


def test_bad_rows_are_still_seen_and_those_left_out_are_not(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("user,item,rating,year\nann,tea,5,2001\nbob,tea,bad,2001\ncid,jam,4,2020\ndan,jam,bad,2021\n")
    with pytest.raises(DataError, match="line 5: 'dan,jam,bad,2021'"):
        palate.read(path, item="item", where="year > 2010")
    report = palate.read(path, item="item", where="year > 2010", on_bad_rows="report").report
    assert report.bad_rows == {"the rating is not a number": 1}
    assert report.left_out == {"where= is not met": 2}


@pytest.mark.parametrize("where", ["price > 3", "year >", "year", "verified = 'Y' AND nothing = 1"])
def test_conditions_that_do_not_fit_are_refused_in_words(where):
    with pytest.raises(DataError, match="where="):
        palate.read(ROWS, where=where)


def test_refusals():
    with pytest.raises(OptionError, match="condition as text"):
        palate.read(ROWS, where=3)
    with pytest.raises(OptionError, match="wide table"):
        palate.read(ROWS, where="year > 2010", wide=True)


def test_nothing_may_be_left():
    assert len(palate.read(ROWS, where="year > 3000")) == 0
