"""Evaluation against scikit-learn, against counting by hand, and against what statistics says of bootstraps."""

import json
from dataclasses import astuple, replace

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_squared_error

import palate
from palate import evaluation
from palate.errors import DataError, LabelTypeError, OptionError


@pytest.fixture(scope="module")
def parts():
    whole = palate.datasets.synthetic(200, 100, 8000, n_factors=3, noise=0.5, seed=1)
    return palate.split_random(whole, test=0.2, seed=0)


@pytest.fixture(scope="module")
def rec(parts):
    return palate.Bayes(n_factors=4, n_sweeps=30).fit(parts[0])


@pytest.fixture(scope="module")
def report(rec, parts):
    return palate.evaluate(rec, parts[1])


def relabel(ratings, users=lambda label: label, items=lambda label: label):
    """The same ratings with vocabularies of their own, in another order."""
    rows = ratings.to_frame()
    columns = {
        "user": [users(label) for label in rows["user"]],
        "item": [items(label) for label in rows["item"]],
        "rating": rows["rating"].to_list(),
    }
    return palate.read(columns)


def test_errors_are_those_of_scikit_learn(rec, parts, report):
    test = parts[1]
    predicted = rec.predict(test.to_frame())["prediction"].to_numpy()
    assert report["rmse"] == pytest.approx(np.sqrt(mean_squared_error(test.values, predicted)), rel=1e-6)
    assert report["mae"] == pytest.approx(mean_absolute_error(test.values, predicted), rel=1e-6)
    assert report.n == len(test)
    assert report.n_users == len(np.unique(test.user_codes))


def test_a_rating_of_weight_two_counts_as_two_and_of_weight_0_as_none(rec, parts):
    weights = np.random.default_rng(0).integers(0, 4, len(parts[1]))
    once = palate.evaluate(rec, parts[1].with_weights(weights), n_bootstrap=50)
    repeated = palate.evaluate(rec, parts[1][np.repeat(np.arange(len(parts[1])), weights)], n_bootstrap=50)
    assert once.n == np.count_nonzero(weights)
    assert list(once.measures) == list(repeated.measures)
    for name, measure in once.measures.items():
        np.testing.assert_allclose(astuple(measure), astuple(repeated.measures[name]), rtol=1e-6)
    for name, measures in once.baselines.items():
        assert measures["rmse"].value == pytest.approx(repeated.baselines[name]["rmse"].value)
    np.testing.assert_allclose(once.per_user.counts, repeated.per_user.counts)
    with pytest.raises(DataError, match="no test ratings"):
        palate.evaluate(rec, parts[1].with_weights(np.zeros(len(parts[1]))))


def test_what_the_model_learned_from_is_told_apart(rec, parts, report):
    train, test = parts
    both = palate.read({name: [*train[:300].to_frame()[name], *test[:500].to_frame()[name]] for name in
                        ("user", "item", "rating")})  # fmt: skip
    mixed = palate.evaluate(rec, both, baselines=False)
    assert (mixed.n, mixed.n_learned, mixed.to_dict()["n_learned"]) == (800, 300, 300)
    assert mixed.group_sizes == {"learned from": 300, "held out": 500}
    alone = palate.evaluate(rec, test[:500], baselines=False)
    assert mixed.groups["held out"]["rmse"].value == pytest.approx(alone["rmse"])
    assert mixed.groups["learned from"]["rmse"].value < alone["rmse"]
    assert "300 of them are pairs of a user and an item that the model was trained on" in str(mixed)
    assert list(palate.evaluate(rec, train, baselines=False).groups) == ["learned from"]
    assert report.n_learned == 0
    assert "trained on" not in str(report)


def test_held_out_items_that_were_learned_from_are_counted(parts):
    likes, more = (part.likes(at_least=4) for part in parts)
    rec = palate.Popularity().fit(likes)
    report = palate.evaluate(rec, palate.evaluation.training_ratings(rec))
    assert report.n_learned == report.n_missed == report.n == len(likes)
    assert f"trained on {len(likes):,} of them" in str(report)
    again = palate.evaluate(rec, likes, keep_seen=True)
    assert (again.n_learned, again.n_missed) == (len(likes), 0)
    assert palate.evaluate(rec, more).n_learned == 0


def test_coverage_and_width_by_hand(rec, parts, report):
    rows = parts[1].to_frame()
    for level, name in ((0.9, "90"), (0.5, "50")):
        answer = rec.predict(rows, level=level)
        inside = [
            low <= value <= high for low, value, high in zip(answer["low"], rows["rating"], answer["high"], strict=True)
        ]
        assert report[f"coverage_{name}"] == pytest.approx(np.mean(inside))
        assert report[f"width_{name}"] == pytest.approx((answer["high"] - answer["low"]).mean())
        below, above = (answer["low"] > rows["rating"]).mean(), (answer["high"] < rows["rating"]).mean()
        assert (report[f"below_{name}"], report[f"above_{name}"]) == pytest.approx((below, above))
        assert f"{level:.0%} intervals {below:.1%} and {above:.1%}" in str(report)


def test_models_without_intervals_claim_no_coverage(parts):
    report = palate.evaluate(palate.ALS(n_factors=2).fit(parts[0]), parts[1])
    assert set(report.measures) == {"rmse", "mae"} and "below" not in str(report)
    assert "coverage_90" in report.baselines["Bias"]
    with pytest.raises(OptionError, match="no measure 'coverage_90'; there are rmse, mae"):
        report["coverage_90"]


def test_baselines_are_fitted_on_the_same_ratings(report, parts):
    train, test = parts
    for recipe in (palate.Mean(), palate.Bias()):
        own = palate.evaluate(recipe.fit(train), test, baselines=False)
        for name, measure in report.baselines[type(recipe).__name__].items():
            assert measure.value == pytest.approx(own[name], abs=1e-6)


def test_training_ratings_come_back(rec, parts):
    again = evaluation.training_ratings(rec)
    assert len(again) == len(parts[0])
    assert palate.Mean().fit(again).model.fingerprint == rec.model.fingerprint


# ---- bootstrap intervals


def constant_against(values, users):
    """A Mean model of zeros, and test ratings that are pure error."""
    n = len(values)
    names = [f"u{user}" for user in users]
    train = palate.read(
        {"user": sorted(set(names)), "item": ["x"] * len(set(names)), "rating": [0.0] * len(set(names))}
    )
    test = palate.Ratings(
        train.user_vocabulary.encode(names),
        np.zeros(n, np.int32),
        values,
        user_vocabulary=train.user_vocabulary,
        item_vocabulary=train.item_vocabulary,
    )
    rec = palate.Mean().fit(train)
    model = replace(rec.model, limits=(-1e9, 1e9))
    return palate.Recommender(model), test


def test_intervals_are_those_of_statistics_for_independent_ratings():
    values = np.random.default_rng(0).standard_normal(3000)
    report = palate.evaluate(*constant_against(values, range(3000)), baselines=False, n_bootstrap=4000)
    for name, error in {
        "mae": np.abs(values).std() / np.sqrt(3000),
        "rmse": (values**2).std() / np.sqrt(3000) / (2 * np.sqrt(np.mean(values**2))),
    }.items():
        measure = report.measures[name]
        assert (measure.high - measure.low) / 2 == pytest.approx(1.96 * error, rel=0.08)
        assert measure.low < measure.value < measure.high
    assert "0.9" in str(report)


def test_ratings_of_one_user_are_not_independent():
    values = np.random.default_rng(1).standard_normal(400)
    one = palate.evaluate(*constant_against(values, range(400)), baselines=False, n_bootstrap=3000)
    ten = palate.evaluate(
        *constant_against(np.repeat(values, 10), np.repeat(range(400), 10)), baselines=False, n_bootstrap=3000
    )
    assert ten["mae"] == pytest.approx(one["mae"])
    for name in ("mae", "rmse"):
        widths = [report.measures[name].high - report.measures[name].low for report in (one, ten)]
        assert widths[0] == pytest.approx(widths[1], rel=0.1)


@pytest.mark.long
def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(60):
        report = palate.evaluate(
            *constant_against(rng.standard_normal(150), range(150)), baselines=False, n_bootstrap=300
        )
        held += report.measures["mae"].low <= np.sqrt(2 / np.pi) <= report.measures["mae"].high
    assert held >= 50


def test_one_user_and_one_rating(parts):
    train, test = parts
    one = palate.evaluate(palate.Bias().fit(train), test[:1])
    assert one.n == one.n_users == 1
    measure = one.measures["rmse"]
    assert measure.low == pytest.approx(measure.value) == pytest.approx(measure.high)


def test_only_the_seed_changes_the_bootstrap(rec, parts):
    ask = lambda seed: palate.evaluate(rec, parts[1], baselines=False, n_bootstrap=50, seed=seed)  # noqa: E731
    assert ask(1) == ask(1)
    assert ask(1).measures["rmse"].low != ask(2).measures["rmse"].low
    assert ask(1)["rmse"] == ask(2)["rmse"]


# ---- the cold, the foreign, the verdict


def test_cold_rows_are_counted_apart(parts):
    whole = palate.datasets.synthetic(100, 60, 3000, seed=2)
    cold = np.isin(whole.user_codes, [1, 2, 3]) | np.isin(whole.item_codes, [5, 6])
    spare = np.random.default_rng(0).random(len(whole)) < 0.1
    train, test = palate.split_rows(whole, cold | spare)
    report = palate.evaluate(palate.Bias().fit(train), test)
    users, items = np.isin(test.user_codes, [1, 2, 3]), np.isin(test.item_codes, [5, 6])
    assert report.group_sizes == {"cold users": users.sum(), "cold items": items.sum()}
    predicted = palate.Bias().fit(train).predict(test.to_frame())["prediction"].to_numpy()
    for name, rows in (("cold users", users), ("cold items", items)):
        error = np.abs(predicted[rows] - test.values[rows]).mean()
        assert report.groups[name]["mae"].value == pytest.approx(error, rel=1e-5)
        assert f"{name} ({rows.sum():,})" in str(report)
    none = palate.evaluate(palate.Bias().fit(train), test[~users & ~items])
    assert none.groups == {}


def test_ratings_from_elsewhere_are_matched_by_label(rec, parts, report):
    other = palate.evaluate(rec, relabel(parts[1]))
    assert other["rmse"] == pytest.approx(report["rmse"], rel=1e-6)
    assert other.n_users == report.n_users
    strange = palate.evaluate(rec, relabel(parts[1], users=lambda label: label + "?"))
    assert strange.group_sizes["cold users"] == len(parts[1])
    assert strange["rmse"] > report["rmse"]
    with pytest.raises(LabelTypeError):
        palate.evaluate(rec, relabel(parts[1], items=lambda label: int(label[1:])))


def noise_only(seed=0):
    rng = np.random.default_rng(seed)
    cells = rng.permutation(60 * 40)[:1200]
    return palate.read(
        {
            "user": [f"u{cell // 40}" for cell in cells],
            "item": [f"i{cell % 40}" for cell in cells],
            "rating": rng.integers(1, 6, 1200).astype(float),
        }
    )


def test_the_verdict_on_a_model_that_is_no_better(report, parts):
    assert report.verdict == ""
    train, test = palate.split_random(noise_only(), test=0.3, seed=0)
    worse = palate.evaluate(palate.ALS(n_factors=20, weight_decay=0.01).fit(train), test)
    best = min(worse.baselines, key=lambda name: worse.baselines[name]["rmse"].value)
    assert worse["rmse"] > worse.baselines[best]["rmse"].value
    assert f"NOT better than the baseline {best}" in worse.verdict
    assert worse.verdict in str(worse)
    same = palate.evaluate(palate.Bias().fit(parts[0]), parts[1])
    assert "NOT better than the baseline Bias" in same.verdict
    little = palate.evaluate(palate.Bias(weight_decay=4.0).fit(parts[0]), parts[1])
    assert "baseline Bias" in little.verdict


def test_the_verdict_on_a_gain_that_is_not_significant(rec, parts):
    train, test = parts
    bias = palate.Bias().fit(train)
    gains = np.abs(bias.predict(test.to_frame())["prediction"] - test.values) - np.abs(
        rec.predict(test.to_frame())["prediction"] - test.values
    )
    order = np.argsort(gains.to_numpy())
    mixed = np.concatenate([order[:3], order[-4:]])  # a few test rows of which it wins a little more than half
    report = palate.evaluate(rec, test[mixed])
    if report["rmse"] < report.baselines["Bias"]["rmse"].value:
        assert "but not significantly" in report.verdict
    else:
        assert "NOT better" in report.verdict


def test_what_cannot_be_evaluated(rec, parts):
    with pytest.raises(DataError, match="no test ratings"):
        palate.evaluate(rec, parts[1][:0])
    with pytest.raises(OptionError, match="predicts no ratings"):
        palate.evaluate(palate.Popularity().fit(parts[0]), parts[1])


@pytest.mark.parametrize("wrong", [{"n_bootstrap": 0}, {"n_bootstrap": -1}, {"n_bootstrap": None}, {"n_bootstrap": 1.5},
                                   {"seed": -1}, {"seed": "a"}, {"seed": None}])  # fmt: skip
def test_options_that_make_no_sense(rec, parts, wrong):
    (name,) = wrong
    with pytest.raises(OptionError, match=f"{name} must be a whole number, [01] or more"):
        palate.evaluate(rec, parts[1], **wrong)


def test_only_ratings_are_evaluated_on(rec, parts):
    for other in (parts[1].to_frame(), "ratings.csv", None, []):
        with pytest.raises(OptionError, match=r"test must be a Ratings, as palate\.read\(\) .* not"):
            palate.evaluate(rec, other)
        with pytest.raises(OptionError, match="ratings must be a Ratings"):
            palate.cross_validate(palate.Mean(), other)
    with pytest.raises(OptionError, match=r"recommender must be a Recommender, .* not Mean"):
        palate.evaluate(palate.Mean(), parts[1])
    with pytest.raises(OptionError, match="recipe must be a Recipe"):
        palate.cross_validate(rec, parts[1])


def test_reports_print_and_become_json(report):
    text = str(report)
    assert text.startswith(f"{report.n:,} test ratings of {report.n_users:,} users")
    assert f"{report['rmse']:.4f}" in text
    assert [line.split()[0] for line in text.splitlines()[2:5]] == ["model", "Mean", "Bias"]
    shown = json.loads(json.dumps(report.to_dict()))
    assert shown["measures"]["rmse"]["value"] == report["rmse"]
    assert set(shown["baselines"]) == {"Mean", "Bias"}


# ---- cross-validation


def test_cross_validation_tests_every_rating_once(parts):
    train, _ = parts
    cv = palate.cross_validate(palate.Bias(), train, folds=4, seed=3)
    assert [report.n for report in cv.reports] == [len(fold) for _, fold in palate.split_folds(train, folds=4, seed=3)]
    assert sum(report.n for report in cv.reports) == len(train)
    by_hand = []
    for part, fold in palate.split_folds(train, folds=4, seed=3):
        predicted = palate.Bias().fit(part).predict(fold.to_frame())["prediction"].to_numpy()
        by_hand.append(np.sqrt(np.mean((predicted - fold.values) ** 2)))
    np.testing.assert_allclose([report["rmse"] for report in cv.reports], by_hand, rtol=1e-6)
    assert cv["rmse"] == pytest.approx(np.mean(by_hand))
    assert cv.std("rmse") == pytest.approx(np.std(by_hand, ddof=1))
    assert str(cv).startswith("Bias(), 4 folds")
    assert json.loads(json.dumps(cv.to_dict()))["means"]["rmse"] == cv["rmse"]
    with pytest.raises(OptionError, match="folds"):
        palate.cross_validate(palate.Bias(), train, folds=1)


def test_cross_validation_has_no_favourites(parts):
    small = parts[0][:2000]
    one = palate.cross_validate(palate.Mean(), small, folds=3, seed=1)
    two = palate.cross_validate(palate.Mean(), small, folds=3, seed=1)
    assert one == two
    assert palate.cross_validate(palate.Mean(), small, folds=3, seed=2)["rmse"] != one["rmse"]


def test_cross_validation_of_likes_holds_out_a_part_of_each_user(parts):
    likes = parts[0][:3000].likes(at_least=4)
    recipe = palate.ImplicitALS(n_factors=3, n_sweeps=2)
    cv = palate.cross_validate(recipe, likes, folds=3, seed=3)
    folds = palate.split_folds_within_users(likes, folds=3, seed=3)
    for report, (train, test) in zip(cv.reports, folds, strict=True):
        assert report.to_dict() == palate.evaluate(recipe.fit(train), test, baselines=False).to_dict()
    assert cv["ndcg@10"] == pytest.approx(np.mean([report["ndcg@10"] for report in cv.reports]))
    lonely = palate.read({"user": [1, 2, 3], "item": [1, 1, 2]}, kind="implicit")
    with pytest.raises(DataError, match="no user has two"):
        palate.cross_validate(recipe, lonely)


def test_cross_validation_by_the_next_item_goes_backwards(parts):
    likes = parts[0][:3000].likes(at_least=4)
    cv = palate.cross_validate(palate.EASE(), likes, folds=2, next_item=True)
    first, last = palate.split_last(likes)
    earlier, second = palate.split_last(first)
    for report, (train, test) in zip(cv.reports, [(first, last), (earlier, second)], strict=True):
        alone = palate.evaluate(palate.EASE().fit(train), test, baselines=False, next_item=True)
        assert report.to_dict() == alone.to_dict()
    assert cv["hit_rate@10"] == pytest.approx(np.mean([report["hit_rate@10"] for report in cv.reports]))
    few = palate.read({"user": [1, 1, 2], "item": [1, 2, 2]}, kind="implicit")
    with pytest.raises(DataError, match="no user has 3 events, which 2 folds need"):
        palate.cross_validate(palate.Popularity(), few, folds=2, next_item=True)
    with pytest.raises(OptionError, match="next_item=True goes by the order"):
        palate.cross_validate(palate.Bias(), parts[0], next_item=True)
