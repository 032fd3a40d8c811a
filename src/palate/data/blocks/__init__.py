"""Ratings on disk, for data that do not fit in memory: written once, then used wherever ratings are.

`write` makes a folder of flat files, sorted by user and by item; `open` maps them. What is opened are `Blocks`: Ratings
whose arrays are read from the disk as they are needed.
"""

from palate.data.blocks.mapped import Blocks, open  # noqa: A004 - palate.blocks.open reads as it should
from palate.data.blocks.writing import write

__all__ = ["Blocks", "open", "write"]


def __dir__() -> list[str]:
    return sorted(__all__)
