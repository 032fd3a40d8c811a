"""One suite that every recipe passes, each tested for exactly what it declares; also against an installed palate."""

import _thread
import math
import pickle
import signal
import threading
from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest

import palate
from palate.errors import DataError, LabelTypeError, OptionError, UnknownLabelError

# What each recipe is, and what it declares. tastes: tells users with different tastes apart.
RECIPES = {
    "Bayes": palate.Bayes(n_factors=3, n_sweeps=40, seed=1),
    "ALS": palate.ALS(n_factors=3, weight_decay=0.3, seed=1),
    "SGD": palate.SGD(n_factors=3, n_epochs=150, seed=1),
    "SGD in a range": palate.SGD(n_factors=3, n_epochs=150, y_range=(-25.0, 35.0), seed=1),
    "Bias": palate.Bias(),
    "Mean": palate.Mean(),
    "Popularity": palate.Popularity(),
    "Neighbors": palate.Neighbors(),
    "Neighbors of users": palate.Neighbors(by="users"),
    "ImplicitALS": palate.ImplicitALS(n_factors=8, seed=1),
    "BPR": palate.BPR(n_factors=8, n_epochs=60, seed=1),
    "BPR, softmax": palate.BPR(loss="softmax", n_factors=8, n_epochs=60, seed=1),
    "BPR, cosine": palate.BPR(loss="cosine", n_factors=8, n_epochs=60, seed=1),
    "EASE": palate.EASE(),
    "SparseEASE": palate.SparseEASE(k=20),
    "Sequence": palate.Sequence(),
    "Sequence, sparse": palate.Sequence(k=10),
    "Blend": palate.Blend([palate.EASE(), palate.ImplicitALS(n_factors=8, seed=1)]),
    "Neighbors, likes": palate.Neighbors(),
    "Neighbors of users, likes": palate.Neighbors(by="users"),
    "Popularity, likes": palate.Popularity(),
}
PAIRWISE = {"BPR", "BPR, softmax", "BPR, cosine"}
IMPLICIT = {
    *PAIRWISE,
    *("ImplicitALS", "EASE", "SparseEASE", "Sequence", "Sequence, sparse", "Blend"),
    *("Neighbors, likes", "Neighbors of users, likes", "Popularity, likes"),
}
SAMPLED = {"Bayes", "ALS", "SGD", "SGD in a range", "ImplicitALS", *PAIRWISE}  # random numbers begin or make the fit
FACTORS = {*SAMPLED, "Blend"}
HISTORIES = {
    *("Neighbors", "Neighbors of users", "EASE", "SparseEASE", "Sequence", "Sequence, sparse", "Blend"),
    *("Neighbors, likes", "Neighbors of users, likes"),
}
TASTES = {*FACTORS, *HISTORIES}
RATES = {*TASTES, "Bias", "Mean"} - IMPLICIT
INTERVALS = {"Bayes", "Bias", "Mean"}  # others claim them only when given ratings to validate on
POSTERIOR = {"Bayes"}
SEEDS = FACTORS
THREADS = {*TASTES, "Bias"}
SWEEPS = {*SAMPLED, "Bias"}
MEASURES = {  # what similar_items and similar_users call how similar they are, where it is not the cosine
    "EASE": ("weight", "cosine"),
    "SparseEASE": ("weight", "cosine"),
    "Sequence": ("weight", "cosine"),
    "Sequence, sparse": ("weight", "cosine"),
    "Blend": ("score", "cosine"),
    "Neighbors": ("similarity", "cosine"),
    "Neighbors, likes": ("similarity", "cosine"),
    "Neighbors of users": ("cosine", "pearson"),
}

# Models that cannot fold in an item, and how their error begins.
REFUSED_ITEMS = {
    **dict.fromkeys(HISTORIES, "cannot compute those of a new item"),
    **dict.fromkeys(PAIRWISE, "BPR cannot fold in an item"),
    "Blend": "this model is a blend",
}
ORDERED = {"Sequence", "Sequence, sparse"}  # an item twice is two events
IGNORES_COUNTS = PAIRWISE | ORDERED  # of those who are folded in: only whether and when an item was chosen matters

# Given the items, a user's vector follows from the user's ratings alone.
EXACT = {*HISTORIES, "ALS", "ImplicitALS", "Bias", "Mean", "Popularity", "Popularity, likes"}

each = pytest.mark.parametrize("name", RECIPES)
with_taste = pytest.mark.parametrize("name", sorted(TASTES))
KINDS = ["polars", "pandas", "pyarrow"]

EMPTY = "there is nobody like this"


def make(users, rated, values, **options):
    return palate.read({"user": users, "item": rated, "rating": values}, **options)


def is_hidden(u, i):
    return (u // 2 + i) % 5 == 0


@cache
def checkerboard(n_users=24, n_items=16):
    """Users of one colour rate the items of that colour 5 and the others 1; every fifth cell is unobserved."""
    cells = [(u, i) for u in range(n_users) for i in range(n_items) if not is_hidden(u, i)]
    values = [5.0 if u % 2 == i % 2 else 1.0 for u, i in cells]
    titles = pl.DataFrame({"item": [f"i{i}" for i in range(n_items)], "title": [f"Item {i}" for i in range(n_items)]})
    return make([f"u{u}" for u, _ in cells], [f"i{i}" for _, i in cells], values, items=titles)


@cache
def drawn():
    return palate.datasets.synthetic(80, 50, 1500, n_factors=3, noise=0.5, seed=3, step=None, scale=(-20.0, 30.0))


def recipe_for(name, data):
    """The recipe, its range made wide enough for these ratings where it has one."""
    recipe = RECIPES[name]
    if not getattr(recipe, "y_range", None):
        return recipe
    low, high = data.range
    margin = max(0.2 * (high - low), 1e-6 * abs(high), 1e-9)
    return replace(recipe, y_range=(low - margin, high + margin))


def of_kind(name, data, at_least=None):
    """Ratings as the recipe learns from them: for implicit ones all, or those of `at_least`, are likes."""
    if name not in IMPLICIT or data.is_implicit or len(data) == 0:
        return data
    return data.likes(at_least=float(data.values.min()) if at_least is None else at_least)


def learn(name, data, **options):
    """The recipe fitted to all of some ratings."""
    return recipe_for(name, data).fit(of_kind(name, data), **{"progress": False, **options})


LIKED = {"checkerboard": 3.0, "drawn": 5.0}


@cache
def learned_from(name, data=checkerboard):
    return of_kind(name, data(), LIKED[data.__name__])


@cache
def fitted(name, data=checkerboard):
    return recipe_for(name, data()).fit(learned_from(name, data), progress=False)


@cache
def counting(name):
    """As fitted(), but choices have counts: models of likes take no numbers."""
    data = learned_from(name)
    counted = data.with_weights(np.ones(len(data))) if data.is_implicit else data
    return recipe_for(name, data).fit(counted, progress=False)


def as_given(rec, numbers):
    """Ratings or counts as fold_in() of this model takes them: a model of likes takes none."""
    return list(numbers) if rec.model.like_threshold is not None else numbers


def given_of(name, rows, label="item"):
    """Rows of a frame as fold_in takes them."""
    return rows[label].to_list() if name in IMPLICIT else dict(zip(rows[label], rows["rating"], strict=True))


def to_kind(frame, kind):
    if kind == "pandas":
        pandas = pytest.importorskip("pandas", reason="pandas is not installed here")
        return pandas.DataFrame(frame.to_dict(as_series=False))
    if kind == "pyarrow":
        return pytest.importorskip("pyarrow", reason="pyarrow is not installed here").table(
            frame.to_dict(as_series=False)
        )
    return frame


def columns_of(frame):
    """A frame of any kind as {column: list}."""
    if isinstance(frame, pl.DataFrame):
        return frame.to_dict(as_series=False)
    return frame.to_dict("list") if hasattr(frame, "iloc") else frame.to_pydict()


def assert_same(frame, other, tolerance=0.0):
    """Equal frames: labels exactly, numbers within a tolerance, nan equal to nan."""
    one, two = columns_of(frame), columns_of(other)
    assert list(one) == list(two)
    for column in one:
        if one[column] and isinstance(one[column][0], float):
            np.testing.assert_allclose(one[column], two[column], rtol=tolerance, atol=tolerance)
        else:
            assert one[column] == two[column]


def pairs_of(rec, unknown=True):
    """Every user with every item in random order, some twice; and an unknown user and item."""
    users = [*rec.model.user_vocabulary, *([EMPTY] if unknown else [])]
    items = [*rec.model.item_vocabulary, *(["nothing"] if unknown else [])]
    pairs = [(user, item) for user in users for item in items]
    order = np.random.default_rng(5).integers(0, len(pairs), len(pairs) + 20)
    return pl.DataFrame([pairs[at] for at in order], schema=["user", "item"], orient="row")


def check_usable(rec, data, tmp_path):
    """Every answer comes, and no number is nan that should not be."""
    limits = data.range
    assert np.isfinite(rec.model.factors.users).all()
    assert np.isfinite(rec.model.factors.items).all()
    asked = pairs_of(rec)
    answer = rec.predict(asked)
    assert answer["user"].to_list() == asked["user"].to_list()
    assert answer["item"].to_list() == asked["item"].to_list()
    assert np.isfinite(answer["prediction"].to_numpy()).all()
    if rec.has_intervals:
        assert (answer["low"] <= answer["prediction"]).all()
        assert (answer["prediction"] <= answer["high"]).all()
    else:
        assert answer["low"].is_nan().all()
        assert answer["high"].is_nan().all()
    if rec.model.predicts_ratings:
        assert answer["prediction"].is_between(*limits).all()
    user, item = rec.model.user_vocabulary.labels[0], rec.model.item_vocabulary.labels[0]
    explained = rec.explain(user, item)
    size = max(1.0, abs(limits[0]), abs(limits[1]))
    assert abs(sum(explained.parts.values()) - rec.predict(user, item).prediction) <= 1e-4 * size
    assert len(rec.recommend(n=3, keep_seen=True)) == min(3, rec.n_items) * rec.n_users
    new_user = rec.fold_in(as_given(rec, {item: limits[1]}))
    assert math.isfinite(new_user.predict(item).prediction)
    assert str(rec)
    assert str(explained)
    assert str(rec.cross_tab())
    rec.save(tmp_path / "some.palate")
    assert_same(palate.load(tmp_path / "some.palate").predict(asked), answer)


# ---- what it is


@each
def test_it_is_what_it_declares(name):
    rec = fitted(name)
    assert rec.model.predicts_ratings is (name in RATES)
    assert rec.has_intervals is (name in INTERVALS)
    assert rec.has_posterior is (name in POSTERIOR)
    assert (rec.n_factors > 0) is (name in FACTORS)
    assert rec.model.kind == ("implicit" if name in IMPLICIT else "explicit")
    assert (rec.n_users, rec.n_items) == (24, 16)
    assert rec.user_factors.shape == (24, rec.n_factors)
    assert rec.item_factors.shape == (16, rec.n_factors)
    assert rec.user_bias.shape == (24,)
    assert rec.item_bias.shape == (16,)
    kind = type(RECIPES[name]).__name__
    assert rec.model.recipe["name"] == kind
    assert repr(rec).startswith(f"<{kind}: 24 users, 16 items")


@each
def test_the_checkerboard_has_an_obvious_answer(name):
    rec, data = fitted(name), learned_from(name)
    known = data.to_frame()
    counts = dict(known["item"].value_counts().iter_rows())
    pairs = set(known.select("user", "item").iter_rows())
    for u in range(24):
        held_out = [f"i{i}" for i in range(16) if (f"u{u}", f"i{i}") not in pairs]
        same = {item for item in held_out if int(item[1:]) % 2 == u % 2}
        answer = rec.recommend(f"u{u}", n=99)
        order = answer["item"].to_list()
        assert sorted(order) == sorted(held_out)
        predictions = dict(zip(held_out, rec.predict([f"u{u}"] * len(held_out), held_out)["prediction"], strict=True))
        if name in TASTES:
            assert set(order[: len(same)]) == same
        if name in TASTES & RATES:
            assert all(value > 4 if item in same else value < 2 for item, value in predictions.items())
        if name in {"Mean", "Bias"}:
            assert all(abs(value - 3) < 0.6 for value in predictions.values())
        if name.startswith("Popularity"):
            assert order == sorted(order, key=lambda item: (-counts[item], item))
            assert predictions == {item: counts[item] for item in held_out}


# ---- predict


@each
@pytest.mark.parametrize("data", [checkerboard, drawn])
def test_batch_is_scalar(name, data):
    rec = fitted(name, data)
    asked = pairs_of(rec)[:200]
    rows = [rec.predict(user, item) for user, item in asked.iter_rows()]
    answer = rec.predict(asked["user"].to_list(), asked["item"].to_list())
    scalars = pl.DataFrame(rows, schema=["prediction", "low", "high"], orient="row")
    assert_same(answer, pl.concat([asked, scalars], how="horizontal"), tolerance=2e-6)


@each
@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_in_gives_the_same_kind_of_frame_out(name, kind):
    rec = fitted(name)
    asked = pairs_of(rec)
    given = to_kind(asked, kind)
    answer = rec.predict(given)
    assert type(answer) is type(given)
    assert columns_of(answer)["user"] == asked["user"].to_list()
    assert_same(answer, rec.predict(asked["user"].to_list(), asked["item"].to_list()))
    named = to_kind(asked.rename({"user": "userId", "item": "movieId"}).with_columns(extra=pl.lit(1)), kind)
    assert_same(rec.predict(named), answer)
    users = to_kind(pl.DataFrame({"user": ["u3", EMPTY, "u1"]}), kind)
    best = rec.recommend(users, n=2)
    assert type(best) is type(given)
    assert_same(best, rec.recommend(["u3", EMPTY, "u1"], n=2))


@each
def test_one_label_stands_for_many(name):
    rec = fitted(name)
    assert_same(rec.predict("u1", ["i3", "i2"]), rec.predict(["u1", "u1"], ["i3", "i2"]))
    assert_same(rec.predict(["u1", "u2"], "i3"), rec.predict(["u1", "u2"], ["i3", "i3"]))
    assert rec.predict([], []).schema == {
        "user": pl.String,
        "item": pl.String,
        "prediction": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
    }
    with pytest.raises(OptionError, match="2 users and 3 items"):
        rec.predict(["u1", "u2"], ["i1", "i2", "i3"])


@each
def test_predictions_of_a_pandas_frame_stand_under_its_index(name):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed here")
    rec = fitted(name)
    asked = pandas.DataFrame({"user": ["u1", EMPTY, "u3", "u1"], "item": ["i3", "i2", "nothing", "i0"]})
    indexes = {
        "default": asked.index, "shuffled": [2, 1, 0, 3], "gaps": [7, 3, 40, 1],
        "repeated": [1, 1, 2, 2], "texts": [*"abcd"],
        "two levels": pandas.MultiIndex.from_product([["x", "y"], [1, 2]], names=["letter", "number"]),
        "times": pandas.date_range("2020-01-01", periods=4, name="day"),
    }  # fmt: skip
    expected = list(rec.predict(pl.from_pandas(asked))["prediction"])
    for index in indexes.values():
        frame = asked.set_axis(index, axis=0)
        answer = rec.predict(frame)
        assert answer.index.equals(frame.index)
        assert answer.index.names == frame.index.names
        frame["p"] = answer["prediction"]
        assert list(frame["p"]) == expected
    some = asked[asked["user"] == "u1"].copy()  # what is left of a frame keeps its index
    some["p"] = rec.predict(some)["prediction"]
    assert list(some["p"]) == [expected[0], expected[3]]


def width_of(rec, pairs):
    """The mean width of the intervals of (user, item) pairs."""
    answer = rec.predict(*(list(labels) for labels in zip(*pairs, strict=True)))
    return (answer["high"] - answer["low"]).mean()


@each
def test_unknown_labels_follow_the_policy(name):
    rec = fitted(name, drawn)
    asked = pl.DataFrame({"user": ["u1", EMPTY, "u1", EMPTY], "item": ["i1", "i1", "nothing", "nothing"]})
    answer = rec.predict(asked)
    assert np.isfinite(answer["prediction"].to_numpy()).all()
    if name in RATES:  # both are unknown: the mean over all users and items
        assert abs(answer["prediction"][3] - drawn().values.mean()) < 0.3
    if name in INTERVALS:  # on average; single pairs may differ
        users, items = list(rec.model.user_vocabulary), list(rec.model.item_vocabulary)
        known, no_user, no_item, neither = (
            width_of(rec, pairs)
            for pairs in (
                [(user, item) for user in users for item in items],
                [(EMPTY, item) for item in items],
                [(user, "nothing") for user in users],
                [(EMPTY, "nothing")],
            )
        )
        assert neither >= max(no_user, no_item) - 1e-9
        assert min(no_user, no_item) >= known - 1e-9
    nan = rec.predict(asked, on_unknown="nan")
    assert nan["prediction"].is_nan().to_list() == [False, True, True, True]
    assert nan["high"][1:].is_nan().all()
    assert math.isnan(rec.predict(EMPTY, "i1", on_unknown="nan").prediction)
    for row in range(1, 4):
        with pytest.raises(UnknownLabelError, match=r"unknown (user|item) '"):
            rec.predict(*asked.row(row), on_unknown="raise")
    with pytest.raises(UnknownLabelError, match=f"unknown user '{EMPTY}'"):
        rec.predict(asked, on_unknown="raise")
    with pytest.raises(OptionError, match="on_unknown='ignore' is not valid; use one of 'fallback', 'nan', 'raise'"):
        rec.predict(asked, on_unknown="ignore")


@each
@pytest.mark.parametrize("wrong", [1, 1.5, None, True, b"u1", np.int64(3)])
def test_a_label_of_the_wrong_type_is_an_error(name, wrong):
    rec = fitted(name)
    for ask in (
        lambda: rec.predict(wrong, "i1"),
        lambda: rec.predict([wrong], ["i1"]),
        lambda: rec.predict(["u1", wrong], ["i1", "i1"]),
        lambda: rec.recommend([wrong]),
        lambda: rec.recommend("u1", exclude=[wrong]),
        lambda: rec.explain("u1", wrong),
        lambda: rec.fold_in(as_given(rec, {wrong: 3})),
        lambda: rec.history(wrong),
    ):
        with pytest.raises((LabelTypeError, DataError) if wrong is None else LabelTypeError):
            ask()


@each
def test_levels_widen_the_interval(name):
    rec = fitted(name, drawn)
    if name not in INTERVALS:
        assert math.isnan(rec.predict("u1", "i1", level=0.5).low)
        return
    narrow, wide = rec.predict("u1", "i1", level=0.5), rec.predict("u1", "i1", level=0.9)
    assert wide.low < narrow.low < narrow.prediction < narrow.high < wide.high
    for level in (0, 1, -0.1, 1.1, math.nan, "0.9"):
        with pytest.raises(OptionError, match="level must lie between 0 and 1"):
            rec.predict("u1", "i1", level=level)


@pytest.mark.parametrize("name", [name for name in RECIPES if name not in HISTORIES])
def test_factors_and_biases_are_what_predicts(name):
    rec = fitted(name, drawn)
    scores = rec.model.factors.mean + rec.user_bias[:, None] + rec.item_bias + rec.user_factors @ rec.item_factors.T
    scores = rec.model.factors.ratings_at(scores)
    asked = pairs_of(rec, unknown=False)
    rows, columns = rec.model.user_vocabulary.encode(asked["user"]), rec.model.item_vocabulary.encode(asked["item"])
    expected = np.clip(scores[rows, columns], *rec.model.score_limits)
    np.testing.assert_allclose(rec.predict(asked)["prediction"], expected, atol=1e-4)


# ---- recommend


@each
def test_recommend_is_the_order_of_predict(name):
    rec = fitted(name, drawn)
    for user in ["u1", "u7", EMPTY]:
        best = rec.recommend(user, n=10**6, keep_seen=True)
        assert best["rank"].to_list() == list(range(1, 51))
        assert best["user"].to_list() == [user] * 50
        assert best["score"].is_sorted(descending=True)
        predicted = rec.predict(user, best["item"].to_list())["prediction"]
        np.testing.assert_allclose(best["score"], predicted, rtol=1e-5, atol=0.05 if user == EMPTY else 1e-4)


@each
def test_scores_stay_within_the_ratings(name):
    best = fitted(name).recommend(n=99, keep_seen=True)
    if name in RATES:
        assert best["score"].is_between(1, 5).all()
    if name.startswith("Popularity"):
        assert best["score"].max() > 5


@each
def test_what_recommend_may_show(name):
    rec, data = fitted(name, drawn), learned_from(name, drawn).to_frame()
    seen = set(data.filter(user="u1")["item"])
    everything = set(rec.model.item_vocabulary)
    ask = lambda **options: rec.recommend("u1", n=999, **options)["item"].to_list()  # noqa: E731
    assert set(ask()) == everything - seen
    assert set(ask(keep_seen=True)) == everything
    assert set(ask(items=["i1", "i2", "i3"], keep_seen=True)) == {"i1", "i2", "i3"}
    assert set(ask(items=["i1", "i2"], exclude=["i2", "i9"], keep_seen=True)) == {"i1"}
    assert ask(exclude=everything) == ask(items=[]) == []
    assert rec.recommend("u1", n=0).height == 0
    assert rec.recommend("u1", n=3)["item"].to_list() == ask()[:3]
    assert rec.recommend([], n=3).schema == rec.recommend("u1", n=3).schema
    for n in (-1, 1.5, True, "3", None):
        with pytest.raises(OptionError, match="n must be a whole number, 0 or more"):
            rec.recommend("u1", n=n)
    with pytest.raises(UnknownLabelError, match="unknown item 'nothing'"):
        rec.recommend("u1", exclude=["nothing"], on_unknown="raise")
    with pytest.raises(LabelTypeError, match="several items"):
        rec.recommend("u1", items="i1")


@each
@pytest.mark.parametrize("data", [checkerboard, drawn])
def test_lists_of_items_may_hold_items_that_the_model_does_not_know(name, data):
    """With titles and without. A shop's list of candidates is newer than the model."""
    rec, some, new = fitted(name, data), ["i3", "i5", "i8", "i9"], ["i9999", "sku-17", "4711", "neu", EMPTY]
    alone = rec.fold_in(["i0"] if name in IMPLICIT else {"i0": 3.0})
    questions = {
        "recommend": (rec.recommend, ("u1",), ("items", "exclude")),
        "recommend to several": (rec.recommend, (["u1", "u2", EMPTY],), ("items", "exclude")),
        "recommend, fold-in": (alone.recommend, (), ("items", "exclude")),
        **({"similar_items": (rec.similar_items, ("i1",), ("items", "exclude"))} if name in TASTES else {}),
    }
    for ask, given, options in questions.values():
        for option in options:
            assert_same(ask(*given, **{option: [*new, *some]}), ask(*given, **{option: some}))
        assert ask(*given, items=new).height == 0
    if name in TASTES:
        users = ["u3", "u4", "u5"]
        for option in ("users", "exclude"):
            with_new = rec.similar_users("u1", **{option: [*users, EMPTY]})
            assert with_new.equals(rec.similar_users("u1", **{option: users}))
    for option in ("items", "exclude"):
        own = rec.recommend(["u1", "u2"], **{option: {"u1": [*some, *new], "u2": new}})
        assert_same(own, rec.recommend(["u1", "u2"], **{option: {"u1": some, "u2": []}}))
        pairs = pl.DataFrame({"user": ["u1"] * 9, "item": [*some, *new]})
        assert_same(rec.recommend("u1", **{option: pairs}), rec.recommend("u1", **{option: {"u1": some}}))
        for given in (new, {"u1": new}, pairs):
            with pytest.raises(UnknownLabelError):
                rec.recommend("u1", **{option: given}, on_unknown="raise")


@each
def test_an_unknown_user_is_recommended_something(name):
    rec = fitted(name, drawn)
    assert rec.recommend(EMPTY, n=4)["user"].to_list() == [EMPTY] * 4
    mixed = rec.recommend(["u1", EMPTY, "u2"], n=4)
    assert_same(mixed, pl.concat([rec.recommend(user, n=4) for user in ("u1", EMPTY, "u2")]), tolerance=1e-5)
    assert rec.recommend(["u1", EMPTY], n=4, on_unknown="nan")["user"].unique().to_list() == ["u1"]
    with pytest.raises(UnknownLabelError, match=EMPTY):
        rec.recommend(["u1", EMPTY], on_unknown="raise")


@cache
def with_cold_rows(name):
    """Fitted to ratings whose vocabularies hold two users and two items without any."""
    data = learned_from(name, drawn)
    return RECIPES[name].fit(data[(data.user_codes >= 2) & (data.item_codes >= 2)], progress=False)


@each
def test_a_known_user_without_ratings_is_answered_as_an_unknown_one(name):
    rec = with_cold_rows(name)
    users, items = list(rec.model.user_vocabulary), list(rec.model.item_vocabulary)
    assert {rec.history(user).height for user in users[:2]} == {0}
    cold, unknown = rec.predict(users[0], items), rec.predict(EMPTY, items)
    assert_same(cold.drop("user"), unknown.drop("user"), tolerance=1e-4)
    for by in ("mean", "lower", "thompson", "chance", "likely"):
        options = {"n": 99, "by": by, "at_least": 10 if by in ("chance", "likely") else None}
        try:
            expected = rec.recommend(EMPTY, **options)
        except OptionError:
            assert by != "mean"
            continue
        for user in users[:2]:
            assert_same(rec.recommend(user, **options).drop("user"), expected.drop("user"), tolerance=1e-4)
    cold, unknown = rec.explain(users[0], items[5]), rec.fold_in({}).explain(items[5])
    assert cold.parts == pytest.approx(unknown.parts, abs=1e-4)


@each
def test_an_item_without_ratings_is_predicted_as_an_unknown_one(name):
    if name in PAIRWISE:
        return  # items without choices are compared with chosen ones, and so are learned
    rec = with_cold_rows(name)
    users, items = list(rec.model.user_vocabulary), list(rec.model.item_vocabulary)
    cold, unknown = rec.predict(users, items[0]), rec.predict(users, "nothing")
    assert_same(cold.drop("item"), unknown.drop("item"), tolerance=1e-4)


@with_taste
def test_nothing_is_similar_to_rows_without_ratings_by_chance(name):
    rec = with_cold_rows(name)
    users, items = list(rec.model.user_vocabulary), list(rec.model.item_vocabulary)
    assert rec.similar_users(users[0], n=99)["user"].to_list() == rec.fold_in({}).similar_users(n=99)["user"].to_list()
    assert not {*users[:2]} & {*rec.similar_users(users[5], n=99)["user"]}
    assert name in PAIRWISE or not {*items[:2]} & {*rec.similar_items(items[5], n=99)["item"]}


@each
def test_a_user_with_every_item_gets_an_empty_frame(name):
    rec = learn(name, make(["a"] * 3 + ["b"], ["x", "y", "z", "x"], [1, 2, 3, 5]))
    assert rec.recommend("a").height == 0
    assert rec.recommend("a").schema == rec.recommend("b").schema
    assert rec.recommend()["user"].unique().to_list() == ["b"]


def test_ties_go_to_the_lower_code():
    data = make(["a", "b", "b", "c", "c", "c"], ["i9", "i10", "i2", "i1", "i2", "i10"], [1.0, 2, 3, 4, 5, 6])
    for name, order in {"Mean": ["i1", "i10", "i2", "i9"], "Popularity": ["i10", "i2", "i1", "i9"]}.items():
        rec = RECIPES[name].fit(data)
        assert list(rec.model.item_vocabulary) == ["i1", "i10", "i2", "i9"]
        assert rec.recommend("nobody", n=4)["item"].to_list() == order


@each
def test_everyone_is_each_one_after_the_other(name, monkeypatch):
    rec = fitted(name, drawn)
    for by in ["mean"] + ["lower"] * (name in POSTERIOR):
        everyone = rec.recommend(n=5, by=by)
        singles = [rec.recommend(user, n=5, by=by) for user in rec.model.user_vocabulary]
        assert_same(everyone, pl.concat(singles), tolerance=1e-5)
        monkeypatch.setattr("palate.answers.ranking.memory.MAX_USERS", 7)  # blocks of seven users
        assert_same(rec.recommend(n=5, by=by), everyone, tolerance=1e-5)
        monkeypatch.undo()


@each
@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_recommendations_stream_into_files(name, ending, tmp_path, monkeypatch):
    rec = fitted(name)
    whole = rec.recommend(n=3)
    monkeypatch.setattr("palate.answers.ranking.memory.MAX_USERS", 5)
    path = rec.recommend(n=3, out=tmp_path / f"best.{ending}")
    read = {"parquet": pl.read_parquet, "csv": pl.read_csv, "jsonl": pl.read_ndjson}[ending]
    assert_same(read(path).cast(dict(whole.schema)), whole, tolerance=1e-6)
    assert [file.name for file in tmp_path.iterdir()] == [f"best.{ending}"]
    with pytest.raises(OptionError, match=r"\.parquet, \.csv, \.jsonl"):
        rec.recommend(n=3, out=tmp_path / "best.xlsx")


@each
def test_ranking_by_the_posterior_needs_one(name):
    rec = fitted(name, drawn)
    for by in ("lower", "thompson"):
        if name in POSTERIOR:
            best = rec.recommend("u1", n=50, by=by, keep_seen=True)
            assert best["score"].is_sorted(descending=True)
        else:
            with pytest.raises(OptionError, match="needs the draws of a Bayes fit"):
                rec.recommend("u1", by=by)
    with pytest.raises(OptionError, match="by='best' is not valid; use one of 'mean', 'lower', 'thompson'"):
        rec.recommend("u1", by="best")


# ---- similar, explain, history, cross_tab


@each
def test_similar_ones_share_the_taste(name):
    rec = fitted(name)
    if name not in TASTES:
        with pytest.raises(OptionError, match=f"{type(RECIPES[name]).__name__} has no factors"):
            rec.similar_items("i1")
        return
    of_items, of_users = MEASURES.get(name, ("cosine", "cosine"))
    alike = rec.similar_items("i1", n=7)
    assert alike.columns == ["item", "title", of_items, "rank"]
    assert alike.height == 7
    assert {int(item[1:]) % 2 for item in alike["item"]} == {1}
    assert "i1" not in alike["item"]
    assert alike[of_items].is_sorted(descending=True)
    everybody = rec.similar_users("u2", n=999)
    assert everybody.columns == ["user", of_users, "rank"]
    assert {int(user[1:]) % 2 for user in everybody["user"][:11]} == {0}
    assert everybody.height == (11 if name in HISTORIES else 23)  # users with a history that overlaps
    both = rec.similar_users(["u2", "u3"], n=4)
    assert both["to"].to_list() == ["u2"] * 4 + ["u3"] * 4
    assert both.filter(to="u3").drop("to").equals(rec.similar_users("u3", n=4))
    with pytest.raises(UnknownLabelError):
        rec.similar_items("nothing")


COSINES = {name: RECIPES[name] for name in TASTES} | {
    "Neighbors by cosine": palate.Neighbors(similarity="cosine", shrinkage=0),
    "Neighbors by pearson": palate.Neighbors(shrinkage=0),
    "Neighbors of users by pearson": palate.Neighbors(by="users", shrinkage=0),
}


@pytest.mark.parametrize("name", sorted(COSINES))
def test_no_cosine_is_larger_than_1(name):
    """Of users who rate the same, the factors and histories are the same up to rounding."""
    rng = np.random.default_rng(3)
    tastes = rng.integers(1, 6, (20, 40))
    cells = [(u, i) for u in range(60) for i in range(40) if (7 * i + u % 20) % 4]
    data = of_kind(
        name, make([f"u{u}" for u, _ in cells], [f"i{i}" for _, i in cells], [tastes[u % 20, i] for u, i in cells]), 3
    )
    rec = COSINES[name].fit(data, progress=False)
    users, items = list(rec.model.user_vocabulary), list(rec.model.item_vocabulary)
    new = rec.fold_in(given_of(name, data.to_frame().filter(user="u1")))
    alike = rec.similar_users(users, n=99), rec.similar_items(items, n=99), new.similar_users(n=99)
    measured = [
        frame[name]
        for frame, bm25 in zip(alike, (False, name == "Neighbors, likes", False), strict=True)
        for name in {"cosine", "pearson", "similarity"} & {*frame.columns}
        if not bm25
    ]
    assert measured
    assert all(column.min() >= -1 and column.max() <= 1 for column in measured)


@each
@pytest.mark.parametrize("data", [checkerboard, drawn])
def test_explanations_add_up(name, data):
    rec = fitted(name, data)
    for user, item in [("u1", "i1"), ("u1", "i2"), ("u3", "i9"), ("u0", "i0")]:
        why = rec.explain(user, item)
        assert sum(why.parts.values()) == pytest.approx(rec.predict(user, item).prediction, abs=1e-4)
        own = sum(reason.contribution for reason in why.because) + sum(why.known.values()) + why.rest
        assert own == pytest.approx(why.parts["user"] + why.parts["factors"], abs=1e-4)
        assert {reason.item for reason in why.because} == set(rec.history(user)["item"])
    with pytest.raises(UnknownLabelError):
        rec.explain(EMPTY, "i1")


@each
def test_history_and_cross_tab_show_what_was_learned(name):
    rec, rows = fitted(name), learned_from(name).to_frame()
    own = rec.history("u5")
    assert own.columns[:2] == ["item", "title"]
    table = rec.cross_tab(["u0", "u1"], ["i0", "i1", "i2"])
    expected = [[rec.predict(user, item).prediction for item in table.items] for user in table.users]
    np.testing.assert_allclose(table.predicted, expected, rtol=1e-5, atol=1e-7)
    assert rec.cross_tab().known.shape == (10, 10)
    if name in IMPLICIT:
        assert set(own["item"]) == set(rows.filter(user="u5")["item"])
        np.testing.assert_array_equal(table.known, [[np.nan, np.nan, 1], [np.nan, 1, np.nan]])
        return
    assert own.columns[2:] == ["rating"]
    assert own["rating"].is_sorted(descending=True)
    assert set(own.select("item", "rating").iter_rows()) == set(
        rows.filter(user="u5").select("item", "rating").iter_rows()
    )
    np.testing.assert_array_equal(table.known, [[np.nan, 1, 5], [np.nan, 5, 1]])


# ---- fold-in


@each
def test_folding_in_a_known_history_gives_that_user(name):
    rec, rows = fitted(name, drawn), learned_from(name, drawn).to_frame()
    items = list(rec.model.item_vocabulary)
    for user in ("u0", "u3", "u5"):
        own = rows.filter(user=user)
        new = rec.fold_in(given_of(name, own))
        one, two = new.predict(items)["prediction"], rec.predict(user, items)["prediction"]
        if name in RATES or name in EXACT:
            # A fold-in of SGD has the prior of the fitted factors, which holds users with few ratings back more; one of
            # Bayes has the noise of a typical user.
            near = 1e-4 if name in EXACT else 0.3 if "SGD" in name else 0.2
            assert np.abs((one - two).to_numpy()).mean() < near
        else:  # scores without a unit
            assert np.corrcoef(one, two)[0, 1] > 0.9
        assert not set(new.recommend(n=99)["item"]) & set(own["item"])
        why = new.explain("i3")
        assert sum(why.parts.values()) == pytest.approx(new.predict("i3").prediction, abs=1e-4)
        if name in TASTES:
            assert user in new.similar_users(n=3)["user"].to_list()


def test_where_all_users_have_one_noise_a_fold_in_of_bayes_is_nearly_the_user():
    rec = replace(RECIPES["Bayes"], user_noise=False).fit(drawn(), progress=False)
    rows, items = drawn().to_frame(), list(rec.model.item_vocabulary)
    for user in ("u0", "u3", "u5"):
        new = rec.fold_in(given_of("Bayes", rows.filter(user=user)))
        one, two = new.predict(items)["prediction"], rec.predict(user, items)["prediction"]
        assert np.abs((one - two).to_numpy()).mean() < 0.05


@each
def test_a_new_user_without_ratings_is_a_cold_start_user(name):
    rec = fitted(name, drawn)
    new, items = rec.fold_in({}), list(rec.model.item_vocabulary)
    assert new.vector.shape == (rec.n_factors + 1,)
    expected = rec.predict(EMPTY, items)
    for column in ("prediction", "low", "high"):
        np.testing.assert_allclose(new.predict(items)[column], expected[column], atol=1e-4)
    assert new.recommend(n=5)["item"].to_list() == rec.recommend(EMPTY, n=5)["item"].to_list()
    assert new.explain("i1").because == []


@each
def test_folding_in_an_item(name):
    rec, rows = fitted(name, drawn), learned_from(name, drawn).to_frame()
    popular = rec.cross_tab(["u1"]).items[0]
    own = rows.filter(item=popular)
    if name in REFUSED_ITEMS:
        with pytest.raises(OptionError, match=REFUSED_ITEMS[name]):
            rec.fold_in(given_of(name, own, "user"), side="item")
        return
    new = rec.fold_in(given_of(name, own, "user"), side="item")
    users = list(rec.model.user_vocabulary)
    answer = new.predict(users)
    assert answer.columns[0] == "user"
    if name in RATES:
        gap = (answer["prediction"] - rec.predict(users, popular)["prediction"]).to_numpy()
        assert np.sqrt(np.mean(gap**2)) < 0.25
    assert set(new.recommend(n=999)["user"]) == set(users) - set(own["user"])
    with pytest.raises(OptionError, match="side='both'"):
        rec.fold_in({}, side="both")


@each
@pytest.mark.parametrize("kind", KINDS)
def test_folding_in_a_frame(name, kind):
    rec = counting(name)
    frame = to_kind(pl.DataFrame({"movie_id": ["i0", "i2", "i1"], "stars": [5, 5, 1]}), kind)
    one, two = rec.fold_in(frame), rec.fold_in({"i0": 5, "i2": 5, "i1": 1})
    np.testing.assert_array_equal(one.vector, two.vector)
    if name in TASTES - IGNORES_COUNTS:
        assert int(str(one.recommend(n=1)["item"][0])[1:]) % 2 == 0


@pytest.mark.parametrize("name", sorted(IMPLICIT))
def test_which_choices_cannot_be_folded_in(name):
    rec = counting(name)
    for value in ("often", math.nan, math.inf, 1e300, 0, -1):
        with pytest.raises(DataError, match="a count"):
            rec.fold_in({"i0": value})
    with pytest.raises(UnknownLabelError, match="unknown item 'nothing'"):
        rec.fold_in(["nothing"])
    with pytest.raises(OptionError, match="fold_in takes a list of items"):
        rec.fold_in("i0")
    twice = rec.fold_in(["i0", "i1", "i0"]).recommend()
    assert twice.equals(rec.fold_in({"i1": 1, "i0": 2}).recommend()) is (name not in ORDERED)


@pytest.mark.parametrize("name", [name for name in RECIPES if name not in IMPLICIT])
def test_what_cannot_be_folded_in(name):
    rec = fitted(name)
    for value in ("good", None, math.nan, math.inf, 1e300):
        with pytest.raises(DataError, match="a rating"):
            rec.fold_in({"i0": value})
    with pytest.raises(UnknownLabelError, match="unknown item 'nothing'"):
        rec.fold_in({"nothing": 3})
    with pytest.raises(DataError, match=r"no rating column\. The columns are 'item', 'what'"):
        rec.fold_in(pl.DataFrame({"item": ["i0"], "what": [3]}))
    with pytest.raises(OptionError, match=r"a mapping \{item: rating\} or a frame"):
        rec.fold_in([("i0", 3)])


# ---- hard data


def odd_labels(users, items):
    sides = [palate.Vocabulary(labels, what=what) for labels, what in ((users, "user"), (items, "item"))]
    codes = [side.encode(labels) for side, labels in zip(sides, (users, items), strict=True)]
    return palate.Ratings(*codes, np.arange(1.0, 6.0), user_vocabulary=sides[0], item_vocabulary=sides[1])


HARD = {
    "one rating": lambda: make(["a"], ["x"], [3.0]),
    "one user": lambda: make(["a"] * 5, list("vwxyz"), [1, 2, 3, 4, 5]),
    "one item": lambda: make(list("vwxyz"), ["a"] * 5, [1, 2, 3, 4, 5]),
    "all equal": lambda: make(list("aabbc"), list("xyxyx"), [3.1] * 5),
    "equal but for rounding": lambda: make(list("aabbc"), list("xyxyx"), [1e9, 1e9, 1e9 + 64, 1e9, 1e9]),
    "next to nothing": lambda: make(list("aabbc"), list("xyxyx"), [1e-44, 0, 0, 1e-40, 0]),
    "as large as can be": lambda: make(list("aabbc"), list("xyxyx"), [9e29, 5e29, -9e29, 2e29, 0]),
    "all zero": lambda: make(list("aabbc"), list("xyxyx"), [0.0] * 5),
    "billions": lambda: make(list("aabbcc"), list("xyxyxz"), [1e9, 2e9, 1.5e9, 2.5e9, -1e9, 3e9]),
    "tiny": lambda: make(list("aabbcc"), list("xyxyxz"), [1e-9, 2e-9, 1.5e-9, 2.5e-9, -1e-9, 3e-9]),
    "negative": lambda: make(list("aabbcc"), list("xyxyxz"), [-10, -7, -8.5, -9, -10, -3]),
    "far from zero": lambda: make(list("aabbcc"), list("xyxyxz"), [10001, 10002, 10003, 10001, 10002, 10004]),
    "odd labels": lambda: odd_labels(["😀", "a\nb", "", "'; DROP--", "ß\t"], ["\n", "🎬🎬", "\u202e", "x,y", '"']),
    "unrated ones": lambda: checkerboard()[:9],
}


@each
@pytest.mark.parametrize("kind", HARD)
def test_hard_data(name, kind, tmp_path):
    data = HARD[kind]()
    check_usable(learn(name, data), of_kind(name, data), tmp_path)


@each
def test_all_ratings_equal_are_predicted_so(name):
    if name not in RATES:
        return
    rec = RECIPES[name].fit(HARD["all equal"]())
    assert rec.predict("a", "x").prediction == pytest.approx(3.1)
    assert rec.predict("nobody", "nothing") == pytest.approx(
        (3.1, 3.1, 3.1) if name in INTERVALS else (3.1, math.nan, math.nan), nan_ok=True
    )


@each
def test_odd_labels_come_back_as_they_were(name, tmp_path):
    data = HARD["odd labels"]()
    rec = learn(name, data)
    whole = rec.recommend(n=9)
    assert set(whole["user"]) == set(data.user_vocabulary)
    assert set(whole["item"]) == set(data.item_vocabulary)
    path = rec.recommend(n=9, out=tmp_path / "best.csv")
    assert_same(pl.read_csv(path).cast(dict(whole.schema)).fill_null(""), whole, tolerance=1e-6)


@each
def test_integer_labels_stay_integers(name, tmp_path):
    rec = learn(name, make([10, 10, -3, 2**62], [1, 2, 1, 3], [5.0, 1, 4, 2]))
    assert rec.predict([10, 7], [2, 3])["user"].to_list() == [10, 7]
    assert rec.predict(np.int64(10), 2) == pytest.approx(rec.predict(10, 2), nan_ok=True)
    assert rec.recommend(n=1, keep_seen=True).schema["item"] == pl.Int64
    assert rec.recommend(2**62, n=1)["user"].to_list() == [2**62]
    for wrong in ("10", 1.5, True):
        with pytest.raises(LabelTypeError):
            rec.predict(wrong, 1)
    check_usable_integers = rec.predict(np.array([10, 5]), np.array([1, 1]))
    assert check_usable_integers["user"].to_list() == [10, 5]
    rec.save(tmp_path / "m.palate")
    assert palate.load(tmp_path / "m.palate").predict(2**62, 3) == pytest.approx(rec.predict(2**62, 3), nan_ok=True)


@pytest.mark.parametrize("name", sorted((SWEEPS | HISTORIES) - IMPLICIT))
def test_ratings_beyond_computing_are_refused(name):
    with pytest.raises(DataError, match=r"as large as 3e\+38 cannot be computed with"):
        RECIPES[name].fit(make(list("aabbc"), list("xyxyx"), [3e38, 1e38, -3e38, 2e38, 0]))


@each
def test_nothing_can_be_learned_from_nothing(name):
    with pytest.raises(DataError, match="no ratings to learn from"):
        RECIPES[name].fit(checkerboard()[:0])


# ---- counts

COUNTS_IGNORED = {
    "ImplicitALS": palate.ImplicitALS(n_factors=8, confidence="equal", seed=1),
    "ImplicitALS in blocks": palate.ImplicitALS(n_factors=70, confidence="equal", seed=1),
    "EASE": palate.EASE(confidence="equal"),
    "SparseEASE": palate.SparseEASE(k=20, confidence="equal"),
    "Blend": palate.Blend([palate.EASE(confidence="equal"), palate.ImplicitALS(n_factors=8, confidence="equal")]),
    **{name: RECIPES[name] for name in IMPLICIT - {"ImplicitALS", "EASE", "SparseEASE", "Blend", *ORDERED}},
}


@pytest.mark.parametrize("name", sorted(COUNTS_IGNORED))
def test_counts_that_are_ignored_change_no_number(name):
    plain = learned_from("ImplicitALS", drawn)
    rng = np.random.default_rng(2)
    counted = plain.with_weights(rng.integers(1, 90, len(plain)).astype(np.float32))
    frame = plain.to_frame().select("user", "item")[::40].with_columns(user=pl.col("user") + pl.lit("0000"))
    more = frame.with_columns(count=pl.Series(rng.integers(1, 90, len(frame))))
    one, two = (COUNTS_IGNORED[name].fit(data, progress=False) for data in (plain, counted))
    pairs = [(one, two)]
    if name not in PAIRWISE:
        pairs.append((one.update(frame), two.update(more)))
    for without, with_counts in pairs:
        for side in ("users", "items"):
            np.testing.assert_array_equal(
                getattr(without.model.factors, side), getattr(with_counts.model.factors, side), strict=True
            )
        assert_same(without.predict(pairs_of(without)), with_counts.predict(pairs_of(without)))
        assert_same(without.recommend(n=5), with_counts.recommend(n=5))
        chosen = {"i3": 70, "i4": 1, "i5": 7}
        told, counts = without.fold_in(list(chosen)), with_counts.fold_in(chosen)
        assert_same(told.recommend(n=9), counts.recommend(n=9))
        if name.startswith("ImplicitALS"):
            told = without.fold_in(["u3", "u4"], side="item"), with_counts.fold_in({"u3": 50, "u4": 1}, side="item")
            np.testing.assert_array_equal(told[0].vector, told[1].vector)
        if not name.startswith("Popularity"):
            assert_same(without.similar_items("i3"), with_counts.similar_items("i3"))


# ---- keeping


def everything(rec):
    """What a model answers to everything, as one comparable value."""
    options = [{"by": by} for by in ("lower", "thompson") if rec.has_posterior]
    kind = rec.model.recipe["name"]
    has_histories = kind in ("EASE", "SparseEASE", "Sequence", "Blend", "Neighbors")
    new_item = as_given(rec, {"u1": 5, "u2": 1})
    frames = [
        rec.predict(pairs_of(rec)),
        *(rec.recommend(n=4, **option) for option in [{}, {"keep_seen": True}, *options]),
        rec.recommend(EMPTY),
        rec.history("u1"),
        rec.fold_in(as_given(rec, {"i1": 5, "i2": 1})).predict(["i0", "i4", "nothing"]),
        *([] if has_histories or kind == "BPR" else [rec.fold_in(new_item, side="item").recommend(n=5)]),
        *([rec.similar_items("i1"), rec.similar_users("u1")] if rec.n_factors or has_histories else []),
    ]
    table = rec.cross_tab()
    return [
        *(columns_of(frame) for frame in frames),
        rec.explain("u1", "i1").to_dict(),
        table.users, table.items, table.titles, table.known.tolist(), table.predicted.tolist(),
        repr(rec), rec.model.limits, rec.model.fingerprint, rec.model.recipe, rec.model.training, rec.model.metrics,
    ]  # fmt: skip


@each
def test_a_saved_model_answers_the_same(name, tmp_path):
    rec = fitted(name).with_metrics({"rmse": 0.5})
    rec.save(tmp_path / "model.palate")
    loaded = palate.load(tmp_path / "model.palate")
    assert str(everything(loaded)) == str(everything(rec))  # str: nan equals nan there
    loaded.save(tmp_path / "again.palate")
    assert (tmp_path / "again.palate").read_bytes() == (tmp_path / "model.palate").read_bytes()


@each
def test_compact_keeps_predictions(name, tmp_path):
    rec = fitted(name, drawn)
    small = rec.compact()
    assert not small.has_posterior
    assert small.has_intervals is rec.has_intervals
    asked = pairs_of(rec, unknown=False)
    assert small.predict(asked)["prediction"].equals(rec.predict(asked)["prediction"])
    assert small.recommend(n=5).equals(rec.recommend(n=5))
    assert np.isfinite(small.predict(pairs_of(rec))["prediction"].to_numpy()).all()
    assert np.isfinite(small.fold_in(as_given(small, {"i1": 3.0})).vector).all()
    rec.save(tmp_path / "whole.palate")
    small.save(tmp_path / "small.palate")
    if name in POSTERIOR:
        assert (tmp_path / "small.palate").stat().st_size < 0.5 * (tmp_path / "whole.palate").stat().st_size


# ---- fitting


def arrays_of(rec):
    model = rec.model
    arrays = [model.factors.users, model.factors.items, np.array([model.factors.mean, model.noise])]
    arrays.append(model.scores(model.user_rows(np.arange(rec.n_users, dtype=np.int32))))
    if model.posterior is not None:
        for side in (model.posterior.users, model.posterior.items):
            arrays += [side.vectors, side.precision, side.mean]
        arrays.append(model.posterior.alpha)
    return [array.tobytes() for array in arrays]


@each
def test_same_seed_same_bytes_at_any_number_of_threads(name):
    data = of_kind(name, palate.datasets.synthetic(500, 300, 20_000, seed=4))
    recipe = RECIPES[name]
    if name in SWEEPS:
        recipe = replace(recipe, **{f"n_{recipe.unit}s": 5})
    first = arrays_of(recipe.fit(data))
    assert arrays_of(recipe.fit(data)) == first
    if name in THREADS:
        for n_threads in (1, 2, 3):
            assert arrays_of(replace(recipe, n_threads=n_threads).fit(data)) == first
    if name in SEEDS:
        assert arrays_of(replace(recipe, seed=2).fit(data)) != first


@each
def test_ratings_survive_pickling(name):
    data = pickle.loads(pickle.dumps(learned_from(name, drawn)))
    assert arrays_of(recipe_for(name, drawn()).fit(data)) == arrays_of(fitted(name, drawn))


@each
def test_fitting_changes_no_global_state(name):
    np.random.seed(3)  # noqa: NPY002 - the global state is what is watched here
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002
    errors, data = np.geterr(), learned_from(name, drawn)
    content = data.values.tobytes(), data.user_codes.tobytes()
    RECIPES[name].fit(data)
    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002
    assert np.geterr() == errors
    assert (data.values.tobytes(), data.user_codes.tobytes()) == content


@each
def test_a_callback_sees_and_ends_the_fit(name, capsys):
    train, valid = palate.split_random(learned_from(name, drawn), test=0.2, seed=0)
    seen = []
    whole = RECIPES[name].fit(train, valid=valid, callback=seen.append)
    if name not in SWEEPS:
        return
    unit = RECIPES[name].unit
    passes = getattr(RECIPES[name], f"n_{unit}s")
    assert [sweep.number for sweep in seen] == list(range(1, passes + 1))
    assert {sweep.total for sweep in seen} == {passes}
    most = 20 if name in PAIRWISE else 3  # that of many negatives is the logarithm of a number of items
    assert all(0 < sweep.train_rmse < most for sweep in seen)
    predicted = whole.predict(valid.to_frame().select("user", "item"))["prediction"].to_numpy()
    rmse = np.sqrt(np.mean((predicted - valid.values) ** 2))
    if name in RATES:
        assert seen[-1].valid_rmse == pytest.approx(rmse, rel=5e-3)  # a fit ends by fitting the cold-start prior
    assert whole.model.training["valid_rmse"] == seen[-1].valid_rmse
    assert whole.model.training[f"n_{unit}s"] == len(seen)
    assert [record["train_rmse"] for record in whole.model.training[f"{unit}s"]] == [s.train_rmse for s in seen]
    assert capsys.readouterr() == ("", "")
    short = RECIPES[name].fit(train, callback=lambda sweep: sweep.number == 3)
    assert short.model.training[f"n_{unit}s"] == 3
    assert short.model.training["ended"] == f"ended by the callback after 3 {unit}s"
    assert f"ended by the callback after 3 {unit}s" in capsys.readouterr().err


def test_als_measures_its_intervals_on_validation_ratings():
    train, valid = palate.split_random(drawn(), test=0.2, seed=0)
    rec = RECIPES["ALS"].fit(train, valid=valid)
    assert rec.has_intervals
    assert rec.model.noise == pytest.approx(rec.model.training["valid_rmse"])


@each
def test_validation_ratings_share_the_vocabulary(name):
    with pytest.raises(OptionError, match="split both from the same Ratings"):
        RECIPES[name].fit(learned_from(name, drawn), valid=learned_from(name))


@each
@pytest.mark.parametrize("after", [1, 4])
def test_an_interrupt_keeps_what_was_learned(name, after, capsys, tmp_path):
    def interrupt(sweep):
        if sweep.number == after:
            raise KeyboardInterrupt

    rec = RECIPES[name].fit(learned_from(name), callback=interrupt)
    if name in SWEEPS:
        unit = RECIPES[name].unit
        assert f"interrupted after {after} {unit}s" in capsys.readouterr().err
        assert rec.model.training[f"n_{unit}s"] == after
    check_usable(rec, learned_from(name), tmp_path)


@each
def test_a_rating_of_weight_0_counts_as_none(name):
    """In a fit, of known, new and validation ratings, and in the range of predictions."""
    data = learned_from(name)
    counted = np.arange(len(data)) % 7 != 3
    wild = np.where(counted, data.values, data.values if data.is_implicit else 99).astype(np.float32)
    parts = {"times": None, "user_vocabulary": data.user_vocabulary, "item_vocabulary": data.item_vocabulary}
    mixed = palate.Ratings(data.user_codes, data.item_codes, wild, weights=counted, kind=data.kind, **parts)
    some = mixed[counted]
    one, other = (RECIPES[name].fit(ratings, valid=ratings, progress=False) for ratings in (mixed, some))
    assert one.model.limits == other.model.limits
    assert one.model.fingerprint == other.model.fingerprint
    assert one.model.training["valid_rmse"] == other.model.training["valid_rmse"]
    np.testing.assert_equal(one.model.noise, other.model.noise)
    assert_same(one.predict(pairs_of(one)), other.predict(pairs_of(other)))
    if name in PAIRWISE:
        return
    nothing = mixed[~counted]
    with pytest.raises(DataError, match="weight above 0"):
        one.update(nothing)
    more = mixed.with_weights(np.where(counted, np.arange(len(data)) % 3 == 1, 0))[:20]
    assert one.update(more).model.fingerprint == one.update(more[more.weights > 0]).model.fingerprint


@pytest.mark.parametrize("name", sorted(SWEEPS))
def test_ctrl_c_ends_a_long_fit(name, capsys, tmp_path):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores Ctrl-C
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    passes = f"n_{RECIPES[name].unit}s"
    rec = replace(RECIPES[name], **{passes: 10**6}).fit(learned_from(name, drawn))
    timer.join()
    signal.signal(signal.SIGINT, before)
    assert 0 < rec.model.training[passes] < 10**6
    assert "fit interrupted after" in capsys.readouterr().err
    check_usable(rec, learned_from(name, drawn), tmp_path)


@each
def test_the_progress_line_is_on_standard_error(name, capsys):
    RECIPES[name].fit(learned_from(name), progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert type(RECIPES[name]).__name__ in err
    RECIPES[name].fit(learned_from(name), progress=False)
    RECIPES[name].fit(learned_from(name))  # "auto": captured output is no terminal
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        (palate.Bayes, {"n_factors": 0}), (palate.Bayes, {"n_sweeps": 0}), (palate.Bayes, {"n_samples": 1}),
        (palate.Bayes, {"seed": -1}), (palate.Bayes, {"n_threads": -1}), (palate.Bayes, {"n_sweeps": 1.5}),
        (palate.Bayes, {"n_factors": "many"}), (palate.Bayes, {"seed": 2**64}),
        (palate.ALS, {"weight_decay": 0}), (palate.ALS, {"weight_decay": math.nan}), (palate.ALS, {"n_factors": -1}),
        (palate.ALS, {"count_exponent": 1.1}), (palate.ALS, {"n_sweeps": 2.5}), (palate.ALS, {"seed": 0.5}),
        (palate.EASE, {"weight_decay": 0}), (palate.EASE, {"confidence": "much"}), (palate.EASE, {"memory": "much"}),
        (palate.EASE, {"memory": 0}), (palate.EASE, {"n_threads": -1}), (palate.Neighbors, {"by": "friends"}),
        (palate.Neighbors, {"similarity": "love"}), (palate.Neighbors, {"k": 0}), (palate.Neighbors, {"k": 2.5}),
        (palate.Neighbors, {"shrinkage": -1}), (palate.Neighbors, {"shrinkage": math.nan}),
        (palate.ALS, {"weight_decay": math.inf}), (palate.Bias, {"weight_decay": -1}), (palate.Bias, {"n_sweeps": 0}),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(recipe, options):
    with pytest.raises(OptionError, match=next(iter(options))):
        recipe(**options)
