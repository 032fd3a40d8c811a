"""Items that nobody has rated come into a model."""

import numpy as np
import polars as pl
import pytest

import palate
from helpers.data import told_and_timed
from palate.answers.new_items import with_items
from palate.recommender import Recommender


@pytest.fixture(scope="module")
def ratings():
    return told_and_timed()


@pytest.fixture(scope="module")
def rec(ratings):
    return palate.Bayes(n_sweeps=30).fit(ratings)


def test_a_new_item_is_predicted_as_its_kind_is(rec, ratings):
    """In the planted order of the kinds, and for each kind as an item folded in by its attributes alone."""
    kinds = ["tea", "jam", "milk"]
    new = {f"new {kind}": {"kind": kind} for kind in kinds}
    larger = Recommender(with_items(rec.model, new))
    users = ratings.user_vocabulary.labels.tolist()
    got = [larger.predict(users, [item] * len(users))["prediction"].mean() for item in new]
    want = [rec.fold_in({}, side="item", features={"kind": kind}).predict(users)["prediction"].mean() for kind in kinds]
    assert got[0] < got[1] < got[2]
    np.testing.assert_allclose(got, want, atol=0.02)


def test_it_is_as_sure_as_an_item_folded_in_by_attributes(rec):
    larger = Recommender(with_items(rec.model, {"new": {"kind": "milk"}}))
    users = rec.model.user_vocabulary.labels[:20].tolist()
    want = rec.fold_in({}, side="item", features={"kind": "milk"}).predict(users)
    got = larger.predict(users, ["new"] * len(users))
    np.testing.assert_allclose(got["prediction"], want["prediction"], atol=0.02)
    np.testing.assert_allclose(got["high"] - got["low"], want["high"] - want["low"], atol=0.25)


def test_it_can_be_recommended_filtered_and_saved(rec, tmp_path):
    larger = Recommender(with_items(rec.model, {"new": {"kind": "milk", "colour": "white"}}))
    user = rec.model.user_vocabulary.labels[:1].tolist()[0]
    assert "new" in larger.recommend(user, n=100, where="kind = 'milk'")["item"].to_list()
    assert "new" not in larger.recommend(user, n=100, where="kind = 'tea'")["item"].to_list()
    larger.save(tmp_path / "larger.palate")
    again = palate.load(tmp_path / "larger.palate")
    assert again.predict(user, "new") == larger.predict(user, "new")


def test_nobody_else_changes(rec, ratings):
    larger = Recommender(with_items(rec.model, {"new": {"kind": "milk"}, "other": {}}))
    pairs = pl.DataFrame({"user": ratings.to_frame()["user"][:200], "item": ratings.to_frame()["item"][:200]})
    assert larger.predict(pairs).equals(rec.predict(pairs))


def test_a_known_item_gets_other_attributes(rec):
    item = rec.model.item_vocabulary.labels[:1].tolist()[0]
    changed = with_items(rec.model, {item: {"kind": "cheese"}})
    assert changed.item_table["kind"][0] == "cheese"
    assert changed.item_table["kind"][1:].equals(rec.model.item_table["kind"][1:])
    assert rec.model.item_table["kind"][0] != "cheese"


@pytest.mark.parametrize("recipe", [palate.ALS(n_sweeps=3), palate.Bias(), palate.SGD(n_epochs=2)], ids=repr)
def test_without_attributes_it_is_as_any_unknown_item(recipe):
    plain = palate.datasets.synthetic(60, 40, 1200, seed=1)
    rec = recipe.fit(plain)
    larger = Recommender(with_items(rec.model, {"new": {"kind": "tea"}}))
    assert larger.predict("u1", "new").prediction == pytest.approx(rec.predict("u1", "unknown").prediction, abs=1e-4)


@pytest.mark.parametrize("recipe", [palate.EASE(), palate.ImplicitALS(n_sweeps=2), palate.BPR(n_epochs=2)], ids=repr)
def test_models_of_choices_take_it_and_never_recommend_it_first(recipe):
    likes = palate.datasets.synthetic(60, 40, 1200, seed=1).likes(4)
    larger = Recommender(with_items(recipe.fit(likes).model, {"new": {}}))
    assert len(larger.recommend("u1", n=100)) > 0
    assert larger.recommend("u1", n=1)["item"][0] != "new"


def test_values_of_other_types_are_missing(rec):
    changed = with_items(rec.model, {"new": {"kind": ["a", "list"]}, "newer": {"kind": 3}})
    assert changed.item_table["kind"].tail(2).to_list() == [None, None]
