"""Live lines: a line or a table that changes while something runs.

On a terminal rich draws it on standard error. In a notebook it is one output, replaced in place and final at the end;
what runs inside something longer, as a fit within a comparison, shows its line in the output of that. Anywhere else
nothing is shown, and neither rich nor IPython is imported.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from palate.showing import html
from palate.showing.events import is_quiet

if TYPE_CHECKING:
    from rich.progress import Progress as RichBar

Progress = bool | Literal["auto"]
PER_SECOND = 8  # how often a line is drawn anew, at most
MAX_LINES = 40  # kept of the lines, and of the rows of a table, in a notebook
UNCHANGED = -1  # stands for a total that does not change


def notebook() -> Any:
    """IPython where this process runs the cells of a notebook; None anywhere else, also in IPython on a terminal."""
    ipython: Any = sys.modules.get("IPython")  # a notebook has imported it
    shell = ipython.get_ipython() if hasattr(ipython, "get_ipython") else None
    return ipython if getattr(shell, "kernel", None) is not None else None


def is_shown(show: Progress) -> bool:
    """True if something is to be shown: where somebody looks, if `show` is "auto"."""
    return bool(show) if show != "auto" else not is_quiet() and (sys.stderr.isatty() or notebook() is not None)


def clock(seconds: float) -> str:
    """A duration as 0:05, 12:30 or 1:02:05."""
    whole = max(int(seconds), 0)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


class Bar:
    """A line with a bar, and lines or rows of a table above it. Does nothing where it is not shown.

    columns: what stands in the line, in order: "label", "bar", "count", "left", "elapsed", "text", or a text as it is.
    head: the columns of a table above it, with their widths. transient: whether the line goes when it is closed.
    """

    def __init__(
        self, show: Progress, columns: Sequence[str], *, head: Mapping[str, int] | None = None, transient: bool = False
    ) -> None:
        self.is_shown = is_shown(show)
        self._drawn: _Terminal | _Notebook | None = None
        if self.is_shown:
            given = columns, head or {}
            bare = notebook() is None
            self._drawn = _Terminal(*given, transient=transient) if bare else _Notebook(*given, transient=transient)

    def update(
        self,
        *,
        label: str | None = None,
        done: int | None = None,
        total: int | None = UNCHANGED,
        text: str | None = None,
    ) -> None:
        """Change some of what the line shows. total=None: nobody knows how much there is to do."""
        if self._drawn is not None:
            given = {"label": label, "done": done, "text": text}
            changed: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
            self._drawn.update(changed | ({} if total == UNCHANGED else {"total": total}))

    def restart(self) -> None:
        """Count and time from the beginning."""
        if self._drawn is not None:
            self._drawn.restart()

    def say(self, line: str) -> None:
        """Add a line above the bar."""
        if self._drawn is not None:
            self._drawn.say(line)

    def row(self, cells: Sequence[str]) -> None:
        """Add a row to the table above the bar."""
        if self._drawn is not None:
            self._drawn.row(cells)

    def close(self, summary: str = "") -> bool:
        """End the line. True if it ends as the summary: only notebooks show one."""
        drawn, self._drawn = self._drawn, None
        return drawn is not None and drawn.close(summary)


class Lines:
    """Lines that something long says as it goes on; lines of what it runs stand below them. A context manager."""

    def __init__(self, show: Progress) -> None:
        self._is_shown = is_shown(show)
        self._notebook = _Notebook((), {}, transient=True) if self._is_shown and notebook() is not None else None

    def say(self, line: str) -> None:
        """Add a line."""
        if self._notebook is not None:
            self._notebook.say(line)
        elif self._is_shown:
            print(line, file=sys.stderr)  # noqa: T201

    def hint(self, line: str) -> None:
        """Add a line that a notebook shows only until the next one."""
        if self._notebook is not None:
            self._notebook.hint(line)
        else:
            self.say(line)

    def __enter__(self) -> Self:
        self._outer = _around.set(self._notebook) if self._notebook is not None else None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._notebook is not None and self._outer is not None:
            _around.reset(self._outer)
            self._notebook.close("")


class _Terminal:
    """Drawn by rich."""

    def __init__(self, columns: Sequence[str], head: Mapping[str, int], *, transient: bool) -> None:
        self._bar, self._widths = _rich_bar(columns, transient=transient), list(head.values())
        self._bar.start()
        self._task = self._bar.add_task("", total=None, text="")
        if head:
            self.row(list(head))

    def update(self, changed: dict[str, Any]) -> None:
        names = {"label": "description", "done": "completed"}
        self._bar.update(self._task, **{names.get(name, name): value for name, value in changed.items()})

    def restart(self) -> None:
        self._bar.reset(self._task, total=None, text="")

    def say(self, line: str) -> None:
        self._bar.console.print(line, highlight=False, markup=False)

    def row(self, cells: Sequence[str]) -> None:
        self.say("  ".join(cell.rjust(width) for cell, width in zip(cells, self._widths, strict=True)))

    def close(self, summary: str) -> bool:  # noqa: ARG002 - the line stays as it is
        self._bar.stop()
        return False


def _rich_bar(columns: Sequence[str], *, transient: bool) -> RichBar:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    made: dict[str, ProgressColumn] = {
        "label": TextColumn("{task.description}"),
        "bar": BarColumn(bar_width=20),
        "count": MofNCompleteColumn(),
        "left": TimeRemainingColumn(compact=True),
        "elapsed": TimeElapsedColumn(),
        "text": TextColumn("{task.fields[text]}"),
    }
    return Progress(
        *(made.get(column) or TextColumn(column) for column in columns),
        console=Console(stderr=True),
        refresh_per_second=PER_SECOND,
        transient=transient,
    )


class _Notebook:
    """One output of a notebook. Inside another one it has no output of its own: it is drawn below the lines there."""

    def __init__(self, columns: Sequence[str], head: Mapping[str, int], *, transient: bool) -> None:
        self._columns, self._head, self._transient = columns, list(head), transient
        self._lines: list[str] = []
        self._rows: list[list[str]] = []
        self._label = self._text = self._summary = self._hint = ""
        self._done, self._ended = 0, False
        self._total: int | None = None
        self._start, self._next = time.monotonic(), 0.0
        self._output: Any = None
        self._outer = _around.get()
        self._inner: _Notebook | None = None
        if self._outer is not None:
            self._outer._inner = self

    def update(self, changed: dict[str, Any]) -> None:
        for name, value in changed.items():
            setattr(self, f"_{name}", value)
        self._draw()

    def restart(self) -> None:
        self._done, self._total, self._text, self._start = 0, None, "", time.monotonic()

    def say(self, line: str) -> None:
        self._lines.append(line)
        self.hint("")

    def hint(self, line: str) -> None:
        self._hint = line
        self._draw(at_once=True)

    def row(self, cells: Sequence[str]) -> None:
        self._rows.append(list(cells))
        self._draw(at_once=True)

    def close(self, summary: str) -> bool:
        self._summary, self._hint, self._ended = summary, "", True
        if self._outer is not None:
            self._outer._lines += self._lines
            self._outer._inner = None
        else:
            self._draw(at_once=True)
        return bool(summary)

    # ---- drawing

    def _draw(self, *, at_once: bool = False) -> None:
        """Draw it as it is now, unless it was drawn a moment ago."""
        if self._outer is not None:
            self._outer._draw(at_once=at_once)
            return
        now = time.monotonic()
        ipython = notebook()
        if ipython is None or (now < self._next and not at_once):
            return
        self._next = now + 1 / PER_SECOND
        data = {"text/html": html.page("", self._html()), "text/plain": self._plain()}
        if self._output is None:
            self._output = ipython.display.display(data, raw=True, display_id=True)
        else:
            self._output.update(data, raw=True)

    def _html(self) -> str:
        """The lines, the table, the line with the bar, and what runs inside."""
        lines, rows = self._lines[-MAX_LINES:], self._rows[-MAX_LINES:]
        parts: list[str] = [html.paragraph("\n".join([*self._left_out(self._lines), *lines]))] if lines else []
        if self._head:
            parts.append(html.table(rows or [[""] * len(self._head)], head=self._head, numbers=range(len(self._head))))
            parts.append(html.notes(*self._left_out(self._rows)))
        if self._hint:
            parts.append(html.notes(self._hint))
        if self._ended and self._summary:
            parts.append(html.paragraph(self._summary))
        elif line := self._line():
            drawn = "".join(cell if isinstance(cell, html.Raw) else f"<span>{html.text(cell)}</span>" for cell in line)
            parts.append(f'<div class="palate-live">{drawn}</div>')
        return "".join(parts) + ("" if self._inner is None else self._inner._html())

    def _plain(self) -> str:
        line = (
            [] if self._ended and self._summary else [cell for cell in self._line() if not isinstance(cell, html.Raw)]
        )
        table = [self._head, *self._rows[-MAX_LINES:]] if self._head else []
        inner = "" if self._inner is None else self._inner._plain()
        texts = [*self._lines[-MAX_LINES:], *map("  ".join, table), self._hint, self._summary, "  ".join(line), inner]
        return "\n".join(text for text in texts if text)

    @staticmethod
    def _left_out(whole: Sequence[Any]) -> list[str]:
        return [f"… {len(whole) - MAX_LINES:,} before these"] if len(whole) > MAX_LINES else []

    def _line(self) -> list[str]:
        """What stands in the line with the bar; nothing when it has ended and goes."""
        if self._ended and self._transient:
            return []
        cells = [self._cell(column) for column in self._columns]
        return [cell for cell in cells if cell]

    def _cell(self, column: str) -> str:
        seconds = time.monotonic() - self._start
        if column == "label":
            return self._label
        if column == "bar":
            return html.bar(self._done / self._total) if self._total and not self._ended else ""
        if column == "count":
            return f"{self._done}/{self._total}" if self._total else str(self._done or "")
        if column == "left":
            return clock(seconds / self._done * (self._total - self._done)) if self._total and self._done else "-:--"
        if column == "elapsed":
            return clock(seconds)
        return self._text if column == "text" else column


_around: ContextVar[_Notebook | None] = ContextVar("what runs around this", default=None)
