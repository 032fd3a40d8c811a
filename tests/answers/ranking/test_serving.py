"""Answers as plain arrays: the same as the frames, alone or together with others."""

import numpy as np
import pytest

import palate
from palate.answers.ranking import RecommendOptions, query_of
from palate.answers.ranking.serving import best_of, chance_of, forecast_of, joined
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


def test_one_part_alone_or_two_are_all_of_whom_is_asked(rec):
    parts = parts_of(rec)
    assert joined(parts[:1]) is parts[0]
    two = joined(parts[1:])
    assert two.codes.tolist() == [-1, -1]
    np.testing.assert_array_equal(two.vectors, np.concatenate([part.vectors for part in parts[1:]]))
    assert (two.draws is None) == (not rec.has_posterior)


def test_the_first_user_of_a_model_is_known_when_asked_alone(rec):
    first = rec.model.user_rows(np.array([0], np.int32))
    items = np.arange(8, dtype=np.int32)
    found = forecast_of(rec.model, first, np.zeros(8, np.int32), items)
    known = rec.model.forecast(np.zeros(8, np.int32), items)
    np.testing.assert_array_equal(found.mean, known.mean)
    np.testing.assert_array_equal(found.standard_deviation, known.standard_deviation)


def test_whoever_told_something_is_foreseen_by_it_and_nobody_else(rec):
    """One rating is enough to have a forecast of one's own; without any, it is that of a user nobody knows."""
    items = np.arange(12, dtype=np.int32)
    rows, at = np.repeat(np.arange(3, dtype=np.int32), 12), np.tile(items, 3)
    history = CompressedRows(np.array([0, 1, 1, 3]), np.int32([4, 0, 9]), np.float32([5, 1, 5]), None)
    found = forecast_of(rec.model, rec.model.fold_in(history), rows, at)
    nobody = rec.model.forecast(np.full(12, -1, np.int32), items)
    np.testing.assert_allclose(found.mean[12:24], nobody.mean, rtol=1e-5)
    np.testing.assert_allclose(found.score_variance[12:24], nobody.score_variance, rtol=1e-5)
    if rec.has_posterior:
        for own in (slice(0, 12), slice(24, 36)):
            assert np.abs(found.score_variance[own] - nobody.score_variance).max() > 1e-3


def test_attributes_alone_are_something_told():
    data = palate.datasets.synthetic(30, 20, 300, seed=4)
    table = {"user": list(data.user_vocabulary), "job": ["cook" if at % 3 else "smith" for at in range(30)]}
    rec = palate.Bayes(n_factors=2, n_sweeps=8, history=False).fit(data.with_users(table), progress=False)
    new = rec.model.fold_in(CompressedRows.empty(1), [{"job": "cook"}])
    assert new.features.counts.tolist() == [1]
    items, rows = np.arange(20, dtype=np.int32), np.zeros(20, np.int32)
    told = rec.model.forecast_new(new, items, has_data=True, rows=rows)
    silent = rec.model.forecast_new(new, items, has_data=False, rows=rows)
    found = forecast_of(rec.model, new, rows, items)
    np.testing.assert_array_equal(found.score_variance, told.score_variance)
    assert np.abs(told.score_variance - silent.score_variance).max() > 1e-4


def test_the_chance_of_a_rating_as_high_goes_with_the_steps_of_a_scale(rec):
    """The sum over the steps from there on, the rating itself included; there is none where there are no steps."""
    query = query_of(rec.model, RecommendOptions(n=4))
    parts = parts_of(rec)
    assert best_of(rec.model, parts, query, LEVEL).chance is None
    assert best_of(rec.model, parts, query, None, 4.0).chance is None  # without intervals
    best = best_of(rec.model, parts, query, LEVEL, 4.0)
    if rec.model.step_distribution is None:
        assert best.chance is None and best.mean is not None
        return
    first = 0
    for part in parts:
        for row in range(len(part)):
            is_item = best.codes[first + row] >= 0
            items = best.codes[first + row][is_item]
            assert np.isnan(best.chance[first + row][~is_item]).all()
            forecast = forecast_of(rec.model, part, np.full(len(items), row, np.int32), items)
            steps = forecast.steps.steps.values
            expected = forecast.probabilities[:, np.flatnonzero(steps > 3.5)].sum(axis=1)
            np.testing.assert_allclose(best.chance[first + row][is_item], expected, rtol=1e-6)
            mean = np.clip(forecast.mean, *rec.model.limits)
            np.testing.assert_allclose(best.mean[first + row][is_item], mean, rtol=1e-6)
        first += len(part)
    assert 0 < np.nanmin(best.chance) < np.nanmax(best.chance) < 1
    np.testing.assert_allclose(chance_of(forecast, 1.0), 1, rtol=1e-6)
    assert chance_of(forecast, 5.5).tolist() == [0.0] * 4
