"""Consistency checks: the parts of a model file must fit together, since a hostile file may hold anything.

Every check raises ValueError with a short message. palate.storing.files puts it into a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows
from palate.kernels import has_repeats
from palate.models.factors import Factors
from palate.models.implicit_links import LinkedFactors
from palate.models.model import Model
from palate.models.network import Network
from palate.models.posterior import Posterior, SideSamples
from palate.models.side_information import SideInfo

# Parts of a header whose numbers the kernels take as 32-bit floats; tables, recipes and metrics hold any number.
COMPUTED = (
    *("factors", "user_prior", "item_prior", "posterior", "limits", "noise", "like_threshold"),
    *("effects", "step_distribution"),
)
POSITIVE = ("scale", "unobserved_weight")  # as 32-bit floats too
LIMITS = np.finfo(np.float32)
MAX_VECTOR = 1e6  # of draws, in standard deviations of the ratings; their squares are solved with
BLOCK = 1 << 20  # numbers that are checked at once


def check_texts(header: Mapping[str, Any]) -> None:
    """Raise ValueError for half a pair of surrogates in a header: JSON can write it, but nothing can print it."""
    json.dumps(header, ensure_ascii=False).encode()


def check_numbers(header: Mapping[str, Any]) -> None:
    """Raise ValueError for a number in a header that is beyond 32-bit floats where these are computed with."""
    for name in COMPUTED:
        _check_number(name, header.get(name))


def _check_number(name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        for inner, one in value.items():
            _check_number(inner, one)
    elif isinstance(value, list):
        for one in value:
            _check_number(name, one)
    elif isinstance(value, int | float) and not abs(value) <= float(LIMITS.max):
        raise ValueError(f"{name}: {str(value)[:40]} is beyond 32-bit floats")
    elif name in POSITIVE and isinstance(value, int | float) and 0 < value < float(LIMITS.smallest_normal):
        raise ValueError(f"{name}: {value} is 0 as a 32-bit float")


def check_tensors(tensors: Mapping[str, NDArray[Any]]) -> None:
    """Raise ValueError for a tensor with a number that is not finite, outside of tables of users and items."""
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f" and not name.startswith(("user_table.", "item_table.")):
            flat = tensor.reshape(-1)
            for start in range(0, len(flat), BLOCK):
                if not np.isfinite(flat[start : start + BLOCK]).all():
                    raise ValueError(f"{name}: a number that is not finite")


def check_model(model: Model) -> None:
    """Raise ValueError unless posterior, side information, noise, limits and tables fit the vocabularies."""
    n_users, n_items = len(model.user_vocabulary), len(model.item_vocabulary)
    if model.posterior is not None:
        _check_posterior(model.posterior, n_users, n_items)
        _check_side(model.posterior.users, model.user_info, n_items)
        _check_side(model.posterior.items, model.item_info, n_users)
    if model.posterior is None:
        _check_links(model)
    for levels, n in ((model.user_noise, n_users), (model.item_noise, n_items)):
        if levels is not None:
            _expect("noise", levels, (n,), np.float32)
            if not (levels >= 0).all():
                raise ValueError("noise: a value below 0")
    if model.step_distribution is not None and model.step_distribution.tails is not None:
        _check_tails(model.step_distribution.tails)
    if model.noise < 0:
        raise ValueError("noise: below 0")
    if not model.limits[0] <= model.limits[1]:
        raise ValueError("the lower limit of ratings is above the upper")
    for table, n in ((model.user_table, n_users), (model.item_table, n_items)):
        if table is not None and table.height != n:
            raise ValueError(f"a table has {table.height} rows for {n} labels")


def _check_links(model: Model) -> None:
    """Raise ValueError unless a model without a posterior has features just where it has a link of this shape."""
    factors = model.factors
    links = (factors.user_link, factors.item_link) if isinstance(factors, LinkedFactors) else (None, None)
    for link, info in zip(links, (model.user_info, model.item_info), strict=True):
        if link is None or info is None:
            if link is not None or info is not None:
                raise ValueError("features without a posterior or a link, or a link without features")
            continue
        if info.n_history or info.columns is not None:
            raise ValueError("a link of implicit feedback has columns of history")
        k = factors.users.shape[1]
        _expect("link", link.mean, (k,), np.float32)
        _expect("link", link.beta, (info.n_features, k), np.float32)
        if link.mean[-1] or link.beta[:, -1].any():
            raise ValueError("a link of implicit feedback has a bias")


def check_factors(factors: Factors, n_users: int, n_items: int) -> None:
    """Raise ValueError unless there is a vector for each label, priors of its width, and at most one rating curve."""
    widths = factors.users.shape[1], factors.items.shape[1]
    if 0 in widths or not factors.scale > 0:
        raise ValueError("factors without columns, or a scale that is not above 0")
    if factors.steps is not None and (factors.y_range is not None or isinstance(factors, Network)):
        raise ValueError("steps together with another curve from scores to ratings")
    if widths[0] != widths[1] and not isinstance(factors, Network):
        raise ValueError("users and items have different numbers of factors")
    _expect("user factors", factors.users, (n_users, widths[0]), np.float32)
    _expect("item factors", factors.items, (n_items, widths[1]), np.float32)
    for prior, k in zip((factors.user_prior, factors.item_prior), widths, strict=True):
        _expect("prior", prior.precision, (k, k), np.float32)
        _expect("prior", prior.mean, (k,), np.float32)
        if not (prior.alpha >= 0 and prior.ridge >= 0):
            raise ValueError("a prior has a negative precision")
        _expect_positive("prior", prior.precision + np.float32(prior.ridge) * np.eye(k, dtype=np.float32))


def check_history(rows: CompressedRows, n_users: int, n_items: int, *, repeats: bool) -> None:
    """Raise ValueError unless history has a row for each user, with item codes below n_items.

    repeats: whether a row may hold an item twice.
    """
    _expect("history", rows.indptr, (n_users + 1,), np.int64)
    _expect("history", rows.indices, rows.values.shape, np.int32)
    _expect("history", rows.values, (len(rows.indices),), np.float32)
    if rows.weights is not None:
        _expect("history", rows.weights, rows.values.shape, np.float32)
    if rows.times is not None:
        _expect("history", rows.times, rows.values.shape, np.int64)
    if rows.indptr[0] != 0 or rows.indptr[-1] != len(rows.indices) or (np.diff(rows.indptr) < 0).any():
        raise ValueError("history: the row pointers do not rise from 0 to the number of ratings")
    if len(rows.indices) and (rows.indices.min() < 0 or rows.indices.max() >= n_items):
        raise ValueError("history: an item code out of range")
    if rows.weights is not None and rows.weights.min(initial=0) < 0:
        raise ValueError("history: a weight below 0")
    if rows.times is not None and _times_fall(rows.times, rows.indptr):
        raise ValueError("history: the times of a row fall")
    if not repeats and has_repeats(rows.indptr, rows.indices, n_items):
        raise ValueError("history: an item twice in a row")


def _times_fall(times: NDArray[np.int64], indptr: NDArray[np.int64]) -> bool:
    """True if a time, of (n,), is before the one before it in its row. Only BLOCK of them are compared at once."""
    for first in range(0, len(times), BLOCK):
        some = times[first : first + BLOCK + 1]
        falls = first + 1 + np.flatnonzero(some[1:] < some[:-1])
        if (indptr[np.searchsorted(indptr, falls)] != falls).any():  # where a row begins, they may
            return True
    return False


def _check_posterior(posterior: Posterior, n_users: int, n_items: int) -> None:
    draws, k = len(posterior.alpha), posterior.users.vectors.shape[-1]
    if draws == 0 or not (posterior.alpha > 0).all() or not posterior.scale > 0:
        raise ValueError("a posterior without draws, or an alpha or scale that is not above 0")
    _expect("posterior", posterior.alpha, (draws,), np.float32)
    if posterior.steps is not None and posterior.cuts is not None:
        _expect("posterior", posterior.cuts, (draws, len(posterior.steps.cuts)), np.float32)
        if not (np.isfinite(posterior.cuts).all() and (np.diff(posterior.cuts, axis=1) > 0).all()):
            raise ValueError("posterior: the cut points do not rise")
    for samples, n in ((posterior.users, n_users), (posterior.items, n_items)):
        _expect("posterior", samples.vectors, (draws, n, k), np.float32)
        _check_sizes("posterior: vectors", samples.vectors)
        _expect("posterior", samples.precision, (draws, k, k), np.float32)
        _expect("posterior", samples.mean, (draws, k), np.float32)
        _check_sizes("posterior: means", samples.mean)
        _expect_positive("posterior", samples.precision)


def _check_sizes(what: str, vectors: NDArray[np.float32] | None) -> None:
    """Raise ValueError if a number is so large that what is solved with its square overflows."""
    if vectors is not None and max(vectors.max(initial=0), -vectors.min(initial=0)) > MAX_VECTOR:
        raise ValueError(f"{what} beyond {MAX_VECTOR:g}, which no ratings give")


def _check_tails(tails: NDArray[np.float64]) -> None:
    """Raise ValueError unless tails are nominal ones that rise to 1/2, and two rows of quantiles that do not fall."""
    if tails.ndim != 2 or len(tails) != 3 or tails.shape[1] < 2:
        raise ValueError(f"tails of intervals: shape {tails.shape} instead of (3, n)")
    if not ((tails > 0) & (tails <= 0.5)).all() or tails[0, -1] != 0.5:
        raise ValueError("tails of intervals: not above 0 and up to 1/2")
    if not ((np.diff(tails[0]) > 0).all() and (np.diff(tails, axis=1) >= 0).all()):
        raise ValueError("tails of intervals: they fall")


def _check_side(samples: SideSamples, info: SideInfo | None, n_others: int) -> None:
    draws, k = samples.mean.shape
    n_history, n_features = (0, 0) if info is None else (info.n_history, info.n_features)
    if info is not None and info.columns is not None:
        _check_columns(info.columns, n_history, n_others)
    elif n_history not in (0, n_others):
        raise ValueError(f"{n_history} columns of history for {n_others} labels")
    _expect_if("link", samples.link, (draws, n_features, k), expected=info is not None)
    cold_start = samples.cold_start
    _expect("cold_start", cold_start.mean, (draws, k), np.float32)
    _expect("cold_start", cold_start.covariance, (draws, k, k), np.float32)
    has_attributes = n_features > n_history
    _expect_if("cold_start", cold_start.intercept, (draws, k), expected=has_attributes)
    _expect_if("cold_start", cold_start.link, (draws, n_features - n_history, k), expected=has_attributes)
    for part in (samples.link, cold_start.mean, cold_start.intercept, cold_start.link):
        _check_sizes("links and cold starts", part)
    _expect_if("cold_start", cold_start.residual, (draws, k, k), expected=has_attributes)
    for covariances in (cold_start.covariance, cold_start.residual):
        if covariances is not None:
            _expect_covariances("cold_start", covariances)


def _check_columns(columns: NDArray[Any], n_history: int, n_others: int) -> None:
    _expect("columns of history", columns, (n_others,), np.int32)
    if (columns < -1).any() or not np.array_equal(columns[columns >= 0], np.arange(n_history)):
        raise ValueError(f"columns of history that do not rise from 0 to {n_history - 1}")


def _expect_if(what: str, array: NDArray[Any] | None, shape: tuple[int, ...], *, expected: bool) -> None:
    if (array is not None) != expected:
        raise ValueError(f"{what}: present without features, or missing with them")
    if array is not None:
        _expect(what, array, shape, np.float32)


def _expect_positive(what: str, matrices: NDArray[np.float32]) -> None:
    try:
        np.linalg.cholesky(matrices.astype(np.float64))
    except np.linalg.LinAlgError:
        raise ValueError(f"{what}: a precision matrix is not positive definite") from None


def _expect_covariances(what: str, covariances: NDArray[np.float32]) -> None:
    """Raise ValueError unless all matrices are positive semidefinite, up to rounding."""
    if not np.isfinite(covariances).all():
        raise ValueError(f"{what}: a covariance is not finite")
    values = np.linalg.eigvalsh(covariances.astype(np.float64))
    if (values[:, 0] < -1e-4 * np.abs(values[:, -1]) - 1e-30).any():
        raise ValueError(f"{what}: a covariance is not positive semidefinite")


def _expect(what: str, array: NDArray[Any], shape: tuple[int, ...], dtype: type) -> None:
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{what}: {array.dtype} {array.shape} instead of {np.dtype(dtype)} {shape}")
