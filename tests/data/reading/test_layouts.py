"""Files whose lines are no rows, where one reading ends and the next begins."""

import io

import pytest

from palate.data.reading import read
from palate.data.reading import textfiles as _textfiles
from palate.data.reading.layouts import ItemLists, NetflixPrize, find_layout
from palate.data.reading.textfiles import Block
from palate.errors import DataError


def pairs(data, **options):
    data = data if isinstance(data, bytes) else data.encode()
    ratings = read(io.BytesIO(data), **{"kind": "implicit", **options})
    users, items = ratings.user_vocabulary.labels, ratings.item_vocabulary.labels
    return set(zip(users[ratings.user_codes].tolist(), items[ratings.item_codes].tolist(), strict=True))


def listed(lists, mark=" "):
    return "".join(mark.join(items) + "\n" for items in lists)


LISTS = [["a", "b", "c"], ["d", "e"], ["f", "g", "h", "i"], ["j", "k"]]
BY_USER = {(user, item) for user, *items in LISTS for item in items}


def test_lists_have_three_lengths_and_none_of_them_more_than_half_of_the_lines():
    with pytest.raises(DataError, match="lines of different length"):
        pairs(listed(LISTS))
    assert pairs(listed(LISTS), user=0) == BY_USER
    for rows in ([*LISTS, ["l", "m"]], [["a", "b", "c"], ["d", "e"]] * 2):
        with pytest.raises(DataError) as told:
            pairs(listed(rows))
        assert "lines of different length" not in str(told.value)


def test_whoever_says_that_lines_are_lists_is_believed_below_nine_tenths():
    nine = [[f"u{at}", f"i{at}"] for at in range(9)]
    with pytest.raises(DataError, match="wrong number of fields"):
        pairs(listed([*nine, ["v", "x", "y"]]), user=0)
    found = pairs(listed([*nine[:8], ["v", "x", "y"]]), user=0)
    assert found == {tuple(row) for row in nine[:8]} | {("v", "x"), ("v", "y")}


def test_what_the_first_field_is_can_be_said():
    assert pairs(listed(LISTS), user=0, item=1) == BY_USER
    by_line = {(str(line), item) for line, items in enumerate(LISTS) for item in items}
    assert pairs(listed(LISTS), item=0) == by_line
    for other in ({"user": 1, "item": 0}, {"item": 1}):
        with pytest.raises(DataError):
            pairs(listed(LISTS), **other)


@pytest.mark.parametrize("mark", ["\t", ",", ";", "|", " "])
def test_lists_of_any_separator(mark):
    assert pairs(listed(LISTS, mark), user=0) == BY_USER
    padded = listed([[f" {text} " for text in items] for items in LISTS], mark)
    if mark == " ":
        with pytest.raises(DataError, match="fixed width"):
            pairs(padded, user=0)
    else:
        assert pairs(padded, user=0) == BY_USER


def test_users_are_counted_from_any_number_on():
    lists = [["7", "a", "b", "c"], ["8", "d"], ["9", "e", "f"], ["10", "g"]]
    assert pairs(listed(lists)) == {(user, item) for user, *items in lists for item in items}
    with pytest.raises(DataError, match="user=0"):
        pairs(listed([["11", *lists[0][1:]], *lists[1:]]))


def test_a_count_that_is_wrong_is_a_bad_row(monkeypatch):
    monkeypatch.setattr(_textfiles, "BLOCK", 128)
    good = [["2", "a", "b"], ["1", "c"], ["3", "d", "e", "f"], ["1", "g"]] * 300
    wrong = [*good, ["3", "x", "y"], ["1", "z"]]
    with pytest.raises(DataError, match=r"line 1201.*not the number of items"):
        pairs(listed(wrong))
    found = pairs(listed(wrong), on_bad_rows="report")
    assert ("1201", "z") in found
    assert not {item for user, item in found if user == "1200"}


def test_comments_stand_anywhere_if_the_first_line_is_one():
    text = "# lists\n" + listed(LISTS[:2]) + "# in between\n" + listed(LISTS[2:])
    assert pairs(text, user=0) == BY_USER
    assert pairs(listed(LISTS) + "# 1\n", user=0) == BY_USER | {("#", "1")}


def test_names_in_the_first_five_lines_are_those_of_a_table():
    titles = ["a b c d", "e", "f g", "h i j"]
    with pytest.raises(DataError) as told:
        pairs("\n".join([*titles, "user item", *titles]))
    assert "lists of items" not in str(told.value)
    with pytest.raises(DataError, match="lists of items"):
        pairs("\n".join([*titles, "k l m", "user item", *titles]))


def test_bytes_that_are_no_text_are_bad_rows_of_lists(monkeypatch):
    monkeypatch.setattr(_textfiles, "BLOCK", 128)
    data = "# läists\n".encode() + listed(LISTS * 40).encode() + b"u \xff\xfe x\n"
    with pytest.raises(DataError, match=r"line 162.*not UTF-8 text"):
        pairs(data, user=0)


def test_items_of_a_netflix_file_end_where_the_next_begins(monkeypatch):
    rows = {str(item): [f"{user},{1 + user % 5},2005-01-0{1 + user % 9}" for user in range(item)] for item in (2, 1, 7)}
    text = "".join(f"{item}:\n" + "".join(f"{row}\n" for row in own) for item, own in rows.items())
    expected = {(row.split(",")[0], item) for item, own in rows.items() for row in own}
    for size in (32, 48, 64, 1000):
        monkeypatch.setattr(_textfiles, "BLOCK", size)
        assert pairs(text, kind="explicit") == expected
        assert pairs(text.rstrip("\n"), kind="explicit") == expected
    for wrong in ("5,3\n", "5,3,2005-01-01,x\n"):
        with pytest.raises(DataError, match=r"line 14.*not user,rating,date"):
            pairs(text + wrong, kind="explicit")


def test_one_line_is_no_netflix_file():
    with pytest.raises(DataError, match="nothing separates the fields"):
        pairs("7:\n", kind="explicit")


@pytest.mark.parametrize("banner", ["%%MatrixMarket", "%%matrixmarket"])
def test_a_matrix_market_file_is_no_list_of_items(banner):
    """Its comments and sizes are lines of many lengths."""
    lines = [
        f"{banner} matrix coordinate pattern general",
        "% made",
        "% by nobody in particular",
        "2 3 2",
        "1 1",
        "2 3",
    ]
    given = dict.fromkeys(("user", "item", "count", "time"))
    for above in ([], ["", " "]):
        assert find_layout([*above, *lines], given, 2, "it") is None
        assert find_layout([*above, *lines], given | {"user": 0}, 2, "it") is None
    without = [" ".join(items) for items in LISTS]
    assert find_layout(without, given | {"user": 0}, 2, "it").first == "user"
    assert find_layout([], given, 2, "it") is None and find_layout([""], given, 2, "it") is None


def test_a_netflix_file_begins_with_an_item_and_a_row():
    given = dict.fromkeys(("user", "item", "rating", "time"))
    for lines, is_one in (
        (["1:", "5,3,2005-09-06"], True), (["1:"], False), (["1:", "2:"], False), (["", "1:", "5,3,2005-09-06"],
        True),
        (["5,3,2005-09-06", "1:"], False),
    ):  # fmt: skip
        found = find_layout(lines, given, 3, "it")
        assert (found is not None and found.names == ["item", "user", "rating", "time"]) == is_one


def test_an_svmlight_file_is_refused():
    given = dict.fromkeys(("user", "item", "rating", "time"))
    with pytest.raises(DataError, match="svmlight"):
        find_layout(["5 1:1 7:1", "3 2:1 9:0.5"], given, 3, "it")


# ---- function by function

GIVEN = dict.fromkeys(("user", "item", "count", "time"))


def block(text, line=1):
    return Block(line, text if isinstance(text, bytes) else text.encode())


def shown(found):
    return found.frame.rows(), found.lines, found.reasons


def test_rows_of_a_netflix_file_go_on_where_the_block_before_ended():
    layout = NetflixPrize()
    assert layout.rows(block("5,3,2005-01-01\n")).frame.rows() == [(None, "5", "3", "2005-01-01")]
    found = layout.rows(block("7:\r\n5,3,2005-01-01 \n6,x\n8: \n9,1,2005-01-02,y,z\n", 11))
    assert found.frame["item"].to_list() == ["7", "7", "8"]
    assert found.frame["user"].to_list() == ["5", "6", "9"]
    assert (found.lines, found.reasons) == ([12, 13, 15], {1: "not user,rating,date", 2: "not user,rating,date"})
    assert layout.rows(block("5,3,2005-01-01\n")).frame.rows() == [("8", "5", "3", "2005-01-01")]
    assert layout.fresh().item is None and layout.how == {"layout": "Netflix Prize, item by item"}


@pytest.mark.parametrize(
    ("first", "text", "rows", "lines", "reasons"),
    [
        ("user", "u,a,b\nv,c\n", [("u", "a"), ("u", "b"), ("v", "c")], [5, 5, 6], {}),
        ("item", "u,a\nv\n", [("u", "4"), ("a", "4"), ("v", "5")], [5, 5, 6], {}),
        ("count", "2,a,b\n1,c\n", [("4", "a"), ("4", "b"), ("5", "c")], [5, 5, 6], {}),
        ("count", "2,a\n1,c\n", [(None, None), ("5", "c")], [5, 6], {0: "the first field is not the number of items"}),
        ("user", "u, a ,,b\n\nv\n", [("u", "a"), ("u", "b")], [5, 5], {}),
        ("user", 'u,"a,b",c\n', [("u", "a,b"), ("u", "c")], [5, 5], {}),
        ("user", "# x,y\nu,a\n", [("u", "a")], [6], {}),
        ("user", b"u,\xff\nv,b\n", [(None, None), ("v", "b")], [5, 6], {0: "not UTF-8 text"}),
    ],
)
def test_lines_become_choices(first, text, rows, lines, reasons):
    layout = ItemLists(",", first, "#")
    found = layout.rows(block(text, 5))
    assert layout.names == (["item", "user"] if first == "item" else ["user", "item"])
    assert (found.lines, found.reasons) == (lines, reasons)
    assert found.frame.columns == layout.names
    assert found.frame.select("user", "item").rows() == [row[::-1] if first == "item" else row for row in rows]
    assert layout.fresh() is layout


def test_without_a_mark_for_comments_there_are_none():
    assert ItemLists(",", "user").rows(block("#u,a\n")).frame.rows() == [("#u", "a")]


def test_how_lists_are_read_is_told():
    assert ItemLists(",", "user").how["layout"] == "lists of items, the first field is the user"
    assert ItemLists(",", "count").how["layout"].endswith("the first field counts them, the line is the user (from 0)")
    assert ItemLists("\t", "item").how == {
        "separator": "tab",
        "layout": "lists of items, the line is the user (from 0)",
    }


def first_of(text, given=None, min_columns=2):
    found = find_layout(text.split("/"), GIVEN | (given or {}), min_columns, "it")
    return found and (found.separator, found.first, found.comment)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7 a b c/8 d/9 e f/10 g", (" ", "user", None)), ("3 a b c/1 d/2 e f/1 g", (" ", "count", None)),
        ("a,b,c/c,d/e,f,g,h/i,j", (",", "item", None)), ("# x/7 a b c/8 d/9 e f/10 g", (" ", "user", "#")),
        ("7|a|b|c/8|d/9|e|f/10|g", ("|", "user", None)), ("7;a;b;c/8;d/9;e;f/10;g", (";", "user", None)),
        ("7\ta b\tb\tc/8\td/9\te\tf/10\tg", ("\t", "user", None)), ("7 a/8 d/9 e/10 g", None),
        ("7 a b/8 d/9 e f/10 g", None),
        ("7 a b c/8 d/9 e f/10 g/11 h/12 i", None),
    ],
)  # fmt: skip
def test_what_the_first_field_of_lists_is(text, expected):
    assert first_of(text) == expected


def test_lists_are_asked_about_or_said():
    text = "a b c d/e f/g h i/j k"
    with pytest.raises(DataError, match="pass user=0; if each line is a basket"):
        first_of(text)
    with pytest.raises(DataError, match='pass kind="implicit"'):
        first_of(text + "/l m n o p", min_columns=3)
    assert first_of(text, min_columns=3) is None
    assert first_of(text, {"user": 0}) == (" ", "user", None)
    assert first_of(text, {"user": 0, "item": 1}) == (" ", "user", None)
    assert first_of(text, {"item": 0}) == (" ", "item", None)
    for given in ({"user": "a"}, {"user": 0, "item": "b"}):
        assert first_of(text, given) is None
    for given in ({"user": 1}, {"user": 0, "item": 2}, {"item": 1}, {"item": False}, {"user": False}):
        with pytest.raises(DataError, match="pass user=0"):
            first_of(text, given)


def test_only_the_first_thousand_lines_are_looked_at():
    lists = ["7 a b c", "8 d", "9 e f", "10 g"] + [f"{at} x y z w"[: 4 + at % 3 * 2] for at in range(11, 20)]
    lines = [f"u{at} i{at}" for at in range(1000)]
    assert find_layout([*lines, *lists * 200], GIVEN, 2, "it") is None
