"""The parts of a file that is being written, one by one: paths, manifests, locks, faults, digests."""

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import palate
from palate.answers.ranking import RecommendOptions, query_of
from palate.answers.ranking.files import (
    MANIFEST,
    OWN_FILE,
    Parts,
    _fault_of,
    check_path,
    digest_of,
    errors_in_words,
    manifest_of,
    write,
)
from palate.errors import DataError, DatasetError, OptionError


@pytest.fixture(scope="module")
def model():
    data = palate.datasets.synthetic(30, 12, 200, seed=1)
    return palate.Bayes(n_factors=1, n_sweeps=6, n_samples=2, history=False).fit(data, progress=False).model


# ---- paths and files


def test_a_file_can_be_written_where_its_folder_is(tmp_path):
    for ending in ("parquet", "csv", "jsonl", "ndjson"):
        assert check_path(str(tmp_path / f"best.{ending}")) == tmp_path / f"best.{ending}"
    (tmp_path / "there.csv").write_text("old")
    assert check_path(tmp_path / "there.csv") == tmp_path / "there.csv"
    (tmp_path / "folder.csv").mkdir()
    for name, words in (("best.txt", "the ending must be one of .parquet, .csv, .jsonl, .ndjson"), ("best", "ending"),
                        ("be\0st.csv", "no file can have a NUL"), ("folder.csv", "is there and is no regular file"),
                        ("no/best.csv", "there is no folder")):  # fmt: skip
        with pytest.raises(OptionError, match=words):
            check_path(str(tmp_path / name))


def test_what_the_disk_refuses_is_told_in_words_and_nothing_else_is_hidden(tmp_path):
    for error in (OSError("disk full"), pl.exceptions.ComputeError("disk full")):
        words = r"out='.*best.csv' cannot be written: .*disk full"
        with pytest.raises(OptionError, match=words), errors_in_words(tmp_path / "best.csv"):
            raise error
    for error in (DatasetError("own words"), KeyError("a defect")):
        with pytest.raises(type(error)) as told, errors_in_words(tmp_path / "best.csv"):
            raise error
        assert told.value is error


@pytest.mark.parametrize("ending", ["csv", "parquet", "ndjson"])
def test_frames_become_one_file_or_none(tmp_path, ending):
    read = {"csv": pl.read_csv, "parquet": pl.read_parquet, "ndjson": pl.read_ndjson}[ending]
    frames = [pl.DataFrame({"item": [f"i{at}", "x"], "rank": [at, 2]}) for at in range(3)]
    path = write(iter(frames), tmp_path / f"best.{ending}")
    assert read(path).equals(pl.concat(frames))

    def failing():
        yield frames[0]
        raise DataError("the second frame is none")

    with pytest.raises(DataError, match="the second frame is none"):
        write(failing(), tmp_path / f"other.{ending}")
    assert [file.name for file in tmp_path.iterdir()] == [f"best.{ending}"]


# ---- manifests

OWN = {"model": "m", "users": "u", "allowed": "a", "lists": "l", "limits": "x", "n": 5, "by": "mean", "block": 40}


def test_a_run_goes_on_in_blocks_as_it_began(tmp_path):
    parts = Parts.beside(tmp_path / "best.csv")
    assert parts.folder == tmp_path / "best.csv.parts"
    assert parts.begin(OWN) == 40
    assert json.loads((parts.folder / MANIFEST).read_bytes()) == OWN
    assert parts.begin(OWN | {"block": 41}) == 40 and parts.begin(OWN) == 40
    with pytest.raises(OptionError, match="in blocks of 40 users, and memory= has room for 39 now"):
        parts.begin(OWN | {"block": 39})
    for name, words in (("model", "another model"), ("users", "other users"), ("allowed", "other items"),
                        ("lists", "other lists of items"), ("limits", "another max_per"),
                        ("n", "n=5, which is 'new' now"), ("by", "by='mean', which is 'new' now")):  # fmt: skip
        with pytest.raises(OptionError, match=f"was begun with {words}"):
            parts.begin(OWN | {name: "new"})
    with pytest.raises(OptionError, match="seed=None, which is 1 now"):
        parts.begin(OWN | {"seed": 1})


@pytest.mark.parametrize("content", [b"", b"[1]", b"{}", b'{"block": 0}', b'{"block": 2.5}'])
def test_what_is_no_manifest_is_removed_with_the_parts_beside_it(tmp_path, content):
    parts = Parts(tmp_path / "p")
    parts.begin(OWN)
    parts.put(0, np.zeros((1, 1), np.int32), np.zeros((1, 1), np.float32))
    (parts.folder / "mine.txt").write_text("keep")
    (parts.folder / MANIFEST).write_bytes(content)
    assert parts.begin(OWN | {"block": 7}) == 7
    assert sorted(file.name for file in parts.folder.iterdir()) == [MANIFEST, "mine.txt"]


def test_one_user_in_a_block_is_a_manifest(tmp_path):
    parts = Parts(tmp_path / "p")
    assert parts.begin(OWN | {"block": 1}) == 1
    assert parts.begin(OWN) == 1


def test_only_own_files_are_cleared_away(tmp_path):
    own = ["00000003.npz", "00000003.new", "manifest.json", "manifest.new", ".00000012.npz.a1.b2.c3.tmp",
           ".manifest.json.0.1.f.tmp"]  # fmt: skip
    others = ["3.npz", "000000003.npz", "00000003.npy", "manifest.txt", ".00000012.npz.tmp", "a.csv"]
    assert all(OWN_FILE.fullmatch(name) for name in own) and not any(OWN_FILE.fullmatch(name) for name in others)
    parts = Parts(tmp_path / "p")
    parts.clear()  # nothing there
    parts.folder.mkdir()
    for name in (*own, *others):
        (parts.folder / name).touch()
    parts.clear()
    assert sorted(file.name for file in parts.folder.iterdir()) == sorted(others)
    for name in others:
        (parts.folder / name).unlink()
    parts.clear()
    assert not parts.folder.exists()


def test_a_folder_is_held_by_one_run_at_a_time(tmp_path):
    parts = Parts(tmp_path / "p")
    with parts.held(make=False):
        assert not parts.folder.exists()
    with parts.held(make=True):
        assert parts.folder.is_dir()
        for make in (True, False):
            with pytest.raises(OptionError, match="another run is writing the same file"), parts.held(make=make):
                pass
    with parts.held(make=False):  # free again
        pass
    with pytest.raises(KeyError), parts.held(make=False):
        raise KeyError
    with parts.held(make=True):
        pass
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(parts.folder)
    for name in ("file", "link"):
        with pytest.raises(OptionError, match="is no folder of parts"), Parts(tmp_path / name).held(make=False):
            pass


def test_a_file_system_without_locks_lets_everybody_write(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def unsupported(*_):
        raise OSError("no locks here")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with Parts(tmp_path / "p").held(make=True), Parts(tmp_path / "p").held(make=True):
        pass


# ---- parts that are no answer


class Touching:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_part_that_would_run_code_is_made_again_and_runs_none(tmp_path):
    parts, marker = Parts(tmp_path), tmp_path / "ran"
    np.savez(tmp_path / "00000000.npz", codes=np.array([Touching(marker)], object), scores=np.zeros(1, np.float32))
    assert parts.get(0, 1, SimpleNamespace(n=1, allowed=np.ones(3, bool))) is None
    assert not marker.exists()


@pytest.mark.parametrize(
    ("codes", "scores", "fault"),
    [
        ([[0, 4], [2, -1]], [[1, 0], [1, np.nan]], ""), ([[-1, -1]], [[np.nan, np.nan]], ""),
        ([[4, 5]], [[1, 0]], "has items 4 to 5 of a catalogue that ends at 4"),
        ([[0, -2]], [[1, 0]], "has items -2 to 0 of a catalogue that ends at 4"),
        ([[0, 3]], [[1, 0]], "has items that no user may get"),
        ([[0, 1]], [[1, np.nan]], "has scores that are no numbers"),
        ([[-1, 0]], [[0, 1]], "has lists with a gap"),
        ([[2, 1, -1], [1, -1, 2]], [[1] * 3] * 2, "has lists with a gap"),
        ([[1, 2, 1]], [[3, 2, 1]], "has an item twice in a list"), ([[0, 0]], [[1, 1]], "has an item twice in a list"),
        ([[1, 2], [1, 2]], [[1, 0], [1, 0]], ""), ([[0, 2, 2]], [[3, 2, 1]], "has an item twice in a list"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_in_a_part(codes, scores, fault):
    query = SimpleNamespace(allowed=np.array([True, True, True, False, True]))
    assert _fault_of(np.array(codes, np.int32), np.array(scores, np.float32), query) == fault


# ---- digests


@dataclass
class Pair:
    one: object
    other: object


@dataclass
class Twin(Pair):
    pass


def test_different_values_have_different_digests():
    numbers = np.arange(6, dtype=np.int32)
    values = [
        (None,), ("None",), (1,), (1.0,), ("1",), (True,), (), ([],), ([[]],), ([1], [2]), ([1, 2],), ([1], 2),
        numbers, numbers.astype(np.int64), numbers.reshape(2, 3), numbers[::-1], numbers[:5],
        np.array(["a", "b"], object), np.array(["ab"], object), np.array(["a", None], object),
        np.array(["\ud800"], object), np.array(["a", "b"]), Pair(1, 2), Pair(2, 1), Twin(1, 2), {"a": 1}, {"a": 2},
        {"b": 1}, np.float32(1.5),
    ]  # fmt: skip
    digests = [digest_of(value) for value in values]
    assert len(set(digests)) == len(values)
    assert all(re.fullmatch("[0-9a-f]{32}", digest) for digest in digests)
    assert digests == [digest_of(value) for value in values]
    assert digest_of(numbers, None) != digest_of(None, numbers) != digest_of(numbers)
    wide = np.arange(12, dtype=np.int32)
    assert digest_of(wide[::2]) == digest_of(wide[::2].copy())


def test_a_manifest_tells_apart_what_gives_other_answers(model):
    def manifest(changed=model, labels=("a",), index=None, **options):
        users = changed.user_vocabulary.labels, np.arange(30, dtype=np.int32)
        query = replace(query_of(changed, RecommendOptions(3, **options), users), index=index)
        return manifest_of(changed, query, list(labels), 7)

    plain = manifest()
    assert plain == manifest() and plain["block"] == 7 and plain["index"] is None
    assert manifest(index=SimpleNamespace(n_probes=2, n_cells=9))["index"] == "2 of 9 cells"
    assert (plain["n"], plain["by"], plain["keep_seen"]) == (3, "mean", False)

    def differing(other, before=plain):
        return {name for name in before if before[name] != other[name]}

    assert differing(manifest(labels=("b",))) == {"users"}
    assert differing(manifest(items=["i1"])) == {"allowed"}
    assert differing(manifest(exclude={"u1": ["i1"]})) == {"lists"}
    assert differing(manifest(keep_seen=True)) == {"keep_seen"}
    assert differing(manifest(replace(model, limits=(0.0, 9.0)))) == {"model"}
    assert differing(manifest(replace(model, noise=9.0))) == set()  # predicted ratings do not depend on it
    lower = manifest(by="lower")
    noisy = manifest(replace(model, noise=9.0), by="lower")
    undrawn = manifest(replace(model, posterior=model.posterior.select_draws(np.array([0]))), by="lower")
    assert differing(lower) >= {"by", "model"} and differing(noisy, lower) == differing(undrawn, lower) == {"model"}
