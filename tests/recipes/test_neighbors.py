"""Neighbors against brute force, by items and by users; updates and hostile files."""

import numpy as np
import pytest

import palate
from palate.errors import OptionError, TamperedModelError
from palate.models.neighborhood import K1, B
from palate.storing.container import read, write


def synthetic(seed=5):
    return palate.datasets.synthetic(40, 25, 500, n_factors=3, seed=seed)


def matrix_of(ratings, values=None):
    X = np.zeros((ratings.n_users, ratings.n_items))
    X[ratings.user_codes, ratings.item_codes] = ratings.values if values is None else values
    return X


def unit(X):
    length = np.linalg.norm(X, axis=0)
    return X / np.where(length > 0, length, 1)


def nearest(S, k):
    """Each column's k largest above 0, the diagonal left out."""
    S = S.copy()
    np.fill_diagonal(S, 0)
    S[S <= 0] = 0
    kept = np.zeros_like(S)
    for column in range(S.shape[1]):
        order = np.argsort(-S[:, column], kind="stable")[:k]
        kept[order, column] = S[order, column]
    return kept


def unlike(S, X):
    """Without the similarities of columns that have the very same rows: they have nothing to recommend."""
    has = (X != 0).astype(float)
    common, sizes = has.T @ has, has.sum(axis=0)
    return np.where((common == sizes) & (common == sizes[:, None]), 0, S)


def bm25(X):
    """Weights of choices: columns are the terms, rows the documents."""
    idf = np.maximum(np.log(len(X)) - np.log1p((X > 0).sum(axis=0)), 0)
    length = X.sum(axis=1, keepdims=True)
    return idf * X * (K1 + 1) / (K1 * ((1 - B) + B * length / length.mean()) + X)


@pytest.mark.parametrize("measure", ["cosine", "bm25"])
@pytest.mark.parametrize("shrinkage", [0, 4])
def test_choices_by_items(measure, shrinkage):
    likes = synthetic().likes(at_least=3)
    X = matrix_of(likes)
    W = unit(X) if measure == "cosine" else bm25(X)
    common = X.T @ X
    S = nearest(W.T @ W * common / np.maximum(common + shrinkage, 1e-9), 6)
    rec = palate.Neighbors(similarity=measure, k=6, shrinkage=shrinkage).fit(likes)
    np.testing.assert_allclose(rec.model.factors.user_scores(), X @ S, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("measure", ["cosine", "bm25"])
def test_choices_by_users(measure):
    likes = synthetic().likes(at_least=3)
    X = matrix_of(likes)
    W = unit(X.T) if measure == "cosine" else bm25(X.T)
    k = 39 if measure == "cosine" else 6  # many users have equal cosines, some in float64 only
    S = nearest(unlike(W.T @ W, X.T), k)
    rec = palate.Neighbors(by="users", similarity=measure, k=k).fit(likes)
    np.testing.assert_allclose(rec.model.factors.user_scores(), S.T @ X, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("by", ["items", "users"])
def test_ratings_are_biases_and_what_neighbors_differ_from_them(by, weighted):
    ratings = synthetic()
    weights = np.random.default_rng(0).integers(1, 9, len(ratings)) if weighted else np.ones(len(ratings))
    ratings = ratings.with_weights(weights) if weighted else ratings
    bias = palate.Bias().fit(ratings)
    base = bias.mean + bias.user_bias[:, None].astype(np.float64) + bias.item_bias
    R, M = matrix_of(ratings), matrix_of(ratings, 1)
    D = (R - base) * M
    W = matrix_of(ratings, weights / weights.mean())
    side, has, W = (D, M, W) if by == "items" else (D.T, M.T, W.T)
    common = has.T @ has
    unit_side = unit(np.sqrt(W) * side)
    S = unit_side.T @ unit_side * common / np.maximum(common + 50, 1)
    S = nearest(S if by == "items" else unlike(S, has), 7)
    top, bottom = (W * side) @ S, W @ S
    if by == "users":
        top, bottom = top.T, bottom.T
    rec = palate.Neighbors(by=by, k=7).fit(ratings)
    np.testing.assert_allclose(rec.model.factors.user_scores(), base + top / (bottom + 0.1), atol=1e-4)
    assert rec.model.predicts_ratings
    for item in rec.model.item_vocabulary.labels[:3].tolist():
        why = rec.explain("u1", item)
        assert sum(why.parts.values()) == pytest.approx(rec.predict("u1", item).prediction, abs=1e-4)


def test_a_measure_of_the_other_kind_is_refused():
    with pytest.raises(OptionError, match='similarity="bm25" does not work on ratings; take "pearson"'):
        palate.Neighbors(similarity="bm25").fit(synthetic())
    with pytest.raises(OptionError, match='similarity="pearson" does not work on implicit feedback; take "cosine"'):
        palate.Neighbors(similarity="pearson", by="users").fit(synthetic().likes(at_least=3))


def test_intervals_are_measured_on_validation_ratings():
    train, valid = palate.split_random(synthetic(), test=0.2, seed=0)
    assert not palate.Neighbors().fit(train).has_intervals
    rec = palate.Neighbors().fit(train, valid=valid)
    predicted = rec.predict(valid.to_frame().select("user", "item"))["prediction"].to_numpy()
    assert rec.model.noise == pytest.approx(np.sqrt(np.mean((predicted - valid.values) ** 2)), rel=1e-5)


# ---- update


@pytest.mark.parametrize("by", ["items", "users"])
def test_an_update_with_ratings_counts_at_once(by):
    rec = palate.Neighbors(by=by).fit(synthetic())
    after = rec.update({"user": ["new", "new", "u1"], "item": ["i1", "i2", "fresh"], "rating": [5, 1, 4]})
    told = rec.fold_in({"i1": 5, "i2": 1})
    items = list(rec.model.item_vocabulary)
    gap = after.predict("new", items)["prediction"] - told.predict(items)["prediction"]
    assert gap.abs().max() < 0.1  # the items' biases have moved a little
    assert np.isfinite(after.predict("new", "fresh").prediction)
    assert np.isfinite(after.forget(users=["u2"], items=["i3"]).recommend(n=3)["score"].to_numpy()).all()


def test_users_find_new_neighbors_by_an_update():
    likes = synthetic().likes(at_least=3)
    rec = palate.Neighbors(by="users").fit(likes)
    own = rec.history("u1")["item"].to_list()
    users, items = palate.Vocabulary(["twin"], what="user"), palate.Vocabulary([*own, "fresh"], what="item")
    codes = np.zeros(len(own) + 1, np.int32), items.encode([*own, "fresh"])
    more = palate.Ratings(*codes, np.ones(len(own) + 1), user_vocabulary=users, item_vocabulary=items, kind="implicit")
    after = rec.update(more)
    assert after.similar_users("u1", n=1)["user"].to_list() == ["twin"]
    assert after.predict("u1", "fresh").prediction > 0


# ---- files

HOSTILE = {
    "a column that is not there": lambda parts, _: parts["item.weights.indices"].__setitem__(0, 99),
    "a column below 0": lambda parts, _: parts["item.weights.indices"].__setitem__(0, -1),
    "columns that do not rise": lambda parts, _: parts["item.weights.indices"].__setitem__(slice(0, 2), [3, 3]),
    "not finite": lambda parts, _: parts["item.weights.values"].__setitem__(0, np.inf),
    "pointers that fall": lambda parts, _: parts["item.weights.indptr"].__setitem__(1, 10**6),
    "too few rows": lambda parts, _: parts.update({"item.weights.indptr": parts["item.weights.indptr"][:-1].copy()}),
    "short values": lambda parts, _: parts.update({"item.weights.values": parts["item.weights.values"][1:].copy()}),
    "doubles": lambda parts, _: parts.update({"item.weights.values": parts["item.weights.values"].astype(np.float64)}),
    "no damping": lambda _, header: header.pop("damping"),
    "a damping of 0": lambda _, header: header.update({"damping": 0}),
}
HOSTILE_USERS = {
    "no measure there is": lambda _, header: header.update({"measure": "love"}),
    "k of 0": lambda _, header: header.update({"k": 0}),
    "k of text": lambda _, header: header.update({"k": "many"}),
    "shrinkage below 0": lambda _, header: header.update({"shrinkage": -1}),
    "no shrinkage": lambda _, header: header.pop("shrinkage"),
}


@pytest.mark.parametrize(
    ("by", "kind"), [("items", kind) for kind in HOSTILE] + [("users", kind) for kind in HOSTILE_USERS]
)
def test_hostile_files_are_refused(by, kind, tmp_path):
    path = tmp_path / "model.palate"
    palate.Neighbors(by=by).fit(synthetic()).save(path)
    tensors, header = read(path)
    parts = {name: np.array(array) for name, array in tensors.items()}
    (HOSTILE | HOSTILE_USERS)[kind](parts, header["factors"]["histories"])
    write(path, parts, header)
    with pytest.raises(TamperedModelError):
        palate.load(path)


@pytest.mark.data
def test_neighbors_predict_movielens(ml_100k_90_10):
    train, test = ml_100k_90_10
    rec = palate.Neighbors().fit(train)
    predicted = rec.predict_codes(test.user_codes, test.item_codes)[0]
    assert np.sqrt(np.mean((predicted - test.values) ** 2)) < 0.890  # 0.884; Surprise's KNNBaseline: 0.893
