"""Random ratings in random dialects: what is read is what was written, or it is an error; never something else."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import palate
from helpers.dialects import written
from palate.errors import PalateError

NEARLY_ALL = 0.85  # of random files are read with no option; the others are refused in words


def outcome(file, folder):
    """True if the file was read right, False if it was refused; an AssertionError says how it was misread."""
    path = folder / f"ratings{file.ending}"
    path.write_bytes(file.data)
    try:
        ratings = palate.read(path)
    except PalateError:
        return False
    users, items = (side.labels.tolist() for side in (ratings.user_vocabulary, ratings.item_vocabulary))
    pairs = [(users[u], items[i]) for u, i in zip(ratings.user_codes, ratings.item_codes, strict=True)]
    assert {(*pair, value) for pair, value in zip(pairs, ratings.values.tolist(), strict=True)} == file.rated, (
        f"{file.told}: {ratings.report.taken}"
    )
    if ratings.times is not None:
        assert file.times is not None, f"{file.told}: {ratings.report.taken}"
        assert dict(zip(pairs, ratings.times.tolist(), strict=True)) == file.times, (
            f"{file.told}: {ratings.report.taken}"
        )
    return True


@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_read_is_what_was_written(seed, tmp_path_factory):
    outcome(written(seed), tmp_path_factory.getbasetemp())


def test_nearly_all_are_read(tmp_path):
    right = [outcome(written(seed), tmp_path) for seed in range(100)]
    assert np.mean(right) > NEARLY_ALL
