"""The arithmetic behind explanations and lists, in a few numbers: shares under draws, slopes, thresholds, rows."""

from types import SimpleNamespace

import numpy as np
import pytest

from helpers.data import rows_of
from palate.answers import explaining
from palate.answers.explaining import _blocks, _rating_per_score, _reasons, _RowProblem, _solved_under_draws
from palate.answers.ranking.filters import _rows, are_lists
from palate.answers.ranking.queries import RecommendOptions, _check_model, _rating_to_reach
from palate.data.vocabulary import Vocabulary
from palate.errors import OptionError
from palate.models.factors import Factors, Prior
from palate.models.fading import Fading

RNG = np.random.default_rng(0)
PRIOR = Prior(np.eye(2, dtype=np.float32), np.zeros(2, np.float32))


@pytest.mark.parametrize("block", [1, 2, 128])
def test_the_pull_on_an_item_is_solved_for_under_each_draw(block, monkeypatch):
    monkeypatch.setattr(explaining, "BLOCK_RATINGS", block)
    items, alpha = RNG.standard_normal((2, 6, 3)).astype(np.float32), np.float32([1.5, 0.7])
    precision = np.stack([2 * np.eye(3, dtype=np.float32), np.diag(np.float32([1, 2, 3]))])
    posterior = SimpleNamespace(
        items=SimpleNamespace(vectors=items), users=SimpleNamespace(precision=precision), alpha=alpha
    )
    rated, weights = np.array([0, 3, 5, 1, 4], np.int32), np.array([1, 2, 0.5, 3, 1])
    before = items.copy()
    found = _solved_under_draws(posterior, rated, weights, 2)
    for s in range(2):
        Z = np.column_stack([items[s, :, :-1], np.ones(6)]).astype(float)
        A = precision[s] + alpha[s] * (Z[rated].T * weights) @ Z[rated]
        np.testing.assert_allclose(found[s], np.linalg.solve(A, Z[2]), rtol=1e-5)
        one = _RowProblem(precision[s].astype(float), float(alpha[s]), Z[rated], items[s, rated, -1], weights)
        np.testing.assert_allclose(one.solve(Z[2]), found[s], rtol=1e-5)
        targets = np.arange(5.0)
        x = np.linalg.solve(A, alpha[s] * Z[rated].T @ (weights * (targets - items[s, rated, -1])))
        assert one.contributions(targets, one.solve(Z[2])).sum() == pytest.approx(x @ Z[2])
    np.testing.assert_array_equal(items, before)
    np.testing.assert_allclose(
        _solved_under_draws(posterior, rated[:0], weights[:0], 2)[0], [*items[0, 2, :-1] / 2, 0.5], rtol=1e-6
    )


def test_long_histories_come_in_blocks():
    assert _blocks(0) == [] and _blocks(128) == [slice(0, 128)] and _blocks(129) == [slice(0, 128), slice(128, 256)]


def test_a_rating_moves_along_the_straight_line_from_the_mean_score():
    vectors = np.zeros((1, 2), np.float32)
    assert _rating_per_score(Factors(3.0, vectors, vectors, PRIOR, PRIOR), 3.0, 2.0) == (3.0, 1.0)
    ranged = Factors(0.5, vectors, vectors, PRIOR, PRIOR, y_range=(1.0, 5.0))
    rating = lambda score: 1 + 4 / (1 + np.exp(-score))  # noqa: E731
    for move in (2.0, -1.5, 1e-3, 1e-5, -1e-5):
        start, slope = _rating_per_score(ranged, 0.5, move)
        assert (start, slope) == pytest.approx((rating(0.5), (rating(0.5 + move) - rating(0.5)) / move), rel=1e-5)
    for move in (0.0, 1e-6, -1e-9):
        share = 1 / (1 + np.exp(-0.5))
        assert _rating_per_score(ranged, 0.5, move)[1] == pytest.approx(4 * share * (1 - share), rel=1e-6)


def test_reasons_are_ratings_or_counts_the_strongest_first():
    items = Vocabulary.in_order(["x", "y", "z"], what="item")
    history = rows_of([[2, 0, 1]], [7, 8, 9])
    for kind, values in (("explicit", [3, 3, 3]), ("implicit", [8, 7, 9])):
        model = SimpleNamespace(kind=kind, item_vocabulary=items, factors=None)
        found = _reasons(model, history, np.array([-0.5, 0.75, 0.25]), ["X", "Y", "Z"])
        assert [tuple(one) for one in found] == [
            ("x", "X", values[0], 0.75, None),
            ("z", "Z", values[1], -0.5, None),
            ("y", "Y", values[2], 0.25, None),
        ]
    plain = _reasons(
        SimpleNamespace(kind="implicit", item_vocabulary=items, factors=None), rows_of([[1]]), np.ones(1), None
    )
    assert (plain[0].title, plain[0].item) == (None, "y")
    faded = SimpleNamespace(kind="implicit", item_vocabulary=items, factors=SimpleNamespace(fading=Fading(2.0)))
    assert [reason.later for reason in _reasons(faded, history, np.array([-0.5, 0.75, 0.25]), None)] == [1, 2, 0]


def ranked_by(values, weights=None, **options):
    history = SimpleNamespace(values=np.float32(values), weights=None if weights is None else np.float32(weights))
    return _rating_to_reach(SimpleNamespace(history=history), RecommendOptions(**options))


def test_likely_means_above_the_mean_of_the_training_ratings_unless_told():
    assert ranked_by([1, 2, 3, 4, 4], by="likely") == 3  # above 2.8
    assert ranked_by([1, 2, 3, 4, 4], [0, 0, 2, 1, 1], by="likely") == 4  # above 3.5
    assert ranked_by([1, 3, 5], by="likely") == 5 and ranked_by([3, 3], by="likely") == 3
    assert ranked_by([1, 5], by="likely", at_least=2) == 2 == ranked_by([1, 5], by="chance", at_least=2)
    assert ranked_by([1, 5]) is None


def test_rankings_that_a_model_has_no_answer_to():
    model = {"step_distribution": 1, "predicts_ratings": True, "noise": 0.5, "limits": (1.0, 5.0), "posterior": 1}
    bare = {"step_distribution": None, "posterior": None}
    likely, chance = {"by": "likely"}, {"by": "chance", "at_least": 4}
    for changes, options, words in (
        ({}, {}, None), ({}, likely, None), ({}, chance, None), ({}, {"by": "lower"}, None), (bare, likely, None),
        ({}, {**likely, "at_least": 5}, None), ({}, {**likely, "at_least": 5.5}, "no training rating is higher than 5"),
        ({"predicts_ratings": False}, likely, "needs ratings with intervals"),
        ({**bare, "noise": np.nan}, likely, "needs ratings with intervals"), ({"noise": np.nan}, likely, None),
        ({"step_distribution": None}, chance, "needs a Bayes model of ratings in 2 to 20 steps"),
        ({"posterior": None}, chance, "needs the draws"), (bare, {"by": "lower"}, "needs the draws"),
        (bare, {"by": "thompson"}, "needs the draws"), (bare, {}, None), ({}, {**chance, "at_least": 9}, None),
    ):  # fmt: skip
        asked = SimpleNamespace(**model | changes), RecommendOptions(**options)
        if words is None:
            _check_model(*asked)
        else:
            with pytest.raises(OptionError, match=words):
                _check_model(*asked)


def test_lists_of_known_unknown_and_other_users_have_rows_of_their_own():
    users = Vocabulary.in_order(["a", "b", "c"], what="user")
    labels, codes = np.array(["b", "new", "two", "new"], object), np.array([1, -1, -1, -1], np.int32)
    listed, row_of, n_rows = _rows(users, ["a", "new", "other", "b", "two"], labels, codes)
    assert (listed.tolist(), row_of.tolist(), n_rows) == ([0, 3, 5, 1, 4], [1, 3, 4, 3], 5)
    assert are_lists({}) and not are_lists(["a"]) and not are_lists(None)
