"""Texts of conditions: right rows or words, whatever is written."""

import polars as pl
from hypothesis import strategies as st

from palate.data.conditions import condition
from palate.errors import DataError, OptionError

FRAME = pl.DataFrame(
    {
        "n": [1, None, -(2**63), 2**63 - 1],
        "x": [0.5, float("nan"), None, 1e308],
        "t": ["a", "", None, "é%_🎬"],
        "g": [["a", None], [], None, ["b"]],
        "b": [True, False, None, True],
    }
).with_columns(d=pl.Series([0, 1, None, -700_000]).cast(pl.Date), m=pl.Series([0, 10**17, None, -1]).cast(pl.Datetime))

NAMES = ["n", "x", "t", "g", "b", "d", "m", "nothing", '"n"', "NULL", "TRUE", "FALSE"]
CONSTANTS = [
    "0",
    "1",
    "-1",
    "1e400",
    "9" * 30,
    "0.5",
    "'a'",
    "''",
    "'%'",
    "'1990-01-01'",
    "'\ud800'",
    "DATE '2000-01-01'",
]
OPERATORS = [
    "=",
    "==",
    "<>",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "AND",
    "OR",
    "NOT",
    "IS",
    "LIKE",
    "ILIKE",
    "~",
    "~*",
    "!~",
    "^@",
    "IN",
    "BETWEEN",
    "||",
    "->",
    "::",
    ".",
    ",",
    ";",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "?",
    "$",
    "@",
    "#",
    "!",
    "<=>",
    "NULL",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST",
    "AS",
    "INT",
    "DISTINCT",
    "FROM",
    "ESCAPE",
    "INTERVAL",
    "SELECT",
    "OVER",
    "--",
    "/*",
    "*/",
    "`",
    "\\",
    "\n",
    "\x00",
]
FUNCTIONS = [
    "LOWER",
    "UPPER",
    "LENGTH",
    "LEFT",
    "RIGHT",
    "SUBSTR",
    "STRPOS",
    "STARTS_WITH",
    "ENDS_WITH",
    "ABS",
    "FLOOR",
    "CEIL",
    "ROUND",
    "COALESCE",
    "NULLIF",
    "LEAST",
    "GREATEST",
    "ARRAY_CONTAINS",
    "TRIM",
    "CAST",
    "IF",
    "YEAR",
    "MONTH",
    "DAY",
    "HOUR",
    "REGEXP_LIKE",
    "EXTRACT",
    "LPAD",
    "REPEAT",
    "READ_CSV",
    "COUNT",
    "NOW",
    "RANDOM",
]

loose = st.lists(st.sampled_from(NAMES + CONSTANTS + OPERATORS + FUNCTIONS) | st.text(max_size=4), max_size=25)
values = st.recursive(
    st.sampled_from(NAMES + CONSTANTS),
    lambda inner: st.one_of(
        st.builds("{}({})".format, st.sampled_from(FUNCTIONS), st.lists(inner, max_size=3).map(", ".join)),
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner),
        st.builds("CASE WHEN {} > {} THEN {} ELSE {} END".format, inner, inner, inner, inner),
        st.builds(
            "CAST({} AS {})".format,
            inner,
            st.sampled_from(["INT", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP", "BOOLEAN", "BLOB"]),
        ),
    ),
    max_leaves=6,
)
tests = st.one_of(
    st.builds("{} {} {}".format, values, st.sampled_from([*OPERATORS[:8], "LIKE", "ILIKE", "~", "IS"]), values),
    st.builds("{} IN ({})".format, values, st.lists(values, min_size=1, max_size=4).map(", ".join)),
    st.builds("{} NOT BETWEEN {} AND {}".format, values, values, values),
    st.builds("{} LIKE '{}' ESCAPE '!'".format, values, st.text("a%_!", max_size=8)),
    st.builds("{} ~ '{}'".format, values, st.text("a.*+?(){}[]|^$0123456789,\\", max_size=12)),
)
joints = st.sampled_from([" AND ", " OR ", " AND NOT ", " OR (", ") AND ", " "])
whole = (
    st.lists(st.builds("{}{}".format, tests, joints), max_size=4)
    .map("".join)
    .flatmap(lambda begin: tests.map(lambda end: begin + end))
)
repeated = st.builds(lambda piece, n: piece * n, st.sampled_from(OPERATORS + NAMES) | whole, st.integers(1, 5000))


known = st.sampled_from(["GREATEST() = 1", "LENGTH(LPAD(t, 2000000000, 'x')) > 1", "t ~ '((a{100}){100}){100}'"])
INPUT = whole | loose.map(" ".join) | repeated | st.text() | known


def check(text):
    """A mask with a row for each row of the frame, or an error in words that names the option."""
    try:
        mask = condition(text, FRAME)
    except (DataError, OptionError) as error:
        assert "where=" in str(error)
        assert len(str(error)) < 2000
        return
    assert mask.shape == (FRAME.height,)
    assert mask.dtype == bool
