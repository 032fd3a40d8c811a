"""Bayes with all options combined: ordinal ratings, effects of time, side information; answers, files, compact."""

from dataclasses import replace

import numpy as np
import pytest

import palate
from helpers.data import KINDS, NOW, told_and_timed
from helpers.parts import assert_same_parts
from palate.errors import DataError, OptionError
from palate.recipes.monitor import rmse

RECIPE = palate.Bayes(likelihood="ordinal", time=True, n_factors=3, n_sweeps=60, n_samples=8)


@pytest.fixture(scope="module")
def split():
    return palate.split_random(told_and_timed(), test=0.2, seed=0)


@pytest.fixture(scope="module")
def rec(split):
    return RECIPE.fit(split[0])


# ---- errors and probabilities


def test_each_option_lowers_the_error_and_all_together_most(rec, split):
    train, test = split
    report = palate.evaluate(rec, test, baselines=False)
    for less in ({"time": False}, {"likelihood": "gaussian", "time": False, "history": False, "features": False}):
        assert (
            report["rmse"] < palate.evaluate(replace(RECIPE, **less).fit(train), test, baselines=False)["rmse"] - 0.04
        )
    assert 0.86 < report["coverage_90"] < 0.96
    assert rec.model.effects.sessions and rec.model.user_info is not None and rec.model.item_info is not None
    assert rec.model.effects.unknown_variance == pytest.approx(1, rel=0.4)


def test_probabilities_are_calibrated_at_known_and_unknown_times(rec, split):
    test = split[1]
    happened = test.values[:, None] == np.arange(1, 6)
    losses = []
    for when in (test.times, None):
        chances = rec.model.forecast(test.user_codes, test.item_codes, when).probabilities
        surprise = (happened - chances).sum(axis=0) / np.sqrt((chances * (1 - chances)).sum(axis=0))
        assert np.abs(surprise).max() < 4
        losses.append(-np.log(chances[happened]).mean())
    assert losses[0] < losses[1] - 0.05


def test_distributions_depend_on_the_time(rec, split):
    frame = split[1][:6].to_frame()
    told = rec.predict(frame, distribution=True)
    assert [name for name in told.columns if name.startswith("chance_")] == [f"chance_{star}" for star in range(1, 6)]
    first = rec.predict(frame["user"][0], frame["item"][0], when=frame["time"][0], distribution=True)
    assert told.row(0)[-5:] == pytest.approx(list(first.chances.values()))
    now = rec.predict(frame["user"][0], frame["item"][0], distribution=True)
    assert now.chances != first.chances
    best = rec.recommend("u1", n=60, by="chance", at_least=4, keep_seen=True)
    told = rec.predict(best, distribution=True)  # ranked as things are now: moods are noise
    np.testing.assert_allclose(best["score"], told["chance_4"] + told["chance_5"], atol=1e-4)
    for level in (0.5, 0.9):
        best = rec.recommend("u1", n=60, by="lower", keep_seen=True, level=level)
        np.testing.assert_allclose(best["score"], rec.predict(best, level=level)["low"], atol=2e-3)


def test_the_validation_error_is_that_of_the_ratings(split):
    train, valid = split
    rec = replace(RECIPE, n_sweeps=30).fit(train, valid)
    shown = rec.model.training["valid_rmse"]
    assert shown == pytest.approx(palate.evaluate(rec, valid, baselines=False)["rmse"], rel=0.02)


def test_same_bytes_at_any_number_of_threads(split):
    one, *others = (replace(RECIPE, n_sweeps=8, n_threads=n).fit(split[0]).model for n in (1, 2, 3))
    for other in others:
        assert_same_parts(one, replace(other, recipe=one.recipe))
        assert one.posterior.cuts.tobytes() == other.posterior.cuts.tobytes()


# ---- explained


def assert_adds_up(why, row="user"):
    shares = sum(reason.contribution for reason in why.because) + sum(why.known.values())
    assert shares + why.rest == pytest.approx(why.parts[row] + why.parts["factors"], abs=1e-4)
    assert sum(why.parts.values()) == pytest.approx(why.prediction, abs=1e-4)


def test_explanations_of_users_and_times_add_up(rec, split):
    for row in split[1][:12].to_frame().rows(named=True):
        for when in (None, row["time"]):
            why = rec.explain(row["user"], row["item"], when=when)
            assert_adds_up(why)
            assert why.prediction == pytest.approx(rec.predict(row["user"], row["item"], when=when)[0], abs=1e-4)
            assert list(why.known) == ["history", "age"]
            assert ("time" in why.parts) == (when is not None)
            assert len(why.because) == len(rec.history(row["user"]))
    moved = rec.model.effects.at(split[1].user_codes[:12], split[1].item_codes[:12], split[1].times[:12])[0]
    whys = [rec.explain(row[0], row[1], when=row[3]) for row in split[1][:12].to_frame().rows()]
    assert all(np.sign(why.parts["time"]) == np.sign(by) for why, by in zip(whys, moved, strict=True))


def test_explanations_of_fold_in_users_add_up(rec):
    for new in (
        rec.fold_in({"i1": 5, "i4": 2, "i9": 4}),
        rec.fold_in({"i1": 5}, features={"age": 20}),
        rec.fold_in({}, features={"age": 60}),
        rec.fold_in({}),
    ):
        for item in ("i2", "i33"):
            why = new.explain(item)
            assert_adds_up(why)
            assert why.prediction == pytest.approx(new.predict(item).prediction, abs=1e-4)


def test_a_rating_above_the_prior_mean_contributes_positively(rec):
    why = [rec.fold_in({"i1": stars}).explain("i4") for stars in (1, 5)]
    assert why[0].because[0].contribution < 0 < why[1].because[0].contribution
    assert why[0].prediction < why[1].prediction


# ---- the other side


def test_new_items_are_like_the_items_they_resemble(rec, split):
    train = split[0]
    labels = train.user_vocabulary.labels
    told, of_items = [], []
    for code in (0, 7, 20):
        mine = train.item_codes == code
        ratings = dict(zip(labels[train.user_codes[mine]].tolist(), train.values[mine].tolist(), strict=True))
        new = rec.fold_in(ratings, side="item", features={"kind": KINDS[code % 3]})
        told.append(new.predict(labels.tolist())["prediction"].to_numpy())
        of_items.append(rec.predict(labels.tolist(), [f"i{code}"] * 150)["prediction"].to_numpy())
        assert_adds_up(new.explain("u3"), row="item")
        assert sum(new.predict("u3", distribution=True).chances.values()) == pytest.approx(1)
    assert rmse(np.concatenate(told), np.concatenate(of_items)) < 0.25
    liked = [rec.fold_in({}, side="item", features={"kind": kind}).predict("u3").prediction for kind in KINDS]
    assert liked[0] < liked[1] < liked[2]
    assert len(rec.similar_items("i1", n=3)) == len(new.similar_users(3)) == 3
    with pytest.raises(DataError, match="none of the steps"):
        rec.fold_in({"u1": 2.5}, side="item")


# ---- saved


def answers(rec):
    new = rec.fold_in({"i1": 5.0, "i3": 1.0})
    return [
        rec.predict(["u1", "u14", "nobody"], ["i1", "nothing", "i2"], when=[NOW, None, NOW], distribution=True).rows(),
        rec.recommend(["u1", "nobody"], n=4).rows(),
        rec.recommend("u2", n=4, by="chance", at_least=4).rows(),
        rec.recommend("u2", n=4, by="thompson").rows(),
        rec.recommend("u2", n=4, by="lower").rows(),
        new.predict(["i1", "i2"], distribution=True).rows(),
        rec.explain("u1", "i5", when=NOW).to_dict(),
        new.explain("i5").to_dict(),
        rec.fold_in({"u1": 5.0}, side="item").predict(["u3"]).rows(),
    ]


@pytest.fixture(scope="module")
def file(rec, tmp_path_factory):
    path = tmp_path_factory.mktemp("ordered") / "model.palate"
    rec.save(path)
    return path


def test_a_saved_model_answers_the_same_to_the_bit(rec, file):
    loaded = palate.load(file)
    assert_same_parts(rec.model, loaded.model)
    assert answers(loaded) == answers(rec)


# ---- without the draws


def test_a_compact_model_answers_nearly_the_same(rec, split, tmp_path):
    test, compact = split[1], rec.compact()
    codes = test.user_codes, test.item_codes
    for when in (None, test.times):
        whole, short = (one.model.forecast(*codes, when) for one in (rec, compact))
        assert rmse(short.mean, whole.mean) < 0.08
        assert rmse(short.standard_deviation, whole.standard_deviation) < 0.06
        assert np.mean(short.score_variance) == pytest.approx(np.mean(whole.score_variance), rel=0.15)
    never = np.full(len(test), np.nan)
    np.testing.assert_allclose(
        compact.model.forecast(*codes, never).probabilities, compact.model.forecast(*codes).probabilities
    )
    assert compact.model.noise == pytest.approx(rec.model.noise, rel=1e-6)  # which held the doubt before
    report = palate.evaluate(compact, test, baselines=False)
    assert report["rmse"] == pytest.approx(palate.evaluate(rec, test, baselines=False)["rmse"], abs=0.01)
    assert 0.86 < report["coverage_90"] < 0.96
    assert_adds_up(compact.explain("u1", "i5", when=NOW))
    new = compact.fold_in({"i1": 5, "i4": 2})
    assert_adds_up(new.explain("i5"))
    assert new.predict("i5").prediction == pytest.approx(
        rec.fold_in({"i1": 5, "i4": 2}).predict("i5").prediction, abs=0.5
    )
    with pytest.raises(OptionError, match=r'by="chance" needs the draws'):
        compact.recommend("u1", by="chance", at_least=4)
    compact.save(tmp_path / "compact.palate")
    loaded = palate.load(tmp_path / "compact.palate")
    assert loaded.predict("u1", "i5", distribution=True) == compact.predict("u1", "i5", distribution=True)


def test_it_cannot_become_a_torch_model(rec):
    pytest.importorskip("torch")
    with pytest.raises(OptionError, match="ordered ratings are more than a dot product"):
        palate.nn.to_torch(rec)
