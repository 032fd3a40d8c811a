"""Targets: what a chain fits its vectors to.

There are three kinds. Plain ratings stay as they are, standardised inside the kernel. With effects of time, these are
subtracted in each sweep (`time_effects.py`). With ordinal ratings, the target is the latent score behind each rating,
Normal(score, 1) truncated to the interval of its step (Albert & Chib 1993), drawn anew in each sweep along with the cut
points between the steps (`cutpoints.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from palate.data.plan import distinct_values
from palate.data.ratings import Ratings
from palate.data.rows import CompressedRows, mean_and_deviation, row_codes
from palate.errors import DataError
from palate.kernels import draw_truncated, expect_truncated, predict_pairs
from palate.kernels.threads import thread_pool
from palate.models.factors import Floats
from palate.models.ordinal import MAX_STEPS, OrderedSteps
from palate.recipes.base import center_and_scale
from palate.recipes.gibbs.cutpoints import CutPoints
from palate.recipes.gibbs.time_effects import TimeEffectsSampler

FIRST_VARIANCE = 0.6  # assumed variance of the scores when the cut points start
STREAM = 4  # of the latent scores' random numbers; the sides and their links use those below
N_FIRST_SWEEPS, DRAW_INTERVAL = (
    10,
    4,
)  # cut points are drawn in each of the first 10 sweeps, then in every 4th: they mix well
MAX_ERRORS = 65_536  # ratings by which the training error of ordinal ratings is measured


class Targets:
    """The targets of all ratings, as values of the rows of both sides."""

    STATE: ClassVar = ("_ordinal", "time_effects", "_before_time")

    def __init__(self, ratings: Ratings, seed: int, n_threads: int, *, time: bool, ordinal: bool) -> None:
        self._rows = {"user": ratings.by_user(), "item": ratings.by_item()}
        self.center, self.scale = (0.0, 1.0) if ordinal else center_and_scale(ratings)
        self._center_and_scale = self.center, self.scale  # of the values of the rows
        self._seed, self._n_threads = seed, n_threads
        self._ordinal = _OrdinalTargets(self._rows["user"]) if ordinal else None
        self.time_effects = TimeEffectsSampler(ratings, self.scale, seed) if time else None
        self._before_time = np.zeros(0, np.float32)  # of plain ratings: they stay as they are
        if self._ordinal is None and self.time_effects is None:
            return
        self._by_item = np.argsort(self._rows["user"].indices, kind="stable")  # by item -> position by user
        self._codes = row_codes(self._rows["user"]), np.ascontiguousarray(self._rows["user"].indices)
        self._before_time = ((self._rows["user"].values - self.center) / self.scale).astype(np.float32)  # by user
        if self._ordinal is not None:
            self._before_time = self._ordinal.expect(np.zeros_like(self._before_time), n_threads)
        self._set(self._before_time)

    def restored(self) -> None:
        """Set the values of the rows after a restored state."""
        if len(self._before_time):
            effects = self.time_effects
            self._set(self._before_time if effects is None else self._before_time - effects.offsets.astype(np.float32))

    @property
    def is_ordinal(self) -> bool:
        """True for ordinal ratings."""
        return self._ordinal is not None

    @property
    def steps(self) -> OrderedSteps | None:
        """The steps with their current cut points; None for plain ratings."""
        return None if self._ordinal is None else self._ordinal.steps

    def of(self, side: str) -> tuple[CompressedRows, float, float]:
        """The rows of "user" or "item" with targets as values, and the center and scale of these."""
        return self._rows[side], *self._center_and_scale

    def predictive_alpha(self, alpha: float) -> float:
        """The precision of a target at an unknown time, where effects of time count as noise."""
        return alpha if self.time_effects is None else self.time_effects.predictive_alpha(alpha)

    def train_rmse(self, mean_square: float) -> float:
        """RMSE of the ratings, on their scale. mean_square: of the errors of the targets."""
        return self.scale * float(np.sqrt(mean_square)) if self._ordinal is None else self._ordinal.rmse

    def expect(self, users: Floats, items: Floats, rng: np.random.Generator) -> None:
        """Set the targets to their means given both sides' vectors: ordinal ratings only, others stay as they are."""
        if self._ordinal is None:
            return
        scores = self._scores(users, items)
        self._ordinal.draw_cuts(scores, rng, self._n_threads)
        self._set(self._ordinal.expect(scores, self._n_threads))

    def draw(self, users: Floats, items: Floats, alpha: float, rng: np.random.Generator, sweep: int) -> float | None:
        """Draw the effects of time, the cut points and the latent scores, given both sides' vectors.

        Return the sum of w e^2, with e the errors after the effects of time; None without these, when the errors that
        the kernel returned for the vectors are right.
        """
        if self._ordinal is None and self.time_effects is None:
            return None
        scores = self._scores(users, items)
        offsets, errors = None, None
        if self.time_effects is not None:
            errors = self.time_effects.draw((self._before_time - scores).astype(np.float64), alpha)
            offsets = self.time_effects.offsets.astype(np.float32)
            scores += offsets
        if self._ordinal is not None:
            if sweep <= N_FIRST_SWEEPS or sweep % DRAW_INTERVAL == 0:
                self._ordinal.draw_cuts(scores, rng, self._n_threads)
            self._before_time = self._ordinal.draw(scores, self._seed, sweep, self._n_threads)
        self._set(self._before_time if offsets is None else self._before_time - offsets)
        return None if errors is None or self.time_effects is None else self.time_effects.sum_of_squares(errors)

    def _scores(self, users: Floats, items: Floats) -> Floats:
        return predict_pairs(users, items, *self._codes, bias=True, n_threads=self._n_threads)

    def _set(self, targets: Floats) -> None:
        """Set the values of both sides' rows to these targets, (n,), which are in the order of the user rows."""
        self._center_and_scale = 0.0, 1.0
        self._rows["user"] = replace(self._rows["user"], values=targets)
        self._rows["item"] = replace(self._rows["item"], values=self._by_item_order(targets))

    def _by_item_order(self, targets: Floats) -> Floats:
        """The targets in the order of the item rows, (n,); two threads take a half each."""
        taken, middle = np.empty_like(targets), len(targets) // 2
        if self._n_threads == 1 or middle < 10_000:
            return np.take(targets, self._by_item, mode="clip", out=taken)
        with thread_pool(1) as pool:
            other = pool.submit(np.take, targets, self._by_item[middle:], mode="clip", out=taken[middle:])
            np.take(targets, self._by_item[:middle], mode="clip", out=taken[:middle])
            other.result()
        return taken


class _OrdinalTargets:
    """Ordinal ratings in a chain: the step of each rating, the cut points, and the training error."""

    STATE: ClassVar = ("_cuts", "rmse")

    def __init__(self, rows: CompressedRows) -> None:
        self._values = ordinal_values(rows)
        self._ratings = rows.values
        self._codes = np.searchsorted(self._values, rows.values).astype(np.uint8)
        self._weights = rows.weights
        self._cuts = CutPoints(np.bincount(self._codes, rows.weights), FIRST_VARIANCE)
        weighted = np.arange(len(rows.values)) if rows.weights is None else np.flatnonzero(rows.weights)
        self._sample = weighted[np.linspace(0, len(weighted) - 1, min(MAX_ERRORS, len(weighted))).astype(np.int64)]
        _, self.rmse = mean_and_deviation(rows)

    @property
    def steps(self) -> OrderedSteps:
        """The steps with their current cut points; None for plain ratings."""
        return OrderedSteps(self._values.astype(np.float64), self._cuts.cuts)

    def draw_cuts(self, scores: Floats, rng: np.random.Generator, n_threads: int) -> None:
        """Draw the cut points given the scores, (n,), and measure the training error on a sample of the ratings."""
        self._cuts.draw_given(scores, self._codes, rng, weights=self._weights, n_threads=n_threads)
        sample = self._sample
        errors = self.steps.expected(scores[sample], n_threads=n_threads) - self._ratings[sample]
        weights = None if self._weights is None else self._weights[sample]
        self.rmse = float(np.sqrt(np.average(errors.astype(np.float64) ** 2, weights=weights)))

    def expect(self, scores: Floats, n_threads: int) -> Floats:
        """The mean of the latent score of each rating, (n,)."""
        return expect_truncated(scores, self._codes, self._cuts.cuts.astype(np.float32), n_threads=n_threads)

    def draw(self, scores: Floats, seed: int, sweep: int, n_threads: int) -> Floats:
        """A draw of the latent score of each rating, (n,)."""
        cuts = self._cuts.cuts.astype(np.float32)
        return draw_truncated(scores, self._codes, cuts, seed=seed, sweep=sweep, stream=STREAM, n_threads=n_threads)


def ordinal_values(rows: CompressedRows) -> Floats:
    """The distinct ratings, ascending. Raises DataError unless there are 2 to 20 of them."""
    values: Floats = distinct_values(rows.values, MAX_STEPS)
    if not 2 <= len(values) <= MAX_STEPS:
        found = "more different values" if len(values) > MAX_STEPS else "one value alone"
        raise DataError(
            f'likelihood="ordinal" needs ratings in 2 to {MAX_STEPS} steps, and these have {found}; round them, or '
            'leave likelihood="gaussian".'
        )
    return values
