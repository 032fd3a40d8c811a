"""Collecting: what a report says of the rows that were read, left out, repeated and not understood."""

import io

import polars as pl
import pytest

from palate.data.reading import read
from palate.data.reading import textfiles as _textfiles
from palate.errors import DataError, LabelTypeError


def text(*lines, header="user,item,rating,time"):
    return io.StringIO("\n".join([header, *lines]) + "\n")


def test_all_rows_are_accounted_for():
    lines = [
        "a,x,1,10",
        "a,y,-1,11",
        ",z,2,12",
        "b,x,3,13",
        "b,x,4,9",
        "b,z,oops,14",
        "c,x,5,15,16",
        "c,z,-1,1",
        "a,x,1,8",
    ]
    found = read(text(*lines), on_bad_rows="report", missing=-1)
    report = found.report
    assert report.rows_read == 9
    assert report.left_out == {"missing: the rating is -1": 2}
    assert sum(report.bad_rows.values()) == 3
    assert (report.bad_rows["no user"], report.bad_rows["the rating is not a number"]) == (1, 1)
    assert (report.duplicates, report.contradictions, report.summed) == (2, 1, 0)
    assert len(found) == 9 - 2 - 3 - 2
    assert found.values.tolist() == [1, 3] and found.times.tolist() == [10, 13]
    assert len(report.bad_examples) == 3
    assert report.columns == {"user": "user", "item": "item", "rating": "rating", "time": "time"}


def test_a_frame_tells_the_same():
    frame = pl.DataFrame(
        {"user": ["a", None, "b"], "item": ["x", "y", "z"], "rating": [1.0, 2.0, None], "other": [1, 2, 3]}
    )
    report = read(frame, on_bad_rows="report").report
    assert (report.rows_read, report.bad_rows) == (3, {"no user": 1, "no rating": 1})
    assert report.bad_examples[0].startswith("row 1 (from 0): (None, 'y', 2.0)")
    assert list(report.unused) == ["other"]


@pytest.mark.parametrize("size", [32, 48, 1 << 16])
def test_blocks_change_nothing(monkeypatch, size):
    """Bad rows, missing ones and repeated ones in later blocks are counted as in the first."""
    lines = [f"u{at % 7},i{at % 5},{at % 4 + 1},{100 - at}" for at in range(60)]
    lines[40], lines[50], lines[55] = "u1,,3,4", "u1,i1,3", "u2,i2,-9,5"
    monkeypatch.setattr(_textfiles, "BLOCK", size)
    found = read(text(*lines), on_bad_rows="report", missing=-9)
    assert found.report.rows_read == 60
    assert sorted(found.report.bad_rows.values()) == [1, 1]
    assert found.report.left_out == {"missing: the rating is -9": 1}
    last = {}
    for at, line in enumerate(lines):
        if at not in (40, 50, 55):
            user, item, rating, time = line.split(",")
            last[user, item] = max(last.get((user, item), (-1, 0)), (int(time), float(rating)))
    users, items = (found.classes[side] for side in ("user", "item"))
    made = {
        (users[user], items[item]): (time, rating)
        for user, item, time, rating in zip(
            found.user_codes, found.item_codes, found.times.tolist(), found.values, strict=True
        )
    }
    assert made == last
    assert found.report.duplicates == 57 - len(last)


def test_times_that_cannot_all_be_read_are_left_out():
    lines = [*(f"a,i{at},1,{at + 10}" for at in range(3)), "b,x,2,", "c,x,2,soon"]
    found = read(text(*lines))
    assert found.times is None
    assert found.report.how["times"].startswith("left out (2 of 5 are missing or cannot be read)")
    assert "time" not in found.report.columns
    with pytest.raises(DataError, match=r"line 5.*no time"):
        read(text(*lines), time="time")
    assert read(text(*lines[:3])).times.tolist() == [10, 11, 12]
    assert (
        "times" not in read(text(*lines[:3])).report.how or "left out" not in read(text(*lines[:3])).report.how["times"]
    )


@pytest.mark.parametrize("name", ["Total", "sum", "Average"])
def test_a_last_user_called_total_is_asked_about(name):
    with pytest.raises(DataError, match=f"the user of the last row, {name!r}, may be a total"):
        read(text("a,x,1,1", f"{name},x,5,2"))
    assert len(read(text(f"{name},x,5,2", "a,x,1,1"))) == 2
    assert len(read(text(f"{name},x,5,2", f"{name},y,1,1"))) == 2  # the only user there is
    assert len(read({"user": ["a", name], "item": ["x", "x"], "rating": [1, 5]})) == 2


def test_events_are_counted_by_what_they_did():
    lines = ["a,x,view", "a,x,buy", "a,y,view", "b,x,return", "b,x,view", "c,x,show", "c,y,buy"]
    found = read(
        text(*lines, header="user,item,event"),
        kind="implicit",
        event={"view": 1, "buy": 5, "return": -1, "show": "ignore"},
    )
    assert found.weights.tolist() == [6, 1, 5]
    assert found.report.left_out == {"an ignored event": 1, "events of a pair that are worth 0 or less": 1}
    assert (found.report.rows_read, found.report.summed, found.report.duplicates) == (7, 2, 0)
    clean = read(text("a,x,view", "b,x,buy", header="user,item,event"), kind="implicit", event={"view": 1, "buy": 5})
    assert clean.report.left_out == {}


def test_choices_without_counts_are_ones():
    found = read(text("a,x", "b,x", "a,x", header="user,item"), kind="implicit")
    assert found.values.tolist() == [1, 1] and found.weights.tolist() == [1, 2]
    assert read(text("a,x", "b,x", header="user,item"), kind="implicit").weights is None


def test_rows_that_a_condition_leaves_out_are_counted():
    lines = ["a,x,1,1", "a,y,5,2", "b,x,4,3"]
    for source in (text(*lines), pl.DataFrame({"user": ["a", "a", "b"], "item": ["x", "y", "x"], "rating": [1, 5, 4]})):
        found = read(source, where="rating >= 4")
        assert found.report.left_out == {"where= is not met": 1}
        assert (found.report.rows_read, len(found)) == (3, 2)
        if isinstance(source, pl.DataFrame):
            assert read(source, where="rating > 0").report.left_out == {}


def test_ids_are_told_of_and_refused_with_the_source():
    found = read(text("7.0,x,1,1", "8.0,x,2,2"))
    assert found.report.how["user ids"] == "17850.0 as 17850" and "item ids" not in found.report.how
    with pytest.raises(LabelTypeError, match=r"the file: item ids such as '7.65612E\+16' were rounded"):
        read(text("a,7.65612E+16,1,1", "b,x,2,2"))


def test_a_person_of_a_file_without_users_rates_each_item_once():
    lines = ["x,1,10", "y,2,11", "z,3,12"]
    found = read(text(*lines, header="item,rating,time"), user="me")
    assert (found.classes["user"], found.report.rows_read) == (["me"], 3)
    assert "user" not in found.report.columns and found.report.columns["item"] == "item"
    with pytest.raises(DataError, match="item 'x' has 2 ratings"):
        read(text(*lines, "x,4,13", header="item,rating,time"), user="me")
    assert len(read(text(*lines, "x,4,13", header="item,rating,time"), user="me", duplicates="last")) == 3
