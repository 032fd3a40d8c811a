"""Ratings at a glance, for notebooks: their size, values and times, what reading reported, and the first rows.

Looks at no more than a few million ratings, and of ratings on disk at the first rows only.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from palate.data.rows import weighted_mean
from palate.data.titles import titles
from palate.showing import html, texts

N_ROWS = 5
MAX_LOOKED_AT = 5_000_000  # ratings; of more the mean and the shares of values are not shown
MAX_VALUES = 20  # different ratings that have a bar each
SECONDS = (1e8, 4e10)  # times between these are seconds since 1970: from 1973 on


def date(time: int) -> str:
    """A time as a date, if it looks like seconds since 1970; else the number."""
    return datetime.fromtimestamp(time, UTC).date().isoformat() if SECONDS[0] <= time < SECONDS[1] else f"{time:,}"


def overview(ratings: Any, *, on_disk: str = "") -> str:
    """Ratings as HTML. on_disk: the folder that they lie in; it is not read from end to end."""
    noun = "implicit ratings" if ratings.is_implicit else "ratings"
    head = f"{len(ratings):,} {noun} of {ratings.n_items:,} items by {ratings.n_users:,} users"
    if len(ratings) == 0:
        return html.page(head, html.notes(str(ratings.report)))
    looked_at = not on_disk and len(ratings) <= MAX_LOOKED_AT
    facts = {
        "density": f"{ratings._density():.2%} of pairs" if looked_at else "",
        "values": _values(ratings, with_mean=looked_at),
        "counts": _counts(ratings) if looked_at else "",
        "likes": "" if ratings.like_threshold is None else f"ratings of {ratings.like_threshold:g} or more",
        "times": "" if on_disk or ratings.time_range is None else " to ".join(map(date, ratings.time_range)),
        "user table": _columns(ratings.user_table),
        "item table": _columns(ratings.item_table),
        "folder": on_disk,
        "reading": str(ratings.report) if ratings.report.source or not ratings.report.is_clean else "",
        "columns": ratings.report.taken,
    }
    return html.page(head, html.facts(facts), _shares(ratings) if looked_at else "", _first_rows(ratings))


def _values(ratings: Any, *, with_mean: bool) -> str:
    """The range of explicit values, and their mean."""
    if ratings.is_implicit:
        return ""
    low, high = ratings.range
    mean = f", mean {weighted_mean(ratings.values, ratings.weights):.3f}" if with_mean and low <= high else ""
    return f"{low:g} to {high:g}{mean}"


def _counts(ratings: Any) -> str:
    counts = ratings.weights
    if not ratings.is_implicit or counts is None:
        return ""
    return f"{counts.min():g} to {counts.max():g}, {counts.sum(dtype=np.float64):,.0f} in all"


def _columns(table: Any) -> str:
    """The names of the columns of a table."""
    return "" if table is None else texts.joined(table.columns, 12, len(table.columns))


def _shares(ratings: Any) -> str:
    """A bar for each value, where there are few."""
    if ratings.is_implicit:
        return ""
    values, counts = np.unique(ratings.values, return_counts=True)
    if not 1 < len(values) <= MAX_VALUES:
        return ""
    rows = [
        (count, (f"{value:g}", f"{count:,}", f"{count / len(ratings):.1%}"))
        for value, count in zip(values.tolist(), counts.tolist(), strict=True)
    ]
    return html.bars(rows, head=("rating", "number", "share"), numbers=(0, 1, 2))


def _first_rows(ratings: Any) -> str:
    some = ratings[:N_ROWS]
    columns = {name: values.to_list() for name, values in some.to_frame().to_dict().items()}
    names = titles(ratings.item_table)
    if names is not None:
        columns["title"] = [names[code] for code in some.item_codes.tolist()]
    if "time" in columns:
        columns["time"] = [date(time) for time in columns["time"]]
    return html.columns(columns, "First rows", len(ratings))
