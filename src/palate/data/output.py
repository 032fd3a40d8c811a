"""The kind of frame that answers come in: the one set, else that of the question, else that of the training ratings.

set_output() sets a kind for the process, or for the code in a `with` block. Nobody has to: a pandas frame asks for a
pandas frame, and a model fitted to ratings from a pandas frame answers in pandas frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, get_args

from palate.errors import OptionError
from palate.options import check_choice

if TYPE_CHECKING:
    import polars as pl

FrameKind = Literal["pandas", "polars", "pyarrow"]
KINDS: tuple[FrameKind, ...] = get_args(FrameKind)
UNSET: Any = object()

_of_process: list[tuple[Output, ...]] = [()]  # the calls that count for the process: the last one decides
_writing = Lock()  # only who changes them needs it
MOST_CALLS = 100  # that are kept: all but the last few are of no use
_of_block: ContextVar[FrameKind | None] = ContextVar("palate.output", default=UNSET)


class Output:
    """What set_output() returns: used in a `with` statement, the kind counts for the block alone."""

    def __init__(self, kind: FrameKind | None) -> None:
        self._kind = kind
        self._token: Token[FrameKind | None] | None = None

    def __enter__(self) -> None:
        if self._token is not None:
            raise OptionError("this block has begun already; call palate.set_output() anew for each block.")
        with _writing:  # it counts for the block alone; calls of other threads in between stay
            _of_process[0] = tuple(call for call in _of_process[0] if call is not self)
        self._token = _of_block.set(self._kind)

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _of_block.reset(self._token)
            self._token = None

    def __repr__(self) -> str:
        return f"<palate.set_output({self._kind!r})>"


def set_output(kind: FrameKind | None) -> Output:
    """Set the kind of frame that all answers come in, for this process or for a `with` block.

    Where no kind is set, an answer has the kind of the frame or column it was asked with; else that of the frame whose
    ratings the model learned from; else it is a polars frame. A loaded model does not know what it learned from. In a
    `with` block the kind counts for the code in it, on this thread or in this asyncio task, and whatever is set for the
    process does not.

    Parameters:
        kind ("pandas", "polars", "pyarrow" or None): The kind of all answers. None: none is set, as at the start.

    Returns:
        Output: For a `with` statement; without one the kind stays set.

    Raises:
        OptionError: There is no such kind, or the library is not installed.

    Example:
        >>> import palate
        >>> rec = palate.Bias().fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> with palate.set_output("pandas"):
        ...     list(rec.recommend("u1", n=3).columns)
        ['user', 'item', 'score', 'rank']
    """
    if kind is not None:
        check_choice("kind", kind, KINDS)
        for library in {"pandas": ("pandas",), "pyarrow": ("pyarrow",)}.get(kind, ()):
            if find_spec(library) is None:
                raise OptionError(f"{library} is not installed: pip install 'palate[pandas]'.")
    made = Output(kind)
    with _writing:
        _of_process[0] = (*_of_process[0], made)[-MOST_CALLS:]
    return made


@contextmanager
def output_of(kind: FrameKind) -> Iterator[None]:
    """Have all answers in the block come in this kind, whatever the caller has set: for code that reads them itself."""
    token = _of_block.set(kind)
    try:
        yield
    finally:
        _of_block.reset(token)


def output_kind(question: Any, learned: str | None = None) -> str:
    """The kind of an answer. question: what was asked with, a frame or column or not; learned: of the ratings."""
    asked = _of_block.get()
    if asked is UNSET:
        calls = _of_process[0]
        asked = calls[-1]._kind if calls else None
    return asked or kind_of(question) or learned or "polars"


def kind_of(value: Any) -> str | None:
    """The kind of a frame or column, as narwhals calls it ("pandas", "modin"); None for anything else.

    A mapping or tuple of columns is of the kind of the first column that has one.
    """
    library = type(value).__module__.partition(".")[0]
    if library == "builtins":
        parts = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, tuple) else ()
        return next((kind for part in parts[:MOST_PARTS] if (kind := kind_of(part)) is not None), None)
    if library == "numpy":
        return None
    if library in KINDS:
        return library if hasattr(value, "__len__") and not hasattr(value, "as_py") else None  # no single value
    import narwhals as nw

    try:
        known = nw.from_native(value, eager_only=True, allow_series=True, pass_through=True)
    except nw.exceptions.DuplicateError:
        return "pandas" if hasattr(value, "iloc") else "pyarrow"
    return str(known.implementation.value) if isinstance(known, nw.DataFrame | nw.Series) else None


MOST_PARTS = 5  # of a mapping that are looked at: a person's ratings are a mapping too, and may be many


def as_kind(frame: pl.DataFrame, kind: str) -> Any:
    """Convert a polars frame to a kind that kind_of() or set_output() names."""
    if kind == "polars":
        return frame
    if kind == "pandas":
        import pandas as pd

        return pd.DataFrame({name: _for_pandas(frame[name]) for name in frame.columns})
    if kind == "pyarrow":
        return _to_arrow(frame)
    import narwhals as nw

    backend: Any = kind
    return nw.from_dict(frame.to_dict(), backend=backend).to_native()


def _to_arrow(frame: pl.DataFrame) -> Any:
    """An Arrow table, whose texts have the usual type: with 32-bit offsets."""
    import pyarrow as pa

    table = frame.to_arrow()
    fields = [field.with_type(pa.string()) if field.type == pa.large_string() else field for field in table.schema]
    return table.cast(pa.schema(fields))


def _for_pandas(series: pl.Series) -> Any:
    return list(series.to_numpy()) if series.dtype.is_nested() else series.to_numpy()


def in_kind(frame: pl.DataFrame | Path | str, question: Any = None, learned: str | None = None) -> Any:
    """A polars frame in the kind of the answer to a question, as output_kind() says it; the path of a file as it is."""
    if isinstance(frame, (Path, str)):
        return frame
    kind = output_kind(question, learned)
    return frame if kind == "polars" else as_kind(frame, kind)


def in_kind_by_row(frame: pl.DataFrame, question: Any, learned: str | None = None) -> Any:
    """As in_kind() for an answer with a row for each row of a question: a pandas frame gets the index of the question.

    question: a frame, a column, or a tuple of columns. Columns of different indexes leave the answer without one.
    """
    answer = in_kind(frame, question, learned)
    if not hasattr(answer, "iloc"):  # not of the pandas family, whose rows have an index
        return answer
    indexes = [part.index for part in (question if isinstance(question, tuple) else (question,)) if _has_index(part)]
    if indexes and all(index is indexes[0] or index.equals(indexes[0]) for index in indexes[1:]):
        answer.index = indexes[0]
    return answer


def _has_index(value: Any) -> bool:
    return hasattr(value, "iloc") and hasattr(value, "index")
