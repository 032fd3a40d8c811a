"""Lists of a model of explicit ratings, measured as recommend(by=...) makes them."""

import json

import numpy as np
import pytest

import palate
from helpers.command_line import answer, many, refusal
from palate.errors import OptionError

WHOLE = palate.datasets.synthetic(60, 40, 1500, seed=1)
TRAIN, TEST = palate.split_within_users(WHOLE, test=0.3, seed=0)
LIKES = TEST.likes(at_least=4)
BYS = {
    "mean": {},
    "lower": {"level": 0.7},
    "thompson": {},
    "chance": {"at_least": 4},
    "likely": {"at_least": 5},
}


@pytest.fixture(scope="module")
def rec():
    return palate.Bayes(n_sweeps=20, n_factors=4, likelihood="ordinal").fit(TRAIN)


def expected(rec, test, k, **options):
    """Recall@k and NDCG@k from the lists that recommend() makes, by hand."""
    found = rec.recommend([f"u{u}" for u in range(60)] + ["new"], n=k, **options)
    lists = {user: one.sort("rank")["item"].to_list() for (user,), one in found.group_by("user")}
    held = {user: set(one["item"]) for (user,), one in test.to_frame().group_by("user")}
    recalls, ndcgs = [], []
    for user, items in held.items():
        gains = [1 / np.log2(rank + 1) for rank, item in enumerate(lists[user], 1) if item in items]
        recalls.append(len(gains) / len(items))
        ndcgs.append(sum(gains) / sum(1 / np.log2(rank + 1) for rank in range(1, min(k, len(items)) + 1)))
    return np.mean(recalls), np.mean(ndcgs)


@pytest.mark.parametrize("by", BYS)
def test_the_lists_measured_are_those_of_recommend(rec, by):
    report = palate.evaluate(rec, LIKES, k=7, by=by, seed=3, n_bootstrap=2, baselines=False, **BYS[by])
    found = report["recall@7"], report["ndcg@7"]
    assert found == pytest.approx(expected(rec, LIKES, 7, by=by, seed=3, **BYS[by]), rel=1e-6)
    assert report.by == report.to_dict()["by"] == by
    assert (f'by="{by}"' in str(report)) == (by != "mean")


def test_ways_to_rank_differ_and_popularity_stays(rec):
    reports = [palate.evaluate(rec, LIKES, by=by, n_bootstrap=2, **more) for by, more in BYS.items()]
    assert len({report["auc"] for report in reports}) == len(BYS)
    assert len({json.dumps(report.to_dict()["baselines"]) for report in reports}) == 1


def test_mean_is_the_default(rec):
    options = {"n_bootstrap": 5, "seed": 2}
    assert palate.evaluate(rec, LIKES, by="mean", **options) == palate.evaluate(rec, LIKES, **options)


def test_unknown_users_are_measured_too(rec):
    frame = LIKES.to_frame().select("user", "item")
    more = {"user": [*frame["user"], "new", "new"], "item": [*frame["item"], "i1", "nowhere"]}
    test = palate.read(more, kind="implicit")
    for by in ("likely", "lower"):
        report = palate.evaluate(rec, test, k=7, by=by, n_bootstrap=2)
        assert report["recall@7"] == pytest.approx(expected(rec, test, 7, by=by)[0], rel=1e-6)


def test_what_cannot_be_measured(rec):
    als = palate.ALS(n_factors=2, n_sweeps=2).fit(TRAIN)
    likes = palate.ImplicitALS(n_factors=2).fit(TRAIN.likes(4))
    for asked, test, options, words in (
        (rec, LIKES, {"by": "best"}, "by='best' is not valid; use one of"),
        (rec, LIKES, {"by": "chance"}, "at_least= go together"),
        (rec, LIKES, {"by": "likely", "at_least": 9}, "no training rating is higher"),
        (rec, LIKES, {"by": "lower", "level": 2}, "level must lie"),
        (als, LIKES, {"by": "lower"}, "needs the draws of a Bayes fit"),
        (likes, LIKES, {"by": "likely"}, 'use by="mean"'),
        (rec, TEST, {"by": "likely"}, r"take test\.likes"),
        (rec, TEST, {"at_least": 4}, r"take test\.likes"),
        (rec, TEST, {"level": 0.5}, r"take test\.likes"),
    ):
        with pytest.raises(OptionError, match=words):
            palate.evaluate(asked, test, **options)


def test_at_the_command_line(rec, tmp_path):
    rec.save(tmp_path / "m.palate")
    TEST.to_frame().write_csv(tmp_path / "test.csv")
    line = "evaluate m.palate test.csv --likes 4 --by likely --at-least 5 --seed 2 --json"
    told = json.loads(answer(*line.split(), cwd=tmp_path))
    report = palate.evaluate(rec, LIKES, by="likely", at_least=5, seed=2)
    assert told["by"] == "likely"
    assert told["measures"]["ndcg@10"]["value"] == pytest.approx(report["ndcg@10"], rel=1e-6)
    lists = "evaluate m.palate test.csv --likes 4 --by chance --json"  # ranked by the threshold that is measured
    told = json.loads(answer(*lists.split(), cwd=tmp_path))
    report = palate.evaluate(rec, LIKES, by="chance", at_least=4)
    assert told["measures"]["ndcg@10"]["value"] == pytest.approx(report["ndcg@10"], rel=1e-6)
    refused = {
        "evaluate m.palate test.csv --by likely": "add --likes 4",
        "evaluate m.palate test.csv --likes 4 --by luck": "--by luck is not valid; use one of",
        "evaluate m.palate test.csv --likes 4 --by likely --at-least nan": "--at-least",
    }
    for done, (words, said) in zip(many(*refused, cwd=tmp_path), refused.items(), strict=True):
        assert said in refusal(done), words
