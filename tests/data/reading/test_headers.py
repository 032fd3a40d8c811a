"""Headers: names or values in the first row, separators behind the last field, and a name too many or too few."""

import pytest

from palate.data.reading.headers import ends_in_separators, has_header, is_number, names_of_rows


def rows(text):
    return [line.split(",") for line in text.split("/")]


@pytest.mark.parametrize(
    ("text", "min_columns", "expected"),
    [
        ("user,item/a,b", 2, True),  # two common names
        ("user,item,5/a,b,5", 3, True),
        ("item,plays,5/a,3,5", 3, True),
        ("user,time,5/a,3,5", 3, False),  # only users, items and counts count
        ("user,5/a,3", 2, False),  # one of them, beside a number
        ("user,1,2,3/a,5,4,3", 3, True),  # the items of a wide table
        ("a,b,c/x,y,5", 3, True),  # no number
        ("a,b,c", 3, True),
        ("a,b,3/x,y,5", 3, False),
        ("a,b,3 stars/x,y,5 stars", 3, False),
        ("a,b,3;5/x,y,5", 3, True),
        ("a,b,1-2-2020/x,y,5-3-2020", 3, False),  # a date
        ("a,b, 2020.12.31 10:00/x,y,z", 3, False),
        ("a,b,1-2.2020/x,y,z", 3, True),
        ("a,b,1-222-20/x,y,z", 3, True),
        ("a,b/x,y", 2, False),  # with two columns no row need have a number
        ("a,b/x,y", 3, True),
        ("user,b/x,y", 2, True),
        ("a,b/x,5", 2, True),
        ("a,b/5,y", 2, True),
        ("a,b", 2, False),
        ("a,b/x,5/y,z", 2, False),
        ("a,b/x,/y,5/z, ", 2, True),  # blank cells are no values
        ("a,b/x,/y, ", 2, False),
        ("a,b/x,y,z/x,5", 2, True),  # rows of another length say nothing
        ("a,b/x,5/y,z,7", 2, True),
        ("ann,tea,yes/bob,jam,no", 3, False),  # a value of yes and no
        ("ann,tea,yes", 3, True),
        ("ann,tea,yes/bob,jam,7", 3, True),
        ("ann,tea,yes/bob,jam,7,5", 3, False),
        ("ann,tea,yes/bob,jam,no/cid,egg,7,8", 3, False),
        ("ann,tea,y/bob,jam,n", 3, True),  # a column may be called so
        ("ann,tea,up/bob,jam,down", 3, False),
        ("ann,tea,like/bob,jam,dislike", 3, True),
    ],
)
def test_the_first_row_has_names_or_values(text, min_columns, expected):
    assert has_header(rows(text), {"user": None, "item": 0}, min_columns) is expected


def test_a_name_that_the_caller_gives_is_in_the_header():
    sample = rows("who,7,3/a,8,5")
    assert has_header(sample, {"user": "who", "item": 1}, 3)
    assert not has_header(sample, {"user": "whom", "item": 7}, 3)
    assert not has_header(rows(",7,7/a,8,5"), {"user": "", "item": None}, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", True), ("-7.5", True), ("1e5", True), ("nan", True), ("3,5", True), (" +3,5 ", True), ("-30,25", True),
        ("3,5,1", False), ("3,", False), (",5", False), ("", False), ("x", False), ("3.5,1", False),
        ("1" * 100, True), ("1" * 101, False),
    ],
)  # fmt: skip
def test_numbers_with_a_decimal_point_or_comma(text, expected):
    assert is_number(text) is expected


@pytest.mark.parametrize(
    ("text", "header", "min_columns", "expected"),
    [
        ("a,b,5,/c,d,3, ", False, 3, True),
        ("a,b,5,/c,d,3,x", False, 3, False),
        ("a,b,5,/c,d,3,", False, 4, False),  # the last column is needed
        ("a,b,/c,d,/e,f,g,h", False, 2, True),  # what another line ends in says nothing
        ("a,b,/c,d,/e,f,x", False, 2, False),
        ("u,i,r/a,b,5,/c,d,3,", True, 3, True),  # the header ends in a name
        ("u,i,r, /a,b,5,/c,d,3,", True, 3, True),  # or in a separator
        ("u,i,r,note/a,b,5,/c,d,3,", True, 3, False),  # the last column is blank
        ("u,i/a,b,5,/c,d,3,", True, 3, False),
        ("u,i,r,s,/a,b,5,/c,d,3,", True, 3, False),
        ("u,i,r,", True, 3, False),
    ],
)
def test_lines_may_end_in_separators(text, header, min_columns, expected):
    assert ends_in_separators(rows(text), header, min_columns) is expected


@pytest.mark.parametrize(
    ("header", "body", "separator", "names", "how"),
    [
        (" u , i ", "1,a/2,b", ",", "u,i", ""),
        ("u,i", "1,a,x/2,b,y", ",", ",u,i", "without a name for the first column"),
        ("u,i", "r1,a,x/r2,b,y", "\t", ",u,i", "without a name for the first column"),
        ("u,i", "r1,a,x/r2,b,y", " ", ",u,i", "without a name for the first column"),
        ("u,i", "r1,a,x/r2,b,y", ",", "u,i", ""),  # texts are names of rows where R writes them
        ("u,i", "1,a,x/1,b,y", ",", "u,i", ""),  # equal ones are none
        ("u,i", "1,a,x", ",", "u,i", ""),  # one row says nothing
        ("u,i", "1,a,x/2,b", ",", "u,i", ""),
        ("u,i", "1,a,x,y/2,b,x,y", ",", "u,i", ""),
        ("index,u,i", "1,a/2,b", ",", "u,i", "with a first name that no column has"),
        ("Unnamed: 0,u,i", "1,a/2,b", ",", "u,i", "with a first name that no column has"),
        (",u,", "1,a/2,b", ",", ",u", ""),  # a name is left out at one end only
        ("u,i,last", "1,a/2,b", ",", "u,i", "with a last name that no column has (last)"),
        ("u,i,", "1,a/2,b", ",", "u,i", ""),
        ("u,i,last,x", "1,a/2,b", ",", "u,i,last,x", ""),
        ("u,i", "1/2", ",", "u,i", ""),  # a row of one field may be no row
    ],
)
def test_a_header_may_have_a_name_too_many_or_too_few(header, body, separator, names, how):
    assert names_of_rows(header.split(","), rows(body), separator) == (names.split(","), how)
