"""What memory a recommend() call may take: users are ranked in blocks, as large as the memory= option has room for."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.ranking.dials import BLOCK_FLOATS as DIAL_FLOATS
from palate.answers.ranking.dials import POOL
from palate.answers.ranking.index import N_EXTRA
from palate.answers.ranking.max_per import MAX_COUNTERS
from palate.answers.ranking.queries import Query
from palate.answers.ranking.scoring import ranks_by_products
from palate.errors import OptionError
from palate.models.factors import Codes
from palate.models.model import Model
from palate.options import is_whole

DEFAULT_MEMORY = "256MB"
MAX_USERS = 4096  # of one block; larger blocks are no faster
SCORE_COPIES = 6  # temporary copies of a block's scores: sums, squares, a sigmoid

# Bytes:
WRITER_BYTES = 16_000_000  # of a file writer, whatever it writes
ANSWER_BYTES = 200  # of one row of the answer: as codes, in a frame and on its way into a file
FOUND_BYTES = 80  # of one item that an index found
QUANTILE_BYTES = 44  # of one item's quantile on a scale of steps: its step, two probabilities, a few copies
RATING_BYTES = 48  # of one rating of a user's history, copied and merged with a list

UNITS = {"": 1, "B": 1} | {
    f"{prefix}{unit}": base**power
    for power, prefix in enumerate("KMGT", start=1)
    for unit, base in (("", 1000), ("B", 1000), ("IB", 1024))
}


def bytes_of(memory: Any) -> int:
    """The number of bytes in "256MB", "1GB", "1.5GiB" or a number of bytes. Raises OptionError for anything else."""
    if is_whole(memory) and memory > 0:
        return int(memory)
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", memory) if isinstance(memory, str) else None
    if not found or found[2].upper() not in UNITS or not float(found[1]) > 0:
        raise OptionError(f'memory={memory!r}: give a size such as "256MB", "1GB" or a number of bytes.')
    return int(float(found[1]) * UNITS[found[2].upper()])


def users_at_once(model: Model, query: Query, codes: Codes, memory: Any) -> int:
    """How many users make one block.

    memory: None stands for DEFAULT_MEMORY, or for what one user needs if that is more. Raises OptionError that names
    the minimum if there is no room for one user.
    """
    if memory is None and len(codes) == 1:
        return 1
    room = bytes_of(DEFAULT_MEMORY if memory is None else memory)
    fixed, each = _fixed_bytes(model, query), _bytes_of_user(model, query)
    rating_bytes = RATING_BYTES * (np.append(model.history.counts, 0)[codes] + _listed_counts(query))
    minimum = fixed + each + int(np.max(rating_bytes, initial=0))
    if memory is None:
        room = max(room, minimum)
    if room < minimum:
        raise OptionError(f"memory={memory!r} is too little for this model: at least {-(-minimum // 10**6)}MB.")
    step = int(min(MAX_USERS, max(len(codes), 1), (room - fixed) // each))
    while step > 1 and fixed + step * each + _largest_block(rating_bytes, step) > room:
        step = (3 * step) // 4
    return step


def _largest_block(rating_bytes: NDArray[Any], step: int) -> int:
    """The bytes that the ratings of the largest block take."""
    if len(rating_bytes) == 0:
        return 0
    return int(np.add.reduceat(rating_bytes, np.arange(0, len(rating_bytes), step)).max())


def _listed_counts(query: Query) -> Any:
    """How many items stand in the lists of each user, (m,), or 0 without lists."""
    lists = (query.included_lists, query.excluded_lists)
    return sum(own.rows.counts[own.row_of] for own in lists if own is not None)


def _fixed_bytes(model: Model, query: Query) -> int:
    """Bytes that a call takes whatever the size of its blocks: the packed catalogue, the writer, counters."""
    n_items, width = model.factors.items.shape
    packed = 4 * n_items * (width + 2) if ranks_by_products(model, query) else 0
    return WRITER_BYTES + packed + (32 * MAX_COUNTERS if query.limits else 0) + _dial_bytes(query)


def _dial_bytes(query: Query) -> int:
    """Bytes that the dials take: the pools of the users worked on together, and similarities to all items."""
    if query.dials is None:
        return 0
    similarities = 0 if query.dials.similarity is None else DIAL_FLOATS + len(query.allowed) * query.dials.width
    return 8 * (DIAL_FLOATS + similarities)


def _bytes_of_user(model: Model, query: Query) -> int:
    """Bytes that one user takes in a block, without the user's ratings."""
    n_items, width = model.factors.items.shape
    size: int = 16 * width + ANSWER_BYTES * query.n
    if not ranks_by_products(model, query):
        size += 4 * SCORE_COPIES * n_items
    if query.index is not None:
        size += FOUND_BYTES * (max(query.n, POOL if query.dials is not None else 0) + N_EXTRA)
    if query.by == "likely":
        size += 12 * n_items
    if query.by == "lower" and model.step_distribution is not None:
        size += QUANTILE_BYTES * n_items
    if query.by != "mean" and model.posterior is not None:
        size += 8 * int(model.posterior.users.vectors[:, 0].size)
    return size
