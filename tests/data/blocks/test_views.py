"""Splits and selections of ratings on disk are those of the same ratings in memory, as views that leave nothing."""

import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from palate.data.blocks import parting, views
from palate.data.order import joined
from palate.data.ratings import with_positive_weights
from palate.data.vocabulary import Vocabulary
from palate.data.whole_files import host
from palate.errors import DataError, OptionError
from palate.recipes.base import with_unit_weights

SPLITS = {
    "last": lambda ratings: palate.split_last(ratings, 2),
    "time": lambda ratings: palate.split_time(ratings, test=0.3),
    "time at": lambda ratings: palate.split_time(ratings, at=103),
    "users": lambda ratings: palate.split_users(ratings, 0.3, seed=2),
    "within users": lambda ratings: palate.split_within_users(ratings, 0.4, seed=3),
    "rows by mask": lambda ratings: palate.split_rows(ratings, ratings.values >= 4),
    "rows": lambda ratings: palate.split_rows(ratings, np.arange(0, len(ratings), 3)),
    "random": lambda ratings: palate.split_random(ratings, 0.2, seed=1),
    "random, all kept": lambda ratings: palate.split_random(ratings, 0.6, seed=1, keep_all=True),
    "folds": lambda ratings: palate.split_folds(ratings, 3, seed=1)[1],
    "folds within users": lambda ratings: palate.split_folds_within_users(ratings, 3, seed=1)[2],
}
SAME = ("last", "time", "time at", "users", "within users", "rows by mask", "rows", "folds within users")


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """So little at once that all data here take several rounds."""
    monkeypatch.setattr(views, "BLOCK_RATINGS", 64)
    monkeypatch.setattr(parting, "AT_ONCE", 50)


def make(seed=0, n=400, *, weights=True, kind="explicit"):
    rng = np.random.default_rng(seed)
    return palate.Ratings(
        np.minimum(rng.geometric(0.1, n), 40),  # user 0 has no ratings, user 1 many
        rng.integers(0, 20, n),
        np.ones(n) if kind == "implicit" else rng.integers(1, 6, n),
        user_vocabulary=Vocabulary(np.arange(42), what="user"),
        item_vocabulary=Vocabulary(np.array([f"i{at:02}" for at in range(21)], dtype=object), what="item"),
        times=rng.integers(100, 106, n),
        weights=rng.integers(0, 4, n) if weights else None,
        kind=kind,
    )


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    return palate.blocks.write(tmp_path_factory.mktemp("views") / "made.blocks", make(), progress=False)


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    made = make(kind="implicit")
    return palate.blocks.write(tmp_path_factory.mktemp("events") / "made.blocks", made, progress=False)


def assert_same(found, expected):
    """Blocks that hold the ratings of Ratings in memory, in their order, by user and by item."""
    assert isinstance(found, palate.blocks.Blocks)
    assert found.to_frame().equals(expected.to_frame())
    assert (found.kind, found.like_threshold) == (expected.kind, expected.like_threshold)
    np.testing.assert_equal(found.range, expected.range)
    for side in ("by_user", "by_item"):
        there, here = getattr(found, side)(), getattr(expected, side)()
        for name in ("indptr", "indices", "values", "weights", "times"):
            np.testing.assert_array_equal(getattr(there, name), getattr(here, name), err_msg=f"{side}.{name}")


def folders(blocks):
    return list((blocks.path / ".views").glob("*"))


def test_the_same_ratings_in_memory(blocks):
    assert_same(blocks, blocks.in_memory())
    assert type(blocks.in_memory()) is palate.Ratings


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("source", ["blocks", "events"])
def test_a_split_holds_out_what_it_holds_out_in_memory(name, source, request):
    whole = request.getfixturevalue(source)
    if name == "rows by mask" and source == "events":
        pytest.skip("all values of choices are 1")
    for part, expected in zip(SPLITS[name](whole), SPLITS[name](whole.in_memory()), strict=True):
        assert_same(part, expected)


@pytest.mark.parametrize("name", SPLITS)
def test_a_split_loses_nothing_and_doubles_nothing(name, blocks):
    train, test = SPLITS[name](blocks)
    assert len(train) + len(test) == len(blocks)
    assert len(test) > 0
    both = [part.to_frame() for part in (train, test)]
    columns = both[0].columns
    assert both[0].vstack(both[1]).sort(columns).equals(blocks.to_frame().sort(columns))


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    rng = np.random.default_rng(0)
    made = palate.Ratings(
        np.repeat(np.arange(4000), 100),
        rng.integers(0, 500, 400_000),
        rng.integers(1, 6, 400_000),
        user_vocabulary=Vocabulary(np.arange(4000), what="user"),
        item_vocabulary=Vocabulary(np.arange(500), what="item"),
        times=rng.integers(0, 10**6, 400_000),
    )
    return palate.blocks.write(tmp_path_factory.mktemp("many") / "made.blocks", made, progress=False)


@pytest.mark.parametrize("name", [name for name in SPLITS if name not in ("time at", "rows")])
def test_a_split_takes_two_bytes_a_rating(name, many, monkeypatch):
    monkeypatch.setattr(views, "BLOCK_RATINGS", 4096)
    monkeypatch.setattr(parting, "AT_ONCE", 4096)
    monkeypatch.setattr(parting, "BINS", 1024)
    tracemalloc.start()
    parts = SPLITS[name](many)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(parts[1]) > 0
    assert peak < 2 * len(many) + 1_000_000  # for some users at a time, and a few numbers a user


def test_a_random_split_holds_out_an_exact_share_wherever_it_is_made(blocks):
    for share in (0.1, 0.25, 1 / 3):
        _, test = palate.split_random(blocks, share, seed=4)
        assert len(test) == int(len(blocks) * share)
        assert test.to_frame().equals(palate.split_random(blocks, share, seed=4)[1].to_frame())
        assert not test.to_frame().equals(palate.split_random(blocks, share, seed=5)[1].to_frame())


def test_few_ratings_are_drawn_as_in_memory(blocks, monkeypatch):
    monkeypatch.setattr(parting, "AT_ONCE", 1 << 20)
    found, expected = (palate.split_random(of, 0.2)[1].to_frame() for of in (blocks, blocks.in_memory()))
    assert found.sort(found.columns).equals(expected.sort(found.columns))


def test_every_rating_is_drawn_equally_often():
    n, share = 230, 0.3
    drawn = np.mean([parting.drawn(n, share, np.random.default_rng(seed)) for seed in range(800)], axis=0)
    assert np.abs(drawn - share).max() < 5 * np.sqrt(share * (1 - share) / 800)


def test_all_users_and_items_stay_in_train(blocks):
    train, _ = palate.split_random(blocks, 0.9, keep_all=True)
    for side in ("user", "item"):
        assert set(np.unique(getattr(train, f"{side}_codes"))) == set(np.unique(getattr(blocks, f"{side}_codes")))


def test_folds_differ_by_one_rating_at_most(blocks):
    sizes = [len(test) for _, test in palate.split_folds(blocks, 7)]
    assert sum(sizes) == len(blocks)
    assert max(sizes) - min(sizes) <= 1


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=60), st.data())
@settings(max_examples=60, deadline=None)
def test_the_nth_largest_is_that_of_sorting(values, data):
    n = data.draw(st.integers(1, len(values)))
    assert parting.nth_largest(np.array(values), n) == sorted(values)[-n]


def test_a_view_of_a_view(blocks):
    train, _ = SPLITS["within users"](blocks)
    inner, last = palate.split_last(train)
    expected, _ = SPLITS["within users"](blocks.in_memory())
    for found, here in zip((inner, last), palate.split_last(expected), strict=True):
        assert_same(found, here)
    assert {part.path.parent for part in (inner, train)} == {blocks.path / ".views"}
    del train  # the views of it need it no more
    assert len(inner.by_item().indices) == len(inner)


@pytest.mark.parametrize("at_least", [1, 2.5])
@pytest.mark.parametrize("source", ["blocks", "events"])
def test_likes(at_least, source, request):
    whole = request.getfixturevalue(source)
    found, expected = whole.likes(at_least), whole.in_memory().likes(at_least)
    assert palate.split_last(found)[1].to_frame().equals(palate.split_last(expected)[1].to_frame().sort("user"))
    by_user, here = found.by_user(), expected.by_user()
    assert np.array_equal(by_user.indptr, here.indptr)
    assert (found.kind, found.like_threshold) == (expected.kind, expected.like_threshold)
    with pytest.raises(DataError, match=r"no rating is 9 or more; the highest is [35]"):
        whole.likes(9)
    with pytest.raises(OptionError, match="at_least='x'"):
        whole.likes("x")


def test_the_events_of_likes_stand_oldest_first(blocks):
    rows = blocks.likes(2).by_user()
    falls = np.diff(rows.times) < 0
    falls[rows.indptr[1:-1][(rows.indptr[1:-1] > 0) & (rows.indptr[1:-1] < len(rows.indices))] - 1] = False
    assert not falls.any()


def test_weights(blocks):
    here = blocks.in_memory()
    other = np.arange(len(blocks), dtype=np.float64)
    assert_same(blocks.with_weights(other), here.with_weights(other))
    assert_same(blocks.with_weights(None), here.with_weights(None))
    assert_same(with_positive_weights(blocks), with_positive_weights(here))
    assert_same(with_unit_weights(blocks), with_unit_weights(here))
    with pytest.raises(DataError, match="a weight is negative"):
        blocks.with_weights(-other)
    with pytest.raises(DataError, match="weights has shape"):
        blocks.with_weights(other[:3])


def test_repeated_choices_are_joined_as_in_memory(events):
    assert_same(joined(events), joined(events.in_memory()))
    likes = events.with_weights(None)
    assert_same(joined(likes), joined(likes.in_memory()))


def test_tables(blocks):
    items = {"item": [f"i{at:02}" for at in range(21)], "title": [f"T{at}" for at in range(21)]}
    found = blocks.with_items(items)
    assert found.path == blocks.path  # the ratings are not copied
    assert found.item_table["title"].to_list() == items["title"]
    assert found[found.values >= 4].item_table is found.item_table
    assert blocks.item_table is None
    users = {"user": [3, -7, 99], "age": [30, 40, 50]}
    for unrated in ("drop", "keep"):
        there, here = (of.with_users(users, unrated=unrated) for of in (found, found.in_memory()))
        assert there.user_table.equals(here.user_table)
        assert (
            there.to_frame().sort("user", maintain_order=True).equals(here.to_frame().sort("user", maintain_order=True))
        )
    more = {"item": ["i03", "a", "zz"], "title": ["x", "y", "z"]}
    there, here = (of.with_items(more, unrated="keep") for of in (blocks, blocks.in_memory()))
    assert_same(there, here)
    assert palate.blocks.open(there.path).classes["item"] == here.classes["item"]


def test_rows_in_memory(blocks):
    here = blocks.in_memory()
    for at in (
        slice(5, 250),
        slice(0, 0),
        slice(3, 90, 7),
        slice(None, None, -1),
        np.array([5, 2, -1]),
        np.array([], int),
    ):
        assert blocks[at].to_frame().equals(here[at].to_frame())
    with pytest.raises(IndexError, match="among 400 ratings"):
        blocks[np.array([400])]


def test_a_part_without_ratings(blocks):
    none, everything = palate.split_time(blocks, at=0)
    assert (len(none), len(everything)) == (0, len(blocks))
    assert none.describe() == "No ratings."
    assert np.isnan(none.range).all()
    assert none.by_item().n_rows == blocks.n_items


def test_what_it_says_of_itself(blocks):
    assert blocks.describe() == blocks.in_memory().describe()
    assert str(palate.check(blocks)) == str(palate.check(blocks.in_memory())).replace(
        "Check of Ratings", "Check of Blocks"
    )


def test_views_vanish_with_their_objects(blocks):
    before = folders(blocks)
    train, test = SPLITS["last"](blocks)
    assert len(folders(blocks)) == len(before) + 2
    rows = test.by_item()
    del test
    assert len(folders(blocks)) == len(before) + 2  # rows are views of the files too
    assert rows.counts.sum() > 0
    del rows, train
    assert folders(blocks) == before


def test_a_child_made_by_fork_removes_nothing(blocks):
    train, _ = SPLITS["last"](blocks)
    child = os.fork()
    if child == 0:
        del train
        os._exit(0)
    os.waitpid(child, 0)
    assert train.path.is_dir()


OPEN = """
import sys, palate
blocks = palate.blocks.open(sys.argv[1])
print(len(blocks), blocks.classes["item"][0])
"""


def test_another_process_opens_a_view(blocks):
    _, test = SPLITS["last"](blocks)
    done = subprocess.run([sys.executable, "-c", OPEN, test.path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(test)), "i00"]
    assert test.path.is_dir()


BY_ITEM = "import sys, palate; print(palate.blocks.open(sys.argv[1]).by_item().indices.tolist())"


def test_several_processes_write_the_ratings_by_item(blocks):
    _, test = SPLITS["last"](blocks)
    command = [sys.executable, "-c", BY_ITEM, test.path]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [child.communicate()[0] for child in children]
    assert told == [f"{SPLITS['last'](blocks.in_memory())[1].by_item().indices.tolist()}\n"] * 2
    before = {path.name: path.stat().st_mtime_ns for path in test.path.iterdir()}
    assert {name for name in before if name.startswith("by_item")} == {
        f"by_item.{name}" for name in ("starts", "users", "values", "weights")
    }
    assert test.by_item().indices.tolist() == palate.blocks.open(test.path, verify=True).by_item().indices.tolist()
    assert {path.name: path.stat().st_mtime_ns for path in test.path.iterdir()} == before


def test_pickling(blocks):
    import pickle

    _, test = SPLITS["last"](blocks)
    other = pickle.loads(pickle.dumps(test))
    assert other.path == test.path
    assert other.to_frame().equals(test.to_frame())


KILLED = """
import os, signal, sys, palate
train, test = palate.split_last(palate.blocks.open(sys.argv[1]))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_views_of_a_killed_process_go_when_the_base_is_opened(blocks):
    mine, _ = SPLITS["last"](blocks)
    before = set(folders(blocks))
    subprocess.run([sys.executable, "-c", KILLED, blocks.path], check=False)
    left = set(folders(blocks)) - before
    assert len(left) == 2
    elsewhere = blocks.path / ".views" / f"{'0' * 8}.1.other"  # of another machine: it may be alive
    elsewhere.mkdir()
    palate.blocks.open(blocks.path)
    assert set(folders(blocks)) == before | {elsewhere}
    assert mine.path.is_dir()
    elsewhere.rmdir()


def test_read_only_blocks_have_their_views_elsewhere(tmp_path, monkeypatch):
    base = palate.blocks.write(tmp_path / "made.blocks", make(), progress=False)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))

    def refuse(path, **options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    train, test = SPLITS["last"](base)
    inner = train.likes(3)
    assert {part.path.parent for part in (train, test, inner)} == {temporary}
    assert palate.blocks.open(test.path).to_frame().equals(test.to_frame())
    left = temporary / f"palate-view.{host()}.{2**22 + 1}.x"  # of a process that cannot be
    os.mkdir(left)  # noqa: PTH102 - Path.mkdir refuses here
    palate.blocks.open(base.path)
    assert not left.exists()
    del train, test, inner
    assert list(temporary.iterdir()) == []


def test_a_full_disk_is_said_in_words(blocks, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = folders(blocks)
    monkeypatch.setattr(views.RowFiles, "append", full)
    with pytest.raises(palate.errors.BlocksError, match="No space left on device"):
        SPLITS["last"](blocks)
    assert folders(blocks) == before


def test_a_mask_of_another_shape(blocks):
    with pytest.raises(OptionError, match=r"a mask of shape \(3,\)"):
        blocks.divided(np.ones(3, bool))
