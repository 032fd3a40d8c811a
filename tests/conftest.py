"""Fixtures that several test files share."""

import gc
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import palate

# The same examples in every run, so that what falls here falls everywhere: 20 in make test, 30 in make long
# (--hypothesis-profile=long); --hypothesis-profile=search draws new ones.
# No test falls for taking long: a busy machine is no defect.
PATIENT: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("palate", derandomize=True, max_examples=20, **PATIENT)
settings.register_profile("long", derandomize=True, max_examples=30, **PATIENT)
settings.register_profile("search", print_blob=True, max_examples=30, **PATIENT)
settings.load_profile("palate")


def pytest_collection_finish():
    """What is there before the first test stays: collecting garbage need not look through thousands of tests again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Every test begins with the same first values of torch, whichever tests ran before it."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)


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


@pytest.fixture(scope="session")
def ml_100k_u1(ml_100k):
    """(train, test) of the first of its official folds, with moments and both tables."""
    path = Path(os.environ["PALATE_DATA"]) / "ml-100k" / "u1.test"
    if not path.is_file():
        pytest.skip("PALATE_DATA holds no u1.test")
    pairs = {tuple(line.split("\t")[:2]) for line in path.read_text().splitlines()}
    users, items = (map(str, both.labels) for both in (ml_100k.user_vocabulary, ml_100k.item_vocabulary))
    users, items = list(users), list(items)
    codes = zip(ml_100k.user_codes, ml_100k.item_codes, strict=True)
    train, test = palate.split_rows(ml_100k, np.array([(users[user], items[item]) in pairs for user, item in codes]))
    assert (len(train), len(test)) == (80_000, 20_000)
    return train, test
