"""Principal axes of item factors, what they correlate with, and the map."""

import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from helpers.pictures import assert_legible, axes_of, boxes_meet, drawn_labels, random_factors, with_factors, words
from palate.errors import OptionError

pytest.importorskip("matplotlib")
from matplotlib.text import Text

from palate import plotting
from palate.showing.pictures import labels

# ---- principal axes


@given(st.integers(2, 30), st.integers(1, 6), st.integers(0, 10**6))
@settings(deadline=None, max_examples=40)
def test_axes_are_the_singular_vectors(n, k, seed):
    rec = with_factors(random_factors(n, k, seed))
    axes = plotting.principal_axes(rec, n_axes=k)
    F = rec.item_factors.astype(np.float64)
    U, S, _ = np.linalg.svd(F - F.mean(axis=0), full_matrices=False)
    shown = axes.coordinates.shape[1]
    assert shown == k
    np.testing.assert_allclose(np.abs(axes.coordinates[:, : len(S)]), np.abs(U * S), atol=1e-6 * max(S[0], 1))
    np.testing.assert_allclose(axes.explained[: len(S)], S**2 / np.sum(S**2), atol=1e-9)
    assert (np.diff(axes.explained) <= 1e-12).all() and axes.explained.sum() == pytest.approx(1)


def test_axes_are_those_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    rec = with_factors(random_factors(60, 5, seed=3), counts=[5] * 40 + [1] * 20)
    axes = plotting.principal_axes(rec, n_axes=3, min_ratings=2)
    pca = decomposition.PCA(n_components=3).fit(rec.item_factors[:40].astype(np.float64))
    np.testing.assert_allclose(np.abs(axes.coordinates), np.abs(pca.transform(rec.item_factors)), atol=1e-5)
    np.testing.assert_allclose(axes.explained, pca.explained_variance_ratio_, rtol=1e-6)
    assert axes.fitted.tolist() == [True] * 40 + [False] * 20


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=25)
def test_a_turn_of_the_factors_changes_nothing_but_signs(seed):
    rng = np.random.default_rng(seed)
    factors = random_factors(25, 4, seed)
    turn = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    one, other = (plotting.principal_axes(with_factors(f + 7)) for f in (factors, factors @ turn))
    np.testing.assert_allclose(np.abs(one.coordinates), np.abs(other.coordinates), atol=1e-3)
    np.testing.assert_allclose(one.explained, other.explained, atol=1e-5)


def test_extremes_are_the_outermost_of_the_fitted():
    factors = np.zeros((8, 2))
    factors[:, 0] = [9, 1, 2, 3, 4, 5, 6, -9]
    rec = with_factors(factors, counts=[1, 5, 5, 5, 5, 5, 5, 1])
    axes = plotting.principal_axes(rec, min_ratings=5)
    assert axes.extremes[0] == ([1, 2, 3], [6, 5, 4])
    assert axes.explained.tolist() == [1.0, 0.0]
    assert (axes.coordinates[:, 1] == 0).all()
    assert axes.correlations[1] == {}


def test_how_many_ratings_make_an_item_well_rated():
    many = plotting.principal_axes(with_factors(random_factors(10), counts=[19] * 4 + [20] * 3 + [30] * 3))
    assert many.fitted.tolist() == [False] * 4 + [True] * 6
    few = plotting.principal_axes(with_factors(random_factors(10), counts=[0] * 4 + [2] * 3 + [3] * 3))
    assert few.fitted.tolist() == [False] * 4 + [True] * 6  # at least the median, 2
    with pytest.raises(OptionError, match="min_ratings=4"):
        plotting.principal_axes(with_factors(random_factors(3)), min_ratings=4)
    with pytest.raises(OptionError, match="n_axes"):
        plotting.principal_axes(with_factors(random_factors(3)), n_axes=0)


def test_the_answer_cannot_be_changed(parts):
    with pytest.raises(AttributeError):
        plotting.principal_axes(parts.rec).explained = None


# ---- what axes correlate with


def planted(n=60, seed=0):
    """Items whose first axis is a genre and whose second is the year."""
    rng = np.random.default_rng(seed)
    horror, drama, year = rng.random(n) < 0.4, rng.random(n) < 0.5, rng.integers(1950, 2000, n)
    factors = rng.standard_normal((n, 4)) * 0.05
    factors[:, 0] += 5 * horror
    factors[:, 1] += (year - 1975) / 20
    genres = ["|".join(["Horror"] * int(h) + ["Drama"] * int(d)) for h, d in zip(horror, drama, strict=True)]
    return factors, horror, year, genres


def test_axes_are_named_by_what_was_planted():
    factors, horror, year, genres = planted()
    names = [f"Film {at} ({when})" for at, when in enumerate(year)]
    rec = with_factors(factors, table=pl.DataFrame({"movie title": names, "genres": genres}))
    first, second = plotting.principal_axes(rec).correlations
    assert next(iter(first)) == "Horror" and abs(first["Horror"]) > 0.98
    assert next(iter(second)) == "year" and abs(second["year"]) > 0.98
    assert abs(first["Horror"]) == pytest.approx(abs(np.corrcoef(factors[:, 0], horror)[0, 1]), abs=0.01)
    assert not any(name.startswith("Film") for name in first)  # titles are no category
    figure = plotting.factor_map(rec)
    assert figure.axes[0].get_xlabel().startswith("axis 1: ")
    assert f"correlation with Horror {first['Horror']:+.2f}".replace("-", "−") in figure.axes[0].get_xlabel()
    assert f"correlation with year {second['year']:+.2f}".replace("-", "−") in figure.axes[0].get_ylabel()


def test_metadata_of_every_kind():
    factors, horror, year, _ = planted()
    table = pl.DataFrame(
        {
            "Horror flag": horror,
            "Release Year": pl.Series([None, *year[1:].tolist()], dtype=pl.Int64),
            "tags": [["scary"] if h else [None, "mild"] for h in horror],
            "released": [datetime.date(when, 1, 1) for when in year],
            "constant": [3.0] * 60,
            "unknown": pl.Series([None] * 60, dtype=pl.Float64),
            "nothing": pl.Series([None] * 60, dtype=pl.String),
            "infinite": [float("inf")] * 60,
            "huge": (1e300 * horror).tolist(),
            "movie_id": np.arange(60),
            "movieId": np.arange(60),
            "paid": horror.astype(int),
            "title": [f"Film ({when})" for when in year],
        }
    )
    rec = with_factors(factors, table=table)
    first, second = plotting.principal_axes(rec).correlations
    # neither what does not vary (as the number of ratings does not here) nor what only identifies
    assert set(first) == {"Horror flag", "Release Year", "released", "scary", "mild", "huge", "paid"}
    assert second["released"] == pytest.approx(np.corrcoef(factors[:, 1], year)[0, 1], abs=0.01)
    assert first["scary"] == pytest.approx(-first["mild"]) and first["scary"] == pytest.approx(first["Horror flag"])
    assert first["huge"] == pytest.approx(first["paid"])
    expected = np.corrcoef(plotting.principal_axes(rec).coordinates[1:, 1], year[1:])[0, 1]
    assert second["Release Year"] == pytest.approx(expected)


def test_popularity_is_found():
    counts = np.random.default_rng(0).integers(20, 200, 50)
    factors = random_factors(50, 3) * 0.01
    factors[:, 2] += np.log(counts)
    first = plotting.principal_axes(with_factors(factors, counts=counts)).correlations[0]
    assert abs(first["number of ratings (log)"]) > 0.99


def test_chance_names_no_axis():
    rng = np.random.default_rng(4)
    table = pl.DataFrame({f"column {at}": rng.random(40) for at in range(10)})
    figure = plotting.factor_map(with_factors(random_factors(40, 4), table=table))
    assert "correlation" not in figure.axes[0].get_xlabel() + figure.axes[0].get_ylabel()


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=3, max_size=30))
@settings(deadline=None)
def test_correlations_lie_between_minus_one_and_one(pairs):
    from palate.answers.axes import _correlation

    one, other = np.array(pairs).T
    r = _correlation(one, other)
    assert np.isnan(r) or -1 <= r <= 1
    if np.ptp(one) > 1e-3 and np.ptp(other) > 1e-3:
        assert r == pytest.approx(stats.pearsonr(one, other).statistic, abs=1e-5)


# ---- the map


def test_the_map_shows_the_most_rated_and_its_titles_do_not_overlap():
    rng = np.random.default_rng(0)
    counts = rng.permutation(80) + 1
    rec = with_factors(rng.standard_normal((80, 3)), counts=counts, table=pl.DataFrame({"name": NAMED}))
    figure = plotting.factor_map(rec, n=40)
    figure.canvas.draw()
    ax = figure.axes[0]
    written = [text for text in ax.texts if text.get_text() in set(NAMED) and text.get_fontsize() < 8]
    most = {NAMED[code] for code in np.argsort(-counts)[:40]}
    assert 20 <= len(written) <= 40 and {text.get_text() for text in written} <= most
    boxes = [text.get_window_extent().extents for text in written]
    assert not any(boxes_meet(one, other) for at, one in enumerate(boxes) for other in boxes[:at])
    where = dict(zip(NAMED, plotting.principal_axes(rec).coordinates, strict=True))
    for text, box in zip(written, boxes, strict=True):  # beside its own point still, now that the picture is drawn
        point = ax.transData.transform(where[text.get_text()])
        assert np.linalg.norm(np.clip(point, box[:2], box[2:]) - point) < 3 * labels.GAP


NAMED = [f"A film called {at}" for at in range(80)]


def test_the_ends_of_the_axes_are_named():
    factors = np.zeros((30, 2))
    factors[:, 0] = np.linspace(-3, 3, 30)
    factors[:, 1] = np.abs(factors[:, 0])
    rec = with_factors(factors)
    low, high = (axes[0] for axes in plotting.principal_axes(rec).extremes[0])
    assert {low, high} == {0, 29}
    assert {f"← i{low}", f"i{high} →"} <= set(words(plotting.factor_map(rec)))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 33.3, 1e6])
def test_the_ends_of_the_axes_keep_clear_of_the_numbers(scale):
    names = [f"A film with quite a long name, number {at}" for at in range(40)]
    figure = plotting.factor_map(with_factors(random_factors(40, 2) * scale, table=pl.DataFrame({"title": names})))
    assert_legible(figure)
    ends = [text.get_window_extent().extents for text in figure.findobj(Text) if set("←→") & set(text.get_text())]
    others = [label.get_window_extent().extents for axis in axes_of(figure) for label in drawn_labels(axis)]
    others += [axis.label.get_window_extent().extents for axis in axes_of(figure)]
    assert len(ends) == 4 and len(others) > 8
    assert not any(boxes_meet(end, other) for end in ends for other in others)


def test_with_one_factor_the_bias_is_the_other_axis():
    rec = with_factors(random_factors(30, 1))
    figure = plotting.factor_map(rec)
    assert figure.axes[0].get_ylabel() == "item bias"
    np.testing.assert_allclose(figure.axes[0].collections[1].get_offsets()[:, 1], rec.item_bias, rtol=1e-6)
    assert_legible(figure)
