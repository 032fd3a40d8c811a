"""Random ratings in random dialects: what is read is what was written, or it is an error; never something else."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.dialects import is_read, written

NEARLY_ALL = 0.85  # of random files are read with no option; the others are refused in words

N_FILES = int(os.environ.get("DIALECTS", "300"))  # DIALECTS=10000 for a search by hand


@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_read_is_what_was_written(seed, tmp_path_factory):
    is_read(written(seed), tmp_path_factory.getbasetemp())


@pytest.mark.long
def test_nearly_all_are_read(tmp_path):
    right = [is_read(written(seed), tmp_path) for seed in range(N_FILES)]
    assert np.mean(right) > NEARLY_ALL
