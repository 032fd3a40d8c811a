"""Breakdowns of reports: a measure by groups of users and of items, of the model and of a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from palate.evaluation.groups import Groups
from palate.evaluation.resampling import Doubles, Measure, Resample, measures_of

OWN = "model"  # the name of the model beside its baseline


@dataclass(frozen=True)
class Breakdown:
    """A measure by groups of users, or of items.

    Attributes:
        by (str): "user" or "item": whose training ratings were counted.
        measure (str): The measure, such as "rmse".
        groups (tuple of str): The ranges of the number of training ratings, such as "20 to 47"; "none" without any.
        sizes (tuple of int): The number of test rows in each group.
        measures (dict of str to tuple of Measure): The measure in each group, of the "model" and of a baseline.
    """

    by: Literal["user", "item"]
    measure: str
    groups: tuple[str, ...]
    sizes: tuple[int, ...]
    measures: dict[str, tuple[Measure, ...]]


def breakdown(
    by: Literal["user", "item"],
    measure: str,
    groups: Groups,
    sizes: Sequence[int] | NDArray[np.generic],
    sums: Mapping[str, tuple[Doubles, Doubles]],
    resample: Resample,
) -> Breakdown:
    """Return a measure by groups. sums: of each model, sums and counts of each user's rows by group, (n_users, n)."""
    measures = {name: means_by_group(measure, *one, resample) for name, one in sums.items()}
    return Breakdown(by, measure, groups.names, tuple(map(int, sizes)), measures)


def means_by_group(measure: str, sums: Doubles, counts: Doubles, resample: Resample) -> tuple[Measure, ...]:
    """Return the mean of each group with its interval; for rmse, its root."""
    root = np.sqrt if measure == "rmse" else np.asarray
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums.sum(axis=0) / counts.sum(axis=0)
    return tuple(measures_of(root(means), root(resample.ratios(sums, counts))))


def one_hot(values: Doubles, groups: Groups) -> Doubles:
    """Each user's value in the column of its group, 0 in the others: (n_users, n)."""
    out = np.zeros((len(values), len(groups.names)))
    if groups.names:
        out[np.arange(len(values)), groups.of] = values
    return out
