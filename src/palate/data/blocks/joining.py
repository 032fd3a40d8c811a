"""Joining: coded rows in the order of the source -> the files by user, with one rating for each pair.

All rows of a pair are of one user, so they are in one bucket, in the order of the source, and are joined there as
reading joins them in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.blocks.sorting import Buckets, RowFiles, compressed
from palate.data.ratings import Kind
from palate.data.reading.collecting import chosen_pairs
from palate.data.reading.duplicates import Columns, Duplicates, first_repeated, join_pairs
from palate.data.rows import CompressedRows, in_order
from palate.kernels.threads import ahead


@dataclass(frozen=True)
class Coded:
    """Rows with final codes, in the order of the source.

    Attributes:
        parts (iterable of Columns): The rows, some at a time.
        counts (int64 array): How many rows each user has, (n_users,).
        n_items (int): The number of items.
        weights, times (bool): Whether there are any.
    """

    parts: Iterable[Columns]
    counts: NDArray[np.int64]
    n_items: int
    weights: bool
    times: bool


@dataclass(frozen=True)
class Policy:
    """What becomes of rows. worth: whether weights are what events are worth, of which a sum of 0 is no choice."""

    kind: Kind
    duplicates: Duplicates
    worth: bool = False


@dataclass
class Joined:
    """What was written by user: the entries of the files, and what the manifest and the report tell.

    Attributes:
        first (tuple or None): The codes of the first user and item that several rows have.
        range (tuple or None): The lowest and highest value of a weight above 0.
    """

    files: dict[str, Any]
    n_ratings: int = 0
    n_dropped: int = 0
    n_differing: int = 0
    n_worthless: int = 0
    first: tuple[int, int] | None = None
    range: tuple[float, float] | None = None

    @property
    def state(self) -> dict[str, Any]:
        """All of it, fit for JSON."""
        return asdict(self)

    def count(self, rows: CompressedRows) -> None:
        """Count ratings that were written."""
        self.n_ratings += len(rows.indices)
        counted = rows.values if rows.weights is None else rows.values[rows.weights > 0]
        if len(counted):
            low, high = float(counted.min()), float(counted.max())
            self.range = (low, high) if self.range is None else (min(low, self.range[0]), max(high, self.range[1]))


def write_by_user(
    folder: Path, scratch: Path, rows: Coded, policy: Policy, told: Callable[[int], None] = lambda _: None
) -> Joined:
    """Write the files by user. told gets the number of rows that were put into buckets."""
    adds_counts = policy.duplicates == "sum" and not rows.weights  # of which there are none if no pair is repeated
    has = {"weights": rows.weights or adds_counts, "times": rows.times}
    joined = Joined({})
    with (
        Buckets(scratch, rows.counts, weights=rows.weights, times=rows.times) as buckets,
        RowFiles(folder, "by_user", **has) as files,
    ):
        for part in ahead(iter(rows.parts)):
            buckets.add(part)
            told(len(part.users))
        for row_range in ahead(_joined(buckets, rows.n_items, policy, joined)):
            files.append(row_range)
            joined.count(row_range)
        joined.files = files.close()
    if adds_counts and joined.n_dropped == 0:
        del joined.files["by_user.weights"]
        (folder / "by_user.weights").unlink()
    return joined


def _joined(buckets: Buckets, n_items: int, policy: Policy, found: Joined) -> Iterator[CompressedRows]:
    """The ratings of each range of users; what there is to tell goes to `found`."""
    for first, last, rows in buckets.sorted():
        sizes = last - first, n_items
        columns = rows._replace(users=rows.users - np.int32(first))
        joined, n_dropped, n_differing = join_pairs(columns, policy.duplicates, sizes)
        if n_dropped and found.first is None:
            user, item = first_repeated(columns, sizes)
            found.first = first + user, item
        found.n_dropped += n_dropped
        found.n_differing += n_differing
        if policy.worth:
            joined, n_worthless = chosen_pairs(joined)
            found.n_worthless += n_worthless
        if policy.duplicates == "sum" and joined.weights is None:
            joined = joined._replace(weights=np.ones(len(joined.values), np.float32))
        grouped = compressed(0, last - first, joined)
        yield in_order(grouped) if policy.kind == "implicit" else grouped
