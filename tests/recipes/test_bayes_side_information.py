"""Bayes with side information: fold-in with attributes, explanations, files, users and items without ratings."""

import numpy as np
import polars as pl
import pytest

import palate
from helpers.data import ratings_with_jobs
from palate.answers.explaining import contributions
from palate.data.rows import CompressedRows
from palate.errors import DataError, OptionError
from palate.models.factors import as_partner
from palate.recipes.monitor import rmse

JOBS, TOWNS = ["cook", "smith", "king"], ["north", "south"]


@pytest.fixture(scope="module")
def data():
    """150 users whose jobs and ages partly explain their taste; the last 20 have no ratings."""
    rng = np.random.default_rng(0)
    jobs, towns, ages = rng.integers(0, 3, 150), rng.integers(0, 2, 150), rng.integers(18, 70, 150)
    users = rng.standard_normal((3, 4))[jobs] + 0.3 * rng.standard_normal((150, 4))
    users[:, 0] += (ages - 40) / 20
    items = rng.standard_normal((60, 4)) / 2
    truth = 3 + users[:, :3] @ items[:, :3].T + 0.4 * users[:, 3:] + items[:, 3]
    codes = np.concatenate([rng.choice(60, 12, replace=False) for _ in range(130)])
    rows = np.repeat(np.arange(130), 12)
    values = np.clip(np.rint(truth[rows, codes] + 0.3 * rng.standard_normal(len(rows))), 1, 5)
    table = {"job": [JOBS[at] for at in jobs], "town": [TOWNS[at] for at in towns], "age": ages}
    return palate.Ratings(
        rows, codes, values.astype(np.float32),
        user_vocabulary=palate.Vocabulary.in_order([f"u{n}" for n in range(150)], what="user"),
        item_vocabulary=palate.Vocabulary.in_order([f"i{n}" for n in range(60)], what="item"),
        user_table=pl.DataFrame(table),
        item_table=pl.DataFrame({"kind": ["tea", "jam", "milk"] * 20}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def rec(data):
    return palate.Bayes(n_factors=3, n_sweeps=60, n_samples=8).fit(data)


def own(rec, user):
    """(ratings, attributes) of a user, as arguments of fold_in()."""
    code = rec.model.user_vocabulary.encode_one(user)
    return dict(rec.history(user).select("item", "rating").rows()), rec.model.user_table.row(code, named=True)


# ---- fold-in


def test_a_copy_of_a_user_gets_nearly_the_same_predictions(rec):
    items = list(rec.model.item_vocabulary)
    told, untold, of_users = [], [], []
    for user in ("u0", "u7", "u50", "u129"):
        ratings, features = own(rec, user)
        of_users.append(rec.predict([user] * 60, items)["prediction"])
        told.append(rec.fold_in(ratings, features=features).predict(items)["prediction"])
        untold.append(rec.fold_in(ratings).predict(items)["prediction"])
    assert rmse(np.ravel(told), np.ravel(of_users)) < 0.12 * np.std(of_users)
    assert rmse(np.ravel(told), np.ravel(of_users)) < rmse(np.ravel(untold), np.ravel(of_users))


def test_attributes_change_the_answers_of_a_fold_in(rec):
    one, other = (rec.fold_in({"i1": 4.0}, features={"job": job}) for job in ("cook", "king"))
    assert np.abs(one.vector - other.vector).max() > 0.05
    assert not np.array_equal(rec.fold_in({"i1": 4.0}).vector, one.vector)
    both = rec.fold_in({}, features={"job": "cook"}), rec.fold_in({}, features={})
    assert both[0].predict("i3") != both[1].predict("i3") == rec.predict("nobody", "i3")


def test_unknown_classes_and_fields(rec):
    nothing = rec.fold_in({"i1": 4.0}, features={})
    np.testing.assert_array_equal(rec.fold_in({"i1": 4.0}, features={"job": "queen"}).vector, nothing.vector)
    assert rec.fold_in({}, features={"job": "queen"}).predict("i3").prediction > 1
    with pytest.raises(OptionError, match=r"no field 'jib'.*'job', 'town', 'age'"):
        rec.fold_in({"i1": 4.0}, features={"jib": "cook"})
    with pytest.raises(OptionError, match="no field 'job'"):
        rec.fold_in({"u1": 4.0}, side="item", features={"job": "cook"})
    with pytest.raises(DataError, match="age"):
        rec.fold_in({"i1": 4.0}, features={"age": float("inf")})
    new = rec.fold_in({"u1": 4.0}, side="item", features={"kind": "tea"})
    assert new.predict("u3").prediction > 1


@pytest.mark.parametrize(
    "recipe", [palate.Bayes(n_sweeps=4, features=False), palate.ALS(n_factors=2), palate.Mean()], ids=repr
)
def test_a_model_without_attributes_takes_none(recipe, data):
    with pytest.raises(OptionError, match=r"cannot place a new user by attributes.*ratings\.with_users"):
        recipe.fit(data).fold_in({"i1": 4.0}, features={"job": "cook"})
    with pytest.raises(OptionError, match=r"cannot place a new item by attributes.*ratings\.with_items"):
        recipe.fit(data).fold_in({"u1": 4.0}, side="item", features={})


def test_a_compact_model_has_no_links(rec, tmp_path):
    compact = rec.compact()
    for user in ("u1", "u140"):
        assert compact.predict(user, "i3").prediction == pytest.approx(rec.predict(user, "i3").prediction, abs=1e-5)
        why = compact.explain(user, "i3")
        assert_adds_up(why)
        assert why.known == {}
    with pytest.raises(OptionError, match=r"any more after compact\(\)"):
        compact.fold_in({}, features={"job": "cook"})
    compact.save(tmp_path / "compact.palate")
    assert (
        palate.load(tmp_path / "compact.palate").explain("u1", "i3").to_dict() == compact.explain("u1", "i3").to_dict()
    )


def test_any_number_of_threads_gives_the_same_bytes(data):
    one, *others = (palate.Bayes(n_factors=3, n_sweeps=6, n_threads=n).fit(data).model for n in (1, 2, 3))
    for other in others:
        assert other.factors.users.tobytes() == one.factors.users.tobytes()
        assert other.posterior.items.link.tobytes() == one.posterior.items.link.tobytes()
        assert other.posterior.users.cold_start.link.tobytes() == one.posterior.users.cold_start.link.tobytes()


# ---- saved and loaded


def answers(rec):
    new = rec.fold_in({"i1": 5.0, "i3": 1.0}, features={"job": "smith", "age": 30})
    cold = rec.fold_in({}, side="item", features={"kind": "jam"})
    return [
        rec.predict(["u1", "u140", "nobody", "u3"], ["i1", "i7", "i2", "nothing"]).rows(),
        rec.recommend(["u1", "u140", "nobody"], n=4).rows(),
        rec.recommend("u2", n=4, by="thompson").rows(),
        new.predict(["i1", "i2"]).rows(),
        cold.predict(["u1", "u2"]).rows(),
        rec.ask(3).rows(),
        *(rec.explain(user, "i5").to_dict() for user in ("u1", "u140")),
        new.explain("i5").to_dict(),
    ]


def test_a_saved_model_answers_the_same_to_the_bit(rec, tmp_path):
    rec.save(tmp_path / "model.palate")
    loaded = palate.load(tmp_path / "model.palate")
    assert loaded.model.user_info == rec.model.user_info
    assert loaded.model.item_info == rec.model.item_info
    assert answers(loaded) == answers(rec)


# ---- explanations


def assert_adds_up(why, row="user"):
    shares = sum(reason.contribution for reason in why.because) + sum(why.known.values())
    assert shares + why.rest == pytest.approx(why.parts[row] + why.parts["factors"], abs=1e-4)
    assert sum(why.parts.values()) == pytest.approx(why.prediction, abs=1e-4)


def test_explanations_with_side_information_add_up(rec):
    for user in ("u0", "u77", "u129", "u130", "u149"):
        for item in ("i0", "i13", "i59"):
            why = rec.explain(user, item)
            assert_adds_up(why)
            assert list(why.known) == ["history", "job", "town", "age"]
            assert why.prediction == pytest.approx(rec.predict(user, item).prediction, abs=1e-4)
            for name in ("history: which items were rated", "job", "town", "age"):
                assert f"  {name}\n" in str(why)
            if not why.because:
                assert why.known["history"] == 0
    for features in (None, {}, {"job": "cook"}, {"age": 33, "town": "south"}):
        for ratings in ({}, {"i1": 5.0, "i2": 1.0}):
            why = rec.fold_in(ratings, features=features).explain("i5")
            assert_adds_up(why)
            told = {name for name, share in why.known.items() if share != 0}
            assert told == set(features or ()) | ({"history"} if ratings else set())
    assert_adds_up(rec.fold_in({"u1": 4.0}, side="item", features={"kind": "tea"}).explain("u3"), "item")


def without(model, features, name):
    """The features with those of one group set to zero."""
    group = model.user_info.group_names.index(name)
    values = np.where(model.user_info.groups[features.indices] == group, 0, features.values)
    return CompressedRows(features.indptr, features.indices, values.astype(np.float32), None)


def mean_score(model, history, features, item):
    """The score of an item, mean over the draws of its most probable value."""
    posterior = model.posterior
    vectors = posterior.solve(history, features, draw=False)[:, 0].astype(np.float64)
    partners = posterior.items.vectors[:, item].astype(np.float64)
    moves = [x @ as_partner(y[None])[0] + y[-1] for x, y in zip(vectors, partners, strict=True)]
    return posterior.center + posterior.scale * np.mean(moves)


def test_a_share_is_the_effect_of_the_feature(rec):
    model = rec.model
    for user, item in ((3, 5), (60, 40)):
        user_rows = model.user_rows(np.array([user], np.int32))
        features, history = model.features_of(user_rows), model.weighted(user_rows.history, user_rows.codes)
        _, known = contributions(model, user_rows, item)
        whole = mean_score(model, history, features, item)
        for name, share in zip(model.user_info.group_names, known, strict=True):
            changed = mean_score(model, history, without(model, features, name), item)
            assert share == pytest.approx(whole - changed, abs=1e-4)
        assert np.abs(known).max() > 0.01


def test_a_share_is_the_effect_of_the_feature_for_a_user_without_ratings(rec):
    model = rec.model
    user_rows = model.user_rows(np.array([140], np.int32))
    assert len(user_rows.history.values) == 0
    features = model.features_of(user_rows)
    _, known = contributions(model, user_rows, 5)
    whole = mean_score(model, user_rows.history, features, 5)
    for name, share in zip(model.user_info.group_names, known, strict=True):
        changed = mean_score(model, user_rows.history, without(model, features, name), 5)
        assert share == pytest.approx(whole - changed, abs=1e-4)
    assert np.abs(known).max() > 0.01


# ---- real data


# ---- users and items without ratings


@pytest.mark.parametrize("history", [False, True])
def test_rows_without_ratings_are_predicted_as_when_folded_in(history):
    ratings, _, _ = ratings_with_jobs(cold=0.1)
    rec = palate.Bayes(n_factors=3, n_sweeps=30, history=history).fit(ratings)
    items = list(ratings.item_vocabulary)
    for user in ("u470", "u490"):
        job = ratings.user_table["job"][int(user[1:])]
        new, known = rec.fold_in({}, features={"job": job}).predict(items), rec.predict([user] * 100, items)
        np.testing.assert_allclose(new["prediction"], known["prediction"], atol=1e-4)
        widths = [(frame["high"] - frame["low"]).mean() for frame in (new, known)]
        assert widths[0] == pytest.approx(widths[1], rel=0.25)  # each of some draws of its own
    nobody = rec.fold_in({}).predict(items)["prediction"]
    np.testing.assert_allclose(nobody, rec.predict(["nobody"] * 100, items)["prediction"], atol=1e-4)


def test_a_new_item_with_attributes_is_predicted_as_in_the_fit():
    flipped, _, _ = ratings_with_jobs(cold=0.1)
    ratings = palate.Ratings(
        flipped.item_codes, flipped.user_codes, flipped.values,
        user_vocabulary=palate.Vocabulary.in_order([f"u{n}" for n in range(100)], what="user"),
        item_vocabulary=palate.Vocabulary.in_order([f"i{n}" for n in range(500)], what="item"),
        item_table=flipped.user_table,
    )  # fmt: skip
    rec = palate.Bayes(n_factors=3, n_sweeps=30).fit(ratings)
    users = [f"u{n}" for n in range(100)]
    new = rec.fold_in({}, side="item", features={"job": ratings.item_table["job"][480]})
    known = rec.predict(users, ["i480"] * 100)["prediction"]
    np.testing.assert_allclose(new.predict(users)["prediction"], known, atol=1e-4)
    assert known.std() > 0.2
