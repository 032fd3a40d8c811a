"""Files as people write them: random ratings in random dialects are read as they were written, or refused in words."""

import tempfile
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from helpers.dialects import is_read, written

INPUT = st.integers(0, 2**40)


@cache
def folder():
    """A folder for the files of this run."""
    return tempfile.TemporaryDirectory()


def check(seed):
    """A file gives the ratings and times that were written, or an error."""
    is_read(written(seed), Path(folder().name))
