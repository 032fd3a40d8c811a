"""Fits on a Ray cluster of two nodes: the same bytes as in memory, also when workers and nodes are lost."""

import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import palate
from helpers.clusters import STORE_BYTES, all_workers_end, kill_a_worker, nodes_are
from palate import kernels
from palate.errors import BlocksError, ClusterError, OptionError

RECIPES = {
    "ALS": (palate.ALS(n_sweeps=3), "ratings"),
    "Bayes": (palate.Bayes(n_sweeps=6), "ratings"),
    "ImplicitALS": (palate.ImplicitALS(n_factors=8, n_sweeps=3), "likes"),
}


def test_without_ray_the_error_says_what_to_install(on_disk, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionError, match=r'pip install "palate\[ray\]"'):
        palate.ALS().fit(on_disk["ratings"], on=palate.distributed.ray(), progress=False)


class TestWorkers:
    @pytest.mark.parametrize("name", RECIPES)
    def test_a_fit_is_the_same_bytes_as_in_memory(self, name, kept, in_memory, on_disk, bytes_of):
        recipe, kind = RECIPES[name]
        there = recipe.fit(on_disk[kind], on=kept, progress=False)
        assert there.model.training["workers"]["n"] == 2
        assert bytes_of(recipe.fit(in_memory[kind], progress=False)) == bytes_of(there)

    def test_vectors_are_sent_once_and_then_fetched_from_where_they_were_solved(self, kept, on_disk, monkeypatch):
        import ray

        sent, put = [], ray.put
        monkeypatch.setattr(ray, "put", lambda value: sent.append(type(value)) or put(value))
        palate.ALS(n_sweeps=3).fit(on_disk["ratings"], on=kept, progress=False)
        assert sent.count(np.ndarray) == 1  # the items at the start
        assert sent.count(dict) == 5  # what all rows share, in each half sweep

    def test_results_come_in_order_and_errors_as_they_are(self, kept):
        tasks = (("1" * n,) for n in range(1, 50))
        assert list(kept.exchange.map(int, tasks, kept.exchange.put(2))) == [2**n - 1 for n in range(1, 50)]
        with pytest.raises(ValueError, match=r"invalid literal .*'two'"):
            list(kept.exchange.map(int, [("1",), ("two",)]))

    @pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="a path that other processes do not see needs /proc")
    def test_a_folder_that_a_node_does_not_see_is_copied_if_asked_for(self, kept, in_memory, tmp_path, bytes_of):
        palate.blocks.write(tmp_path / "seen.blocks", in_memory["ratings"], progress=False)
        recipe, folder = palate.ALS(n_sweeps=2), os.open(tmp_path, os.O_RDONLY)
        try:
            blocks = palate.blocks.open(f"/proc/self/fd/{folder}/seen.blocks")  # a path of this process alone
            with pytest.raises(BlocksError, match=r"the worker on .+ cannot open the ratings: .+ pass place=True"):
                recipe.fit(blocks, on=kept, progress=False)
            kept.exchange.places = True
            rec = recipe.fit(blocks, on=kept, progress=False)
        finally:
            kept.exchange.places = False
            os.close(folder)
        assert bytes_of(recipe.fit(in_memory["ratings"], progress=False)) == bytes_of(rec)


def test_too_many_workers_are_refused(cluster, on_disk):
    with pytest.raises(ClusterError, match="has room for 2 workers of 1 CPUs each, and 5 are asked for"):
        palate.ALS().fit(on_disk["ratings"], on=palate.distributed.ray(workers=5, threads=1), progress=False)


def test_a_worker_of_another_version_is_refused(cluster, on_disk, monkeypatch):
    monkeypatch.setattr("palate.distributed.worker.__version__", "0.0.1")
    with pytest.raises(ClusterError, match=r"has palate .+, and this process 0\.0\.1"):
        palate.ALS().fit(on_disk["ratings"], on=palate.distributed.ray(workers=1), progress=False)
    assert all_workers_end()


def test_kernels_are_pinned_to_the_lowest_level_and_set_back(cluster, in_memory, on_disk, bytes_of):
    assert all_workers_end()
    lowest, before = kernels.levels()[0], kernels.level()
    recipe = palate.ALS(n_sweeps=2)
    kernels.use_level(lowest)
    try:
        here = bytes_of(recipe.fit(in_memory["ratings"], progress=False))
        rec = recipe.fit(on_disk["ratings"], on=palate.distributed.ray(workers=1, threads=1), progress=False)
        assert rec.model.training["workers"] == {"n": 1, "threads": 1, "level": lowest}
        assert bytes_of(rec) == here
        assert kernels.level() == lowest
    finally:
        kernels.use_level(before)


def fit_under_fire(recipe, blocks, n_kills, seed):
    """Fit while workers are killed at random moments, at most one in a sweep. Returns the model and the kills."""
    rng, kills = np.random.default_rng(seed), []

    def aim(_):
        if len(kills) + len(timers) - len(done) < n_kills:
            timers.append(threading.Timer(float(rng.uniform(0, 0.3)), fire))
            timers[-1].start()

    def fire():
        if kill_a_worker(rng):
            kills.append(1)
        done.append(1)

    timers, done = [], []
    rec = recipe.fit(blocks, on=palate.distributed.ray(), progress=False, callback=aim)
    for timer in timers:
        timer.join()
    return rec, len(kills)


@pytest.mark.parametrize("n_kills", [2, pytest.param(20, marks=pytest.mark.long)])
def test_killed_workers_change_nothing(n_kills, cluster, in_memory, on_disk, bytes_of):
    recipe = palate.Bayes(n_sweeps=30 * n_kills, history=False, n_samples=4)
    undisturbed = bytes_of(recipe.fit(in_memory["ratings"], progress=False))
    rec, kills = fit_under_fire(recipe, on_disk["ratings"], n_kills, seed=n_kills)
    assert kills == n_kills
    assert bytes_of(rec) == undisturbed


def test_a_node_that_is_lost_changes_nothing(cluster, in_memory, on_disk, bytes_of):
    third = cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
    cluster.wait_for_nodes()
    lost = []

    def lose_a_node(sweep):
        if sweep.number == 2:
            cluster.remove_node(third, allow_graceful=False)
            lost.append(third)

    recipe = palate.ALS(n_sweeps=20)
    rec = recipe.fit(on_disk["ratings"], on=palate.distributed.ray(), progress=False, callback=lose_a_node)
    assert lost
    assert rec.model.training["workers"]["n"] == 3
    assert bytes_of(recipe.fit(in_memory["ratings"], progress=False)) == bytes_of(rec)
    assert nodes_are(2)  # for what comes after


@pytest.mark.long
def test_a_task_that_ends_every_worker_ends_the_work(cluster):
    with palate.distributed.ray().connect() as workers, pytest.raises(ClusterError, match="workers were lost"):
        list(workers.map(os._exit, [(1,)]))
