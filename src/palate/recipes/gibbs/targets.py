"""Targets: what a chain fits its vectors to.

The ratings themselves, standardised inside the kernel, where nothing else is asked for. With time, less the effects of
their moments. With ordered ratings, the latent liking behind each: Normal around its score, within its step (Albert &
Chib 1993), drawn anew in every sweep, and the cut points between the steps with it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings
from palate.data.rows import CompressedRows, row_codes
from palate.errors import DataError
from palate.kernels import draw_truncated, expect_truncated, predict_pairs
from palate.models.factors import Floats
from palate.models.ordinal import MAX_STEPS, OrderedSteps
from palate.recipes.base import center_and_scale, compress_both
from palate.recipes.gibbs.cutpoints import CutPoints
from palate.recipes.gibbs.timing import Timing

Doubles = NDArray[np.float64]

FIRST_VARIANCE = 0.6  # of scores, from which the cut points start
STREAM = 4  # of the latents' random numbers; the sides and their links use those below
EVERY_SWEEP, LATER = 10, 4  # until here cut points are drawn in every sweep, from then on in every 4th: they mix well
AT_MOST = 65_536  # ratings that the training error of ordered ratings is taken of


class Targets:
    """The targets of all ratings, in the order of either side."""

    def __init__(self, ratings: Ratings, seed: int, n_threads: int, *, time: bool, ordinal: bool) -> None:
        compress_both(ratings)
        self._rows = {"user": ratings.by_user(), "item": ratings.by_item()}
        self.center, self.scale = (0.0, 1.0) if ordinal else center_and_scale(ratings)
        self._unit = self.center, self.scale  # that the rows' values are in
        self._seed, self._n_threads = seed, n_threads
        self._ordered = _Ordered(self._rows["user"]) if ordinal else None
        self.timing = Timing(ratings, self.scale, seed) if time else None
        if self._ordered is None and self.timing is None:
            return
        by_user = np.argsort(ratings.user_codes, kind="stable")
        self._by_item = positions_by_item(ratings.item_codes, by_user)
        self._codes = row_codes(self._rows["user"]), np.ascontiguousarray(self._rows["user"].indices)
        self._whole = ((self._rows["user"].values - self.center) / self.scale).astype(np.float32)
        if self._ordered is not None:
            self._whole = self._ordered.expect(np.zeros_like(self._whole), n_threads)
        self._set(self._whole)

    @property
    def is_ordinal(self) -> bool:
        """Whether ratings are ordered steps."""
        return self._ordered is not None

    @property
    def steps(self) -> OrderedSteps | None:
        """The steps with their present cut points."""
        return None if self._ordered is None else self._ordered.steps

    def of(self, side: str) -> tuple[CompressedRows, float, float]:
        """The rows of a side with targets as values, and the center and the scale these are in."""
        return self._rows[side], *self._unit

    def alpha_now(self, alpha: float) -> float:
        """The precision of a target at an unknown moment."""
        return alpha if self.timing is None else self.timing.alpha_now(alpha)

    def train_rmse(self, mean_square: float) -> float:
        """On the rating scale, from the mean square of what vectors and effects leave of the targets."""
        return self.scale * float(np.sqrt(mean_square)) if self._ordered is None else self._ordered.rmse

    def expect(self, users: Floats, items: Floats, rng: np.random.Generator) -> None:
        """The mean of the targets given both sides' vectors: only ordered ratings have another one."""
        if self._ordered is None:
            return
        scores = self._scores(users, items)
        self._ordered.draw_cuts(scores, rng, self._n_threads)
        self._set(self._ordered.expect(scores, self._n_threads))

    def draw(self, users: Floats, items: Floats, alpha: float, rng: np.random.Generator, sweep: int) -> float | None:
        """Draw effects of time, cut points and latents given both sides' vectors.

        The sum of w e^2 that vectors and effects leave of the targets; None where it is what the vectors leave.
        """
        if self._ordered is None and self.timing is None:
            return None
        scores = self._scores(users, items)
        offsets, left = None, None
        if self.timing is not None:
            left = self.timing.draw((self._whole - scores).astype(np.float64), alpha)
            offsets = self.timing.offsets.astype(np.float32)
            scores += offsets
        if self._ordered is not None:
            if sweep <= EVERY_SWEEP or sweep % LATER == 0:
                self._ordered.draw_cuts(scores, rng, self._n_threads)
            self._whole = self._ordered.draw(scores, self._seed, sweep, self._n_threads)
        self._set(self._whole if offsets is None else self._whole - offsets)
        return None if left is None or self.timing is None else self.timing.squares(left)

    def _scores(self, users: Floats, items: Floats) -> Floats:
        return predict_pairs(users, items, *self._codes, bias=True, n_threads=self._n_threads)

    def _set(self, targets: Floats) -> None:
        """Make targets, in the order of users, the values of both sides' rows."""
        self._unit = 0.0, 1.0
        self._rows["user"] = replace(self._rows["user"], values=targets)
        self._rows["item"] = replace(self._rows["item"], values=self._in_order_of_items(targets))

    def _in_order_of_items(self, targets: Floats) -> Floats:
        """The same targets, half of them taken by another thread."""
        taken, middle = np.empty_like(targets), len(targets) // 2
        if self._n_threads == 1 or middle < 10_000:
            return np.take(targets, self._by_item, mode="clip", out=taken)
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(np.take, targets, self._by_item[middle:], mode="clip", out=taken[middle:])
            np.take(targets, self._by_item[:middle], mode="clip", out=taken[:middle])
            other.result()
        return taken


class _Ordered:
    """Ordered ratings in a chain: the step of each rating, the cut points, and the training error."""

    def __init__(self, rows: CompressedRows) -> None:
        self._values = values_in(rows)
        self._ratings = rows.values
        self._codes = np.searchsorted(self._values, rows.values).astype(np.uint8)
        self._weights = rows.weights
        self._cuts = CutPoints(np.bincount(self._codes, rows.weights), FIRST_VARIANCE)
        heard = np.arange(len(rows.values)) if rows.weights is None else np.flatnonzero(rows.weights)
        self._some = heard[np.linspace(0, len(heard) - 1, min(AT_MOST, len(heard))).astype(np.int64)]
        self.rmse = float(np.std(rows.values))

    @property
    def steps(self) -> OrderedSteps:
        """The steps with their present cut points."""
        return OrderedSteps(self._values.astype(np.float64), self._cuts.cuts)

    def draw_cuts(self, scores: Floats, rng: np.random.Generator, n_threads: int) -> None:
        """Draw the cut points given the scores, (n,); and see how far off the ratings expected are."""
        self._cuts.draw_given(scores, self._codes, rng, weights=self._weights, n_threads=n_threads)
        some = self._some
        errors = self.steps.expected(scores[some], n_threads=n_threads) - self._ratings[some]
        weights = None if self._weights is None else self._weights[some]
        self.rmse = float(np.sqrt(np.average(errors.astype(np.float64) ** 2, weights=weights)))

    def expect(self, scores: Floats, n_threads: int) -> Floats:
        """The mean of the latent behind each rating, (n,)."""
        return expect_truncated(scores, self._codes, self._cuts.cuts.astype(np.float32), n_threads=n_threads)

    def draw(self, scores: Floats, seed: int, sweep: int, n_threads: int) -> Floats:
        """A draw of the latent behind each rating, (n,)."""
        cuts = self._cuts.cuts.astype(np.float32)
        return draw_truncated(scores, self._codes, cuts, seed=seed, sweep=sweep, stream=STREAM, n_threads=n_threads)


def values_in(rows: CompressedRows) -> Floats:
    """The distinct ratings, rising. Raises DataError unless there are 2 to 20 of them."""
    values: Floats = np.unique(rows.values)
    if not 2 <= len(values) <= MAX_STEPS:
        raise DataError(
            f'likelihood="ordinal" needs ratings in 2 to {MAX_STEPS} steps, and these have {len(values):,} different '
            'values; round them, or leave likelihood="gaussian".'
        )
    return values


def positions_by_item(item_codes: NDArray[np.int32], by_user: NDArray[np.intp]) -> NDArray[np.intp]:
    """Where in the order of ratings.by_user() each rating of ratings.by_item() stands, (n,)."""
    place = np.empty(len(by_user), np.intp)
    place[by_user] = np.arange(len(by_user))
    return place[np.argsort(item_codes, kind="stable")]
