"""The output of the commands: lines and tables (by rich on a terminal, plain elsewhere), JSON, and files."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from palate.cli import job
from palate.cli.exits import Exit
from palate.data.whole_files import reason, replacing
from palate.errors import OptionError, PalateError
from palate.showing.lines import one_line, printable
from palate.showing.pictures import check_matplotlib

if TYPE_CHECKING:
    import polars as pl

    from palate.evaluation import Comparison
    from palate.tuning import Tuning

MAX_NOTE = 800  # characters; a broken file may have very long lines
MAX_RICH_ROWS = 500  # longer tables are printed plain, which is faster
DECIMALS = {"cosine": 3, "rmse": 4, "mae": 4}  # by column; 2 elsewhere
REPORT_ENDINGS = (".html", ".png", ".svg", ".json", ".csv")
PICTURE_ENDINGS = (".png", ".svg")

# Characters that change how a terminal shows others: C1 controls and marks of direction; and halves of a pair, which no
# encoding takes. In JSON they stand in strings alone, where their number says the same.
MISLEADING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

Facts = Mapping[str, str]


# ---- lines


def say(text: str, style: str = "") -> None:
    """Print a text on standard output, in a style on terminals only."""
    if style and is_terminal():
        _console_print(text, style)
        return
    _write(sys.stdout, text)


def note(text: str) -> None:
    """Print one line on standard error, which keeps standard output clean for pipes; nothing with --quiet."""
    if not job.current().is_quiet:
        remark("note", text)


def remark(event: str, text: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Print one line on standard error, also with --quiet; with --log json it is an object like all others there."""
    line = one_line(text)
    line = line if len(line) <= MAX_NOTE else line[: MAX_NOTE - 3] + "..."
    is_json = job.current().form == "json"
    _write(sys.stderr, job.as_event(event, line, level, **fields) if is_json else f"palate: {line}")


def is_terminal() -> bool:
    """True if standard output is a terminal that shows colors: not dumb, and NO_COLOR is not set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _write(stream: IO[str], text: str) -> None:
    try:
        stream.write(text + "\n")
    except BrokenPipeError:
        raise SystemExit(Exit.BROKEN_PIPE) from None


def _console_print(what: Any, style: str = "") -> None:
    from rich.console import Console
    from rich.text import Text

    Console(highlight=False).print(Text(what, style) if isinstance(what, str) else what)


# ---- files


def check_place(out: Path, *sources: str, noun: str = "the model") -> None:
    """Raise OptionError if a file cannot be written here, or would replace the ratings; noun: what the file holds."""
    check_folder(out)
    for source in sources:
        if out.exists() and Path(source).exists() and out.samefile(source):
            raise OptionError(f"{out} is the file to learn from; give {noun} another name.")


def check_out(out: Path | None) -> None:
    """Raise OptionError, before the work, if an answer cannot be written here."""
    if out is None:
        return
    from palate.answers.ranking import WRITERS

    if out.suffix not in WRITERS:
        raise OptionError(f"--out {out}: the ending must be one of {', '.join(WRITERS)}.")
    check_folder(out)


def check_folder(path: Path) -> None:
    """Raise OptionError if a file cannot be written at this path."""
    if path.is_dir():
        raise OptionError(f"{path} is a folder; name a file.")
    if path.exists() and not path.is_file():  # renaming a new file to this path would replace the device
        raise OptionError(f"{path} is a device or a pipe; name a file.")
    if not path.parent.is_dir():
        raise OptionError(f"there is no folder {path.parent} to put {path.name} in; make it first.")
    if not os.access(path.parent, os.W_OK):
        raise OptionError(f"the folder {path.parent} cannot be written to; choose another one.")


def emit(
    frame: pl.DataFrame,
    *,
    as_json: bool,
    out: Path | None,
    heading: str = "",
    hide: Sequence[str] = (),
    one: bool = False,
) -> None:
    """Print an answer as a table or as JSON, or write it to a file.

    hide: columns that the table leaves out; one: print the JSON of a single row, not a list.
    """
    if out is not None:
        write_frame(frame, out)
        note(f"{frame.height:,} rows written to {out}.")
    if as_json:
        rows = frame.to_dicts()
        print_json(rows[0] if one else rows)
    elif out is None:
        shown = [name for name in frame.columns if name not in hide and not _is_all_nan(frame, name)]
        print_table({name: frame[name].to_list() for name in shown}, heading)


def write_frame(frame: pl.DataFrame, out: Path) -> None:
    """Write a frame to .csv, .parquet or .jsonl, by the ending: first to a temporary file, which is then renamed."""
    writers: dict[str, Callable[[Path], Any]] = {".csv": frame.write_csv, ".parquet": frame.write_parquet}
    with _writing(out) as part:
        writers.get(out.suffix, frame.write_ndjson)(part)


@contextmanager
def _writing(out: Path) -> Iterator[Path]:
    """A temporary file that replaces another at the end of the block; PalateError where the disk refuses it."""
    import polars as pl

    try:
        with replacing(out) as part:
            yield part
    except (OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise PalateError(f"cannot write {out}: {reason(error)}.") from error


def check_report(out: Path | None) -> None:
    """Raise OptionError, before the work, if a report cannot be written here."""
    if out is None:
        return
    if out.suffix not in REPORT_ENDINGS:
        raise OptionError(f"--out {out}: the ending must be one of {', '.join(REPORT_ENDINGS)}.")
    check_folder(out)
    if out.suffix in PICTURE_ENDINGS:
        check_matplotlib(f"--out {out}")


def write_report(noun: str, found: Comparison | Tuning, frame: pl.DataFrame, out: Path) -> None:
    """Write a comparison or a tuning by the ending; frame: the content of a .csv file."""
    from palate.plotting.page import draw, write_page

    if out.suffix == ".csv":
        write_frame(frame, out)
    elif out.suffix == ".json":
        write_json(found.to_dict(), out)
    elif out.suffix == ".html":
        write_page(found, out)
    else:
        with _writing(out) as part:
            draw(found).savefig(part, format=out.suffix[1:])
    note(f"the {noun} is written to {out}.")


def _is_all_nan(frame: pl.DataFrame, name: str) -> bool:
    column = frame[name]
    return column.dtype.is_float() and frame.height > 0 and bool(column.is_nan().all())


# ---- tables


def print_table(columns: Mapping[str, Sequence[Any]], heading: str = "") -> None:
    """Print columns with their names above; numbers are aligned to the right."""
    cells = {name: _cells(name, values) for name, values in columns.items()}
    right = {name for name, values in columns.items() if _are_numbers(values)}
    n_rows = max(map(len, cells.values()), default=0)
    if is_terminal() and n_rows <= MAX_RICH_ROWS:
        _rich_table(cells, right, heading)
        return
    for line in plain_lines(cells, right):
        _write(sys.stdout, line)


def plain_lines(cells: Mapping[str, Sequence[str]], right: set[str]) -> list[str]:
    """Return the table as aligned lines."""
    widths = {name: max([_width(name), *map(_width, column)]) for name, column in cells.items()}
    rows = [list(cells), *map(list, zip(*cells.values(), strict=True))]
    return [
        "  ".join(_padded(cell, widths[name], name in right) for name, cell in zip(cells, row, strict=True)).rstrip()
        for row in rows
    ]


def _rich_table(cells: Mapping[str, Sequence[str]], right: set[str], heading: str) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, title=Text(printable(heading)) if heading else None, title_justify="left", pad_edge=False)
    for name in cells:
        table.add_column(Text(name), justify="right" if name in right else "left", header_style="bold cyan")
    for row in zip(*cells.values(), strict=True):
        table.add_row(*map(Text, row))
    _console_print(table)


def _cells(name: str, values: Sequence[Any]) -> list[str]:
    floats = [value for value in values if isinstance(value, float) and math.isfinite(value)]
    counts = max(floats, default=0) >= 10 and all(value.is_integer() for value in floats)
    decimals = 0 if counts else DECIMALS.get(name, 2)
    return [_cell(value, decimals) for value in values]


def _cell(value: Any, decimals: int) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return number(value, decimals) if isinstance(value, float) else printable(str(value))


def number(value: float, decimals: int = 2) -> str:
    """Return a rounded number as text; very large ones by their leading digits."""
    return f"{value:.6g}" if abs(value) >= 1e6 else f"{value:.{decimals}f}"


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(value is None or (isinstance(value, int | float)) for value in values) and len(values) > 0


def _width(text: str) -> int:
    """Return the number of terminal columns that the text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF") for sign in text)


def _padded(cell: str, width: int, right: bool) -> str:
    blanks = " " * (width - _width(cell))
    return blanks + cell if right else cell + blanks


def print_facts(facts: Facts) -> None:
    """Print names and values, one per line, aligned."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        say(f"{name:<{width}}  {one_line(value)}")


# ---- JSON


def print_json(value: Any) -> None:
    """Print JSON; nan and infinity become null."""
    say(_json_of(value))


def write_json(value: Any, out: Path) -> None:
    """Write JSON to a file: first to a temporary file, which is then renamed."""
    with _writing(out) as part:
        part.write_text(_json_of(value) + "\n", encoding="utf-8")


def _json_of(value: Any) -> str:
    text = json.dumps(_for_json(value), indent=2, ensure_ascii=False, allow_nan=False)
    return MISLEADING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _for_json(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _for_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_for_json(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | bool) else str(value)
