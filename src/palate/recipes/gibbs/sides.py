"""One side of the Gibbs sampler, users or items: the prior of its vectors, and the link from side information.

    x_r ~ Normal(m + F_r beta, Lambda^-1),  (m, Lambda) ~ Normal-Wishart(m0 = 0, beta0 = 2, W0 = I, nu0 = k)
    beta_f ~ Normal(0, (l_g Lambda)^-1),    l_g ~ Gamma(1, rate = 1)

F is the side information (history and attributes), with one precision l for each group g of its features. Without
side information F beta is 0: Salakhutdinov & Mnih (2008). With it, it is the model of Macau (Simm et al., 2017), which
draws beta as a whole by conjugate gradients. Here beta is drawn feature by feature: this costs as much as one of their
iterations, needs no tolerance, and mixes as well (docs/decisions.md).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from palate.data.rows import CompressedRows
from palate.kernels import draw_link, gram
from palate.models.factors import Doubles, Floats
from palate.models.side_information import SideInfo
from palate.recipes.gibbs.by_feature import ByFeature
from palate.recipes.gibbs.thinning import ColdStartRows, SideDraw

RELAXATION = 0.7  # a of overrelaxed draws (chain.py)
WARM_UP_PRECISION, WARM_UP_BIAS_PRECISION = 30.0, 5.0  # biases vary more than factors, and their variance mixes slowly


class Side:
    """The state of one side: its vectors (n, k), the mean m (k,) and precision Lambda (k, k) of their prior, the link.

    rows: the ratings of each row; start: the vectors to start from; side_info: the features and F, the matrix of all
    rows or as ByFeature has it, or None; seed, stream: of the side's random numbers.
    """

    STATE: ClassVar = ("vectors", "mean", "precision", "link", "_rng")

    def __init__(
        self,
        rows: CompressedRows,
        start: Floats,
        side_info: tuple[SideInfo, CompressedRows | ByFeature] | None,
        seed: int,
        stream: int,
    ) -> None:
        self.rows, self.vectors, self.stream = rows, start, stream
        self._rng = np.random.Generator(np.random.Philox([seed, 2 + stream]))  # its own: sides may draw at once
        self.counts = rows.counts
        self.rated = self.counts > 0
        k = start.shape[1]
        self.mean = np.zeros(k)
        self.precision = np.eye(k) * WARM_UP_PRECISION
        self.precision[-1, -1] = WARM_UP_BIAS_PRECISION
        self.link: Link | None = None
        self.attributes: CompressedRows | None = None  # of all rows, without the history
        if side_info is not None:
            info, features = side_info
            if not isinstance(features, ByFeature):
                features = ByFeature.of_matrix(info, features, self.rated)
            self.link = Link(info, features, rows.n_rows, k)
            self.attributes = features.attributes

    @property
    def row_means(self) -> Floats:
        """The prior means of the vectors: one mean (k,) for all rows, or (n, k) with a link."""
        mean = self.mean.astype(np.float32)
        return mean if self.link is None else mean + self.link.shift

    def draw_prior(self, seed: int, sweep: int, n_threads: int) -> None:
        """Draw m and Lambda given the vectors of the rated rows, then the link. Nothing else is read or changed."""
        rng = self._rng
        link = self.link
        if link is None:
            rated = self.vectors if self.rated.all() else self.vectors[self.rated]
            self.mean, self.precision = draw_normal_wishart(rated, rng, n_threads)
            return
        residuals = self.vectors - link.shift
        residuals = residuals if self.rated.all() else residuals[self.rated]
        scatter, n_scattered = (link.scatter(), len(link.beta)) if link.is_drawn else (0.0, 0)
        self.mean, self.precision = draw_normal_wishart(residuals, rng, n_threads, scatter, n_scattered)
        self.draw_link(seed, sweep, n_threads)

    def draw_link(self, seed: int, sweep: int, n_threads: int) -> None:
        """Draw the link given the vectors and their prior, where there is one."""
        if self.link is not None:
            options = {"seed": seed, "sweep": sweep, "stream": 2 + self.stream, "n_threads": n_threads}
            self.link.draw(self.vectors, self.mean, self.precision, self._rng, **options)

    def set_link(self, n_threads: int) -> None:
        """Set the link to its mode given the vectors, feature by feature, where there is one."""
        if self.link is not None:
            self.link.move(self.vectors, self.mean, np.zeros_like(self.precision), n_threads=n_threads)

    def cold_start_rows(self, targets: tuple[CompressedRows, float, float]) -> ColdStartRows:
        """The targets of the rows as they are given, the rows' attributes, and how many of these there are."""
        info = None if self.link is None else self.link.info
        return targets, self.attributes, 0 if info is None else info.n_features - info.n_history

    def current_draw(self) -> SideDraw:
        """The current draw. The next sweep overwrites its link."""
        link = None if self.link is None else self.link.beta
        return SideDraw(self.vectors, self.mean.astype(np.float32), self.precision.astype(np.float32), link)


class Link:
    """The state of one side's link: beta (n_features, k), the precisions l (n_groups,), and shift = F beta (n, k)."""

    STATE: ClassVar = ("precisions", "beta", "shift", "is_drawn", "_products")

    def __init__(self, info: SideInfo, features: ByFeature, n_rows: int, k: int) -> None:
        self.info = info
        self._by_feature, self._row_values = features.rows, features.row_values
        self._group_sizes = np.bincount(info.groups)
        self.precisions = np.ones(len(self._group_sizes))
        self.beta = np.zeros((info.n_features, k), np.float32)
        self.shift = np.zeros((n_rows, k), np.float32)
        self.is_drawn = False  # until then beta is no draw, and has no part in Lambda's
        self._products = np.zeros((len(self._group_sizes), k, k))  # sum of beta_f beta_f^T over each group's features

    def scatter(self) -> Doubles:
        """sum_f l_f beta_f beta_f^T, (k, k), by which beta enters the draw of Lambda."""
        scatter: Doubles = np.einsum("g,gij->ij", self.precisions, self._products)
        return scatter

    def draw(
        self,
        vectors: Floats,
        mean: Doubles,
        precision: Doubles,
        rng: np.random.Generator,
        *,
        seed: int,
        sweep: int,
        stream: int,
        n_threads: int = 0,
    ) -> None:
        """Draw beta given the vectors and their prior, in place, then l given beta."""
        factor = np.linalg.inv(np.linalg.cholesky(precision)).T
        relaxation = RELAXATION if self.is_drawn else 0.0
        options = {"seed": seed, "sweep": sweep, "stream": stream, "n_threads": n_threads}
        self.move(vectors, mean, factor, relaxation=relaxation, **options)
        self.is_drawn = True
        ends = np.cumsum(self._group_sizes)  # the features of a group stand together
        for group, (end, size) in enumerate(zip(ends, self._group_sizes, strict=True)):
            self._products[group], _ = gram(self.beta[end - size : end], n_threads=n_threads)
        lengths = np.einsum("ij,gij->g", precision, self._products)  # sum of beta_f^T Lambda beta_f
        self.precisions = rng.gamma(1 + self._group_sizes * self.beta.shape[1] / 2) / (1 + lengths / 2)

    def move(self, vectors: Floats, mean: Doubles, factor: Doubles, **options: Any) -> None:
        """Draw beta given the vectors, their mean, and a factor C with C C^T = Lambda^-1; without noise if C is 0."""
        centered = vectors - mean.astype(np.float32)
        residuals = centered - self.shift
        draw_link(
            self._by_feature.indptr,
            self._by_feature.indices,
            self._by_feature.values if self._row_values is None else None,
            self.beta,
            residuals,
            row_values=self._row_values,
            ridge=np.repeat(self.precisions, self._group_sizes).astype(np.float32),
            factor=factor.astype(np.float32, order="C"),
            **options,
        )
        np.subtract(centered, residuals, out=self.shift)


def draw_normal_wishart(
    vectors: Floats,
    rng: np.random.Generator,
    n_threads: int = 0,
    scatter: Doubles | float = 0.0,
    n_scattered: int = 0,
) -> tuple[Doubles, Doubles]:
    """(m, Lambda) given the rows x_1..x_n, from Normal-Wishart(m0 = 0, beta0 = 2, W0 = I, nu0 = k): (k,) and (k, k).

    With xbar and S the rows' mean and scatter (Salakhutdinov & Mnih 2008, equation 14):
    W^-1 = I + S + (beta0 n / (beta0 + n)) xbar xbar^T,  Lambda ~ Wishart(W, k + n),
    m ~ Normal(n xbar / (beta0 + n), ((beta0 + n) Lambda)^-1).
    scatter: of n_scattered more vectors with mean 0 and precision Lambda, those of a link; they do not depend on m.
    """
    n, k = vectors.shape
    products, sums = gram(vectors, n_threads=n_threads)
    xbar = sums / max(n, 1)
    beta = 2.0 + n
    inverse_W = np.eye(k) + products - n * np.outer(xbar, xbar) + (2.0 * n / beta) * np.outer(xbar, xbar) + scatter
    # Bartlett: Lambda = C C^T with C = L^-T T, inverse_W = L L^T, T lower triangular.
    T = np.tril(rng.standard_normal((k, k)), -1)
    T[np.diag_indices(k)] = np.sqrt(rng.chisquare(k + n + n_scattered - np.arange(k)))
    C = np.linalg.solve(np.linalg.cholesky(inverse_W).T, T)
    mean = sums / beta + np.linalg.solve(C.T, rng.standard_normal(k)) / np.sqrt(beta)
    return mean, C @ C.T
