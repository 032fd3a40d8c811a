"""JSON: which of its many forms a text has, and where one ends and the next begins."""

import io
import json

import pytest

from palate.data.reading import jsonfiles as _jsonfiles
from palate.data.reading import read
from palate.data.reading import textfiles as _textfiles
from palate.data.reading.jsonfiles import _are_lines, _of_values, _record_of_line, _values, is_json
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


# ---- values that are cut anywhere


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('[{"a": [1, "]"]}, 12, "x,y" ]', [{"a": [1, "]"]}, 12, "x,y"]),
        ('{"a": 1}\n{"b": 2},{"c": "é"}', [{"a": 1}, {"b": 2}, {"c": "é"}]),
        (" [ ] ", []),
        ("[[1, 2], [3, 4]]\n", [[1, 2], [3, 4]]),
        ("123 45", [123, 45]),
        ("[123, 45]", [123, 45]),
        ("", []),
    ],
)
def test_values_are_the_same_wherever_the_text_is_cut(text, values):
    data = text.encode()
    assert list(_values([data], "it")) == values
    for first in range(1, len(data)):
        for second in range(first + 1, len(data)):
            assert list(_values([data[:first], data[first:second], data[second:]], "it")) == values
    assert list(_values([data[at : at + 1] for at in range(len(data))], "it")) == values


def test_a_number_behind_the_records_is_not_passed_over():
    with pytest.raises(DataError, match="JSON of another form"):
        triples("\n\n".join(json.dumps(record, indent=1) for record in RECORDS) + "\n5")


def test_a_value_that_is_not_read_within_a_block_is_no_value(monkeypatch):
    """What is broken is told at once, not when all of a large file is in memory."""
    monkeypatch.setattr(_jsonfiles, "BLOCK", 10)
    with pytest.raises(DataError, match="not JSON to its end"):
        list(_values([b'{"a": oops 56789', b"never looked at"], "it"))
    later = iter([b'{"a": oops 5678', b"90", b"never looked at"])
    with pytest.raises(DataError, match="not JSON to its end"):
        list(_values(later, "it"))
    assert next(later) == b"never looked at"


# ---- lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"a": 1}\n{"a": 2}', True), (b'\n {"a": 1}\n{"a": 2}\n', True), (b'{"a": 1}\n', False),
        (b'{"a": 1}', False),
        (b'{"a":\n1}', False), (b'{"a":\n1}\n{"a": 2}', False), (b'{"a": oops}\n{"a": 2}', True), (b'[1,\n2]', False),
        (b'[1]\n[2]', False), (b'{"a": \n{"a": 2}', True), (b'{"a":' * 50_000 + b'\n{}', True), (b'', False),
        (b'{"a": [' + b'[' * 50_000 + b'\n{}', True),
    ],
)  # fmt: skip
def test_text_is_lines_if_the_first_is_a_value_or_the_whole_begins_with_none(text, expected):
    assert _are_lines(text) is expected


def test_a_value_of_several_lines_may_fill_the_first_block(monkeypatch):
    """It ends in the second half of the block, where the block ends; broken before, it is a broken line."""
    whole = b'{"a":\n[' + b"1, " * 20 + b"1"
    monkeypatch.setattr(_jsonfiles, "BLOCK", len(whole))
    assert not _are_lines(whole)
    assert _are_lines(whole[:-1])
    for place, expected in ((len(whole) // 2, True), (len(whole) // 2 + 1, False)):
        broken = b'{"a":\n"' + b"1" * (place - 8) + b'"x' + b"2" * (len(whole) - place - 1)
        assert _are_lines(broken) is expected


@pytest.mark.parametrize(
    ("line", "record", "reason"),
    [
        (b' {"a": {"b": 1, "c": {"d": 2}}, "e": [3]} ', {"a.b": 1, "a.c.d": 2, "e": [3]}, None),
        (b"  ", {}, "a blank line"), (b"[1]", {}, "not a JSON object"), (b"5", {}, "not a JSON object"),
        (b"x", {}, "not JSON"),
        (b"[" * 100_000, {}, "nested too deeply"), (b"{'a': 'b', 5: None}", {"a": "b", "5": None}, None),
        (b"{'a': 'b', }x", {}, "not JSON"), (b"{'a': open('x')}", {}, "not JSON"), (b"{'a', 'b'}", {}, "not JSON"),
        (b'{"a": "\\ud800"}', {}, "text with half of a pair of surrogates"),
        (b'{"a": "\\ud83c\\udfac"}', {"a": "🎬"}, None),
        (b'{"\\udc00": 1}', {}, "text with half of a pair of surrogates"),
    ],
)  # fmt: skip
def test_a_line_is_a_record_or_says_why_not(line, record, reason):
    assert _record_of_line(line, 7) == (record, 7, reason)


@pytest.mark.parametrize(
    ("head", "suffix", "expected"),
    [
        (b"x", ".json", True), (b"x", ".jsonl", True), (b"x", ".ndjson", True), (b"x", ".csv", False),
        (b'[{"a"', ".csv", True),
        (b"[1, 2]", "", False), (b"[[1, 2]]", "", True), (b"{'a': 'b'", "", True), (b"{a}", "", False),
        (b"{}", "", True),
    ],
)  # fmt: skip
def test_json_is_told_by_its_name_or_its_first_bytes(head, suffix, expected):
    assert is_json(head, suffix) is expected


# ---- which form an object has


def of(value):
    found = _of_values([value] if isinstance(value, dict) else value, "it")
    return found.names, [list(record.values()) for record, _, _ in found.records], found.named, found.place.format(3)


RATING = {"user": "ann", "item": "tea"}


@pytest.mark.parametrize(
    ("value", "names", "rows", "named", "place"),
    [
        ([[1, 2], [3, 4]], ["column_1", "column_2"], [[1, 2], [3, 4]], False, "row 3 (from 0)"),
        ([{"a": 1}, {"b": 2}], ["a", "b"], [[1], [2]], True, "record 3 (from 0)"),
        ({"a": [1, 2], "b": [3, 4]}, ["a", "b"], [[1, 3], [2, 4]], True, "row 3 (from 0)"),
        ({"a": [1, 2], "b": [3]}, ["a", "b"], [[[1, 2], [3]]], True, "record 3 (from 0)"),
        ({"a": [1, 2]}, ["a"], [[[1, 2]]], True, "record 3 (from 0)"),
        ({"a": [1, 2], "b": 3}, ["a", "b"], [[[1, 2], 3]], True, "record 3 (from 0)"),
        ({"columns": ["a", 5], "data": [[1, 2]]}, ["a", "5"], [[1, 2]], True, "row 3 (from 0)"),
        ({"columns": ["a"], "data": 5}, ["columns", "data"], [[["a"], 5]], True, "record 3 (from 0)"),
        ({"user": {"0": "ann"}, "item": {"0": "tea"}}, ["user", "item"], [["ann", "tea"]], True, "row 3 (from 0)"),
        ({"0": RATING, "1": RATING}, ["user", "item"], [["ann", "tea"]] * 2, True, "record 3 (from 0)"),
        ({"ann": {"tea": 5}, "bob": {"jam": 3.5}}, ["user", "item", "rating"], [["ann", "tea", 5],
        ["bob", "jam", 3.5]], True,
         "row 3 (from 0)"),
        ({"ann": {"tea": 5}, "bob": {}}, ["ann.tea"], [[5]], True, "record 3 (from 0)"),
        ({"n": 2, "all": [RATING]}, ["user", "item"], [["ann", "tea"]], True, "record 3 (from 0)"),
        ({"user": "ann", "all": [RATING]}, ["user", "all"], [["ann", [RATING]]], True, "record 3 (from 0)"),
        ({"a": [RATING], "b": [RATING, RATING]}, ["a", "b"], [[[RATING], [RATING] * 2]], True, "record 3 (from 0)"),
        ({"a": [], "b": [RATING]}, ["user", "item"], [["ann", "tea"]], True, "record 3 (from 0)"),
    ],
)  # fmt: skip
def test_an_object_holds_columns_or_records_or_ratings(value, names, rows, named, place):
    assert of(value) == (names, rows, named, place)


def test_rows_and_columns_have_one_length():
    for value in (
        [[1, 2], [3]],
        [[1, 2], 5],
        {"columns": ["a"], "data": [[1, 2]]},
        {"columns": ["a"], "data": [[1], 5]},
    ):
        with pytest.raises(DataError, match=r"different lengths|JSON of another form"):
            of(value)
    with pytest.raises(DataError, match="the columns have different lengths"):
        of({"user": {"0": "ann", "1": "bob"}, "item": {"0": "tea"}})
    for value in ([], [1, 2], [{"a": 1}, [1]], {"n": 2, "all": [RATING, 5]}):
        with pytest.raises(DataError, match="JSON of another form"):
            of(value)
    with pytest.raises(DataError, match="has no JSON objects"):
        of([{}, {}])
    with pytest.raises(DataError, match=r"record 0 \(from 0\) cannot be used: text with half"):
        of([{"a": "\ud800"}])
