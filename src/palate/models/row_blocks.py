"""Blocks of rows: what is computed block by block takes the memory of one block, not of all rows."""

from __future__ import annotations

BLOCK_ROWS = 65_536  # rows that are computed with in double precision at a time


def row_blocks(n_rows: int, size: int = BLOCK_ROWS) -> list[slice]:
    """The rows of each block; one empty block if there are no rows."""
    return [slice(first, first + size) for first in range(0, max(n_rows, 1), size)]
