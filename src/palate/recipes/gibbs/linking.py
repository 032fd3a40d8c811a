"""The link from what is known of rows to their factors, sampled (Macau: Simm et al., 2017).

    x_r ~ Normal(m + F_r beta, Lambda^-1),  beta_f ~ Normal(0, (l_g Lambda)^-1),  l_g ~ Gamma(1, rate = 1)

with F the side information and one l for each group g of features. Macau draws beta as a whole by conjugate gradients;
drawn feature by feature it costs what one of their steps does, needs no tolerance, and mixes as well (decisions.md).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from palate.data.rows import CompressedRows, transpose_rows
from palate.kernels import draw_link, gram
from palate.models.factors import Doubles, Floats
from palate.models.side_information import SideInfo


class Link:
    """The state of one side's link: beta, (n_features, k); the precisions l; and where they put each row, F beta."""

    def __init__(self, info: SideInfo, features: CompressedRows, k: int, n_threads: int) -> None:
        self.info = info
        self._by_feature = transpose_rows(features, info.n_features)
        self._shares: Floats | None = (
            None  # of rows, in place of the values of all their entries, where these are alike
        )
        if info.attributes is None:
            self._shares = _first_values(features)
            self._by_feature = replace(self._by_feature, values=self._shares[:0])
        self._groups = info.groups
        self._group_sizes = np.bincount(info.groups)
        self._n_threads = n_threads
        self.precisions = np.ones(len(self._group_sizes))
        self.beta = np.zeros((info.n_features, k), np.float32)
        self.shift = np.zeros((features.n_rows, k), np.float32)
        self.is_drawn = False  # before it is, beta tells nothing of Lambda

    @property
    def ridge(self) -> Floats:
        """The precision l of each feature, (n_features,)."""
        return self.precisions[self._groups].astype(np.float32)

    def scatter(self) -> Doubles:
        """sum_f l_f beta_f beta_f^T, (k, k): what the link says of Lambda."""
        products, _ = gram(self.beta * np.sqrt(self.ridge)[:, None], n_threads=self._n_threads)
        return products

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
    ) -> None:
        """Draw beta given the rows and their Normal, in place, then l given beta."""
        centered = vectors - mean.astype(np.float32)
        residuals = centered - self.shift
        draw_link(
            self._by_feature.indptr,
            self._by_feature.indices,
            self._by_feature.values if self._shares is None else None,
            self.beta,
            residuals,
            row_values=self._shares,
            ridge=self.ridge,
            factor=np.linalg.inv(np.linalg.cholesky(precision)).T.astype(np.float32, order="C"),
            seed=seed,
            sweep=sweep,
            stream=stream,
            n_threads=self._n_threads,
        )
        np.subtract(centered, residuals, out=self.shift)
        self.is_drawn = True
        lengths = np.sum((self.beta @ precision.astype(np.float32)) * self.beta, axis=1, dtype=np.float64)
        totals = np.bincount(self._groups, lengths, minlength=len(self.precisions))
        self.precisions = rng.gamma(1 + self._group_sizes * self.beta.shape[1] / 2) / (1 + totals / 2)


def _first_values(rows: CompressedRows) -> Floats:
    """The value of the first entry of each row, (n_rows,); 0 where there is none."""
    first, some = np.zeros(rows.n_rows, np.float32), rows.counts > 0
    first[some] = rows.values[rows.indptr[:-1][some]]
    return first
