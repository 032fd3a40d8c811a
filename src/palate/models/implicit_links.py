"""Linked factors: factors of implicit feedback that are regularised towards what the attributes of a row say.

With F_r the features of a user or item, n_r its number of choices, and the link (m, beta) of its side, a row is the
minimum of the loss of palate.models.implicit with

    weight_decay (n_r + a0 n_others)^e |x_r - m - F_r beta|^2    in place of    weight_decay (...)^e |x_r|^2

so a row without choices is m + F_r beta. Rows without choices take no part in the Gram matrix a0 Y'Y: that nobody has
chosen a new item yet says nothing against it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows
from palate.distributed.exchange import Exchange
from palate.distributed.half_sweeps import solve_rows
from palate.kernels import multiply_rows
from palate.models.factors import Doubles, Factors, Floats
from palate.models.implicit import ImplicitFactors

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class RowLink:
    """The link of one side: what a row is expected to be by its features.

    Attributes:
        mean (float32 array of shape (k,)): m, expected of a row whose features are all 0.
        beta (float32 array of shape (n_features, k)): What each feature adds.
    """

    mean: Floats
    beta: Floats

    def means(self, features: CompressedRows) -> Floats:
        """The prior means m + F beta of rows with these features, (n_rows, k)."""
        shift = multiply_rows(features.indptr, features.indices, features.values, self.beta)
        means: Floats = (self.mean + shift).astype(np.float32)
        return means

    def means_of(self, features: CompressedRows | None, n_rows: int) -> Floats:
        """The prior means of n_rows rows; without features, m for each."""
        return np.tile(self.mean, (n_rows, 1)) if features is None else self.means(features)


@dataclass(frozen=True, repr=False)
class LinkedFactors(ImplicitFactors):
    """Factors of implicit feedback with a link of users, of items, or of both.

    Attributes:
        user_link (RowLink, default None): The link of the users; None without a table of users.
        item_link (RowLink, default None): The link of the items; None without a table of items.
        learned (CompressedRows, default None): The history that the masks below are of.
        user_has_choices (array of shape (n_users,), default None): The users with choices; None: all.
        item_has_choices (array of shape (n_items,), default None): The items with choices; None: all.
    """

    user_link: RowLink | None = None
    item_link: RowLink | None = None
    learned: CompressedRows | None = None
    user_has_choices: Mask | None = None
    item_has_choices: Mask | None = None

    def with_history(self, history: CompressedRows) -> LinkedFactors:
        """Return the factors that know which rows have choices in this history."""
        has_choices = np.bincount(history.indices, minlength=len(self.items)) > 0
        return replace(self, learned=history, user_has_choices=history.counts > 0, item_has_choices=has_choices)

    @cached_property
    def background(self) -> Floats:
        """The Gram matrix a0 Y'Y of the items with choices, (k, k), without the bias column."""
        items = self.items if self.item_has_choices is None else self.items[self.item_has_choices]
        return self.problem.background(np.ascontiguousarray(items[:, :-1]))

    def fold_in(self, histories: CompressedRows, features: CompressedRows | None = None) -> Floats:
        """Fold in new users from their choices and features, (n, k + 1); features: F of the same rows, None: all 0.

        A user without choices gets the prior mean of the features, and one without features too the mean user vector.
        """
        if self.user_link is None:
            return super().fold_in(histories)
        means = self.user_link.means_of(features, histories.n_rows)
        vectors = self._solved(histories, means)
        is_cold = histories.counts == 0
        vectors[is_cold] = means[is_cold]
        is_blank = is_cold if features is None else is_cold & (features.counts == 0)
        vectors[is_blank] = self.user_prior.mean
        return vectors

    def _solved(self, histories: CompressedRows, means: Floats) -> Floats:
        """The optimal vectors around prior means, (n, k + 1) both."""
        others = np.ascontiguousarray(self.items[:, :-1])
        ridge = self.problem.ridge(histories.counts, len(self.items))
        prior_means = np.ascontiguousarray(means[:, :-1])
        vectors = solve_around(self.weighted(histories), others, prior_means, ridge, self.background)
        return np.pad(vectors, ((0, 0), (0, 1)))

    def known_parts(
        self,
        history: CompressedRows,
        features: CompressedRows,
        groups: NDArray[np.int64],
        partner: Doubles,
        solved: Doubles,
    ) -> Doubles:
        """How far each group of features of one user moves the score of an item z, (n_groups,).

        partner: z, (k + 1,). solved: A^-1 z, by which the score moves with the right-hand side of the user's problem
        A x = h. A user without choices is the prior mean itself.
        """
        assert self.user_link is not None
        n_choices = len(history.indices)
        pull = solved * float(self.problem.ridge(n_choices, len(self.items))) if n_choices else partner
        moves = features.values * (self.user_link.beta[features.indices].astype(np.float64) @ pull)
        return np.asarray(np.bincount(groups[features.indices], moves, int(groups.max(initial=-1)) + 1), np.float64)

    def transposed(self) -> Factors:
        """Return the same factors with users and items exchanged."""
        return self._exchanged(
            user_link=self.item_link,
            item_link=self.user_link,
            user_has_choices=self.item_has_choices,
            item_has_choices=self.user_has_choices,
            learned=None,
        )


def solve_around(
    rows: CompressedRows,
    others: Floats,
    means: Floats,
    ridge: Floats,
    background: Floats,
    n_threads: int = 0,
    on: Exchange | None = None,
) -> Floats:
    """The optimal vectors, (n_rows, k), around prior means (n_rows, k) or (k,), given the other side, (n, k)."""
    k = others.shape[1]
    vectors, _ = solve_rows(
        rows,
        others,
        on=on,
        precision=np.zeros((k, k), np.float32),
        mean=means,
        ridge=ridge,
        background=background,
        n_threads=n_threads,
    )
    return vectors


def folded(factors: Factors, rows: CompressedRows, features: CompressedRows | None) -> Floats:
    """Vectors of new users, (n, k), from their ratings and, where factors have a link, from features."""
    return factors.fold_in(rows, features) if isinstance(factors, LinkedFactors) else factors.fold_in(rows)


def pack(factors: LinkedFactors) -> dict[str, NDArray[Any]]:
    """Return the tensors of a model file."""
    sides = {"user": factors.user_link, "item": factors.item_link}
    links = {side: link for side, link in sides.items() if link is not None}
    return {f"{side}.link": link.beta for side, link in links.items()} | {
        f"{side}.link.mean": link.mean for side, link in links.items()
    }


def unpack(factors: ImplicitFactors, tensors: dict[str, NDArray[Any]]) -> ImplicitFactors:
    """Return factors with the links of a model file; without any, as they are."""
    links = {
        f"{side}_link": RowLink(tensors[f"{side}.link.mean"], tensors[f"{side}.link"])
        for side in ("user", "item")
        if f"{side}.link" in tensors
    }
    if not links:
        return factors
    return LinkedFactors.of(
        factors,
        unobserved_weight=factors.unobserved_weight,
        confidence=factors.confidence,
        fading=factors.fading,
        **links,
    )
