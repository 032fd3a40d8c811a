"""EASE and SparseEASE with a table of items: the closed form with features, and items without choices."""

import numpy as np
import polars as pl
import pytest

import palate
from palate.data.rows import CompressedRows, rows_where
from palate.errors import OptionError
from palate.models.item_weights import check_rows
from palate.recipes import ease_features
from palate.recipes.closed_form import by_items
from palate.recipes.ease_cold import TRUST, alike, fill_cold, with_cold
from palate.recipes.ease_features import UNTRIED, WEIGHTS, ItemFeatures, Setting, affordable, choose_weight, scales_of

KINDS = ["tea", "jam", "milk", "bun"]
RECIPES = {"EASE": palate.EASE(weight_decay=20.0), "SparseEASE": palate.SparseEASE(k=30, weight_decay=20.0)}
each = pytest.mark.parametrize("name", RECIPES)


def planted(n_users=200, n_items=80, n_cold=8, by_kind=0.5, seed=0):
    """Users who mostly choose items of one kind; nobody has chosen the last items, one in a hundred has no kind."""
    rng = np.random.default_rng(seed)
    tastes, kinds = rng.integers(0, 4, n_users), rng.integers(0, 4, n_items)
    users, items = np.nonzero(rng.random((n_users, n_items)) < np.where(tastes[:, None] == kinds, by_kind, 0.06))
    keep = items < n_items - n_cold
    names = [KINDS[at] for at in kinds]
    names[-1] = None
    return palate.Ratings(
        users[keep], items[keep], np.ones(keep.sum(), np.float32), kind="implicit",
        user_vocabulary=palate.Vocabulary.in_order([f"u{n:03}" for n in range(n_users)], what="user"),
        item_vocabulary=palate.Vocabulary.in_order([f"i{n:02}" for n in range(n_items)], what="item"),
        item_table=pl.DataFrame({"kind": names}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def likes():
    return planted()


def without_table(likes):
    return palate.Ratings(
        likes.user_codes, likes.item_codes, likes.values, kind="implicit",
        user_vocabulary=likes.user_vocabulary, item_vocabulary=likes.item_vocabulary,
    )  # fmt: skip


def dense(rows, n_columns):
    out = np.zeros((rows.n_rows, n_columns))
    out[np.repeat(np.arange(rows.n_rows), rows.counts), rows.indices] = rows.values
    return out


def test_the_closed_form_is_that_of_choices_and_features(likes):
    """P = (X'WX + weight F D F' + L)^-1, by hand in float64."""
    features, histories = ItemFeatures.of(likes), likes.by_user()
    known = np.sort(features.known(histories))
    X = features.choices_and_features(histories, None, known, 0.5, 7.0)
    F, C = dense(features.rows, 80).T, dense(histories, 80)
    users = np.maximum(C.sum(axis=1), 1) ** -0.5
    users *= C.sum() / (users @ C.sum(axis=1))
    weights = 7.0 / np.sqrt((F > 0).sum(axis=0))
    G = (C.T * users) @ C + (F * weights) @ F.T
    wanted = np.linalg.inv(G[np.ix_(known, known)] + 3 * np.eye(len(known)))
    np.testing.assert_allclose(by_items(X, np.full(len(known), 3, np.float32)), wanted, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(X.masses, np.diag(G)[known], rtol=1e-5)
    assert len(known) == 79  # the last item has neither choices nor features


def test_popular_items_stand_first_and_scales_are_those_of_popularity(likes):
    features, histories = ItemFeatures.of(likes), likes.by_user()
    known = features.known(histories)
    counts = np.bincount(histories.indices, minlength=80)
    assert (np.diff(counts[known]) <= 0).all()
    scales = scales_of(histories, known, 0.5)
    mean = counts[counts > 0].mean()
    np.testing.assert_allclose(scales, (np.maximum(counts[known], 1) / mean) ** -0.5)
    np.testing.assert_array_equal(scales_of(histories, known, 0.0), 1)


@each
def test_items_without_choices_are_recommended_to_those_who_like_their_kind(name, likes):
    rec = RECIPES[name].fit(likes, progress=False)
    kinds = likes.item_table["kind"].to_list()
    cold = [f"i{n}" for n in range(72, 79)]
    tastes = [
        max(KINDS, key=[kinds[i] for i in row].count)
        for row in np.split(likes.by_user().indices, likes.by_user().indptr[1:-1])
    ]
    lists = rec.recommend([f"u{n:03}" for n in range(200)], n=1, items=cold)
    present = {kinds[n] for n in range(72, 79)}
    pairs = [(tastes[int(u[1:])], kinds[int(i[1:])]) for u, i in lists.select("user", "item").rows()]
    assert np.mean([taste == kind for taste, kind in pairs if taste in present]) > 0.8
    assert rec.model.factors.are_weighted[72:79].all() and not rec.model.factors.are_weighted[79]


@each
def test_features_that_the_closed_form_has_no_room_for_still_say_what_items_look_like(name, likes, monkeypatch):
    """Texts and vectors of a large catalogue: every item has each of their features."""
    monkeypatch.setattr(ease_features, "affordable", lambda rows: rows_where(rows, np.zeros(rows.n_rows, bool)))
    rec = RECIPES[name].fit(likes, progress=False)
    assert rec.model.training["feature_weight"] == UNTRIED
    assert rec.model.factors.are_weighted[72:79].all() and not rec.model.factors.are_weighted[79]
    plain = RECIPES[name].fit(without_table(likes), progress=False)
    np.testing.assert_allclose(weights_of(rec)[:72, :72], weights_of(plain)[:72, :72], rtol=1e-5, atol=1e-7)


@each
def test_without_a_table_or_with_features_off_nothing_changes(name, likes):
    plain = RECIPES[name].fit(without_table(likes), progress=False).model
    off = type(RECIPES[name])(**{**RECIPES[name].options(), "features": False}).fit(likes, progress=False).model
    weights = [
        m.factors.weights.values if isinstance(m.factors.weights, CompressedRows) else m.factors.weights
        for m in (plain, off)
    ]
    assert weights[0].tobytes() == weights[1].tobytes()
    assert "feature_weight" not in plain.training
    with pytest.raises(OptionError, match="features"):
        type(RECIPES[name])(features=1)


@each
def test_any_number_of_threads_gives_the_same_bytes(name, likes):
    options = RECIPES[name].options()
    fits = [type(RECIPES[name])(**{**options, "n_threads": n}).fit(likes, progress=False) for n in (1, 2, 3)]
    weights = [fit.model.factors.weights for fit in fits]
    values = [w.values if isinstance(w, CompressedRows) else w for w in weights]
    assert values[0].tobytes() == values[1].tobytes() == values[2].tobytes()


def weights_of(rec):
    weights = rec.model.factors.weights
    return dense(weights, rec.n_items) if isinstance(weights, CompressedRows) else weights


@each
def test_choices_of_described_items_arrive_by_update(name, likes, tmp_path):
    """They have weights already, and keep them while their choices say less; items without any get some at once."""
    rec = RECIPES[name].fit(likes, progress=False)
    larger = rec.update({"user": ["new", "u003"], "item": ["i75", "i75"]})
    kinds = likes.item_table["kind"].to_list()
    top = larger.recommend("new", n=5)["item"].to_list()
    assert np.mean([kinds[int(item[1:])] == kinds[75] for item in top]) >= 0.8
    described, late = larger.model.factors.is_described, rec.update({"user": ["new"], "item": ["i79"]})
    assert np.flatnonzero(described).tolist() == [75]
    assert not larger.model.factors.is_late.any()
    assert weights_of(larger).tobytes() == weights_of(rec).tobytes()
    assert np.flatnonzero(late.model.factors.is_late).tolist() == [79]
    assert late.model.factors.is_described.sum() == 0
    users = likes.user_vocabulary.labels[:60].tolist()
    known = larger.update({"user": users, "item": ["i75"] * len(users)})
    assert np.flatnonzero(known.model.factors.is_late).tolist() == [75]
    assert not known.model.factors.is_described.any()
    assert (weights_of(known)[:, 75] != weights_of(rec)[:, 75]).any()
    at_once = rec.update({"user": ["new", *users], "item": ["i75"] * (len(users) + 1)})
    order = at_once.model.user_vocabulary.encode(known.model.user_vocabulary.labels)
    assert (order >= 0).all()
    np.testing.assert_allclose(weights_of(at_once), weights_of(known), rtol=1e-3, atol=1e-5)
    with pytest.raises(OptionError, match="cannot place new items by a table alone"):
        rec.update(items={"item": ["new"], "kind": ["tea"]})
    larger.save(tmp_path / "model.palate")
    assert palate.load(tmp_path / "model.palate").recommend("new", n=5).equals(larger.recommend("new", n=5))
    why = larger.explain("new", "i75" if top[0] == "i75" else top[0])
    assert sum(why.parts.values()) == pytest.approx(why.prediction, abs=1e-6)
    assert [reason.item for reason in why.because] == ["i75"]


def test_features_that_tell_much_weigh_more_than_noise(likes):
    setting = Setting(20.0, 0.33, 0.5, 0.0)
    told = choose_weight(likes.by_user(), None, ItemFeatures.of(likes), setting)
    noise = likes.with_items(pl.DataFrame({"kind": np.random.default_rng(5).integers(0, 4, 80).astype(str)}))
    untold = choose_weight(noise.by_user(), None, ItemFeatures.of(noise), setting)
    assert told in WEIGHTS and untold in WEIGHTS
    assert told > untold
    few = likes[likes.user_codes < 60]
    assert choose_weight(few.by_user(), None, ItemFeatures.of(few), setting) == UNTRIED


def test_features_of_too_many_items_are_left_out_the_most_frequent_first():
    rows = CompressedRows.of(
        np.array([0] * 5 + [1] * 2 + [2] * 3, np.int32), np.array([*range(5), 0, 1, 0, 1, 2], np.int32),
        np.ones(10, np.float32), None, 3,
    )  # fmt: skip
    assert affordable(rows, 38).counts.tolist() == [5, 2, 3]
    assert affordable(rows, 37).counts.tolist() == [0, 2, 3]
    assert affordable(rows, 12).counts.tolist() == [0, 2, 0]


def test_a_table_without_features_is_no_table(likes):
    assert ItemFeatures.of(without_table(likes)) is None
    assert ItemFeatures.of(likes.with_items(pl.DataFrame({"name": [f"x{n}q" for n in range(80)]}))) is None


def test_a_cold_item_has_half_the_mean_score_of_the_items_it_looks_like(likes):
    """With one column of kinds all cosines are 1: the mean over all items of its kind, the item itself counting 1."""
    rec = RECIPES["EASE"].fit(likes, progress=False)
    kinds, W = np.array(likes.item_table["kind"].to_list()), rec.model.factors.weights.astype(np.float64)
    for cold in (72, 75, 78):
        like = np.flatnonzero(kinds[:72] == kinds[cold])
        wanted = TRUST * (W[:, like] + np.eye(80)[:, like]).mean(axis=1)
        wanted[cold] = 0
        np.testing.assert_allclose(W[:, cold], wanted, atol=1e-5)


def test_columns_of_cold_items_are_the_same_in_both_kinds_of_weights(likes):
    features, histories = ItemFeatures.of(likes), likes.by_user()
    rng = np.random.default_rng(0)
    weights = (rng.standard_normal((80, 80)) * (rng.random((80, 80)) < 0.3)).astype(np.float32)
    cold, shares = alike(features, histories)
    assert cold.tolist() == list(range(72, 79))
    np.testing.assert_allclose(dense(shares, 80).sum(axis=1), TRUST, rtol=1e-5)
    users, items = np.nonzero(weights)
    sparse = CompressedRows.of(users.astype(np.int32), items.astype(np.int32), weights[users, items], None, 80)
    sparse = with_cold(sparse, cold, shares)
    check_rows("weights", sparse, 80, 80)
    filled = weights.copy()
    fill_cold(filled, cold, shares)
    np.testing.assert_allclose(dense(sparse, 80), filled, atol=1e-5)
    np.testing.assert_array_equal(filled[:, :72], weights[:, :72])


@pytest.mark.parametrize("recipe", [palate.EASE(), palate.SparseEASE()], ids=repr)
def test_films_that_nobody_chose_are_found_by_their_genres(recipe):
    """On ml-100k, a tenth of the films withheld: recall among them is far above that of lists in random order."""
    likes = palate.datasets.load("ml-100k").likes(at_least=4)
    chosen = np.flatnonzero(np.bincount(likes.item_codes))
    cold = np.random.default_rng(0).permutation(chosen)[: len(chosen) // 10]
    train, test = palate.split_rows(likes, np.isin(likes.item_codes, cold))
    report = palate.evaluate(recipe.fit(train, progress=False), test, k=20, n_bootstrap=20)
    assert report["cold_recall@20"] > 1.5 * 20 / len(cold)
