"""The table of a report on rankings: a column for each list length, and below each measure what it is set beside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from palate.evaluation.resampling import Measure


def table(
    measures: Mapping[str, Measure], ks: Sequence[int], others: Mapping[str, Mapping[str, Measure]]
) -> list[list[str]]:
    """Return the rows of a table, its head first. others: the same measures of something else, by their rows' names.

    Measures that have no list length come last. Rows of others stand below the measures that they have.
    """
    names = list(dict.fromkeys(name.partition("@")[0] for name in measures))
    names.sort(key=lambda name: name in measures)
    rows = [["", *(f"@{k}" for k in ks)]]
    for name in names:
        rows.append([name, *_cells(name, measures, ks)])
        for other, own in others.items():
            if any(key.partition("@")[0] == name for key in own):
                rows.append([f"  {other}", *_cells(name, own, ks)])
    return rows


def _cells(name: str, measures: Mapping[str, Measure], ks: Sequence[int]) -> list[str]:
    keys = [name] if name in measures else [f"{name}@{k}" for k in ks]
    return [_cell(measures[key]) if key in measures else "-" for key in keys]


def _cell(measure: Measure) -> str:
    if math.isnan(measure.low):
        return f"{measure.value:.4f}"
    return f"{measure.value:.4f} ({measure.low:.3f} .. {measure.high:.3f})"
