"""The options recency and half_life that recipes share: their checks, and the Fading that a fit takes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np

from palate.data.durations import Duration, duration_of
from palate.data.ratings import Ratings
from palate.errors import DataError, OptionError
from palate.models.fading import Fading
from palate.options import check_positive


def checked_half_life(recency: float | None, half_life: Duration | None) -> Any:
    """Check both options; return half_life as a model file can hold it: text, or seconds. Raise OptionError."""
    if recency is not None:
        check_positive(recency=recency)
    if half_life is None:
        return None
    seconds = duration_of(half_life, "half_life")
    return seconds if isinstance(half_life, timedelta | np.timedelta64) else half_life


def fading_of(recency: float | None, half_life: Duration | None, ratings: Ratings) -> Fading:
    """The fading of a fit to these ratings. Raise DataError or OptionError if they have no such order."""
    fading = Fading(
        None if recency is None else float(recency),
        None if half_life is None else duration_of(half_life, "half_life"),
    )
    if not fading.is_none and not ratings.is_implicit:
        raise OptionError(
            "recency and half_life weigh choices, and these are ratings: take ratings.likes(at_least=4), or leave "
            "them out."
        )
    if fading.half_life is not None and ratings.times is None:
        raise DataError(
            f"half_life={half_life!r} goes by the ages of events, and these ratings have no times: name the column of "
            'times when reading them (palate.read(..., time="...")), or give recency=, which goes by their order.'
        )
    return fading
