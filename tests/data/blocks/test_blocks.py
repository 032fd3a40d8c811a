"""Blocks: ratings on disk are the ratings that were written, and fits to them are the same bytes."""

import numpy as np
import pytest

import palate

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
