"""Confidence: what it counts for that somebody chose something so many times."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from palate.data.compressed import CompressedRows, Floats
from palate.data.rows import row_codes

Doubles = NDArray[np.float64]
Confidence = Literal["equal", "relative", "given"]
CONFIDENCES: tuple[Confidence, ...] = ("equal", "relative")  # "given", inside: weights are what they count for already


def choice_signals(
    histories: CompressedRows, confidence: Confidence, mean_counts: Doubles | None = None
) -> Floats | None:
    """What each choice counts for, (n,): 1, or (1 + ln(1 + count / own mean count)) / (1 + ln 2). None: 1 everywhere.

    The mean is that of the user's own counts: so a choice made as often as his usual one counts 1. usual_of: where rows
    are items, the usual counts of the users that are their columns; 0 for who has none, whose own choice is his usual.
    """
    if histories.weights is None or confidence == "equal":
        return None
    if confidence == "given":
        return histories.weights
    counts = histories.weights.astype(np.float64)
    means = mean_counts_of(histories)[row_codes(histories)] if mean_counts is None else mean_counts[histories.indices]
    usual = np.where(means > 0, means, counts if mean_counts is not None else 1)
    return np.asarray((1 + np.log1p(counts / usual)) / (1 + np.log(2)), np.float32)


def mean_counts_of(histories: CompressedRows) -> Doubles:
    """The mean count of each row's choices, (n_rows,); 0 of none."""
    counts = None if histories.weights is None else histories.weights.astype(np.float64)
    totals = np.bincount(row_codes(histories), counts, minlength=histories.n_rows)
    return totals / np.maximum(histories.counts, 1)


def weighted_choices(
    histories: CompressedRows, confidence: Confidence, mean_counts: Doubles | None = None
) -> CompressedRows:
    """The same choices, weighing what they count for in place of how often they were made; see choice_signals()."""
    return replace(histories, weights=choice_signals(histories, confidence, mean_counts))
