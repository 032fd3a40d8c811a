"""Who is similar by history, and which items have weights, by hand."""

import numpy as np
import pytest

import palate


@pytest.fixture(scope="module")
def data():
    return palate.datasets.synthetic(25, 14, 180, n_factors=2, noise=0.3, seed=6)


def test_somebody_new_with_the_ratings_of_a_user_is_most_similar_to_that_user(data):
    rec = palate.Neighbors(by="users", shrinkage=0).fit(data, progress=False)
    signals = np.zeros((25, 14))
    model = rec.model
    for user in range(25):
        items, values = model.history.row(user)
        factors = model.factors
        bias = factors.users[user, -1] + factors.items[items, -1]
        signals[user, items] = values - factors.mean - factors.scale * bias
    unit = signals / np.linalg.norm(signals, axis=1, keepdims=True)
    for user in ("u0", "u3"):
        own = dict(rec.history(user).select("item", "rating").rows())
        near = rec.fold_in(own).similar_users(n=25)
        assert near["user"][0] == user
        assert near.columns[1] == "pearson"
        at = int(model.user_vocabulary.encode([user])[0])
        codes = model.user_vocabulary.encode(near["user"].to_list())
        np.testing.assert_allclose(near["pearson"], unit[codes] @ unit[at], atol=1e-3)


@pytest.mark.parametrize("recipe", [palate.EASE(), palate.Neighbors()], ids=["EASE", "Neighbors"])
def test_similar_items_are_those_with_a_weight_above_zero(data, recipe):
    rec = recipe.fit(data.likes(at_least=4), progress=False)
    weights, n = rec.model.factors.weights, rec.n_items
    if not isinstance(weights, np.ndarray):
        dense = np.zeros((n, n), np.float32)
        dense[np.repeat(np.arange(n), weights.counts), weights.indices] = weights.values
        weights = dense.T  # the neighbors of an item are in its column
    some_left_out = False
    for code, item in enumerate(rec.model.item_vocabulary):
        positive = [(weights[code, other], other) for other in range(n) if weights[code, other] > 0 and other != code]
        near = rec.similar_items(item, n=n)
        expected = [other for _, other in sorted(positive, key=lambda pair: (-pair[0], pair[1]))]
        assert rec.model.item_vocabulary.encode(near["item"].to_list()).tolist() == expected
        some_left_out |= len(expected) < n - 1
    assert some_left_out
