"""Writing blocks goes on after a kill at any moment, and gives the bytes of an undisturbed run."""

import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

import palate
from palate.data.blocks import spilling, steps
from palate.errors import BlocksError, DataError

# Kills itself at the n-th time that something happens to a file below the folder: opened to write, renamed, removed.
CHILD = """
import os, signal, sys
import palate
from palate.data.blocks import sorting, spilling, steps, vocabularies
folder, kill_at = sys.argv[1], int(sys.argv[2])
steps.SECONDS_AT_RISK = 0.0
sorting.BUCKET_RATINGS, spilling.MOST_LABELS, vocabularies.RANGE = 20, 15, 8
seen = 0
def watch(event, arguments):
    global seen
    if event in ("open", "os.rename", "os.remove", "os.rmdir", "os.truncate") and "x.blocks" in str(arguments[0]):
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        seen += 1
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
palate.blocks.write(f"{folder}/x.blocks", f"{folder}/*.csv", on_bad_rows="report", items=f"{folder}/items.json")
print(seen)
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Four files of ratings and a table of items."""
    folder, rng = tmp_path_factory.mktemp("sources"), np.random.default_rng(0)
    for number in range(4):
        users, items = rng.integers(0, 40, 60), rng.integers(0, 30, 60)
        columns = {"user": users, "item": [f"i{n}" for n in items], "stars": rng.integers(1, 6, 60)}
        frame = pl.DataFrame(columns).with_columns(pl.col("stars").cast(pl.String))
        frame[0, "stars"] = "bad"
        frame.write_csv(folder / f"{number}.csv")
    (folder / "items.json").write_text(json.dumps([{"item": f"i{n}", "title": f"Title {n}"} for n in range(30)]))
    return folder


def run(folder, kill_at):
    made = subprocess.run(
        [sys.executable, "-c", CHILD, folder, str(kill_at)], capture_output=True, text=True, check=False
    )
    assert made.returncode in (0, -9), made.stderr
    return made


def contents(path):
    return {file.name: file.read_bytes() for file in sorted(path.iterdir())}


@pytest.fixture(scope="module")
def undisturbed(sources, tmp_path_factory):
    """The folder of a run without a kill, and how often something happened to its files."""
    folder = tmp_path_factory.mktemp("undisturbed") / "f"
    shutil.copytree(sources, folder)
    made = run(folder, 0)
    return contents(folder / "x.blocks"), int(made.stdout)


def kill_at_each(moments, undisturbed, sources, tmp_path):
    expected, _ = undisturbed
    for number, kill_at in enumerate(moments):
        folder = tmp_path / str(number)
        shutil.copytree(sources, folder)
        assert run(folder, kill_at).returncode == -9
        if not (folder / "x.blocks").exists():
            run(folder, 0)
        assert not list(folder.glob("x.blocks.*"))
        assert contents(folder / "x.blocks") == expected, kill_at


def test_a_kill_at_some_moments(undisturbed, sources, tmp_path):
    n = undisturbed[1]
    kill_at_each([n // 3, 2 * n // 3], undisturbed, sources, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("first", [1, 2, 3])
def test_a_kill_at_any_moment(undisturbed, sources, tmp_path, first):
    kill_at_each(range(first, undisturbed[1] + 1, 3), undisturbed, sources, tmp_path)  # thirds, for several processes


@pytest.fixture
def stopped(sources, tmp_path, monkeypatch):
    """A folder whose third file could not be read in the first run."""
    monkeypatch.setattr(steps, "SECONDS_AT_RISK", 0.0)
    folder = tmp_path / "f"
    shutil.copytree(sources, folder)
    good = (folder / "2.csv").read_text()
    (folder / "2.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"2\.csv"):
        palate.blocks.write(folder / "x.blocks", folder / "*.csv", on_bad_rows="report", progress=False)
    assert (folder / "x.blocks.part").is_dir()
    (folder / "2.csv").write_text(good)
    return folder


def written(folder, **options):
    return palate.blocks.write(folder / "x.blocks", folder / "*.csv", on_bad_rows="report", **options)


def n_read(monkeypatch):
    """Counts the rows that are read from here on."""
    counted = []
    add = spilling.Spill.add
    monkeypatch.setattr(spilling.Spill, "add", lambda self, rows: (counted.append(len(rows.users)), add(self, rows))[1])
    return counted


def test_a_corrected_file_goes_on_from_those_before_it(stopped, monkeypatch, capsys):
    counted = n_read(monkeypatch)
    blocks = written(stopped)
    assert sum(counted) == 2 * 59
    assert blocks.report.rows_read == 240 and blocks.report.bad_rows == {"the rating is not a number": 4}
    assert "going on" in capsys.readouterr().err


def test_a_changed_file_or_option_begins_anew(stopped, monkeypatch, capsys):
    os.utime(stopped / "0.csv", ns=(1, time.time_ns()))
    counted = n_read(monkeypatch)
    written(stopped)
    assert sum(counted) == 4 * 59
    assert "beginning anew" in capsys.readouterr().err


def test_another_option_begins_anew(stopped, monkeypatch, capsys):
    counted = n_read(monkeypatch)
    written(stopped, duplicates="mean")
    assert sum(counted) == 4 * 59
    assert "beginning anew" in capsys.readouterr().err


def test_ctrl_c_keeps_what_is_done(sources, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(steps, "SECONDS_AT_RISK", 0.0)
    monkeypatch.setattr(spilling.Spill, "end_part", interrupting(spilling.Spill.end_part, at=3))
    with pytest.raises(KeyboardInterrupt):
        palate.blocks.write(tmp_path / "x.blocks", sources / "*.csv", on_bad_rows="report")
    assert "the same call goes on" in capsys.readouterr().err
    assert json.loads((tmp_path / "x.blocks.part/scratch/state.json").read_text())["n_sources"] == 2


def interrupting(function, at):
    calls = []

    def called(*arguments):
        calls.append(arguments)
        if len(calls) == at:
            raise KeyboardInterrupt
        return function(*arguments)

    return called


def test_frames_leave_nothing_behind(tmp_path):
    def frames():
        yield {"user": [1], "item": [1], "rating": [1]}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        palate.blocks.write(tmp_path / "x.blocks", frames(), progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_only_if_asked(tmp_path):
    rows = {"user": [1], "item": [1], "rating": [1]}
    palate.blocks.write(tmp_path / "x.blocks", rows, progress=False)
    with pytest.raises(BlocksError, match="overwrite=True"):
        palate.blocks.write(tmp_path / "x.blocks", rows, progress=False)
    assert len(palate.blocks.write(tmp_path / "x.blocks", {**rows, "user": [2]}, progress=False, overwrite=True)) == 1
    assert palate.blocks.open(tmp_path / "x.blocks").classes["user"] == [2]
    assert [path.name for path in tmp_path.iterdir()] == ["x.blocks"]
    (tmp_path / "own").mkdir()
    with pytest.raises(BlocksError, match="no folder of blocks"):
        palate.blocks.write(tmp_path / "own", rows, progress=False, overwrite=True)


def test_two_writers_keep_out_of_each_others_way(tmp_path):
    rows = {"user": [1], "item": [1], "rating": [1]}

    def frames():
        yield rows
        with pytest.raises(BlocksError, match="another process is writing"):
            palate.blocks.write(tmp_path / "x.blocks", rows, progress=False)

    assert len(palate.blocks.write(tmp_path / "x.blocks", frames(), progress=False)) == 1


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "x.blocks.part").mkdir()
    (tmp_path / "x.blocks.part/thesis.txt").write_text("all of it")
    with pytest.raises(BlocksError, match="in the way"):
        palate.blocks.write(tmp_path / "x.blocks", {"user": [1], "item": [1], "rating": [1]}, progress=False)
    assert (tmp_path / "x.blocks.part/thesis.txt").read_text() == "all of it"


def test_a_disk_that_is_full_or_read_only(tmp_path, monkeypatch):
    rows = {"user": [1], "item": [1], "rating": [1]}
    with pytest.raises(BlocksError, match="cannot write"):
        palate.blocks.write("/proc/x.blocks", rows, progress=False)
    full = OSError(28, "No space left on device")

    def no_room(*_):
        raise full

    monkeypatch.setattr(steps, "write_by_user", no_room)
    with pytest.raises(BlocksError, match="No space left"):
        palate.blocks.write(tmp_path / "x.blocks", rows, progress=False)


FULL = """
import resource, sys
import palate
from palate.data.blocks import steps
steps.SECONDS_AT_RISK = 0.0
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    palate.blocks.write(f"{sys.argv[1]}/x.blocks", f"{sys.argv[1]}/*.csv", on_bad_rows="report", progress=False)
except palate.errors.BlocksError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits of file sizes")
@pytest.mark.parametrize("most", [200, 2600])
def test_files_that_grow_too_large(sources, tmp_path, most):
    shutil.copytree(sources, tmp_path / "f")
    typed = [sys.executable, "-W", "error", "-c", FULL, tmp_path / "f", str(most)]
    made = subprocess.run(typed, capture_output=True, text=True, check=True)
    assert "x.blocks: File too large" in made.stdout and made.stderr == ""
    assert ("make room, and call again" in made.stdout) == (tmp_path / "f/x.blocks.part").exists()
    assert len(written(tmp_path / "f", progress=False)) > 0
