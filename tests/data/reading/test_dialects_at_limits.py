"""Dialects where one reading ends and the next begins: titles, comments, separators, quotes, headers, names of rows."""

import io

import pytest

from palate.data.reading import read
from palate.data.reading.dialects import (
    Dialect,
    _agreement,
    _n_broken,
    _n_needed,
    find_quotes,
    find_separator,
    has_opening_quote,
    is_comment,
    most_common_width,
    odd_quotes,
    quoted_records,
    sample_rows,
)
from palate.data.reading.headers import ends_in_separators, has_header, names_of_rows
from palate.data.reading.looks import N_SAMPLED
from palate.errors import DataError

NONE_GIVEN = dict.fromkeys(("user", "item", "rating", "time", "weight"))
BODY = "ann,tea,5\nann,jam,3\nbob,tea,4\n"


def pairs(text, **options):
    ratings = read(io.BytesIO(text.encode()), **options)
    users, items = ratings.user_vocabulary.labels, ratings.item_vocabulary.labels
    return sorted(zip(users[ratings.user_codes], items[ratings.item_codes], ratings.values.tolist(), strict=True))


ROWS = [("ann", "jam", 3), ("ann", "tea", 5), ("bob", "tea", 4)]


# ---- lines above the rows


def test_up_to_19_titles_stand_above_a_header():
    titles = [f"Line {number} of the report\n" for number in range(20)]
    rows = [(f"u{number:02}", "tea", 5) for number in range(30)]
    body = "user,item,rating\n" + "".join(f"{user},{item},{rating}\n" for user, item, rating in rows)
    assert pairs("".join(titles[:19]) + body) == rows
    with pytest.raises(DataError):
        pairs("".join(titles) + body)


def test_one_title_of_one_field_may_stand_above_rows_without_a_header():
    assert pairs("My ratings\n" + BODY) == ROWS
    assert pairs("My ratings,,\n" + BODY) == ROWS
    with pytest.raises(DataError):
        pairs("My ratings,of tea\n" + BODY)
    with pytest.raises(DataError):  # rows of several widths: no line is a title for sure
        pairs("My ratings\n" + BODY.replace("ann,jam,3", "ann,jam"))


@pytest.mark.parametrize("header", ["user,item,rating,", "user,item,rating,note", "user,item,rating"])
def test_a_header_may_have_a_name_too_many(header):
    assert pairs("Mine, and hers\n" + header + "\n" + BODY) == ROWS


def test_a_row_is_no_title_though_a_line_like_a_header_follows():
    text = "eve,tea,1\nbob,tea,4\nuser,item,rating\nann,tea,5\n"
    read_as = pairs(text, header=False, on_bad_rows="report")
    assert read_as == [("ann", "tea", 5), ("bob", "tea", 4), ("eve", "tea", 1)]


@pytest.mark.parametrize(
    ("line", "n_fields", "expected"),
    [("#", 3, True), ("# a,b,c", 3, True), ("#\ta,b,c", 3, True), ("## a,b,c", 3, True), ("#a,b,c", 3, False),
     ("#a,b", 2, True), ("a,b", 2, False), ("% a", 1, False)],
)  # fmt: skip
def test_comments_are_what_can_be_no_row(line, n_fields, expected):
    assert is_comment(line, "#", n_fields, 3) is expected


def test_a_comment_names_columns_only_if_two_names_are_known_and_all_are_there():
    assert pairs("# user item rating\n" + BODY.replace(",", " ")) == ROWS
    swapped = [(item, user, rating) for user, item, rating in ROWS]
    assert pairs("# item user rating\n" + BODY.replace(",", " ")) == sorted(swapped)
    assert pairs("# item of them\n" + BODY.replace(",", " ")) == ROWS  # one known name is a remark
    assert pairs("# item user\n" + BODY.replace(",", " ")) == ROWS
    assert pairs("#item,user,rating\n" + BODY) == sorted(swapped)
    text = "# item,user,rating\nuser,item,rating\n" + BODY  # the header itself comes after
    assert pairs(text) == ROWS


def test_a_separator_is_named_before_comments_and_titles():
    assert pairs("sep=;\n# by hand\nuser;item;rating\n" + BODY.replace(",", ";")) == ROWS
    assert pairs("\n\nsep=;\n\n" + BODY.replace(",", ";")) == ROWS
    assert pairs("sep=|\n" + BODY) == ROWS  # no line has it
    assert pairs("sep=\\t\n" + BODY.replace(",", "\t")) == ROWS


# ---- separators


@pytest.mark.parametrize(
    ("lines", "min_columns", "expected"),
    [
        (["a,b,c", "d,e,f"], 3, ","),
        (["a;b;3,5", "d;e;4,5"], 3, ";"),
        (["a b,c d,e f"] * 2, 3, ","),
        (["a b c", "d e f"], 3, " "),
        (["a,b c", "d,e f"], 2, ","),
        (["a::b::c"], 3, "::"),
        (["a,b,c", "a;b;c", "a;b;c"], 3, ";"),
        (["a|b", "c|d"], 3, "|"),  # too few columns are better than none
        (["a", "b"], 3, ","),
        (["a\tb\tc,d,e,f"] * 2, 3, ","),
        (["a,b c,d e"] * 2, 3, ","),
    ],
)
def test_the_separator_splits_the_most_lines_alike(lines, min_columns, expected):
    assert find_separator(lines, min_columns) == expected


def test_the_width_is_that_of_most_lines_quoted_fields_being_one():
    assert most_common_width(['"a,b",c', "d,e", "f,g,h"], ",") == 2


# ---- quotes


@pytest.mark.parametrize(
    ("text", "separator", "expected"),
    [
        ("a,b,c\n", ",", None),
        ('a,12" mix,c\n', ",", None),  # no quote opens a field
        ('"a",b\n', ",", "csv"),
        ('a,"b"\n', ",", "csv"),
        ('a::"b"\n', "::", "none"),
        ('a,"b"x,c\n', ",", "csv"),  # one broken row is an error of its own
        ('a,"b" x,c\n', ",", "none"),  # but text with quotes in it is none
        ('a,"b"x,c\nd,"e"x,f\n', ",", "none"),
        ('a\t"b"x\tc\n', "\t", "none"),
        ('a,"b"x,c\nd,"e"x,f\ng,"h,i",j\nk,"l,m",n\n', ",", "csv"),  # as many fields need them
        ('a,"b"x,c\nd,"e"x,f\ng,"h,i",j\nk,"l",n\n', ",", "none"),
        ('a,"b"x,c\nd,"e"x,f\n' + '"g","h"\n' * 3, ",", "csv"),  # most lines have them
        ('a,"b \\"c\\" d",e\n', ",", "backslash"),
        ('"a b" "c d" 5\n"e" "f g" 4\n', " ", "csv"),
        ('"a b" "c d" 5\n"e" "f g" 4 x y\n"h" "i" 3\n', " ", "none"),
    ],
)
def test_what_quotes_mean(text, separator, expected):
    assert find_quotes(text.encode(), separator) == expected


def test_after_a_broken_record_reading_goes_on_at_the_next_line():
    lines = ['a,"b"x,c\n', "d,e,f\n", 'g,"h\n', 'i",j\n', "k,l,m\n"]
    records = [(start, end, fields, bool(reason)) for start, end, fields, reason in quoted_records(lines, ",", "csv")]
    assert records == [
        (0, 1, [], True), (1, 2, ["d", "e", "f"], False), (2, 4, ["g", "h\ni", "j"], False),
        (4, 5, ["k", "l", "m"], False),
    ]  # fmt: skip


def test_a_sample_has_no_blank_lines_and_splits_broken_ones():
    assert sample_rows(["a,b", "", "  ", ",", 'c,"d"x'], ",", "csv") == [["a", "b"], ["", ""], ["c", '"d"x']]
    assert sample_rows(["a  b", " c d "], " ", "none") == [["a", "b"], ["c", "d"]]


def test_a_dialect_is_csv_unless_it_is_said_otherwise():
    assert Dialect(",", True, []) == Dialect(",", True, [], "csv", False, None)
    assert [Dialect(",", True, [], quotes).quoting for quotes in ("csv", "backslash", "none")] == [True, True, False]


def test_how_well_a_separator_fits_is_the_share_of_lines_of_the_most_common_width():
    lines = ["a,b,c", "d,e,f", "g h,i"]
    assert _agreement(lines, ",", 3) == (2 / 3, True, 3)
    assert _agreement(lines, ",", 4) == (0.0, True, 3)
    assert _agreement(lines, " ", 1) == (2 / 3, False, 1)


def test_a_record_that_the_sample_cuts_off_is_not_broken():
    broken, open_one = 'a,"b"x\n', 'a,"b\n'
    assert _n_broken([broken, "c,d\n"], ",", "csv") == 1
    assert _n_broken(["c,d\n", open_one], ",", "csv") == 1
    assert _n_broken(["c,d\n"] * (N_SAMPLED - 1) + [open_one], ",", "csv") == 0
    assert _n_broken(["c,d\n"] * (N_SAMPLED - 2) + [open_one], ",", "csv") == 1
    assert _n_broken(["c,d\n"] * (N_SAMPLED - 2) + [broken, "c,d\n"], ",", "csv") == 1


def test_quotes_are_needed_around_separators_quotes_and_line_ends_or_where_most_lines_have_some():
    lines = ['"a,b","c","d""e"\n', '"f\n', 'g","h"x\n']
    assert _n_needed(lines, ",", 10) == 3
    assert [_n_needed(lines, ",", n) for n in (7, 8)] == [4, 3]
    assert _n_needed(['"a;b"\r\n', ';"c"'], ";", 9) == 1
    assert _n_needed(['"a"\r\n', ';"c"'], ";", 3) == 2


def test_a_quote_opens_a_field_at_the_start_behind_a_line_end_or_a_separator():
    for data in (b'"a"', b'a\n"b"', b'a,"b"'):
        assert has_opening_quote(data, ",")
    for data in (b"a,b", b'a;"b"', b'a"b', b""):
        assert not has_opening_quote(data, ",")
    for data, n in ((b'"a"b,c', 1), (b'a,"b"c\n"d"e', 2), (b'"a","b""c"\r\n"d"', 0), (b'"a";b', 1), (b'x"a"b', 0)):
        assert len(odd_quotes(",").findall(data)) == n


# ---- headers


@pytest.mark.parametrize(
    ("rows", "min_columns", "expected"),
    [
        ([["who", "what", "mark"], ["a", "b", "1"]], 3, True),
        ([["a", "b", "5"], ["c", "d", "4"]], 3, False),
        ([["a", "b", "4,5"], ["c", "d", "4"]], 3, False),
        ([["a", "b", "★★★"], ["c", "d", "★"]], 3, False),
        ([["a", "b", "2020-01-31"], ["c", "d", "2020-01-31"]], 3, False),
        ([["user", "item", "2020"], ["c", "d", "4"]], 3, True),  # two known names are enough
        ([["user", "x", "2020"], ["c", "d", "4"]], 3, False),
        ([["a", "b", "yes"], ["c", "d", "no"]], 3, False),
        ([["a", "b", "like"], ["c", "d", "dislike"]], 3, True),  # columns may be called so
        ([["a", "b", "y"], ["c", "d", "n"]], 3, True),
        ([["a", "b", "yes"]], 3, True),
        ([["", "1", "2"], ["7", "5", "3"]], 3, True),  # a wide table
        ([["user", "1", "2"], ["7", "5", "3"]], 3, True),
        ([["user", "1", "1"], ["7", "5", "3"]], 3, False),
        ([["a", "b"], ["c", "d"]], 2, False),
        ([["a", "item"], ["c", "d"]], 2, True),
        ([["a", "b"], ["c", "7"]], 2, True),
        ([["a", "b"], ["c", "7"], ["d", "x"]], 2, False),
        ([["a", "b"]], 2, False),
    ],
)
def test_headers(rows, min_columns, expected):
    assert has_header(rows, NONE_GIVEN, min_columns) is expected


def test_a_named_column_makes_a_header():
    rows = [["1", "2", "3"], ["4", "5", "6"]]
    assert has_header(rows, NONE_GIVEN | {"user": "2"}, 3)
    assert not has_header(rows, NONE_GIVEN | {"user": 2}, 3)
    assert not has_header(rows, NONE_GIVEN | {"user": "7"}, 3)


@pytest.mark.parametrize(
    ("rows", "header", "expected"),
    [
        ([["a", "b", "5", ""], ["c", "d", "4", " "]], False, True),
        ([["a", "b", "5", ""], ["c", "d", "4", "x"]], False, False),
        ([["a", "b", ""], ["c", "d", ""]], False, False),  # three columns are needed
        ([["u", "i", "r"], ["a", "b", "5", ""]], True, True),
        ([["u", "i", "r", ""], ["a", "b", "5", ""]], True, True),
        ([["u", "i", "r", "time"], ["a", "b", "5", ""]], True, False),  # a column that is empty so far
        ([["u", "i"], ["a", "b", "5", ""]], True, False),
        ([["u", "i", "r", ""]], True, False),
        ([["u", "i", "r"], ["a", "b", "5", ""], ["c", "d", "4", ""], ["e", "f"]], True, True),
    ],
)
def test_separators_at_line_ends(rows, header, expected):
    assert ends_in_separators(rows, header, 3) is expected


@pytest.mark.parametrize(
    ("header", "body", "separator", "names"),
    [
        ("u i r", ["1 a b 5", "2 c d 4"], " ", ["", "u", "i", "r"]),
        ("u i r", ["x a b 5", "y c d 4"], " ", ["", "u", "i", "r"]),
        ("u i r", ["1 a b 5", "1 c d 4"], " ", ["u", "i", "r"]),  # names of rows differ
        ("u,i,r", ["1,a,b,5", "2,c,d,4"], ",", ["", "u", "i", "r"]),
        ("u,i,r", ["x,a,b,5", "y,c,d,4"], ",", ["u", "i", "r"]),  # or a comma in a title
        ("u,i,r", ["1,a,b,5"], ",", ["u", "i", "r"]),  # one row is too few
        ("u,i,r", ["1,a,b,5", "2,c,d"], ",", ["u", "i", "r"]),
        ("u,i,r", ["1,a,b,5,x", "2,c,d,4,y"], ",", ["u", "i", "r"]),
        ("index,u,i,r", ["a,b,5", "c,d,4"], ",", ["u", "i", "r"]),
        ("index,u,i,", ["a,b,5", "c,d,4"], ",", ["index", "u", "i"]),
        ("u,i,r,note", ["a,b,5", "c,d,4"], ",", ["u", "i", "r"]),
        ("u,i,r,note,x", ["a,b,5", "c,d,4"], ",", ["u", "i", "r", "note", "x"]),
        ("u,i", ["a", "c"], ",", ["u", "i"]),
        ("u,i,r", ["a,b", "c,d"], ",", ["u", "i"]),
        (" u , i ,r", ["a,b,5", "c,d,4"], ",", ["u", "i", "r"]),
    ],
)
def test_names_of_columns_and_of_rows(header, body, separator, names):
    rows = [line.split(separator) for line in body]
    assert names_of_rows(header.split(separator), rows, separator)[0] == names


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("u,i,r", ""),
        ("u,i,r,note", "with a last name that no column has (note)"),
        ("u,i,r,", ""),
        ("index,u,i,r", "with a first name that no column has"),
        ("u,i", "without a name for the first column"),
    ],
)
def test_how_a_header_differs_is_told(header, told):
    assert names_of_rows(header.split(","), [["1", "a", "5"], ["2", "b", "4"]], ",")[1] == told


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le"])
def test_a_byte_order_mark_is_no_part_of_the_first_name_even_if_the_encoding_is_given(encoding):
    data = ("\ufeffuser,item,rating\n" + BODY).encode(encoding)
    report = read(io.BytesIO(data), encoding=encoding).report
    assert report.columns == {"user": "user", "item": "item", "rating": "rating"}
