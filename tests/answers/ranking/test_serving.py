"""Answers as plain arrays: the same as the frames, alone or together with others."""

import numpy as np
import pytest

import palate
from palate.answers.ranking import RecommendOptions, query_of
from palate.answers.ranking.serving import best_of, joined
from palate.data.rows import CompressedRows

RECIPES = {
    "Bayes": palate.Bayes(n_factors=3, n_sweeps=20, n_samples=5),
    "Bayes, ordinal": palate.Bayes(n_factors=3, n_sweeps=20, n_samples=5, likelihood="ordinal"),
    "ALS": palate.ALS(n_factors=3),
    "Bias": palate.Bias(),
    "Neighbors": palate.Neighbors(),
}
GIVEN = [{"i2": 5.0, "i7": 1.0, "i30": 4.0}, {"i3": 2.0}]
LEVEL = 0.8


@pytest.fixture(scope="module", params=RECIPES)
def rec(request):
    data = palate.datasets.synthetic(70, 50, 1800, n_factors=3, noise=0.4, seed=3)
    return RECIPES[request.param].fit(data)


def history_of(rec, given):
    codes = rec.model.item_vocabulary.encode(list(given))
    values = np.array(list(given.values()), np.float32)
    return CompressedRows(np.array([0, len(codes)]), codes, values, None)


def parts_of(rec):
    """Three users of the model, then two new ones, each folded in alone."""
    known = rec.model.user_rows(np.array([4, 0, 33], np.int32))
    return [known, *(rec.model.fold_in(history_of(rec, given)) for given in GIVEN)]


@pytest.mark.parametrize("by", ["mean", "lower"])
def test_all_together_get_what_the_frames_say_of_each_alone(rec, by):
    if by == "lower" and not rec.has_posterior:
        pytest.skip("no draws")
    query = query_of(rec.model, RecommendOptions(n=6, by=by, level=LEVEL))
    best = best_of(rec.model, parts_of(rec), query, LEVEL)
    users = [rec.model.user_vocabulary.labels[code] for code in (4, 0, 33)]
    frames = [rec.recommend(user, n=6, by=by, level=LEVEL) for user in users]
    frames += [rec.fold_in(given).recommend(n=6, by=by, level=LEVEL) for given in GIVEN]
    for row, frame in enumerate(frames):
        here = best.codes[row] >= 0
        items = rec.model.item_vocabulary.decode(best.codes[row][here]).tolist()
        assert items == frame["item"].to_list()
        np.testing.assert_allclose(best.scores[row][here], frame["score"].to_numpy(), rtol=1e-6)
        if row < 3:
            told = rec.predict([users[row]] * len(items), items, level=LEVEL)
        else:
            told = rec.fold_in(GIVEN[row - 3]).predict(items, level=LEVEL)
        np.testing.assert_allclose(best.low[row][here], told["low"].to_numpy(), rtol=1e-6)
        np.testing.assert_allclose(best.high[row][here], told["high"].to_numpy(), rtol=1e-6)


def test_one_of_all_is_one_alone_to_the_byte(rec):
    everyone = rec.recommend(n=7)
    for user in rec.model.user_vocabulary.labels[[0, 9, 50]]:
        alone = rec.recommend(user, n=7)
        assert alone.equals(everyone.filter(everyone["user"] == user))


def test_no_items_left_and_no_intervals_asked_for(rec):
    query = query_of(rec.model, RecommendOptions(n=3, items=["i1"], keep_seen=True))
    best = best_of(rec.model, parts_of(rec)[:1], query, LEVEL)
    assert best.codes[:, 1:].max() == -1
    assert np.isnan(best.low[:, 1:]).all()
    assert np.isfinite(best.low[:, 0]).all() == rec.has_intervals
    assert best_of(rec.model, parts_of(rec), query).low is None
    nobody = query_of(rec.model, RecommendOptions(n=3, items=[]))
    assert np.isnan(best_of(rec.model, parts_of(rec), nobody, LEVEL).high).all()


def test_joined_rows_keep_their_draws_and_histories(rec):
    parts = parts_of(rec)
    whole = joined(parts)
    assert len(whole) == 5
    assert whole.codes.tolist() == [4, 0, 33, -1, -1]
    np.testing.assert_array_equal(whole.history.counts[3:], [3, 1])
    if rec.has_posterior:
        np.testing.assert_array_equal(whole.draws[:, 3:4], parts[1].draws)
