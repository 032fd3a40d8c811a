"""recent=, session= and times=: answers that weigh what somebody chose by its order or age."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

import palate
from palate.errors import DataError, OptionError, UnknownLabelError

DAY = 86_400
WEIGHED = [
    palate.EASE(weight_decay=5.0),
    palate.SparseEASE(k=8, weight_decay=5.0),
    palate.ImplicitALS(n_factors=4, weight_decay=0.05),
    palate.Neighbors(k=5),
    palate.Neighbors(by="users", k=5),
    palate.Blend([palate.EASE(weight_decay=5.0), palate.ImplicitALS(n_factors=4, weight_decay=0.05)], [0.5, 0.5]),
    palate.Blend([palate.EASE(weight_decay=5.0), palate.Popularity()], [0.5, 0.5]),
]
each_weighed = pytest.mark.parametrize("recipe", WEIGHED, ids=lambda recipe: recipe.label())
each_recent = pytest.mark.parametrize("recent", [2, 5.5, "20d", timedelta(days=20)])


def choices(seed=0, n=400, timed=True):
    rng = np.random.default_rng(seed)
    columns = {
        "user": [f"u{code:02d}" for code in rng.integers(0, 40, n)],
        "item": [f"i{code:02d}" for code in rng.integers(0, 12, n)],
        "time": 1_600_000_000 + rng.integers(0, 100 * DAY, n),
    }
    return palate.read({name: columns[name] for name in columns if timed or name != "time"}, kind="implicit")


def own(rec, user):
    """The choices of a user, oldest first: items with counts, and times."""
    model = rec.model
    code = model.user_vocabulary.encode_one(user)
    here = slice(*model.history.indptr[code : code + 2].tolist())
    items = model.item_vocabulary.decode(model.history.indices[here]).tolist()
    counts = np.ones(len(items)) if model.history.weights is None else model.history.weights[here]
    times = None if model.history.times is None else model.history.times[here].tolist()
    return dict(zip(items, counts.tolist(), strict=True)), times


def weights_by_hand(recent, times):
    if isinstance(recent, int | float):
        return 1 / (1 + np.arange(len(times))[::-1] / recent)
    return 0.5 ** ((times[-1] - np.array(times)) / (20 * DAY))


def assert_same(one, other):
    assert one["item"].to_list() == other["item"].to_list()
    np.testing.assert_allclose(one["score"], other["score"], rtol=2e-4, atol=1e-6)


# ---- recent


@each_weighed
@each_recent
def test_known_new_and_many_users_get_the_same_list(recipe, recent):
    rec = recipe.fit(choices(), progress=False)
    users = ["u05", "u11", "u30"]
    known = rec.recommend(users, n=4, recent=recent)
    every = rec.recommend(n=4, recent=recent, memory="40MB")
    assert every.filter(pl.col("user").is_in(users)).equals(known)
    table = []
    for user in users:
        mine = known.filter(user=user).drop("user")
        given, times = own(rec, user)
        assert_same(rec.fold_in(given, times=times).recommend(n=4, recent=recent), mine)
        table += [(f"new {user}", *row) for row in zip(given, given.values(), times, strict=True)]
    many = rec.fold_in(pl.DataFrame(table, ["user", "item", "count", "time"], orient="row").rename({"count": "weight"}))
    assert_same(many.recommend(n=4, recent=recent), known)


@each_recent
def test_the_scores_of_ease_are_those_of_weighed_choices(recent):
    rec = palate.EASE(weight_decay=5.0, confidence="equal").fit(choices(), progress=False)
    B = rec.model.factors.weights.astype(float)
    given, times = own(rec, "u07")
    codes = rec.model.item_vocabulary.encode(list(given))
    expected = weights_by_hand(recent, times) @ B[codes]
    found = rec.recommend("u07", n=12, keep_seen=True, recent=recent)
    at = rec.model.item_vocabulary.encode(found["item"].to_list())
    np.testing.assert_allclose(found["score"], expected[at], atol=1e-5)


@each_recent
def test_the_vector_of_implicit_als_is_solved_with_weighed_choices(recent):
    rec = palate.ImplicitALS(n_factors=4, weight_decay=0.05, confidence="equal").fit(choices(), progress=False)
    Y, a0 = rec.item_factors.astype(float), rec.model.factors.unobserved_weight
    given, times = own(rec, "u07")
    codes = rec.model.item_vocabulary.encode(list(given))
    w = weights_by_hand(recent, times)
    ridge = 0.05 * (len(codes) + a0 * len(Y))
    x = np.linalg.solve(a0 * Y.T @ Y + ridge * np.eye(4) + (Y[codes].T * w) @ Y[codes], Y[codes].T @ w)
    found = rec.recommend("u07", n=12, keep_seen=True, recent=recent)
    at = rec.model.item_vocabulary.encode(found["item"].to_list())
    np.testing.assert_allclose(found["score"], (Y @ x)[at], atol=1e-5)


@each_weighed
def test_it_takes_the_place_of_what_the_fit_learned_with(recipe):
    if isinstance(recipe, palate.Blend):
        pytest.skip("its parts have the options")
    rec = recipe.with_options({"recency": 3}).fit(choices(), progress=False)
    assert_same(rec.recommend("u05", recent=3), rec.recommend("u05"))
    assert not rec.recommend("u05", recent=0.5)["score"].equals(rec.recommend("u05")["score"])
    assert rec.recommend("u05").equals(rec.recommend("u05"))  # no question changes the model


@each_weighed
def test_a_very_large_number_is_no_weight_at_all(recipe):
    rec = recipe.fit(choices(), progress=False)
    assert_same(rec.recommend("u05", recent=1e9), rec.recommend("u05"))


def test_unknown_users_and_those_without_choices_get_what_they_got():
    rec = palate.ImplicitALS(n_factors=4).fit(choices(), progress=False)
    assert rec.recommend("nobody", recent=3).equals(rec.recommend("nobody"))
    assert rec.fold_in([]).recommend(recent="3d").equals(rec.fold_in([]).recommend())
    mixed = rec.recommend(["nobody", "u05"], recent=3)
    assert mixed.filter(user="nobody").equals(rec.recommend(["nobody"], recent=3))


def test_it_goes_with_filters_dials_and_files(tmp_path):
    rec = palate.EASE(weight_decay=5.0).fit(choices(), progress=False)
    assert "i01" not in rec.recommend("u05", exclude=["i01"], diversity=0.5, recent=3)["item"]
    rec.recommend(out=tmp_path / "lists.parquet", n=3, recent=3, memory="40MB", resume=True)
    assert pl.read_parquet(tmp_path / "lists.parquet").equals(rec.recommend(n=3, recent=3))


@pytest.mark.parametrize(
    "rec",
    [
        palate.Popularity().fit(choices(), progress=False),
        palate.BPR(n_factors=4, n_epochs=2).fit(choices(), progress=False),
        palate.Blend([palate.EASE(weight_decay=5.0), palate.BPR(n_factors=4, n_epochs=2)], [0.5, 0.5]).fit(
            choices(), progress=False
        ),
        palate.Bayes(n_sweeps=5).fit(palate.datasets.synthetic(20, 10, 100, seed=1), progress=False),
        palate.Neighbors().fit(palate.datasets.synthetic(20, 10, 100, seed=1), progress=False),
    ],
    ids=repr,
)
def test_others_say_which_recipes_can(rec):
    with pytest.raises(OptionError, match="EASE, SparseEASE, ImplicitALS, Neighbors"):
        rec.recommend(rec.model.user_vocabulary.labels[:1].tolist(), recent=3)


def test_those_who_chose_an_item_are_in_no_order():
    rec = palate.ImplicitALS(n_factors=4, recency=3).fit(choices(), progress=False)
    plain = palate.ImplicitALS(n_factors=4, recency=3).fit(choices(), progress=False)
    new = rec.fold_in(["u03", "u05"], side="item")
    assert new.recommend().equals(plain.fold_in(["u05", "u03"], side="item").recommend())
    with pytest.raises(OptionError, match="in none"):
        new.recommend(recent=3)


@pytest.mark.parametrize("recent", [0, -2, float("nan"), float("inf"), "soon", "5m", "-3d", [], True, "0"])
def test_what_is_no_number_of_events_and_no_time_is_refused(recent):
    rec = palate.EASE(weight_decay=5.0).fit(choices(), progress=False)
    with pytest.raises(OptionError, match="recent="):
        rec.recommend("u05", recent=recent)


def test_ages_need_times():
    untimed = palate.EASE(weight_decay=5.0).fit(choices(timed=False), progress=False)
    assert untimed.recommend("u05", recent="5").equals(untimed.recommend("u05", recent=5))
    for ask in (untimed.recommend, untimed.fold_in(["i01"]).recommend):
        with pytest.raises(DataError, match="have no times"):
            ask(recent="5d")
    with pytest.raises(DataError, match="have no times"):
        palate.EASE(weight_decay=5.0).fit(choices(), progress=False).fold_in(["i01"]).recommend(recent="5d")


# ---- sessions and times


@each_weighed
def test_a_session_is_a_fold_in_of_the_same_list(recipe):
    rec = recipe.fit(choices(), progress=False)
    session = ["i03", "i07", "i01"]
    found = rec.recommend(session=session, n=4, recent=2)
    assert found.columns[0] == "item"
    assert found.equals(rec.fold_in(session).recommend(n=4, recent=2))
    if "users" not in recipe.label():  # the same users are near, from either end
        assert not found["score"].equals(rec.recommend(session=session[::-1], n=4, recent=2)["score"])
    assert rec.recommend(session=[], n=4).equals(rec.fold_in([]).recommend(n=4))
    assert rec.recommend(session=session, n=4, exclude=found["item"][:1].to_list()).height == 4


def test_an_item_listed_twice_counts_twice_at_its_last_place():
    rec = palate.EASE(weight_decay=5.0, recency=2).fit(choices(), progress=False)
    twice = rec.recommend(session=["i03", "i07", "i03"], n=12, keep_seen=True)
    assert twice.equals(rec.fold_in({"i07": 1, "i03": 2}).recommend(n=12, keep_seen=True))
    likes = palate.datasets.synthetic(60, 40, 1200, seed=1).likes(at_least=4)
    liked = palate.EASE().fit(likes, progress=False)
    assert liked.fold_in(["i3", "i7", "i3"]).recommend().equals(liked.fold_in(["i7", "i3"]).recommend())


def test_times_put_a_list_in_order():
    rec = palate.EASE(weight_decay=5.0, recency=2, half_life="9d").fit(choices(), progress=False)
    items, days = ["i03", "i07", "i01"], [9, 2, 5]
    asked = rec.fold_in(items, times=[day * DAY for day in days]).recommend()
    dates = [datetime(2024, 3, 1, tzinfo=UTC) + timedelta(days=day) for day in days]
    assert asked.equals(rec.fold_in(items, times=dates).recommend())
    assert asked.equals(rec.fold_in(items, times=[date.isoformat() for date in dates]).recommend())
    assert asked.equals(rec.fold_in(pl.DataFrame({"item": items, "time": dates})).recommend())
    assert asked.equals(rec.fold_in(["i07", "i01", "i03"], times=[2 * DAY, 5 * DAY, 9 * DAY]).recommend())
    assert not asked["score"].equals(rec.fold_in(items).recommend()["score"])
    equal = rec.fold_in(items, times=[5, 5, 5]).recommend()
    assert equal.equals(rec.fold_in(items).recommend())


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"times": [1]}, "1 times for 2 choices"),
        ({"times": [1, None]}, "a time is missing"),
        ({"times": [1, "soon"]}, "is no time"),
        ({"times": [1, 2], "side": "item"}, "one new user"),
    ],
)
def test_times_are_one_for_each_choice(given, error):
    rec = palate.EASE(weight_decay=5.0).fit(choices(), progress=False)
    with pytest.raises((DataError, OptionError), match=error):
        rec.fold_in(["i03", "i07"], **given)


def test_times_of_many_stand_in_a_frame():
    rec = palate.EASE(weight_decay=5.0).fit(choices(), progress=False)
    with pytest.raises(OptionError, match="a frame with a column of times"):
        rec.fold_in([["i03"], ["i07"]], times=[1, 2])


def test_a_session_is_for_models_of_choices_and_goes_without_users():
    rated = palate.Bias().fit(palate.datasets.synthetic(20, 10, 100, seed=1), progress=False)
    with pytest.raises(OptionError, match="learned from ratings"):
        rated.recommend(session=["i1"])
    with pytest.raises(OptionError, match="learned from ratings"):
        rated.fold_in({"i1": 5}, times=[3])
    rec = palate.EASE(weight_decay=5.0).fit(choices(), progress=False)
    with pytest.raises(OptionError, match="leave users and index out"):
        rec.recommend("u05", session=["i01"])
    with pytest.raises(UnknownLabelError, match="xyz"):
        rec.recommend(session=["xyz"])
