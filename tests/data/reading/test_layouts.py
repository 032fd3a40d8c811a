"""Files whose lines are no rows, where one reading ends and the next begins."""

import io

import pytest

from palate.data.reading import read
from palate.data.reading import textfiles as _textfiles
from palate.data.reading.layouts import find_layout
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
        (["1:", "5,3,2005-09-06"], True), (["1:"], False), (["1:", "2:"], False), (["", "1:", "5,3,2005-09-06"], True),
        (["5,3,2005-09-06", "1:"], False),
    ):  # fmt: skip
        found = find_layout(lines, given, 3, "it")
        assert (found is not None and found.names == ["item", "user", "rating", "time"]) == is_one


def test_an_svmlight_file_is_refused():
    given = dict.fromkeys(("user", "item", "rating", "time"))
    with pytest.raises(DataError, match="svmlight"):
        find_layout(["5 1:1 7:1", "3 2:1 9:0.5"], given, 3, "it")
