"""Ranking metrics against scikit-learn, against lists ranked and counted by hand, and by what must hold of them."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

import palate
from palate.data.ratings import Ratings
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError, OptionError
from palate.evaluation import RankingReport, evaluate, list_metrics, rank_metrics, training_ratings
from palate.evaluation.matching import held_out_of
from palate.evaluation.rankings import check_ks
from palate.evaluation.ranks import DotProducts, Scores, SharedScores, _is_dot_product, rank_held_out
from palate.evaluation.resampling import Resample, _poisson_weights
from palate.evaluation.user_measures import main_measure
from palate.models.factors import Factors, Prior
from palate.models.network import Network
from palate.recommender import Recommender

KS = (1, 3, 5, 20)


def likes(pairs, n_users, n_items, **more):
    pairs = np.asarray(pairs, np.int32).reshape(-1, 2)
    return Ratings(
        pairs[:, 0], pairs[:, 1], np.ones(len(pairs)), kind="implicit",
        user_vocabulary=Vocabulary.in_order([f"u{at}" for at in range(n_users)]),
        item_vocabulary=Vocabulary.in_order([f"i{at}" for at in range(n_items)]), **more,
    )  # fmt: skip


def model_of(scores, seen, **more):
    """A recommender that gives these scores (n_users, n_items), trained on the pairs `seen`."""
    scores = np.asarray(scores, np.float32)
    n_users, n_items = scores.shape
    users = np.ascontiguousarray(np.hstack([np.eye(n_users), np.zeros((n_users, 1))]), np.float32)
    items = np.ascontiguousarray(np.hstack([scores.T, np.zeros((n_items, 1))]), np.float32)
    prior = Prior(np.eye(n_users + 1, dtype=np.float32), np.zeros(n_users + 1, np.float32))
    factors = Factors(0.0, users, items, prior, prior)
    return Recommender.from_training(likes(seen, n_users, n_items, **more), factors=factors, predicts_ratings=False)


class Case:
    """Random scores with ties, what is seen and what is held out, and each user's ranked candidates by sorting."""

    def __init__(self, seed, n_users=7, n_items=9):
        rng = np.random.default_rng(seed)
        self.scores = rng.integers(0, 6, (n_users, n_items)).astype(float)
        part = rng.choice(3, (n_users, n_items), p=(0.5, 0.25, 0.25))
        part[0, 0], part[1] = 2, 0  # one user with a held-out item, and one without
        self.seen, self.held = part == 1, part == 2
        self.rec = model_of(self.scores, np.argwhere(self.seen))
        self.test = likes(np.argwhere(self.held), n_users, n_items)
        self.users = [user for user in range(n_users) if self.held[user].any()]

    def ranked(self, user):
        left = [item for item in range(self.scores.shape[1]) if not self.seen[user, item]]
        return sorted(left, key=lambda item: (-self.scores[user, item], item))

    def by_hand(self, of_user):
        return np.array([of_user(self.ranked(user), set(np.flatnonzero(self.held[user]))) for user in self.users])

    def ranks_and_lists(self, n=20):
        return rank_held_out(self.rec.model, held_out_of(self.rec, self.test), min(n, self.scores.shape[1]))


def by_hand(name, k):
    """The metric of one ranked list and one set of held-out items, in plain Python."""

    def hits(ranked, held):
        return [rank for rank, item in enumerate(ranked[:k], 1) if item in held]

    def precision_at(ranked, held, rank):
        return sum(item in held for item in ranked[:rank]) / rank

    return {
        "precision": lambda ranked, held: len(hits(ranked, held)) / k,
        "recall": lambda ranked, held: len(hits(ranked, held)) / len(held),
        "hit_rate": lambda ranked, held: float(bool(hits(ranked, held))),
        "map": lambda ranked, held: (
            sum(precision_at(ranked, held, rank) for rank in hits(ranked, held)) / min(k, len(held))
        ),
        "mrr": lambda ranked, held: 1 / hits(ranked, held)[0] if hits(ranked, held) else 0.0,
        "ndcg": lambda ranked, held: (
            sum(1 / np.log2(rank + 1) for rank in hits(ranked, held))
            / sum(1 / np.log2(rank + 1) for rank in range(1, min(k, len(held)) + 1))
        ),
    }[name]


@given(st.integers(0, 10**6))
def test_metrics_are_those_counted_by_hand(seed):
    case = Case(seed)
    ranks, _ = case.ranks_and_lists()
    for name, metric in rank_metrics.AT_K.items():
        for k in KS:
            np.testing.assert_allclose(metric(ranks, k), case.by_hand(by_hand(name, k)), atol=1e-12, err_msg=name)


@given(st.integers(0, 10**6), st.integers(1, 12))
def test_ndcg_and_auc_are_those_of_scikit_learn(seed, k):
    case = Case(seed)
    order = np.random.default_rng(seed).random(case.scores.shape)
    case.rec = model_of(case.scores + 0.1 * order, np.argwhere(case.seen))  # no ties: scikit-learn has another rule
    ranks, _ = case.ranks_and_lists()
    for at, user in enumerate(case.users):
        left = ~case.seen[user]
        truth, scores = case.held[user][left][None], (case.scores + 0.1 * order)[user][left][None]
        if truth.shape[1] > 1:
            assert rank_metrics.ndcg(ranks, k)[at] == pytest.approx(ndcg_score(truth, scores, k=k), abs=1e-6)
        if not truth.all():
            assert rank_metrics.auc(ranks)[at] == pytest.approx(roc_auc_score(truth[0], scores[0]), abs=1e-9)
        whole = rank_metrics.average_precision(ranks, 100)[at]
        assert whole == pytest.approx(average_precision_score(truth[0], scores[0]), abs=1e-9)


@given(st.integers(0, 10**6))
def test_auc_counts_ties_half_as_scikit_learn_does(seed):
    case = Case(seed)
    found = rank_metrics.auc(case.ranks_and_lists()[0])
    for at, user in enumerate(case.users):
        left = ~case.seen[user]
        truth, scores = case.held[user][left], case.scores[user][left]
        expected = np.nan if truth.all() else roc_auc_score(truth, scores)
        np.testing.assert_allclose(found[at], expected, atol=1e-12)


@given(st.integers(0, 10**6))
def test_every_kind_of_scores_ranks_the_same(seed):
    case = Case(seed)
    factors, model = case.rec.model.factors, case.rec.model
    user_rows = model.user_rows(np.arange(len(case.scores), dtype=np.int32))
    seen = {"seen_indptr": user_rows.history.indptr, "seen_indices": user_rows.history.indices}
    held = case.test.by_user()
    same_for_all = np.tile(case.scores[:1], (len(case.scores), 1)).astype(np.float32)
    zeros = np.zeros((len(case.scores), 1), np.float32)
    pairs = (
        (Scores(case.scores.astype(np.float32)), DotProducts(factors.users, factors.items)),
        (Scores(same_for_all), SharedScores(same_for_all[0], len(user_rows))),
        (Scores(same_for_all), DotProducts(zeros, same_for_all[0][:, None].copy())),
    )
    for one, other in pairs:
        ways = (way.ranked(held.indptr, held.indices, 5, **seen) for way in (one, other))
        for found, expected in zip(*ways, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_blocks_of_users_change_nothing(monkeypatch):
    rec, test = fitted()
    net = replace(rec.model, factors=Blockwise(*[getattr(rec.model.factors, name) for name in PLAIN]))
    held_out = held_out_of(rec, test)
    whole, tops = rank_held_out(rec.model, held_out, 10)
    monkeypatch.setattr("palate.evaluation.ranks.BLOCK_SCORES", 100)
    parts, others = rank_held_out(net, held_out, 10)
    np.testing.assert_array_equal(whole.ranks, parts.ranks)
    np.testing.assert_allclose(whole.n_behind, parts.n_behind)
    np.testing.assert_array_equal(tops, others)


PLAIN = ("mean", "users", "items", "user_prior", "item_prior")


class Blockwise(Factors):
    """Factors that are asked for scores, as a net is."""

    def scores(self, vectors):
        return super().scores(vectors)


def fitted(seed=1):
    whole = palate.datasets.synthetic(80, 50, 2400, seed=seed).likes(at_least=4)
    train, test = palate.split_within_users(whole, test=0.3, seed=0)
    return palate.ImplicitALS(n_factors=4, n_sweeps=3).fit(train), test


# ---- what must hold


@given(st.integers(0, 10**6))
def test_a_perfect_ranking_gets_everything(seed):
    case = Case(seed)
    case.rec = model_of(case.held * 5.0 + 0.01 * case.scores, np.argwhere(case.seen))
    ranks, _ = case.ranks_and_lists()
    for name in ("ndcg", "map", "mrr", "hit_rate"):
        for k in KS:
            np.testing.assert_allclose(rank_metrics.AT_K[name](ranks, k), 1, atol=1e-12)
    np.testing.assert_allclose(rank_metrics.recall(ranks, 20), 1)
    assert np.nanmin(rank_metrics.auc(ranks)) == 1


@given(st.integers(0, 10**6))
def test_the_order_of_users_and_rows_changes_nothing(seed):
    case = Case(seed)
    report = evaluate(case.rec, case.test, k=KS, n_bootstrap=20)
    rng = np.random.default_rng(seed)
    shuffled = evaluate(case.rec, case.test[rng.permutation(len(case.test))], k=KS, n_bootstrap=20)
    assert shuffled.to_dict() == report.to_dict()
    users = rng.permutation(len(case.scores))
    other = model_of(case.scores[users], np.argwhere(case.seen[users]))
    turned = evaluate(other, likes(np.argwhere(case.held[users]), *case.scores.shape), k=KS, n_bootstrap=20)
    for name in report.measures:
        np.testing.assert_allclose(turned[name], report[name], atol=1e-6)


@given(st.integers(0, 10**6), st.integers(1, 9))
def test_an_irrelevant_last_item_changes_only_auc(seed, k):
    case = Case(seed)
    longer = np.hstack([case.scores, np.full((len(case.scores), 1), -1.0)])
    rec = model_of(longer, np.argwhere(case.seen))
    ranks, _ = rank_held_out(rec.model, held_out_of(rec, likes(np.argwhere(case.held), *longer.shape)), 9)
    for metric in rank_metrics.AT_K.values():
        np.testing.assert_allclose(metric(ranks, k), metric(case.ranks_and_lists()[0], k))
    worse = rank_metrics.auc(case.ranks_and_lists()[0])
    assert (rank_metrics.auc(ranks) >= np.nan_to_num(worse) - 1e-12).all()


@given(st.integers(0, 10**6))
def test_k_beyond_the_catalogue(seed):
    case = Case(seed)
    report = evaluate(case.rec, case.test, k=(9, 1000), n_bootstrap=5, baselines=False)
    for name in ("ndcg", "recall", "hit_rate", "map", "mrr", "coverage", "novelty", "diversity"):
        np.testing.assert_allclose(report[f"{name}@1000"], report[f"{name}@9"])
    assert report["precision@1000"] == pytest.approx(report["precision@9"] * 9 / 1000)
    assert report["recall@1000"] == 1


def test_what_cannot_be_recommended_counts_as_a_miss():
    rec = model_of([[3.0, 2.0, 1.0, 0.0]], [(0, 0)])
    fine = evaluate(rec, likes([(0, 1)], 1, 4), k=2, baselines=False)
    assert (fine["ndcg@2"], fine["recall@2"], fine["auc"], fine.n_missed) == (1, 1, 1, 0)
    seen_too = evaluate(rec, likes([(0, 1), (0, 0)], 1, 4), k=2, baselines=False)
    assert (seen_too["recall@2"], seen_too["precision@2"], seen_too["auc"]) == (0.5, 0.5, 0.5)
    assert seen_too.n_missed == 1
    assert "1 of them are unknown to the model or were seen" in str(seen_too)
    foreign = palate.read({"user": ["u0", "u0"], "item": ["i1", "new"]}, kind="implicit")
    unknown = evaluate(rec, foreign, k=2, baselines=False)
    for name in ("recall@2", "ndcg@2", "auc"):
        assert unknown[name] == seen_too[name]
    assert unknown.n_missed == 1


def test_a_pair_that_comes_twice_counts_once():
    rec = model_of([[3.0, 2.0, 1.0, 0.0]], [(0, 3)])
    once, twice = (evaluate(rec, likes([(0, 2), *more], 1, 4), k=2) for more in ((), ((0, 2),)))
    assert once.to_dict() == twice.to_dict()


def test_users_without_a_held_out_item_are_left_out():
    rec = model_of(np.tile([3.0, 2.0, 1.0], (3, 1)), [(0, 0), (1, 0), (2, 0)])
    report = evaluate(rec, likes([(0, 1), (2, 2)], 3, 3), k=1, baselines=False)
    assert (report.n_users, report["recall@1"]) == (2, 0.5)


def test_unknown_users_get_the_cold_start_ranking():
    rec, _ = fitted()
    unknown = palate.read({"user": ["nobody"], "item": ["i1"]}, kind="implicit")
    assert evaluate(rec, unknown, k=50)["recall@50"] == 1
    assert np.isnan(evaluate(rec, unknown, k=5)["popularity_bias@5"])  # no training items to compare with


def test_counts_are_no_grades():
    rec, test = fitted()
    weights = np.random.default_rng(0).integers(1, 9, len(test)).astype(np.float32)
    assert evaluate(rec, test.with_weights(weights), k=5) == evaluate(rec, test, k=5)


# ---- what lists are like


@given(st.integers(0, 10**6))
def test_lists_by_hand(seed):
    case = Case(seed)
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((9, 3)).astype(np.float32)
    vectors[4] = 0
    sets = rng.random((9, 4)) < 0.4
    _, tops = case.ranks_and_lists(5)
    shares = list_metrics.item_shares(case.rec.model)
    n_active = max(1, int(case.seen.any(axis=1).sum()))
    np.testing.assert_allclose(shares, case.seen.sum(axis=0) / n_active)
    ks = (2, 5)
    found = {
        "novelty": list_metrics.novelty(tops, ks, shares),
        "popularity": list_metrics.popularity(tops, ks, shares),
        "diversity": list_metrics.diversity(tops, ks, vectors),
        "attributes": list_metrics.attribute_diversity(tops, ks, sets),
    }
    least = min(shares[shares > 0], default=1.0)

    def cosine(a, b):
        lengths = np.linalg.norm(vectors[a]) * np.linalg.norm(vectors[b])
        return vectors[a] @ vectors[b] / lengths if lengths else 0.0

    def jaccard(a, b):
        either = (sets[a] | sets[b]).sum()
        return (sets[a] & sets[b]).sum() / either if either else 1.0

    for at, k in enumerate(ks):
        for row, user in enumerate(case.users):
            own = case.ranked(user)[:k]
            pairs = [(a, b) for a in own for b in own if a < b]
            expected = {
                "novelty": np.mean([-np.log2(max(shares[item], least)) for item in own]) if own else np.nan,
                "popularity": np.mean([shares[item] for item in own]) if own else np.nan,
                "diversity": np.mean([1 - cosine(a, b) for a, b in pairs]) if pairs else np.nan,
                "attributes": np.mean([1 - jaccard(a, b) for a, b in pairs]) if pairs else np.nan,
            }
            for name, value in expected.items():
                np.testing.assert_allclose(found[name][at][row], value, atol=2e-6, err_msg=name)
        listed = {item for user in case.users for item in case.ranked(user)[:k]}
        assert list_metrics.coverage(tops, ks, 9)[at] == pytest.approx(len(listed) / 9)


def test_popularity_bias_is_the_change_of_the_group_average():
    rec, test = fitted()
    report = evaluate(rec, test, k=5, baselines=False)
    train = training_ratings(rec)
    shares = list_metrics.item_shares(rec.model)
    tested = np.unique(test.user_codes)
    frame = rec.recommend(rec.model.user_vocabulary.decode(tested).tolist(), n=5)
    codes = rec.model.item_vocabulary.encode(frame["item"].to_list()).reshape(-1, 5)
    own = np.mean([shares[train.item_codes[train.user_codes == user]].mean() for user in tested])
    assert report["popularity_bias@5"] == pytest.approx((shares[codes].mean() - own) / own, rel=1e-5)


def test_diversity_by_a_column_of_the_item_table():
    import polars as pl

    rec, test = fitted()
    genres = pl.DataFrame({"genres": [["a|b", "b", None][at % 3] for at in range(rec.n_items)], "year": 2000})
    model = replace(rec.model, item_table=genres)
    np.testing.assert_array_equal(list_metrics.attribute_sets(genres, "genres")[:3], [[1, 1], [0, 1], [0, 0]])
    report = evaluate(Recommender(model), test, k=(5, 10), attribute="genres")
    assert 0 < report["diversity_genres@5"] < 1
    assert report.baselines["Popularity"]["diversity_genres@10"].value > 0
    assert "diversity_genres" in str(report)
    vectors = pl.DataFrame({"emb": [[0.5, -1.0], [2.0, 0.25]]})
    with pytest.raises(OptionError, match="attribute='emb' is a column of vectors"):
        list_metrics.attribute_sets(vectors, "emb")
    with pytest.raises(OptionError, match=r"attribute='genre' is not a column .* has genres, year"):
        evaluate(Recommender(model), test, attribute="genre")
    with pytest.raises(OptionError, match="there is no item table"):
        evaluate(Recommender(replace(model, item_table=None)), test, attribute="genres")
    numbers = list_metrics.attribute_sets(genres.with_columns(year=pl.Series([1999, 2000] * 25)), "year")
    np.testing.assert_array_equal(numbers[:2], [[1, 0], [0, 1]])
    nested = list_metrics.attribute_sets(pl.DataFrame({"genres": [["b", "a"], [], None, ["b"]]}), "genres")
    np.testing.assert_array_equal(nested, [[1, 1], [0, 0], [0, 0], [0, 1]])
    semicolons = list_metrics.attribute_sets(pl.DataFrame({"genres": ["a;b", "b", ""]}), "genres")
    np.testing.assert_array_equal(semicolons, [[1, 1], [0, 1], [0, 0]])


# ---- the report


def test_popularity_stands_beside_every_model(capsys):
    rec, test = fitted()
    capsys.readouterr()
    report = evaluate(rec, test)
    assert capsys.readouterr().err == ""  # no progress of the baseline
    assert report.k == (5, 10, 20, 100)
    popular = evaluate(palate.Popularity().fit(training_ratings(rec)), test, baselines=False)
    assert report.baselines["Popularity"] == popular.measures
    lines = str(report).splitlines()
    at = next(row for row, line in enumerate(lines) if line.startswith("ndcg"))
    assert lines[at + 1].startswith("  Popularity")
    assert f"{report['ndcg@10']:.4f}" in lines[at]
    for name in ("auc", "coverage@100", "novelty@5", "popularity_bias@20", "diversity@10", "mrr@5"):
        assert name in report.measures
    measure = report.measures["ndcg@10"]
    assert measure.low < measure.value < measure.high
    assert report.to_dict()["measures"]["coverage@5"]["low"] is None  # no interval is claimed


def test_the_verdict_on_a_model_that_is_no_better_than_popularity():
    rec, test = fitted()
    popular = palate.Popularity().fit(training_ratings(rec))
    assert "NOT better than the baseline Popularity" in evaluate(popular, test).verdict
    perfect = np.zeros((rec.n_users, rec.n_items))
    perfect[test.user_codes, test.item_codes] = 1
    train = training_ratings(rec)
    best = model_of(perfect, np.column_stack([train.user_codes, train.item_codes]))
    codes = likes(np.column_stack([test.user_codes, test.item_codes]), *perfect.shape)
    assert evaluate(best, codes).verdict == ""
    assert evaluate(best, codes)["ndcg@10"] == 1


def test_which_report_fits():
    whole = palate.datasets.synthetic(60, 40, 1200, seed=1)
    train, test = palate.split_random(whole, test=0.2)
    rec = palate.ALS(n_factors=2).fit(train)
    assert "rmse" in evaluate(rec, test).measures
    assert isinstance(evaluate(rec, test.likes(4)), RankingReport)  # what it gives stars to can be ranked too
    with pytest.raises(OptionError, match=r"predicts no ratings.*test\.likes\(at_least=4\)"):
        evaluate(palate.Popularity().fit(train), test)
    with pytest.raises(DataError, match="no test ratings"):
        evaluate(rec, test.likes(4)[:0])


@pytest.mark.parametrize("k", [0, -1, 2.5, True, (), (5, 0), "ten", 2**40])
def test_lengths_of_lists_that_make_no_sense(k):
    rec, test = fitted()
    with pytest.raises(OptionError, match="k"):
        evaluate(rec, test, k=k)


def test_intervals_are_those_of_statistics():
    rng = np.random.default_rng(0)
    values = rng.random((2000, 1))
    sample = Resample(2000, 4000, 1).ratios(values, np.ones((2000, 1)))
    assert sample.std() == pytest.approx(values.std() / np.sqrt(2000), rel=0.05)
    weights = _poisson_weights(rng, (400, 1000))
    assert weights.mean() == pytest.approx(1, abs=0.01)
    assert weights.var() == pytest.approx(1, abs=0.02)
    assert np.bincount(weights.astype(int).ravel())[0] / weights.size == pytest.approx(np.exp(-1), abs=0.005)


# ---- the protocol, on real data


def protocol_by_hand(ratings):
    """The split of published figures and the popularity ranking, in plain NumPy: NDCG@10 and Recall@20."""
    liked = ratings.values >= 4
    users, items = ratings.user_codes[liked], ratings.item_codes[liked]
    keys = np.random.default_rng(0).random(len(users))
    order = np.lexsort((keys, users))
    ndcgs, recalls, n_test = [], [], 0
    counts = np.zeros(ratings.n_items)
    parts = []
    begins = np.searchsorted(users[order], np.arange(ratings.n_users + 1))
    for user in range(ratings.n_users):
        rows = order[begins[user] : begins[user + 1]]
        held, kept = items[rows[: len(rows) // 5]], items[rows[len(rows) // 5 :]]
        counts[kept] += 1
        parts.append((held, kept))
    for held, kept in parts:
        if len(held) == 0:
            continue
        n_test += len(held)
        scores = counts.copy()
        scores[kept] = -1
        top = np.argsort(-scores, kind="stable")[:20]
        gains = np.isin(top[:10], held) / np.log2(np.arange(2, 12))
        ndcgs.append(gains.sum() / (1 / np.log2(np.arange(2, 2 + min(10, len(held))))).sum())
        recalls.append(np.isin(top, held).sum() / len(held))
    return np.mean(ndcgs), np.mean(recalls), n_test, len(ndcgs)


@pytest.mark.data
def test_popularity_by_the_published_protocol(ml_100k):
    train, test = palate.split_within_users(ml_100k.likes(at_least=4), test=0.2, seed=0)
    report = evaluate(palate.Popularity().fit(train), test, n_bootstrap=10)
    ndcg, recall, n_test, n_users = protocol_by_hand(ml_100k)
    assert (report.n, report.n_users, len(train)) == (n_test, n_users, 55_375 - n_test)
    assert report["ndcg@10"] == pytest.approx(ndcg, abs=1e-12)
    assert report["recall@20"] == pytest.approx(recall, abs=1e-12)
    assert report["ndcg@10"] == pytest.approx(0.1506, abs=5e-5)
    assert report["recall@20"] == pytest.approx(0.1862, abs=5e-5)


@pytest.mark.long
@pytest.mark.data
def test_popularity_on_ml_1m():
    folder = Path(os.environ.get("PALATE_DATA", "/nonexistent")) / "ml-1m"
    if not folder.is_dir():
        pytest.skip("PALATE_DATA holds no ml-1m")
    ratings = palate.datasets.load("ml-1m")
    train, test = palate.split_within_users(ratings.likes(at_least=4), test=0.2, seed=0)
    report = evaluate(palate.Popularity().fit(train), test, n_bootstrap=2, baselines=False)
    ndcg, recall, n_test, n_users = protocol_by_hand(ratings)
    assert (report.n, report.n_users) == (n_test, n_users)
    assert report["ndcg@10"] == pytest.approx(ndcg, abs=1e-12)
    assert report["recall@20"] == pytest.approx(recall, abs=1e-12)
    assert report["ndcg@10"] == pytest.approx(0.1505, abs=5e-5)


def test_only_dot_products_are_ranked_as_dot_products():
    assert _is_dot_product(fitted()[0].model.factors)
    assert _is_dot_product(palate.Mean().fit(palate.datasets.synthetic(9, 9, 40, seed=1)).model.factors)
    assert not _is_dot_product(object.__new__(Network))
    assert not _is_dot_product(object.__new__(Blockwise))


def test_list_lengths_are_sorted_and_lie_between_one_and_a_million():
    assert check_ks([20, 5, 5, np.int64(10)]) == (5, 10, 20)
    assert check_ks(7) == (7,)
    assert check_ks(2**20) == (1_048_576,) == check_ks([1_048_576])
    for wrong, words in ((2**20 + 1, "too large"), ([5, 0], "whole number"), ([], "k is empty"), (2.5, "whole number")):
        with pytest.raises(OptionError, match=words):
            check_ks(wrong)


@pytest.mark.parametrize(("ks", "k"), [((5, 10), 10), ((3,), 3), ((8, 12), 8), ((1, 11, 100), 11)])
def test_models_are_compared_at_the_length_nearest_to_ten(ks, k):
    assert main_measure(ks) == f"ndcg@{k}"


def test_lists_have_as_many_items_as_they_are_long_and_not_as_there_are_users():
    lists, shares = np.array([[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]], np.int32), np.array([0.5, 0.25, 0.125, 0.5, 0.25])
    for k, found in zip((3, 5), list_metrics.novelty(lists, (3, 5), shares), strict=True):
        np.testing.assert_allclose(found, (-np.log2(shares[lists[:, :k]])).mean(axis=1))
