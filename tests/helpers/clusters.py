"""Clusters for tests: one of this process, whose tasks travel as they would, and a small one of Ray."""

import contextlib
import importlib.util
import os
import pickle
import signal
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

NO_RAY = 'left out: fits on a Ray cluster; get them with pip install "palate[ray]"'
STORE_BYTES = 80 << 20


class CopyingExchange:
    """Workers that are this process: what goes to them and comes back is pickled, as between processes."""

    def __init__(self, n_workers=3, threads=1):
        self.n_workers, self.threads = n_workers, threads
        self.n_tasks, self.shown = 0, []
        self.about = {"workers": {"n": n_workers}}

    def show(self, folder):
        self.shown.append(folder)

    def put(self, value):
        return pickle.dumps(value)

    def assembled(self, array, parts):
        assert not array.flags.writeable
        assert np.array_equal(array, np.concatenate([part.array for part in parts]))

    def map(self, function, tasks, *shared):
        for task in tasks:
            self.n_tasks += 1
            arguments = (*pickle.loads(pickle.dumps(task)), *map(pickle.loads, shared))
            yield pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(function))(*arguments)))

    @contextlib.contextmanager
    def connect(self):
        yield self


@contextlib.contextmanager
def ray_cluster(*cpus):
    """A Ray cluster on this machine with a node for each number of CPUs; yields Ray's Cluster."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip(NO_RAY)
    import ray
    from ray.cluster_utils import Cluster

    # A short path: sockets lie in it, and their paths must have less than 108 letters. Workers are as urgent as we are.
    options = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    short = tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True)
    with short as folder, mock.patch.dict(os.environ, options):
        Path("/tmp/ray").mkdir(exist_ok=True)  # where Ray notes its address, whatever temp_dir is
        cluster = Cluster()
        try:
            options = {"include_dashboard": False, "object_store_memory": STORE_BYTES}
            first = {"temp_dir": folder, "_system_config": {"health_check_period_ms": 300}}  # 5 failures: a lost node
            for at, n in enumerate(cpus):
                cluster.add_node(num_cpus=n, **options, **({} if at else first))
            ray.init(cluster.address, log_to_driver=False, logging_level="error")
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


def worker_pids():
    """The processes of palate's workers that descend from this process, and so belong to its cluster."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().startswith(b"ray::Worker") and _descends_from(int(path.parent.name), os.getpid()):
                found.append(int(path.parent.name))
    return sorted(found)


def _descends_from(pid, ancestor):
    while pid > 1 and pid != ancestor:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid == ancestor


def all_workers_end(seconds=30):
    """Whether no worker of this cluster is left, or none after a while: Ray ends them in the background."""
    last = time.monotonic() + seconds
    while worker_pids() and time.monotonic() < last:
        time.sleep(0.1)
    return worker_pids() == []


def nodes_are(n, seconds=60):
    """Whether Ray knows of so many nodes alone, or does after a while: it learns late that one is lost."""
    import ray

    last = time.monotonic() + seconds
    while sum(node["Alive"] for node in ray.nodes()) != n and time.monotonic() < last:
        time.sleep(0.1)
    return sum(node["Alive"] for node in ray.nodes()) == n


def kill_a_worker(rng):
    """Kill one of the workers of this cluster without warning. True if there was one."""
    pids = worker_pids()
    if not pids:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(rng.choice(pids)), signal.SIGKILL)
    return True
