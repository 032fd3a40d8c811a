"""The principal axes of the item factors: where items lie on them, and what they have to do with the item table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.titles import titles
from palate.errors import DataError, OptionError
from palate.models.factors import Doubles
from palate.models.model import Model
from palate.options import check_whole
from palate.showing import html
from palate.showing.texts import Fielded

if TYPE_CHECKING:
    import polars as pl

Mask = NDArray[np.bool_]

WELL_RATED = 20  # with fewer ratings, an item's factors are mostly chance
N_EXTREMES = 3  # items noted at each end of an axis
MIN_SHARED = 5  # items that must share a word (a genre) before it is correlated with an axis


@dataclass(frozen=True, repr=False)
class PrincipalAxes(Fielded):
    """The principal components of the item factors, widest first, and their correlations with the item table.

    Attributes:
        coordinates (numpy.ndarray): The items on the axes, around the mean of the fitted items, (n_items, n_axes).
        explained (numpy.ndarray): Each axis' share of the variance of the fitted items' factors, (n_axes,).
        fitted (numpy.ndarray): True for the items that the axes were fitted on, (n_items,).
        extremes (tuple): For each axis the codes of the fitted items at its low end and at its high end, as two lists,
            the outermost first.
        correlations (tuple): For each axis a dict from the name of a metadata column to its Pearson correlation with
            the axis over the fitted items, the strongest first.
        directions (numpy.ndarray): Each axis in the space of factors, of length 1, (n_factors, n_axes); 0 where
            nothing varies.

    Example:
        >>> import palate, palate.plotting
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> axes = palate.plotting.principal_axes(rec)
        >>> [len(low) + len(high) for low, high in axes.extremes]
        [6, 6]
    """

    coordinates: Doubles
    explained: Doubles
    fitted: Mask
    extremes: tuple[tuple[list[int], list[int]], ...]
    correlations: tuple[dict[str, float], ...]
    directions: Doubles

    def _repr_html_(self) -> str:
        rows = [
            (share, (str(axis), f"{share:.1%}", ", ".join(f"{name} {r:+.2f}" for name, r in list(found.items())[:3])))
            for axis, (share, found) in enumerate(zip(self.explained.tolist(), self.correlations, strict=True))
        ]
        head = ("axis", "variance explained", "strongest correlations")
        title = f"{len(rows)} principal axes of {len(self.coordinates):,} items"
        return html.page(title, html.bars(rows, head=head, numbers=(1,), wide=(2,)))


def principal_axes_of(model: Model, n_axes: int, min_ratings: int | None = None) -> PrincipalAxes:
    """The answer of plotting.principal_axes, where the options and errors are described."""
    check_whole(1, n_axes=n_axes)
    if model.factors.n_factors == 0:
        name = model.recipe.get("name", "this model")
        raise OptionError(f"{name} has no factors to draw; fit a model that has, like Bayes.")
    scale = np.float32(np.sqrt(model.factors.scale))
    factors = (model.factors.items[:, :-1] * scale).astype(np.float64)
    counts = np.bincount(model.history.indices, minlength=len(model.item_vocabulary))
    fitted = items_with(counts, _well_rated(counts) if min_ratings is None else min_ratings)
    fitted &= np.isfinite(factors).all(axis=1)
    if not fitted.any():
        raise DataError("no item has finite factors: this model is broken.")
    center, directions, explained = _components(factors, fitted, n_axes)
    metadata = dict(_metadata(model, counts, fitted))
    coordinates = (factors - center) @ directions
    return PrincipalAxes(
        coordinates,
        explained,
        fitted,
        tuple(_extremes(axis, fitted) for axis in coordinates.T),
        tuple(_correlations(axis[fitted], metadata) for axis in coordinates.T),
        directions,
    )


def items_with(counts: NDArray[np.int64], min_ratings: int) -> Mask:
    """True for items with at least min_ratings, (n_items,); raise OptionError if there are none."""
    check_whole(min_ratings=min_ratings)
    enough = counts >= min_ratings
    if not enough.any():
        largest = int(counts.max(initial=0))
        raise OptionError(f"min_ratings={min_ratings}: no item has that many ratings; the most rated has {largest}.")
    return enough


def _well_rated(counts: NDArray[np.int64]) -> int:
    rated = counts[counts > 0]
    return min(WELL_RATED, int(np.median(rated))) if len(rated) else 0


def _components(factors: Doubles, fitted: Mask, n_axes: int) -> tuple[Doubles, Doubles, Doubles]:
    """The mean of the fitted items, the eigenvectors of their covariance, and shares of variance."""
    center = factors[fitted].mean(axis=0)
    centered = factors[fitted] - center
    variances, directions = np.linalg.eigh(centered.T @ centered)
    widest = np.argsort(-variances, kind="stable")[:n_axes]
    directions = directions[:, widest]
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.where(directions[largest, np.arange(len(widest))] < 0, -1.0, 1.0)
    total = variances.sum()
    explained = np.clip(variances[widest] / total, 0, 1) if total > 0 else np.zeros(len(widest))
    return center, directions * (explained > 1e-12), explained  # an axis of rounding errors becomes 0


def _extremes(axis: Doubles, fitted: Mask) -> tuple[list[int], list[int]]:
    codes = np.flatnonzero(fitted)
    order = codes[np.argsort(axis[codes], kind="stable")]
    return order[:N_EXTREMES].tolist(), order[::-1][:N_EXTREMES].tolist()


def _correlations(axis: Doubles, metadata: dict[str, Doubles]) -> dict[str, float]:
    found = {name: _correlation(axis, column) for name, column in metadata.items()}
    finite = {name: r for name, r in found.items() if np.isfinite(r)}
    return dict(sorted(finite.items(), key=lambda pair: -abs(pair[1])))


def _correlation(one: Doubles, other: Doubles) -> float:
    """Pearson's r over the rows where `other` is finite; nan if either does not vary there, or for under 3 rows."""
    finite = np.isfinite(other)
    one, other = one[finite], other[finite]
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    a, b = (values - values.mean() for values in (one / np.abs(one).max(), other / np.abs(other).max()))
    return float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1, 1))


# ---- metadata of items, as columns of numbers


def _metadata(model: Model, counts: NDArray[np.int64], fitted: Mask) -> Iterator[tuple[str, Doubles]]:
    """The name and values (n_fitted,) of each column that an axis may correlate with."""
    yield "number of ratings (log)", np.log(np.maximum(counts[fitted], 1)).astype(np.float64)
    table = model.item_table
    if table is None:
        return
    import polars as pl

    rows = table.filter(fitted)
    names = titles(rows)
    if names is not None and not any(name.lower().endswith("year") for name in rows.columns):
        yield "year", _years(names)
    for series in rows.iter_columns():
        if series.dtype.is_numeric() or series.dtype.is_temporal() or series.dtype == pl.Boolean:
            yield from _number_column(series)
        elif series.to_list() != names:
            yield from _word_columns(series)


def _years(names: list[str | None]) -> Doubles:
    found = [re.search(r"\((\d{4})\)\s*$", name or "") for name in names]
    return np.array([float(match[1]) if match else np.nan for match in found])


def _number_column(series: pl.Series) -> Iterator[tuple[str, Doubles]]:
    if not re.search(r"(^|[^a-z])id$|[a-z]I[dD]$", series.name):  # the size of an identifier says nothing
        import polars as pl

        yield series.name, series.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy()


def _word_columns(series: pl.Series) -> Iterator[tuple[str, Doubles]]:
    """For each word that at least MIN_SHARED items have, 1 for the items that have it and 0 for the others."""
    words = [_words(value) for value in series.to_list()]
    shared: dict[str, list[int]] = {}
    for row, own in enumerate(words):
        for word in own:
            shared.setdefault(word, []).append(row)
    for word, rows in shared.items():
        if len(rows) >= MIN_SHARED:
            column = np.zeros(len(words))
            column[rows] = 1
            yield word, column


def _words(value: Any) -> dict[str, None]:
    """The different words of a cell, in order: "Action|Comedy" has Action and Comedy, a list its members."""
    if value is None:
        return {}
    parts = value if isinstance(value, list) else str(value).split("|")
    return dict.fromkeys(word for part in parts if part is not None and (word := str(part).strip()))
