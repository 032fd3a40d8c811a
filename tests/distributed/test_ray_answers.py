"""Lists and evaluation on a Ray cluster: the same files and figures, also when workers or the driver are killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import palate
from helpers.clusters import all_workers_end, kill_a_worker
from palate.answers.ranking import folders
from palate.errors import ClusterError
from palate.evaluation import measured_lists, measured_rows


@pytest.fixture(scope="module")
def split(on_disk):
    return palate.split_within_users(on_disk["ratings"], 0.3)


@pytest.fixture(scope="module")
def rec(split):
    return palate.Bayes(n_sweeps=6, n_factors=3).fit(split[0], progress=False)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    for module, name, size in (
        (folders, "ROWS_A_PART", 40),
        (measured_rows, "BLOCK_ROWS", 300),
        (measured_lists, "BLOCK_USERS", 40),
    ):
        monkeypatch.setattr(module, name, size)


def files_of(folder):
    """The files of a folder, without those that a killed process has left."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith(".tmp")}


class TestWorkers:
    @pytest.mark.parametrize("options", [{"n": 4}, {"n": 5, "by": "thompson", "seed": 2, "exclude": ["i3"]}])
    def test_lists_are_the_same_files(self, rec, options, kept, tmp_path):
        here = rec.recommend(**options, out=f"{tmp_path}/here/")
        there = rec.recommend(**options, out=f"{tmp_path}/there/", on=kept)
        assert len(files_of(here)) > 30
        assert files_of(here) == files_of(there)

    def test_a_report_has_the_same_figures(self, rec, split, kept):
        test, asked = split[1], {"n_bootstrap": 20}
        assert palate.evaluate(rec, test, **asked, on=kept).to_dict() == palate.evaluate(rec, test, **asked).to_dict()
        likes, asked = test.likes(4), {"k": (3, 10), "n_bootstrap": 20, "popularity": 0.2}
        assert palate.evaluate(rec, likes, **asked, on=kept).to_dict() == palate.evaluate(rec, likes, **asked).to_dict()

    @pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="a path that other processes do not see needs /proc")
    def test_what_workers_do_not_see_is_named(self, rec, on_disk, kept, tmp_path):
        (tmp_path / "unseen.blocks").symlink_to(on_disk["ratings"].path)
        folder = os.open(tmp_path, os.O_RDONLY)
        try:
            unseen = f"/proc/self/fd/{folder}"  # a path of this process alone
            test = palate.blocks.open(f"{unseen}/unseen.blocks")
            with pytest.raises(ClusterError, match=r"a worker cannot open .+unseen\.blocks.+ all nodes see"):
                palate.evaluate(rec, test, n_bootstrap=5, on=kept)
            with pytest.raises(ClusterError, match=r"the worker on .+ does not see .+lists, where the lists go"):
                rec.recommend(n=4, out=f"{unseen}/lists/", on=kept)
        finally:
            os.close(folder)

    def test_killed_workers_change_nothing(self, rec, split, kept, tmp_path, monkeypatch):
        rng, kills = np.random.default_rng(0), []
        undisturbed = rec.recommend(n=4, out=f"{tmp_path}/undisturbed/")
        expected = palate.evaluate(rec, split[1], n_bootstrap=20).to_dict()
        add = folders.Manifest.add

        def adding(manifest, *entry):
            if len(manifest.parts) in (3, 20):
                kills.append(kill_a_worker(rng))
            add(manifest, *entry)

        monkeypatch.setattr(folders.Manifest, "add", adding)
        killed = rec.recommend(n=4, out=f"{tmp_path}/killed/", on=kept)
        assert kills == [True, True]
        assert files_of(killed) == files_of(undisturbed)
        kill_a_worker(rng)
        assert palate.evaluate(rec, split[1], n_bootstrap=20, on=kept).to_dict() == expected


CHILD = """
import os, signal, sys, palate
from palate.answers.ranking import folders
folders.ROWS_A_PART = 40
model, out, address, die_at = *sys.argv[1:4], int(sys.argv[4])
add, made = folders.Manifest.add, []
def adding(self, *entry):
    add(self, *entry)
    made.append(entry)
    if len(made) == die_at:
        os.kill(os.getpid(), signal.SIGKILL)
folders.Manifest.add = adding
palate.load(model).recommend(n=4, out=out, on=palate.distributed.ray(address))
print(len(made))
"""


def test_a_driver_that_was_killed_goes_on_with_the_parts_that_are_missing(rec, cluster, tmp_path):
    assert all_workers_end()
    rec.save(tmp_path / "m.palate")
    undisturbed = rec.recommend(n=4, out=f"{tmp_path}/undisturbed/")

    def run(die_at):
        command = [sys.executable, "-c", CHILD, str(tmp_path / "m.palate"), f"{tmp_path}/killed/", cluster.address]
        return subprocess.run([*command, str(die_at)], capture_output=True, text=True, timeout=120)

    assert run(11).returncode == -signal.SIGKILL
    assert (tmp_path / "killed" / folders.MODEL).is_file()
    last = run(-1)
    assert last.stdout.split() == ["19"], last.stderr
    assert files_of(tmp_path / "killed") == files_of(undisturbed)
