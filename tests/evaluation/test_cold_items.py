"""Items without training choices are ranked among each other, and counted."""

import numpy as np
import pytest

import palate


@pytest.fixture(scope="module")
def parts():
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((30, 20)) < 0.4)
    likes = palate.read({"user": [f"u{u}" for u in users], "item": [f"i{i:02}" for i in items]}, kind="implicit")
    likes = likes.with_items({"item": [f"i{i:02}" for i in range(20)], "kind": ["tea", "jam"] * 10})
    is_test = (items >= 14) | (rng.random(len(items)) < 0.2)
    return palate.split_rows(likes, is_test)


def by_hand(rec, test, k):
    """NDCG@k and Recall@k of lists of the cold items alone, means over the users who have some held out."""
    cold = [f"i{i:02}" for i in range(14, 20)]
    held = test.to_frame()
    ndcgs, recalls = [], []
    for user in sorted(set(held["user"])):
        wanted = {item for u, item in held.select("user", "item").rows() if u == user and item in cold}
        if not wanted:
            continue
        top = rec.recommend(user, n=k, items=cold)["item"].to_list()
        gains = [1 / np.log2(rank + 1) for rank, item in enumerate(top, 1) if item in wanted]
        ndcgs.append(sum(gains) / sum(1 / np.log2(rank + 1) for rank in range(1, min(k, len(wanted)) + 1)))
        recalls.append(len(gains) / len(wanted))
    return np.mean(ndcgs), np.mean(recalls)


@pytest.mark.parametrize("recipe", [palate.ImplicitALS(n_factors=4), palate.EASE(), palate.Popularity()], ids=repr)
def test_cold_items_are_ranked_as_recommend_ranks_them(parts, recipe):
    train, test = parts
    rec = recipe.fit(train, progress=False)
    report = palate.evaluate(rec, test, k=(2, 4), n_bootstrap=5)
    for k in (2, 4):
        found = report[f"cold_ndcg@{k}"], report[f"cold_recall@{k}"]
        assert found == pytest.approx(by_hand(rec, test, k), rel=1e-6)
    assert report.n_cold == report.to_dict()["n_cold"] == sum(item >= "i14" for item in test.to_frame()["item"])
    assert f"{report.n_cold} of them are of items without training choices" in str(report)
    assert "cold_ndcg@2" in report.baselines["Popularity"]


def test_other_measures_stay_and_nothing_is_said_where_no_item_is_cold(parts):
    train, test = parts
    rec = palate.Popularity().fit(train, progress=False)
    warm = test[np.array([item < "i14" for item in test.to_frame()["item"]])]
    report = palate.evaluate(rec, warm, n_bootstrap=5)
    assert report.n_cold == 0
    assert not [name for name in report.measures if name.startswith("cold")]
    assert "without training choices" not in str(report)
    among = palate.evaluate(rec, test, items=[f"i{i:02}" for i in range(14)], n_bootstrap=5)
    assert among.n_cold == 0  # the items to rank are all warm


def test_cold_items_by_measure_of_whole_lists_are_unchanged(parts):
    train, test = parts
    rec = palate.ImplicitALS(n_factors=4).fit(train, progress=False)
    report = palate.evaluate(rec, test, k=5, n_bootstrap=5)
    lists = {u: rec.recommend(u, n=5)["item"].to_list() for u in set(test.to_frame()["user"])}
    held = {u: set(one["item"]) for (u,), one in test.to_frame().group_by("user")}
    recalls = [len(held[u] & set(lists[u])) / len(held[u]) for u in held]
    assert report["recall@5"] == pytest.approx(np.mean(recalls), rel=1e-6)
