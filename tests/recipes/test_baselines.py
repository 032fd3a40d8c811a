"""Baselines: Bias against ridge regression, Mean and Popularity against plain averages and counts."""

import numpy as np
import pytest

import palate
from palate.recipes.monitor import rmse


@pytest.fixture(scope="module")
def data():
    return palate.datasets.synthetic(120, 80, 3000, n_factors=3, noise=0.5, seed=1)


@pytest.mark.parametrize("weight_decay", [0.5, 5.0, 50.0])
def test_bias_is_ridge_regression_on_one_hot_columns(weight_decay, data):
    n = len(data)
    design = np.zeros((n, data.n_users + data.n_items))
    design[np.arange(n), data.user_codes] = 1
    design[np.arange(n), data.n_users + data.item_codes] = 1
    mean = data.values.mean(dtype=np.float64)
    gram = design.T @ design + weight_decay * np.eye(design.shape[1])
    effects = np.linalg.solve(gram, design.T @ (data.values - mean))
    rec = palate.Bias(weight_decay=weight_decay, n_sweeps=200).fit(data)
    np.testing.assert_allclose(rec.user_bias, effects[: data.n_users], atol=1e-3)
    np.testing.assert_allclose(rec.item_bias, effects[data.n_users :], atol=1e-3)
    assert rec.mean == pytest.approx(mean)
    assert rec.model.noise == pytest.approx(rmse(mean + design @ effects, data.values), rel=1e-4)
    few = palate.Bias(weight_decay=weight_decay).fit(data)
    predicted = few.model.factors.predict(data.user_codes, data.item_codes)
    np.testing.assert_allclose(predicted, mean + design @ effects, atol=2e-2)


def test_a_user_with_as_many_ratings_as_the_decay_is_pulled_halfway():
    rows = [("high", f"i{i}", 5.0) for i in range(5)] + [("low", f"i{i}", 1.0) for i in range(5)]
    data = palate.read(dict(zip(("user", "item", "rating"), map(list, zip(*rows, strict=True)), strict=True)))
    rec = palate.Bias(weight_decay=5.0, n_sweeps=50).fit(data)
    assert rec.predict("high", "i0").prediction == pytest.approx(4.0, abs=1e-3)
    assert rec.predict("low", "i0").prediction == pytest.approx(2.0, abs=1e-3)
    assert rec.predict("nobody", "i0").prediction == pytest.approx(3.0, abs=1e-3)


def test_mean_is_the_mean():
    data = palate.read({"user": list("aabbc"), "item": list("xyxyz"), "rating": [1, 2, 4, 5, 3.5]})
    rec = palate.Mean().fit(data)
    mean, spread = np.mean([1, 2, 4, 5, 3.5]), np.std([1, 2, 4, 5, 3.5])
    for user, item in [("a", "x"), ("nobody", "x"), ("a", "nothing"), ("nobody", "nothing")]:
        assert rec.predict(user, item, level=0.1).prediction == pytest.approx(mean)
    assert rec.predict("a", "x", level=0.1).high == pytest.approx(mean + 0.12566 * spread, rel=1e-4)
    assert rec.model.training["train_rmse"] == pytest.approx(spread)
    assert rec.fold_in({"x": 5, "y": 5, "z": 5}).predict("x").prediction == pytest.approx(mean)


def test_weights_are_repetitions_in_every_mean_and_deviation():
    data = palate.read({"user": list("aabbc"), "item": list("xyxyz"), "rating": [1, 2, 4, 5, 3.5]})
    weights = np.array([3, 1, 0, 2, 1])
    weighted, repeated = data.with_weights(weights), data[np.repeat(np.arange(5), weights)]
    for recipe in (palate.Mean(), palate.Bias(weight_decay=1e-9)):  # weight decay does not depend on the total weight
        one, other = (recipe.fit(ratings, valid=ratings) for ratings in (weighted, repeated))
        assert one.mean == pytest.approx(other.mean)
        assert one.model.noise == pytest.approx(other.model.noise, abs=1e-3)
        assert one.model.training["valid_rmse"] == pytest.approx(other.model.training["valid_rmse"], abs=1e-3)
    assert weighted.range == repeated.range
    assert weighted.describe().splitlines()[1] == repeated.describe().splitlines()[1]
    rec = palate.Mean().fit(weighted)
    more = palate.read({"user": ["d"], "item": ["x"], "rating": [5], "weight": [4]})
    after = rec.update(more)
    history = after.model.history
    assert after.mean == pytest.approx(np.average(history.values, weights=history.weights))
    assert after.model.noise == pytest.approx(np.sqrt(np.average((history.values - after.mean) ** 2,
                                                                 weights=history.weights)))  # fmt: skip


def test_popularity_counts():
    data = palate.read({"user": list("abcabd"), "item": list("xxxyyz"), "rating": [1, 1, 1, 5, 5, 5]})
    rec = palate.Popularity().fit(data)
    assert rec.recommend("d", n=3)["item"].to_list() == ["x", "y"]
    assert rec.recommend("d", n=3)["score"].to_list() == [3.0, 2.0]
    assert rec.fold_in({"y": 1}).recommend()["item"].to_list() == ["x", "z"]
