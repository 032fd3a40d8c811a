"""EASE: the closed form against float64, its optimum, what update and forget do, memory, hostile files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palate
from palate.data.rows import CompressedRows
from palate.errors import OptionError, TamperedModelError
from palate.models.implicit import choice_signals
from palate.recipes import closed_form, costs, ease
from palate.storing.container import read, write


def choices(pairs, counts=None, n_users=None, n_items=None):
    """Implicit ratings of (user, item) codes."""
    users, items = (np.array(side, np.int32) for side in zip(*pairs, strict=True))
    sizes = n_users or int(users.max()) + 1, n_items or int(items.max()) + 1
    labels = (
        palate.Vocabulary([f"{what[0]}{at:03}" for at in range(n)], what=what)
        for what, n in zip(("user", "item"), sizes, strict=True)
    )
    users_known, items_known = labels
    return palate.Ratings(
        users, items, np.ones(len(users)), user_vocabulary=users_known, item_vocabulary=items_known, kind="implicit",
        weights=None if counts is None else np.array(counts, np.float32),
    )  # fmt: skip


def drawn(n_users, n_items, share, seed, *, with_counts=False):
    rng = np.random.default_rng(seed)
    there = rng.random((n_users, n_items)) < share * rng.random(n_items) * 2
    there[0, 0] = True
    pairs = list(zip(*np.nonzero(there), strict=True))
    return choices(pairs, rng.integers(1, 50, len(pairs)) if with_counts else None, n_users, n_items)


def matrix_of(likes, confidence="relative"):
    X = np.zeros((likes.n_users, likes.n_items))
    rows = likes.by_user()
    signals = choice_signals(rows, confidence)
    codes = np.repeat(np.arange(likes.n_users), rows.counts)
    X[codes, rows.indices] = 1 if signals is None else signals
    return X


def weights_of(rec):
    return rec.model.factors.weights.astype(np.float64)


AS_PUBLISHED = {"dropout": 0.0, "user_exponent": 0.0, "item_exponent": 0.0}  # Steck 2019
OPTIONS = [AS_PUBLISHED, {}, {"dropout": 0.5, "user_exponent": 1.0, "item_exponent": 0.3}]


def by_formula(X, decay, dropout=0.33, user_exponent=0.5, item_exponent=0.1):
    """B_ij = -P_ij / P_jj in float64, of weighted users, with decays that grow with the mass of an item."""
    chosen = X > 0
    w = np.maximum(chosen.sum(1), 1.0) ** -user_exponent
    w *= chosen.sum() / (w @ chosen.sum(1))
    G = X.T @ (w[:, None] * X)
    P = np.linalg.inv(G + np.diag(decay + dropout / (1 - dropout) * np.diag(G)))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    popularity = chosen.sum(0)
    return np.where(
        popularity > 0, B / (np.maximum(popularity, 1) / popularity[popularity > 0].mean()) ** item_exponent, 0
    )


@pytest.mark.parametrize("options", OPTIONS, ids=["as published", "usual", "strong"])
@pytest.mark.parametrize("size", [(150, 40), (40, 150), (60, 60), (700, 300)])  # by items, and by users
@pytest.mark.parametrize("with_counts", [False, True])
def test_the_weights_are_those_of_the_formula(size, with_counts, options):
    likes = drawn(*size, 0.15, seed=2, with_counts=with_counts)
    B = weights_of(palate.EASE(weight_decay=20.0, **options).fit(likes))
    np.testing.assert_allclose(B, by_formula(matrix_of(likes), 20.0, **options), atol=3e-6)


def test_dropout_is_the_mean_over_all_ways_to_hide_choices():
    """Steck 2020: the weights that undo dropout on average, drawn here many times, of an item from all items kept."""
    likes, dropout, rng = drawn(30, 6, 0.5, seed=3), 0.4, np.random.default_rng(0)
    X = matrix_of(likes)
    G, H = np.zeros((6, 6)), np.zeros((6, 6))
    n_draws = 20_000
    for _ in range(n_draws):
        seen = X * (rng.random(X.shape) > dropout)
        G += seen.T @ seen / n_draws
        H += seen.T @ X / n_draws
    expected = np.zeros((6, 6))
    for j in range(6):  # ridge regression of whole column j on what was left of the others
        others = np.delete(np.arange(6), j)
        ridge = 2.0 * (1 - dropout) ** 2 * np.eye(5)
        expected[others, j] = np.linalg.solve(G[np.ix_(others, others)] + ridge, H[others, j])
    B = weights_of(palate.EASE(weight_decay=2.0, dropout=dropout, user_exponent=0.0, item_exponent=0.0).fit(likes))
    np.testing.assert_allclose(B * (1 / (1 - dropout)), expected, atol=5e-3)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 10**6), st.sampled_from([0.5, 5.0, 300.0]))
def test_every_column_solves_its_own_ridge_regression(n_users, n_items, seed, decay):
    likes = drawn(n_users, n_items, 0.4, seed)
    X, B = matrix_of(likes), weights_of(palate.EASE(weight_decay=decay, **AS_PUBLISHED).fit(likes))
    assert (np.diag(B) == 0).all()
    gradient = X.T @ (X @ B - X) + decay * B
    np.fill_diagonal(gradient, 0)  # of what is free
    assert np.abs(gradient).max() < 1e-4 * max(1.0, X.sum())


# ---- the weight decay chosen by the data: tests/recipes/test_ease_decay.py


def test_counts_enter_relative_to_the_users_mean_count():
    rows = CompressedRows.of(np.array([0, 0, 1], np.int32), np.array([0, 1, 0], np.int32), np.ones(3, np.float32),
                             np.array([1, 3, 7], np.float32), 2)  # fmt: skip
    usual = 1 + np.log(2)
    expected = [(1 + np.log(1.5)) / usual, (1 + np.log(2.5)) / usual, 1]
    np.testing.assert_allclose(choice_signals(rows, "relative"), expected, rtol=1e-6)
    assert choice_signals(rows, "equal") is None


def test_scores_are_histories_times_weights():
    likes = drawn(50, 30, 0.3, seed=6, with_counts=True)
    rec = palate.EASE().fit(likes)
    expected = matrix_of(likes) @ weights_of(rec)
    np.testing.assert_allclose(rec.model.factors.user_scores(), expected, atol=1e-5)
    pairs = np.random.default_rng(1).integers(0, [50, 30], (200, 2)).astype(np.int32)
    users, items = np.ascontiguousarray(pairs.T)
    np.testing.assert_allclose(rec.predict_codes(users, items)[0], expected[users, items], atol=1e-5)
    why = rec.explain("u003", "i004")
    shares = {reason.item: reason.contribution for reason in why.because}
    X, B = matrix_of(likes), weights_of(rec)
    for code in np.flatnonzero(X[3]):
        assert shares[f"i{code:03}"] == pytest.approx(X[3, code] * B[code, 4], abs=1e-6)


def test_items_without_choices_have_no_weights():
    rec = palate.EASE().fit(choices([(0, 1), (1, 1), (1, 3), (2, 3)], n_items=6))
    B = weights_of(rec)
    assert not B[[0, 2, 4, 5]].any()
    assert not B[:, [0, 2, 4, 5]].any()
    assert B[1, 3] > 0


# ---- update and forget


def more_of(pairs):
    return palate.read({"user": [user for user, _ in pairs], "item": [item for _, item in pairs]}, kind="implicit")


def test_an_update_counts_at_once_and_leaves_the_weights():
    likes = drawn(40, 20, 0.3, seed=8)
    rec = palate.EASE().fit(likes)
    known = set(rec.history("u001")["item"])
    fresh = next(item for item in rec.model.item_vocabulary if item not in known)
    after = rec.update(more_of([("u001", fresh), ("new", fresh)]))
    assert (after.n_users, after.n_items) == (41, 20)
    np.testing.assert_array_equal(weights_of(after), weights_of(rec))
    told = rec.fold_in([*known, fresh])
    for item in rec.model.item_vocabulary:
        assert after.predict("u001", item).prediction == pytest.approx(told.predict(item).prediction, abs=1e-6)
        assert after.predict("new", item).prediction == rec.fold_in([fresh]).predict(item).prediction
    back = after.forget(users=["new"])
    np.testing.assert_array_equal(weights_of(back), weights_of(rec))
    fewer = back.forget(items=[fresh])
    kept = [code for code, item in enumerate(rec.model.item_vocabulary) if item != fresh]
    np.testing.assert_array_equal(weights_of(fewer), weights_of(rec)[np.ix_(kept, kept)])


@pytest.mark.parametrize("recipe", [palate.Neighbors(), palate.Neighbors(k=5)])
def test_choices_of_items_without_weights_are_refused(recipe):
    """Such items would never be recommended: new ones, and those of the vocabulary that nobody had chosen."""
    likes = drawn(40, 20, 0.3, seed=8)
    rec = recipe.fit(likes[likes.item_codes != 4])
    cold, *known = likes.item_vocabulary.labels[[4, 5, 6]].tolist()
    for item in ("thing", cold):
        with pytest.raises(OptionError, match=f"never recommend items that are new in these choices: '{item}'. Fit ag"):
            rec.update(more_of([("u001", known[0]), ("new", item), ("u002", item)]))
    with pytest.raises(OptionError, match="and 1 more"):
        rec.update(more_of([("new", "thing"), ("new", cold)]))
    after = rec.update(more_of([("new", item) for item in known]))
    assert after.recommend("new", n=5).height == 5


@pytest.mark.parametrize(
    "recipe",
    [
        palate.ImplicitALS(n_factors=8),
        palate.Neighbors(by="users"),
        palate.Popularity(),
        palate.EASE(),
        palate.Neighbors(),
    ],
)
def test_what_an_update_takes_can_be_recommended(recipe):
    """An item that a third of the users choose is among the first for the others, or it is refused."""
    likes = drawn(40, 20, 0.3, seed=8)
    rec = recipe.fit(likes)
    try:
        after = rec.update(more_of([(user, "thing") for user in likes.user_vocabulary.labels[:25]]))
    except OptionError:
        assert recipe == palate.Neighbors()
        return
    others = after.recommend(likes.user_vocabulary.labels[25:].tolist(), n=10)
    assert (others["item"] == "thing").sum() > 10


def test_ratings_of_another_kind_are_no_update():
    rec = palate.EASE().fit(drawn(20, 10, 0.4, seed=1))
    with pytest.raises(OptionError, match="learned from implicit feedback"):
        rec.update(palate.read({"user": ["u001"], "item": ["i001"], "rating": [4]}))


def test_a_new_item_cannot_be_folded_in():
    rec = palate.EASE().fit(drawn(20, 10, 0.4, seed=1))
    with pytest.raises(OptionError, match="cannot compute those of a new item"):
        rec.fold_in(["u001"], side="item")


# ---- memory


def test_what_does_not_fit_is_refused_with_the_number():
    likes = choices([(0, 0), (1, 99_999)], n_items=100_000)
    with pytest.raises(OptionError, match=r"EASE of 100,000 items needs 40 GB, more than the 2 GB that memory= allows"):
        palate.EASE(memory="2GB").fit(likes)
    assert ease.memory_needed(6000, 3000, 3000) == 4 * 3000 * 3000 * 3 // 2
    assert ease.memory_needed(10, 100, 100) == 4 * (100 * 100 + 10 * 10 + 2 * 10 * 100)
    assert palate.EASE(memory="1MB").fit(drawn(20, 10, 0.4, seed=1)).n_items == 10


def test_what_the_machine_has_free_is_the_limit(monkeypatch):
    monkeypatch.setattr(costs, "available_memory", lambda: 10_000)
    with pytest.raises(OptionError, match=r"needs 10\.4 KB, more than the 10 KB that this machine has free"):
        costs.check_memory("EASE", 10_400, 50, None, "SparseEASE")
    for module in (costs, ease):  # a machine that does not say
        monkeypatch.setattr(module, "available_memory", lambda: None)
    palate.EASE().fit(choices([(0, at) for at in range(50)]))


def test_amounts_of_memory():
    assert [costs.bytes_of(text) for text in ("256MB", "2 gb", "1.5KB", "12", 12, "3B", "1TB")] == [
        256_000_000, 2_000_000_000, 1500, 12, 12, 3, 10**12,
    ]  # fmt: skip
    for wrong in ("", "GB", "-1GB", "1PB", "1e9", "0", True, None, 0, "nan"):
        with pytest.raises(OptionError, match="give a size such as"):
            costs.bytes_of(wrong)
    assert costs.available_memory() > 10**6
    assert [costs.as_bytes(n) for n in (12, 55_000_000, 1_240_000_000)] == ["12 bytes", "55 MB", "1.24 GB"]


def test_the_memory_needed_is_shown_before_the_fit(capsys):
    palate.EASE().fit(drawn(20, 10, 0.4, seed=1), progress=True)
    assert "needs 600 bytes" in capsys.readouterr().err


def block(n_users, n_items, per_user):
    """Each user's choices in a row of the catalogue."""
    return choices([(u, (u + i) % n_items) for u in range(n_users) for i in range(per_user)], None, n_users, n_items)


@pytest.mark.parametrize("size", [(2100, 2200), (2200, 2100)])  # by users, and by items
@pytest.mark.parametrize(("limit", "value"), [("MANY_BYTES", 10**6), ("MANY_SECONDS", 1e-9)])
def test_a_large_fit_says_its_bytes_and_seconds_before_it_begins(monkeypatch, capsys, size, limit, value):
    def stop(*_):
        raise InterruptedError

    likes = block(*size, 3)
    monkeypatch.setattr(closed_form, "invert", stop)  # the fit itself is never begun
    for patched in (False, True):
        if patched:
            monkeypatch.setattr(costs, limit, value)
        with pytest.raises(InterruptedError):
            palate.EASE().fit(likes)
        said = capsys.readouterr().err
        assert bool(said) == patched
    assert "EASE of" in said and "MB and about" in said and "second" in said and "SparseEASE" in said
    with pytest.raises(InterruptedError):
        palate.EASE().fit(likes, progress=False)
    assert capsys.readouterr().err == ""


def test_the_seconds_of_an_inversion_grow_with_the_cube():
    small, large = ease.seconds_to_invert(1024), ease.seconds_to_invert(102_400)
    assert 0 < small < 60
    assert large > 1e4 * small


def test_times_in_words():
    assert [costs.as_time(s) for s in (0.2, 40, 119, 120, 7199, 12_600, 10**6)] == [
        "1 second", "40 seconds", "119 seconds", "2 minutes", "120 minutes", "3.5 hours", "278 hours",
    ]  # fmt: skip


def test_the_limit_of_a_container_counts(tmp_path, monkeypatch):
    assert costs._memory_of_container(tmp_path / "none") is None
    (tmp_path / "memory.current").write_text("300\n")
    for limit, free in (("max", None), ("1000", 700), ("200", 0)):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        assert costs._memory_of_container(tmp_path) == free
    monkeypatch.setattr(costs, "_memory_of_container", lambda: 700)
    assert costs.available_memory() == 700


# ---- files


def tampered(tmp_path, change):
    """A model file some of whose parts are others."""
    path = tmp_path / "model.palate"
    palate.EASE().fit(drawn(20, 10, 0.4, seed=1)).save(path)
    tensors, header = read(path)
    tensors = {name: np.array(array) for name, array in tensors.items()}
    change(tensors, header["factors"]["histories"])
    write(path, tensors, header)
    return path


HOSTILE = {
    "too few weights": lambda tensors, _: tensors.update({"item.weights": tensors["item.weights"][:5].copy()}),
    "doubles": lambda tensors, _: tensors.update({"item.weights": tensors["item.weights"].astype(np.float64)}),
    "not finite": lambda tensors, _: tensors["item.weights"].__setitem__((2, 3), np.nan),
    "none": lambda tensors, _: tensors.pop("item.weights"),
    "confidence": lambda _, header: header.update({"confidence": "blind"}),
    "damping": lambda _, header: header.update({"damping": -1}),
    "no confidence": lambda _, header: header.pop("confidence"),
    "neighbors of no measure": lambda _, header: header.update({"measure": "love", "k": 3, "shrinkage": 0}),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused(kind, tmp_path):
    with pytest.raises(TamperedModelError):
        palate.load(tampered(tmp_path, HOSTILE[kind]))


def test_the_history_is_stored_once(tmp_path):
    likes = drawn(30, 20, 0.4, seed=1)
    path = tmp_path / "model.palate"
    palate.EASE().fit(likes).save(path)
    tensors, _ = read(path)
    assert sum(array.size for array in tensors.values() if array.shape == (len(likes),)) == 2 * len(likes)


# ---- real data


@pytest.mark.data
def test_the_bar_of_ml_100k(ml_100k):
    likes = ml_100k.likes(at_least=4)
    rec = palate.EASE().fit(likes[np.arange(len(likes)) % 5 > 0])
    held_out = likes[np.arange(len(likes)) % 5 == 0]
    best = rec.recommend(n=10)
    asked = set(held_out.to_frame().select("user", "item").iter_rows())
    hits = sum(pair in asked for pair in best.select("user", "item").iter_rows())
    popular = palate.Popularity().fit(likes[np.arange(len(likes)) % 5 > 0]).recommend(n=10)
    hits_of_popular = sum(pair in asked for pair in popular.select("user", "item").iter_rows())
    assert hits > 1.5 * hits_of_popular


def test_counts_stay_in_a_batch_with_an_unknown_user():
    likes = palate.datasets.synthetic(40, 20, 400, seed=2).likes(at_least=2)
    counted = likes.with_weights(np.random.default_rng(0).integers(1, 50, len(likes)))
    rec = palate.EASE(weight_decay=20.0).fit(counted)
    alone, batch = rec.recommend("u1", n=5), rec.recommend(["u1", "nobody"], n=5)
    assert batch.filter(user="u1").equals(alone)
    predicted = rec.predict("u1", alone["item"].to_list())["prediction"]
    np.testing.assert_allclose(alone["score"], predicted, atol=1e-6)


def test_a_weight_decay_lost_in_rounding_is_an_error():
    everything = [(user, item) for user in range(20) for item in range(12)]
    data = palate.read(tuple(zip(*everything, strict=True)), kind="implicit")
    with pytest.raises(OptionError, match="weight decay near zero"):
        palate.EASE(weight_decay=1e-12, **AS_PUBLISHED).fit(data)


@pytest.mark.parametrize("options", [
    {"dropout": 1.0}, {"dropout": "0.3"}, {"user_exponent": -0.1}, {"user_exponent": True}, {"item_exponent": "0.1"},
    {"item_exponent": 2},
])  # fmt: skip
def test_shares_and_exponents_are_numbers_in_their_range(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        palate.EASE(**options)
