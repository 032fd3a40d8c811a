"""Files as people write them: random ratings in random dialects are read as they were written, or refused in words."""

import tempfile
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

import palate
from helpers.dialects import written
from palate.errors import PalateError

INPUT = st.integers(0, 2**40)


@cache
def folder():
    """A folder for the files of this run."""
    return tempfile.TemporaryDirectory()


def check(seed):
    """A file gives the ratings and times that were written, or an error."""
    file = written(seed)
    path = Path(folder().name) / f"ratings{file.ending}"
    path.write_bytes(file.data)
    try:
        ratings = palate.read(path)
    except PalateError:
        return
    users, items = (side.labels.tolist() for side in (ratings.user_vocabulary, ratings.item_vocabulary))
    pairs = [(users[u], items[i]) for u, i in zip(ratings.user_codes, ratings.item_codes, strict=True)]
    told = f"{file.told}: {ratings.report.taken}"
    rated = {(*pair, value) for pair, value in zip(pairs, ratings.values.tolist(), strict=True)}
    assert rated == file.rated, told
    if ratings.times is not None:
        assert dict(zip(pairs, ratings.times.tolist(), strict=True)) == file.times, told
