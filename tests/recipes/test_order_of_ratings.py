"""The order in which different users' ratings stand in the source changes no byte of a model; nor do threads."""

from dataclasses import replace

import numpy as np
import pytest

import palate
from palate.data import plan
from palate.data.datasets import synthetic
from palate.data.order import oldest_first
from palate.data.rows import CompressedRows

BAYES = palate.Bayes(n_sweeps=6, n_samples=3, n_factors=3, history=False, user_noise=False)
EXPLICIT = {
    "ALS": palate.ALS(n_factors=4, n_sweeps=3),
    "Bias": palate.Bias(n_sweeps=3),
    "Mean": palate.Mean(),
    "Popularity": palate.Popularity(),
    "Bayes": BAYES,
    "Bayes with user noise": replace(BAYES, user_noise=True),
    "Bayes with history": replace(BAYES, history=True),
    "Bayes, ordinal": replace(BAYES, likelihood="ordinal"),
    "Bayes, either": replace(BAYES, likelihood="auto"),
    "Bayes with time": replace(BAYES, time=True),
}
IMPLICIT = {
    "ImplicitALS": palate.ImplicitALS(n_factors=4, n_sweeps=2),
    "ImplicitALS, fading": palate.ImplicitALS(n_factors=4, n_sweeps=2, weight_decay=0.1, recency=3, half_life="300s"),
    "SparseEASE": palate.SparseEASE(k=10),
    "SparseEASE, fading": palate.SparseEASE(k=10, half_life="300s"),
    "Popularity": palate.Popularity(),
    "Popularity, fading": palate.Popularity(recency=2, half_life="300s"),
}


@pytest.fixture(autouse=True)
def many_blocks(monkeypatch):
    """So that sums are taken over several blocks."""
    monkeypatch.setattr(plan, "MIN_RATINGS", 300)
    monkeypatch.setattr(plan, "CHUNK", 500)


def data(*, weighted, implicit=False):
    """Ratings with times, some pairs of a user at the same time; 130 users, so that settings are chosen."""
    drawn = synthetic(130, 60, 2600, seed=3)
    rng = np.random.default_rng(4)
    weights = rng.integers(0, 4, 2600).astype(np.float32) if weighted else None
    vocabularies = {"user_vocabulary": drawn.user_vocabulary, "item_vocabulary": drawn.item_vocabulary}
    ratings = palate.Ratings(
        drawn.user_codes, drawn.item_codes, drawn.values, times=rng.integers(0, 10**8, 2600) // 10**5 * 10**5,
        weights=weights, **vocabularies,
    )  # fmt: skip
    return ratings.likes(at_least=1) if implicit else ratings


def interleaved(ratings, seed):
    """The same ratings: those of each user in their order, those of different users in a random one."""
    rng = np.random.default_rng(seed)
    turns = rng.permutation(ratings.user_codes)  # whose turn it is
    order = np.empty(len(ratings), np.intp)
    order[np.argsort(turns, kind="stable")] = np.argsort(ratings.user_codes, kind="stable")
    return ratings[order]


def bytes_of(recipe, ratings, path):
    """The model file, with no seconds in it and no number of threads."""
    rec = recipe.fit(ratings, progress=False)
    kept = {name: value for name, value in rec.model.training.items() if name != "seconds"}
    told = {name: value for name, value in rec.model.recipe.items() if name != "n_threads"}
    palate.Recommender(replace(rec.model, training=kept, recipe=told)).save(path)
    return path.read_bytes()


def same_bytes(recipe, ratings, folder):
    expected = bytes_of(recipe, ratings, folder / "one")
    for seed in (0, 1):
        other = interleaved(ratings, seed)
        assert (other.user_codes != ratings.user_codes).any()
        threads = {} if not hasattr(recipe, "n_threads") else {"n_threads": 1 + seed}
        assert bytes_of(replace(recipe, **threads), other, folder / "other") == expected


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", EXPLICIT)
def test_ratings_of_different_users_may_stand_in_any_order(name, weighted, tmp_path):
    same_bytes(EXPLICIT[name], data(weighted=weighted), tmp_path)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", IMPLICIT)
def test_choices_of_different_users_may_stand_in_any_order(name, weighted, tmp_path):
    same_bytes(IMPLICIT[name], data(weighted=weighted, implicit=True), tmp_path)


def mapped(ratings, folder):
    """The same ratings, their rows in files that are mapped and cannot be written to."""
    for side in ("_by_user", "_by_item"):
        rows = {}
        for name, array in vars(getattr(ratings, side.removeprefix("_"))()).items():
            if isinstance(array, np.ndarray):
                np.save(folder / f"{side}{name}.npy", array)
                rows[name] = np.load(folder / f"{side}{name}.npy", mmap_mode="r")
        vars(ratings)[side] = CompressedRows(**{"weights": None} | rows)
    return ratings


@pytest.mark.parametrize(
    ("recipe", "implicit"),
    [(recipe, False) for recipe in EXPLICIT.values()] + [(recipe, True) for recipe in IMPLICIT.values()],
    ids=[*EXPLICIT, *(f"{name}, choices" for name in IMPLICIT)],
)
def test_rows_may_lie_in_mapped_files(recipe, implicit, tmp_path):
    ratings = oldest_first(data(weighted=implicit, implicit=implicit))
    expected = bytes_of(recipe, ratings, tmp_path / "one")
    ratings = mapped(ratings[:], tmp_path)
    assert bytes_of(recipe, ratings, tmp_path / "other") == expected


def test_what_stands_in_another_order_is_the_same():
    ratings = data(weighted=True)
    for name, array in vars(ratings.by_user()).items():
        np.testing.assert_array_equal(array, getattr(interleaved(ratings, 0).by_user(), name))
