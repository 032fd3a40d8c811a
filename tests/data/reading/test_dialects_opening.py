"""What stands above the rows of a text file, line by line: separators, titles, comments, a banner."""

import pytest

from palate.data.reading.dialects import Opening, find_opening, is_comment
from palate.errors import DataError

NOTHING = dict.fromkeys(("user", "item", "rating", "time", "weight"))


def opening(text, separator=None, given=NOTHING, min_columns=3):
    return find_opening(text.split("\n"), separator, given, min_columns, "it")


def test_a_line_that_names_the_separator_is_believed_where_it_occurs():
    rows = "a,x|b,y|5\nc,z|d,w|4"
    assert opening("sep=|\n" + rows) == Opening(1, "|")
    assert opening('\n"sep=|",,\n\n' + rows) == Opening(3, "|")
    assert opening("SEP=\\t\na,b\tc,d\t5") == Opening(1, "\t")
    assert opening("sep=;\na,b,5\nc,d,4") == Opening(1, ",")  # no line has it
    assert opening("sep=|\n" + rows, separator=",").separator == ","  # the caller knows better
    assert opening("sep=|") == Opening(1, None)
    assert opening("") == Opening(1, None)


@pytest.mark.parametrize(
    ("header", "n_lines"),
    [
        ("user,item,liking", 2), ("user,item", 2), ("user,item,rating,time", 2), ("user,thing,liking", 0),
        ("who,what,liking", 0), ('"user","item",liking', 2),
    ],
)  # fmt: skip
def test_titles_stand_above_a_header_with_two_known_names(header, n_lines):
    """The header may have one field more or less than the rows; titles of several fields are none without it."""
    found = opening(f"My, list\nof films,\n{header}\na,b,5\nc,d,4\ne,f,3")
    assert found.n_lines == n_lines
    named = opening(f"My, list\nof films,\n{header}\na,b,5\nc,d,4\ne,f,3", given=NOTHING | {"rating": "liking"})
    assert named.n_lines == (2 if "liking" in header else n_lines)  # a name that the caller gives is enough


def test_a_header_much_wider_or_narrower_than_the_rows_is_none():
    rows = "\na,b,5\nc,d,4\ne,f,3"
    assert opening("Films, seen\nuser,item,rating,time" + rows).n_lines == 1
    assert opening("Films, seen\nuser,item,rating,time,more" + rows).n_lines == 0


def test_no_more_than_twenty_titles_are_looked_through():
    for n, found in ((19, 19), (20, 0)):
        titles = "".join(f"title, {'abcdefghijklmnopqrst'[at]}\n" for at in range(n))
        assert opening(titles + "user,item,rating\na,b,5\nc,d,4").n_lines == found


def test_comments_above_the_rows_and_names_in_them():
    rows = "1,2,5\n3,4,4"
    assert opening(rows) == opening("#1fan,2,5\n" + rows) == Opening(0, ",", None, None, None) == Opening(separator=",")
    assert opening("# made by hand\n" + rows) == Opening(1, ",", None, "#")
    assert opening("# user,item,rating\n" + rows) == Opening(1, ",", ["user", "item", "rating"], "#")
    assert opening("#user,item,rating\n" + rows) == Opening(1, ",", ["user", "item", "rating"], None)
    assert opening("# a\n#user,item,rating\n" + rows) == Opening(2, ",", ["user", "item", "rating"], "#")
    assert opening("# user,item\n" + rows).names is None
    assert opening("# a\n\n# user,item,rating\n" + rows) == Opening(3, ",", ["user", "item", "rating"], "#")
    assert opening("# user,item,rating\n# b\n" + rows) == Opening(2, ",", None, "#")
    assert opening("# user,item,rating\nuser,2,5\n" + rows).names == ["user", "item", "rating"]  # one known name
    assert opening('# "user" , item,rating\n' + rows).names == ["user", "item", "rating"]
    assert opening("# who,what,liking\n" + rows, given=NOTHING | {"rating": "liking"}).names is not None
    assert opening("# who,what,liking\n" + rows, given=NOTHING | {"rating": 2}).names is None
    assert opening("# who,what,rating\n" + rows).names is None
    assert opening("% x\n%\n" + rows) == Opening(2, ",", None, "%")
    assert opening("# user,item,rating\nuser,item,stars\n" + rows) == Opening(1, ",", None, "#")  # a header follows


@pytest.mark.parametrize(
    ("line", "n_fields", "told"),
    [("# a", 3, True), ("#", 1, True), ("##a", 3, True), ("#\ta", 3, True), ("#a,b,c", 3, False), ("#a,b", 2, True),
     ("a#", 1, False), ("", 1, False)],
)  # fmt: skip
def test_a_comment_cannot_be_a_row(line, n_fields, told):
    assert is_comment(line, "#", n_fields, 3) == told


def test_the_opening_of_a_matrix_market_file():
    banner, comments = "%%MatrixMarket matrix coordinate real general\n", "% a\n\n%\n"
    for between, n_lines in (("", 2), (comments, 5)):
        found = opening(banner + between + "3 4 2\n1 1 5\n2 2 4")
        assert found == Opening(n_lines, " ", ["user", "item", "rating"], None, 2)
    pattern = opening(banner.replace("real", "pattern") + "3 4 1\n1 1")
    assert pattern.names == ["user", "item"] and pattern.n_rows == 1
    assert opening("\n" + banner.replace("real", "integer") + "3 4 1\n1 1 1").n_lines == 3
    for text, words in (
        (banner.strip(), "line 2: a Matrix Market file has its sizes"), (banner + "3 4\n", "line 2: .* has its sizes"),
        (banner + "% c\n3 4 x\n", "line 3: .* has its sizes"), (banner.replace("general", "symmetric"), "symmetric"),
        (banner.replace("coordinate", "array"), "of another kind"), (banner.replace("real", "complex"), "another kind"),
        (banner.replace("matrix c", "vector c"), "another kind"), ("%%MatrixMarket\n", "another kind"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=words):
            opening(text)


def test_a_title_of_one_field_stands_above_three_columns_of_rows_alike():
    rows = "a,b,5\nc,d,4"
    assert opening("Mine\n\n" + rows).n_lines == 2
    assert opening("Mine\nof today\n" + rows).n_lines == 0  # one title only
    assert opening("Mine,,\n" + rows).n_lines == 1
    assert opening("Mine,of today\n" + rows).n_lines == 0
    assert opening("Mine\na,b,5").n_lines == 0  # one row may be a title too
    assert opening("Mine\n" + rows + "\ne,f").n_lines == 0
    assert opening('Mine\n"a,b",c,5\n' + rows).n_lines == 1
    assert opening("Mine\na,b\nc,d", min_columns=2).n_lines == 0
    assert opening("Mine\n" + rows, min_columns=4).n_lines == 0
    assert opening("Mine\na,b,5,6\nc,d,4,6", min_columns=4).n_lines == 1
    assert opening("1,2,3\nuser,item,rating\n" + rows).n_lines == 0  # a row is no title


def test_a_known_header_may_have_names_that_are_numbers():
    assert opening("Mine, all\nuser,item,3\na,b,5\nc,d,4").n_lines == 1
