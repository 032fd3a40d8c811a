"""Blocks: ratings on disk are the ratings that were written, and fits to them are the same bytes."""

import pickle

import numpy as np
import pytest

import palate
from helpers.blocks import check_same
from palate.data.order import joined, oldest_first

RECIPES = [palate.ALS(n_sweeps=3), palate.Bayes(n_sweeps=6), palate.Bias(n_sweeps=3)]


@pytest.fixture(scope="module")
def ratings():
    made = palate.datasets.synthetic(n_users=80, n_items=50, n_ratings=1500, seed=1)
    return made[np.argsort(made.user_codes, kind="stable")]


@pytest.fixture(scope="module")
def blocks(ratings, tmp_path_factory):
    return palate.blocks.write(tmp_path_factory.mktemp("blocks") / "made.blocks", ratings, progress=False)


def test_blocks_hold_what_was_written(ratings, blocks):
    assert blocks.same_vocabulary(ratings)
    for side in ("by_user", "by_item"):
        there, here = getattr(blocks, side)(), getattr(ratings, side)()
        for name in ("indptr", "indices", "values"):
            assert np.array_equal(getattr(there, name), getattr(here, name)), (side, name)
    assert np.array_equal(blocks.user_codes, ratings.user_codes)
    assert blocks.range == ratings.range


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: type(recipe).__name__)
def test_a_fit_to_blocks_is_the_same_bytes(recipe, ratings, blocks, tmp_path):
    saved = []
    for source in (ratings, blocks):
        rec = recipe.fit(source, progress=False)
        rec.model.training["seconds"] = 0
        rec.save(tmp_path / "m.palate")
        saved.append((tmp_path / "m.palate").read_bytes())
    assert saved[0] == saved[1]


def test_a_mask_selects_blocks(ratings, blocks):
    mask = np.random.default_rng(0).random(len(ratings)) < 0.3
    some, expected = blocks[mask], ratings[mask]
    assert isinstance(some, palate.blocks.Blocks)
    for side in ("by_user", "by_item"):
        assert np.array_equal(getattr(some, side)().indices, getattr(expected, side)().indices)
    path = some.path
    assert path.is_dir()
    del some
    assert not path.exists()


def test_opening_reads_no_labels(ratings, blocks):
    opened = palate.blocks.open(blocks.path)
    assert (opened.n_users, opened.n_items, opened.user_vocabulary.kind) == (80, 50, ratings.user_vocabulary.kind)
    assert "labels" not in vars(opened.user_vocabulary)
    assert opened.user_vocabulary == ratings.user_vocabulary
    assert opened.describe() == ratings.describe()


def test_blocks_travel_to_another_process(blocks):
    copy = pickle.loads(pickle.dumps(blocks))
    assert copy.path == blocks.path and copy.same_vocabulary(blocks)


def test_blocks_are_written_again(blocks, tmp_path):
    again = palate.blocks.write(tmp_path / "again.blocks", blocks, progress=False)
    for name in ("users.arrow", "by_user.items", "by_item.values"):
        assert (again.path / name).read_bytes() == (blocks.path / name).read_bytes()


@pytest.mark.parametrize("with_times", [False, True])
@pytest.mark.parametrize("with_counts", [False, True])
def test_repeated_choices_are_joined_as_in_memory(tmp_path, with_times, with_counts):
    rng = np.random.default_rng(0)
    columns = {"user": rng.integers(0, 30, 400), "item": rng.integers(0, 20, 400)}
    columns |= {"time": rng.integers(0, 99, 400)} if with_times else {}
    columns |= {"count": rng.integers(1, 5, 400)} if with_counts else {}
    options = {"kind": "implicit", "duplicates": "keep"}
    made = palate.blocks.write(tmp_path / "x.blocks", columns, progress=False, **options)
    expected = joined(oldest_first(palate.read(columns, **options)))
    assert oldest_first(made) is made
    check_same(joined(made), expected)
