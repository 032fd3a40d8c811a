"""Cold start: the prior of a user or item without ratings, from its attributes where it has some.

Under each posterior draw, ridge regression of the vectors x_r of rated rows on their attributes f_r, each row weighted
by its number of ratings, and then one step that corrects for self-selection:

    mu += sum_r g_r,   link += (F' W F + ridge I)^-1 F' n g,   g_r = A^-1 mean(y (y . e_r)) - w_r e_r

Why not the prior of rated rows: it holds for a row whose history is given. The history of a cold-start row is not
empty, it is unknown. Weights: a row that was rated more often stands for more of the rows that will be rated.

Why the step: ratings are not missing at random. A row is rated by those who like it more than others would. With
y = [q, 1] of the rater, a rating is y . x_r, and the least-squares fit to all ratings is not the mean row. The step
goes from the ridge regression towards that fit, in the metric A, the mean of y y' over the ratings. Further steps
change almost nothing. Here e_r is the residual of row r, w_r its share of the ratings, W = diag(n w) for n rated rows;
the mean is over all ratings, with zero for those of other rows.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, take_rows
from palate.kernels import multiply_rows, normals, predict_pairs

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Codes = NDArray[np.integer[Any]]

RIDGE = 30.0  # an attribute that this many rows have is shrunk by half
MAX_PAIRS = 30_000  # ratings used for the step, evenly spaced
STREAM = 6  # of random numbers; the Gibbs chain uses lower ones


@dataclass(frozen=True)
class ColdStart:
    """The cold-start prior: a Normal for rows without ratings under each of S posterior draws.

    Attributes:
        mean (float32 array of shape (S, k)): Prior mean of a row without attributes.
        covariance (float32 array of shape (S, k, k)): Its prior covariance.
        intercept (float32 array of shape (S, k), default None): With attributes f, the prior mean is
            intercept + f link.
        link (float32 array of shape (S, n_attributes, k), default None): Effects of attributes on the mean.
        residual (float32 array of shape (S, k, k), default None): Prior covariance of a row with attributes.
    """

    mean: Floats
    covariance: Floats
    intercept: Floats | None = None
    link: Floats | None = None
    residual: Floats | None = None

    @classmethod
    def of_prior(cls, mean: Floats, precision: Floats) -> ColdStart:
        """Return a cold start equal to the prior Normal(mean, precision^-1); shapes (S, k) and (S, k, k)."""
        return cls(mean, np.linalg.inv(precision.astype(np.float64)).astype(np.float32))

    def select_draws(self, draws: NDArray[np.int64]) -> ColdStart:
        """Return the cold start of some draws, by number."""
        parts = (self.mean, self.covariance, self.intercept, self.link, self.residual)
        return ColdStart(*(None if part is None else part[draws] for part in parts))  # type: ignore[arg-type]

    def means(self, s: int, attributes: CompressedRows | None, rows: Codes) -> Floats:
        """Prior means of these rows under draw s, (len(rows), k). Rows without an entry in attributes have none.

        attributes: of all rows, (n_rows, n_attributes), or None.
        """
        means = np.tile(self.mean[s], (len(rows), 1))
        if attributes is None or self.link is None or self.intercept is None:
            return means
        attributes = take_rows(attributes, rows)
        has_attributes = attributes.counts > 0
        link = np.ascontiguousarray(self.link[s])
        effects = multiply_rows(attributes.indptr, attributes.indices, attributes.values, link)
        means[has_attributes] = self.intercept[s] + effects[has_attributes]
        return means

    def link_of(self, s: int, n_features: int) -> Floats:
        """The link of draw s for all columns of F, (n_features, k): zero for history, attributes stand last."""
        link = np.zeros((n_features, self.mean.shape[1]), np.float32)
        if self.link is not None:
            link[n_features - self.link.shape[1] :] = self.link[s]
        return link

    def draws(self, s: int, attributes: CompressedRows | None, rows: Codes, seed: int) -> Floats:
        """A random vector of each of these rows from its prior under draw s, (len(rows), k)."""
        k = self.mean.shape[1]
        noise = np.stack([normals(seed, int(row), s, STREAM, k) for row in rows])
        deviations = noise @ _root(self.covariance[s]).T
        if self.residual is not None and attributes is not None:
            has_attributes = attributes.counts[rows] > 0
            deviations[has_attributes] = noise[has_attributes] @ _root(self.residual[s]).T
        return self.means(s, attributes, rows) + deviations


def _root(covariance: Floats) -> Floats:
    """A matrix C with C C' = the covariance, which may be singular."""
    values, axes = np.linalg.eigh(covariance.astype(np.float64))
    root: Floats = (axes * np.sqrt(np.maximum(values, 0))).astype(np.float32)
    return root


def fit_cold_start(
    vectors: Floats,
    others: Floats,
    rows: CompressedRows,
    attributes: CompressedRows | None,
    n_attributes: int,
    n_threads: int = 1,
) -> ColdStart:
    """Fit the cold-start prior of one side to its rated rows, under each draw. At least one row has ratings.

    vectors: (S, n, k) of this side; others: (S, m, k) of the other side, the raters; rows: the ratings of this side, by
    code of the other; attributes: (n, n_attributes) sparse, or None. Each thread takes a draw.
    """
    weights = rows.counts / rows.counts.sum()
    mean_only = _Ridge.of(np.zeros((len(weights), 0)), weights)
    ridge = _Ridge.of(_dense(attributes, n_attributes), weights) if attributes is not None and n_attributes else None
    pairs = RatedPairs.of(rows)

    def fit(X: Floats, Y: Floats) -> tuple[Doubles, ...]:
        raters = Raters.of(pairs, Y)
        mean, _, covariance = _fit_draw(X, raters, mean_only)
        return (mean, covariance) if ridge is None else (mean, covariance, *_fit_draw(X, raters, ridge))

    with ThreadPoolExecutor(n_threads) as threads:
        fits = list(threads.map(fit, vectors, others))
    return ColdStart(*(np.stack(part).astype(np.float32) for part in zip(*fits, strict=True)))


@dataclass(frozen=True)
class RatedPairs:
    """At most MAX_PAIRS of one side's ratings, evenly spaced and grouped by row: (row, rater) without the value.

    indptr: (n + 1,) where the pairs of each row begin; raters and rows: (n_pairs,) codes.
    """

    indptr: NDArray[np.int64]
    raters: NDArray[np.int32]
    rows: NDArray[np.int32]

    @classmethod
    def of(cls, rows: CompressedRows) -> RatedPairs:
        """Choose pairs from compressed rows."""
        every = -(-len(rows.indices) // MAX_PAIRS)
        row_of = np.repeat(np.arange(rows.n_rows, dtype=np.int32), rows.counts)[::every].copy()
        counts = np.bincount(row_of, minlength=rows.n_rows)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(indptr, rows.indices[::every].copy(), row_of)


@dataclass(frozen=True)
class Raters:
    """The raters of these pairs under one draw: partners y = [q, 1], (m, k), and inverse = A^-1, (k, k)."""

    pairs: RatedPairs
    partners: Floats
    inverse: Doubles

    @classmethod
    def of(cls, pairs: RatedPairs, vectors: Floats) -> Raters:
        """Return raters with vectors [q, c], (m, k)."""
        partners = vectors.copy()
        partners[:, -1] = 1
        counts = np.bincount(pairs.raters, minlength=len(partners)).astype(np.float32)
        metric = ((partners.T * counts) @ partners).astype(np.float64) / len(pairs.raters)
        return cls(pairs, partners, np.asarray(np.linalg.pinv(metric, rcond=1e-6, hermitian=True), np.float64))

    def scores(self, rows: Doubles) -> Floats:
        """The scores y . x_r of the pairs, (n_pairs,), where rows x are (n, k)."""
        return predict_pairs(
            rows.astype(np.float32, order="C"), self.partners, self.pairs.rows, self.pairs.raters, n_threads=1
        )

    def gradient(self, scores: Floats) -> Doubles:
        """The direction that raises scores s, (n, k): each row's sum of A^-1 y s, divided by the number of pairs."""
        sums = multiply_rows(self.pairs.indptr, self.pairs.raters, scores, self.partners, n_threads=1)
        gradient: Doubles = sums.astype(np.float64) @ self.inverse / len(scores)
        return gradient


@dataclass(frozen=True)
class _Ridge:
    """Ridge regression on d centered attributes, the same for every draw.

    weights: (n,) that add up to 1; center: (d,) the weighted mean of the attributes; features: (n, d) less the center;
    solution: (d, n), whose product with weighted rows is the link.
    """

    weights: Doubles
    center: Doubles
    features: Doubles
    solution: Doubles

    @classmethod
    def of(cls, F: Doubles, weights: Doubles) -> _Ridge:
        """Prepare the regression on attributes F (n, d)."""
        n_rated = np.count_nonzero(weights)
        center = weights @ F
        features = F - center
        precision = (features.T * (weights * n_rated)) @ features + RIDGE * np.eye(F.shape[1])
        solution = n_rated * np.linalg.solve(precision, features.T)
        return cls(weights, center, features, np.asarray(solution, np.float64))

    def fit(self, weighted: Doubles) -> tuple[Doubles, Doubles]:
        """Return the mean (k,) and the link (d, k) for rows times their weights, (n, k)."""
        return weighted.sum(axis=0), self.solution @ weighted

    def predict(self, mean: Doubles, link: Doubles) -> Doubles:
        """Predicted vectors, (n, k)."""
        return mean + self.features @ link if len(link) else np.broadcast_to(mean, (len(self.features), len(mean)))


def _fit_draw(X: Floats, raters: Raters, ridge: _Ridge) -> tuple[Doubles, Doubles, Doubles]:
    """Return intercept (k,), link (d, k) and residual covariance (k, k) for rows with vectors X (n, k)."""
    weights = ridge.weights[:, None]
    mean, link = ridge.fit(weights * X)
    mean_step, link_step = _step(X - ridge.predict(mean, link), raters, ridge)
    mean, link = mean + mean_step, link + link_step
    residuals = X - ridge.predict(mean, link)
    return mean - ridge.center @ link, link, (weights * residuals).T @ residuals


def _step(residuals: Doubles, raters: Raters, ridge: _Ridge) -> tuple[Doubles, Doubles]:
    """Return the step of mean and link towards the least-squares fit to the ratings; residuals: (n, k).

    Its size is the one of minimum squared error along the step, at most 1.
    """
    errors = raters.scores(residuals)
    step = ridge.fit(raters.gradient(errors) - ridge.weights[:, None] * residuals)
    changes = raters.scores(ridge.predict(*step)).astype(np.float64)
    size = min(1.0, max(0.0, float(errors @ changes)) / max(float(changes @ changes), 1e-30))
    return size * step[0], size * step[1]


def _dense(rows: CompressedRows, n_columns: int) -> Doubles:
    dense = np.zeros((rows.n_rows, n_columns))
    np.add.at(dense, (np.repeat(np.arange(rows.n_rows), rows.counts), rows.indices), rows.values)
    return dense
