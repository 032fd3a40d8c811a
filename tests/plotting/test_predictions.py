"""Calibration and coverage of intervals, and observed ratings beside predictions."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import palate
from helpers.pictures import assert_legible, lines, ticks, with_factors
from palate.errors import DataError, OptionError
from palate.recommender import Recommender

pytest.importorskip("matplotlib")
from palate import plotting
from palate.plotting import predictions

# ---- calibration


def test_coverage_counts_ratings_inside(parts):
    test, rec = parts.test, parts.rec
    for level, share in zip((0.3, 0.8), plotting.coverage(rec, test, (0.3, 0.8)), strict=True):
        frame = rec.predict(test.to_frame().select("user", "item"), level=level)
        inside = (frame["low"].to_numpy() <= test.values) & (test.values <= frame["high"].to_numpy())
        assert share == pytest.approx(inside.mean())
    report = palate.evaluate(rec, test, baselines=False, n_bootstrap=2)
    np.testing.assert_allclose(plotting.coverage(rec, test, [0.9, 0.5]), [report["coverage_90"], report["coverage_50"]])


@given(st.lists(st.floats(0.01, 0.99), min_size=2, max_size=6))
@settings(deadline=None, max_examples=20)
def test_wider_intervals_hold_more(levels):
    train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
    rec = RECS.setdefault("bias", palate.Bias().fit(train))
    shares = plotting.coverage(rec, test, sorted(levels))
    assert (np.diff(shares) >= 0).all() and (shares >= 0).all() and (shares <= 1).all()


RECS = {}


def test_a_model_that_is_right_covers_what_it_claims():
    rec = with_factors(np.zeros((50, 2)), np.zeros(50), counts=[400] * 50)  # everybody gives 3, with noise 1
    model = replace(rec.model, limits=(-20.0, 20.0), factors=replace(rec.model.factors, users=np.zeros((400, 3), "f4")))
    rng = np.random.default_rng(0)
    codes = np.arange(20_000, dtype=np.int32)
    test = palate.Ratings(
        codes % 400, codes % 50, rng.normal(3, 1, 20_000),
        user_vocabulary=rec.model.user_vocabulary, item_vocabulary=rec.model.item_vocabulary,
    )  # fmt: skip
    levels = np.array([0.1, 0.5, 0.9])
    measured = plotting.coverage(Recommender(model), test, levels)
    assert (np.abs(measured - levels) < 4 * np.sqrt(levels * (1 - levels) / 20_000)).all()


def test_coverage_goes_by_labels_not_codes(parts):
    test, rec = parts.test, parts.rec
    frame = test.to_frame()
    again = palate.read(frame[:200])  # its own vocabularies: fewer labels, other codes
    assert len(again.item_vocabulary) != len(test.item_vocabulary) or len(again.user_vocabulary) < test.n_users
    assert plotting.coverage(rec, again, [0.6]) == pytest.approx(plotting.coverage(rec, test[:200], [0.6]))


def test_the_curve_stands_beside_the_diagonal_and_its_band(parts):
    test, rec = parts.test, parts.rec
    figure = plotting.calibration(rec, test)
    drawn = lines(figure)
    np.testing.assert_allclose(drawn["this model"], [predictions.LEVELS, plotting.coverage(rec, test)])
    np.testing.assert_allclose(drawn["calibrated"], [[0, 1], [0, 1]])
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    half = band[np.isclose(band[:, 0], 0.5)][:, 1]
    low, high = stats.binom(len(test), 0.5).interval(0.95)
    assert half.min() == pytest.approx(low / len(test), abs=2e-3)
    assert half.max() == pytest.approx(high / len(test), abs=2e-3)


def test_calibration_needs_intervals_and_ratings(parts):
    train, test, rec = parts.train, parts.test, parts.rec
    with pytest.raises(OptionError, match="gives no intervals"):
        plotting.calibration(palate.ALS(n_factors=2).fit(train), test)
    with pytest.raises(DataError, match="no test ratings"):
        plotting.calibration(rec, test[:0])
    with pytest.raises(OptionError, match="level must lie between 0 and 1"):
        plotting.coverage(rec, test, [0.5, 1.0])


# ---- ratings beside predictions


def test_the_tab_says_what_the_cross_tab_says(parts):
    rec = parts.rec
    tab = rec.cross_tab()
    figure = plotting.rating_tab(rec)
    known, predicted = ([text.get_text() for text in ax.texts] for ax in figure.axes)
    assert known == [f"{value:g}" for value in tab.known.ravel() if np.isfinite(value)]
    assert predicted == [f"{value:.1f}" for value in tab.predicted.ravel()]
    assert ticks(figure) == [str(user) for user in tab.users]
    assert ticks(figure, "x", 1) == [str(item) for item in tab.items]
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), tab.predicted)
    assert figure.axes[0].images[0].get_clim() == rec.model.limits
    some = plotting.rating_tab(rec, users=["u1"], items=["i2", "i3", "i4"])
    assert ticks(some) == ["u1"] and len(some.axes[1].texts) == 3
    assert_legible(some)


def test_the_tab_of_a_model_that_ranks(parts):
    assert_legible(plotting.rating_tab(palate.Popularity().fit(parts.train)))
