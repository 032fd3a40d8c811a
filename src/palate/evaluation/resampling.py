"""The bootstrap over users: how far a measure would vary if other users had been tested."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.results import aligned
from palate.errors import OptionError
from palate.showing import html
from palate.showing.texts import Fielded, Printed

Doubles = NDArray[np.float64]

N_BOOTSTRAP = 1000
TAIL_QUANTILES = (0.025, 0.975)
BLOCK_WEIGHTS = 4_000_000  # bootstrap weights multiplied at once
DRAWN_WEIGHTS = 100_000  # weights drawn at once: few enough to stay in the processor's cache
MAX_KEPT_WEIGHTS = 50_000_000  # one byte each; more are drawn anew each time
N_QUANTILES = 2**16


@dataclass(frozen=True, repr=False)
class Measure(Printed):
    """A measured value with its 95% bootstrap interval over users.

    str(measure) prints the value to four decimals with the interval in brackets.

    Attributes:
        value (float): The measure.
        low (float, default nan): The lower end of the interval; nan where a measure has no interval.
        high (float, default nan): The upper end of the interval; nan where a measure has no interval.

    Source:
        Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13 (percentile intervals).

    Example:
        >>> from palate.evaluation import Measure
        >>> str(Measure(0.87, 0.85, 0.9))
        '0.8700 (0.8500 .. 0.9000)'
    """

    value: float
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        return f"{self.value:.4f}" if math.isnan(self.low) else f"{self.value:.4f} ({self.low:.4f} .. {self.high:.4f})"

    def _repr_html_(self) -> str:
        return html.page(str(self))


class Measured(Printed):
    """What reports share: report["rmse"] is the value of a measure, an unknown name raises OptionError; how they print.

    A report says what stands above its table (_heading), the rows of the table with their head (_table), and what a
    reader should know besides (_notes).
    """

    measures: dict[str, Measure]

    def _heading(self) -> str:
        raise NotImplementedError

    def _table(self) -> list[list[str]]:
        raise NotImplementedError

    def _notes(self) -> list[str]:
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n".join([self._heading(), *aligned(self._table()), *self._notes()])

    def _repr_html_(self) -> str:
        head, *rows = self._table()
        return html.page(self._heading(), html.table(rows, head=head), html.notes(*self._notes()))

    def __getitem__(self, name: str) -> float:
        if name not in self.measures:
            raise OptionError(f"no measure {name!r}; there are {', '.join(self.measures)}.")
        return self.measures[name].value


def plain_measures(measures: Mapping[str, Measure]) -> dict[str, Any]:
    """Return measures as plain values, ready for JSON; nan becomes None."""
    return {
        name: {part: None if math.isnan(number) else number for part, number in vars(measure).items()}
        for name, measure in measures.items()
    }


@dataclass(frozen=True, repr=False)
class PerUser(Fielded):
    """A mean over test rows, split by user: the weighted sum and the weight of each user's rows, (n_users,) each."""

    sums: Doubles
    counts: Doubles


class Resample:
    """Bootstrap weights of users. Users are resampled, not ratings, since the ratings of one user are correlated."""

    def __init__(self, n_users: int, n_bootstrap: int = N_BOOTSTRAP, seed: int = 0) -> None:
        self.n_users = n_users
        self.n_bootstrap = n_bootstrap
        self._seed = seed
        self._kept: list[NDArray[np.uint8]] = []

    def of(self, n_users: int) -> Resample:
        """The same of another number of users: itself, which draws once, if it is the same."""
        return self if n_users == self.n_users else Resample(n_users, self.n_bootstrap, self._seed)

    def totals(self, per_user: Doubles) -> Doubles:
        """Return the column sums of (n_users, c) in each resampling: (n_bootstrap, c)."""
        columns = per_user.astype(np.float32, order="C")
        return np.concatenate([weights.astype(np.float32) @ columns for weights in self._weights()]).astype(np.float64)

    def _weights(self) -> Iterable[NDArray[np.uint8]]:
        """Yield how often each user counts in each resampling, in blocks of (n, n_users)."""
        if self.n_users * self.n_bootstrap > MAX_KEPT_WEIGHTS:
            return self._draw()
        if not self._kept:
            self._kept = list(self._draw())
        return self._kept

    def _draw(self) -> Iterator[NDArray[np.uint8]]:
        rng = np.random.Generator(np.random.Philox(self._seed))
        block = max(1, BLOCK_WEIGHTS // max(self.n_users, 1))
        for start in range(0, self.n_bootstrap, block):
            yield _poisson_weights(rng, (min(block, self.n_bootstrap - start), self.n_users))

    def ratios(self, sums: Doubles, counts: Doubles) -> Doubles:
        """Return the ratios of column sums in each resampling, (n_bootstrap, c); nan where the counts sum to 0.

        sums and counts: (n_users, c) each. Columns with the same counts as the first column share its total.
        """
        other = (counts != counts[:, :1]).any(axis=0)
        n = sums.shape[1]
        totals = self.totals(np.hstack([sums, counts[:, :1], counts[:, other]]))
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Doubles = totals[:, :n] / totals[:, np.where(other, n + np.cumsum(other), n)]
        return found


def measure_of(value: float, sample: Doubles) -> Measure:
    """Return a value with its percentile interval; sample: the value in each resampling, (n_bootstrap,)."""
    (measure,) = measures_of([value], sample[:, None])
    return measure


def measures_of(values: Iterable[float], samples: Doubles) -> list[Measure]:
    """Return values with their percentile intervals; samples: (n_bootstrap, n), in which nan is ignored."""
    missing = np.isnan(samples)
    partial, whole = np.flatnonzero(missing.any(axis=0) & ~missing.all(axis=0)), ~missing.any(axis=0)
    ends = np.full((len(TAIL_QUANTILES), samples.shape[1]), np.nan)
    ends[:, whole] = np.quantile(samples[:, whole], TAIL_QUANTILES, axis=0)
    for column in partial:
        ends[:, column] = np.nanquantile(samples[:, column], TAIL_QUANTILES)
    return [Measure(float(value), float(low), float(high)) for value, low, high in zip(values, *ends, strict=True)]


def _poisson_weights(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw Poisson(1) weights, which approximate the bootstrap of many users without drawing their indices."""
    weights = np.zeros(shape[0] * shape[1], np.uint8)
    for start in range(0, len(weights), DRAWN_WEIGHTS):
        part = weights[start : start + DRAWN_WEIGHTS]
        draws = np.frombuffer(rng.bytes(2 * len(part)), "<u2")
        for step in POISSON_STEPS:
            part += draws >= step
    return weights.reshape(shape)


def _poisson_steps() -> list[int]:
    """Return where a uniform draw of 16 bits passes the cumulative distribution of Poisson(1)."""
    cumulative = np.cumsum(np.exp(-1.0) / np.array([math.factorial(n) for n in range(10)]))
    steps = np.rint(cumulative * N_QUANTILES).astype(int)
    return [step for step in steps.tolist() if step < N_QUANTILES]


POISSON_STEPS = _poisson_steps()
