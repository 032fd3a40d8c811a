"""What tests of clusters share: ratings and likes, in memory and on disk, and a small cluster of Ray."""

import contextlib

import numpy as np
import pytest

import palate
from helpers.clusters import ray_cluster


@pytest.fixture(scope="session")
def in_memory():
    """Ratings, and likes with counts, sorted by user."""
    made = palate.datasets.synthetic(n_users=300, n_items=120, n_ratings=9000, seed=1)
    made = made[np.argsort(made.user_codes, kind="stable")]
    likes = made.likes(at_least=3)
    counts = np.random.default_rng(0).integers(1, 9, len(likes)).astype(np.float32)
    return {"ratings": made, "likes": likes.with_weights(counts)}


@pytest.fixture(scope="session")
def on_disk(in_memory, tmp_path_factory):
    """The same as Blocks."""
    folder = tmp_path_factory.mktemp("blocks")
    return {name: palate.blocks.write(folder / name, ratings, progress=False) for name, ratings in in_memory.items()}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Plans of many blocks, for few ratings."""
    monkeypatch.setattr("palate.data.plan.MIN_RATINGS", 100)


@pytest.fixture
def bytes_of(tmp_path):
    """The bytes of the file of a model, but for what says how long the fit took and where it ran."""

    def saved(rec):
        rec.model.training["seconds"] = 0
        rec.model.training.pop("workers", None)
        rec.save(tmp_path / "model.palate")
        return (tmp_path / "model.palate").read_bytes()

    return saved


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Two nodes with a CPU each, and a cache folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        with ray_cluster(1, 1) as cluster:
            yield cluster


class Kept:
    """Workers that stay from fit to fit: starting them takes longer than a fit of these tests."""

    def __init__(self, exchange):
        self.exchange = exchange

    def connect(self):
        return contextlib.nullcontext(self.exchange)


@pytest.fixture(scope="class")
def kept(cluster):
    with palate.distributed.ray().connect() as exchange:
        yield Kept(exchange)
