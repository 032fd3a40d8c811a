"""The prior that factors seem to come from, for models whose fit knows none: gradient descent that ended early.

Such factors are no solution under the weight decay of their training: the descent shrinks rows by ending early, more
than the decay does, and a row solved under that decay alone follows the noise of its ratings. So the prior of a side is
Normal(0, C) with C the second moment of its rows. The noise of ratings is that of the residuals, which a fit makes too
small: rows have moved towards the noise of their own ratings. The sum of squares is therefore divided by the number of
ratings less the effective number of parameters, the trace of the matrix that maps ratings to predictions.

Source: Hastie, Tibshirani & Friedman (2009), The Elements of Statistical Learning, sections 7.6 and 7.10.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from palate.data.rows import CompressedRows, row_codes, total_weights, transpose_rows
from palate.models.factors import Doubles, Factors, Floats, Prior, as_partner

MIN_VARIANCE = 1e-6  # of noise, in squared units of errors: solving needs some, even where no error is left
RIDGE = 1e-6  # of what a rating adds to a row's precision: float32 needs it where a range is very steep
MIN_FREE = 0.05  # the smallest share of ratings that is left when the parameters are counted off
N_STEPS = 5  # the noise and the number of parameters that it leaves free follow from each other
MIN_MOMENT = 1e-8  # of a column, in squared units of scale
FLOOR = 1e-4  # of the mean variance of a column: a column that is zero in all rows gets a variance too


def with_fitted_priors(factors: Factors, history: CompressedRows, *, around_zero: bool = True) -> Factors:
    """The same vectors with the priors of new users and new items fitted to them.

    history: the ratings that the vectors were learned from, by user. around_zero: the prior mean is zero; otherwise it
    is the mean of the rated rows, for biases that hold the mean rating.
    """
    by_item = transpose_rows(history, len(factors.items))
    rated = factors.users[history.counts > 0], factors.items[by_item.counts > 0]
    means = [np.zeros(rows.shape[1]) if around_zero else rows.mean(axis=0, dtype=np.float64) for rows in rated]
    moments = _moment(rated[0] - means[0]), _moment(rated[1] - means[1])
    slopes = _slopes(factors, history)
    alpha = 1 / _noise_variance(factors, (history, by_item), moments, slopes)
    steepest = 1.0 if factors.is_linear else 0.25 * factors.scale  # a new row starts at the middle of the sigmoid
    ridge = RIDGE * alpha * steepest**2
    user_prior, item_prior = (_prior_of(*own, alpha, ridge) for own in zip(means, moments, strict=True))
    return replace(factors, user_prior=user_prior, item_prior=item_prior)


def is_fitted(prior: Prior) -> bool:
    """True if a prior is one of this file, and not a weight decay alone."""
    return bool(prior.precision.any())


def _slopes(factors: Factors, history: CompressedRows) -> Doubles:
    """By how much each prediction moves where x . z moves by one, in the unit of errors, (n,)."""
    scores = factors.pair_scores(factors.users, row_codes(history), history.indices)
    slopes: Doubles = factors.slopes_at(scores).astype(np.float64) * (1 if factors.is_linear else factors.scale)
    return slopes


def _moment(centered: Doubles) -> Doubles:
    """The second moment of rows (n, k), with a floor that keeps it invertible."""
    moment = centered.T @ centered / len(centered)
    floor = max(FLOOR * float(np.trace(moment)) / len(moment), MIN_MOMENT)
    floored: Doubles = moment + floor * np.eye(len(moment))
    return floored


def _prior_of(mean: Doubles, moment: Doubles, alpha: float, ridge: float) -> Prior:
    precision = np.linalg.inv(moment)
    precision = (precision + precision.T) / 2
    return Prior(precision.astype(np.float32), mean.astype(np.float32), alpha, ridge, count_exponent=1.0)


def _noise_variance(
    factors: Factors,
    rows: tuple[CompressedRows, CompressedRows],
    moments: tuple[Doubles, Doubles],
    slopes: Doubles,
) -> float:
    """The variance of a rating around its prediction, in squared units of the loss (scale, or span with a y_range)."""
    history, by_item = rows
    predicted = factors.predict(row_codes(history), history.indices).astype(np.float64)
    errors = (predicted - history.values) / (factors.scale if factors.is_linear else factors.span)
    weights = np.ones(len(errors)) if history.weights is None else history.weights.astype(np.float64)
    slope = float(np.average(slopes**2, weights=weights))
    squares, total = float(weights @ errors**2), float(weights.sum())
    totals = total_weights(history).astype(np.float64), total_weights(by_item).astype(np.float64)
    sides = (
        (totals[0], slope * _spectrum(moments[0], factors.items, totals[1])),
        (totals[1], slope * _spectrum(moments[1], factors.users, totals[0])),
    )
    variance = max(squares / total, MIN_VARIANCE)
    for _ in range(N_STEPS):
        n_parameters = sum(_n_parameters(counts, spectrum, variance) for counts, spectrum in sides)
        variance = max(squares / max(total - n_parameters, MIN_FREE * total), MIN_VARIANCE)
    return variance


def _spectrum(moment: Doubles, others: Floats, counts: Doubles) -> Doubles:
    """The signal variance that one typical rating carries in each direction of a row, (k,).

    They are the eigenvalues of C M, where C is the row's prior covariance and M the second moment of its partners.
    """
    partners = as_partner(others).astype(np.float64)
    partner_moment = (partners.T * counts) @ partners / counts.sum()
    root = np.linalg.cholesky(moment)
    eigenvalues: Doubles = np.linalg.eigvalsh(root.T @ partner_moment @ root)
    return np.maximum(eigenvalues, 0)


def _n_parameters(counts: Doubles, spectrum: Doubles, variance: float) -> float:
    """The effective number of parameters of rows with these numbers of ratings, (n,)."""
    numbers, n_rows = np.unique(counts, return_counts=True)
    signal = numbers[:, None] * spectrum
    return float(n_rows @ (signal / (signal + variance)).sum(axis=1))
