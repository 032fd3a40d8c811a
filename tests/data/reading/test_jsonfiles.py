"""JSON: which of its many forms a text has, and where one ends and the next begins."""

import io
import json

import pytest

from palate.data.reading import read
from palate.data.reading import textfiles as _textfiles
from palate.errors import DataError

RECORDS = [{"user": "ann", "item": "tea", "rating": 5}, {"user": "bob", "item": "jam", "rating": 3}]
ROWS = [("ann", "tea", 5), ("bob", "jam", 3)]


def triples(text, **options):
    text = text if isinstance(text, str) else json.dumps(text)
    ratings = read(io.BytesIO(text.encode()), **options)
    users, items = ratings.user_vocabulary.labels, ratings.item_vocabulary.labels
    return sorted(zip(users[ratings.user_codes], items[ratings.item_codes], ratings.values.tolist(), strict=True))


LIST = [list(record.values()) for record in RECORDS]
COLUMNS = {name: [record[name] for record in RECORDS] for name in RECORDS[0]}


@pytest.mark.parametrize(
    "value",
    [
        RECORDS,
        LIST,
        COLUMNS,
        {"columns": list(COLUMNS), "data": LIST},
        {"columns": list(COLUMNS), "index": [0, 1], "data": LIST},
        {name: dict(enumerate(column)) for name, column in COLUMNS.items()},  # as pandas writes columns,
        dict(enumerate(RECORDS)),  # and an index
        {"ann": {"tea": 5}, "bob": {"jam": 3}},
        {"ratings": RECORDS},
        {"version": 1, "made": "by hand", "tags": [], "ratings": RECORDS},
        {"a": {"b": {"ratings": RECORDS}}},
    ],
)
def test_every_form_is_read(value):
    assert triples(value) == ROWS
    assert triples(json.dumps(value, indent=2)) == ROWS


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"columns": ["user", "item"], "data": LIST}, "different lengths"),
        ([["ann", "tea", 5], ["bob", "jam"]], "different lengths"),
        ([["ann", "tea", 5], {"user": "bob"}], "JSON of another form"),
        (5, "JSON of another form|column"),
        ({"ann": {"tea": True}}, "no column found"),
        ({"a": RECORDS, "b": RECORDS[:1]}, "no column found|lists in"),
    ],
)
def test_other_forms_are_refused(value, told):
    with pytest.raises(DataError, match=told):
        triples(value)


def test_a_first_line_that_is_broken_is_a_bad_row_among_lines():
    for broken in ('{"user": "ann", "item": "a long name of tea", "rating": oops}', '{"user": '):
        text = broken + "\n" + json.dumps(RECORDS[1]) + "\n"
        assert triples(text, on_bad_rows="report") == ROWS[1:]
        with pytest.raises(DataError, match=r"line 1.*not JSON"):
            triples(text)


def test_records_may_stand_one_after_another_in_any_blocks(monkeypatch):
    for size in (64, 100, 1 << 20):
        monkeypatch.setattr(_textfiles, "BLOCK", size)
        for text in ("\n\n".join(json.dumps(r, indent=1) for r in RECORDS), json.dumps(RECORDS, indent=3)):
            assert triples(text) == ROWS


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (json.dumps(RECORDS)[:-1], "the array is not closed"),
        (json.dumps(RECORDS) + " more", "after the array stands 'more'"),
        (json.dumps(RECORDS)[:-9], "not JSON to its end"),
        ("[[" + "9" * 5000 + ", 1, 2], [1, 2, 3]]", "more digits than can be read"),
    ],
)
def test_what_is_no_json_to_its_end_is_refused(text, told):
    with pytest.raises(DataError, match=told):
        triples(text)


def test_objects_in_objects_become_columns_eight_deep():
    def nested(depth):
        inner = {"id": "tea"}
        for _ in range(depth - 1):
            inner = {"x": inner}
        return [{"user": "ann", "x": inner, "rating": 5}] * 2

    name = ".".join(["x"] * 8 + ["id"])
    assert triples(nested(8), item=name) == [("ann", "tea", 5)]
    with pytest.raises(DataError, match="there is no column"):
        triples(nested(9), item="x." + name)


def test_half_a_pair_of_surrogates_is_a_bad_row():
    text = json.dumps([*RECORDS, {"user": "\ud800", "item": "tea", "rating": 5}])
    assert triples(text, on_bad_rows="report") == ROWS
    with pytest.raises(DataError, match="record 2"):
        triples(text)
