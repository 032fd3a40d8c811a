"""Model: everything a fit leaves behind, in codes, with the vocabularies beside it. What a model file holds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.factors import Codes, Factors, Floats
from palate.kernels import compress_rows
from palate.posterior import Posterior, Projection
from palate.ratings import CompressedRows
from palate.sideinfo import SideInfo
from palate.vocabulary import Vocabulary

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class People:
    """Some rows to answer for, known users or new ones (or items, where a model is transposed).

    codes: (m,), -1 for new ones; vectors: (m, k); history: their ratings; draw: gives one vector for each under each
    draw of the posterior, (S, m, k_s), when somebody asks for doubt; features: the matrix F of new ones.
    """

    codes: Codes
    vectors: Floats
    history: CompressedRows
    draw: Callable[[], Floats] | None
    features: CompressedRows | None = None

    def __len__(self) -> int:
        return len(self.vectors)

    @cached_property
    def draws(self) -> Floats | None:
        """(S, m, k_s), or None without a posterior."""
        return None if self.draw is None else self.draw()


@dataclass(frozen=True)
class Model:
    """Factors, their posterior where there is one, vocabularies, tables, the ratings learned from, how it came to be.

    noise: standard deviation of a rating around its expectation (nan: not claimed). limits: the rating range.
    """

    factors: Factors
    posterior: Posterior | None
    noise: float
    user_vocabulary: Vocabulary
    item_vocabulary: Vocabulary
    history: CompressedRows
    limits: tuple[float, float]
    user_table: pl.DataFrame | None = None
    item_table: pl.DataFrame | None = None
    user_info: SideInfo | None = None
    item_info: SideInfo | None = None
    predicts_ratings: bool = True
    recipe: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def score_limits(self) -> tuple[float, float]:
        """What predictions are clipped to: the rating range, or nothing where scores are no ratings."""
        return self.limits if self.predicts_ratings else (-np.inf, np.inf)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the ratings learned from, whatever order they came in: labels, codes, values and weights."""
        digest = hashlib.sha256()
        for vocabulary in (self.user_vocabulary, self.item_vocabulary):
            digest.update(repr(vocabulary.labels.tolist()).encode())
        by_item = transpose_rows(self.history, len(self.item_vocabulary))
        rows = transpose_rows(by_item, len(self.user_vocabulary))  # there and back: each user's items in their order
        for array in (rows.indptr, rows.indices, rows.values, rows.weights):
            digest.update(b"" if array is None else np.ascontiguousarray(array).data)
        return digest.hexdigest()

    @cached_property
    def _projection(self) -> Projection:
        assert self.posterior is not None
        return self.posterior.projection(self.factors)

    @cached_property
    def _item_counts(self) -> NDArray[np.int64]:
        return np.bincount(self.history.indices, minlength=len(self.item_vocabulary))

    def rated_users(self, codes: Codes) -> Codes:
        """The codes, -1 for users without a training rating."""
        return np.where(np.append(self.history.counts, 0)[codes] > 0, codes, -1).astype(np.int32)

    def rated_items(self, codes: Codes) -> Codes:
        """The codes, -1 for items without a training rating."""
        return np.where(np.append(self._item_counts, 0)[codes] > 0, codes, -1).astype(np.int32)

    def described_users(self, codes: Codes) -> Codes:
        """The codes, -1 where a model knows no more of a user than of a stranger: no rating, and no link to attributes.

        With a link, the draws of a user say what is expected of him and how doubtful that is.
        """
        return codes if _has_attributes(self.user_info, self.posterior) else self.rated_users(codes)

    def described_items(self, codes: Codes) -> Codes:
        """The same for items."""
        return codes if _has_attributes(self.item_info, self.posterior) else self.rated_items(codes)

    def known(self, codes: Codes) -> People:
        """Users the model was trained on, by code."""
        posterior = self.posterior
        draw = None if posterior is None else lambda: posterior.users.vectors[:, codes]
        return People(codes, self.factors.users[codes], take_rows(self.history, codes), draw)

    def newcomers(self, history: CompressedRows, known: Sequence[Mapping[str, Any]] | None = None) -> People:
        """Users the model has never seen, from their ratings and what is known of them; nobody else's vector changes.

        known: for each a mapping {field: value}, where the model learned from a table of users.
        """
        codes = np.full(history.n_rows, -1, np.int32)
        posterior = self.posterior
        if posterior is None:
            return People(codes, self.factors.represent(history), history, None)
        features = None if self.user_info is None else self.user_info.matrix(history, self.user_info.encode(known))
        likely = self._projection(posterior.solve(history, features, draw=False))
        return People(codes, likely, history, lambda: posterior.solve(history, features, draw=True), features)

    def features_of(self, people: People) -> CompressedRows | None:
        """The matrix F of what is known of people besides their ratings; None where nothing is."""
        if self.user_info is None or people.features is not None:
            return people.features
        table = None if self.user_table is None else self.user_table[people.codes]
        return self.user_info.matrix(people.history, self.user_info.encode(table))

    def transposed(self) -> Model:
        """The same model with users and items exchanged: what it says of items it then says of users."""
        return replace(
            self,
            factors=self.factors.transposed(),
            posterior=None if self.posterior is None else self.posterior.transposed(),
            user_vocabulary=self.item_vocabulary,
            item_vocabulary=self.user_vocabulary,
            history=transpose_rows(self.history, len(self.item_vocabulary)),
            user_table=self.item_table,
            item_table=self.user_table,
            user_info=self.item_info,
            item_info=self.user_info,
        )

    def compact(self) -> Model:
        """The same model without the posterior's draws: the same predictions, and one width of interval for all.

        The noise then takes in what the draws disagreed about on average, over random pairs of a user and an item that
        are as active as those of the ratings.
        """
        if self.posterior is None:
            return self
        rng = np.random.Generator(np.random.Philox(0))
        size = min(4096, len(self.history.indices))
        users, items = (rng.choice(codes, size) for codes in (row_codes(self.history), self.history.indices))
        _, variance = self.posterior.predict(self.posterior.users.vectors, users, items)
        noise = float(np.sqrt(self.noise**2 + variance.mean()))
        return replace(self, posterior=None, noise=noise, user_info=None, item_info=None)  # the links were the draws'


def _has_attributes(info: SideInfo | None, posterior: Posterior | None) -> bool:
    return posterior is not None and info is not None and info.attributes is not None


def take_rows(rows: CompressedRows, codes: Codes) -> CompressedRows:
    """The given rows, in the given order."""
    counts = rows.counts[codes]
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    at = np.repeat(rows.indptr[:-1][codes] - indptr[:-1], counts) + np.arange(indptr[-1])
    return CompressedRows(indptr, rows.indices[at], rows.values[at], None if rows.weights is None else rows.weights[at])


def row_codes(rows: CompressedRows) -> Codes:
    """The row of every rating, (n_ratings,)."""
    return np.repeat(np.arange(rows.n_rows, dtype=np.int32), rows.counts)


def transpose_rows(rows: CompressedRows, n_columns: int) -> CompressedRows:
    """The same ratings grouped by the other side."""
    return CompressedRows(
        *compress_rows(
            np.ascontiguousarray(rows.indices),
            row_codes(rows),
            np.ascontiguousarray(rows.values),
            rows.weights,
            n_columns,
        )
    )
