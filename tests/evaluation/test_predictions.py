"""Reports on explicit ratings against NumPy on a few rows, as printed text, and the verdict at its boundaries."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import palate
from palate.errors import OptionError
from palate.evaluation import Measure, Report
from palate.evaluation.matching import codes_in_model
from palate.evaluation.measured_rows import _losses
from palate.evaluation.predictions import _verdict
from palate.evaluation.propensities import SELF_SELECTED, effective_size, is_self_selected
from palate.evaluation.resampling import Resample
from palate.evaluation.user_sums import BlockSums, UserSums


def counts_of(codes, n):
    return np.bincount(codes[codes >= 0], minlength=n)


WHOLE = palate.datasets.synthetic(40, 25, 500, seed=3)
LEVELS = {"90": 0.9, "50": 0.5}


@pytest.fixture(scope="module")
def world():
    """A model, test ratings (some of them learned from, some of unknown users or items), and propensities."""
    rng = np.random.default_rng(0)
    cold = np.isin(WHOLE.user_codes, [1, 2]) | np.isin(WHOLE.item_codes, [5, 6, 7])
    train, test = palate.split_rows(WHOLE, cold | (rng.random(len(WHOLE)) < 0.2))
    frames = train[:60].to_frame(), test.to_frame()
    columns = {name: [*frames[0][name], *frames[1][name]] for name in ("user", "item", "rating")}
    mixed = palate.read(columns).with_weights(rng.integers(1, 4, 60 + len(test)))
    return palate.Bias().fit(train), train, mixed, rng.uniform(0.1, 1, len(mixed))


def by_numpy(rec, test, weights, rows):
    """Every measure on some rows, and the mean squared error in each resampling of users."""
    frame = test.to_frame()
    users = np.unique(test.user_codes, return_inverse=True)[1][rows]
    values, weights = test.values.astype(float)[rows], weights[rows]
    mean = lambda losses: float(np.average(losses, weights=weights))  # noqa: E731
    found = {}
    for name, level in LEVELS.items():
        parts = (rec.predict(frame, level=level)[part].to_numpy()[rows] for part in ("prediction", "low", "high"))
        predicted, low, high = parts
        squares = (predicted - values) ** 2
        found |= {"rmse": np.sqrt(mean(squares)), "mae": mean(np.abs(predicted - values))}
        found |= {f"coverage_{name}": mean((low <= values) & (values <= high)), f"width_{name}": mean(high - low)}
        found |= {f"below_{name}": mean(values < low), f"above_{name}": mean(values > high)}
    sums, counts = (np.bincount(users, part) for part in (weights * squares, weights))
    present = counts > 0
    resample = Resample(present.sum(), 60, 4)
    sample = np.sqrt(resample.ratios(sums[present, None], counts[present, None]))[:, 0]
    return found, tuple(np.nanquantile(sample, [0.025, 0.975]))


def check(measures, expected, prefix=""):
    values, interval = expected
    assert {name: measures[prefix + name].value for name in values} == pytest.approx(values, rel=1e-5)
    assert (measures[prefix + "rmse"].low, measures[prefix + "rmse"].high) == pytest.approx(interval, rel=1e-5)


def test_every_part_of_a_report_is_what_numpy_says(world, capsys):
    rec, train, test, propensities = world
    report = palate.evaluate(rec, test, propensity=propensities, n_bootstrap=60, seed=4)
    rows, weights = np.arange(len(test)), test.weights.astype(float)
    assert capsys.readouterr().err == ""  # no progress of the baselines
    check(report.measures, by_numpy(rec, test, weights, rows))
    check(report.measures, by_numpy(rec, test, weights / propensities, rows), "snips_")
    for recipe in (palate.Mean(), palate.Bias()):
        measures, other = report.baselines[type(recipe).__name__], recipe.fit(train)
        check(measures, by_numpy(other, test, weights, rows))
        check(measures, by_numpy(other, test, weights / propensities, rows), "snips_")

    frame, pairs = test.to_frame(), set(train.to_frame().select("user", "item").iter_rows())
    learned = np.array([pair in pairs for pair in frame.select("user", "item").iter_rows()])
    groups = {
        "cold users": ~frame["user"].is_in([user for user, _ in pairs]).to_numpy(),
        "cold items": ~frame["item"].is_in([item for _, item in pairs]).to_numpy(),
        "learned from": learned,
        "held out": ~learned,
    }
    assert list(report.groups) == list(groups)
    for name, kept in groups.items():
        assert 0 < report.group_sizes[name] == kept.sum()
        check(report.groups[name], by_numpy(rec, test, weights, np.flatnonzero(kept)))
    assert (report.n, report.n_users, report.n_learned) == (len(test), frame["user"].n_unique(), 60)
    assert (report.propensity, report.n_effective) == ("given", pytest.approx(effective_size(weights / propensities)))
    assert report.is_self_selected == is_self_selected(counts_of(codes_in_model(rec, test)[1], rec.n_items))
    per_user = report.per_user
    assert np.sqrt(per_user.sums.sum() / per_user.counts.sum()) == pytest.approx(report["rmse"])
    np.testing.assert_allclose(
        per_user.counts, np.bincount(np.unique(test.user_codes, return_inverse=True)[1], weights)
    )


def test_both_ends_belong_to_an_interval():
    mean, low, high = (np.full(5, end) for end in (2.0, 1.0, 3.0))
    rec = SimpleNamespace(model=SimpleNamespace(score_limits=(0, 9)), has_intervals=True)
    forecast = SimpleNamespace(mean=mean, interval=lambda _: (low, high))
    found, _ = _losses(rec, forecast, np.float32([0.5, 1.0, 2.0, 3.0, 3.5]))
    for level in LEVELS:
        parts = [found[f"{part}_{level}"].tolist() for part in ("below", "coverage", "above", "width")]
        assert parts == [[1, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 1], [2, 2, 2, 2, 2]]


@pytest.mark.parametrize(
    "option",
    [
        *({"items": ["i1"]}, {"where": "item = 'i1'"}, {"keep_seen": True}),
        *({"by": "lower"}, {"level": 0.8}, {"at_least": 4}),
    ],
)
def test_each_option_of_lists_is_refused_for_ratings(world, option):
    with pytest.raises(OptionError, match=r"apply to recommended lists, .* take test\.likes"):
        palate.evaluate(world[0], world[2], **option)


REPORT = Report(
    n=1200,
    n_users=1000,
    measures={
        "rmse": Measure(0.9, 0.8, 1.0), "mae": Measure(0.7, 0.65, 0.75), "coverage_90": Measure(0.88),
        "width_90": Measure(2.5), "below_90": Measure(0.04), "above_90": Measure(0.08), "coverage_50": Measure(0.45),
        "width_50": Measure(1.25), "below_50": Measure(0.25), "above_50": Measure(0.3),
        "snips_rmse": Measure(1.9, 1.8, 2.0), "snips_mae": Measure(1.7), "snips_coverage_90": Measure(0.77),
    },
    baselines={"Mean": {"rmse": Measure(1.1), "snips_rmse": Measure(1.2)}},
    groups={"cold users": {"rmse": Measure(1.5)}},
    group_sizes={"cold users": 1100},
    verdict="So it is.",
    n_learned=1001,
    propensity="given",
    n_effective=900.0,
    is_self_selected=True,
)  # fmt: skip

PRINTED = f"""
1,200 test ratings of 1,000 users; in brackets, 95% bootstrap intervals over users
                                      rmse                        mae  coverage_90  width_90  coverage_50  width_50
model               0.9000 (0.8000 .. 1.0000)  0.7000 (0.6500 .. 0.7500)        0.880     2.500        0.450     1.250
Mean                                   1.1000                          -            -         -            -         -
model, snips        1.9000 (1.8000 .. 2.0000)                     1.7000        0.770         -            -         -
Mean, snips                            1.2000                          -            -         -            -         -
cold users (1,100)                     1.5000                          -            -         -            -         -
Ratings below and above their intervals: of 90% intervals 4.0% and 8.0%, of 50% intervals 25.0% and 30.0%.
snips: weighted by inverse propensities; 1,200 ratings count as 900 of equal weight.
1,001 of them are pairs of a user and an item that the model was trained on: errors there say nothing about new ratings.
{SELF_SELECTED}
So it is."""


def test_a_report_prints_all_it_knows():
    printed = [line.split() for line in str(REPORT).splitlines()]
    assert printed == [line.split() for line in PRINTED.strip().splitlines()]


def test_a_report_prints_nothing_that_it_does_not_know():
    errors = ("rmse", 0.5), ("mae", 0.25)
    plain = Report(n=2, n_users=1, measures={name: Measure(value) for name, value in errors})
    assert [line.split() for line in str(plain).splitlines()[1:]] == [["rmse", "mae"], ["model", "0.5000", "0.2500"]]
    assert str(replace(plain, verdict="So.")).splitlines()[3:] == ["So."]
    assert plain.to_dict() == {
        "n": 2, "n_users": 1, "baselines": {}, "groups": {}, "verdict": "", "n_learned": 0, "propensity": "",
        "n_effective": None, "is_self_selected": False, "n_older": 0,
        "measures": {name: {"value": value, "low": None, "high": None} for name, value in errors},
    }  # fmt: skip
    assert plain.per_user is None
    assert REPORT.to_dict()["groups"] == {"cold users": {"n": 1100, "rmse": {"value": 1.5, "low": None, "high": None}}}


def verdict_on(own, *baselines):
    """The verdict on squared errors of one rating per user each."""
    sums = [sums_of(np.arange(len(own)), np.asarray(loss, float)) for loss in (own, *baselines)]
    return _verdict(sums[0], dict(zip(("A", "B"), sums[1:], strict=False)))


def sums_of(users, loss, weights=None):
    sums = UserSums(Resample(max(users) + 1, 200, 0))
    for at in np.array_split(np.arange(len(users)), 3):
        sums.add(BlockSums.of(np.asarray(users)[at], {"rmse": loss[at]}, None if weights is None else weights[at]))
    return sums


def test_a_verdict_is_given_on_what_is_not_better_than_the_best_baseline():
    ones, zeros = np.ones(80), np.zeros(80)
    one_wins = np.r_[1.5, ones[1:]]  # in more than a third of the resamplings no user has a gain
    same, maybe = (
        "This model is NOT better than the baseline {0}: use {0}",
        "This model is better than the baseline {0}, but",
    )
    for own, baselines, begins in (
        (ones, [], ""),
        (ones, [1.3 * ones], ""),
        (0.1 * ones, [0.11 * ones], ""),
        (100 * ones, [101 * ones], ""),
        (ones, [ones], same.format("A")),
        (zeros, [zeros], same.format("A")),
        (ones, [(1 + 9e-7) * ones], same.format("A")),
        (100 * ones, [(100 + 5e-5) * ones], same.format("A")),
        (1e-4 * ones, [1.1e-4 * ones], ""),
        (ones, [2 * ones, 0.9 * ones], same.format("B")),
        (ones, [0.9 * ones, 2 * ones], same.format("A")),
        (ones, [one_wins, 3 * ones], maybe.format("A")),
    ):
        told = verdict_on(own, *baselines)
        assert told.startswith(begins) and bool(told) == bool(begins), (own[0], told)


def test_rows_of_equal_weight_count_as_many_as_they_are():
    rows = sums_of([0, 0, 1], np.array([1.0, 2.0, 4.0]))
    assert (rows.n_rows, rows.effective_size) == (3, 3.0)
    weighted = sums_of([0, 0, 1], np.array([1.0, 2.0, 4.0]), np.array([1.0, 0.5, 0.5]))
    assert weighted.effective_size == pytest.approx(4 / 1.5)
    assert weighted.mean("rmse") == pytest.approx((1 + 1 + 2) / 2)
    per_user = rows.per_user("rmse")
    assert (per_user.sums.tolist(), per_user.counts.tolist()) == ([3.0, 4.0], [2.0, 1.0])
