"""Principal axes of item factors against NumPy, and the columns of an item table that they correlate with."""

from datetime import date
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from palate.answers.axes import _correlation, _metadata, items_with, principal_axes_of
from palate.errors import DataError, OptionError

RNG = np.random.default_rng(5)
FACTORS = (RNG.standard_normal((12, 3)) * [1, 3, 2]).astype(np.float32)
COUNTS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])


def model_of(factors=FACTORS, counts=COUNTS, table=None, scale=4.0):
    """What principal_axes_of() reads of a model: item factors and biases, a history, a table."""
    items = np.column_stack([factors, np.full(len(factors), 7.0)]).astype(np.float32)
    return SimpleNamespace(
        factors=SimpleNamespace(n_factors=factors.shape[1], scale=scale, items=items),
        history=SimpleNamespace(indices=np.repeat(np.arange(len(counts)), counts)),
        item_vocabulary=range(len(counts)),
        item_table=table,
        recipe={},
    )


def test_axes_are_those_of_numpy():
    axes = principal_axes_of(model_of(), 2, min_ratings=3)
    fitted = COUNTS >= 3
    np.testing.assert_array_equal(axes.fitted, fitted)
    factors = 2.0 * FACTORS
    centered = factors - factors[fitted].mean(axis=0)
    _, widths, rows = np.linalg.svd(centered[fitted])
    np.testing.assert_allclose(axes.explained, (widths**2 / (widths**2).sum())[:2], rtol=1e-5)
    directions = rows[:2].T * np.sign(rows[:2].T[np.abs(rows[:2].T).argmax(axis=0), [0, 1]])
    np.testing.assert_allclose(axes.directions, directions, atol=1e-5)
    np.testing.assert_allclose(axes.coordinates, centered @ directions, atol=1e-4)
    for axis, (low, high) in zip(axes.coordinates.T, axes.extremes, strict=True):
        order = [code for code in np.argsort(axis) if fitted[code]]
        assert (low, high) == (order[:3], order[:-4:-1])
    for axis, found in zip(axes.coordinates.T, axes.correlations, strict=True):
        r = np.corrcoef(axis[fitted], np.log(COUNTS[fitted]))[0, 1]
        assert found == {"number of ratings (log)": pytest.approx(r)}


def test_there_are_no_more_axes_than_factors_and_none_where_nothing_varies():
    everything = principal_axes_of(model_of(), 9)
    assert everything.directions.shape == (3, 3) and everything.explained.sum() == pytest.approx(1)
    flat = principal_axes_of(model_of(np.tile(np.float32([1, 2]), (12, 1))), 2)
    assert not flat.explained.any() and not flat.directions.any() and not flat.coordinates.any()
    assert flat.correlations == ({}, {})
    line = principal_axes_of(model_of(np.outer(np.arange(12), [1, -2])), 2)
    np.testing.assert_allclose(line.explained, [1, 0], atol=1e-12)
    np.testing.assert_allclose(line.directions, np.column_stack([np.array([-1, 2]) / np.sqrt(5), [0, 0]]), atol=1e-7)


@pytest.mark.parametrize(
    ("counts", "least"), [([0, 5, 7, 100], 7), ([0, 30, 40, 50], 20), ([0, 20, 21, 19], 20), ([0, 0, 0, 0], 0)]
)
def test_axes_are_fitted_on_items_with_as_many_ratings_as_the_median_or_twenty(counts, least):
    found = principal_axes_of(model_of(FACTORS[:4], np.array(counts)), 1)
    np.testing.assert_array_equal(found.fitted, np.array(counts) >= least)


def test_items_that_cannot_be_fitted():
    broken = FACTORS.copy()
    broken[5, 1] = np.nan
    found = principal_axes_of(model_of(broken), 1, min_ratings=0)
    assert not found.fitted[5] and found.fitted.sum() == 11
    with pytest.raises(DataError, match="no item has finite factors"):
        principal_axes_of(model_of(np.full((12, 2), np.inf)), 1)
    with pytest.raises(OptionError, match="has no factors to draw"):
        principal_axes_of(model_of(FACTORS[:, :0]), 1)
    assert items_with(COUNTS, 11).tolist() == [False] * 11 + [True]
    with pytest.raises(OptionError, match="min_ratings=12: no item has that many ratings; the most rated has 11"):
        items_with(COUNTS, 12)


def test_a_correlation_needs_three_rows_that_vary():
    x, y = np.array([1.0, 2, 4, 7, 9]), np.array([2.0, np.nan, 1, 5, -3])
    rows = [0, 2, 3, 4]
    assert _correlation(x, y) == pytest.approx(np.corrcoef(x[rows], y[rows])[0, 1])
    assert _correlation(x, -x) == -1 and _correlation(1e200 * x, 1e200 * x) == 1
    assert _correlation(x[:3], np.array([1.0, 3.0, 2.0])) == pytest.approx(np.corrcoef(x[:3], [1, 3, 2])[0, 1])
    for one, other in ((x[:3], y[:3]), (x, np.ones(5)), (np.ones(5), x)):
        assert np.isnan(_correlation(one, other))


def test_columns_of_the_item_table():
    """Numbers, dates and truths as numbers, words that five items share, years of titles; no identifiers."""
    n = 8
    table = pl.DataFrame({
        "title": [f"Film {at} ({1990 + at})" for at in range(n - 1)] + ["No year"],
        "id": range(n), "movie_id": range(n), "itemId": range(n), "itemID": range(n),
        "grid": [1.5, None, *range(2, n)],
        "released": [date(2020, 1, 1 + at) for at in range(n)],
        "is_new": [True, False] * 4,
        "genres": ["a|b"] * 4 + ["a"] + ["| b |c"] * 2 + [None],
        "list": [["x", None]] * 5 + [["y"]] * 3,
    }, strict=False)  # fmt: skip
    counts = np.arange(n)
    fitted = np.ones(n, bool)
    found = dict(_metadata(model_of(FACTORS[:n], counts, table), counts, fitted))
    assert list(found) == ["number of ratings (log)", "year", "grid", "released", "is_new", "a", "b", "x"]
    np.testing.assert_allclose(found["number of ratings (log)"], np.log([1, 1, 2, 3, 4, 5, 6, 7]))
    np.testing.assert_array_equal(found["year"], [*range(1990, 1997), np.nan])
    np.testing.assert_array_equal(found["grid"], [1.5, np.nan, *range(2, n)])
    np.testing.assert_array_equal(np.diff(found["released"]), 1)
    np.testing.assert_array_equal(found["is_new"], [1, 0] * 4)
    np.testing.assert_array_equal(found["a"], [1] * 5 + [0] * 3)
    np.testing.assert_array_equal(found["b"], [1] * 4 + [0, 1, 1, 0])
    np.testing.assert_array_equal(found["x"], [1] * 5 + [0] * 3)
    some = np.arange(n) < 5
    part = dict(_metadata(model_of(FACTORS[:n], counts, table), counts, some))
    assert list(part) == ["number of ratings (log)", "year", "grid", "released", "is_new", "a", "x"]
    own = dict(_metadata(model_of(table=table.with_columns(release_year=2000)), counts, fitted))
    assert "year" not in own and "release_year" in own
    named = dict(_metadata(model_of(table=pl.DataFrame({"title": ["Up"] * n})), counts, fitted))
    assert list(named) == ["number of ratings (log)", "year"]
    assert "Up" in dict(_metadata(model_of(table=pl.DataFrame({"kind": ["Up"] * n})), counts, fitted))


def test_the_strongest_correlation_stands_first():
    numbers = pl.DataFrame({"weak": RNG.standard_normal(12), "strong": -FACTORS[:, 1], "none": np.ones(12)})
    (found,) = principal_axes_of(model_of(table=numbers), 1, min_ratings=0).correlations
    assert next(iter(found)) == "strong" and "none" not in found
    sizes = [abs(r) for r in found.values()]
    assert sizes == sorted(sizes, reverse=True) and len(sizes) == 3
