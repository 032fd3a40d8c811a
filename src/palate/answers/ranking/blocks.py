"""How many people make one block: as many as the memory that a call may take has room for."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from palate.answers.ranking.categories import COUNTS_AT_ONCE
from palate.answers.ranking.index import SPARE
from palate.answers.ranking.queries import Query
from palate.answers.ranking.scoring import ranks_by_products
from palate.errors import OptionError
from palate.models.factors import Codes
from palate.models.model import Model
from palate.options import is_whole

USUAL = "256MB"
MOST_AT_ONCE = 4096  # people of one block: more make nothing faster
WRITER = 16_000_000  # bytes that writing a file may take, whatever is written
SCORE_COPIES = 6  # of the scores of a block while they are made: sums, squares, what a sigmoid needs
ANSWER = 200  # bytes of one row of the answer, as codes, in a frame and on its way into a file
LOOKED_UP = 80  # bytes of one item that an index found
RATING = 48  # bytes of one rating of a person's history, taken out and joined with a list

UNITS = {"": 1, "B": 1} | {
    f"{prefix}{unit}": base**power
    for power, prefix in enumerate("KMGT", start=1)
    for unit, base in (("", 1000), ("B", 1000), ("IB", 1024))
}


def bytes_of(memory: Any) -> int:
    """256MB, 1GB, 1.5GiB or a number of bytes -> bytes. OptionError for anything else."""
    if is_whole(memory) and memory > 0:
        return int(memory)
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", memory) if isinstance(memory, str) else None
    if not found or found[2].upper() not in UNITS or not float(found[1]) > 0:
        raise OptionError(f'memory={memory!r}: give a size such as "256MB", "1GB" or a number of bytes.')
    return int(float(found[1]) * UNITS[found[2].upper()])


def users_at_once(model: Model, query: Query, codes: Codes, memory: Any) -> int:
    """How many people make one block. OptionError, with the least that works, where not even one has room.

    memory: None stands for USUAL, or for what one needs where that is more.
    """
    room = bytes_of(USUAL if memory is None else memory)
    fixed, each = _fixed(model, query), _each(model, query)
    ratings = RATING * np.append(model.history.counts, 0)[codes] + (
        0 if query.only is None and query.never is None else RATING * _listed(query)
    )
    least = fixed + each + int(np.max(ratings, initial=0))
    if memory is None:
        room = max(room, least)
    if room < least:
        raise OptionError(f"memory={memory!r} is too little for this model: at least {-(-least // 10**6)}MB.")
    step = int(min(MOST_AT_ONCE, max(len(codes), 1), (room - fixed) // each))
    while step > 1 and fixed + step * each + _heaviest(ratings, step) > room:
        step = (3 * step) // 4
    return step


def _heaviest(ratings: Any, step: int) -> int:
    """The most bytes that the ratings of one block take."""
    return int(np.add.reduceat(ratings, np.arange(0, len(ratings), step)).max()) if len(ratings) else 0


def _listed(query: Query) -> Any:
    """How many items each person's own lists have."""
    return sum(lists.rows.counts[lists.row_of] for lists in (query.only, query.never) if lists is not None)


def _fixed(model: Model, query: Query) -> int:
    """Bytes that a call takes whatever the size of its blocks: the packed catalogue, the writer, some counters."""
    n_items, width = model.factors.items.shape
    packed = 4 * n_items * (width + 2) if ranks_by_products(model, query) else 0
    return WRITER + packed + (32 * COUNTS_AT_ONCE if query.limits else 0)


def _each(model: Model, query: Query) -> int:
    """Bytes that one person takes in a block, but for the ratings."""
    n_items, width = model.factors.items.shape
    size: int = 16 * width + ANSWER * query.n
    if not ranks_by_products(model, query):
        size += 4 * SCORE_COPIES * n_items
    if query.index is not None:
        size += LOOKED_UP * (query.n + SPARE)
    if query.by == "likely":
        size += 12 * n_items
    if query.by != "mean" and model.posterior is not None:
        size += 8 * int(model.posterior.users.vectors[:, 0].size)
    return size
