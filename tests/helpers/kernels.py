"""Choosing the instruction set of the kernels."""

from contextlib import contextmanager

from palate import kernels


@contextmanager
def at_level(name):
    """The kernels of one instruction set."""
    before = kernels.level()
    kernels.use_level(name)
    try:
        yield
    finally:
        kernels.use_level(before)
