"""Models in which somebody is not a vector but a history: what he chose or rated speaks for other items, one by one.

With signals x of a history (1 for a choice, or more where it was made often; the rating less what user and item usually
give, where there are ratings) and weights B of the items it names for the items asked about:

    score_ui = sum_j x_uj B_ji                                  of choices
    score_ui = mean + b_u + c_i + sum_j x_uj B_ji / (sum_j B_ji + damping)     of ratings, over the rated items j
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, row_codes, take_rows, transpose_rows
from palate.errors import OptionError
from palate.kernels import nearest_rows
from palate.models.factors import Codes, Doubles, Factors, Floats, Prior
from palate.models.implicit import CONFIDENCES, Confidence, choice_signals

BLOCK_SCORES = 4_000_000  # scores of pairs made at once


@dataclass(frozen=True)
class HistoryFactors(Factors):
    """Factors that are biases only, beside the histories (n_users rows) of the users served, which say the rest.

    confidence: what counts make of choices. damping: of ratings, by how much their weighted mean is held to the usual;
    None where there are choices. shares_of_users: (n_items,) who chose each item, which is all that there is to say to
    somebody who chose nothing.
    """

    history: CompressedRows = field(default_factory=lambda: CompressedRows.empty(0))
    confidence: Confidence = "equal"
    damping: float | None = None
    shares_of_users: Floats = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        if self.confidence not in CONFIDENCES or not (self.damping is None or 0 < self.damping < np.inf):
            raise ValueError(f"confidence {self.confidence!r} and damping {self.damping!r}")

    @property
    def biases(self) -> Factors:
        """The biases alone."""
        return Factors.of(self)

    @abstractmethod
    def history_scores(self, histories: CompressedRows, signals: Floats | None) -> Floats:
        """What histories add to the score of every item, (n_rows, n_items)."""

    @abstractmethod
    def contributions(self, history: CompressedRows, signals: Floats | None, item_code: int) -> Doubles:
        """What each entry of one history adds to the score of an item, (n,)."""

    @abstractmethod
    def resized(self, users: Floats, items: Floats, kept: NDArray[np.bool_] | None = None) -> Self:
        """With other rows of biases: more items at the end, or (kept: a mask) only some; a new item says nothing."""

    def with_history(self, history: CompressedRows) -> Self:
        """The same model of people who have this history now, each in the row of his code."""
        return replace(self, history=history, shares_of_users=shares_of_users(history, len(self.items)))

    def has_history(self, history: CompressedRows) -> bool:
        """Whether this is what with_history() gives."""
        return self.history is history and len(self.shares_of_users) == len(self.items)

    def cold_start_scores(self, item_codes: Codes | slice) -> Floats:
        """Scores of items for somebody without a history, besides biases, (n,)."""
        has_shares = self.damping is None and len(self.shares_of_users) == len(self.items)
        shares = self.shares_of_users if has_shares else np.zeros(len(self.items), np.float32)
        return shares[item_codes]

    def cold_start_part(self, history: CompressedRows, item_code: int) -> float:
        """What the score of an item has of no entry of one history: that of nobody, where there is none."""
        return 0.0 if len(history.indices) else float(self.cold_start_scores(slice(item_code, item_code + 1))[0])

    def with_users(self, vectors: Floats, history: CompressedRows) -> Self:
        """The same model with other people for its users, who have these biases (m, 1) and histories."""
        return replace(self, users=vectors, history=history)

    def signals(self, histories: CompressedRows, vectors: Floats) -> Floats | None:
        """What each entry of histories says, (n,): None for 1 everywhere. vectors: the biases of who has them."""
        if self.damping is None:
            return choice_signals(histories, self.confidence)
        biases = np.repeat(vectors[:, -1], histories.counts) + self.items[histories.indices, -1]
        return np.asarray(histories.values - (self.mean + self.scale * biases), np.float32)

    def signalled(self, histories: CompressedRows, codes: Codes) -> CompressedRows:
        """Histories with what they say in them; new people (-1) with a bias of their own."""
        biases = self.users[codes].copy()
        if (codes < 0).any():
            biases[codes < 0] = self.fold_in(histories)[codes < 0]
        return with_signals(histories, self.signals(histories, biases))

    def user_scores(self) -> Floats:
        """Scores of every item for every user served: (n_users, n_items)."""
        scores = super().raw_scores(self.users)
        scores += self.history_scores(self.history, self.signals(self.history, self.users))
        scores[self.history.counts == 0] += self.cold_start_scores(slice(None))
        return scores

    def scores(self, vectors: Floats) -> Floats:
        """A vector does not say what somebody chose: user_scores() does."""
        raise NotImplementedError("scores follow from histories: with_users(vectors, history).user_scores()")

    def pair_scores(self, vectors: Floats, user_codes: Codes, item_codes: Codes) -> Floats:
        """Scores of pairs, (n,), of the users served; -1 is unknown, and nobody's history speaks of it."""
        scores = super().pair_scores(vectors, user_codes, item_codes)
        known = np.flatnonzero((user_codes >= 0) & (item_codes >= 0))
        users, rows = np.unique(user_codes[known], return_inverse=True)
        step = max(1, BLOCK_SCORES // max(len(self.items), 1))
        for start in range(0, len(users), step):
            block = users[start : start + step]
            histories = take_rows(self.history, block)
            history_scores = self.history_scores(histories, self.signals(histories, vectors[block]))
            here = np.flatnonzero((rows >= start) & (rows < start + step))
            scores[known[here]] += history_scores[rows[here] - start, item_codes[known[here]]]
        silent = (np.append(self.history.counts, 0)[user_codes] == 0) & (item_codes >= 0)
        scores[silent] += self.cold_start_scores(item_codes[silent])
        return scores

    def linearised(self, histories: CompressedRows, vectors: Floats) -> CompressedRows:
        """There is no problem that a vector solves: shares() explains."""
        raise NotImplementedError("shares() says what a history adds to a score")

    def most_similar(self, histories: CompressedRows, codes: Codes, n: int) -> tuple[Codes, Floats, str]:
        """The n users most like people (m) with these histories, how much, (m, n) each, and the name of that measure.

        Of what their histories say; those with nothing in common are left out. codes: who these people are (-1: new
        ones), and so nobody to be compared with.
        """
        return *cosines(self.signalled(histories, codes), codes, self._everybody, len(self.items), n), "cosine"

    @property
    def _everybody(self) -> CompressedRows:
        return with_signals(self.history, self.signals(self.history, self.users))

    def most_similar_items(self, codes: Codes, n: int) -> tuple[Codes, Floats, str]:
        """The same of items and items, by who chose them."""
        by_item = transpose_rows(self._everybody, len(self.items))
        return *cosines(take_rows(by_item, codes), codes, by_item, self.history.n_rows, n), "cosine"

    def transposed(self) -> TransposedHistory:
        """The same model with users and items exchanged, as far as it can be asked then."""
        return TransposedHistory(self.mean, self.items, self.users, self.item_prior, self.user_prior, model=self)


def shares_of_users(history: CompressedRows, n_items: int) -> Floats:
    """The share of users who have each item, (n_items,)."""
    counts = np.bincount(history.indices, minlength=n_items)
    return np.asarray(counts / max(history.n_rows, 1), np.float32)


@dataclass(frozen=True)
class TransposedHistory(Factors):
    """A model of histories with users and items exchanged: it can be asked for similar ones, and of pairs."""

    model: HistoryFactors | None = None

    @property
    def _model(self) -> HistoryFactors:
        assert self.model is not None
        return self.model

    def pair_scores(self, vectors: Floats, user_codes: Codes, item_codes: Codes) -> Floats:  # noqa: ARG002
        """Scores of pairs, (n,), of known items and users; -1 is unknown."""
        return self._model.pair_scores(self._model.users, item_codes, user_codes)

    def fold_in(self, histories: CompressedRows) -> Floats:  # noqa: ARG002
        """OptionError: who chose a new item says nothing of what it stands for among the items."""
        raise OptionError(
            "this model has weights between items, and a new item would need some to and from all others: "
            'fold_in(side="item") cannot make them; fit again with its ratings, or use ImplicitALS or Bayes.'
        )

    def most_similar(self, histories: CompressedRows, codes: Codes, n: int) -> tuple[Codes, Floats, str]:  # noqa: ARG002
        """The n items most like some, (m, n), and the name of the measure."""
        return self._model.most_similar_items(codes, n)

    def transposed(self) -> HistoryFactors:
        """The model as it was."""
        return self._model


def no_biases(n_users: int, n_items: int, mean: float = 0.0) -> Factors:
    """Factors without factors whose biases are zero, and stay zero whatever a newcomer chooses or rates."""
    certain = Prior(np.ones((1, 1), np.float32), np.zeros(1, np.float32), alpha=0.0)
    return Factors(mean, np.zeros((n_users, 1), np.float32), np.zeros((n_items, 1), np.float32), certain, certain)


def densely(rows: CompressedRows, n_columns: int) -> Floats:
    """A sparse matrix as a dense one, (n_rows, n_columns)."""
    dense = np.zeros((rows.n_rows, n_columns), np.float32)
    dense[row_codes(rows), rows.indices] = rows.values
    return dense


def cosines(rows: CompressedRows, codes: Codes, others: CompressedRows, n_columns: int, n: int) -> tuple[Codes, Floats]:
    """The n others with the largest cosine, above 0, with each row: codes (-1: no more) and cosines, (m, n) each.

    codes: which of the others the rows are, -1 for none of them.
    """
    columns = transpose_rows(replace(others, values=unit_values(others), weights=None), n_columns)
    found, cosine = nearest_rows(
        rows.indptr,
        rows.indices,
        unit_values(rows),
        columns.indptr,
        columns.indices,
        columns.values,
        others.n_rows,
        k=min(n + 1, others.n_rows),
        sizes=np.full(others.n_rows, -1, np.int32),  # nobody is left out for having the same history
    )
    return without_self(found, cosine, codes, n)


def with_signals(histories: CompressedRows, signals: Floats | None) -> CompressedRows:
    """Histories with what they say as their values."""
    values = np.ones(len(histories.indices), np.float32) if signals is None else signals
    return CompressedRows(histories.indptr, histories.indices, values, None)


def unit_values(rows: CompressedRows) -> Floats:
    """The values of rows stretched to length 1, (n,)."""
    values = rows.values.astype(np.float64)
    squares = np.bincount(row_codes(rows), values**2, minlength=rows.n_rows)
    return np.asarray(np.repeat(1 / np.sqrt(np.where(squares > 0, squares, 1)), rows.counts) * values, np.float32)


def without_self(found: Codes, measure: Floats, codes: Codes, n: int) -> tuple[Codes, Floats]:
    """Each row's first n that are not the one of its code; both (m, n + 1) or less."""
    keep = found != codes[:, None]
    keep &= np.cumsum(keep, axis=1) <= n
    order = np.argsort(~keep, axis=1, kind="stable")[:, :n]
    codes_left = np.take_along_axis(np.where(keep, found, -1), order, axis=1)
    return codes_left.astype(np.int32), np.take_along_axis(measure, order, axis=1)
