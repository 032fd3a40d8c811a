"""Noise levels of users and items as weights, by hand."""

from dataclasses import replace

import numpy as np
import pytest

import palate


@pytest.fixture(scope="module")
def model():
    data = palate.datasets.synthetic(20, 12, 120, seed=4)
    recipe = palate.Bayes(n_factors=1, n_sweeps=10, history=False, features=False, user_noise=True)
    return recipe.fit(data, progress=False).model


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("levels", ["users", "items", "both", "none"])
def test_ratings_count_by_the_noise_of_their_user_and_item(model, levels, weighted):
    rng = np.random.default_rng(0)
    user_noise, item_noise = (rng.uniform(0.4, 1.6, n).astype(np.float32) for n in (20, 12))
    model = replace(
        model,
        user_noise=user_noise if levels in ("users", "both") else None,
        item_noise=item_noise if levels in ("items", "both") else None,
    )
    own = rng.uniform(0.5, 2, len(model.history.values)).astype(np.float32) if weighted else None
    history = replace(model.history, weights=own)
    codes = np.arange(20, dtype=np.int32)
    codes[[3, 7]] = -1  # new users have the typical noise
    typical = model.posterior.noise
    found = model.weighted(history, codes)
    expected = np.ones(len(history.values)) if own is None else own.astype(np.float64)
    for at, (row, item) in enumerate(zip(np.repeat(codes, history.counts), history.indices, strict=True)):
        if model.user_noise is not None and row >= 0:
            expected[at] *= (typical / user_noise[row]) ** 2
        if model.item_noise is not None:
            expected[at] *= (typical / item_noise[item]) ** 2
    if levels == "none":
        assert found is history
    else:
        np.testing.assert_allclose(found.weights, expected, rtol=1e-5)
    users, items = np.array([0, 5, -1], np.int32), np.array([2, -1, 3], np.int32)
    of_users = np.append(user_noise, model.noise)[users]
    of_items = np.append(item_noise, model.noise)[items]
    expected = of_users if model.user_noise is not None else of_items if levels == "items" else [model.noise] * 3
    np.testing.assert_allclose(model.noise_of(users, items), expected)
    assert levels != "items" or model.noise_of(users).tolist() == [model.noise] * 3


def test_who_has_one_rating_is_rated_and_only_codes_without_any_are_not():
    ratings = palate.read({"user": ["a", "a", "b"], "item": ["x", "y", "y"], "rating": [5, 3, 4]})
    table = {"item": ["x", "y", "z"], "title": ["X", "Y", "Z"]}
    model = palate.Bias().fit(ratings.with_items(table, unrated="keep"), progress=False).model
    codes = np.array([0, 1, 2, -1], np.int32)
    assert model.rated_items(codes).tolist() == [0, 1, -1, -1]
    assert model.rated_users(codes[[0, 1, 3]]).tolist() == [0, 1, -1]


@pytest.mark.parametrize("told", ["nothing", "attributes", "attributes, but no draws"])
def test_rows_without_ratings_answer_by_their_attributes_alone(told):
    """Only draws with attributes know anything of a row without ratings; otherwise it is as an unknown one."""
    data = palate.datasets.synthetic(20, 12, 120, seed=4)
    users = {"user": [*data.user_vocabulary, "new"], "age": [*range(20, 40), 33]}
    items = {"item": [*data.item_vocabulary, "fresh"], "year": [*range(1990, 2002), 1999]}
    ratings = data.with_users(users, unrated="keep").with_items(items, unrated="keep")
    recipe = palate.Bayes(n_factors=1, n_sweeps=8, history=False, features=told != "nothing")
    model = recipe.fit(ratings, progress=False).model
    if told.endswith("draws"):
        model = replace(model, posterior=None)
    for vocabulary, labels, with_data, rated in (
        (model.user_vocabulary, ["u0", "new", "u3"], model.users_with_data, model.rated_users),
        (model.item_vocabulary, ["i0", "fresh", "i3"], model.items_with_data, model.rated_items),
    ):
        one, new, other = vocabulary.encode(labels).tolist()
        codes = np.array([one, new, -1, other], np.int32)
        assert rated(codes).tolist() == [one, -1, -1, other]
        assert with_data(codes).tolist() == [one, new if told == "attributes" else -1, -1, other]
    new = model.user_vocabulary.encode_one("new")
    is_mean = told.endswith("draws")  # the fit left the prior mean in rows without ratings
    found = model._answered_by(np.array([new, -1], np.int32)).tolist()
    assert found == [new if told == "attributes" or is_mean else -1, -1]
