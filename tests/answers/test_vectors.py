"""Vectors for other systems: the neighbours that brute force finds with them are what palate ranks first."""

from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palate
from palate.answers.vectors import METRICS, queries_of, with_rest
from palate.errors import OptionError

each_metric = pytest.mark.parametrize("metric", METRICS)
N = 10


def scores_by(metric, queries, points):
    """What a store ranks by, the higher the better, (m, n) float64."""
    queries, points = queries.astype(np.float64), points.astype(np.float64)
    products = queries @ points.T
    if metric == "ip":
        return products
    lengths, own = np.sum(points**2, axis=1), np.sum(queries**2, axis=1)[:, None]
    return products / np.sqrt(lengths * own) if metric == "cosine" else 2 * products - lengths - own


def neighbours(metric, queries, points, n=N):
    return np.argsort(-scores_by(metric, queries, points), axis=1, kind="stable")[:, :n]


RATED = {
    "Bayes": palate.Bayes(n_factors=4, n_sweeps=8, seed=1),
    "Bayes of steps": palate.Bayes(n_factors=4, n_sweeps=8, likelihood="ordinal", seed=1),
    "Bayes in time": palate.Bayes(n_factors=4, n_sweeps=8, time=True, seed=1),
    "ALS": palate.ALS(n_factors=4, n_sweeps=4),
    "SGD": palate.SGD(n_factors=4, n_epochs=3),
    "SGD in a range": palate.SGD(n_factors=4, n_epochs=3, y_range=(0.5, 5.5)),
    "Bias": palate.Bias(),
}
LIKED = {
    "ImplicitALS": palate.ImplicitALS(n_factors=8),
    "BPR": palate.BPR(n_factors=8, n_epochs=2),
    "BPR, cosine": palate.BPR(loss="cosine", n_factors=8, n_epochs=2),
    "Popularity": palate.Popularity(),
}
RECIPES = RATED | LIKED
WITHOUT = {
    "EASE": palate.EASE(),
    "SparseEASE": palate.SparseEASE(),
    "Sequence": palate.Sequence(),
    "Neighbors": palate.Neighbors(),
    "Blend": palate.Blend(["EASE", "Popularity"]),
}
each_recipe = pytest.mark.parametrize("name", RECIPES)


@cache
def small():
    return palate.datasets.synthetic(80, 60, 2400, seed=4)


@cache
def fitted(name):
    data = small()
    if name == "Bayes in time":
        data = palate.read(data.to_frame().with_columns(time=pl.int_range(len(data)) * 86_400 + 10**9))
    return (RECIPES | WITHOUT)[name].fit(data if name in RATED else data.likes(at_least=4), progress=False)


def assert_same_ranking(rec, metric, tolerance=1e-4):
    """The store's best items of each user are palate's; where they differ, their scores are equal up to rounding."""
    items, users = rec.vectors("items", metric=metric), rec.vectors("users", metric=metric)
    assert users.labels.tolist() == rec.model.user_vocabulary.labels.tolist()
    assert items.vectors.dtype == users.vectors.dtype == np.float32
    assert items.n_dimensions == users.n_dimensions
    n = min(N, rec.n_items)
    expected = rec.recommend(n=n, keep_seen=True)
    listed = rec.model.item_vocabulary.encode(expected[rec.model.item_vocabulary.what].to_list()).reshape(-1, n)
    found = neighbours(metric, users.vectors, items.vectors, n)
    exact = scores_by("ip", rec.vectors("users").vectors, rec.vectors("items").vectors)
    ours, theirs = (np.take_along_axis(exact, codes.astype(np.int64), 1) for codes in (listed, found))
    size = np.abs(exact).max() or 1.0
    np.testing.assert_allclose(theirs, ours, atol=tolerance * size, rtol=0)
    return np.mean(found == listed)


@each_metric
@each_recipe
def test_nearest_neighbours_are_the_recommended_items(name, metric):
    assert_same_ranking(fitted(name), metric)


@pytest.mark.data
@pytest.mark.parametrize(
    "recipe",
    [palate.Bayes(n_sweeps=12, seed=0), palate.ALS(n_sweeps=5), palate.SGD(n_epochs=3),
     palate.ImplicitALS(n_factors=16), palate.BPR(n_factors=16, n_epochs=2)],
    ids=lambda recipe: type(recipe).__name__,
)  # fmt: skip
def test_neighbours_are_the_lists_of_everybody_in_movielens(recipe, ml_100k):
    data = ml_100k.likes(at_least=4) if "explicit" not in type(recipe).kinds else ml_100k
    rec = recipe.fit(data, progress=False)
    assert rec.vectors("items").titles[:1] == [rec.model.item_titles[0]]
    for metric in METRICS:
        assert assert_same_ranking(rec, metric) > 0.99


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "Bayes of steps"])
def test_offsets_give_the_score(name):
    rec = fitted(name)
    items, users = rec.vectors("items"), rec.vectors("users")
    scores = users.offsets[:, None] + users.vectors.astype(np.float64) @ items.vectors.T
    frame = rec.predict(np.repeat(users.labels, len(items)), np.tile(items.labels, len(users)))
    expected = frame["prediction"].to_numpy()
    ratings = np.clip(rec.model.factors.ratings_at(scores), *rec.model.score_limits).ravel()
    np.testing.assert_allclose(ratings, expected, atol=2e-4)
    assert rec.vectors("users", metric="l2").offsets is None and items.offsets is None


@each_metric
@pytest.mark.parametrize("side", ["items", "users"])
@pytest.mark.parametrize("name", ["Bayes", "ALS", "SGD in a range", "ImplicitALS", "BPR"])
def test_nearest_neighbours_are_the_similar_ones(name, side, metric):
    rec = fitted(name)
    found = rec.vectors(side, metric=metric, question="similar")
    ask = rec.similar_items if side == "items" else rec.similar_users
    order = neighbours(metric, found.vectors, found.vectors, 6)
    for at in range(0, len(found), 7):
        label = found.labels[at]
        near = [found.labels[code] for code in order[at] if code != at][:5]
        frame = ask(label, len(found))
        cosine = dict(zip(frame[side.removesuffix("s")].to_list(), frame["cosine"].to_list(), strict=True))
        best = frame["cosine"].to_list()[:5]
        np.testing.assert_allclose([cosine[one] for one in near], best, atol=2e-6)


def test_items_of_which_nothing_is_known_are_like_none():
    data = small().with_items({"item": ["i0", "never"]}, unrated="keep")
    rec = palate.ALS(n_factors=3, n_sweeps=3).fit(data, progress=False)
    assert "never" in rec.vectors("items").labels
    assert "never" not in rec.vectors("items", question="similar").labels
    assert "never" not in rec.similar_items("i1", 100)["item"].to_list()


@each_metric
@pytest.mark.parametrize("name", ["Bayes", "SGD in a range", "ALS"])
def test_a_new_user_finds_what_would_be_recommended(name, metric):
    rec = fitted(name)
    items = rec.vectors("items", metric=metric)
    many = rec.fold_in({"ann": {"i1": 5.0, "i2": 1.0}, "bob": {"i3": 4.0}, "nobody": {}})
    queries = many.query_vectors(metric)
    for at, label in enumerate(many):
        np.testing.assert_allclose(many[label].query_vector(metric), queries[at], atol=1e-5)
        best = items.labels[neighbours(metric, queries[at : at + 1], items.vectors)[0]]
        assert best.tolist() == many[label].recommend(N, keep_seen=True)["item"].to_list()


def test_a_new_user_finds_users_like_it_and_a_new_item_items():
    rec = fitted("ALS")
    for new, side in (
        (rec.fold_in({"i1": 5.0, "i2": 1.0}), "users"),
        (rec.fold_in({"u1": 5.0, "u2": 1.0}, "item"), "items"),
    ):
        known = rec.vectors(side, question="similar")
        best = known.labels[np.argsort(-known.vectors @ new.query_vector(question="similar"))[:3]]
        assert best.tolist() == new.similar_users(3)[side.removesuffix("s")].to_list()
    with pytest.raises(OptionError, match=r"rec\.update\(\.\.\.\)\.vectors\(\)"):
        rec.fold_in({"u1": 5.0}, "item").query_vector()


@pytest.mark.parametrize("name", WITHOUT)
def test_models_that_rank_by_something_else_are_refused(name):
    rec = fitted(name)
    for side in ("items", "users"):
        with pytest.raises(OptionError, match=rf"{name} ranks by the histories of users, .* Fit Bayes"):
            rec.vectors(side)
        with pytest.raises(OptionError, match="no factors to compare"):
            rec.vectors(side, question="similar")
    with pytest.raises(OptionError, match="ranks by the histories"):
        rec.fold_in(["i1"]).query_vector()
    with pytest.raises(OptionError, match="no factors to compare"):
        fitted("Bias").vectors(question="similar")


def test_options_that_do_not_exist_are_refused():
    rec = fitted("Bias")
    for given_options, said in (
        (("films",), "side='films' is not valid; use one of 'items', 'users'"),
        (("items", "dot"), "metric='dot' is not valid; use one of 'ip', 'cosine', 'l2'"),
        (("items", "ip", "predict"), "question='predict' is not valid; use one of 'recommend', 'similar'"),
    ):
        side, *others = given_options
        options = dict(zip(("metric", "question"), others, strict=False))
        with pytest.raises(OptionError, match=said):
            rec.vectors(side, **options)


def test_frames_hold_labels_titles_and_vectors():
    data = small().with_items({"item": ["i0", "i1"], "title": ["A", "<b>Ü</b>"]})
    rec = palate.ALS(n_factors=3, n_sweeps=2).fit(data, progress=False)
    items, users = rec.vectors("items", metric="l2"), rec.vectors("users")
    frame = items.to_frame()
    assert frame.columns == ["item", "title", "vector"]
    np.testing.assert_array_equal(frame["vector"].to_numpy(), items.vectors)
    assert dict(zip(frame["item"], frame["title"], strict=True))["i1"] == "<b>Ü</b>"
    assert users.to_frame().columns == ["user", "vector", "offset"]
    assert repr(items) == "<Vectors: 60 items in 5 dimensions, metric 'l2', question 'recommend'>"
    pandas = pytest.importorskip("pandas")
    with palate.set_output("pandas"):
        assert isinstance(items.to_frame(), pandas.DataFrame)
        assert items.to_frame()["vector"][0].shape == (5,)


def test_one_user_and_one_item_have_vectors():
    rec = palate.Mean().fit(palate.read({"user": [1], "item": [2], "rating": [3]}), progress=False)
    for metric in METRICS:
        assert rec.vectors("items", metric=metric).vectors.any() == (metric != "ip")
        assert rec.vectors("users", metric=metric).labels.tolist() == [1]


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(0, 6), st.sampled_from([1e-3, 1.0, 300.0]), st.booleans()
)
def test_the_order_of_inner_products_is_that_of_distances_and_angles(seed, n, k, size, are_equal):
    rng = np.random.default_rng(seed)
    items = (rng.normal(size=(n, k + 1)) * size).astype(np.float32)
    if are_equal:
        items[:] = items[0]
    users = np.column_stack([rng.normal(size=(5, k)), np.ones(5)]).astype(np.float32)
    longer, padded = with_rest(items, "l2"), np.pad(users, ((0, 0), (0, 1)))
    np.testing.assert_allclose(np.linalg.norm(longer, axis=1), np.linalg.norm(longer[0]), rtol=1e-5)
    exact = scores_by("ip", users, items)
    for metric in ("cosine", "l2"):
        order = neighbours(metric, padded, longer, n)
        ordered = np.take_along_axis(exact, order, 1)
        assert (np.diff(ordered, axis=1) <= 2e-5 * np.abs(items).max() * np.abs(users).max() * (k + 2)).all()


def test_scaled_factors_give_queries_in_rating_units():
    rec = fitted("Bayes")
    queries, offsets = queries_of(rec.model, rec.model.factors.users, "ip")
    np.testing.assert_allclose(queries[:, :-1], rec.user_factors, rtol=1e-5)
    np.testing.assert_allclose(rec.vectors("items").vectors[:, :-1], rec.item_factors, rtol=1e-5)
    np.testing.assert_allclose(rec.vectors("items").vectors[:, -1], rec.item_bias, rtol=1e-5)
    np.testing.assert_allclose(offsets, rec.model.factors.mean + rec.user_bias, rtol=1e-5)
