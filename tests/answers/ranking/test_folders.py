"""Lists for everybody in a folder: the same as in a frame, each user once, and the same files after a kill."""

import contextlib
import json
import pickle
import signal
import subprocess
import sys
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pytest

import palate
from palate.answers.ranking import folders, places
from palate.errors import ClusterError, OptionError

N_USERS = 83


def learn(seed=1):
    ratings = palate.datasets.synthetic(N_USERS, 40, 1500, seed=seed)
    titles = pl.DataFrame({"item": ratings.classes["item"], "title": [f"T{at % 30}" for at in range(40)]})
    return palate.Bayes(n_sweeps=8, n_factors=3).fit(ratings.with_items(titles), progress=False)


@pytest.fixture(scope="module")
def rec():
    return learn()


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(folders, "ROWS_A_PART", 40)


@dataclass
class Elsewhere:
    """Workers of a cluster, which open the model file; they do all tasks twice."""

    threads: int = 0
    n_workers: int = 2
    done: list = field(default_factory=list)

    def connect(self):
        return contextlib.nullcontext(self)

    def put(self, value):
        return pickle.loads(pickle.dumps(value))

    def map(self, function, tasks, *shared):
        for task in tasks:
            self.done.append(task)
            function(*task, *shared)
            yield function(*task, *shared)


def read(folder):
    return pl.read_parquet(folder / "part-*.parquet")


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "options",
    [{"n": 4}, {"n": 4, "exclude": ["i3"], "by": "lower"}, {"n": 3, "by": "thompson", "seed": 2}, {"n": 100},
     {"n": 5, "diversity": 0.3, "max_per": {"title": 1}}, {"n": 4, "users": ["u5", "u7", "nobody"]}],
)  # fmt: skip
def test_the_parts_are_the_frame_cut_in_pieces(rec, tmp_path, options):
    path = rec.recommend(**options, out=f"{tmp_path}/lists/")
    assert path == tmp_path / "lists"
    found, expected = read(path), rec.recommend(**options)
    assert found.drop("score").equals(expected.drop("score"))
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-6)  # of blocks of another size
    manifest = json.loads((path / "manifest.json").read_text())
    assert list(manifest["parts"]) == sorted(name for name in files_of(path) if name != "manifest.json")
    ends = [entry["users"] for entry in manifest["parts"].values()]
    assert [first for first, _ in ends] == [0, *(last for _, last in ends[:-1])]
    assert ends[-1][1] == manifest["n_users"]
    for name, entry in manifest["parts"].items():
        assert pl.read_parquet(path / name).height == entry["rows"]


def test_nobody_gets_an_empty_part(rec, tmp_path):
    path = rec.recommend([], n=4, out=f"{tmp_path}/lists/")
    assert read(path).equals(rec.recommend([], n=4))
    assert list(json.loads((path / "manifest.json").read_text())["parts"]) == ["part-00000.parquet"]


def test_workers_change_no_byte(rec, tmp_path):
    here, workers = rec.recommend(n=4, out=f"{tmp_path}/here/"), Elsewhere()
    there = rec.recommend(n=4, out=f"{tmp_path}/there/", on=workers)
    assert files_of(here) == files_of(there)
    assert len(workers.done) == 9


def test_a_worker_that_does_not_see_the_folder_says_so(rec, tmp_path, monkeypatch):
    monkeypatch.setattr(places.Folder, "local", lambda *_: contextlib.nullcontext(None))
    with pytest.raises(ClusterError, match=r"the worker on .+ does not see .+lists, where the lists go"):
        rec.recommend(n=4, out=f"{tmp_path}/lists/", on=Elsewhere())


def test_workers_weigh_what_is_recent(tmp_path):
    likes = palate.datasets.synthetic(60, 40, 1200, seed=1).likes(at_least=3)
    rec = palate.EASE().fit(likes, progress=False)
    path = rec.recommend(n=4, recent=2, out=f"{tmp_path}/lists/", on=Elsewhere())
    assert read(path).equals(rec.recommend(n=4, recent=2))
    assert not read(path).equals(rec.recommend(n=4))


def test_all_parts_are_made_in_blocks_of_one_size(rec, tmp_path, monkeypatch):
    path = rec.recommend(n=4, by="thompson", out=f"{tmp_path}/lists/", memory="17MB")
    block = json.loads((path / "manifest.json").read_text())["block"]
    whole = files_of(path)
    (path / "part-00003.parquet").unlink()
    monkeypatch.setattr("palate.answers.ranking.memory.MAX_USERS", block - 1)
    with pytest.raises(OptionError, match=f"blocks of {block} users, and memory= has room for {block - 1} now"):
        rec.recommend(n=4, by="thompson", out=path)
    monkeypatch.undo()
    monkeypatch.setattr(folders, "ROWS_A_PART", 40)
    rec.recommend(n=4, by="thompson", out=path)
    assert files_of(path) == whole


def test_what_is_done_is_not_made_again(rec, tmp_path):
    path = rec.recommend(n=4, out=f"{tmp_path}/lists/")
    whole = files_of(path)
    made = {file: file.stat().st_mtime_ns for file in path.glob("part-*")}
    (path / "part-00003.parquet").write_bytes(b"torn")
    (path / "part-00005.parquet").unlink()
    workers = Elsewhere()
    rec.recommend(n=4, out=path, on=workers)
    assert [name for name, *_ in workers.done] == ["part-00003.parquet", "part-00005.parquet"]
    assert files_of(path) == whole
    again = {file for file in made if file.stat().st_mtime_ns != made[file]}
    assert {file.name for file in again} == {"part-00003.parquet", "part-00005.parquet"}


def test_lists_of_another_model_or_other_options_are_not_mixed(rec, tmp_path):
    path = rec.recommend(n=4, out=f"{tmp_path}/lists/")
    before = files_of(path)
    for other, options, words in (
        (learn(2), {"n": 4}, "has lists with another model: give another folder, or overwrite=True"),
        (rec, {"n": 5}, "has lists with n=4, which is 5 now"),
        (rec, {"n": 4, "exclude": ["i2"]}, "other items"),
        (rec, {"n": 4, "users": ["u1"]}, "other users"),
    ):
        with pytest.raises(OptionError, match=words):
            other.recommend(**options, out=path)
    assert files_of(path) == before
    (path / "mine.txt").write_text("stays")
    rec.recommend(["u1", "u2"], n=5, out=path, overwrite=True)
    assert sorted(files_of(path)) == ["manifest.json", "mine.txt", "part-00000.parquet"]
    assert read(path).equals(rec.recommend(["u1", "u2"], n=5))


@pytest.mark.parametrize("content", ["", "[]", '{"parts": 3}', None])
def test_a_folder_whose_manifest_says_nothing(rec, tmp_path, content):
    path = rec.recommend(n=4, out=f"{tmp_path}/lists/")
    if content is None:
        (path / "manifest.json").unlink()
    else:
        (path / "manifest.json").write_text(content)
    with pytest.raises(OptionError, match="overwrite=True"):
        rec.recommend(n=4, out=path)
    rec.recommend(n=4, out=path, overwrite=True)
    assert read(path).equals(rec.recommend(n=4))


def test_errors(rec, tmp_path):
    with pytest.raises(OptionError, match=r"end it with a slash, 's3://bucket/lists.parquet/'"):
        rec.recommend(n=4, out="s3://bucket/lists.parquet")
    with pytest.raises(OptionError, match="there is no folder"):
        rec.recommend(n=4, out=f"{tmp_path}/no/lists/")
    with pytest.raises(OptionError, match="go with a folder"):
        rec.recommend(n=4, out=tmp_path / "a.csv", overwrite=True)
    with pytest.raises(OptionError, match="go with a folder"):
        rec.recommend(n=4, on=Elsewhere())
    with pytest.raises(OptionError, match=r"on= takes a cluster, such as .+ names, not str"):
        rec.recommend(n=4, out=f"{tmp_path}/some/", on="ray")
    with pytest.raises(OptionError, match="Lists of known users may go to a folder"):
        rec.recommend(n=4, out=tmp_path / "lists")
    likes = palate.datasets.synthetic(60, 40, 1200, seed=1).likes(at_least=3)
    with pytest.raises(OptionError, match="go with a folder of known users"):
        palate.EASE().fit(likes, progress=False).recommend(session=["i1"], out=f"{tmp_path}/lists/", overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="File exists"):
        rec.recommend(n=4, out=f"{tmp_path}/file/")


def test_two_runs_do_not_write_the_same_folder(rec, tmp_path):
    class Second(Elsewhere):
        def map(self, function, tasks, *shared):
            with pytest.raises(OptionError, match="is in use"):
                rec.recommend(n=4, out=f"{tmp_path}/lists/")
            yield from super().map(function, tasks, *shared)

    assert read(rec.recommend(n=4, out=f"{tmp_path}/lists/", on=Second())).equals(rec.recommend(n=4))


# ---- addresses -------------------------------------------------------------------------------------------------------


@pytest.fixture
def bucket():
    fsspec = pytest.importorskip("fsspec", reason="the extra urls is not installed")
    system = fsspec.filesystem("memory")
    yield system
    if system.exists("/lists"):
        system.rm("/lists", recursive=True)


def there(system):
    return {path.rpartition("/")[2]: system.cat_file(path) for path in system.ls("/lists", detail=False)}


@pytest.mark.parametrize("on", [None, Elsewhere()], ids=["here", "workers"])
def test_an_address_gets_the_files_of_a_folder(rec, tmp_path, bucket, on):
    here = rec.recommend(n=4, out=f"{tmp_path}/lists/")
    assert rec.recommend(n=4, out="memory://lists/", on=on) == "memory://lists"
    assert there(bucket) == files_of(here)


def test_at_an_address_what_is_done_is_not_made_again(rec, tmp_path, bucket):
    whole = files_of(rec.recommend(n=4, out=f"{tmp_path}/lists/"))
    rec.recommend(n=4, out="memory://lists/")
    bucket.pipe("/lists/part-00003.parquet", b"torn")
    bucket.rm_file("/lists/part-00005.parquet")
    workers = Elsewhere()
    rec.recommend(n=4, out="memory://lists/", on=workers)
    assert [name for name, *_ in workers.done] == ["part-00003.parquet", "part-00005.parquet"]
    assert there(bucket) == whole


def test_at_an_address_lists_are_not_mixed(rec, bucket):
    rec.recommend(n=4, out="memory://lists/")
    bucket.pipe("/lists/mine.txt", b"stays")
    with pytest.raises(OptionError, match="memory://lists has lists with n=4, which is 5 now"):
        rec.recommend(n=5, out="memory://lists/")
    rec.recommend(["u1"], n=5, out="memory://lists/", overwrite=True)
    assert sorted(there(bucket)) == ["manifest.json", "mine.txt", "part-00000.parquet"]
    bucket.rm_file("/lists/manifest.json")
    with pytest.raises(OptionError, match=r"memory://lists has parts of lists and no manifest\.json"):
        rec.recommend(["u1"], n=5, out="memory://lists/")


def test_an_address_that_refuses_says_why(rec, bucket, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError("no right to write here")

    monkeypatch.setattr(type(bucket), "put_file", refuse)
    with pytest.raises(OptionError, match=r"out='memory://lists' cannot be written: no right to write here\."):
        rec.recommend(n=4, out="memory://lists/")
    with pytest.raises(OptionError, match="nonsense://lists cannot be opened"):
        rec.recommend(n=4, out="nonsense://lists/")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(OptionError, match=r"pip install 'palate\[urls\]'"):
        rec.recommend(n=4, out="memory://lists/")


CHILD = """
import os, signal, sys, palate
from palate.answers.ranking import folders
folders.ROWS_A_PART = 40
model, out, die_at, where = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
make, write, made = folders.Lists.make, folders.Manifest.add, []
def die(at):
    if len(made) == die_at and where == at:
        os.kill(os.getpid(), signal.SIGKILL)
def making(self, name, *users):
    die("before")
    made.append(name)
    return make(self, name, *users)
def adding(self, *entry):
    die("after")
    write(self, *entry)
folders.Lists.make, folders.Manifest.add = making, adding
palate.load(model).recommend(n=4, out=out)
print(*made)
"""


def test_a_killed_run_goes_on_and_the_files_are_the_same(rec, tmp_path):
    rec.save(tmp_path / "m.palate")
    undisturbed = rec.recommend(n=4, out=f"{tmp_path}/undisturbed/")

    def run(die_at, where):
        command = [sys.executable, "-c", CHILD, str(tmp_path / "m.palate"), f"{tmp_path}/killed/", str(die_at), where]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert run(3, "before").returncode == -signal.SIGKILL
    assert run(2, "after").returncode == -signal.SIGKILL  # the part is there, and the manifest lacks it
    killed = tmp_path / "killed"
    (killed / f".part-00006.parquet.{'a' * 8}.{2**22 + 1}.{'0' * 16}.tmp").write_text("of another machine")
    assert len(json.loads((killed / "manifest.json").read_text())["parts"]) == 4
    last = run(99, "")
    assert last.stdout.split() == [f"part-{at:05}.parquet" for at in range(4, 9)], last.stderr
    found = {name: content for name, content in files_of(killed).items() if not name.startswith(".")}
    assert found == files_of(undisturbed)
    assert read(killed).select("user", "rank").is_unique().all()
