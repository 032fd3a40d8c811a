"""Tables: their ids meet the labels, one row for each; what is left out is noted, and what is lacking explained."""

import io

import polars as pl
import pytest

from palate.data.reading.tables import has_header, is_in_order, joined_table, plain_columns, typed_column
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError, OptionError

TEXTS, NUMBERS = Vocabulary(["a", "b", "c"], what="item"), Vocabulary([7, 8, 9], what="item")


def joined(source, vocabulary=TEXTS, *, strict=True, **options):
    return joined_table(
        io.StringIO(source) if isinstance(source, str) else source, vocabulary, strict=strict, **options
    )


# ---- a frame in the order of the codes, or with labels


@pytest.mark.parametrize(
    ("columns", "vocabulary", "expected"),
    [
        ({"price": [1.0, 2.0, 3.0]}, TEXTS, True),
        ({"ID ": [1.0, 2.0, 3.0]}, TEXTS, False),
        ({"price": [1.0], "movieId": ["x"]}, TEXTS, False),
        ({"price": [1.0], "userId": ["x"]}, TEXTS, True),
        ({}, TEXTS, True),
        ({"x": ["a", "y", "z", "z"]}, TEXTS, False),  # one label is enough where the rows are not those of the codes
        ({"x": ["v", "y", "z", "z"]}, TEXTS, True),
        ({"x": ["a", "b", "z"]}, TEXTS, False),  # most are labels, none twice
        ({"x": ["a", "b", "b"]}, TEXTS, True),
        ({"x": ["a", "y", "z"]}, TEXTS, True),
        ({"x": [7, 8, 1]}, NUMBERS, False),
        ({"x": [7, 1, 2]}, NUMBERS, True),
        ({"x": [7.0, 8.0, 9.0]}, NUMBERS, True),
        ({"x": ["a", "b", "y", "z"]}, Vocabulary(["a", "b", "c", "d"], what="item"), True),  # half is not most
        ({"y": [1.5, 2.5, 3.5], "x": ["a", "b", "c"]}, TEXTS, True),  # only the first column can be
    ],
)
def test_a_frame_without_labels_is_in_the_order_of_the_codes(columns, vocabulary, expected):
    assert is_in_order(pl.DataFrame(columns), vocabulary) is expected


def test_only_frames_of_polars_are_in_order():
    assert not is_in_order({"price": [1.0, 2.0, 3.0]}, TEXTS)


def test_columns_without_meaning_become_text():
    frame = pl.DataFrame({"a": [1], "b": pl.Series([object()], dtype=pl.Object)})
    assert plain_columns(frame).dtypes == [pl.Int64, pl.String]


# ---- joining


def test_each_label_has_its_row_and_the_rest_is_noted():
    source = {"item": ["c", "b", "x", None, "b", " "], "price": [3, 2, 0, 4, 5, 6]}
    found = joined(source)
    assert found.table.to_dict(as_series=False) == {"price": [None, 5, 3]}
    assert found.vocabulary is TEXTS
    assert found.notes == (
        "items: 2 rows without a usable id left out",
        "items: 1 row for items without ratings left out",
        "items: 1 row with a repeated id, the last kept",
    )
    assert found.lacking == (1, 3, "")


def test_a_table_with_all_rows_has_no_notes():
    found = joined({"item": ["c", "b", "a"], "price": [3, 2, 1]})
    assert found.table["price"].to_list() == [1, 2, 3]
    assert (found.notes, found.lacking) == ((), (0, 3, ""))
    assert joined(None) == (None, TEXTS, (), (0, 0, ""))


def test_what_has_no_rating_can_be_kept():
    source = {"item": ["x", "a", "x", None], "price": [1, 2, 3, 4]}
    found = joined(source, unrated="keep")
    assert found.vocabulary.labels.tolist() == ["a", "b", "c", "x"]
    assert found.table["price"].to_list() == [2, None, None, 3]
    assert found.notes == (
        "items: 1 row without a usable id left out",
        "items: 1 row with a repeated id, the last kept",
    )
    assert joined({"item": ["a"], "price": [2]}, unrated="keep").vocabulary is TEXTS
    with pytest.raises(OptionError, match="unrated"):
        joined(source, unrated="all")


@pytest.mark.parametrize("ids", [["7", "008", "9.5", "x", "", "-9", "+7"], [7.0, None, 3.0]])
def test_ids_meet_integers_where_they_are_written_as_such(ids):
    found = joined({"item": ids, "price": range(len(ids))}, NUMBERS)
    assert found.table["price"].to_list() == [0, None, None]


def test_numbers_meet_labels_of_text():
    assert joined({"item": [9, 7], "price": [1, 2]}, Vocabulary(["7", "8"], what="item")).table["price"].to_list() == [
        2,
        None,
    ]


def test_a_table_of_other_ids_is_refused():
    with pytest.raises(
        DataError, match=r"the mapping has none of the 3 items\. They are like \['a', 'b', 'c'\]"
    ) as told:
        joined({"price": ["p", "q", "r", "s"], "item": ["v", "x", "y", "z"]})
    assert "the ids in its column 'item' are like ['v', 'x', 'y']. Name the column of ids" in str(told.value)
    assert joined({"item": ["v"], "price": [1]}, Vocabulary([], what="item")).table.shape == (0, 1)


@pytest.mark.parametrize(
    ("labels", "ids", "why"),
    [
        (["A", "B", "x"], ["a", "b", "x"], "Only upper and lower case separate 2 of them from a row, such as 'A' in"),
        (["a ", "b", "x"], ["a", "q", "x"], "Only blanks separate 1 of them from a row, such as 'a ' in the ratings"),
        (["07", "0", "x"], ["7", "00", "x"], "Only leading zeros separate 2 of them"),
        (["7.0", "x"], ["7", "x"], "Only a closing .0 separate 1 of them from a row, such as '7.0' in the ratings and"),
        (["07.0", "x"], ["7", "x"], "Only blanks, case, leading zeros or a closing .0 separate 1 of them"),
        ([" A", "B", "x"], ["a", "b", "x"], "Only blanks, case, leading zeros or a closing .0 separate 2 of them"),
        (["A", "b", "x"], ["q", "r", "x"], ""),
        (["A", "x"], ["a", "a ", "x"], "Only upper and lower case separate 1 of them from a row, such as 'A' in"),
    ],
)
def test_labels_that_only_their_spelling_separates_are_told(labels, ids, why):
    vocabulary = Vocabulary(labels, what="item")
    n_lacking, n, says = joined({"item": ids, "price": range(len(ids))}, vocabulary).lacking
    assert (n_lacking, n) == (len(set(labels) - set(ids)), len(labels))
    assert says.startswith(why) and bool(says) == bool(why)


def test_the_first_of_two_like_spellings_is_the_example():
    assert (
        joined({"item": ["a", "Ab", "aB"], "x": [1, 2, 3]}, Vocabulary(["a", "AB"], what="item"))
        .lacking[2]
        .endswith("such as 'AB' in the ratings and 'Ab' in the table: spell them alike.")
    )


# ---- the column of ids


@pytest.mark.parametrize(
    ("names", "label", "ids"),
    [
        (["x", "id", "movieId"], None, "movieId"), (["x", "Id", "y"], None, "Id"), (["x", "y", "z"], None, "x"),
        (["x", "id", "movieId"], "x", "x"), (["x", "id", "movieId"], 0, "x"), (["x", "userId", "y"], None, "x"),
        (["x", "movieId", "filmId"], None, "movieId"),
    ],
)  # fmt: skip
def test_ids_stand_in_the_named_column_or_a_common_or_the_first(names, label, ids):
    columns = {name: ["c", "a"] if name == ids else [f"{name}1", f"{name}2"] for name in names}
    table = joined(columns, label=label).table
    rest = [name for name in names if name != ids]
    assert table.columns == rest
    assert table[rest[0]].to_list() == [f"{rest[0]}2", None, f"{rest[0]}1"]
    text = "\n".join(map(",".join, [names, *zip(*columns.values(), strict=True)]))
    assert joined(text + "\n", label=label).table.equals(table)


def test_without_names_ids_stand_first():
    found = joined((["b", "a"], [1, 2]))
    assert found.table.to_dict(as_series=False) == {"column_2": [2, 1, None]}
    text = "b,Bread,5\na,Apple,4\n"
    assert joined(text).table.to_dict(as_series=False) == {"title": ["Apple", "Bread", None], "column_3": [4, 5, None]}
    users = Vocabulary(["a", "b"], what="user")
    assert joined(text, users).table.columns == ["column_2", "column_3"]
    assert joined("b,7,5\na,8,4\n").table.columns == ["column_2", "column_3"]
    assert joined("Bread,b,5\nApple,a,4\n", label=1).table.columns == ["column_1", "column_3"]


def test_bad_rows_of_a_text_file_are_raised_or_noted():
    text = "item,price\na,1\nb,2,3\nc,4\nb,5,6\n"
    with pytest.raises(DataError, match="line 3"):
        joined(text)
    found = joined(text, strict=False)
    assert found.table["price"].to_list() == [1, None, 4]
    (note,) = found.notes
    assert note.startswith("items: 2 rows left out, such as line 3")
    assert joined("item,price\na,1\nb,2,3\n", strict=False).notes[0].startswith("items: 1 row left out")


def test_ids_of_text_files_are_read_as_meant():
    assert joined("item,x,\na,1,\nb,2,\n").table.to_dict(as_series=False) == {"x": [1, 2, None]}
    assert joined("c\na\n").table.shape == (3, 0)
    assert joined('item,x\n" a",1\nb ,2\n').table["x"].to_list() == [1, 2, None]
    assert joined("item,x\n7.0,1\n8.0,2\n", NUMBERS).table["x"].to_list() == [1, 2, None]


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "-20", "0", ""], [1, -20, 0, None]), (["1", "NA"], [1, None]), (["9" * 18], [int("9" * 18)]),
        (["1" * 19], None), (["01", "2"], None), (["1.5", "2"], [1.5, 2.0]), (["1.5", "-02"], None),
        (["-0.5", "1"], [-0.5, 1.0]), (["1.5", "x"], None), (["1.", "2.5"], None), ([".5"], None),
        (["", "NA"], [None, "NA"]), (["", ""], [None, None]),
        (["1e5"], None), (["-01"], None), (["01.5"], None), (["+1"], None), (["-0"], None),
    ],
)  # fmt: skip
def test_columns_of_text_become_numbers_if_all_values_are(texts, values):
    found = typed_column(pl.Series("x", texts))
    expected = texts if values is None else values
    assert found.to_list() == expected
    assert {type(value) for value in found if value is not None} == {
        type(value) for value in expected if value is not None
    }


# ---- names in the first row


@pytest.mark.parametrize(
    ("rows", "label", "expected"),
    [
        ("id,x/a,y", None, True), ("x,movieId/a,y", None, True), ("x,y/q,a", "y", True), ("x,y/q,a", "z", False),
        ("x,y/a,z", None, True), ("a,y/b,z", None, False), ("x,y/q,z", None, False), ("x,y", None, False),
        ("x1,y/a2,z", None, False), ("x1,y/a,z", None, True), ("x,y/q,a", 1, True), ("x,y/q,a", -1, True),
        ("x,y/q,a", 2, False), ("x,y/a,q", -2, True), ("x,y/q,a", -3, False), ("x,y/q/q,a", 1, True),
        ("x,y/q,z/q,a", None, False), ("x,y/q,z/b,a", None, True), ("userId,y/q,z", None, False),
    ],
)  # fmt: skip
def test_the_first_row_of_a_table_has_names_or_values(rows, label, expected):
    assert has_header([row.split(",") for row in rows.split("/")], TEXTS, label) is expected


def test_an_id_with_digits_is_a_value_like_those_below():
    labels = Vocabulary(["7", "8"], what="item")
    assert not has_header([["9", "x"], ["7", "y"]], labels)
    assert has_header([["n", "x"], ["7", "y"]], labels)
    assert joined("9,1\n7,2\n", labels).table.to_dict(as_series=False) == {"column_2": [2, None]}
