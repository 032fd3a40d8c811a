"""The value of a condition on the rows of a frame: its tree is walked, and only what is listed here is known.

Conditions have three outcomes, as in SQL: true, false, and missing where a value that they need is missing.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable
from functools import reduce
from inspect import signature
from typing import TYPE_CHECKING, Any

from palate.data.conditions.functions import FUNCTIONS, NAMES, PARTS_OF_DATES, part_of_date, trimmed
from palate.data.conditions.parsing import DIALECT, MAX_DEPTH, shown
from palate.data.conditions.patterns import check_regex, like, like_regex
from palate.data.conditions.values import (
    WORDS,
    alike,
    calculated,
    compared,
    constant,
    decimal,
    kind_of,
    mapped,
    moments,
    plain,
    whole,
)
from palate.data.forking import check_threads, has_lost_threads
from palate.errors import DataError, OptionError

if TYPE_CHECKING:
    import polars as pl

Node = Any  # a sqlglot expression

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "EQ": operator.eq,
    "NEQ": operator.ne,
    "LT": operator.lt,
    "LTE": operator.le,
    "GT": operator.gt,
    "GTE": operator.ge,
}
MAX_COLUMNS = 40  # that an error names
PATTERNS = ("Like", "ILike", "RegexpLike", "RegexpILike")
MAX_TIMES = {"patterns": 50, "calculations": 200}  # each costs a pass over the rows
ARITHMETIC = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/", "IntDiv": "//", "Mod": "%"}


def value_of(tree: Node, frame: pl.DataFrame) -> pl.Series:
    """The value of a tree: a row for each row of the frame, or one for a constant.

    Only comparisons, AND, OR, NOT, arithmetic, LIKE, IN, BETWEEN, IS, CASE, regular expressions and the functions in
    NAMES are known. Raises DataError for what does not suit the columns, and OptionError beyond a limit.
    """
    return _Walk(frame).value(tree)


class _Walk:
    """The values of a tree's nodes on the rows of a frame."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame
        self._columns: dict[str, pl.Series] = {}
        self._depth = 0
        self._times: Counter[str] = Counter()

    def value(self, node: Node) -> pl.Series:
        """The value of a node: a row for each row of the frame, or one for a constant."""
        name = type(node).__name__
        known = NODES.get(name) or _function_node(name)
        if known is None:
            raise DataError(_unknown(node))
        method, parts = known
        given = {part for part, inner in node.args.items() if inner not in (None, False, [])}
        if not given <= {*parts, "negate"}:
            raise DataError(f"{name.upper()} takes no {', '.join(sorted(given - {*parts}))}")
        self._count(name)
        self._depth += 1
        if self._depth > 2 * MAX_DEPTH:
            raise RecursionError
        found = method(self, node)
        self._depth -= 1
        return ~_truth(found, "NOT") if node.args.get("negate") else found

    def _count(self, name: str) -> None:
        """Raise OptionError where patterns or calculations are so many that the rows would take long."""
        what = "patterns" if name in PATTERNS else "calculations" if name in ARITHMETIC or name in FUNCTIONS else None
        if what is None:
            return
        self._times[what] += 1
        if self._times[what] > MAX_TIMES[what]:
            raise OptionError(f"a condition in where= has more than {MAX_TIMES[what]} {what}: use fewer.")

    # ---- columns and constants

    def column(self, node: Node) -> pl.Series:
        name = node.name
        if name not in self._frame.columns:
            raise DataError(
                f"there is no column {shown(name)}. The columns are {_listed(self._frame.columns)}; a text stands in "
                "single quotes: 'Drama'"
            )
        if name not in self._columns:
            self._columns[name] = plain(self._frame[name])
        return self._columns[name]

    def literal(self, node: Node) -> pl.Series:
        if node.args["is_string"]:
            return constant(node.this)
        integer = whole(node.this) if node.this.isdigit() else None
        return constant(integer if integer is not None else float(node.this))

    def boolean(self, node: Node) -> pl.Series:
        return constant(bool(node.this))

    def null(self, _: Node) -> pl.Series:
        return constant(None)

    # ---- logic

    def all_of(self, node: Node) -> pl.Series:
        return reduce(operator.and_, (_truth(self.value(part), "AND") for part in _chain(node)))

    def any_of(self, node: Node) -> pl.Series:
        return reduce(operator.or_, (_truth(self.value(part), "OR") for part in _chain(node)))

    def inverse(self, node: Node) -> pl.Series:
        return ~_truth(self.value(node.this), "NOT")

    def inner(self, node: Node) -> pl.Series:
        return self.value(node.this)

    # ---- comparing

    def comparison(self, node: Node) -> pl.Series:
        return compared(self.value(node.left), self.value(node.right), COMPARISONS[type(node).__name__])

    def same(self, node: Node) -> pl.Series:
        """Equality in which two missing values are the same."""
        left, right = alike(self.value(node.left), self.value(node.right))
        is_same = left.eq_missing(right)
        return is_same if type(node).__name__ == "NullSafeEQ" else ~is_same

    def between(self, node: Node) -> pl.Series:
        value = self.value(node.this)
        low, high = (self.value(node.args[end]) for end in ("low", "high"))
        return compared(value, low, operator.ge) & compared(value, high, operator.le)

    def one_of(self, node: Node) -> pl.Series:
        """Whether a value is one of some constants; missing rather than false if one of these is NULL."""
        import polars as pl

        value = self.value(node.this)
        wanted = [self.value(one) for one in node.expressions]
        if any(len(one) != 1 for one in wanted):
            return reduce(operator.or_, (compared(value, one, operator.eq) for one in wanted))
        answer = None if any(kind_of(one) == "nothing" for one in wanted) else False
        if kind_of(value) == "nothing":
            return constant(None).cast(pl.Boolean)
        pairs = [alike(value, one) for one in wanted if kind_of(one) != "nothing"]
        if answer is False and not has_lost_threads() and all(same.dtype == value.dtype for same, _ in pairs):
            return value.is_in([one.item() for _, one in pairs])
        known = {one.item() for _, one in pairs}
        return mapped(value, lambda one: True if one in known else answer, pl.Boolean)

    def state(self, node: Node) -> pl.Series:
        """IS NULL, IS TRUE and IS FALSE, which are never missing."""
        value, wanted = self.value(node.this), self.value(node.expression)
        if kind_of(wanted) == "nothing":
            return value.is_null()
        return _truth(value, "IS TRUE").eq_missing(wanted)

    # ---- texts

    def likeness(self, node: Node, escape: str = "") -> pl.Series:
        import polars as pl

        value, pattern = self.value(node.this), self._pattern(node.expression, "LIKE")
        if kind_of(value) == "nothing":
            return constant(None).cast(pl.Boolean)
        if kind_of(value) != "text":
            raise DataError(f"LIKE of {WORDS[kind_of(value)]}: it takes a text; ARRAY_CONTAINS looks into lists")
        any_case = type(node).__name__ == "ILike"
        if has_lost_threads():
            return mapped(value, like(pattern, any_case=any_case, escape=escape), pl.Boolean)
        return value.str.contains(like_regex(pattern, any_case=any_case, escape=escape))

    def escaped(self, node: Node) -> pl.Series:
        escape = self._pattern(node.expression, "ESCAPE")
        if type(node.this).__name__ not in ("Like", "ILike") or len(escape) != 1:
            raise DataError("ESCAPE stands after LIKE, with one character in single quotes")
        found = self.likeness(node.this, escape)
        return ~found if node.this.args.get("negate") else found

    def regex(self, node: Node) -> pl.Series:
        """Whether an expression matches a part of a text. polars matches in time linear in the text."""
        value, pattern = self.value(node.this), self._pattern(node.expression, "~")
        check_regex(pattern)
        check_threads("a regular expression in where=")
        if kind_of(value) != "text":
            raise DataError(f"~ of {WORDS[kind_of(value)]}: it takes a text")
        return value.str.contains(f"(?i){pattern}" if type(node).__name__ == "RegexpILike" else pattern)

    def _pattern(self, node: Node, name: str) -> str:
        if type(node).__name__ != "Literal" or not node.args["is_string"]:
            raise DataError(f"{name} takes a pattern in single quotes")
        return str(node.this)

    # ---- calculating and functions

    def arithmetic(self, node: Node) -> pl.Series:
        symbol = ARITHMETIC[type(node).__name__]
        first, *others = _chain(node)
        for _ in others[1:]:
            self._count(type(node).__name__)
        return reduce(lambda left, part: calculated(left, self.value(part), symbol), others, self.value(first))

    def negative(self, node: Node) -> pl.Series:
        return calculated(constant(0), self.value(node.this), "-")

    def function(self, node: Node) -> pl.Series:
        called, parts, name = FUNCTIONS[type(node).__name__]
        given = [node.args.get(part) for part in parts]
        arguments = [one for part in given for one in (part if isinstance(part, list) else [part]) if one is not None]
        try:
            signature(called).bind(*arguments)
        except TypeError:
            raise DataError(f"{name} does not take {len(arguments)} arguments") from None
        for _ in arguments[2:]:
            self._count(type(node).__name__)
        return called(*map(self.value, arguments))

    def trim(self, node: Node) -> pl.Series:
        characters = node.args.get("expression")
        return trimmed(
            self.value(node.this),
            None if characters is None else self.value(characters),
            str(node.args.get("position") or "BOTH").upper(),
        )

    def date_part(self, node: Node) -> pl.Series:
        """YEAR(x), and EXTRACT(YEAR FROM x)."""
        if type(node).__name__ != "Extract":
            return part_of_date(plain(self._moment(node.this)), type(node).__name__)
        if node.name.upper() not in PARTS_OF_DATES:
            raise DataError(f"EXTRACT takes one of {', '.join(PARTS_OF_DATES)}")
        return part_of_date(self._moment(node.expression), node.name)

    def _moment(self, node: Node) -> pl.Series:
        value = self.value(node)
        return value.cast(plain(moments(constant("2000-01-01"))).dtype) if kind_of(value) == "moment" else value

    def cast(self, node: Node) -> pl.Series:
        return _cast(self.value(node.this), node.args["to"].this.name.removesuffix("NTZ"))  # sqlglot's TIMESTAMPNTZ

    def as_date(self, node: Node) -> pl.Series:
        return _cast(self.value(node.this), "DATE")

    # ---- choosing

    def case(self, node: Node) -> pl.Series:
        """The value of the first branch whose condition is true."""
        subject = None if node.this is None else self.value(node.this)
        result = constant(None) if node.args.get("default") is None else self.value(node.args["default"])
        for branch in reversed(node.args["ifs"]):
            holds = self.value(branch.this)
            holds = _truth(holds, "CASE") if subject is None else compared(subject, holds, operator.eq)
            result = self._chosen(holds, self.value(branch.args["true"]), result)
        return result

    def choice(self, node: Node) -> pl.Series:
        other = node.args.get("false")
        result = constant(None) if other is None else self.value(other)
        return self._chosen(_truth(self.value(node.this), "IF"), self.value(node.args["true"]), result)

    def _chosen(self, holds: pl.Series, value: pl.Series, other: pl.Series) -> pl.Series:
        value, other = alike(value, other)
        return value.zip_with(holds.eq_missing(constant(True)), other)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_COLUMNS:,} more" if len(names) > MAX_COLUMNS else ""
    return ", ".join(map(shown, names[:MAX_COLUMNS])) + more


def _chain(node: Node) -> list[Node]:
    """The parts of a AND b AND c in their order: a loop, since a chain may be long."""
    kind, parts = type(node), []
    while type(node) is kind:
        parts.append(node.right)
        node = node.left
    return [node, *reversed(parts)]


def _truth(value: pl.Series, name: str) -> pl.Series:
    """A value as true, false or missing. 0 and 1 of a column are numbers: compare them."""
    import polars as pl

    if kind_of(value) not in ("boolean", "nothing"):
        raise DataError(f"{name} beside {WORDS[kind_of(value)]}, not true or false: compare it with something")
    return value.cast(pl.Boolean)


def _cast(value: pl.Series, target: str) -> pl.Series:
    """A value as another type; what cannot become one is missing."""
    import polars as pl

    kind = CASTS.get(target)
    if kind is None or kind_of(value) in ("list", "span", "other"):
        raise DataError(f"CAST of {WORDS[kind_of(value)]} to {target}: the types are {', '.join(CASTS)}")
    if kind == "moment":
        value = value if kind_of(value) in ("moment", "nothing") else moments(value)
        return value.cast(pl.Date).cast(pl.Datetime("us")) if target == "DATE" else value.cast(pl.Datetime("us"))
    if kind == "text":
        return value.cast(pl.String)
    if kind_of(value) == "moment":
        raise DataError(f"CAST of a date to {target}: take YEAR of it, or compare it with '1990-05-31'")
    if kind_of(value) == "text":
        return mapped(value, decimal if kind == "float" else whole, pl.Float64 if kind == "float" else pl.Int64)
    return value.cast(pl.Float64 if kind == "float" else pl.Int64, strict=False)


CASTS = {
    "INT": "whole",
    "BIGINT": "whole",
    "FLOAT": "float",
    "DOUBLE": "float",
    "VARCHAR": "text",
    "TEXT": "text",
    "DATE": "moment",
    "TIMESTAMP": "moment",
}


def _function_node(name: str) -> tuple[Callable[[_Walk, Node], pl.Series], tuple[str, ...]] | None:
    if name not in FUNCTIONS:
        return None
    return _Walk.function, (*FUNCTIONS[name][1], "ignore_nulls", "is_nvl", "binary", "casts_non_integer_decimals")


def _unknown(node: Node) -> str:
    from sqlglot import exp

    if not isinstance(node, exp.Expression):
        return "something is missing in it, such as an argument"
    written = node.name if isinstance(node, exp.Anonymous) else None
    if written is None and isinstance(node, exp.Func):
        as_typed = re.match(r"(\w+)\(", node.sql(dialect=DIALECT))  # LPAD, where the class says PAD
        written = as_typed[1] if as_typed else node.sql_name()
    if written is not None:
        return f"there is no function {str(written)[:40]!r} in conditions. The functions are {', '.join(NAMES)}"
    return (
        f"{node.key.upper()} has no place in conditions. They are made of comparisons, AND, OR, NOT, + - * / % //, "
        "LIKE, IN, BETWEEN, IS NULL, CASE, ~ and functions"
    )


BINARY = ("this", "expression")
# The class of sqlglot's tree -> what gives its value, and the parts it may have.
NODES: dict[str, tuple[Callable[[_Walk, Node], Any], tuple[str, ...]]] = {
    "Paren": (_Walk.inner, ("this",)),
    "Column": (_Walk.column, ("this",)),
    "Literal": (_Walk.literal, ("this", "is_string")),
    "Boolean": (_Walk.boolean, ("this",)),
    "Null": (_Walk.null, ()),
    "And": (_Walk.all_of, BINARY),
    "Or": (_Walk.any_of, BINARY),
    "Not": (_Walk.inverse, ("this",)),
    **dict.fromkeys(COMPARISONS, (_Walk.comparison, BINARY)),
    "NullSafeEQ": (_Walk.same, BINARY),
    "NullSafeNEQ": (_Walk.same, BINARY),
    "Between": (_Walk.between, ("this", "low", "high")),
    "In": (_Walk.one_of, ("this", "expressions")),
    "Is": (_Walk.state, BINARY),
    "Like": (_Walk.likeness, BINARY),
    "ILike": (_Walk.likeness, BINARY),
    "Escape": (_Walk.escaped, BINARY),
    "RegexpLike": (_Walk.regex, BINARY),
    "RegexpILike": (_Walk.regex, BINARY),
    **dict.fromkeys(ARITHMETIC, (_Walk.arithmetic, (*BINARY, "typed", "safe"))),
    "Neg": (_Walk.negative, ("this",)),
    "Trim": (_Walk.trim, (*BINARY, "position")),
    "Extract": (_Walk.date_part, BINARY),
    **dict.fromkeys((name.title() for name in PARTS_OF_DATES), (_Walk.date_part, ("this",))),
    "Cast": (_Walk.cast, ("this", "to")),
    "Date": (_Walk.as_date, ("this",)),
    "Case": (_Walk.case, ("this", "ifs", "default")),
    "If": (_Walk.choice, ("this", "true", "false")),
}
