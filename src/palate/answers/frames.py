"""Frames: any kind that narwhals knows comes in; labels and titles become the columns of those that go out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.titles import titles
from palate.data.vocabulary import Vocabulary
from palate.models.factors import Codes
from palate.models.model import Model

if TYPE_CHECKING:
    import polars as pl

Frame = Any  # a pandas, polars or arrow frame


def is_frame(value: Any) -> bool:
    """True if narwhals knows the value as a frame."""
    if type(value).__module__.partition(".")[0] in ("builtins", "numpy"):
        return False  # most calls pass a label or a list: they need not wait for narwhals to load
    import narwhals as nw

    try:
        return isinstance(nw.from_native(value, eager_only=True, pass_through=True), nw.DataFrame)
    except nw.exceptions.DuplicateError:
        return True


def make_frame(columns: Mapping[str, Any]) -> pl.DataFrame:
    """A polars frame of these columns. At the door it becomes the kind that is asked for (data/output.py)."""
    import polars as pl

    return pl.DataFrame({name: _column(name, values) for name, values in columns.items()})


def _column(name: str, values: Any) -> pl.Series:
    import polars as pl

    if isinstance(values, list) or values.dtype.kind == "O":
        return pl.Series(name, list(values), dtype=pl.String)
    return pl.Series(name, values)


# ---- labels and titles as columns ------------------------------------------------------------------------------------


def item_columns(model: Model, codes: Codes) -> dict[str, Any]:
    """The columns that name items: item and, where the model has titles, title; (n,) each."""
    columns: dict[str, Any] = {model.item_vocabulary.what: model.item_vocabulary.decode(codes)}
    texts = model.item_titles
    return columns if texts is None else columns | {"title": [texts[code] for code in codes]}


def item_series(model: Model) -> dict[str, pl.Series]:
    """The label and title columns of all items, in the order of their codes."""
    return label_columns(model.item_vocabulary, model.item_table)


def rank_series(model: Model) -> pl.Series:
    """The numbers from 1 to the number of items, as the column of ranks: its first rows are the ranks of one list."""
    import polars as pl

    return pl.Series("rank", np.arange(1, len(model.item_vocabulary) + 1, dtype=np.int32))


def label_columns(vocabulary: Vocabulary, table: pl.DataFrame | None) -> dict[str, pl.Series]:
    """Label and, where the table has them, title of every code, in the order of the codes."""
    import polars as pl

    texts = titles(table)
    columns = {vocabulary.what: series_of_labels(vocabulary.labels, vocabulary.what)}
    return columns if texts is None else columns | {"title": pl.Series("title", texts, dtype=pl.String)}


def series_of_labels(labels: NDArray[Any], name: str) -> pl.Series:
    """Labels, strings or integers, as a column with this name."""
    import polars as pl

    return pl.Series(name, labels.tolist(), dtype=pl.String) if labels.dtype.kind == "O" else pl.Series(name, labels)
