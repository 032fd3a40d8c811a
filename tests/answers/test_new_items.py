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


@pytest.fixture(scope="module")
def of_vectors(ratings):
    """A model of items with a vector and a text that say their kind."""
    kinds = ratings.item_table["kind"].to_list()
    noise = np.random.default_rng(0).normal(size=(len(kinds), 3))
    words = {"tea": "leaves of the green camellia", "jam": "sugar and boiled berries", "milk": "white from a happy cow"}
    table = pl.DataFrame(
        {
            "item": ratings.item_vocabulary.labels.tolist(),
            "emb": [[float(kind == one) for one in ("tea", "jam", "milk")] for kind in kinds] + 0.1 * noise,
            "about": [f"{words[kind]} with number and more besides, {words[kind]}" for kind in kinds],
        }
    )
    bare = palate.read(ratings.to_frame().select("user", "item", "rating"), items=table)
    return palate.Bayes(n_sweeps=30).fit(bare)


NEW = {"emb": [0, 0, 1], "about": "white from a happy cow"}


def test_vectors_and_texts_of_new_items_count_as_in_a_fold_in(of_vectors, tmp_path):
    assert of_vectors.model.item_info.attributes.group_names == ["emb", "about"]
    of_vectors.save(tmp_path / "vectors.palate")
    users = of_vectors.model.user_vocabulary.labels.tolist()
    for rec in (of_vectors, palate.load(tmp_path / "vectors.palate")):
        larger = Recommender(with_items(rec.model, {"new": NEW}))
        assert larger.model.item_table["emb"].to_list()[-1] == [0, 0, 1]
        got = larger.predict(users, ["new"] * len(users))["prediction"]
        want = rec.fold_in({}, side="item", features=NEW).predict(users)["prediction"]
        np.testing.assert_allclose(got, want, atol=0.02)
        none = rec.fold_in({}, side="item", features={}).predict(users)["prediction"]
        assert np.abs(want - none).max() > 0.1


@pytest.mark.parametrize("wrong", [[1.0], [1.0] * 4, "text", 5, [None, None, 1.0], [["a"]] * 3, {"a": 1}])
def test_a_vector_of_another_length_is_missing(of_vectors, wrong):
    larger = with_items(of_vectors.model, {"new": {"emb": wrong}, "plain": {}})
    user = larger.user_vocabulary.labels[:1].tolist()[0]
    rec = Recommender(larger)
    assert rec.predict(user, "new").prediction == rec.predict(user, "plain").prediction


def test_a_known_item_gets_another_vector(of_vectors):
    known = of_vectors.model.item_vocabulary.labels[:2].tolist()
    larger = with_items(of_vectors.model, {known[1]: {"emb": [1, 2.5, 3]}, known[0]: {"emb": [7]}})
    before, after = (model.item_table["emb"].to_list() for model in (of_vectors.model, larger))
    assert after == [None, [1.0, 2.5, 3.0], *before[2:]]


def test_vectors_arrive_with_an_update(of_vectors):
    arrived = palate.read({"user": ["u1", "u2"], "item": ["new", "new"], "rating": [5.0, 1.0]})
    items = pl.DataFrame({"item": ["new"], "emb": np.ones((1, 3), np.float32), "about": ["a happy cow"]})
    larger = of_vectors.update(arrived, items=items)
    assert larger.model.item_table["emb"].to_list()[-1] == [1.0, 1.0, 1.0]


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


@pytest.mark.parametrize(("known", "given"), [(["tea", "jam"], [["tea"]]), ([["tea"], ["jam", "tea"]], ["tea|jam"])])
def test_lists_in_place_of_single_values_are_refused_in_words(known, given):
    likes = palate.datasets.synthetic(30, 20, 300, seed=1).likes(at_least=3)
    likes = likes.with_items({"item": likes.item_vocabulary.labels, "kind": known * (likes.n_items // 2)})
    choices = {"user": ["u1"], "item": ["new"]}
    for rec in (palate.EASE().fit(likes), palate.ImplicitALS(n_factors=4).fit(likes)):
        with pytest.raises(palate.errors.DataError, match="in the column 'kind', where the model has"):
            rec.update(choices, items={"item": ["new"], "kind": given})
        assert rec.update(choices, items={"item": ["new"], "kind": [None]}).n_items == likes.n_items + 1
    with pytest.raises(palate.errors.DataError, match="give the column as it was"):
        rec.update(items={"item": ["new"], "kind": given})
