"""Rows of answers as tables of HTML: what somebody rated or chose, and the rows of a short frame."""

from __future__ import annotations

from palate.answers.frames import Frame, item_columns
from palate.data.rows import CompressedRows
from palate.models.model import Model
from palate.showing import html

N_SHOWN = 5  # rows of a table that stands beside others


def frame_table(frame: Frame, caption: str) -> html.Raw:
    """A short polars frame as a table."""
    return html.columns({name: frame[name].to_list() for name in frame.columns}, caption)


def history_table(model: Model, history: CompressedRows) -> html.Raw:
    """The ratings or choices of one user, the first few of them."""
    codes = history.indices[:N_SHOWN]
    columns = item_columns(model, codes)
    if model.kind == "explicit":
        columns["rating"] = history.values[:N_SHOWN]
    elif history.weights is not None:
        columns["count"] = history.weights[:N_SHOWN]
    return html.columns(columns, "Given", len(history.indices))
