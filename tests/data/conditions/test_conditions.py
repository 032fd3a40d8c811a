"""Conditions in SQL: the right rows, by what SQLite says, and words for everything else within a second."""

import sqlite3
import time

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from palate.data.conditions import condition
from palate.data.conditions.evaluating import _Walk
from palate.data.conditions.parsing import MAX_CHARACTERS, MAX_DEPTH, parsed
from palate.errors import DataError, OptionError, PalateError

FRAME = pl.DataFrame(
    {
        "n": [1, 2, None, -3, 2**53 + 1],
        "x": [1.5, float("nan"), 2.0, -0.5, None],
        "title": ["Heat (1995)", "it's 100%", None, "", "é_B"],
        "genres": [["Drama"], ["Comedy", "Drama"], None, [], ["Drama "]],
        "free": [True, False, None, True, False],
        "day": ["1990-05-31", "2001-01-01", None, "1999-12-31", "1970-01-01"],
    }
).with_columns(day=pl.col("day").str.to_date())


def rows(text, frame=FRAME):
    return condition(text, frame).nonzero()[0].tolist()


# ---- what SQLite says

numbers = st.sampled_from(
    ["n", "m", "0", "1", "-2", "3.5", "NULL", "n + m", "n - 2", "n * m", "n % 3", "abs(m)", "coalesce(n, m, 7)"]
)
texts = st.sampled_from(
    ["t", "'ab'", "''", "NULL", "lower(t)", "upper(t)", "trim(t)", "substr(t, 2, 2)", "nullif(t, 'ab')"]
)
some_numbers, some_texts = st.sampled_from(["1", "2", "-1.5", "NULL"]), st.sampled_from(["'ab'", "''", "NULL"])
among = st.sampled_from(["IN", "NOT IN"])
patterns = st.text("ab%_A", max_size=6).map(lambda text: f"'{text}'")
compare = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])


def listed(values):
    return st.lists(values, min_size=1, max_size=4).map(", ".join)


simple = st.one_of(
    st.builds("{} {} {}".format, numbers, compare, numbers),
    st.builds("{} {} {}".format, texts, compare, texts),
    st.builds("{} {} ({})".format, numbers, among, listed(some_numbers)),
    st.builds("{} {} ({})".format, texts, among, listed(some_texts)),
    st.builds("{} {} {} AND {}".format, numbers, st.sampled_from(["BETWEEN", "NOT BETWEEN"]), numbers, numbers),
    st.builds("{} {} {}".format, texts, st.sampled_from(["LIKE", "NOT LIKE"]), patterns),
    st.builds("{} IS {}NULL".format, st.one_of(numbers, texts), st.sampled_from(["", "NOT "])),
    st.builds("length({}) {} {}".format, texts, compare, st.sampled_from(["0", "2"])),
    st.builds("CASE {} WHEN 1 THEN m > 0 WHEN n THEN NULL ELSE n > m END".format, numbers),
)
conditions = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds("({}) AND ({})".format, inner, inner),
        st.builds("({}) OR ({})".format, inner, inner),
        st.builds("NOT ({})".format, inner),
        st.builds("({}) IS {}".format, inner, st.sampled_from(["TRUE", "FALSE", "NULL", "NOT TRUE"])),
    ),
    max_leaves=8,
)
tables = st.lists(
    st.tuples(st.none() | st.integers(-3, 3), st.none() | st.integers(-3, 3), st.none() | st.text("abA ", max_size=4)),
    min_size=1,
    max_size=6,
)


@given(conditions, tables)
@settings(max_examples=100)
def test_the_rows_are_those_of_sqlite(text, table):
    with_ids = [(at, *row) for at, row in enumerate(table)]
    base = sqlite3.connect(":memory:")
    base.execute("PRAGMA case_sensitive_like = ON")
    base.execute("CREATE TABLE data (id INTEGER, n INTEGER, m INTEGER, t TEXT)")
    base.executemany("INSERT INTO data VALUES (?, ?, ?, ?)", with_ids)
    expected = [row for (row,) in base.execute(f"SELECT id FROM data WHERE {text} ORDER BY id")]
    base.close()
    schema = {"id": pl.Int64, "n": pl.Int64, "m": pl.Int64, "t": pl.String}
    assert rows(text, pl.DataFrame(with_ids, schema=schema, orient="row")) == expected


# ---- what SQLite lacks, or says otherwise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n = 9007199254740993", [4]),
        ("n = 9007199254740992", []),
        ("n < 99999999999999999999", [0, 1, 3, 4]),
        ("n > 1e999", []),
        ("n * 9223372036854775807 > 0", [0, 1, 4]),
        ("n / 2 = 0.5", [0]),
        ("n // 2 = 1", [1]),
        ("n / 0 > 1 OR n % 0 = 0 OR n // 0 = 1", []),
        ("x > 0", [0, 2]),
        ("x IS NULL", [1, 4]),
        ("x - x = 0", [0, 2, 3]),
        ("round(x) = 2 OR floor(x) = -1 OR ceil(x) = 0", [0, 2, 3]),
        ("greatest(n, x) = 2", [1, 2]),
        ("least(n, x, 0) < 0", [3]),
        ("title ILIKE 'HEAT%'", [0]),
        ("title LIKE '%!%' ESCAPE '!'", [1]),
        ("title LIKE '%100!%' ESCAPE '!'", [1]),
        ("title NOT LIKE '%!_%' ESCAPE '!'", [0, 1, 3]),
        ("title = 'it''s 100%'", [1]),
        ("title LIKE 'é_B'", [4]),
        ("title ~ '[0-9]{4}'", [0]),
        ("title ~* '^HEAT' AND title !~ 'x'", [0]),
        ("REGEXP_LIKE(title, '%$')", [1]),
        ("left(title, 2) = 'He' OR right(title, 1) = 'B'", [0, 4]),
        ("starts_with(title, 'it') OR ends_with(title, ')')", [0, 1]),
        ("strpos(title, 'ea') = 2", [0]),
        ("trim(LEADING 'H' FROM title) LIKE 'eat%'", [0]),
        ("array_contains(genres, 'Drama')", [0, 1]),
        ("NOT array_contains(genres, 'Drama')", [3, 4]),
        ("free", [0, 3]),
        ("NOT free", [1, 4]),
        ("free = 1", [0, 3]),
        ("free IS NOT TRUE", [1, 2, 4]),
        ("n IS DISTINCT FROM 1", [1, 2, 3, 4]),
        ("day >= '1990-05-31'", [0, 1, 3]),
        ("day BETWEEN DATE '1990-01-01' AND '1999-12-31'", [0, 3]),
        ("day IN ('1970-01-01', '2001-01-01')", [1, 4]),
        ("year(day) = 1999 OR EXTRACT(MONTH FROM day) = 5", [0, 3]),
        ("CAST(n AS VARCHAR) = '2'", [1]),
        ("CAST(substr(title, 7, 4) AS INTEGER) = 1995", [0]),
        ("CAST('1990-05-31 12:00' AS DATE) = day", [0]),
        ("CAST(x AS INTEGER) = 1", [0]),  # cut towards 0
        ("CAST(x AS INTEGER) = 0", [3]),
        ("CAST(n AS DOUBLE) / 2 = 0.5", [0]),
        ("CAST(free AS INTEGER) = 1", [0, 3]),
        ("CAST('1e400' AS DOUBLE) > 0 OR CAST('nan' AS DOUBLE) IS NOT NULL", []),
        ("CAST('-1e300' AS DOUBLE) < 0", [0, 1, 2, 3, 4]),
        ("CAST('9223372036854775807' AS BIGINT) = 9223372036854775807", [0, 1, 2, 3, 4]),
        ("CAST('9223372036854775808' AS BIGINT) IS NULL", [0, 1, 2, 3, 4]),
        ("CAST(' -1.9 ' AS INTEGER) = -1", [0, 1, 2, 3, 4]),
        ("CAST('+7' AS INTEGER) = 7 AND CAST('x' AS INTEGER) IS NULL", [0, 1, 2, 3, 4]),
        ("NULL + n IS NULL", [0, 1, 2, 3, 4]),
        ("n + NULL > 0 OR NULL * NULL = 1", []),
        ("n > -1" + "0" * 300, [0, 1, 3, 4]),
        ("n < 1" + "0" * 299, [0, 1, 3, 4]),
        ("n < 1" + "0" * 400 + " AND n > -1" + "0" * 400, [0, 1, 3, 4]),
        ("9223372036854775807 + 1 = 9223372036854775808", [0, 1, 2, 3, 4]),
        ("9223372036854775807 + 0 = 9223372036854775807", [0, 1, 2, 3, 4]),
        ("9223372036854775806 + 1 = 9223372036854775806", []),
        ("-9223372036854775807 - 1 = -9223372036854775808", [0, 1, 2, 3, 4]),
        ("(-9223372036854775807 - 1) // -1 > 0", [0, 1, 2, 3, 4]),
        ("n % 2 = 1 AND n // 2 = -2", [3]),
        ("coalesce(n, 7) = 7", [2]),
        ("coalesce(n, x) = 2 OR coalesce(NULL, NULL, n) = 1", [0, 1, 2]),
        ("coalesce(x, n, 0) < 0", [3]),
        ("coalesce(n) = 1", [0]),
        ("nullif(n, 1) IS NULL", [0, 2]),
        ("nullif(n, x) = 2", [1]),
        ("abs(n) = 3 AND abs(x) = 0.5", [3]),
        ("greatest(n) = 2 OR least(n) = 1", [0, 1]),
        ("greatest(n, 2) = 2 AND least(n, 2) = 1", [0]),
        ("greatest(n, x) = 1.5 OR least(x, n) = -3", [0, 3]),
        ("round(x * 10.06, 1) = 15.1", [0]),
        ("round(x * 10.06, 0) = 15 OR round(x, 15) = -0.5", [0, 3]),
        ("round(n, 1) = 2 AND floor(n) = 2 AND ceil(n) = 2", [1]),
        ("hour(CAST('2001-01-01 12:34:56' AS TIMESTAMP)) = 12 AND minute(CAST(day AS TIMESTAMP)) = 0", [0, 1, 3, 4]),
        ("second(CAST('2001-01-01 12:34:56' AS TIMESTAMP)) = 56 AND day(day) = 31", [0, 3]),
        ("CAST('2001-01-01 12:34:56' AS DATE) = day", [1]),
        ("quarter(day) = 2 OR month(day) = 12", [0, 3]),
        ("IF(n > 1, TRUE, free)", [0, 1, 3, 4]),
        ("IF(n > 1, 'a') = 'a'", [1, 4]),
        ("CASE WHEN n > 1 THEN 'big' WHEN n > 0 THEN 'small' END = 'small'", [0]),
        ("CASE n WHEN 1 THEN 'one' ELSE 'other' END = 'other'", [1, 2, 3, 4]),
        ("substr(title, 0, 2) = 'H' OR substr(title, -5, 7) = 'i'", [0, 1]),
        ("substr(title, -5, 6) = '' AND substr(title, 3) = 'at (1995)'", [0]),
        ("right(title, 0) = '' AND left(title, 0) = '' AND left(title, -9) = 'He'", [0]),
        ("right(title, 3) = '95)' AND strpos(title, 'H') = 1 AND strpos(title, 'h') = 0", [0]),
        ("trim(TRAILING ')' FROM title) LIKE '%5' AND trim(BOTH 'H)' FROM title) = 'eat (1995'", [0]),
        ("floor(x) = 1 AND ceil(x) = 2", [0]),
        ("n IS NOT DISTINCT FROM NULL", [2]),
        ("n IN (x, 1) OR n IN (0 - 3)", [0, 3]),
        ("NULL IN (1) OR NULL LIKE 'a'", []),
        ("title IN ('', NULL)", [3]),
        ("NOT title IN ('', NULL)", []),
        ("EXTRACT(SECOND FROM CAST('2001-01-01 12:34:56' AS TIMESTAMP)) = 56 AND DATE('2001-01-01') = day", [1]),
        ("CAST('2001-01-01 00:00:01' AS TIMESTAMP) > day AND CAST(day AS TEXT) LIKE '2001%'", [1]),
        ("CAST(NULL AS INTEGER) IS NULL AND CAST(NULL AS DATE) IS NULL AND -n = 3 AND -x = 0.5", [3]),
        ("TRUE", [0, 1, 2, 3, 4]),
        ("NULL", []),
        ("1 = 1 AND 'a' < 'b'", [0, 1, 2, 3, 4]),
        ('"n" = 1 -- a comment', [0]),
        ("(" * 20 + "n = 1" + ")" * 20, [0]),
        ("n IN (" + ", ".join(map(str, range(1500))) + ")", [0, 1]),
        (" OR ".join(["n = 1"] * 1000), [0]),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else None,
)
def test_rows(text, expected):
    assert rows(text) == expected


def test_a_frame_without_rows():
    for text in ("n > 1 OR title LIKE '%a%' OR TRUE", "n > 1", "free", "TRUE", "NULL"):
        mask = condition(text, FRAME.clear())
        assert (mask.dtype, mask.shape) == (bool, (0,))


def test_types_that_numbers_and_texts_come_in():
    frame = pl.DataFrame(
        {
            "big": pl.Series([2**63, 1], dtype=pl.UInt64),
            "small": pl.Series([-1, 1], dtype=pl.Int8),
            "real": pl.Series([0.5, 1], dtype=pl.Float32),
            "category": pl.Series(["a", "b"], dtype=pl.Categorical),
            "moment": pl.Series([0, 10**15]).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC"),
        }
    )
    assert rows("big > small AND big > 1", frame) == [0]
    assert rows("greatest(big, small) > 1 AND coalesce(big, small) = greatest(small, big)", frame) == [0]
    assert rows("big = 18446744073709551615 OR abs(small) = 1 AND big = 1", frame) == [1]
    assert rows("small = real AND category = 'b'", frame) == [1]
    assert rows("moment < '1970-01-02'", frame) == [0]


HARD = r"ab%_!AÉéß\.+*?()|[]{}^$#&-~ <>/\"',;:=@" + "\n\t\0"


@given(
    st.lists(st.none() | st.text(HARD, max_size=8), min_size=1, max_size=6),
    st.text(HARD, max_size=6),
    st.sampled_from(["LIKE", "NOT LIKE", "ILIKE"]),
    st.sampled_from(["", " ESCAPE '!'"]),
)
def test_without_threads_the_rows_are_the_same(titles, pattern, word, escape):
    frame = pl.DataFrame({"t": titles}, schema={"t": pl.String})
    quoted = "'" + pattern.replace("'", "''") + "'"
    for text in (f"t {word} {quoted}{escape}", f"t IN ({quoted}, 'a')", f"t NOT IN ({quoted}, '')"):
        with_threads = rows(text, frame)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("palate.data.conditions.evaluating.has_lost_threads", lambda: True)
            assert rows(text, frame) == with_threads


def test_numbers_in_lists_of_constants():
    for lost in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("palate.data.conditions.evaluating.has_lost_threads", lambda lost=lost: lost)
            assert rows("n IN (1, 2.0, 9007199254740993)") == [0, 1, 4]
            assert rows("n IN (1, 2)") == [0, 1]
            assert rows("x IN (1.5, 2)") == [0, 2]
            assert rows("day IN ('1990-05-31')") == [0]
            assert rows("free IN (TRUE)") == [0, 3]


# ---- hostile texts

WORDS_OF = {
    "read_csv('x') = 1": "no function 'READ_CSV'.*The functions are ABS",
    "LENGTH(LPAD(title, 2000000000, 'x')) > 1": "no function 'LPAD'",
    "GREATEST() = 1": "no condition",
    "ABS() = 1": "does not take|no condition",
    "YEAR() = 1": "something is missing|does not|no condition",
    "TRIM() = 'a'": "something is missing|no condition",
    "n IN (SELECT 1)": "IN takes no query",
    "EXISTS (SELECT 1)": "no function",
    "n = (SELECT 1)": "no place",
    "n > 1; DROP TABLE x": "semicolon",
    "n > 1) OR (n < 5": "brackets do not match",
    "n > 1 OR (": "brackets do not match",
    "t.n = 1": "takes no table",
    "n = ?": "no place",
    "title || 'a' = 'b'": "no place",
    "title LIKE title": "pattern in single quotes",
    "title ~ '('": "fails: regex",
    "title ~ '((a{99}){99}){99}'": "repeats too often",
    "title ~ '(\\w{100}){10}'": "fails: regex",
    "title LIKE '" + "%a" * 500 + "'": "may have 200",
    "genres LIKE '%Drama%'": "ARRAY_CONTAINS",
    "n = '1'": "a number cannot be compared with a text",
    "n + title > 1": "a text stands beside",
    "n": "not true or false",
    "n AND free": "not true or false",
    "day > 'soon'": "is no date",
    "nothing = 1": "no column 'nothing'",
    "title = '\ud800'": "half a pair",
    "\x00": "where=",
    "title = 'abc": "no condition",
    "{n} = 1": "where=",
    "CAST(genres AS TEXT) = 'a'": "the types are",
    "ROUND(x, 400) = 1": "0 to 15",
    "ROUND(x, 16) = 1": "0 to 15",
    "ROUND(x, -1) = 1": "0 to 15",
    "ROUND(x, n) = 1": "one value, not a column",
    "ROUND(x, 0.5) = 1": "takes a whole number",
    "LEFT(n, 1) = 'a'": "takes a text",
    "FLOOR(title) = 1": "takes a number",
    "YEAR(n) = 1": "takes a date",
    "STARTS_WITH(title, 1)": "a text in single quotes",
    "CAST(day AS INTEGER) = 1": "take YEAR of it",
    "genres = genres": "a list cannot be compared with a list",
}


@pytest.mark.parametrize("text", WORDS_OF, ids=lambda text: ascii(text[:40]))
def test_what_is_no_condition_is_said_in_words(text):
    with pytest.raises(DataError, match=WORDS_OF[text]):
        condition(text, FRAME)


LONG = MAX_CHARACTERS // 2
REPEATED = [
    "n = 1 AND ", "NOT ", "- ", "(", ")", "[", "{", "CASE WHEN ", "lower(", "n + ", "n, ", "title LIKE '%a%' OR ",
    "n IS TRUE ", "n = ", "n::int", "@", "~", "!", "$", "'", "--", "/*", "INTERVAL ", "x -> ", "n.", "n BETWEEN ",
    "COALESCE(n, ", "n IN (1) ", "SELECT ", "n[", "title ~ '(a|b)*x{50}$' OR ", "\\", "%", "\U0001f3ac", "\u202e",
    "f(*) OVER ", "n COLLATE ", "n IS DISTINCT FROM ",
]  # fmt: skip


@pytest.mark.parametrize("piece", REPEATED)
@pytest.mark.parametrize("end", ["n = 1", ""])
def test_texts_that_repeat_something_end_at_once(piece, end):
    """Twenty seconds of the process's time are a hundred times what the slowest of them takes."""
    begin = time.process_time()
    for length in (LONG, 10 * LONG):
        with pytest.raises((DataError, OptionError), match=r"where="):
            condition(piece * (length // len(piece)) + end + "(", FRAME)
        try:
            condition(piece * (length // len(piece)) + end, FRAME)
        except PalateError as error:
            assert "where=" in str(error)
    assert time.process_time() - begin < 20


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("n = 1 OR " * 2000 + "n = 1", f"may have {MAX_CHARACTERS:,}.*items="),
        ("(" * 40 + "n = 1" + ")" * 40, f"deeper than {MAX_DEPTH}"),
        (" OR ".join(["title LIKE '%a%'"] * 60), "more than 50 patterns"),
        ("n" + " + n" * 300 + " > 1", "more than 200 calculations"),
        ("COALESCE(n" + ", n" * 300 + ") > 1", "more than 200 calculations"),
    ],
)
def test_limits(text, match):
    with pytest.raises(OptionError, match=match):
        condition(text, FRAME)


def test_a_tree_is_at_most_twice_as_deep_as_its_brackets_may_be():
    """Brackets around one comparison, which with its column is two nodes deep itself; one node deeper is too deep."""
    tree = parsed("n = 1 OR n > 2")
    for deepest in (60, 61):
        while len(list(leftmost(tree))) < deepest:
            tree = exp.Paren(this=tree)
        if deepest == 2 * MAX_DEPTH:
            expected = condition("n = 1 OR n > 2", FRAME).tolist()
            assert [value is True for value in _Walk(FRAME).value(tree).to_list()] == expected
        else:
            with pytest.raises(RecursionError):
                _Walk(FRAME).value(tree)


def leftmost(node):
    """The nodes from a tree's root down its first branches."""
    while node is not None:
        yield node
        node = None if isinstance(node, exp.Column) else node.this


def test_what_stands_side_by_side_is_not_deep():
    many = " OR ".join(["(NOT (NOT (n = 1)))"] * 80)
    assert condition(many, FRAME).tolist() == condition("n = 1", FRAME).tolist()


@pytest.mark.parametrize(
    "text", ["x" * 5000 + " = 1", f"day = '{'x' * 5000}'", f"title ~ '{'x' * 5000}'", "a" * 9000 + "(1)"]
)
def test_messages_stay_short(text):
    wide = FRAME.hstack([pl.Series(f"column {n}", [0] * FRAME.height) for n in range(2000)])
    with pytest.raises(DataError) as told:
        condition(text, wide)
    assert len(str(told.value)) < 1500


@given(st.text(max_size=60) | st.text("n=1()'\"%<>*-/,.;[]{}@$?:! ANDORNOTLIKEtitle", max_size=60))
def test_any_text_ends_in_rows_or_words(text):
    try:
        mask = condition(text, FRAME)
    except (DataError, OptionError):
        return
    assert mask.shape == (FRAME.height,)
    assert mask.dtype == bool
