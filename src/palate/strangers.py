"""Strangers: what to expect of a row that has no ratings, of which at most the attributes are known.

The prior of rated rows is no answer: it says what to expect of somebody with a given history, and a stranger's history
is not empty but unknown. So each draw of a posterior is asked what its rated rows are like, by ridge regression of
their vectors on their attributes. A row counts as often as it was rated, since that is how often one that somebody asks
about, or is about to rate, is like it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.compressed import CompressedRows
from palate.kernels import multiply_rows, normals

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

RIDGE = 30.0  # how many rows an attribute's effect must be seen on to be half believed
STREAM = 6  # of the random numbers; a chain uses those below


@dataclass(frozen=True)
class Strangers:
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
    def of_prior(cls, mean: Floats, precision: Floats) -> Strangers:
        """Strangers as rated rows are before their ratings, Normal(mean, precision^-1): (S, k) and (S, k, k)."""
        return cls(mean, np.linalg.inv(precision.astype(np.float64)).astype(np.float32))

    def some(self, draws: NDArray[np.int64]) -> Strangers:
        """Those of some draws only."""
        parts = (self.mean, self.covariance, self.intercept, self.link, self.residual)
        return Strangers(*(None if part is None else part[draws] for part in parts))  # type: ignore[arg-type]

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


def strangers_among(vectors: Floats, counts: NDArray[np.int64], attributes: CompressedRows | None, d: int) -> Strangers:
    """What rows with these counts of ratings, some above 0, tell of those without, under each draw.

    vectors: (S, n, k); attributes: (n, d) sparse, or None.
    """
    rated = counts > 0
    weights = counts[rated] / counts.sum()
    ridge = None if attributes is None or d == 0 else _Ridge.of(_dense(attributes, d)[rated], weights)
    one_by_one = [_of_draw(vectors[s][rated].astype(np.float64), weights, ridge) for s in range(len(vectors))]
    return Strangers(*(np.stack(part).astype(np.float32) for part in zip(*one_by_one, strict=True)))


@dataclass(frozen=True)
class _Ridge:
    """Ridge regression on features around their mean, the same for every draw: link = solution @ (X - mean of X).

    middle: (d,) the features' mean; features: (n, d) around it; solution: (d, n).
    """

    middle: Doubles
    features: Doubles
    solution: Doubles

    @classmethod
    def of(cls, F: Doubles, weights: Doubles) -> _Ridge:
        middle = weights @ F
        features = F - middle
        weighted = features.T * (weights * len(F))
        precision = weighted @ features + RIDGE * np.eye(F.shape[1])
        return cls(middle, features, np.asarray(np.linalg.solve(precision, weighted), np.float64))


def _of_draw(X: Doubles, weights: Doubles, ridge: _Ridge | None) -> tuple[Doubles, ...]:
    mean = weights @ X
    around = X - mean
    covariance = (around.T * weights) @ around
    if ridge is None:
        return mean, covariance
    link = ridge.solution @ around
    left = around - ridge.features @ link
    return mean, covariance, mean - ridge.middle @ link, link, (left.T * weights) @ left


def _dense(rows: CompressedRows, n_columns: int) -> Doubles:
    dense = np.zeros((rows.n_rows, n_columns))
    np.add.at(dense, (np.repeat(np.arange(rows.n_rows), rows.counts), rows.indices), rows.values)
    return dense
