"""The generator of very many ratings: no pair twice, the wanted margins, and ratings that nobody predicts better."""

import json

import numpy as np
import polars as pl
import pytest

from helpers.scripts import ROOT, module_at

pytest.importorskip("scipy")

N = 60_000


@pytest.fixture(scope="module")
def generator():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        return module_at(ROOT / "benchmarks" / "many_ratings.py")


@pytest.fixture(scope="module")
def planted(generator):
    return generator.Planted.of(N, seed=3)


@pytest.fixture(scope="module")
def rows(planted):
    return np.concatenate(list(planted.blocks()))


def test_users_and_items_grow_as_the_root(generator):
    assert generator.shape_of(1e8) == (480_000, 18_000)
    assert generator.shape_of(1e6) == (48_000, 1_800)


def test_no_pair_comes_twice_and_all_are_in_range(planted, rows):
    n_users, n_items = len(planted.users), len(planted.items)
    assert 0 <= rows["user"].min() <= rows["user"].max() < n_users
    assert 0 <= rows["item"].min() <= rows["item"].max() < n_items
    assert len(np.unique(rows["user"].astype(np.int64) * n_items + rows["item"])) == len(rows)
    assert set(rows["rating"].tolist()) == {1, 2, 3, 4, 5}


def test_each_user_and_item_has_about_as_many_ratings_as_its_probabilities_say(planted, rows):
    """Sums of independent draws: four standard deviations, and their squares one on average."""
    probabilities = -np.expm1(-planted.activities[:, None] * planted.weights[planted.groups])
    for axis, side in ((1, "user"), (0, "item")):
        counts = np.bincount(rows[side], minlength=probabilities.shape[1 - axis])
        spread = np.sqrt((probabilities * (1 - probabilities)).sum(axis=axis))
        z = (counts - probabilities.sum(axis=axis)) / spread
        assert abs(np.mean(z[spread > 1] ** 2) - 1) < 0.15
        assert abs(z[spread > 3]).max() < 5


@pytest.mark.parametrize("side", ["user", "item"])
def test_the_margins_are_skewed_as_wanted(planted, rows, side):
    counts = np.bincount(rows[side])
    assert len(rows) == pytest.approx(N, rel=0.05)
    assert np.median(counts) < 0.6 * counts.mean()
    assert counts.max() > 8 * counts.mean()


def test_dense_and_sparse_drawing_have_the_same_distribution(generator):
    rng, rates = np.random.default_rng(0), np.array([0.01, 0.3, 2.0, 1.0])
    n = 20_000
    users, items = generator._sparse(rng, np.arange(n), np.ones(n), rates)
    dense_users, dense_items = generator._dense(rng, np.arange(n), np.ones(n), rates)
    for who, drawn in ((users, items), (dense_users, dense_items)):
        assert len(np.unique(who * 4 + drawn)) == len(drawn)
        np.testing.assert_allclose(np.bincount(drawn, minlength=4) / n, -np.expm1(-rates), atol=0.015)


def test_a_part_without_users_is_empty(generator):
    none = np.zeros(0, int)
    assert [
        len(part) for part in generator._sparse(np.random.default_rng(0), none, none.astype(float), np.ones(3))
    ] == [0, 0]


def test_no_prediction_beats_the_truth(planted, rows):
    ratings = rows["rating"].astype(float)
    least = planted.error_of_truth(rows)
    assert 0.75 < least < np.sqrt(np.mean((np.clip(planted.scores(rows), 1, 5) - ratings) ** 2))
    by_item = np.bincount(rows["item"], ratings) / np.maximum(np.bincount(rows["item"]), 1)
    assert least < np.sqrt(np.mean((by_item[rows["item"]] - ratings) ** 2))


def test_the_same_seed_gives_the_same_ratings_and_another_one_others(generator, rows):
    again = np.concatenate(list(generator.Planted.of(N, seed=3).blocks()))
    other = np.concatenate(list(generator.Planted.of(N, seed=4).blocks()))
    assert (again == rows).all()
    assert len(other) != len(rows) or (other != rows).any()


def test_files_and_arrays_hold_the_same_ratings_in_random_order(generator, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(generator, "PART", 20_000)
    told = generator.write(tmp_path, N, seed=3)
    assert json.loads((tmp_path / "shape.json").read_text()) == told
    parts = [pl.read_parquet(path) for path in sorted(tmp_path.glob("part-*.parquet"))]
    train, held = pl.concat(parts), pl.read_parquet(tmp_path / "held-out.parquet")
    assert len(parts) == 3
    assert (told["train"], told["held"]) == (len(train), len(held))
    assert len(held) == pytest.approx(len(rows) / 100, rel=0.2)
    kinds = {"user": np.int32, "item": np.int32, "rating": np.int8}
    for name, frame in (("train", train), ("held", held)):
        for column, kind in kinds.items():
            assert (np.fromfile(tmp_path / f"{name}-{column}.bin", kind) == frame[column].to_numpy()).all()
    everything = pl.concat([train, held])
    assert everything.sort("user", "item").rows() == sorted(rows.tolist())
    order = everything["user"].to_numpy().astype(float)
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.03  # of consecutive ratings
    assert abs(np.corrcoef(order, np.arange(len(order)))[0, 1]) < 0.03


def test_files_alone_have_no_arrays_beside_them(generator, tmp_path):
    generator.write(tmp_path, 1e4, arrays=False)
    assert {path.suffix for path in tmp_path.iterdir()} == {".parquet", ".json"}
