"""Answers as HTML, for notebooks: tables, bars and lines of text, in one look.

Every text is escaped here, and nowhere else. The look takes its colours from the page it stands in, so it fits light
and dark themes; bars differ in side and sign besides colour. Without its styles, as on pages that strip them, it is
still plain tables. There is no script.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Protocol

from palate.showing.texts import cut, name, number

MAX_TEXT = 2_000  # characters of a paragraph or of a cell of prose
MAX_ROWS = 60  # of a table
MAX_COLUMNS = 24
LINE = "1px solid var(--jp-border-color2, var(--vscode-panel-border, rgba(128, 128, 128, .35)))"
STYLE = f"""
.palate {{ font-size: 13px; line-height: 1.45; color: inherit; overflow-x: auto; padding: .2em 0; }}
.palate p {{ margin: .3em 0; max-width: 60em; white-space: pre-line; overflow-wrap: anywhere; }}
.palate p.palate-head {{ font-weight: 600; margin: .2em 0 .4em; }}
.palate p.palate-note {{ opacity: .8; }}
.palate table.palate-t {{
  border-collapse: collapse; border: 0; margin: .3em 0 .7em; width: auto; table-layout: auto; font-size: inherit;
  color: inherit;
}}
.palate table.palate-t tr:nth-child(n) {{ background: none; }}
.palate table.palate-t caption {{
  caption-side: top; text-align: left; font-weight: 600; padding: .3em 0 .1em; color: inherit;
}}
.palate table.palate-t th, .palate table.palate-t td {{
  padding: .18em 1.1em .18em 0; border: 0; border-bottom: {LINE}; text-align: left; vertical-align: top;
  white-space: nowrap; max-width: none; color: inherit; background: none;
}}
.palate table.palate-t th {{ font-weight: 600; }}
.palate table.palate-t th.palate-s {{ font-weight: normal; padding-left: 1.2em; }}
.palate table.palate-t .palate-n {{ text-align: right; font-variant-numeric: tabular-nums; }}
.palate table.palate-t .palate-w {{ white-space: normal; max-width: 46em; overflow-wrap: anywhere; }}
.palate .palate-b {{
  position: relative; width: 13em; min-width: 13em; height: .8em; margin-top: .3em; border-left: {LINE};
}}
.palate .palate-m {{ border-left: 0; }}
.palate .palate-m::before {{
  content: ""; position: absolute; left: 50%; top: -.2em; bottom: -.2em; border-left: {LINE};
}}
.palate .palate-b i {{ position: absolute; top: 0; bottom: 0; border-radius: 1px; }}
.palate .palate-b i.palate-up {{ background: #3b82c4; }}
.palate .palate-b i.palate-down {{ background: #d97706; }}
.palate .palate-live {{
  display: flex; flex-wrap: wrap; gap: 0 .9em; align-items: baseline; font-variant-numeric: tabular-nums;
}}
.palate .palate-live .palate-b {{
  border: 0; background: rgba(128, 128, 128, .25); margin: 0; border-radius: 2px; align-self: center;
}}
"""
STYLE = "<style>" + re.sub(r"\s*([{};:,])\s*", r"\1", STYLE).strip() + "</style>"


class Raw(str):
    """HTML that is finished: it is not escaped again."""

    __slots__ = ()


Cell = str | Raw


class Shows(Protocol):
    """What shows itself as HTML."""

    def _repr_html_(self) -> str: ...


def text(given: Any, longest: int = MAX_TEXT) -> str:
    """A text that may stand in HTML: cut, without control characters, escaped. Newlines stay."""
    lines = cut(str(given), longest).split("\n")
    return "\n".join(escape(name(line, longest)) for line in lines)


def page(heading: str, *parts: str) -> str:
    """The whole: a heading and what stands below it; empty parts are left out."""
    head = f'<p class="palate-head">{text(" ".join(heading.split()), 400)}</p>' if heading else ""
    return f'<div class="palate">{STYLE}{head}{"".join(part for part in parts if part)}</div>'


def notes(*given: str) -> Raw:
    """Paragraphs below a table; empty ones are left out, and lines are joined."""
    return Raw("".join(f'<p class="palate-note">{text(" ".join(one.split()))}</p>' for one in given if one))


def paragraph(given: str) -> Raw:
    """One paragraph, whose lines stay lines."""
    return Raw(f"<p>{text(given)}</p>")


def table(
    rows: Sequence[Sequence[Cell]],
    *,
    head: Sequence[str] = (),
    caption: str = "",
    numbers: Iterable[int] = (),
    wide: Iterable[int] = (),
    n_rows: int | None = None,
) -> Raw:
    """A table. Its first column names the rows.

    numbers: columns that stand to the right; wide: columns of prose, which wrap; n_rows: how many rows there are, if
    the table has the first of them only.
    """
    if not rows:
        return Raw("")
    kinds = dict.fromkeys(numbers, "palate-n") | dict.fromkeys(wide, "palate-w")
    shown = rows[:MAX_ROWS]
    width = max(len(row) for row in (*shown, head))
    total = len(rows) if n_rows is None else n_rows
    lines = [_row(head, kinds, "col")] if head else []
    lines += [_row(row, kinds, "row") for row in shown]
    more = []
    if total > len(shown):
        more.append(f"{total - len(shown):,} more rows")
    if width > MAX_COLUMNS:
        more.append(f"{width - MAX_COLUMNS:,} more columns")
    title = f"<caption>{text(caption, 200)}</caption>" if caption else ""
    return Raw(f'<table class="palate-t">{title}{"".join(lines)}</table>{notes(f"… and {_and(more)}" if more else "")}')


def _and(parts: Sequence[str]) -> str:
    return " and ".join(parts)


def _row(cells: Sequence[Cell], kinds: Mapping[int, str], scope: str) -> str:
    """One row; its first cell is a heading, and in the head all are."""
    made = []
    for at, cell in enumerate(cells[:MAX_COLUMNS]):
        is_below = at == 0 and cell.startswith("  ")  # an indented row belongs to the one above it
        kind = f' class="{kinds.get(at, "palate-s")}"' if at in kinds or is_below else ""
        content = cell if isinstance(cell, Raw) else text(cell, MAX_TEXT if kinds.get(at) == "palate-w" else 120)
        if scope == "col" or at == 0:
            made.append(f'<th scope="{scope}"{kind}>{content}</th>')
        else:
            made.append(f"<td{kind}>{content}</td>")
    return f"<tr>{''.join(made)}</tr>"


def facts(given: Mapping[str, Any], caption: str = "") -> Raw:
    """Names and what they are, a row each; empty ones are left out."""
    rows = [(key, one if isinstance(one, str) else number(one)) for key, one in given.items() if one not in ("", None)]
    return table(rows, wide=(1,), caption=caption)


def columns(given: Mapping[str, Any], caption: str = "", n_rows: int | None = None) -> Raw:
    """Columns of equal length, lists or arrays, as a table; numbers that are no labels stand to the right."""
    lists = {key: values if isinstance(values, list) else values.tolist() for key, values in given.items()}
    numbers = [at for at, values in enumerate(lists.values()) if at and isinstance(next(iter(values), ""), int | float)]
    rows = [[_shown(value, at == 0) for at, value in enumerate(row)] for row in zip(*lists.values(), strict=True)]
    return table(rows, head=list(lists), caption=caption, numbers=numbers, n_rows=n_rows)


def _shown(value: Any, is_label: bool) -> str:
    """A value of a column as text; missing ones are empty."""
    if value is None:
        return ""
    return number(value) if isinstance(value, float) and not is_label else name(value)


def bars(
    rows: Sequence[tuple[float, Sequence[Cell]]],
    *,
    head: Sequence[str] = (),
    caption: str = "",
    numbers: Iterable[int] = (0,),
    wide: Iterable[int] = (),
    largest: float | None = None,
) -> Raw:
    """A table whose rows end in a bar: (length, cells). Lengths below 0 go to the left of a middle line.

    largest: the length that fills the width; that of the longest bar by default. A length that is nan has no bar.
    """
    lengths = [length for length, _ in rows if math.isfinite(length)]
    has_sides = min(lengths, default=0.0) < 0
    full = max((abs(length) for length in lengths), default=0.0) if largest is None else largest
    filled = [[*cells, bar(length / full if full else 0.0, has_sides=has_sides)] for length, cells in rows]
    return table(filled, head=[*head, ""] if head else (), caption=caption, numbers=numbers, wide=wide)


def bar(share: float, *, has_sides: bool = False) -> Raw:
    """A bar that fills a share of its width, from -1 to 1 if it has two sides."""
    if not math.isfinite(share):
        return Raw("")
    share = min(max(share, -1.0), 1.0)
    width = abs(share) * (50 if has_sides else 100)
    start = (50 - width if share < 0 else 50) if has_sides else 0
    kind, sided = ("down" if share < 0 else "up"), (" palate-m" if has_sides else "")
    style = f"left:{start:.1f}%;width:{width:.1f}%"
    return Raw(f'<div class="palate-b{sided}" aria-hidden="true"><i class="palate-{kind}" style="{style}"></i></div>')
