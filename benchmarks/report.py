"""RESULTS.md, section by section: what is measured again takes the place of what was there, with date and machine."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

from measuring import Row, machine

RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = """# Results

`make bench` writes this; `python benchmarks/run.py "words of titles"` measures single sections again.
Each section says when and where it was measured. Protocols: top of benchmarks/run.py. On a shared machine seconds vary:
by a fifth within an hour, by up to twice between machines of one name.
[EVERYWHERE.md](EVERYWHERE.md), [BOOK_CROSSING.md](BOOK_CROSSING.md), [INTERVALS.md](INTERVALS.md) and
`docs/decisions.md` have the other sets. "One user" and "The server" have scripts of their own.
"""


def put(title: str, rows: list[Row], order: list[str], path: Path = RESULTS) -> None:
    """Writes one section: `order` are the titles as they shall stand; sections of other titles stay where they are."""
    sections = read(path)
    table = "\n".join(["| what | measured | bar | met |", "|---|---|---|---|", *(row.line() for row in rows)])
    sections[title] = f"Measured on {datetime.date.today()}. {machine()}.\n\n{table}"
    after = {other: place for place, other in enumerate(order)}
    known = iter(sorted((other for other in sections if other in after), key=lambda other: after[other]))
    titles = [next(known) if other in after else other for other in sections]
    parts = [HEAD, *(f"## {other}\n\n{sections[other]}\n" for other in titles)]
    path.write_text("\n".join(parts), encoding="utf-8")


def read(path: Path) -> dict[str, str]:
    """The sections of the page, title by title, as they stand."""
    if not path.exists():
        return {}
    pieces = re.split(r"^## (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {title.strip(): body.strip() for title, body in zip(pieces[::2], pieces[1::2], strict=True)}
