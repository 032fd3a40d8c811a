"""Question time: answers that weigh the events of a user by their order or age, whatever the model learned with."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from palate.data.durations import duration_of, is_duration
from palate.data.rows import CompressedRows
from palate.errors import DataError, OptionError
from palate.models.fading import Fading
from palate.models.implicit_links import folded
from palate.models.model import Model, UserRows
from palate.options import is_number


def fading_of(recent: Any) -> Fading:
    """The fading that recent= says: a number of events, or a length of time. Raises OptionError for anything else."""
    number = _number(recent)
    if number is not None and 0 < number < float("inf"):
        return Fading(recency=number)
    if number is not None or not is_duration(recent):
        raise OptionError(
            f'recent={recent!r}: give a number of events above 0, such as 5, or a time, such as "30d" or "12h".'
        )
    return Fading(half_life=duration_of(recent, "recent"))


def _number(recent: Any) -> float | None:
    """A number, also as text; None for anything else."""
    if isinstance(recent, np.timedelta64):  # which NumPy takes for an integer too
        return None
    if is_number(recent):
        return float(recent)
    try:
        return float(recent) if isinstance(recent, str) else None
    except ValueError:
        return None


def asked(model: Model, recent: Any) -> Model:
    """The model that answers with recent=, for users as seen_by() makes them. Raises OptionError if it cannot.

    What is made once for a model is not made again.
    """
    other = copy(model)
    other.__dict__.update(factors=model.factors.faded(fading_of(recent)), _made=model._made)
    return other


def seen_by(model: Model, rows: UserRows) -> UserRows:
    """The same users as a model with another fading sees them: their vectors are solved again.

    Raises DataError for ages of events without times.
    """
    if model.factors.fades_by_age:
        _check_times(rows.history)
    if model.factors.n_factors == 0:  # the history alone answers
        return rows
    vectors = folded(model.factors, rows.history, model.features_of(rows))
    is_cold = rows.history.counts == 0
    vectors[is_cold] = rows.vectors[is_cold]
    return replace(rows, vectors=vectors)


def _check_times(history: CompressedRows) -> None:
    if history.times is None and len(history.indices):
        raise DataError(
            "recent= as a time goes by the ages of events, and these have no times: fit on ratings with times, or fold "
            "in with times=, or give a number of events, such as recent=5."
        )
