"""Cold start: the prior of a user or item without ratings, from its attributes where it has some.

Under each posterior draw, ridge regression of the vectors x_r of rated rows on their attributes f_r, each row weighted
by its number of ratings, then one step that corrects for self-selection, then the level of rows with few ratings:

    mu += sum_r g_r,   link += (F' W F + ridge I)^-1 F' n g,   g_r = A^-1 mean(y (y . e_r)) - w_r e_r
    mu_bias += P t,    t = sum_r mean_r(z - y . mu_r) / n_r / (N0 + sum_r 1 / n_r)

Why not the prior of rated rows: it holds for a row whose history is given. The history of a cold-start row is not
empty, it is unknown. Weights: a row that was rated more often stands for more of the rows that will be rated.

Why the step: ratings are not missing at random. A row is rated by those who like it more than others would. With
y = [q, 1] of the rater, a rating is y . x_r, and the least-squares fit to all ratings is not the mean row. The step
goes from the ridge regression towards that fit, in the metric A, the mean of y y' over the ratings. Further steps
change almost nothing. Here e_r is the residual of row r, w_r its share of the ratings, W = diag(n w) for n rated rows;
the mean is over all ratings, with zero for those of other rows.

Why the level: a row without ratings may be a new one, which will be rated as often as others are. Or it is one of those
that hardly anybody rates, and these are rated otherwise. Which of the two it is cannot be told from the data, so the
prior is a mixture: with probability P = RARE the row lies t above the others. t is the mean residual of ratings z
(less the rater's bias) of row r given its attributes, a row with n_r ratings counting 1 / n_r, so that it is what rows
with one rating or two say. It is held back by N0 = RARE_ROWS more rows with a residual of 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, pointers_of, row_codes, take_rows, transpose_rows
from palate.kernels import gram, multiply_rows, normals, predict_pairs
from palate.kernels.threads import thread_pool
from palate.models.row_blocks import row_blocks

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

RIDGE = 30.0  # an attribute that this many rows have is shrunk by half
MAX_PAIRS = 30_000  # ratings used for the step, evenly spaced
STREAM = 6  # of random numbers; the Gibbs chain uses lower ones
RARE = 0.2  # probability that a row without ratings is one of those that hardly anybody rates
RARE_ROWS = 20.0  # rows with a residual of 0 that are added to those with few ratings
ROWS_AT_ONCE = 4096  # whose attributes are made dense


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

    def means(self, s: int, attributes: CompressedRows | None, n_rows: int) -> Floats:
        """Prior mean of each row under draw s, (n_rows, k). Rows without an entry in attributes have none."""
        means = np.tile(self.mean[s], (n_rows, 1))
        if attributes is None or self.link is None or self.intercept is None:
            return means
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

    def draws(self, s: int, attributes: CompressedRows | None, n_rows: int, seed: int) -> Floats:
        """A random vector of each row from its prior under draw s, (n_rows, k)."""
        k = self.mean.shape[1]
        noise = normals(seed, 0, s, STREAM, n_rows * k).reshape(n_rows, k)
        deviations = noise @ _root(self.covariance[s]).T
        if self.residual is not None and attributes is not None and (has_attributes := attributes.counts > 0).any():
            deviations[has_attributes] = noise[has_attributes] @ _root(self.residual[s]).T
        return self.means(s, attributes, n_rows) + deviations


def _root(covariance: Floats) -> Floats:
    """A matrix C with C C' = the covariance, which may be singular."""
    values, axes = np.linalg.eigh(covariance.astype(np.float64))
    root: Floats = (axes * np.sqrt(np.maximum(values, 0))).astype(np.float32)
    return root


def fit_cold_start(
    vectors: Floats,
    others: Floats,
    targets: tuple[CompressedRows, float, float],
    attributes: CompressedRows | None,
    n_attributes: int,
    n_threads: int = 1,
) -> ColdStart:
    """Fit the cold-start prior of one side to its rated rows, under each draw. At least one row has ratings.

    vectors: (S, n, k) of this side; others: (S, m, k) of the other side, the raters; targets: the ratings of this side,
    by code of the other, with their center and scale; attributes: (n, n_attributes) sparse, or None.
    Each thread takes a draw.
    """
    rows, center, scale = targets
    weights = rows.counts / rows.counts.sum()
    pairs, rare = RatedPairs.of(rows), RarePairs.of(rows, center, scale)
    ridges = [_Ridge.of(CompressedRows.empty(rows.n_rows), 0, weights, pairs, rare)]
    if attributes is not None and n_attributes:
        ridges.append(_Ridge.of(attributes, n_attributes, weights, pairs, rare))

    def fit(X: Floats, Y: Floats) -> tuple[Doubles, ...]:
        raters, second_moment = Raters.of(pairs, Y), _second_moment(X, weights)
        (mean, _, covariance), *known = (_fit_draw(X, second_moment, raters, rare, ridge) for ridge in ridges)
        return mean, covariance, *(part for fitted in known for part in fitted)

    with thread_pool(n_threads) as threads:
        fits = list(threads.map(fit, vectors, others))
    return ColdStart(*(np.stack(part).astype(np.float32) for part in zip(*fits, strict=True)))


@dataclass(frozen=True)
class RatedPairs:
    """At most MAX_PAIRS of one side's ratings, evenly spaced and grouped by row: (row, rater) without the value.

    codes: (n_rows,) of the rows that have pairs; indptr: (n_rows + 1,) where the pairs of each begin; raters and rows:
    (n_pairs,) codes; at: (n_pairs,) positions in codes.
    """

    codes: NDArray[np.int64]
    indptr: NDArray[np.int64]
    raters: NDArray[np.int32]
    rows: NDArray[np.int32]
    at: NDArray[np.int32]

    @classmethod
    def of(cls, rows: CompressedRows) -> RatedPairs:
        """Choose pairs from compressed rows."""
        every = -(-len(rows.indices) // MAX_PAIRS)
        chosen = np.arange(0, len(rows.indices), every)
        row_of = np.searchsorted(rows.indptr, chosen, side="right").astype(np.int32) - np.int32(1)
        counts = np.bincount(row_of, minlength=rows.n_rows)
        codes = np.flatnonzero(counts)
        at = np.repeat(np.arange(len(codes), dtype=np.int32), counts[codes])
        return cls(codes, pointers_of(counts[codes]), rows.indices[::every].copy(), row_of, at)


@dataclass(frozen=True)
class RarePairs:
    """At most MAX_PAIRS ratings of the rows that have the fewest, and what each of them counts.

    codes: (n_rows,) of the rows; at: (n_pairs,) positions in codes; raters: (n_pairs,) codes; targets: (n_pairs,) the
    ratings, in the units of vectors; weights: (n_pairs,).
    """

    codes: NDArray[np.int64]
    at: NDArray[np.int32]
    raters: NDArray[np.int32]
    targets: Floats
    weights: Doubles

    @classmethod
    def of(cls, rows: CompressedRows, center: float, scale: float) -> RarePairs:
        """Choose pairs from compressed rows. Rows with equally many ratings come in a random order, always the same."""
        shuffled = np.random.Generator(np.random.Philox(0)).permutation(rows.n_rows)
        rated = shuffled[rows.counts[shuffled] > 0]
        fewest_first = rated[np.argsort(rows.counts[rated], kind="stable")]
        n_rows = max(1, int(np.searchsorted(np.cumsum(rows.counts[fewest_first]), MAX_PAIRS, side="right")))
        codes = fewest_first[:n_rows]
        some = take_rows(rows, codes)
        counts = np.repeat(some.counts, some.counts)
        weights = (1.0 if some.weights is None else some.weights.astype(np.float64)) / counts**2
        targets = ((some.values - center) / scale).astype(np.float32)
        return cls(codes, row_codes(some), some.indices, targets, weights)

    def level(self, expected: Floats, others: Floats) -> float:
        """How far these rows' ratings lie above what is expected of them, (n_rows, k), given the others, (m, k)."""
        scores = predict_pairs(expected, others, self.at, self.raters, bias=True, n_threads=1)
        return float(self.weights @ (self.targets - scores) / (RARE_ROWS + self.weights.sum()))


@dataclass(frozen=True)
class Raters:
    """The raters of these pairs under one draw: vectors [q, c], partners y = [q, 1], (m, k); inverse = A^-1, (k, k)."""

    pairs: RatedPairs
    vectors: Floats
    partners: Floats
    inverse: Doubles

    @classmethod
    def of(cls, pairs: RatedPairs, vectors: Floats) -> Raters:
        """Return raters with vectors [q, c], (m, k)."""
        partners = vectors.copy()
        partners[:, -1] = 1
        counts = np.bincount(pairs.raters, minlength=len(partners)).astype(np.float32)
        metric = ((partners.T * counts) @ partners).astype(np.float64) / len(pairs.raters)
        return cls(pairs, vectors, partners, np.asarray(np.linalg.pinv(metric, rcond=1e-6, hermitian=True), np.float64))

    def scores(self, rows: Floats) -> Floats:
        """The scores y . x_r of the pairs, (n_pairs,), where x are the rows that have pairs, (n_rows, k)."""
        return predict_pairs(rows, self.partners, self.pairs.at, self.pairs.raters, n_threads=1)

    def gradient(self, scores: Floats) -> Doubles:
        """The direction that raises scores s, (n_rows, k): each row's sum of A^-1 y s, over the number of pairs."""
        sums = multiply_rows(self.pairs.indptr, self.pairs.raters, scores, self.partners, n_threads=1)
        gradient: Doubles = sums.astype(np.float64) @ self.inverse / len(scores)
        return gradient


@dataclass(frozen=True)
class _Ridge:
    """Ridge regression on d centered attributes, the same for every draw.

    weights: (n,) of the rows, that add up to 1; n_rated: how many are not 0; center: (d,) the weighted mean of the
    attributes; scatter: (d, d) around it; inverse: (d, d), of the precision of the link; by_attribute: the attributes
    times the weights, transposed; paired and rare: the attributes of the rows that have pairs, and of rare rows.
    """

    weights: Doubles
    n_rated: int
    center: Doubles
    scatter: Doubles
    inverse: Doubles
    by_attribute: CompressedRows
    paired: CompressedRows
    rare: CompressedRows

    @classmethod
    def of(cls, rows: CompressedRows, n_columns: int, weights: Doubles, pairs: RatedPairs, rare: RarePairs) -> _Ridge:
        """Prepare the regression on attributes (n, d)."""
        n_rated = int(np.count_nonzero(weights))
        products, center = _moments(rows, n_columns, weights)
        scatter = products - np.outer(center, center)
        inverse = np.asarray(np.linalg.inv(n_rated * scatter + RIDGE * np.eye(n_columns)), np.float64)
        weighted = replace(rows, values=(rows.values * weights[row_codes(rows)]).astype(np.float32))
        some = take_rows(rows, pairs.codes), take_rows(rows, rare.codes)
        return cls(weights, n_rated, center, scatter, inverse, transpose_rows(weighted, n_columns), *some)

    def products(self, by_attribute: CompressedRows, X: Floats, total: Doubles) -> Doubles:
        """Centered attributes times rows, (d, k). by_attribute: the attributes, (d, n); total: (k,) the sum of rows."""
        if not len(self.center):
            return np.zeros((0, len(total)))
        sums = multiply_rows(by_attribute.indptr, by_attribute.indices, by_attribute.values, X, n_threads=1)
        return sums.astype(np.float64) - np.outer(self.center, total)

    def predict(self, rows: CompressedRows, mean: Doubles, link: Doubles) -> Floats:
        """What is expected of rows with these attributes (n, d), (n, k)."""
        start = (mean - self.center @ link).astype(np.float32)
        if not len(self.center):
            return np.tile(start, (rows.n_rows, 1))
        return start + multiply_rows(rows.indptr, rows.indices, rows.values, link.astype(np.float32), n_threads=1)

    def step(self, X: Floats, mean: Doubles, link: Doubles, raters: Raters) -> tuple[Doubles, Doubles]:
        """The step of mean and link towards the least-squares fit to the ratings; X: (n, k).

        Of the residuals times weights, the sum is 0 and the regression on attributes is RIDGE inverse link, by the
        normal equations. The size of the step is the one of minimum squared error along it, at most 1.
        """
        errors = raters.scores(X[raters.pairs.codes] - self.predict(self.paired, mean, link))
        gradient = raters.gradient(errors)
        mean_step = gradient.sum(axis=0)
        by_attribute = transpose_rows(self.paired, len(self.center))
        products = self.products(by_attribute, gradient.astype(np.float32), mean_step)
        link_step = self.inverse @ (self.n_rated * products - RIDGE * link)
        changes = raters.scores(self.predict(self.paired, mean_step, link_step)).astype(np.float64)
        size = min(1.0, max(0.0, float(errors @ changes)) / max(float(changes @ changes), 1e-30))
        return size * mean_step, size * link_step


def _moments(rows: CompressedRows, n_columns: int, weights: Doubles) -> tuple[Doubles, Doubles]:
    """The weighted mean of f f', (d, d), and of f, (d,), over sparse rows f (n, d)."""
    products, sums = np.zeros((n_columns, n_columns)), np.zeros(n_columns)
    for first in range(0, rows.n_rows if n_columns else 0, ROWS_AT_ONCE):
        codes = np.arange(first, min(first + ROWS_AT_ONCE, rows.n_rows))
        F = _dense(take_rows(rows, codes), n_columns)
        weighted = F * weights[codes, None]
        products += weighted.T @ F
        sums += weighted.sum(axis=0)
    return products, sums


def _second_moment(X: Floats, weights: Doubles) -> tuple[Doubles, Doubles]:
    """The weighted mean (k,) of rows X (n, k), and their scatter around it, (k, k)."""
    blocks = row_blocks(len(X))
    mean: Doubles = np.sum([weights[rows] @ X[rows] for rows in blocks], axis=0)
    roots = np.sqrt(weights * len(weights))[:, None].astype(np.float32)
    products = [gram(roots[rows] * (X[rows] - mean.astype(np.float32)), n_threads=1)[0] for rows in blocks]
    return mean, np.sum(products, axis=0) / len(weights)


def _fit_draw(
    X: Floats, second_moment: tuple[Doubles, Doubles], raters: Raters, rare: RarePairs, ridge: _Ridge
) -> tuple[Doubles, Doubles, Doubles]:
    """Return intercept (k,), link (d, k) and residual covariance (k, k) for rows with vectors X (n, k)."""
    total, scatter = second_moment
    products = ridge.products(ridge.by_attribute, X, total)
    mean, link = total, ridge.n_rated * (ridge.inverse @ products)
    mean_step, link_step = ridge.step(X, mean, link, raters)
    mean, link = mean + mean_step, link + link_step
    shared = link.T @ products
    covariance = scatter - shared - shared.T + link.T @ ridge.scatter @ link + np.outer(mean_step, mean_step)
    level = rare.level(ridge.predict(ridge.rare, mean, link), raters.vectors)
    intercept = mean - ridge.center @ link
    intercept[-1] += RARE * level
    covariance[-1, -1] += RARE * (1 - RARE) * level**2  # the variance of a level that is 0 or this
    return intercept, link, covariance


def _dense(rows: CompressedRows, n_columns: int) -> Doubles:
    dense = np.zeros((rows.n_rows, n_columns))
    np.add.at(dense, (np.repeat(np.arange(rows.n_rows), rows.counts), rows.indices), rows.values)
    return dense
