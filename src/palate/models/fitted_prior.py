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

from palate.data.plan import count_codes
from palate.data.rows import CompressedRows, mean_over, row_codes, rows_between, total_weights
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
    n_items = len(factors.items)
    totals = total_weights(history).astype(np.float64), _weights_of_items(history, n_items)
    rated = factors.users[history.counts > 0], factors.items[count_codes(history.indices, n_items) > 0]
    means = [np.zeros(rows.shape[1]) if around_zero else rows.mean(axis=0, dtype=np.float64) for rows in rated]
    moments = _moment(rated[0] - means[0]), _moment(rated[1] - means[1])
    alpha = 1 / _noise_variance(factors, history, totals, moments)
    steepest = 1.0 if factors.is_linear else 0.25 * factors.scale  # a new row starts at the middle of the sigmoid
    ridge = RIDGE * alpha * steepest**2
    user_prior, item_prior = (_prior_of(*own, alpha, ridge) for own in zip(means, moments, strict=True))
    return replace(factors, user_prior=user_prior, item_prior=item_prior)


def is_fitted(prior: Prior) -> bool:
    """True if a prior is one of this file, and not a weight decay alone."""
    return bool(prior.precision.any())


def _weights_of_items(history: CompressedRows, n_items: int) -> Doubles:
    """The sum of the weights of each item, (n_items,): its number of ratings if they have none."""
    if history.weights is None:
        return count_codes(history.indices, n_items).astype(np.float64)
    sums = np.zeros(n_items)
    for block in history.plan.blocks:
        some = rows_between(history, block)
        sums += np.bincount(some.indices, some.weights, n_items)
    return sums


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
    factors: Factors, history: CompressedRows, totals: tuple[Doubles, Doubles], moments: tuple[Doubles, Doubles]
) -> float:
    """The variance of a rating around its prediction, in squared units of the loss (scale, or span with a y_range).

    totals, moments: of users and of items, the sums of their weights and the second moments of their vectors.
    """
    error, slope = _mean_squares(factors, history)
    total = float(totals[0].sum())
    sides = (
        (totals[0], slope * _spectrum(moments[0], factors.items, totals[1])),
        (totals[1], slope * _spectrum(moments[1], factors.users, totals[0])),
    )
    variance = max(error, MIN_VARIANCE)
    for _ in range(N_STEPS):
        n_parameters = sum(_n_parameters(counts, spectrum, variance) for counts, spectrum in sides)
        variance = max(error * total / max(total - n_parameters, MIN_FREE * total), MIN_VARIANCE)
    return variance


def _mean_squares(factors: Factors, history: CompressedRows) -> tuple[float, float]:
    """The mean squared error of predictions, in units of the loss, and the mean squared slope of a prediction.

    The slope is by how much it moves where x . z moves by one.
    """
    unit = factors.scale if factors.is_linear else factors.span

    def scores(block: slice, some: CompressedRows) -> Floats:
        return factors.pair_scores(factors.users[block], row_codes(some), some.indices)

    def squared_errors(block: slice, some: CompressedRows) -> Doubles:
        return ((factors.ratings_at(scores(block, some)).astype(np.float64) - some.values) / unit) ** 2

    def squared_slopes(block: slice, some: CompressedRows) -> Doubles:
        return (factors.slopes_at(scores(block, some)).astype(np.float64) * factors.scale) ** 2

    return mean_over(history, squared_errors), 1.0 if factors.is_linear else mean_over(history, squared_slopes)


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
