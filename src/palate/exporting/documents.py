"""Documents of headings, sentences, facts and tables, as Markdown and as one HTML page. Texts may come from anybody.

The Markdown is that of GitHub. In both forms a text is shown as it is: nothing in it is a tag, a link, a mention or a
formula, and control characters stand as escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from palate.showing.lines import one_line

MARKUP = re.compile(r"[\\`*\[\]|~]|(?<![^\W_])_|_(?![^\W_])")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
ENTITY = re.compile(r"[&<>$]|(?<!\w)[@#]|@(?=[\w.-]+\.\w)")  # tags, formulas, mentions, addresses of mail
ADDRESS = re.compile(r"(?i)(?<=\w):(?=//)|(?<=\bwww)\.")
LISTING = re.compile(r"^(?:[-+=]|\d+[.)](?=\s|$))")
PICTURE_WIDTH, PICTURE_HEIGHT = 160, 14  # of the picture of an interval, in pixels


@dataclass(frozen=True)
class Paragraph:
    """Sentences."""

    text: str


@dataclass(frozen=True)
class Points:
    """Sentences, one below the other, each after a mark."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """Names and what is known under them."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """A table with a caption. The first column names the rows; cells of the others are numbers.

    intervals: (value, low, high) of each row or None, drawn in the HTML beside it; mark: where a line is drawn in all.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    intervals: tuple[tuple[float, float, float] | None, ...] = ()
    mark: float | None = None


Block = Paragraph | Points | Facts | Table


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    heading: str
    blocks: tuple[Block, ...]


# ---- Markdown --------------------------------------------------------------------------------------------------------


def markdown_of(title: str, sections: Iterable[Section]) -> str:
    """Return the document as Markdown, with a line break at its end."""
    parts = [f"# {plain_markdown(title)}"]
    for section in sections:
        parts += [f"## {plain_markdown(section.heading)}", *map(_block_markdown, section.blocks)]
    return "\n\n".join(parts) + "\n"


def plain_markdown(text: str) -> str:
    """Return a text such that Markdown shows it as it is."""
    line = ENTITY.sub(lambda sign: ENTITIES.get(sign[0], _entity(sign)), one_line(text))
    return ADDRESS.sub(_entity, MARKUP.sub(r"\\\g<0>", line))


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0][0])};{found[0][1:]}"


def _line_markdown(text: str) -> str:
    """The same of a text at the beginning of a line, which is then no list either."""
    return LISTING.sub(_entity, plain_markdown(text))


def _block_markdown(block: Block) -> str:
    if isinstance(block, Paragraph):
        return _line_markdown(block.text)
    if isinstance(block, Points):
        return "\n".join(f"- {_line_markdown(text)}" for text in block.texts)
    if isinstance(block, Facts):
        return _table_markdown(
            ("", ""), [(f"**{plain_markdown(name)}**", plain_markdown(text)) for name, text in block.rows], ":--"
        )
    rows = [tuple(map(plain_markdown, row)) for row in block.rows]
    table = _table_markdown(tuple(map(plain_markdown, block.head)), rows, "--:")
    return f"{_line_markdown(block.caption)}\n\n{table}"


def _table_markdown(head: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    lines = [head, [":--", *[align] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


# ---- HTML ------------------------------------------------------------------------------------------------------------

STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --soft: #595959; --line: #d5d5d5; --paper: #fff; --mark: #0b5cad; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --soft: #b0b0b0; --line: #444; --paper: #16181b; --mark: #7db8f5; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; }
h2 { font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid var(--line); }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .25rem; }
th, td { padding: .25rem 1rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
.numbers td { text-align: right; white-space: nowrap; }
.numbers thead th:not(:first-child) { text-align: right; }
svg line, svg circle { stroke: var(--mark); fill: var(--mark); }
svg .whole { stroke: var(--soft); stroke-dasharray: 2 2; }
@media print {
  :root { --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --mark: #000; }
  body { font-size: 11pt; margin: 0; max-width: none; }
  .table { overflow: visible; }
  tr, h2 { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html_of(title: str, sections: Iterable[Section]) -> str:
    """Return the document as one HTML page, which needs no other file and runs nothing."""
    name = escape(one_line(title))
    body = "\n".join(_section_html(section) for section in sections)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{name}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{name}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _section_html(section: Section) -> str:
    blocks = "\n".join(map(_block_html, section.blocks))
    return f"<section>\n<h2>{escape(one_line(section.heading))}</h2>\n{blocks}\n</section>"


def _block_html(block: Block) -> str:
    if isinstance(block, Paragraph):
        return f"<p>{escape(one_line(block.text))}</p>"
    if isinstance(block, Points):
        return "<ul>\n" + "\n".join(f"<li>{escape(one_line(text))}</li>" for text in block.texts) + "\n</ul>"
    if isinstance(block, Facts):
        rows = (_row_html(row) for row in block.rows)
        return '<div class="table"><table>\n' + "\n".join(rows) + "\n</table></div>"
    return _table_html(block)


def _row_html(cells: Sequence[str], picture: str = "") -> str:
    first, *others = (escape(one_line(cell)) for cell in cells)
    rest = "".join(f"<td>{cell}</td>" for cell in others)
    return f'<tr><th scope="row">{first}</th>{rest}{picture}</tr>'


def _table_html(table: Table) -> str:
    pictures = _pictures(table)
    head = "".join(f'<th scope="col">{escape(one_line(cell))}</th>' for cell in table.head)
    head += "<td></td>" if pictures else ""
    rows = "\n".join(_row_html(row, pictures[at] if pictures else "") for at, row in enumerate(table.rows))
    return (
        f'<div class="table"><table class="numbers">\n<caption>{escape(one_line(table.caption))}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>"
    )


def _pictures(table: Table) -> list[str]:
    """A cell with the interval of each row, all on one scale; none if there is nothing to draw."""
    ends = [end for interval in table.intervals if interval for end in interval]
    ends += [] if table.mark is None or not ends else [table.mark]
    if not ends or max(ends) <= min(ends):
        return []
    low, scale = min(ends), (PICTURE_WIDTH - 10) / (max(ends) - min(ends))
    middle = PICTURE_HEIGHT / 2

    def at(value: float) -> str:
        return f"{5 + (value - low) * scale:.1f}"

    def cell(interval: tuple[float, float, float] | None) -> str:
        if interval is None:
            return "<td></td>"
        value, start, stop = map(at, interval)
        whole = "" if table.mark is None else (
            f'<line class="whole" x1="{at(table.mark)}" x2="{at(table.mark)}" y1="0" y2="{PICTURE_HEIGHT}"/>'
        )  # fmt: skip
        line = f'<line x1="{start}" x2="{stop}" y1="{middle}" y2="{middle}"/><circle cx="{value}" cy="{middle}" r="3"/>'
        return f'<td><svg width="{PICTURE_WIDTH}" height="{PICTURE_HEIGHT}" aria-hidden="true">{whole}{line}</svg></td>'

    return [cell(interval) for interval in table.intervals]
