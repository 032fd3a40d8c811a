"""The links of ImplicitALS from attributes to factors: learned between its sweeps, with strengths from the data.

A link is a ridge regression of the vectors on the features of their rows, each row of weight r, its weight decay:

    sum_r r |y_r - m - F_r beta|^2 + sum_f l_g(f) |beta_f|^2

The features of a group g (a column of the table) share a strength l. It is an estimate of expectation and
maximization: l_g = s^2 / t_g^2, with s^2 the mean of r |y_r - m - F_r beta|^2 for a factor, and t_g^2 the mean square
of the group's beta with what is uncertain of it, s^2 / (sum_r r F_rf^2 + l_g). Both go on from sweep to sweep, as the
vectors do; the link is moved feature by feature (kernels/links/).

Source: Dempster, Laird & Rubin (1977), Maximum Likelihood from Incomplete Data via the EM Algorithm, for l; Fang & Si
(2011), Matrix Co-factorization for Recommendation with Rich Side Information and Implicit Feedback, for links of iALS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from palate.data.features import Features
from palate.data.ratings import Ratings
from palate.data.rows import CompressedRows, rows_where, transpose_rows
from palate.distributed.exchange import Exchange
from palate.kernels import draw_link, multiply_rows
from palate.models.factors import Floats
from palate.models.implicit import ImplicitFactors, ImplicitProblem, Sweep, without_bias
from palate.models.implicit_links import LinkedFactors, RowLink, solve_around
from palate.models.side_information import SideInfo
from palate.recipes.base import Trained

if TYPE_CHECKING:
    import polars as pl

N_PASSES = 3  # over the features, between two sweeps
FIRST_STRENGTH = 2.0  # of a link before it has been estimated, in mean weights of a row


@dataclass(frozen=True)
class Attributes:
    """The attributes of one side: how a table becomes features, and the matrix F of all rows."""

    info: SideInfo
    features: CompressedRows

    @classmethod
    def of(cls, table: pl.DataFrame | None) -> Attributes | None:
        """The attributes of a table; None without a table, or if it has no feature."""
        learned = None if table is None else Features.learned(table)
        if table is None or learned is None or learned.n_features == 0:
            return None
        info = SideInfo(0, learned).learned_from(table)
        assert info.encoded is not None
        return cls(info, info.matrix(CompressedRows.empty(table.height), info.encoded[1]))


@dataclass(frozen=True)
class Tables:
    """The attributes of both sides; None for a side that has none."""

    users: Attributes | None
    items: Attributes | None

    @classmethod
    def of(cls, ratings: Ratings) -> Tables | None:
        """The attributes of both tables of ratings; None if there are none."""
        tables = cls(Attributes.of(ratings.user_table), Attributes.of(ratings.item_table))
        return tables if tables.users or tables.items else None


class LinkFit:
    """The link of one side as it is learned.

    weights: r of all rows, (n_rows,), with 0 for rows that have no choices and so no part in it.
    """

    STATE: ClassVar = ("mean", "beta", "strengths")

    def __init__(self, attributes: Attributes, weights: Floats, k: int, n_threads: int) -> None:
        self.attributes, self.n_threads = attributes, n_threads
        self.groups = attributes.info.groups
        self.rated = weights > 0
        self.weights = weights.astype(np.float64)
        self.roots = np.sqrt(weights)
        features = rows_where(attributes.features, self.rated)
        scaled = features.values * np.repeat(self.roots, features.counts)
        self._by_feature = transpose_rows(replace(features, values=scaled.astype(np.float32)), len(self.groups))
        self._squares = np.zeros(len(self.groups))
        np.add.at(self._squares, features.indices, np.square(scaled, dtype=np.float64))
        self.strengths = np.full(len(self.groups), FIRST_STRENGTH * float(weights[self.rated].mean()))
        self.mean = np.zeros(k, np.float32)
        self.beta = np.zeros((len(self.groups), k), np.float32)

    @property
    def means(self) -> Floats:
        """The prior means of all rows, (n_rows, k)."""
        return RowLink(self.mean, self.beta).means(self.attributes.features)

    def learn(self, vectors: Floats) -> None:
        """Move the link towards its minimum for these vectors, (n_rows, k), then estimate its strengths anew."""
        k = vectors.shape[1]
        no_noise = np.zeros((k, k), np.float32)
        for _ in range(N_PASSES):
            residuals = vectors - self._shift()
            self.mean = (self.weights @ residuals / self.weights.sum()).astype(np.float32)
            scaled = np.ascontiguousarray(self.roots[:, None] * (residuals - self.mean), np.float32)
            draw_link(
                self._by_feature.indptr,
                self._by_feature.indices,
                self._by_feature.values,
                self.beta,
                scaled,
                ridge=self.strengths.astype(np.float32),
                factor=no_noise,
                n_threads=self.n_threads,
            )
        self._estimate(scaled)

    def _shift(self) -> Floats:
        features = self.attributes.features
        return multiply_rows(features.indptr, features.indices, features.values, self.beta).astype(np.float32)

    def _estimate(self, scaled: Floats) -> None:
        """Estimate the strengths; scaled: the residuals times the roots of the weights, (n_rows, k)."""
        k = scaled.shape[1]
        squares = np.square(scaled, dtype=np.float64).sum() / (np.count_nonzero(self.rated) * k)
        spread = np.square(self.beta, dtype=np.float64).sum(axis=1) / k + squares / (self._squares + self.strengths)
        sums = np.bincount(self.groups, spread)
        if squares > 0:
            self.strengths = (squares * np.bincount(self.groups) / sums)[self.groups]


class LinkedSweeps:
    """The sweeps of a fit with links: users given items, the links of both, items given users."""

    STATE: ClassVar = ("vectors", "user_link", "item_link")

    def __init__(
        self,
        problem: ImplicitProblem,
        rows: tuple[CompressedRows, CompressedRows],
        tables: Tables,
        start: Sweep,
        n_threads: int = 0,
        on: Exchange | None = None,
    ) -> None:
        self.problem, self.n_threads, self.on = problem, n_threads, on
        self.by_user, self.by_item = rows
        ridges = self._ridge(self.by_user, self.by_item.n_rows), self._ridge(self.by_item, self.by_user.n_rows)
        k = start.items.shape[1]
        self.ridges = ridges
        self.user_link, self.item_link = (
            None if side is None else LinkFit(side, np.where(part.counts > 0, ridge, np.float32(0)), k, n_threads)
            for side, part, ridge in zip((tables.users, tables.items), rows, ridges, strict=True)
        )
        items = np.where(self.by_item.counts[:, None] > 0, start.items, np.float32(0))
        self.at = Sweep(start.users, items)
        self.done = 0

    @property
    def vectors(self) -> tuple[Any, ...]:
        """The vectors as plain values: of users and items, and the number of sweeps that led to them."""
        return self.at.users, self.at.items, self.done

    @vectors.setter
    def vectors(self, values: tuple[Any, ...]) -> None:
        users, items, self.done = values
        self.at = Sweep(users, items, is_settled=True)

    def _ridge(self, rows: CompressedRows, n_others: int) -> Floats:
        return self.problem.ridge(rows.counts, n_others)

    def __iter__(self) -> Iterator[Sweep]:
        for number in count(self.done + 1):
            if number > 1:
                items = self._solve(self.by_item, self.at.users, self.item_link, self.ridges[1])
                if self.item_link is not None:
                    self.item_link.learn(items)
                self.at = Sweep(self.at.users, items)
            users = self._solve(self.by_user, self.at.items, self.user_link, self.ridges[0])
            if self.user_link is not None:
                self.user_link.learn(users)
            self.at, self.done = Sweep(users, self.at.items, is_settled=True), number
            yield self.at

    def _solve(self, rows: CompressedRows, others: Floats, link: LinkFit | None, ridge: Floats) -> Floats:
        """The optimal vectors of one side, (n, k); zeros for rows without choices: the other side must not see them."""
        k = others.shape[1]
        means = np.zeros(k, np.float32) if link is None else link.means
        vectors = solve_around(rows, others, means, ridge, self.problem.background(others), self.n_threads, self.on)
        return np.where(rows.counts[:, None] == 0, np.float32(0), vectors)

    def trained(self, plain: ImplicitFactors) -> Trained:
        """What the fit has learned; plain: the factors without links.

        Users are solved once more, given the links as they are now. Rows without choices get what their features say.
        """
        users = self._solve(self.by_user, self.at.items, self.user_link, self.ridges[0])
        user_vectors = _filled(without_bias(users), self.user_link, plain.user_prior.mean, self.by_user)
        item_vectors = _filled(without_bias(self.at.items), self.item_link, plain.item_prior.mean, self.by_item)
        factors = LinkedFactors.of(
            replace(plain, users=user_vectors, items=item_vectors),
            unobserved_weight=plain.unobserved_weight,
            confidence=plain.confidence,
            user_link=_row_link(self.user_link),
            item_link=_row_link(self.item_link),
        )
        return Trained(factors, user_info=_info(self.user_link), item_info=_info(self.item_link))


def _info(link: LinkFit | None) -> SideInfo | None:
    return None if link is None else link.attributes.info


def _row_link(link: LinkFit | None) -> RowLink | None:
    """A link as a model keeps it, with the column of the bias."""
    return None if link is None else RowLink(np.pad(link.mean, (0, 1)), without_bias(link.beta))


def _filled(vectors: Floats, link: LinkFit | None, mean: Floats, rows: CompressedRows) -> Floats:
    """Vectors (n, k + 1) in which rows without choices have their prior mean, or `mean` if they have no features."""
    is_cold = rows.counts == 0
    vectors[is_cold] = mean
    if link is not None:
        is_described = is_cold & (link.attributes.features.counts > 0)
        vectors[is_described] = without_bias(link.means)[is_described]
    return vectors
