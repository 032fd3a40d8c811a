"""What a dial costs: reports of lists with dials, against the lists that recommend() gives and against none."""

import math

import numpy as np
import polars as pl
import pytest

import palate
from palate.answers.ranking.dials import by_users
from palate.errors import OptionError
from palate.evaluation.list_metrics import diversity_by_users, miscalibration

TABLE = {
    "item": [f"i{n}" for n in range(40)],
    "genres": [("a|b", "b", None, "c", "a|c", "d")[n % 6] for n in range(40)],
    "margin": [float((n * 7) % 11) for n in range(40)],
}
LIKES = palate.datasets.synthetic(60, 40, 900, seed=5, kind="implicit").with_items(TABLE)
TRAIN, TEST = palate.split_within_users(LIKES, test=0.3, seed=0)
KS = (3, 8)
DIALS = {"diversity": 0.5, "popularity": -0.3, "calibrated": {"genres": 0.2}, "boost": {"margin": 0.2}}


@pytest.fixture(scope="module", params=["ImplicitALS", "EASE", "Popularity"])
def rec(request):
    options = {"ImplicitALS": {"n_factors": 4, "n_sweeps": 3, "features": False}, "EASE": {"weight_decay": 5}}
    return getattr(palate, request.param)(**options.get(request.param, {})).fit(TRAIN, progress=False)


def report_on(rec, **options):
    return palate.evaluate(rec, TEST, k=KS, baselines=False, n_bootstrap=50, **options)


def lists_of(rec, n, **options):
    """{user: items in the order of the list}."""
    frame = rec.recommend(n=n, **options)
    return {user: part["item"].to_list() for (user,), part in frame.group_by(["user"], maintain_order=True)}


def held_out():
    frame = TEST.to_frame().group_by("user", maintain_order=True).agg(pl.col("item"))
    return dict(frame.iter_rows())


@pytest.mark.parametrize("options", [DIALS, {"max_per": {"genres": 1}}, {"diversity": 0.9, "where": "margin > 2"}],
                         ids=str)  # fmt: skip
def test_a_report_measures_the_lists_that_recommend_gives(rec, options):
    report = report_on(rec, **options)
    allowed = {i for i, m in zip(TABLE["item"], TABLE["margin"], strict=True) if m > 2 or "where" not in options}
    lists, relevant = lists_of(rec, KS[-1], **options), {u: set(items) & allowed for u, items in held_out().items()}
    relevant = {user: items for user, items in relevant.items() if items}
    for k in KS:
        recall = np.mean([len(items & set(lists[user][:k])) / len(items) for user, items in relevant.items()])
        assert report[f"recall@{k}"] == pytest.approx(recall)
        gains = [
            sum(1 / math.log2(2 + at) for at, item in enumerate(lists[user][:k]) if item in items)
            / sum(1 / math.log2(2 + at) for at in range(min(k, len(items))))
            for user, items in relevant.items()
        ]
        assert report[f"ndcg@{k}"] == pytest.approx(np.mean(gains))


def test_behind_the_list_all_other_items_follow_in_the_order_of_the_model(rec):
    """Seen by the AUC, which looks at the whole ranking."""
    report = report_on(rec, diversity=0.7, popularity=-0.6)
    changed, plain = lists_of(rec, KS[-1], diversity=0.7, popularity=-0.6), lists_of(rec, 40)
    shares = []
    for user, items in held_out().items():
        ranking = changed[user] + [item for item in plain[user] if item not in changed[user]]
        others = [at for at, item in enumerate(ranking) if item not in items]
        places = [ranking.index(item) for item in items if item in ranking]
        if others:
            shares.append(sum(at < other for at in places for other in others) / (len(items) * len(others)))
    assert report["auc"] == pytest.approx(np.mean(shares))


def test_the_report_shows_what_the_dials_change(rec):
    report, plain = report_on(rec, **DIALS), report_on(rec, attribute="genres")
    assert report.dials == DIALS
    assert {name: report.without[name].value for name in plain.measures} == pytest.approx(
        {name: one.value for name, one in plain.measures.items()}, nan_ok=True
    )
    for name, one in report.difference.items():
        assert one.value == pytest.approx(report[name] - report.without[name].value, nan_ok=True)
        assert math.isnan(one.low) or (one.low <= one.value + 1e-9 and one.value - 1e-9 <= one.high)
    assert report.difference["diversity@8"].value > 0 > report.difference["popularity_bias@8"].value
    assert report.difference["miscalibration_genres@8"].value < 0
    assert "difference" in str(report) and "diversity=0.5" in str(report)
    assert report.to_dict()["difference"].keys() == report.measures.keys()
    assert plain.dials == plain.without == plain.difference == {} and "without" not in str(plain)


def test_dials_at_nothing_change_no_report(rec):
    plain = report_on(rec)
    assert report_on(rec, diversity=0.0, boost={}, calibrated={"genres": 0}).to_dict() == plain.to_dict()


def test_diversity_by_users_is_that_of_all_pairs():
    rec = palate.EASE(weight_decay=5).fit(TRAIN, progress=False)
    sets, lists = by_users(rec.model), np.array([[0, 5, 9, 2], [3, 1, -1, -1], [7, -1, -1, -1]], np.int32)
    vectors = np.zeros((40, 60))
    for item in range(40):
        users, values = sets.members.row(item)
        vectors[item, users] = values
    cosines = vectors @ vectors.T
    np.testing.assert_allclose(np.diag(cosines)[rec.model.item_counts > 0], 1, atol=1e-6)
    found = diversity_by_users(lists, (2, 4), rec.model)
    pairs = [[(0, 5)], [(3, 1)]], [[(0, 5), (0, 9), (0, 2), (5, 9), (5, 2), (9, 2)], [(3, 1)]]
    for at_k, of_k in zip(found, pairs, strict=True):
        np.testing.assert_allclose(at_k[:2], [1 - np.mean([cosines[p] for p in own]) for own in of_k], atol=1e-6)
        assert np.isnan(at_k[2])


def test_miscalibration_is_the_divergence_of_two_mixes():
    rec = palate.Popularity().fit(TRAIN, progress=False)
    sets = np.zeros((40, 3), bool)
    sets[:20, 0] = sets[10:30, 1] = True  # items from 30 on have no class
    user = int(np.argmax(rec.model.history.counts))
    own, _ = rec.model.history.row(user)
    mix = sum(sets[i] / max(sets[i].sum(), 1) for i in own)
    mix = mix / mix.sum()
    lists = np.array([own[:4], [0, 1, 2, 3], [35, 36, -1, -1]], np.int32)
    users = np.array([user, user, -1], np.int32)
    at_1, at_4 = miscalibration(rec.model, users, lists, (1, 4), sets)
    first = 0.99 * np.array([1.0, 0, 0]) + 0.01 * mix
    assert at_1[1] == pytest.approx(at_4[1]) == pytest.approx(np.sum(mix[:2] * np.log(mix[:2] / first[:2])))
    assert np.isnan(at_1[2]) and at_4[0] >= 0
    every = np.array([list(own)], np.int32)
    assert miscalibration(rec.model, users[:1], every, (len(own),), sets)[0][0] == pytest.approx(0, abs=1e-9)


def test_dials_are_for_lists():
    stars = palate.datasets.synthetic(30, 20, 300, seed=1)
    rec = palate.Bias().fit(stars, progress=False)
    for given in ({"diversity": 0.2}, {"popularity": 0.1}, {"boost": "margin"}, {"max_per": {"genres": 1}}):
        with pytest.raises(OptionError, match="apply to recommended lists"):
            palate.evaluate(rec, stars, **given)
