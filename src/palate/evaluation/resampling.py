"""Resampling: what a measure would have been with other users. The bootstrap, over users."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.errors import OptionError

Doubles = NDArray[np.float64]

N_BOOTSTRAP = 1000
TAILS = (0.025, 0.975)
BLOCK = 4_000_000  # weights used at once
DRAWN = 100_000  # weights drawn at once: so few that they stay near the processor
MOST_KEPT = 50_000_000  # of them, a byte each
N_QUANTILES = 2**16


@dataclass(frozen=True)
class Measure:
    """A measured value with its 95% bootstrap interval over users; nan where no interval is claimed."""

    value: float
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        return f"{self.value:.4f}" if math.isnan(self.low) else f"{self.value:.4f} ({self.low:.4f} .. {self.high:.4f})"


class Measured:
    """What reports have in common: report["rmse"] is the value of a measure; OptionError names those there are."""

    measures: dict[str, Measure]

    def __getitem__(self, name: str) -> float:
        if name not in self.measures:
            raise OptionError(f"no measure {name!r}; there are {', '.join(self.measures)}.")
        return self.measures[name].value


def plain_measures(measures: Mapping[str, Measure]) -> dict[str, Any]:
    """Measures as plain values, ready for JSON: nan becomes None."""
    return {
        name: {part: None if math.isnan(number) else number for part, number in vars(measure).items()}
        for name, measure in measures.items()
    }


@dataclass(frozen=True)
class PerUser:
    """A mean over rows (or users) by user: the sums of each, and how many rows they are of; (n_users,) each."""

    sums: Doubles
    counts: Doubles


class Resample:
    """Bootstrap over users: users, not ratings, are what a new sample would bring."""

    def __init__(self, n_users: int, n_bootstrap: int = N_BOOTSTRAP, seed: int = 0) -> None:
        self.n_users = n_users
        self.n_bootstrap = n_bootstrap
        self._seed = seed
        self._kept: list[NDArray[np.uint8]] = []

    def totals(self, per_user: Doubles) -> Doubles:
        """Column sums of (n_users, c) under each resampling of users: (n_bootstrap, c)."""
        columns = per_user.astype(np.float32, order="C")
        return np.concatenate([weights.astype(np.float32) @ columns for weights in self._weights()]).astype(np.float64)

    def _weights(self) -> Iterable[NDArray[np.uint8]]:
        """How often each user counts in each resampling, blocks of (n, n_users); kept where they are few."""
        if self.n_users * self.n_bootstrap > MOST_KEPT:
            return self._draw()
        if not self._kept:
            self._kept = list(self._draw())
        return self._kept

    def _draw(self) -> Iterator[NDArray[np.uint8]]:
        rng = np.random.Generator(np.random.Philox(self._seed))
        block = max(1, BLOCK // max(self.n_users, 1))
        for start in range(0, self.n_bootstrap, block):
            yield _weights(rng, (min(block, self.n_bootstrap - start), self.n_users))

    def ratios(self, sums: Doubles, counts: Doubles) -> Doubles:
        """Ratios of column sums under each resampling, (n_bootstrap, c), nan where a sum of counts is 0.

        sums and counts: (n_users, c) each.
        """
        other = (counts != counts[:, :1]).any(axis=0)  # most are of the same rows as the first
        n = sums.shape[1]
        totals = self.totals(np.hstack([sums, counts[:, :1], counts[:, other]]))
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Doubles = totals[:, :n] / totals[:, np.where(other, n + np.cumsum(other), n)]
        return found


def measure_of(value: float, sample: Doubles) -> Measure:
    """A value with the middle 95% of what it was in the resamplings, (n_bootstrap,)."""
    return measures_of([value], sample[:, None])[0]


def measures_of(values: Iterable[float], samples: Doubles) -> list[Measure]:
    """Values with the middle 95% of what each was in the resamplings, (n_bootstrap, n); nan counts as no resampling."""
    unknown = np.isnan(samples)
    some, whole = np.flatnonzero(unknown.any(axis=0) & ~unknown.all(axis=0)), ~unknown.any(axis=0)
    ends = np.full((len(TAILS), samples.shape[1]), np.nan)
    ends[:, whole] = np.quantile(samples[:, whole], TAILS, axis=0)
    for column in some:
        ends[:, column] = np.nanquantile(samples[:, column], TAILS)
    return [Measure(float(value), float(low), float(high)) for value, low, high in zip(values, *ends, strict=True)]


def _weights(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Poisson(1) weights: the bootstrap of many users without drawing their indices."""
    weights = np.zeros(shape[0] * shape[1], np.uint8)
    for start in range(0, len(weights), DRAWN):
        part = weights[start : start + DRAWN]
        draws = np.frombuffer(rng.bytes(2 * len(part)), "<u2")
        for step in STEPS:
            part += draws >= step
    return weights.reshape(shape)


def _poisson_steps() -> list[int]:
    """Where the quantiles of Poisson(1) rise by one, among 2^16 equal steps of a uniform draw."""
    reached = np.cumsum(np.exp(-1.0) / np.array([math.factorial(n) for n in range(10)]))
    steps = np.rint(reached * N_QUANTILES).astype(int)
    return [step for step in steps.tolist() if step < N_QUANTILES]


STEPS = _poisson_steps()
