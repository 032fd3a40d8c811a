"""evaluate() within some items, and of users who choose again: it measures the very lists that recommend() gives."""

import numpy as np
import polars as pl
import pytest

import palate
from palate.errors import DataError, OptionError

RECIPES = {
    "dot products": palate.ImplicitALS(n_factors=4, n_sweeps=3, seed=1),
    "stored scores": palate.EASE(),
    "shared scores": palate.Popularity(),
}
CANDIDATES = {
    "items": {"items": [f"i{i}" for i in range(0, 40, 3)]},
    "where": {"where": "year > 2010"},
    "both": {"items": [f"i{i}" for i in range(0, 40, 2)], "where": "year > 2010"},
    "seen too": {"keep_seen": True},
    "seen too, of some": {"keep_seen": True, "items": [f"i{i}" for i in range(25)]},
    "one": {"items": ["i3"]},
}


def chosen_again():
    """Training and test choices; a third of the latter are pairs of the training set."""
    rng = np.random.default_rng(0)
    pairs = np.argwhere(rng.random((30, 40)) < 0.3)
    again = np.concatenate([pairs[rng.random(len(pairs)) < 0.2], np.argwhere(rng.random((30, 40)) < 0.1)])
    table = pl.DataFrame({"item": [f"i{i}" for i in range(40)], "year": [2000 + i for i in range(40)]})

    def likes(of, **tables):
        labels = {"user": [f"u{u}" for u, _ in of], "item": [f"i{i}" for _, i in of]}
        return palate.read(labels, kind="implicit", **tables)

    return likes(pairs, items=table, unrated="keep"), likes(again)


TRAIN, TEST = chosen_again()


def recall_by_hand(rec, options, k):
    """The mean recall of the lists that recommend() gives, over users with a held-out item that may stand in a list."""
    allowed = set(options.get("items", [f"i{i}" for i in range(40)]))
    allowed &= {f"i{i}" for i in range(11, 40)} if "where" in options else allowed
    held_out = {}
    for user, item in TEST.to_frame().select("user", "item").unique().iter_rows():
        if item in allowed:
            held_out.setdefault(user, set()).add(item)
    lists = {user: set(rec.recommend(user, n=k, **options)["item"]) for user in held_out}
    return np.mean([len(lists[user] & items) / len(items) for user, items in held_out.items()])


@pytest.mark.parametrize("options", CANDIDATES.values(), ids=CANDIDATES)
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_lists_measured_are_those_that_recommend_gives(recipe, options):
    rec = recipe.fit(TRAIN, progress=False)
    report = palate.evaluate(rec, TEST, k=(3, 10), n_bootstrap=5, **options)
    popular = palate.Popularity().fit(TRAIN, progress=False)
    for k in (3, 10):
        assert report[f"recall@{k}"] == pytest.approx(recall_by_hand(rec, options, k))
        assert report.baselines["Popularity"][f"recall@{k}"].value == pytest.approx(recall_by_hand(popular, options, k))
    assert report.keep_seen == options.get("keep_seen", False)
    assert ("seen ones included" in str(report)) == report.keep_seen
    if report.keep_seen:
        assert report.n_missed == 0  # nothing that was chosen before is out of reach


def test_ranked_by_likely_within_some_items():
    ratings = palate.datasets.synthetic(60, 40, 1200, seed=1)
    train, test = palate.split_within_users(ratings, test=0.2, seed=0)
    rec = palate.Bayes(n_factors=2, n_sweeps=10, seed=1).fit(train, progress=False)
    items = train.classes["item"][:9]
    report = palate.evaluate(rec, test.likes(at_least=4), by="likely", at_least=4, items=items, n_bootstrap=5)
    assert report.n_items == 9 and 0 < report["recall@5"] <= 1 == report["recall@10"]


def test_what_cannot_be_evaluated_says_so():
    rec = palate.Popularity().fit(TRAIN, progress=False)
    with pytest.raises(DataError, match="none of the held-out items"):
        palate.evaluate(rec, TEST, items=[])
    with pytest.raises(OptionError, match="one list"):
        palate.evaluate(rec, TEST, items={"u1": ["i1"]})
    stars = palate.datasets.synthetic(60, 40, 1200, seed=1)
    for option in ({"items": ["i1"]}, {"where": "year > 1"}, {"keep_seen": True}):
        with pytest.raises(OptionError, match="measure predictions"):
            palate.evaluate(palate.Bias().fit(stars, progress=False), stars, **option)
