"""History-based models: a user is a history, not a vector. The base of item-item weights and of user neighborhoods.

With signals x of the items j in a user's history, and weights B_ji from them to item i:

    score_ui = sum_j x_uj B_ji                                                 for choices
    score_ui = mean + b_u + c_i + sum_j w_uj x_uj B_ji / (sum_j w_uj B_ji + damping)     for ratings of weight w

The signal of a choice is 1, or more if it was made often; in a model with a fading it falls with later choices and with
age. The signal of a rating is the rating less mean and biases.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, row_codes, take_rows, transpose_rows
from palate.errors import OptionError
from palate.kernels import nearest_rows
from palate.models.factors import NOT_FADED, Codes, Doubles, Factors, Floats, Prior
from palate.models.fading import NO_FADING, Fading
from palate.models.implicit import CONFIDENCES, Confidence, choice_signals

BLOCK_SCORES = 4_000_000  # scores computed at a time


@dataclass(frozen=True, repr=False)
class HistoryFactors(Factors):
    """Biases (Factors without latent factors) and the histories of the users, from which the rest of a score follows.

    Attributes:
        history (CompressedRows of n_users rows): The histories of the users.
        confidence ("equal" or "relative", default "equal"): How counts of choices become signals.
        damping (float, default None): For ratings: how strongly the weighted mean is shrunk towards 0. None: choices.
        fading (Fading, default none): For choices: how their weight falls with later ones and with age.
        shares_of_users (float32 array of shape (n_items,)): The share of users who chose each item, its popularity: the
            score for a user without a history.
    """

    no_new_items: ClassVar[str] = (  # why fold_in(side="item") is refused
        'this model has item-item weights, and fold_in(side="item") cannot compute those of a new item.'
    )

    history: CompressedRows = field(default_factory=lambda: CompressedRows.empty(0))
    confidence: Confidence = "equal"
    damping: float | None = None
    fading: Fading = NO_FADING
    shares_of_users: Floats = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        if self.confidence not in CONFIDENCES or not (self.damping is None or 0 < self.damping < np.inf):
            raise ValueError(f"confidence {self.confidence!r} or damping {self.damping!r} is not valid")

    @property
    def biases(self) -> Factors:
        """The biases alone, as Factors."""
        return Factors.of(self)

    @abstractmethod
    def history_scores(self, histories: CompressedRows, signals: Floats | None) -> Floats:
        """The part of the score of every item that histories contribute, (n_rows, n_items)."""

    @abstractmethod
    def contributions(self, history: CompressedRows, signals: Floats | None, item_code: int) -> Doubles:
        """The contribution of each entry of one history to the score of an item, (n,)."""

    @abstractmethod
    def resized(self, users: Floats, items: Floats, kept: NDArray[np.bool_] | None = None) -> Self:
        """Return the model with other biases: more items at the end (of weight 0), or those of the mask `kept`."""

    def with_history(self, history: CompressedRows) -> Self:
        """Return the model with another history of all users, a row for each code."""
        return replace(self, history=history, shares_of_users=shares_of_users(history, len(self.items)))

    def has_history(self, history: CompressedRows) -> bool:
        """True if with_history() has set this history."""
        return self.history is history and len(self.shares_of_users) == len(self.items)

    def cold_start_scores(self, item_codes: Codes | slice) -> Floats:
        """Scores of items for a user without a history, besides biases, (n,): popularity, or 0 for ratings."""
        has_shares = self.damping is None and len(self.shares_of_users) == len(self.items)
        shares = self.shares_of_users if has_shares else np.zeros(len(self.items), np.float32)
        return shares[item_codes]

    def cold_start_part(self, history: CompressedRows, item_code: int) -> float:
        """The part of an item's score that no entry of one history contributes: cold_start_scores() if it is empty."""
        return 0.0 if len(history.indices) else float(self.cold_start_scores(slice(item_code, item_code + 1))[0])

    def with_users(self, vectors: Floats, history: CompressedRows) -> Self:
        """Return the model with other users, who have these biases (m, 1) and histories."""
        return replace(self, users=vectors, history=history)

    def faded(self, fading: Fading) -> Self:
        """Return the model with this fading, for choices; raise OptionError for ratings."""
        if self.damping is not None:
            raise OptionError(NOT_FADED)
        return replace(self, fading=fading)

    @property
    def fades_by_age(self) -> bool:
        """True if choices count by their age."""
        return self.fading.half_life is not None

    def signals(self, histories: CompressedRows, vectors: Floats) -> Floats | None:
        """The signal x of each entry of histories, (n,); None for 1 everywhere. vectors: the users' biases, (m, 1)."""
        if self.damping is None:
            return choice_signals(histories, self.confidence, fading=self.fading)
        biases = np.repeat(vectors.ravel(), histories.counts) + self.items.ravel()[histories.indices]
        return np.asarray(histories.values - (self.mean + self.scale * biases), np.float32)

    def to_signals(self, histories: CompressedRows, codes: Codes) -> CompressedRows:
        """Return histories with signals as values. codes: of the users (m,); -1 is new, and its bias is folded in."""
        if self.damping is None:  # choices have signals of their own, whatever the biases
            return self.with_signals(histories, self.signals(histories, self.users))
        biases = self.users[codes].copy()
        if (codes < 0).any():
            biases[codes < 0] = self.fold_in(histories)[codes < 0]
        return self.with_signals(histories, self.signals(histories, biases))

    def with_signals(self, histories: CompressedRows, signals: Floats | None) -> CompressedRows:
        """Return histories with signals (n,) as values, None for 1 everywhere, and the weights of ratings.

        Counts of choices are in the signals already.
        """
        values = np.ones(len(histories.indices), np.float32) if signals is None else signals
        return CompressedRows(histories.indptr, histories.indices, values, self.weights_of(histories))

    def weights_of(self, histories: CompressedRows) -> Floats | None:
        """The weights of ratings, (n,); None if all are 1, and for choices."""
        return None if self.damping is None else histories.weights

    def user_scores(self) -> Floats:
        """Scores of every item for every user, (n_users, n_items)."""
        scores = self.history_scores(self.history, self.signals(self.history, self.users))
        if self.damping is not None:  # choices have no biases
            scores += super().raw_scores(self.users)
        scores[self.history.counts == 0] += self.cold_start_scores(slice(None))
        return scores

    def fold_in(self, histories: CompressedRows) -> Floats:
        """The biases of new users from their ratings, (n_rows, 1); 0 for choices."""
        return super().fold_in(histories) if self.damping is not None else np.zeros((histories.n_rows, 1), np.float32)

    def scores(self, vectors: Floats) -> Floats:
        """Not available: scores need histories, not vectors. Use user_scores()."""
        raise NotImplementedError("scores follow from histories: with_users(vectors, history).user_scores()")

    def pair_scores(self, vectors: Floats, user_codes: Codes, item_codes: Codes) -> Floats:
        """Scores of pairs, (n,), by the users' histories. The code -1 is unknown and has no history."""
        scores = super().pair_scores(vectors, user_codes, item_codes)
        trained = np.flatnonzero((user_codes >= 0) & (item_codes >= 0))
        users, rows = np.unique(user_codes[trained], return_inverse=True)
        step = max(1, BLOCK_SCORES // max(len(self.items), 1))
        for start in range(0, len(users), step):
            block = users[start : start + step]
            histories = take_rows(self.history, block)
            history_scores = self.history_scores(histories, self.signals(histories, vectors[block]))
            here = np.flatnonzero((rows >= start) & (rows < start + step))
            scores[trained[here]] += history_scores[rows[here] - start, item_codes[trained[here]]]
        is_cold = (np.append(self.history.counts, 0)[user_codes] == 0) & (item_codes >= 0)
        scores[is_cold] += self.cold_start_scores(item_codes[is_cold])
        return scores

    def linearised(self, histories: CompressedRows, vectors: Floats) -> CompressedRows:
        """Not available: no vector solves a least-squares problem here. contributions() explains a score."""
        raise NotImplementedError("contributions() explains a score")

    def most_similar(self, histories: CompressedRows, codes: Codes, n: int) -> tuple[Codes, Floats, str]:
        """The n users most similar to m users with these histories: codes, similarities (m, n), the measure's name.

        Histories are compared by the cosine of their signals. Fewer than n come back (code -1) where others have
        nothing in common. codes: of the m users, who are not compared with themselves; -1 for new ones.
        """
        return *cosines(self.to_signals(histories, codes), codes, self._all_signals, len(self.items), n), "cosine"

    @property
    def _all_signals(self) -> CompressedRows:
        return self.with_signals(self.history, self.signals(self.history, self.users))

    def most_similar_items(self, codes: Codes, n: int) -> tuple[Codes, Floats, str]:
        """The n items most similar to each of some items, by the users who chose them; as most_similar()."""
        by_item = transpose_rows(self._all_signals, len(self.items))
        return *cosines(take_rows(by_item, codes), codes, by_item, self.history.n_rows, n), "cosine"

    def transposed(self) -> TransposedHistory:
        """Return the model with users and items exchanged, with fewer methods."""
        return TransposedHistory(self.mean, self.items, self.users, self.item_prior, self.user_prior, model=self)


def shares_of_users(history: CompressedRows, n_items: int) -> Floats:
    """The share of users whose history contains each item, (n_items,)."""
    counts = np.bincount(history.indices, minlength=n_items)
    return np.asarray(counts / max(history.n_rows, 1), np.float32)


@dataclass(frozen=True, repr=False)
class TransposedHistory(Factors):
    """A history-based model with users and items exchanged. It scores pairs and finds similar items.

    Attributes:
        model (HistoryFactors): The model before the exchange.
    """

    model: HistoryFactors | None = None

    @property
    def _model(self) -> HistoryFactors:
        assert self.model is not None
        return self.model

    def pair_scores(self, vectors: Floats, user_codes: Codes, item_codes: Codes) -> Floats:  # noqa: ARG002
        """Scores of pairs, (n,): user_codes are items of the model, item_codes its users; -1 is unknown."""
        return self._model.pair_scores(self._model.users, item_codes, user_codes)

    def fold_in(self, histories: CompressedRows) -> Floats:  # noqa: ARG002
        """Raise OptionError: the users of a new item do not determine its weights."""
        raise OptionError(f"{self._model.no_new_items} Fit again with its ratings, or use ImplicitALS or Bayes.")

    def most_similar(self, histories: CompressedRows, codes: Codes, n: int) -> tuple[Codes, Floats, str]:  # noqa: ARG002
        """The n items most similar to some items: codes, similarities (m, n), the measure's name."""
        return self._model.most_similar_items(codes, n)

    def transposed(self) -> HistoryFactors:
        """Return the model before the exchange."""
        return self._model


def no_biases(n_users: int, n_items: int, mean: float = 0.0) -> Factors:
    """Return factors without latent factors whose biases are zero, also for a fold-in user."""
    zero = Prior(np.ones((1, 1), np.float32), np.zeros(1, np.float32), alpha=0.0)
    return Factors(mean, np.zeros((n_users, 1), np.float32), np.zeros((n_items, 1), np.float32), zero, zero)


def to_dense(rows: CompressedRows, n_columns: int) -> Floats:
    """Return a sparse matrix as a dense array, (n_rows, n_columns)."""
    dense = np.zeros((rows.n_rows, n_columns), np.float32)
    dense[row_codes(rows), rows.indices] = rows.values
    return dense


def cosines(rows: CompressedRows, codes: Codes, others: CompressedRows, n_columns: int, n: int) -> tuple[Codes, Floats]:
    """The n others with the largest cosine above 0 for each row: codes (-1: no more) and cosines, (m, n) each.

    codes: (m,) the number of each row among the others, which is left out; -1 if it is not among them.
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
        sizes=np.full(others.n_rows, -1, np.int32),  # keep others with an equal history
    )
    return without_self(found, np.clip(cosine, -1, 1), codes, n)


def unit_values(rows: CompressedRows) -> Floats:
    """The values of rows times the roots of their weights, each row scaled to length 1, (n,).

    A product of two rows then counts a column as often as the (geometric) mean weight of its two ratings says.
    """
    values = rows.values.astype(np.float64) * (1.0 if rows.weights is None else np.sqrt(rows.weights))
    squares = np.bincount(row_codes(rows), values**2, minlength=rows.n_rows)
    return np.asarray(np.repeat(1 / np.sqrt(np.where(squares > 0, squares, 1)), rows.counts) * values, np.float32)


def without_self(found: Codes, measure: Floats, codes: Codes, n: int) -> tuple[Codes, Floats]:
    """Return the first n neighbors of each row without the row itself. found, measure: (m, n + 1) or narrower."""
    keep = found != codes[:, None]
    keep &= np.cumsum(keep, axis=1) <= n
    order = np.argsort(~keep, axis=1, kind="stable")[:, :n]
    codes_left = np.take_along_axis(np.where(keep, found, -1), order, axis=1)
    return codes_left.astype(np.int32), np.take_along_axis(measure, order, axis=1)
