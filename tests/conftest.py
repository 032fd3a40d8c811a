"""Fixtures that several test files share."""

import os
from contextlib import contextmanager
from pathlib import Path

import pytest

import palate
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


@pytest.fixture(scope="session")
def ml_100k():
    """MovieLens 100K in file order; skips where PALATE_DATA does not hold it."""
    folder = Path(os.environ.get("PALATE_DATA", "/nonexistent")) / "ml-100k"
    if not folder.is_dir():
        pytest.skip("PALATE_DATA holds no ml-100k")
    return palate.datasets.load("ml-100k")


@pytest.fixture(scope="session")
def ml_100k_90_10(ml_100k):
    """(train, test) of the protocol that every published figure here uses."""
    return palate.split_random(ml_100k, test=0.1, seed=0)
