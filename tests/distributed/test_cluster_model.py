"""The simulation of a cluster: what must hold of its seconds, whatever the costs."""

import sys

import numpy as np
import pytest

from helpers.scripts import ROOT, module_at

sys.path.insert(0, str(ROOT / "benchmarks"))  # what it shares with other pictures
model = module_at(ROOT / "benchmarks" / "cluster_model.py")
COUNTS = np.full(40_000, 50)
COSTS = model.Costs(rating=1e-7, row=5e-6)
WORK = COSTS.rating * COUNTS.sum() + COSTS.row * len(COUNTS)
FAST = 1e15  # bytes a second: nothing is waited for


@pytest.fixture(autouse=True)
def free_copies(monkeypatch):
    monkeypatch.setattr(model, "COPY", FAST)
    monkeypatch.setattr(model, "LATENCY", 0.0)


@pytest.mark.parametrize("nodes", [1, 2, 5])
def test_without_a_network_to_wait_for_machines_share_the_work(nodes):
    cluster = model.Cluster(nodes, cores=4, bandwidth=FAST)
    seconds = model.half_sweep(COUNTS, 1000, 31, COSTS, cluster)
    assert WORK / (4 * nodes) <= seconds <= 1.25 * WORK / (4 * nodes)


def test_without_work_a_half_sweep_takes_as_long_as_its_bytes():
    cluster = model.Cluster(4, bandwidth=1e6)
    seconds = model.half_sweep(COUNTS, 1000, 31, model.Costs(0.0, 0.0), cluster)
    fetched, received = 1000 * 128 * 3 / 4 / 1e6, len(COUNTS) * (128 + 8) / 1e6
    assert received <= seconds <= fetched + received + 1e-6


def test_one_machine_fetches_nothing():
    alone = model.half_sweep(COUNTS, 10**6, 31, model.Costs(0.0, 0.0), model.Cluster(1, bandwidth=1e6))
    assert alone == pytest.approx(len(COUNTS) * (128 + 8) / 1e6, rel=1e-3)
