"""Strangers: what to expect of a row that has no ratings, of which at most the attributes are known.

The prior of rated rows is no answer: it says what to expect of somebody with a given history, and a stranger's history
is not empty but unknown. So each draw of a posterior is asked what its rated rows are like, by ridge regression of
their vectors x_r on their attributes f_r. A row counts as often as it was rated, since that is how often one that
somebody asks about, or is about to rate, is like it.

Who rates a row is not anybody: it is those who like it more than others would. With y = [q, 1] of who rated, a rating
is y . x_r, and what comes nearest to all of them, by least squares, is not the mean row. From ridge regression on to
there it is one step in the metric A, the mean of y y' over the ratings (further steps change next to nothing):

    mu += sum_r g_r,   link += (F' W F + ridge I)^-1 F' n g,   g_r = A^-1 mean(y (y . e_r)) - w_r e_r

with e_r what row r is more than expected, w_r its share of the ratings, W = diag(n w) for n rated rows, and in the mean
over all ratings only those of row r.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows
from palate.kernels import multiply_rows, normals, predict_pairs

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

RIDGE = 30.0  # how many rows an attribute's effect must be seen on to be half believed
MAX_PAIRS = 30_000  # ratings, evenly spaced, by which rows are seen
STREAM = 6  # of the random numbers; a chain uses those below


@dataclass(frozen=True)
class ColdStart:
    """Normals of rows without ratings under each of S draws.

    mean: (S, k) and covariance: (S, k, k) of one of which nothing is known. With attributes f of which there are
    n_attributes: the mean intercept + f link, (S, k) and (S, n_attributes, k), and the covariance residual, (S, k, k).
    """

    mean: Floats
    covariance: Floats
    intercept: Floats | None = None
    link: Floats | None = None
    residual: Floats | None = None

    @classmethod
    def of_prior(cls, mean: Floats, precision: Floats) -> ColdStart:
        """Strangers as rated rows are before their ratings, Normal(mean, precision^-1): (S, k) and (S, k, k)."""
        return cls(mean, np.linalg.inv(precision.astype(np.float64)).astype(np.float32))

    def select_draws(self, draws: NDArray[np.int64]) -> ColdStart:
        """Those of some draws only."""
        parts = (self.mean, self.covariance, self.intercept, self.link, self.residual)
        return ColdStart(*(None if part is None else part[draws] for part in parts))  # type: ignore[arg-type]

    def means(self, s: int, attributes: CompressedRows | None, n_rows: int) -> Floats:
        """The mean of each row under draw s, (n_rows, k); of rows without any entry nothing is known."""
        means = np.tile(self.mean[s], (n_rows, 1))
        if attributes is None or self.link is None or self.intercept is None:
            return means
        told = attributes.counts > 0
        link = np.ascontiguousarray(self.link[s])
        moved = multiply_rows(attributes.indptr, attributes.indices, attributes.values, link)
        means[told] = self.intercept[s] + moved[told]
        return means

    def link_of(self, s: int, n_features: int) -> Floats:
        """The link of draw s to all columns of F, of which the attributes are the last: (n_features, k)."""
        link = np.zeros((n_features, self.mean.shape[1]), np.float32)
        if self.link is not None:
            link[n_features - self.link.shape[1] :] = self.link[s]
        return link

    def draws(self, s: int, attributes: CompressedRows | None, n_rows: int, seed: int) -> Floats:
        """A draw of each row under draw s, (n_rows, k)."""
        k = self.mean.shape[1]
        noise = np.stack([normals(seed, row, s, STREAM, k) for row in range(n_rows)])
        told = np.zeros(n_rows, bool) if attributes is None or self.residual is None else attributes.counts > 0
        moved = noise @ _root(self.covariance[s]).T
        if self.residual is not None and told.any():
            moved[told] = noise[told] @ _root(self.residual[s]).T
        return self.means(s, attributes, n_rows) + moved


def _root(covariance: Floats) -> Floats:
    """C with C C^T = the covariance, also where that has no inverse."""
    values, axes = np.linalg.eigh(covariance.astype(np.float64))
    root: Floats = (axes * np.sqrt(np.maximum(values, 0))).astype(np.float32)
    return root


def fit_cold_start(
    vectors: Floats, others: Floats, rows: CompressedRows, attributes: CompressedRows | None, d: int
) -> ColdStart:
    """What rows with ratings, of which there are some, tell of those without, under each draw.

    vectors: (S, n, k); others: (S, m, k) of who rated them; rows: their ratings; attributes: (n, d) sparse, or None.
    """
    weights = rows.counts / rows.counts.sum()
    nothing = _Ridge.of(np.zeros((len(weights), 0)), weights)
    ridge = None if attributes is None or d == 0 else _Ridge.of(_dense(attributes, d), weights)
    seen = RatedPairs.of(rows)
    one_by_one = []
    for X, Y in zip(vectors, others, strict=True):
        raters = Raters.of(seen, Y)
        mean, _, covariance = _of_draw(X, raters, nothing)
        one_by_one.append((mean, covariance) if ridge is None else (mean, covariance, *_of_draw(X, raters, ridge)))
    return ColdStart(*(np.stack(part).astype(np.float32) for part in zip(*one_by_one, strict=True)))


@dataclass(frozen=True)
class RatedPairs:
    """Some of the ratings of one side's rows, evenly spaced: those of each row by indptr, who gave them, and to which.

    indptr: (n + 1,); who and rows: (n_pairs,) codes.
    """

    indptr: NDArray[np.int64]
    who: NDArray[np.int32]
    rows: NDArray[np.int32]

    @classmethod
    def of(cls, rows: CompressedRows) -> RatedPairs:
        """At most MAX_PAIRS of these ratings."""
        every = -(-len(rows.indices) // MAX_PAIRS)
        row_of = np.repeat(np.arange(rows.n_rows, dtype=np.int32), rows.counts)[::every].copy()
        counts = np.bincount(row_of, minlength=rows.n_rows)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(indptr, rows.indices[::every].copy(), row_of)


@dataclass(frozen=True)
class Raters:
    """Who gave these ratings, under one draw: partners y = [q, 1], (m, k), and A^-1, (k, k)."""

    seen: RatedPairs
    partners: Floats
    inverse: Doubles

    @classmethod
    def of(cls, seen: RatedPairs, vectors: Floats) -> Raters:
        """Raters with these vectors [q, c], (m, k)."""
        partners = vectors.copy()
        partners[:, -1] = 1
        counts = np.bincount(seen.who, minlength=len(partners)).astype(np.float32)
        metric = ((partners.T * counts) @ partners).astype(np.float64) / len(seen.who)
        return cls(seen, partners, np.asarray(np.linalg.pinv(metric, rcond=1e-6, hermitian=True), np.float64))

    def scores(self, rows: Doubles) -> Floats:
        """The scores y . x_r of the ratings, (n_pairs,), where rows x are (n, k)."""
        return predict_pairs(rows.astype(np.float32), self.partners, self.seen.rows, self.seen.who, n_threads=1)

    def wanted(self, scores: Floats) -> Doubles:
        """What scores ask of rows, (n, k): mean over ratings of A^-1 y s, each row's own terms."""
        sums = multiply_rows(self.seen.indptr, self.seen.who, scores, self.partners, n_threads=1)
        wanted: Doubles = sums.astype(np.float64) @ self.inverse / len(scores)
        return wanted


@dataclass(frozen=True)
class _Ridge:
    """Ridge regression on features around their mean, the same for every draw.

    weights: (n,), which add up to 1; middle: (d,) the features' mean; features: (n, d) around it; solution: (d, n),
    which makes of rows times their weights the link.
    """

    weights: Doubles
    middle: Doubles
    features: Doubles
    solution: Doubles

    @classmethod
    def of(cls, F: Doubles, weights: Doubles) -> _Ridge:
        n_rated = np.count_nonzero(weights)
        middle = weights @ F
        features = F - middle
        precision = (features.T * (weights * n_rated)) @ features + RIDGE * np.eye(F.shape[1])
        solution = n_rated * np.linalg.solve(precision, features.T)
        return cls(weights, middle, features, np.asarray(solution, np.float64))

    def fit(self, weighted: Doubles) -> tuple[Doubles, Doubles]:
        """The mean (k,) and the link (d, k) of rows times their weights, (n, k)."""
        return weighted.sum(axis=0), self.solution @ weighted

    def expected(self, mean: Doubles, link: Doubles) -> Doubles:
        """Of each row, (n, k)."""
        return mean + self.features @ link


def _of_draw(X: Floats, raters: Raters, ridge: _Ridge) -> tuple[Doubles, Doubles, Doubles]:
    """The intercept (k,), the link (d, k), and the covariance (k, k) around both, of rows with vectors X (n, k)."""
    weights = ridge.weights[:, None]
    mean, link = ridge.fit(weights * X)
    mean_step, link_step = _step(X - ridge.expected(mean, link), raters, ridge)
    mean, link = mean + mean_step, link + link_step
    left = X - ridge.expected(mean, link)
    return mean - ridge.middle @ link, link, (weights * left).T @ left


def _step(left: Doubles, raters: Raters, ridge: _Ridge) -> tuple[Doubles, Doubles]:
    """By how much to move mean and link towards the scores of the ratings, and no farther than brings these nearer.

    left: (n, k) what rows are more than expected.
    """
    missing = raters.scores(left)
    step = ridge.fit(raters.wanted(missing) - ridge.weights[:, None] * left)
    gained = raters.scores(ridge.expected(*step)).astype(np.float64)
    share = min(1.0, max(0.0, float(missing @ gained)) / max(float(gained @ gained), 1e-30))
    return share * step[0], share * step[1]


def _dense(rows: CompressedRows, n_columns: int) -> Doubles:
    dense = np.zeros((rows.n_rows, n_columns))
    np.add.at(dense, (np.repeat(np.arange(rows.n_rows), rows.counts), rows.indices), rows.values)
    return dense
