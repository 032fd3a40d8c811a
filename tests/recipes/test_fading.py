"""recency= and half_life=: the weights of a loop over events, and fits and answers by NumPy from the formulas."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palate
from palate.data.rows import CompressedRows
from palate.errors import DataError, OptionError, TamperedModelError
from palate.models.fading import Fading
from palate.recipes.baselines import Popularity
from palate.storing import container

DAY = 86_400
N_USERS, N_ITEMS = 40, 12
FADINGS = [{"recency": 3.0}, {"half_life": "20d"}, {"recency": 5, "half_life": 15 * DAY}]
WEIGHED = [
    palate.EASE(weight_decay=5.0),
    palate.SparseEASE(k=8, weight_decay=5.0),
    palate.ImplicitALS(n_factors=4, weight_decay=0.05),
    palate.Neighbors(k=5),
    palate.Neighbors(by="users", k=5),
]


def by_label(one):
    return one.label() if isinstance(one, palate.recipes.Recipe) else str(one)


def frame(seed=0, n=400, n_users=N_USERS, n_items=N_ITEMS):
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "user": [f"u{code:02d}" for code in rng.integers(0, n_users, n)],
            "item": [f"i{code:02d}" for code in rng.integers(0, n_items, n)],
            "time": 1_600_000_000 + rng.integers(0, 100 * DAY, n),
        }
    )


def choices(**options):
    return palate.read(frame(**options), kind="implicit")


def weight(k, age, recency=None, half_life=None):
    """The weight of an event, from its definition."""
    half_life = 20 * DAY if half_life == "20d" else half_life
    by_place = 1 if recency is None else 1 / (1 + k / recency)
    return by_place * (1 if half_life is None else 0.5 ** min(age / half_life, 40))


def signals_of(history, **fading):
    """{user code: {item code: weight}}, one event at a time. history: with times, rows oldest first."""
    found = {}
    for user in range(history.n_rows):
        here = slice(history.indptr[user], history.indptr[user + 1])
        items, times = history.indices[here].tolist(), history.times[here].tolist()
        counted = history.weights[here] if history.weights is not None else np.ones(len(items))
        mean = counted.mean() if len(counted) else 1
        found[user] = {
            item: weight(len(items) - 1 - at, times[-1] - time, **fading)
            * ((1 + np.log1p(count / mean)) / (1 + np.log(2)) if history.weights is not None else 1)
            for at, (item, time, count) in enumerate(zip(items, times, counted.tolist(), strict=True))
        }
    return found


def dense(signals, n_items=N_ITEMS):
    X = np.zeros((len(signals), n_items))
    for user, row in signals.items():
        for item, value in row.items():
            X[user, item] = value
    return X


def scores_of(rec):
    codes = np.arange(rec.n_users, dtype=np.int32)
    return rec.model.scores(rec.model.user_rows(codes)).astype(float)


# ---- the weights


rows = st.lists(st.lists(st.integers(0, 50), max_size=6), min_size=1, max_size=5)


@given(rows, st.none() | st.floats(0.1, 100), st.none() | st.floats(0.1, 100))
def test_weights_are_those_of_a_loop(times, recency, half_life):
    histories = [sorted(row) for row in times]
    indptr = np.cumsum([0, *map(len, histories)])
    flat = np.array([time for row in histories for time in row], np.int64)
    ones = np.ones(len(flat), np.float32)
    whole = CompressedRows(indptr, np.zeros(len(flat), np.int32), ones, None, flat)
    found = Fading(recency, half_life).weights(whole)
    events = [(len(row) - 1 - at, row[-1] - time) for row in histories for at, time in enumerate(row)]
    expected = [weight(k, age, recency, half_life) for k, age in events]
    if recency is None and half_life is None:
        assert found is None
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-30)
        assert (found[whole.indptr[1:][whole.counts > 0] - 1] == 1).all()


def test_without_times_all_are_as_old_as_the_last():
    one = CompressedRows(np.array([0, 3]), np.arange(3, dtype=np.int32), np.ones(3, np.float32), None)
    assert Fading(half_life=5.0).weights(one) is None
    np.testing.assert_allclose(Fading(1.0, 5.0).weights(one), [1 / 3, 0.5, 1])


# ---- fits and answers, from the formulas


@pytest.mark.parametrize("fading", FADINGS, ids=str)
def test_ease_is_the_closed_form_of_faded_choices(fading):
    ratings = choices()
    recipe = palate.EASE(weight_decay=5.0, dropout=0.2, user_exponent=0.5, item_exponent=0.1, **fading)
    rec = recipe.fit(ratings, progress=False)
    X = dense(signals_of(rec.model.history, **fading))
    n = (X > 0).sum(axis=1)
    w = np.maximum(n, 1.0) ** -0.5
    w *= n.sum() / (w @ n)
    G = X.T @ (w[:, None] * X)
    P = np.linalg.inv(G + np.diag(5 + 0.25 * np.diag(G)))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    counts = (X > 0).sum(axis=0)
    B *= (counts / counts.mean()) ** -0.1
    np.testing.assert_allclose(scores_of(rec), X @ B, atol=2e-5)


@pytest.mark.parametrize("fading", FADINGS, ids=str)
def test_sparse_ease_with_all_items_in_a_support_is_ease(fading):
    ratings, options = choices(), {"weight_decay": 5.0, "user_exponent": 0.5, "item_exponent": 0.0, **fading}
    dense_one = palate.EASE(**options).fit(ratings, progress=False)
    sparse = palate.SparseEASE(k=N_ITEMS, **options).fit(ratings, progress=False)
    np.testing.assert_allclose(scores_of(sparse), scores_of(dense_one), atol=2e-5)


@pytest.mark.parametrize("fading", FADINGS, ids=str)
def test_implicit_als_is_at_the_optimum_of_faded_choices(fading):
    rec = palate.ImplicitALS(n_factors=4, weight_decay=0.05, unobserved_weight=0.2, n_sweeps=4, **fading).fit(
        choices(), progress=False
    )
    W = dense(signals_of(rec.model.history, **fading))
    Y = rec.item_factors.astype(float)
    for user in range(rec.n_users):
        chosen = W[user] > 0
        ridge = 0.05 * (chosen.sum() + 0.2 * N_ITEMS)
        A = 0.2 * Y.T @ Y + ridge * np.eye(4) + (Y[chosen].T * W[user, chosen]) @ Y[chosen]
        x = np.linalg.solve(A, Y[chosen].T @ W[user, chosen])
        np.testing.assert_allclose(rec.user_factors[user], x, atol=2e-5)


@pytest.mark.parametrize("fading", FADINGS, ids=str)
def test_neighbors_by_items_add_up_similarities_of_faded_choices(fading):
    rec = palate.Neighbors(similarity="cosine", k=N_ITEMS, **fading).fit(choices(), progress=False)
    X = dense(_uncounted(rec.model.history, **fading))
    unit = X / np.linalg.norm(X, axis=0)
    S = unit.T @ unit
    np.fill_diagonal(S, 0)
    np.testing.assert_allclose(scores_of(rec), X @ S, atol=2e-5)


@pytest.mark.parametrize("fading", FADINGS, ids=str)
def test_neighbors_by_users_add_up_faded_choices_of_similar_users(fading):
    rec = palate.Neighbors(by="users", similarity="cosine", k=N_USERS, **fading).fit(choices(), progress=False)
    X = dense(_uncounted(rec.model.history, **fading))
    sets = [frozenset(np.flatnonzero(row)) for row in X]
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    S = np.minimum(unit @ unit.T, 1)
    for one in range(len(X)):
        for other in range(len(X)):
            if sets[one] == sets[other]:
                S[one, other] = 0
    np.testing.assert_allclose(scores_of(rec), S @ X, atol=5e-5)


def _uncounted(history, **fading):
    """signals_of() where counts mean nothing."""
    return signals_of(CompressedRows(history.indptr, history.indices, history.values, None, history.times), **fading)


@pytest.mark.parametrize("fading", FADINGS, ids=str)
def test_popularity_adds_up_faded_choices_whose_age_is_that_before_the_last_of_all(fading):
    rec = Popularity(**fading).fit(choices(), progress=False)
    history = rec.model.history
    expected, last = np.zeros(N_ITEMS), int(history.times.max())
    for user in range(history.n_rows):
        here = slice(history.indptr[user], history.indptr[user + 1])
        n = here.stop - here.start
        for at, (item, time) in enumerate(
            zip(history.indices[here].tolist(), history.times[here].tolist(), strict=True)
        ):
            expected[item] += weight(n - 1 - at, last - time, **fading)
    np.testing.assert_allclose(rec.model.factors.items[:, 0], expected, rtol=1e-5)
    forgotten = rec.forget(users=["u03"])
    again = Popularity(**fading).fit(choices()[choices().user_codes != 3], progress=False)
    assert abs(forgotten.model.factors.items[:, 0] - again.model.factors.items[:, 0]).max() < 1e-4


# ---- everything that answers does so with the weights


@pytest.mark.parametrize("fading", FADINGS, ids=str)
@pytest.mark.parametrize("recipe", WEIGHED, ids=by_label)
def test_known_new_and_loaded_users_get_the_same_answer_and_its_explanation(recipe, fading, tmp_path):
    rec = recipe.with_options(fading).fit(choices(), progress=False)
    user = "u05"
    history = rec.model.history
    here = slice(*history.indptr[5:7].tolist())
    items = [rec.model.item_vocabulary.labels[code] for code in history.indices[here]]
    counts = np.ones(len(items)) if history.weights is None else history.weights[here]
    new = rec.fold_in(dict(zip(items, counts.tolist(), strict=True)), times=history.times[here].tolist())
    known = rec.recommend(user, n=5)
    told = new.recommend(n=5)
    assert known["item"].to_list() == told["item"].to_list()
    np.testing.assert_allclose(known["score"], told["score"], rtol=1e-4)
    rec.save(tmp_path / "m.palate")
    loaded = palate.load(tmp_path / "m.palate")
    assert loaded.recommend(user, n=5).equals(known) and loaded.model.factors.fades_by_age == ("half_life" in fading)
    why = rec.explain(user, known["item"][0])
    assert abs(sum(reason.contribution for reason in why.because) - known["score"][0]) < 1e-4
    assert loaded.explain(user, known["item"][0]).because == why.because


@pytest.mark.parametrize("recipe", [*WEIGHED[:3], WEIGHED[4]], ids=by_label)
def test_an_update_weighs_as_if_the_histories_had_been_learned(recipe):
    rec = recipe.with_options({"recency": 3, "half_life": "30d"}).fit(choices(), progress=False)
    last = int(rec.model.history.times.max())
    rec = rec.update({"user": ["u05", "u05"], "item": ["i01", "i02"], "time": [last + 5, last + 20 * DAY]})
    history = rec.model.history
    here = slice(*history.indptr[5:7].tolist())
    items = [rec.model.item_vocabulary.labels[code] for code in history.indices[here]]
    assert items[-2:] == ["i01", "i02"]
    counts = np.ones(len(items)) if history.weights is None else history.weights[here]
    new = rec.fold_in(dict(zip(items, counts.tolist(), strict=True)), times=history.times[here].tolist())
    known, told = rec.recommend("u05", n=3), new.recommend(n=3)
    if "ALS" in recipe.label():  # items moved after the user did
        assert set(known["item"]) & set(told["item"])
    else:
        assert known["item"].to_list() == told["item"].to_list()
        np.testing.assert_allclose(known["score"], told["score"], rtol=1e-4)


def test_a_table_of_new_users_leaves_histories_in_their_order():
    users = {"user": sorted(set(frame()["user"])), "job": ["cook", "clerk"] * (N_USERS // 2)}
    rec = palate.ImplicitALS(n_factors=4, recency=3).fit(choices().with_users(users), progress=False)
    more = rec.update(users={"user": ["new"], "job": ["cook"]})
    assert more.n_users == N_USERS + 1
    np.testing.assert_array_equal(more.model.history.indices, rec.model.history.indices)
    np.testing.assert_array_equal(more.model.history.times, rec.model.history.times)
    assert more.recommend("u05").equals(rec.recommend("u05"))


def test_an_update_of_a_model_that_goes_by_age_needs_times():
    rec = palate.EASE(half_life="9d").fit(choices(), progress=False)
    with pytest.raises(DataError, match="have no times"):
        rec.update({"user": ["u01"], "item": ["i01"]})


def test_a_blend_answers_with_the_weights_of_its_parts(tmp_path):
    parts = [palate.EASE(weight_decay=5.0, recency=3), palate.Popularity(half_life="20d")]
    rec = palate.Blend(parts, weights=[0.5, 0.5]).fit(choices(), progress=False)
    alone = [part.fit(choices(), progress=False) for part in parts]
    multipliers = [part.multiplier for part in rec.model.factors.parts]
    expected = sum(m * scores_of(one) for m, one in zip(multipliers, alone, strict=True))
    np.testing.assert_allclose(scores_of(rec), expected, rtol=1e-4)
    rec.save(tmp_path / "m.palate")
    assert palate.load(tmp_path / "m.palate").recommend("u01").equals(rec.recommend("u01"))
    last = int(rec.model.history.times.max())
    updated = rec.update({"user": ["u05"], "item": ["i01"], "time": [last + 20 * DAY]})
    popular = updated.model.factors.parts[1].factors.items[:, 0]
    ratio = popular / rec.model.factors.parts[1].factors.items[:, 0]
    np.testing.assert_allclose(np.delete(ratio, 1), 0.5, atol=0.02)  # all are 20 days older, but for one


def test_chosen_weights_of_a_blend_are_found_with_times():
    likes = palate.datasets.synthetic(n_users=150, n_items=40, n_ratings=4000, seed=1).likes(at_least=3)
    timed = palate.Ratings(
        likes.user_codes, likes.item_codes, likes.values, times=np.arange(len(likes)), kind="implicit",
        user_vocabulary=likes.user_vocabulary, item_vocabulary=likes.item_vocabulary,
    )  # fmt: skip
    rec = palate.Blend([palate.EASE(half_life=500), palate.Popularity()]).fit(timed, progress=False)
    assert sum(rec.model.training["weights"].values()) == pytest.approx(1)


def test_a_very_long_recency_changes_nothing():
    ratings = choices()
    plain, long = (palate.EASE(weight_decay=5.0, **o).fit(ratings, progress=False) for o in ({}, {"recency": 1e9}))
    np.testing.assert_allclose(scores_of(plain), scores_of(long), atol=1e-5)


def test_weights_go_by_the_order_of_time_and_not_of_rows():
    rows = frame().unique(["user", "time"], keep="first", maintain_order=True)  # equal times go by the order of rows
    fits = [
        palate.EASE(weight_decay=5.0, recency=3).fit(palate.read(part, kind="implicit"), progress=False)
        for part in (rows, rows.sample(fraction=1, shuffle=True, seed=3))
    ]
    np.testing.assert_allclose(scores_of(fits[0]), scores_of(fits[1]), atol=1e-5)


# ---- options


def test_lengths_of_time_may_be_written_in_many_ways():
    texts = ["30d", "720h", " 30 d", "43200min", "2592000s", timedelta(days=30), np.timedelta64(30, "D"), 2592000]
    fits = [palate.EASE(weight_decay=5.0, half_life=text).fit(choices(), progress=False) for text in texts]
    assert {rec.model.factors.fading.half_life for rec in fits} == {2592000.0}
    assert palate.EASE(half_life=timedelta(days=30)).options()["half_life"] == 2592000.0
    assert palate.EASE(half_life="30d").label() == "EASE(half_life='30d')"
    assert palate.EASE(half_life="2w").with_options({"recency": 2}).label() == "EASE(recency=2, half_life='2w')"


@pytest.mark.parametrize("text", ["30", "d", "30m", "-3d", "0d", 0, -1, float("nan"), float("inf"), True, [], "1e3d"])
@pytest.mark.parametrize("recipe", [palate.EASE, palate.Popularity, palate.ImplicitALS])
def test_what_is_no_length_of_time_is_refused(recipe, text):
    with pytest.raises(OptionError, match=r'half_life=.*"30d"'):
        recipe(half_life=text)


@pytest.mark.parametrize("recency", [0, -1, float("nan"), float("inf"), "5", True])
@pytest.mark.parametrize("recipe", [palate.SparseEASE, palate.Neighbors, palate.Popularity])
def test_what_is_no_number_of_events_is_refused(recipe, recency):
    with pytest.raises(OptionError, match="recency must be a number above 0"):
        recipe(recency=recency)


@pytest.mark.parametrize("recipe", [*WEIGHED, palate.Popularity()], ids=by_label)
def test_ages_need_times_and_the_order_does_not(recipe):
    untimed = palate.read(frame().drop("time"), kind="implicit")
    with pytest.raises(DataError, match=r"no times: .*time=.*recency="):
        recipe.with_options({"half_life": "3d"}).fit(untimed, progress=False)
    recipe.with_options({"recency": 3}).fit(untimed, progress=False)


@pytest.mark.parametrize("recipe", [palate.Neighbors(recency=3), palate.Popularity(half_life="3d")], ids=by_label)
def test_ratings_have_no_weights_of_choices(recipe):
    with pytest.raises(OptionError, match="weigh choices, and these are ratings"):
        recipe.fit(palate.datasets.synthetic(20, 10, 100, seed=1), progress=False)


def test_ease_that_goes_on_as_sparse_ease_keeps_its_weights(monkeypatch):
    monkeypatch.setattr(palate.EASE, "_is_too_much", lambda *_: True)
    rec = palate.EASE(recency=3, half_life="20d").fit(choices(), progress=False)
    assert rec.model.factors.fading == Fading(3.0, 20.0 * DAY)


def test_data_defaults_are_what_a_fit_takes():
    ratings = palate.read(frame(n=3000, n_users=150, n_items=60), kind="implicit", duplicates="keep")
    for recipe in (palate.EASE(recency=3), palate.SparseEASE(recency=3), palate.ImplicitALS(n_factors=4, recency=3)):
        taken = recipe.fit(ratings, progress=False).model.training
        assert {name: taken[name] for name in recipe.data_defaults(ratings) if name in taken}
        for name, value in recipe.data_defaults(ratings).items():
            assert name not in taken or taken[name] == pytest.approx(value)


@pytest.mark.parametrize("recipe", [*WEIGHED, palate.Popularity()], ids=by_label)
def test_events_of_long_ago_count_next_to_nothing_and_break_nothing(recipe):
    rec = recipe.with_options({"recency": 0.01, "half_life": "1s"}).fit(choices(), progress=False)
    found = rec.recommend(n=5)
    assert np.isfinite(found["score"].to_numpy()).all() and len(found)


def test_an_empty_history_has_no_weights():
    assert len(Fading(2.0).weights(CompressedRows.empty(3))) == 0


# ---- files


@pytest.mark.parametrize(
    "fading", [{"recency": -1}, {"recency": 0}, {"half_life": -5.0}, {"other": 1}, {"recency": "much"}, [1]], ids=str
)
@pytest.mark.parametrize("recipe", [WEIGHED[0], WEIGHED[2], WEIGHED[4], palate.Popularity()], ids=by_label)
def test_a_file_with_a_fading_that_cannot_be_is_refused(recipe, fading, tmp_path):
    path = tmp_path / "m.palate"
    recipe.with_options({"recency": 3}).fit(choices(), progress=False).save(path)
    tensors, header = container.read(path)
    place = header["factors"]
    (where,) = {"histories", "implicit", "popular"} & set(place)
    if where == "popular":
        place["popular"] = fading
    else:
        place[where]["fading"] = fading
    container.write(path, tensors, header)
    with pytest.raises(TamperedModelError):
        palate.load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda times: times[::-1],
        lambda times: times[:-1],
        lambda times: times.astype(np.int32),
        lambda times: times.astype(np.float64),
        lambda times: times.reshape(1, -1),
    ],
)
def test_a_file_with_times_that_cannot_be_is_refused(change, tmp_path):
    path = tmp_path / "m.palate"
    palate.EASE(weight_decay=5.0, half_life="9d").fit(choices(), progress=False).save(path)
    tensors, header = container.read(path)
    changed = {**tensors, "history.times": np.ascontiguousarray(change(tensors["history.times"]))}
    container.write(path, changed, header)
    with pytest.raises(TamperedModelError):
        palate.load(path)


def test_a_file_of_before_has_neither_times_nor_fading(tmp_path):
    path = tmp_path / "m.palate"
    rec = palate.EASE(weight_decay=5.0).fit(choices(), progress=False)
    rec.save(path)
    tensors, header = container.read(path)
    assert "fading" not in header["factors"]["histories"]
    container.write(path, {name: one for name, one in tensors.items() if name != "history.times"}, header)
    old = palate.load(path)
    assert old.model.history.times is None
    assert old.recommend("u05", recent=3).equals(rec.recommend("u05", recent=3))
