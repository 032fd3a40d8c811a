"""Sizes that a fit chooses by its ratings: factors, columns of history, sweeps, and draws to keep.

What a fit costs in time and memory follows from its rows (users and items) as much as from its ratings. Where a row has
few ratings, its factors are mostly their prior, and more factors, more sweeps or more kept draws buy little. So each
size follows from counts of rows and ratings, never from a clock: the same seed gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palate.data.plan import count_codes
from palate.data.ratings import Ratings
from palate.data.rows import CompressedRows
from palate.models.side_information import SideInfo

MANY_RATINGS, SOME_A_ROW = 300_000, 8  # from both on, 31 factors predict better than 15
FEW_A_ROW = 3  # below so many ratings a row, 7 factors predict as well as 15
MIN_SEEN, FEW_ROWS = 10, 100  # a row with fewer ratings is no column of the other side's history, if rows are many
MIN_SWEEPS, MAX_SWEEPS = 30, 200  # where draws are strongly correlated, more lower errors by less than 0.001
RATINGS_OF_A_ROW = 30  # a row costs a sweep as much as so many ratings
SWEEP_WORK, SWEEP_WORK_PER_RATING = 40_000_000, 700  # of all sweeps, in ratings
MIN_SAMPLES, MAX_SAMPLES = 4, 32
SAMPLE_BYTES, SAMPLE_BYTES_PER_RATING = 16 * 2**20, 112  # of all kept draws


@dataclass(frozen=True)
class Sizes:
    """The counts that sizes follow from.

    Attributes:
        n_ratings (int): The number of ratings.
        n_rated (int): The number of users and items with ratings.
        n_rows (int): The number of all users and items.
    """

    n_ratings: int
    n_rated: int
    n_rows: int

    @classmethod
    def of(cls, ratings: Ratings) -> Sizes:
        """The counts of some ratings."""
        sides = ratings.by_user(), ratings.by_item()
        n_rated = sum(int(np.count_nonzero(rows.counts)) for rows in sides)
        return cls(len(ratings), n_rated, sum(rows.n_rows for rows in sides))

    @property
    def per_row(self) -> float:
        """The mean number of ratings of a row, half of what users and items have on average."""
        return self.n_ratings / max(self.n_rated, 1)

    @property
    def n_factors(self) -> int:
        """The number of factors of each draw."""
        if self.per_row < FEW_A_ROW:
            return 7
        return 31 if self.n_ratings >= MANY_RATINGS and self.per_row >= SOME_A_ROW else 15

    @property
    def max_sweeps(self) -> int:
        """The largest number of sweeps."""
        work_of_a_sweep = self.n_ratings + RATINGS_OF_A_ROW * self.n_rated
        allowed = SWEEP_WORK + SWEEP_WORK_PER_RATING * self.n_ratings
        return int(np.clip(allowed // work_of_a_sweep, MIN_SWEEPS, MAX_SWEEPS))

    def n_samples(self, n_factors: int) -> int:
        """The largest number of draws to keep."""
        bytes_of_a_draw = 4 * (n_factors + 1) * self.n_rows
        allowed = SAMPLE_BYTES + SAMPLE_BYTES_PER_RATING * self.n_ratings
        return int(np.clip(allowed // bytes_of_a_draw, MIN_SAMPLES, MAX_SAMPLES))


def history_of(rows: CompressedRows, n_others: int) -> SideInfo:
    """The history of one side: which rows of the other side have enough ratings for a column."""
    if n_others <= FEW_ROWS:
        return SideInfo(n_others)
    seen = count_codes(rows.indices, n_others) >= MIN_SEEN
    return SideInfo(0).with_columns(seen) if seen.any() else SideInfo(0)
