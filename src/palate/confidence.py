"""Confidence: what it counts for that somebody chose something so many times."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from palate.compressed import CompressedRows, Floats
from palate.rows import row_codes

Confidence = Literal["equal", "relative", "given"]
CONFIDENCES: tuple[Confidence, ...] = ("equal", "relative")  # "given", inside: weights are what they count for already


def choice_signals(histories: CompressedRows, confidence: Confidence) -> Floats | None:
    """What each choice counts for, (n,): 1, or (1 + ln(1 + count / own mean count)) / (1 + ln 2). None: 1 everywhere.

    The mean is that of the user's own counts: so a choice made as often as his usual one counts 1.
    """
    if histories.weights is None or confidence == "equal":
        return None
    if confidence == "given":
        return histories.weights
    counts = histories.weights.astype(np.float64)
    totals = np.bincount(row_codes(histories), counts, minlength=histories.n_rows)
    means = totals / np.maximum(histories.counts, 1)
    usual = np.repeat(np.where(means > 0, means, 1), histories.counts)
    return np.asarray((1 + np.log1p(counts / usual)) / (1 + np.log(2)), np.float32)


def weighed_choices(histories: CompressedRows, confidence: Confidence) -> CompressedRows:
    """The same choices, weighing what they count for in place of how often they were made."""
    return replace(histories, weights=choice_signals(histories, confidence))
