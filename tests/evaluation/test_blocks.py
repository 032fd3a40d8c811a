"""Evaluation in blocks: of ratings in memory, of ratings on disk and on workers, the report is one and the same."""

import shutil

import numpy as np
import pytest

import palate
from helpers.clusters import CopyingExchange
from palate.data.blocks import parting, views
from palate.data.ratings import with_positive_weights
from palate.evaluation import doctor, hindsight, measured_lists, measured_rows
from palate.evaluation.matching import training_ratings
from palate.evaluation.user_measures import UserMeasures


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """So little at once that all data here take several blocks."""
    for module, name, size in ((views, "BLOCK_RATINGS", 100), (parting, "AT_ONCE", 90), (hindsight, "AT_ONCE", 70),
                               (measured_rows, "BLOCK_ROWS", 80), (measured_lists, "BLOCK_USERS", 9)):  # fmt: skip
        monkeypatch.setattr(module, name, size)


def rated():
    rng = np.random.default_rng(5)
    made = palate.datasets.synthetic(70, 30, 1500, seed=2)
    order = np.argsort(made.user_codes, kind="stable")
    genres = {"item": made.classes["item"], "genres": [["a", "b", "a|b"][at % 3] for at in range(30)]}
    return palate.Ratings(
        *(made.user_codes[order], made.item_codes[order], made.values[order]),
        user_vocabulary=made.user_vocabulary,
        item_vocabulary=made.item_vocabulary,
        times=rng.integers(0, 1000, len(made)),
        weights=rng.integers(0, 3, len(made)),
    ).with_items(genres)


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    return palate.blocks.write(tmp_path_factory.mktemp("evaluating") / "made.blocks", rated(), progress=False)


def close(found, expected):
    """Nested plain values are equal, numbers up to 1e-12."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for name in expected:
            close(found[name], expected[name])
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)
    else:
        assert found == expected


def test_predictions_on_disk_and_on_workers(blocks):
    train, test = palate.split_within_users(blocks, 0.3)
    rec = palate.Bayes(n_sweeps=6, n_factors=2).fit(train, progress=False)
    expected = palate.evaluate(rec, test.in_memory(), propensity="popularity", n_bootstrap=50).to_dict()
    assert expected["n_older"] > 0
    close(palate.evaluate(rec, test, propensity="popularity", n_bootstrap=50).to_dict(), expected)
    close(palate.evaluate(rec, test, propensity="popularity", n_bootstrap=50, on=CopyingExchange()).to_dict(), expected)


def test_blocks_of_rows_change_no_figure(blocks, monkeypatch):
    train, test = palate.split_random(with_positive_weights(blocks.in_memory()), 0.3)
    mixed = palate.read(test.to_frame().vstack(train.to_frame()[:50]))
    rec = palate.ALS(n_sweeps=3).fit(train, progress=False)
    found = palate.evaluate(rec, mixed, n_bootstrap=50).to_dict()
    assert found["n_learned"] == 50
    assert set(found["groups"]) >= {"learned from", "held out"}
    monkeypatch.setattr(measured_rows, "BLOCK_ROWS", 1 << 18)
    whole = palate.evaluate(rec, mixed, n_bootstrap=50).to_dict()
    for name, measure in whole["measures"].items():
        assert found["measures"][name]["value"] == pytest.approx(measure["value"], rel=1e-12)
        assert found["measures"][name]["low"] == pytest.approx(measure["low"], rel=1e-6)  # drawn in float32


@pytest.mark.parametrize(
    "options",
    [{}, {"attribute": "genres"}, {"popularity": 0.3, "calibrated": "genres"}, {"items": ["i1", "i2", "i3", "i4"]},
     {"propensity": "popularity", "keep_seen": True}, {"by": "thompson", "seed": 3}],
)  # fmt: skip
def test_lists_on_disk_on_workers_and_at_once(blocks, options, monkeypatch):
    train, test = palate.split_within_users(blocks, 0.3)
    rec = palate.Bayes(n_sweeps=6, n_factors=2).fit(train, progress=False)
    liked = test.likes(3)
    asked = {"k": (3, 10), "n_bootstrap": 50, **options}
    found = palate.evaluate(rec, liked, **asked).to_dict()
    close(palate.evaluate(rec, liked.in_memory(), **asked).to_dict(), found)
    close(palate.evaluate(rec, liked, **asked, on=CopyingExchange()).to_dict(), found)
    monkeypatch.setattr(measured_lists, "BLOCK_USERS", 1 << 14)
    close(palate.evaluate(rec, liked, **asked).to_dict(), found)


def test_cold_items_in_some_blocks_only(blocks):
    likes = blocks.with_weights(None).likes(3)
    cold = likes.item_codes < 2
    train, test = palate.split_rows(likes, cold | (np.arange(len(likes)) % 4 == 0))
    rec = palate.Popularity().fit(train, progress=False)
    for of in (test, test.in_memory()):
        report = palate.evaluate(rec, of, n_bootstrap=20)
        assert report.n_cold == int((test.item_codes < 2).sum()) > 0
        assert 0 < report["cold_ndcg@5"] <= 1


def test_what_is_missed_and_listed_adds_up():
    part = lambda n, listed: UserMeasures((1,), n, np.array([listed]), {"a": np.ones(2), "b": (np.ones(2), np.ones(2))})  # noqa: E731
    both = UserMeasures.joined([part(2, [True, False, False]), part(3, [False, False, True])])
    assert (both.n_missed, both.listed.tolist()) == (5, [[True, False, True]])
    assert len(both.values["a"]) == len(both.values["b"][1]) == 4


def test_baselines_learn_from_the_ratings_on_disk(blocks):
    rec = palate.Bias().fit(blocks, progress=False)
    found = training_ratings(rec)
    assert isinstance(found, palate.blocks.Blocks)
    assert np.array_equal(found.item_codes, rec.model.history.indices)


def test_baselines_learn_from_a_copy_where_the_folder_is_gone(tmp_path):
    blocks = palate.blocks.write(tmp_path / "made.blocks", rated(), progress=False)
    rec, test = palate.Bias().fit(blocks, progress=False), blocks[:50]
    before = palate.evaluate(rec, test, n_bootstrap=5)
    shutil.rmtree(blocks.path)
    assert palate.evaluate(rec, test, n_bootstrap=5).to_dict() == before.to_dict()


def test_comparing_and_cross_validation(blocks):
    recipes = [palate.Mean(), palate.ALS(n_sweeps=2)]
    found, expected = (
        palate.compare(*palate.split_within_users(of, 0.3), recipes, n_bootstrap=20, progress=False).entries
        for of in (blocks, blocks.in_memory())
    )
    assert {entry.name: entry.report["rmse"] for entry in found} == pytest.approx(
        {entry.name: entry.report["rmse"] for entry in expected}, rel=1e-6
    )
    likes = blocks.likes(3)
    cv = palate.cross_validate(palate.Popularity(), likes, folds=3)
    assert 0 < cv["ndcg@10"] < 1
    assert 0 < palate.cross_validate(palate.Mean(), blocks, folds=3)["rmse"] < 3


def test_next_items(blocks):
    train, test = palate.split_last(blocks.likes(3))
    rec = palate.EASE().fit(train, progress=False)
    found, expected = (palate.evaluate(rec, of, next_item=True, n_bootstrap=5) for of in (test, test.in_memory()))
    assert found.to_dict() == expected.to_dict()
    with pytest.raises(palate.errors.OptionError, match="on= does not go with next_item"):
        palate.evaluate(rec, test, next_item=True, on=CopyingExchange())


def test_the_doctor_looks_at_order_too(blocks):
    likes = blocks.likes(2)
    assert palate.check(likes).findings == palate.check(likes.in_memory()).findings


def test_the_doctor_looks_at_some_users_of_many(blocks, monkeypatch):
    monkeypatch.setattr(doctor, "SAMPLED", 300)
    found = palate.check(blocks)
    assert found.findings[0].name == "sample"
    assert found["sample"].says.startswith("1,500 ratings lie on disk: what follows is of 3")
    assert "30 items" in found["size"].says
