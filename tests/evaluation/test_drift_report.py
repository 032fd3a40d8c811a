"""drift(): random parts of the same ratings show none; later, other and shifted ratings do."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import palate
from palate.evaluation import Measure, Shift
from palate.evaluation.drifting import SHARE_LIMIT

N_SPLITS = 50


@pytest.fixture(scope="module")
def ratings():
    return palate.datasets.synthetic(300, 80, 9000, seed=1)


@pytest.fixture(scope="module")
def parts(ratings):
    """(rec, new): a model that holds its own test, and ratings that it has not seen."""
    rest, new = palate.split_random(ratings, test=0.2, seed=0)
    train, test = palate.split_random(rest, test=0.15, seed=1)
    rec = palate.Bayes(n_sweeps=30).fit(train)
    return rec.with_metrics(palate.evaluate(rec, test).to_dict()), new


def learned(rec, side):
    """The labels of a side, and how many training ratings each has."""
    model = rec.model
    if side == "user":
        return model.user_vocabulary.labels.tolist(), model.history.counts
    return model.item_vocabulary.labels.tolist(), model.item_counts


def changed(ratings, **columns):
    return palate.read(ratings.to_frame().with_columns(**columns))


def test_a_random_part_shows_no_drift(parts):
    found = palate.drift(*parts)
    assert found.drifted == ()
    assert found.verdict.startswith("No drift")
    assert {shift.name for shift in found.shifts} == {
        *("new_users", "new_items", "mean", "spread", "popularity", "coverage_90", "rmse"),
    }
    assert found.n == len(parts[1]) and found.n_new_users < 5


def test_false_alarms_are_rare(ratings):
    """Each interval says 95 percent, and the limits leave less: of 50 random parts at most 5 percent may be alarms."""
    alarms = 0
    for seed in range(N_SPLITS):
        train, new = palate.split_random(ratings, test=0.1, seed=seed)
        rec = palate.Bias().fit(train, progress=False)
        alarms += bool(palate.drift(rec, new, n_bootstrap=200, seed=seed).drifted)
    assert alarms <= 0.05 * N_SPLITS


def test_one_more_on_the_scale_is_drift_of_mean_intervals_and_errors(parts):
    rec, new = parts
    found = palate.drift(rec, changed(new, rating=pl.col("rating") + 1))
    assert set(found.drifted) == {"mean", "coverage_90", "rmse"}
    assert found["mean"].change.value == pytest.approx(1 + palate.drift(rec, new)["mean"].change.value, abs=1e-3)
    assert "scale" in found.verdict and "fit again" in found.verdict


def test_ratings_further_apart_are_drift_of_spread(parts):
    rec, new = parts
    mean = float(new.values.mean())
    found = palate.drift(rec, changed(new, rating=(pl.col("rating") - mean) * 1.6 + mean))
    assert "spread" in found.drifted and "mean" not in found.drifted


def test_other_items_are_drift_of_popularity(parts):
    rec, new = parts
    counts = np.bincount(new.item_codes, minlength=new.n_items)
    rare = np.isin(new.item_codes, np.argsort(counts)[: new.n_items // 2])
    found = palate.drift(rec, new[rare])
    assert "popularity" in found.drifted
    assert found["popularity"].now > found["popularity"].then + SHARE_LIMIT


@pytest.mark.parametrize("side", ["user", "item"])
def test_new_users_and_items_are_counted_exactly(parts, side):
    rec, new = parts
    names = new.to_frame()[side]
    some = set(names.unique().sort().to_list()[::3])
    renamed = pl.Series([f"new {name}" if name in some else name for name in names])
    found = palate.drift(rec, changed(new, **{side: renamed}))
    known = {label for label, n in zip(*learned(rec, side), strict=True) if n}
    assert found[f"new_{side}s"].now == np.mean([name not in known for name in renamed])
    assert getattr(found, f"n_new_{side}s") == len(set(renamed) - known) >= len(some)
    assert f"new_{side}s" in found.drifted
    assert "palate update" in found.verdict


def test_the_expected_share_of_new_items_is_that_of_random_parts(ratings):
    """Good (1953): as many ratings are of unseen items as are of items with one rating."""
    rare = palate.read(
        {"user": [f"u{n % 97}" for n in range(4000)], "item": np.random.default_rng(0).zipf(1.6, 4000) % 5000,
         "rating": [3 + n % 2 for n in range(4000)]}, duplicates="last",
    )  # fmt: skip
    shares = []
    for seed in range(5):
        train, new = palate.split_random(rare, test=0.1, seed=seed)
        shift = palate.drift(palate.Mean().fit(train), new, n_bootstrap=50)["new_items"]
        shares.append((shift.then, shift.now))
    then, now = np.mean(shares, axis=0)
    assert now > 0.05
    assert then == pytest.approx(now, rel=0.15)


def test_without_a_test_of_its_own_it_says_so(parts):
    rec, new = parts
    bare = palate.drift(type(rec)(replace(rec.model, metrics={})), new)
    assert "rmse" not in {shift.name for shift in bare.shifts}
    assert any("palate fit --test" in note for note in bare.notes)
    with pytest.raises(palate.errors.OptionError, match="no shift 'rmse'; there are new_users"):
        bare["rmse"]


def test_few_ratings_are_no_ground_for_an_alarm(parts):
    rec = parts[0]
    one = {"user": ["x"] * 20, "item": [f"y{n}" for n in range(20)], "rating": [99.0] * 20}
    found = palate.drift(rec, palate.read(one))
    assert found.drifted == ()
    assert found.verdict.startswith("Too few new ratings to tell: 20 of 1 users")
    assert found["new_users"].now == 1.0
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("recipe", [palate.EASE(), palate.ImplicitALS(n_factors=8), palate.Popularity()], ids=str)
def test_implicit_ratings_are_compared_by_lists(ratings, recipe):
    likes = ratings.likes(at_least=3)
    rest, new = palate.split_within_users(likes, test=0.2, seed=0)
    train, test = palate.split_within_users(rest, test=0.2, seed=1)
    rec = recipe.fit(train)
    rec = rec.with_metrics(palate.evaluate(rec, test, k=(5, 10)).to_dict())
    found = palate.drift(rec, new)
    assert [shift.name for shift in found.shifts] == ["new_users", "new_items", "popularity", "ndcg@10"]
    assert found.drifted == ()
    shuffled = new.to_frame().with_columns(item=pl.col("item").shuffle(seed=1)).unique(["user", "item"])
    other = palate.drift(rec, palate.read(shuffled, kind="implicit"))
    assert other["ndcg@10"].now < found["ndcg@10"].now


def test_it_prints_a_table_and_plain_values(parts):
    found = palate.drift(*parts)
    text = str(found)
    assert text.splitlines()[0].startswith(f"{len(parts[1]):,} new ratings of ")
    assert all(len(line.split("  ")) > 3 for line in text.splitlines()[1:9])
    assert repr(found).startswith("Drift(1,800 ratings; no drift")
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["drifted"] == 0
    assert plain["measures"]["mean"]["value"] == found["mean"].now
    assert plain["measures"]["mean"]["change_low"] == found["mean"].change.low


def test_what_is_no_question_is_refused(parts):
    rec, new = parts
    with pytest.raises(palate.errors.OptionError, match="implicit"):
        palate.drift(rec, new.likes(at_least=4))
    with pytest.raises(palate.errors.DataError, match="no new ratings"):
        palate.drift(rec, new.with_weights(np.zeros(len(new))))
    with pytest.raises(palate.errors.LabelTypeError):
        palate.drift(rec, palate.read({"user": [1], "item": [2], "rating": [3]}))
    with pytest.raises(palate.errors.OptionError, match="recommender"):
        palate.drift(new, new)
    with pytest.raises(palate.errors.OptionError, match="seed"):
        palate.drift(rec, new, seed=-1)


def test_a_whole_interval_must_lie_beyond_the_limit():
    up = Shift("rmse", 1.0, 1.2, Measure(0.2, 0.11, 0.3), 0.1, "up")
    assert up.is_drift
    assert not replace(up, change=Measure(0.2, 0.09, 0.3)).is_drift
    assert not replace(up, change=Measure(-0.2, -0.3, -0.11)).is_drift
    assert replace(up, change=Measure(-0.2, -0.3, -0.11), signs="both").is_drift
    assert not replace(up, change=Measure(float("nan"))).is_drift
    assert not replace(up, is_judged=False).is_drift


def test_later_ratings_of_movielens_are_told_apart(ml_100k):
    train, later = palate.split_time(ml_100k, test=0.1)
    found = palate.drift(palate.Bias().fit(train), later)
    assert "new_users" in found.drifted and "mean" not in found.drifted
    assert any("0% of them older than the newest learned from" in note for note in found.notes)
    train, new = palate.split_random(ml_100k, test=0.1, seed=0)
    assert palate.drift(palate.Bias().fit(train), new).drifted == ()
