"""Blends: a weighted sum of the scores of several models of the same choices.

    score_ui = sum_p a_p score_p(u, i)

A user of a blend is a vector and a history: the factors of all parts side by side, and the history from which the other
parts answer. So each part answers for a user, trained or folded in, as it does alone.

Source: Jahrer, Toescher & Legenstein (2010), Combining Predictions for Accurate Recommender Systems.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows
from palate.kernels import select_top
from palate.models.factors import Codes, Doubles, Factors, Floats, Prior
from palate.models.fading import Fading
from palate.models.history_factors import HistoryFactors, no_biases
from palate.models.implicit import Confidence


class BlendPart(NamedTuple):
    """One of the models of a blend.

    Attributes:
        name (str): What explanations call it: the name of its recipe, with the options if two have the same name.
        factors (Factors): The model, whose users have no biases.
        multiplier (float): a_p, what its scores are multiplied by.
    """

    name: str
    factors: Factors
    multiplier: float


@dataclass(frozen=True, repr=False)
class BlendedFactors(HistoryFactors):
    """A weighted sum of the scores of some models, as a history-based model. Made by of_parts().

    Its users and items are the factors of all parts side by side, with a bias of 0: score_parts() says what the parts
    add.

    Attributes:
        parts (tuple of BlendPart): The models.
    """

    no_new_items: ClassVar[str] = (
        'this model is a blend, and fold_in(side="item") cannot compute what a new item is for each of its parts.'
    )

    parts: tuple[BlendPart, ...] = ()

    @classmethod
    def of_parts(
        cls, parts: Sequence[BlendPart], history: CompressedRows, confidence: Confidence = "relative"
    ) -> BlendedFactors:
        """Return the blend of some parts. history: of all users. confidence: of counts, where users are compared."""
        models = [part.factors for part in parts]
        biases = no_biases(len(models[0].users), len(models[0].items))
        whole = replace(
            biases,
            users=side_by_side([model.users for model in models]),
            items=side_by_side([model.items for model in models]),
            user_prior=_joint_prior([model.user_prior.mean for model in models]),
            item_prior=_joint_prior([model.item_prior.mean for model in models]),
        )
        blend = cls.of(whole, confidence=confidence, parts=tuple(parts))
        return blend.with_history(history)

    def with_parts(self, factors: Sequence[Factors]) -> BlendedFactors:
        """Return the blend with other models in place of its parts, of the same names and multipliers."""
        parts = [part._replace(factors=model) for part, model in zip(self.parts, factors, strict=True)]
        return self.of_parts(parts, self.history, self.confidence)

    def with_history(self, history: CompressedRows) -> BlendedFactors:
        """Return the blend with another history of all users, a row for each code."""
        parts = tuple(
            part._replace(factors=part.factors.with_history(history))
            if isinstance(part.factors, HistoryFactors)
            else part
            for part in self.parts
        )
        return replace(super().with_history(history), parts=parts)

    def vectors_of(self, vectors: Floats) -> Iterator[Floats]:
        """Yield the vectors that each part has of users (m, k): its own columns and a bias of 0, (m, k_p + 1)."""
        yield from split_columns(vectors, [part.factors.n_factors for part in self.parts])

    def models(self) -> Iterator[tuple[Factors, float]]:
        """Yield each part as a model of the blend's present users, and its multiplier."""
        for part, vectors in zip(self.parts, self.vectors_of(self.users), strict=True):
            yield part.factors.with_users(vectors, self.history), part.multiplier

    def user_scores(self) -> Floats:
        """Scores of every item for every user, (n_users, n_items)."""
        scores = np.zeros((len(self.users), len(self.items)), np.float32)
        for model, multiplier in self.models():
            own = model.user_scores()
            own *= np.float32(multiplier)
            scores += own
        return scores

    def pair_scores(self, vectors: Floats, user_codes: Codes, item_codes: Codes) -> Floats:
        """Scores of pairs, (n,). The code -1 is unknown: each part answers for it as it does alone."""
        scores = np.zeros(len(user_codes), np.float32)
        for own in self.score_parts(vectors, user_codes, item_codes).values():
            scores += own
        return scores

    def score_parts(self, vectors: Floats, user_codes: Codes, item_codes: Codes) -> dict[str, Floats]:
        """What each part adds to the scores of pairs, (n,), by the name of the part."""
        return {
            part.name: np.float32(part.multiplier)
            * part.factors.with_users(own, self.history).pair_scores(own, user_codes, item_codes)
            for part, own in zip(self.parts, self.vectors_of(vectors), strict=True)
        }

    def fold_in(self, histories: CompressedRows) -> Floats:
        """Fold in new users: what each part makes of their choices, side by side, (n, k)."""
        return side_by_side([part.factors.fold_in(histories) for part in self.parts])

    def faded(self, fading: Fading) -> BlendedFactors:
        """Return the blend whose parts answer with this fading; popularity is the same for all users."""
        parts = tuple(
            part if part.factors.n_factors == 0 and not isinstance(part.factors, HistoryFactors)
            else part._replace(factors=part.factors.faded(fading))
            for part in self.parts
        )  # fmt: skip
        return replace(self, parts=parts)

    @property
    def fades_by_age(self) -> bool:
        """True if a part weighs choices by their age."""
        return any(part.factors.fades_by_age for part in self.parts)

    def history_scores(self, histories: CompressedRows, signals: Floats | None) -> Floats:  # noqa: ARG002
        """The scores of every item for users with these histories, folded in, (n_rows, n_items)."""
        return self.with_users(self.fold_in(histories), histories).user_scores()

    def contributions(self, history: CompressedRows, signals: Floats | None, item_code: int) -> Doubles:
        """Not available: palate.answers.explaining asks each part."""
        raise NotImplementedError("the contributions of a blend are those of its parts")

    def cold_start_part(self, history: CompressedRows, item_code: int) -> float:
        """Not available: score_parts() says what each part adds for a user without a history."""
        raise NotImplementedError("score_parts() says what each part adds")

    def resized(self, users: Floats, items: Floats, kept: NDArray[np.bool_] | None = None) -> BlendedFactors:
        """Return the blend with other users, and with more items at the end (of zeros) or those of the mask `kept`."""
        n_new = len(items) - len(self.items)
        parts = []
        for part, own_users in zip(self.parts, self.vectors_of(users), strict=True):
            model = part.factors
            own_items = np.pad(model.items, ((0, n_new), (0, 0))) if kept is None else model.items[kept]
            if isinstance(model, HistoryFactors):
                parts.append(part._replace(factors=model.resized(own_users, own_items, kept)))
            else:
                parts.append(part._replace(factors=replace(model, users=own_users, items=own_items)))
        return replace(self, users=users, items=items, parts=tuple(parts))

    def most_similar_items(self, codes: Codes, n: int) -> tuple[Codes, Floats, str]:
        """The n items with the largest score above 0 for somebody who has chosen only each of some items."""
        chosen = CompressedRows(
            np.arange(len(codes) + 1, dtype=np.int64), codes.astype(np.int32), np.ones(len(codes), np.float32), None
        )
        scores = self.history_scores(chosen, None)
        scores[np.arange(len(codes)), codes] = -np.inf
        return *select_top(np.where(scores > 0, scores, -np.inf).astype(np.float32), n), "score"


def side_by_side(parts: Sequence[Floats]) -> Floats:
    """Vectors (n, k_p + 1) of parts without their biases, and one bias of 0: (n, sum of k_p + 1)."""
    wide = [part for part in parts if part.shape[1] > 1]
    if len(wide) == 1 and not wide[0][:, -1].any():
        return wide[0]
    return np.hstack([*(part[:, :-1] for part in wide), np.zeros((len(parts[0]), 1), np.float32)])


def split_columns(vectors: Floats, widths: Sequence[int]) -> Iterator[Floats]:
    """Yield what side_by_side() has joined, (n, k_p + 1) each, with a bias of 0."""
    first = 0
    for width in widths:
        if width == vectors.shape[1] - 1:
            yield vectors
        else:
            yield np.pad(vectors[:, first : first + width], ((0, 0), (0, 1)))
        first += width


def _joint_prior(means: Sequence[Floats]) -> Prior:
    """The prior of vectors side by side. Only its mean is asked for: each part folds in by its own prior."""
    mean = side_by_side([own[None] for own in means])[0]
    return Prior(np.eye(len(mean), dtype=np.float32), mean, alpha=0.0)
