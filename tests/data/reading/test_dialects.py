"""Text of every dialect: encodings, line ends, lines above the rows, quotes, headers; files whose lines are no rows."""

import csv
import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.data.reading import read
from palate.data.reading import textfiles as _textfiles
from palate.errors import DataError

ROWS = [("ann", "jam", 3.0), ("ann", "tea", 5.0), ("bob", "tea", 4.0)]
LINES = ["user,item,rating", "ann,tea,5", "ann,jam,3", "bob,tea,4"]
BODY = "\n".join(LINES[1:]) + "\n"
CSV = "\n".join(LINES) + "\n"


def triples(source, **options):
    if isinstance(source, str | bytes):
        source = io.BytesIO(source if isinstance(source, bytes) else source.encode())
    ratings = read(source, **options)
    users = ratings.user_vocabulary.labels[ratings.user_codes].tolist()
    items = ratings.item_vocabulary.labels[ratings.item_codes].tolist()
    return sorted(zip(users, items, ratings.values.tolist(), strict=True))


def how(text, **options):
    return read(io.BytesIO(text if isinstance(text, bytes) else text.encode()), **options).report.how


# ---- encodings and line ends


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("names", [("ann", "tea"), ("аня", "чай с мёдом"), ("アン", "緑茶")])
def test_wide_encodings_without_a_mark(encoding, names):
    user, item = names
    text = f"user,item,rating\n{user},{item},5\n{user},jam,3\n"
    assert triples(text.encode(encoding)) == sorted([(user, item, 5.0), (user, "jam", 3.0)])
    assert how(text.encode(encoding))["encoding"] == encoding


def test_a_nul_does_not_make_a_text_utf_16():
    with pytest.raises(DataError, match="a NUL byte"):
        triples("user,item,rating\nbo\0b,tea,4\nann,tea,5\n")


def test_bytes_that_are_no_utf_8_are_windows_1252():
    text = "Käufer;Artikel;Sterne\nann;“Heat” – €;5\nbob;Crème brûlée…;3\n"
    options = {"user": "Käufer", "item": "Artikel", "rating": "Sterne"}
    expected = sorted([("ann", "“Heat” – €", 5.0), ("bob", "Crème brûlée…", 3.0)])
    assert triples(text.encode("cp1252"), **options) == expected
    assert how(text.encode("cp1252"), **options)["encoding"] == "windows-1252"
    assert "encoding" not in how(text, **options)


@given(st.binary(max_size=300))
def test_every_byte_is_a_character_of_windows_1252(data):
    """The five bytes without one stay control characters, as in Latin-1."""
    recode = _textfiles.Recoder()
    recode(b"\xe9")
    text = recode(data).decode()
    assert len(text) == len(data)
    assert text == "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in data)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_line_ends(end, encoding):
    assert triples(end.join(LINES).encode(encoding)) == ROWS
    assert triples((end.join(LINES) + end).encode(encoding)) == ROWS


def test_line_feeds_in_quotes_stay_where_carriage_returns_end_lines():
    assert triples('user,item,rating\rann,"a\nb",5\rbob,tea,4\r') == [("ann", "a\nb", 5.0), ("bob", "tea", 4.0)]


# ---- lines above the rows


ABOVE = {
    "sep=,\n": 1,
    '"sep=,"\r\n': 1,
    "# made by hand\n# on, a, rainy, day\n": 2,
    "% one\n%% two\n\n": 3,
    "My ratings\n\n": 2,
    "Report of 2024\nDate: 2024-05-06\n\n\n": 4,
    "Ratings,,\n,,\n": 2,
    "Export, made today, by ann\n": 1,
    "\n\n": 2,
}


@pytest.mark.parametrize("above", ABOVE)
def test_lines_above_the_header_are_skipped_and_told(above):
    assert triples(above + CSV) == ROWS
    assert how(above + CSV)["skipped lines"] == f"{ABOVE[above]} at the top"
    with pytest.raises(DataError, match=f"line {ABOVE[above] + 3}: 'bob,tea'"):
        triples(above + "user,item,rating\nann,tea,5\nbob,tea\ncid,tea,3\n")


@pytest.mark.parametrize("above", ["sep=,\n", "# one\n# two\n", "Ratings of 2024\n"])
def test_lines_above_rows_without_a_header(above):
    assert triples(above + BODY) == ROWS


@pytest.mark.parametrize("mark", [";", "|", "\t", ","])
def test_the_line_that_names_the_separator_is_believed(mark):
    text = f"sep={mark}\nuser,item,rating\nann,a|b;c\td,5\n".replace(",", mark)
    plain = "".join(sign for sign in "a|b;c\td" if sign != mark)
    text = text.replace("a|b;c\td", plain)
    assert triples(text) == [("ann", plain, 5.0)]


@pytest.mark.parametrize("names", ["#user,item,rating\n", "# user,item,rating\n", "# by hand\n# user,item,rating\n"])
def test_names_of_columns_in_a_comment(names):
    assert triples(names + BODY) == ROWS
    assert triples((names + BODY).replace(",", " ")) == ROWS
    turned = names.replace("user,item", "item,user")
    assert triples(turned + BODY) == sorted((item, user, rating) for user, item, rating in ROWS)


def test_comments_among_the_rows_are_none_if_the_file_begins_with_some():
    text = "# made by hand\n" + CSV.replace("ann,jam", "# a,b,1\nann,jam") + "# the end\n"
    assert triples(text) == ROWS
    assert triples("user,item,rating\n#1 fan,tea,5\n") == [("#1 fan", "tea", 5.0)]
    assert triples("#1fan,tea,5\nbob,tea,4\n") == [("#1fan", "tea", 5.0), ("bob", "tea", 4.0)]


def test_a_first_row_that_is_too_short_is_no_title():
    with pytest.raises(DataError, match="line 1"):
        triples("ann,5\nann,jam,3\nbob,tea,4\ncid,tea,3\n")


# ---- quotes


@pytest.mark.parametrize("mark", ["\t", ";", "|"])
def test_quotes_that_do_not_end_their_field_are_text(mark):
    text = mark.join(["u1", '"Weird Al" Yankovic', "5"]) + "\n" + mark.join(["u2", '12" mix', "3"]) + "\n"
    assert triples(text) == [("u1", '"Weird Al" Yankovic', 5.0), ("u2", '12" mix', 3.0)]
    assert how(text)["quotes"] == "part of the text"


def test_quotes_are_met_after_many_blocks(monkeypatch):
    """The first rows have no quotes; none is lost or changed, whatever the blocks."""
    monkeypatch.setattr(_textfiles, "BLOCK", 128)
    rows = [(f"u{n}", f"i{n % 7}", 3.0) for n in range(60)] + [("v", '"Weird Al" Y', 2.0), ("w", '"Open', 1.0)]
    text = "user\titem\trating\n" + "".join(f"{user}\t{item}\t{rating:g}\n" for user, item, rating in rows)
    assert triples(text) == sorted(rows)
    text = "user,item,rating\n" + "".join(f"u{n},tea,3\n" for n in range(60)) + 'v,"a, ""b""",2\n'
    assert triples(text)[-1] == ("v", 'a, "b"', 2.0)


def test_quotes_that_are_text_are_seen_behind_a_thousand_that_may_enclose():
    rows = [(f"u{n}", '"Heroes"', 3.0) for n in range(1500)]
    more = [(f"v{n}", f'"Weird Al" {n}', 2.0) for n in range(3)]
    plain = [(f"w{n}", "tea", 1.0) for n in range(4000)]
    text = "".join(f"{user}\t{item}\t{rating:g}\n" for user, item, rating in plain[:2000] + rows + plain[2000:] + more)
    assert triples(text) == sorted(plain + rows + more)
    text = "".join(f"{user}\t{item}\t{rating:g}\n" for user, item, rating in plain + rows[:5] + more)
    assert triples(text) == sorted(plain + rows[:5] + more)


def test_quotes_of_most_fields_enclose_them_whatever_a_few_rows_have():
    good = "".join(f'"u{n}"\t"tea"\t{n % 5}\n' for n in range(2000))
    ratings = read(io.BytesIO((good + 'v\t"x" y\t3\nw\t"x" z\t3\n').encode()), on_bad_rows="report")
    assert (len(ratings), sum(ratings.report.bad_rows.values())) == (2000, 2)
    assert "tea" in ratings.item_vocabulary


def test_quotes_escaped_by_backslashes():
    text = 'user,item,rating\nann,"The \\"Best\\" one, ever",5\nbob,"a, b",4\n'
    assert triples(text) == [("ann", 'The "Best" one, ever', 5.0), ("bob", "a, b", 4.0)]
    assert how(text)["quotes"] == "escaped by backslashes"


def test_one_broken_row_among_quoted_ones_is_a_bad_row():
    quoted = "".join(f'"u{n}","tea, {n}",4\n' for n in range(5))
    with pytest.raises(DataError, match=r"line 7.*broken quoting"):
        triples("user,item,rating\n" + quoted + 'bob,"x"y,3\n')


TEXTS = st.text(st.sampled_from("ab \"',;\n"), min_size=1, max_size=6).filter(lambda text: text.strip())


@given(st.lists(TEXTS, min_size=1, max_size=12, unique_by=str.strip), st.sampled_from(",;\t"))
def test_what_the_csv_module_writes_is_read_but_for_blanks_around_it(items, mark):
    items = [*items, "plain"]  # if all had quotes, these would be taken off
    text = io.StringIO()
    writer = csv.writer(text, delimiter=mark, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("user", "item", "rating"), *(("ann", item, n % 5) for n, item in enumerate(items))])
    assert triples(text.getvalue()) == sorted(("ann", item.strip(), float(n % 5)) for n, item in enumerate(items))


PLAIN_TEXTS = st.text(st.sampled_from("ab \"'"), min_size=1, max_size=6).filter(lambda text: text.strip() == text)


@given(st.lists(PLAIN_TEXTS, min_size=2, max_size=12, unique=True))
def test_no_row_is_lost_or_joined_where_quotes_are_text(items):
    """Each line is a row, or the file is refused; items are as written but for quotes around them."""
    text = "".join(f"u{n % 3}\t{item}\t3\n" for n, item in enumerate(items))
    try:
        found = triples(text)
    except DataError as error:
        assert "quot" in str(error) or "no item" in str(error)
        return
    if how(text).get("quotes") == "part of the text":
        assert found == sorted((f"u{n % 3}", item, 3.0) for n, item in enumerate(items))


@given(st.text(st.sampled_from('a",\n'), max_size=14))
def test_the_quick_look_at_quotes_agrees_with_the_exact_one(text):
    """Where the quick look finds no line feed in quotes, the csv module finds none."""
    data = text.encode()
    if '"' in text and _textfiles._no_newline_is_quoted(data, ","):
        rows = list(csv.reader(io.StringIO(text, newline="")))
        assert not any("\n" in field for row in rows for field in row)


# ---- the ends of lines, and headers


@pytest.mark.parametrize(
    "text",
    [
        "user,item,rating,\nann,tea,5,\nann,jam,3,\nbob,tea,4,\n",
        "user,item,rating\nann,tea,5,\nann,jam,3,\nbob,tea,4,\n",
        "user,item,rating,\nann,tea,5\nann,jam,3\nbob,tea,4\n",
        "ann;tea;5;\r\nann;jam;3;\r\nbob;tea;4;\r\n",
        "ann::tea::5::\nann::jam::3::\nbob::tea::4::",
    ],
)
def test_separators_at_the_ends_of_lines(text):
    assert triples(text) == ROWS


@pytest.mark.parametrize(
    "text",
    [
        '"user" "item" "rating"\n"1" "ann" "tea" 5\n"2" "ann" "jam" 3\n"3" "bob" "tea" 4\n',
        "user\titem\trating\n1\tann\ttea\t5\n2\tann\tjam\t3\n3\tbob\ttea\t4\n",
        '"","user","item","rating"\n"1","ann","tea",5\n"2","ann","jam",3\n"3","bob","tea",4\n',
        ",user,item,rating\nann,tea,5\nann,jam,3\nbob,tea,4\n",
        "user,item,rating,comment\nann,tea,5\nann,jam,3\nbob,tea,4\n",
    ],
)
def test_headers_with_a_name_too_few_or_too_many(text):
    assert triples(text) == ROWS


def test_a_quoted_field_with_blanks_between_blanks():
    text = '"user" "item" "rating"\n"1" "ann" "The Matrix" 5\n"2" "bob" "Up" 3\n'
    assert triples(text) == [("ann", "The Matrix", 5.0), ("bob", "Up", 3.0)]


def test_titles_with_commas_are_no_names_of_rows():
    with pytest.raises(DataError, match="wrong number of fields"):
        triples("user,item,rating\nann,Tiger, Dragon,5\nbob,Cat, Dog,4\n")


@pytest.mark.parametrize("n", [5, pytest.param(8_000, marks=pytest.mark.long)])
def test_headers_of_any_length(n):
    header = ",".join(["user", "item", "rating", *(f"column {at}" for at in range(n))])
    assert triples(f"{header}\n{','.join(['ann', 'tea', '5', *'x' * n])}\n") == [("ann", "tea", 5.0)]


@pytest.mark.parametrize("header", ["", "user;item;rating\n"])
def test_a_decimal_comma_is_no_separator(header):
    assert how(header + "ann;tea;4\nann;jam;4,5\n", on_bad_rows="report")["separator"] == '";"'
    assert how(header + "ann;tea;4,5\nann;jam;3,5\n", on_bad_rows="report")["separator"] == '";"'


@pytest.mark.parametrize("text", ["hello\nworld\nagain\n", "1\n2\n3\n", "one line without an end", "a b c d e f\n"])
def test_what_is_no_table_is_refused(text):
    with pytest.raises(DataError, match="column"):
        triples(text)


# ---- Matrix Market


MARKET = "%%MatrixMarket matrix coordinate real general\n"


def test_matrix_market_files():
    text = MARKET + "% made by hand\n3 4 2\n  1 2   4.5\n3 4 1\n"
    assert triples(text) == [("1", "2", 4.5), ("3", "4", 1.0)]
    assert triples(gzip.compress(text.replace("\n", "\r\n").encode())) == [("1", "2", 4.5), ("3", "4", 1.0)]
    pattern = MARKET.replace("real", "pattern") + "3 3 2\n1 1\n2 3\n"
    assert triples(pattern, kind="implicit") == [("1", "1", 1.0), ("2", "3", 1.0)]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (MARKET.replace("general", "symmetric") + "3 3 1\n2 1 5\n", "symmetric"),
        (MARKET.replace("real", "complex") + "3 3 1\n2 1 5 5\n", "another kind"),
        ("%%MatrixMarket matrix array real general\n2 2\n1\n2\n3\n4\n", "another kind"),
        (MARKET + "3 3 2\n2 1 5\n", "announces 2 entries and has 1"),
        (MARKET + "3 3 1\n2 1 5\n1 1 4\n", "announces 1 entries and has 2"),
        (MARKET + "3 3\n2 1 5\n", "line 2: .*sizes"),
        (MARKET, "sizes"),
        (MARKET + "3 3 2\n1 1 5\n2 1 x\n", "line 4.*not a number"),
    ],
)
def test_matrix_market_files_that_are_refused(text, word):
    with pytest.raises(DataError, match=word):
        triples(text)


# ---- Netflix Prize, svmlight


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_netflix_prize_files(end, monkeypatch):
    monkeypatch.setattr(_textfiles, "BLOCK", 64)
    lines = ["7:", "1,3,2005-09-06", "2,5,2005-05-13", "9:", *(f"{user},4,2004-01-02" for user in range(10, 20))]
    expected = sorted([("1", "7", 3.0), ("2", "7", 5.0), *((str(user), "9", 4.0) for user in range(10, 20))])
    assert triples(end.join(lines)) == expected
    ratings = read(io.BytesIO(end.join(lines).encode()))
    assert ratings.report.how["layout"].startswith("Netflix Prize")
    assert ratings.times.min() == 1073001600
    with pytest.raises(DataError, match=r"line 3.*not user,rating,date"):
        triples("7:\n1,3,2005-09-06\nbad\n9:\n")


def test_svmlight_files_are_refused_with_what_to_do():
    for text in ("5 1:3 4:2\n3 2:1\n", "1 qid:1 0:1 943:1 # x\n0 qid:2 1:1 950:1\n"):
        with pytest.raises(DataError, match="load_svmlight_file"):
            triples(text)


# ---- lists of items


ADJACENT = "5 a b c\n6 a\n7 b d\n8 a b c d\n"
ADJACENT_PAIRS = {("5", "a"), ("5", "b"), ("5", "c"), ("6", "a"), ("7", "b"), ("7", "d")} | {("8", x) for x in "abcd"}


def pairs(text, **options):
    return {(user, item) for user, item, _ in triples(text, kind="implicit", **options)}


def test_lists_whose_first_field_counts_users():
    assert pairs(ADJACENT) == ADJACENT_PAIRS
    assert pairs("# users and items\n" + ADJACENT.replace(" ", "\t")) == ADJACENT_PAIRS
    assert how(ADJACENT, kind="implicit")["layout"] == "lists of items, the first field is the user"


def test_lists_whose_first_field_counts_items():
    text = "2 5 7\n1 7\n3 1 2 3\n0\n4 1 2 5 7\n"
    expected = {("0", "5"), ("0", "7"), ("1", "7"), ("2", "1"), ("2", "2"), ("2", "3")} | {("4", x) for x in "1257"}
    assert pairs(text) == expected


def test_baskets_that_share_items():
    text = 'milk,tea\ntea\n"milk",jam,tea\nbread,jam,"eggs, fresh",tea\n'
    expected = {("0", "milk"), ("0", "tea"), ("1", "tea"), ("2", "milk"), ("2", "jam"), ("2", "tea")}
    assert pairs(text) == expected | {("3", "bread"), ("3", "jam"), ("3", "eggs, fresh"), ("3", "tea")}
    assert "the line is the user" in how(text, kind="implicit")["layout"]


def test_lists_that_may_be_either_are_asked_about():
    text = "u9 a b c\nu4 a\nu7 b d\nu8 a b c d\n"
    with pytest.raises(DataError, match=r"pass user=0; .* pass item=0"):
        pairs(text)
    assert pairs(text, user=0) == {(line.split()[0], item) for line in text.splitlines() for item in line.split()[1:]}
    assert pairs(text, item=0) == {(str(n), item) for n, line in enumerate(text.splitlines()) for item in line.split()}
    with pytest.raises(DataError, match="kind="):
        triples(text)


@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=6, unique=True), min_size=4, max_size=30))
def test_users_and_their_items_are_all_read(lists):
    widths = {len(items) for items in lists}
    text = "".join(" ".join(map(str, [user, *items])) + "\n" for user, items in enumerate(lists))
    if len(widths) > 2 and max(sum(len(items) == width for items in lists) for width in widths) * 2 <= len(lists):
        assert pairs(text) == {(str(user), str(item)) for user, items in enumerate(lists) for item in items}


def test_rows_with_a_mistake_are_no_lists():
    with pytest.raises(DataError, match="wrong number of fields"):
        triples("ann,tea,5\nbob,jam\ncid,tea,4\neve,tea,3,3\n")
