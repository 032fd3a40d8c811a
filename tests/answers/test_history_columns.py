"""Models in which only items and users that were rated often are columns of the history: every answer, and the file."""

import numpy as np
import pytest

import palate
from palate.recipes.gibbs import sizes
from palate.storing.consistency import check_model

N_USERS, N_ITEMS = 30, 24
FREQUENT = [f"i{item:02}" for item in range(8)]


@pytest.fixture(scope="module")
def fitted():
    """Of the items only the first eight, and of the users some, have columns."""
    rng = np.random.default_rng(3)
    pairs = [(u, i) for u in range(N_USERS) for i in range(N_ITEMS) if (u + i) % 5 if i < 8 or (u + i) % 7 == 0]
    users, items = [f"u{u:02}" for u, _ in pairs], [f"i{i:02}" for _, i in pairs]
    ratings = palate.read({"user": users, "item": items, "rating": rng.integers(1, 6, len(pairs)).tolist()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sizes, "FEW_ROWS", 0)
        rec = palate.Bayes(n_factors=3, n_sweeps=20, n_samples=4, seed=1).fit(ratings, progress=False)
    return ratings, rec


def with_column(rec):
    info = rec.model.user_info
    return sorted(rec.model.item_vocabulary.decode(np.flatnonzero(info.columns >= 0)).tolist())


def test_only_items_seen_often_have_a_column(fitted):
    ratings, rec = fitted
    counts = np.bincount(ratings.item_codes, minlength=N_ITEMS)
    assert with_column(rec) == FREQUENT == sorted(ratings.item_vocabulary.decode(np.flatnonzero(counts >= 10)).tolist())
    assert rec.model.posterior.users.link.shape == (3, 8, 4)
    assert 0 < rec.model.item_info.n_history < N_USERS


def test_who_rated_only_rare_items_is_taken_for_somebody_without_history(fitted):
    _, rec = fitted
    model = rec.model
    rows = model.fold_in(rec.fold_in({"i20": 5, "i21": 1})._rows.history)
    assert rows.features.counts.tolist() == [0]
    samples = model.posterior.users
    np.testing.assert_array_equal(samples.means(rows.features)[:, 0], samples.mean)
    assert (samples.means(model.features_of(model.user_rows(np.array([0], np.int32))))[:, 0] != samples.mean).any()


def test_answers_are_the_same_after_save_and_load(fitted, tmp_path):
    ratings, rec = fitted
    rec.save(tmp_path / "m.palate")
    again = palate.load(tmp_path / "m.palate")
    assert with_column(again) == FREQUENT
    for one in (rec, again):
        assert one.predict_codes(ratings.user_codes, ratings.item_codes)[0].tolist() == (
            rec.predict_codes(ratings.user_codes, ratings.item_codes)[0].tolist()
        )
        assert one.fold_in({"i01": 5}).recommend(3).equals(rec.fold_in({"i01": 5}).recommend(3))
        assert (
            one.fold_in({"u01": 5}, side="item").recommend(3).equals(rec.fold_in({"u01": 5}, side="item").recommend(3))
        )
        why = one.explain("u01", "i02")
        shares = sum(reason.contribution for reason in why.because) + sum(why.known.values()) + why.rest
        assert shares == pytest.approx(why.parts["user"] + why.parts["factors"], abs=1e-4)


def test_new_items_and_users_get_no_column_by_an_update(fitted, tmp_path):
    _, rec = fitted
    updated = rec.update({"user": ["u01", "newt"], "item": ["i99", "i01"], "rating": [5, 1]})
    assert with_column(updated) == FREQUENT
    assert updated.model.user_info.columns.tolist()[-1] == updated.model.item_info.columns.tolist()[-1] == -1
    assert np.isfinite(updated.predict("newt", "i99").prediction)
    check_model(updated.model)
    updated.save(tmp_path / "updated.palate")
    assert palate.load(tmp_path / "updated.palate").predict("newt", "i99") == updated.predict("newt", "i99")


@pytest.mark.parametrize("gone", [["i03"], ["i20"], FREQUENT, FREQUENT[1:]])
def test_a_forgotten_item_takes_its_column_along(gone, fitted, tmp_path):
    _, rec = fitted
    left = rec.forget(items=gone)
    assert with_column(left) == [item for item in FREQUENT if item not in gone]
    check_model(left.model)
    kept = np.array([item not in gone for item in FREQUENT])
    old, new = rec.model.posterior, left.model.posterior
    np.testing.assert_array_equal(new.users.link, old.users.link[:, kept])
    left.save(tmp_path / "left.palate")
    loaded = palate.load(tmp_path / "left.palate")
    assert loaded.predict("u01", "i21") == left.predict("u01", "i21")
    assert loaded.fold_in({"i21": 5}).recommend(3).equals(left.fold_in({"i21": 5}).recommend(3))
    again = loaded.update({"user": ["u02"], "item": ["i50"], "rating": [3]})
    assert np.isfinite(again.predict("u02", "i50").prediction)


def test_a_compact_model_needs_no_columns(fitted, tmp_path):
    _, rec = fitted
    rec.compact().save(tmp_path / "c.palate")
    assert palate.load(tmp_path / "c.palate").predict("u01", "i02").prediction == rec.predict("u01", "i02").prediction
