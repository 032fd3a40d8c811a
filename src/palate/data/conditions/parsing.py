"""The text of a condition as a tree, within limits that keep every text cheap to parse.

The tree is sqlglot's. Nothing runs here: evaluating.py walks the tree and knows only what it allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from palate.errors import DataError, OptionError

if TYPE_CHECKING:
    from sqlglot import exp

DIALECT = "duckdb"  # of those that sqlglot knows, the one with all operators allowed here: ~, ^@, //, ILIKE
MAX_CHARACTERS = 10_000
MAX_DEPTH = 30
MAX_SHOWN = 200  # characters of a condition or message that an error quotes

Fault = tuple[type[OptionError] | type[DataError], str]


def parsed(text: str, option: str = "where") -> exp.Expression:
    """The tree of a condition. Raises OptionError beyond a limit, and DataError for text that is no condition.

    option: what errors call the option that the text was given for.
    """
    import sqlglot
    from sqlglot import exp

    _check_text(text, option)
    try:
        _check_tokens(text, sqlglot.tokenize(text, dialect=DIALECT), option)
        statements = sqlglot.parse(f"({text}\n)", dialect=DIALECT)  # in brackets it cannot begin a statement
    except (sqlglot.errors.SqlglotError, ValueError, RecursionError) as error:
        if isinstance(error, DataError | OptionError):
            raise
        raise DataError(f"{option}={shown(text)} is no condition in SQL: {_reason(error)}.") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Paren):
        raise DataError(f"{option}={shown(text)} is no condition in SQL: write one, such as year >= 1990.")
    inner: exp.Expression = statements[0].this
    return inner


def shown(text: Any) -> str:
    """A condition as an error quotes it."""
    quoted = repr(text) if isinstance(text, str) else f"({text})"
    return quoted if len(quoted) <= MAX_SHOWN else quoted[: MAX_SHOWN - 3] + "..."


def _check_text(text: str, option: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise OptionError(
            f"{option}={shown(text)} has {len(text):,} characters, and may have {MAX_CHARACTERS:,}. Long lists of "
            "labels go into items= or exclude=, or into a polars expression."
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{option}={shown(text)} is no text in Unicode: character {error.start + 1} is half a pair."
        ) from None


def _check_tokens(text: str, tokens: list[Any], option: str) -> None:
    """Raise unless brackets match, nesting is within MAX_DEPTH and there is one statement."""
    from sqlglot import TokenType

    openers = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE}
    closers = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END}
    prefix_kinds = {TokenType.NOT, TokenType.DASH, TokenType.PLUS, TokenType.TILDE, TokenType.INTERVAL}
    brackets = depth = prefixes = 0
    for token in tokens:
        kind = token.token_type
        if kind == TokenType.SEMICOLON:
            raise DataError(f"{option}={shown(text)} is no condition in SQL: there is a semicolon in it.")
        brackets += (kind == TokenType.L_PAREN) - (kind == TokenType.R_PAREN)
        depth += (kind in openers) - (kind in closers)
        prefixes = prefixes + 1 if kind in prefix_kinds else 0
        if brackets < 0:
            break
        if max(depth, prefixes) > MAX_DEPTH:
            raise OptionError(
                f"{option}={shown(text)} nests deeper than {MAX_DEPTH} levels: write it with fewer brackets."
            )
    if brackets != 0:
        raise DataError(f"{option}={shown(text)} is no condition in SQL: its brackets do not match.")


def _reason(error: Exception) -> str:
    """The parser's reason without the colours in which it marks the place."""
    if isinstance(error, RecursionError):
        return "it nests too deep"
    details = getattr(error, "errors", None)
    if not details:
        return "it cannot be read"
    near = str(details[0].get("highlight") or "").strip()[:40]
    return f"it cannot be read at {near!r}" if near and near != ")" else "something is missing at its end"
