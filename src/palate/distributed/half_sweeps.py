"""Half a sweep: the rows of one side solved given the other, in this process or run by run on workers.

A run is some consecutive blocks of the plan of the rows. Workers find the ratings of a run in the files of the rows,
whose folder they open by its path. What has a row for each row of this side (prior means, weight decay, previous draws)
is cut into runs and travels with them. Vectors stay where they were solved, too, and every worker fetches those of the
other side from there. What all rows share goes to every worker once.
Random numbers are keyed by row, so where a run is solved, or solved again, does not change a byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate import kernels
from palate.data.blocks.rows_on_disk import RowsOnDisk
from palate.data.plan import Plan
from palate.data.rows import CompressedRows, read_only, rows_between
from palate.distributed.exchange import Exchange, Part

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

RUNS_PER_WORKER = 2  # in half a sweep: few, since a call copies the other side; two, so that one waits
PER_ROW = ("row_weights", "ridge", "previous", "vectors")  # and "mean", where each row has its own


def solve_rows(
    rows: CompressedRows,
    other: Floats,
    *,
    on: Exchange | None = None,
    modes: Floats | None = None,
    n_threads: int = 0,
    **options: Any,
) -> tuple[Floats, Doubles | None]:
    """The kernel solve_rows for all rows: here, or on the workers of an exchange, with the same bytes."""
    if on is None:
        return kernels.solve_rows(
            *(rows.indptr, rows.indices, rows.values, other),
            weights=rows.weights,
            modes=modes,
            n_threads=n_threads,
            **options,
        )
    vectors = np.empty((rows.n_rows, other.shape[1]), np.float32)
    errors = np.empty(rows.n_rows) if options.get("errors") else None
    options["has_modes"] = modes is not None
    for run, (errors_here, modes_here) in _spread(_solve_rows, rows, other, vectors, options, on):
        if errors is not None:
            errors[run] = errors_here
        if modes is not None:
            modes[run] = modes_here
    return vectors, errors


def solve_blocks(
    rows: CompressedRows,
    other: Floats,
    vectors: Floats,
    *,
    on: Exchange | None = None,
    n_threads: int = 0,
    **options: Any,
) -> Floats:
    """The kernel solve_blocks for all rows: here, or on the workers of an exchange, with the same bytes."""
    if on is None:
        parts = rows.indptr, rows.indices, rows.values, other, vectors
        return kernels.solve_blocks(*parts, weights=rows.weights, n_threads=n_threads, **options)
    improved = np.empty_like(vectors)
    for _ in _spread(_solve_blocks, rows, other, improved, options | {"vectors": vectors}, on):
        pass
    return improved


def runs_of(rows: CompressedRows, n_workers: int) -> list[slice]:
    """The rows in runs of consecutive blocks, as equal as blocks allow."""
    blocks = Plan.of(rows.indptr).blocks
    starts = np.unique(len(blocks) * np.arange(RUNS_PER_WORKER * n_workers) // (RUNS_PER_WORKER * n_workers))
    bounds = [blocks[at].start for at in starts] + [rows.n_rows]
    return [slice(first, last) for first, last in pairwise(bounds)]


def _spread(
    function: Callable[..., Part],
    rows: CompressedRows,
    other: Floats,
    solved: Floats,
    options: dict[str, Any],
    on: Exchange,
) -> Iterator[tuple[slice, Any]]:
    """Fill the vectors that are solved for, (n_rows, k). Yields each run with what else came of it, in order.

    In the end the vectors are read-only: the next half sweep takes them from where they were solved.
    """
    place = RowsOnDisk.of(rows)
    on.show(Path(place.folder))
    own = {name: value for name, value in options.items() if name in PER_ROW and value is not None}
    mean = options.get("mean")
    if mean is not None and mean.ndim == 2:
        own["mean"] = mean
    common = {name: value for name, value in options.items() if name not in own} | {"n_threads": on.threads}
    shared = on.put(np.ascontiguousarray(other)), on.put(common)
    runs = runs_of(rows, on.n_workers)
    tasks = ((place, run.start, run.stop, {name: value[run] for name, value in own.items()}) for run in runs)
    parts = []
    for run, part in zip(runs, on.map(function, tasks, *shared), strict=True):
        solved[run] = part.array
        parts.append(part)
        yield run, part.more
    on.assembled(read_only(solved), parts)


# ---- what workers do


@lru_cache(maxsize=4)  # both sides of two folders
def _opened(place: RowsOnDisk) -> CompressedRows:
    return place.open()


def _solve_rows(
    place: RowsOnDisk, first: int, last: int, own: dict[str, Any], other: Floats, common: dict[str, Any]
) -> Part:
    """Vectors of a run of rows; errors and modes."""
    rows = rows_between(_opened(place), slice(first, last))
    options = {name: value for name, value in common.items() if name != "has_modes"} | own
    modes = np.empty((last - first, other.shape[1]), np.float32) if common["has_modes"] else None
    options |= {"weights": rows.weights, "first_row": first, "modes": modes}
    vectors, errors = kernels.solve_rows(rows.indptr, rows.indices, rows.values, other, **options)
    return Part(vectors, (errors, modes))


def _solve_blocks(
    place: RowsOnDisk, first: int, last: int, own: dict[str, Any], other: Floats, common: dict[str, Any]
) -> Part:
    """Improved vectors of a run of rows."""
    rows = rows_between(_opened(place), slice(first, last))
    options = {name: value for name, value in own.items() if name != "vectors"} | common
    parts = rows.indptr, rows.indices, rows.values, other, own["vectors"]
    return Part(kernels.solve_blocks(*parts, weights=rows.weights, **options), None)
