"""Kernels for the tests of what notebooks show."""

import sys

import pytest

from helpers.notebooks import Kernel
from palate.showing import live


@pytest.fixture
def kernel(monkeypatch):
    """This process as the kernel of a notebook, with a clock that stands still."""
    made = Kernel()
    monkeypatch.setitem(sys.modules, "IPython", made)
    clock = [1000.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    made.clock = clock
    return made
