"""Neighbors: the items most like what somebody had, or the users most like him, speak for other items."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from palate.answers.arguments import check_choice
from palate.data.ratings import Kind, Ratings
from palate.data.rows import transpose_rows
from palate.errors import OptionError
from palate.models.factors import Factors
from palate.models.history_factors import HistoryFactors, no_biases, with_signals
from palate.models.item_weights import ItemWeights
from palate.models.neighborhood import MEASURES, Measure, NeighborIndex, Similarity, UserNeighbors, neighbor_rows
from palate.options import is_number
from palate.recipes.base import Recipe, Trained, check_counts
from palate.recipes.baselines import Bias
from palate.recipes.monitor import Monitor, rmse

By = Literal["items", "users"]
DAMPING = 0.1  # similarity of a neighbour who says "as usual": by an inner split of ml-100k


@dataclass(frozen=True)
class Neighbors(Recipe):
    """Neighbourhoods of items or of users, for choices and for ratings.

        choices:  score_ui = sum_j s_ij                                    ratings:  mean + b_u + c_i +
        over what u chose, among the k items nearest to i                  sum_j s_ij d_uj / (sum_j s_ij + 0.1)

    by="users" says the same of the k users nearest to u who have i. d: what ratings are above the usual.
    similarity: "cosine", "bm25" (choices only) or "pearson" (ratings only), shrunk by n / (n + shrinkage) where n are
    shared; None takes pearson for ratings, bm25 for choices by items and cosine by users. k, shrinkage: None takes what
    suits: 150 and 50 for ratings, 100 and 0 for choices. Ratings are predicted, choices only ranked, and their counts
    left aside; intervals are known when given ratings to validate on. Raises OptionError for values that make no sense.

    >>> import palate
    >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
    >>> rec = palate.Neighbors(by="users").fit(ratings.likes(at_least=4))
    >>> rec.recommend("u1", n=3).columns
    ['user', 'item', 'score', 'rank']
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("explicit", "implicit")

    by: By = "items"
    similarity: Measure | None = None
    k: int | None = None
    shrinkage: float | None = None
    n_threads: int = 0

    def __post_init__(self) -> None:
        check_choice("by", self.by, get_args(By))
        if self.similarity is not None:
            check_choice("similarity", self.similarity, MEASURES)
        check_counts(1, k=self.k)
        check_counts(n_threads=self.n_threads)
        if self.shrinkage is not None and not (is_number(self.shrinkage) and 0 <= self.shrinkage < np.inf):
            raise OptionError(f"shrinkage must be a number, 0 or more, got {self.shrinkage!r}.")

    @classmethod
    def defaults(cls) -> list[Recipe]:
        """What palate.compare tries: neighbours among items, and among users."""
        return [cls(), cls(by="users")]

    def taken(self, ratings: Ratings) -> dict[str, Any]:
        """What a fit takes for similarity, k and shrinkage, where they are not given, by the kind of ratings."""
        similarity = self._similarity(ratings.kind)
        found = {"similarity": similarity.measure, "k": similarity.k, "shrinkage": similarity.shrinkage}
        return {name: value for name, value in found.items() if getattr(self, name) is None}

    def predicts(self, ratings: Ratings) -> bool:
        """Ratings where it learns from ratings; else a score."""
        return not ratings.is_implicit

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        similarity = self._similarity(ratings.kind)
        biases = self._biases(ratings)
        damping = None if ratings.is_implicit else DAMPING
        model: HistoryFactors
        if self.by == "users":
            model = UserNeighbors.of(biases, damping=damping, similarity=similarity).with_history(ratings.by_user())
        else:
            model = ItemWeights.of(biases, damping=damping, history=ratings.by_user())
            model = self._weighted(model, similarity)
        if monitor.valid is None or ratings.is_implicit:
            return Trained(model)
        predicted = model.predict(monitor.valid.user_codes, monitor.valid.item_codes)
        return Trained(model, noise=rmse(np.clip(predicted, *ratings.range), monitor.valid.values))

    def _similarity(self, kind: Kind) -> Similarity:
        usual = USUAL[kind, self.by]
        measure = self.similarity or usual.measure
        if (measure == "bm25" and kind == "explicit") or (measure == "pearson" and kind == "implicit"):
            there = "ratings" if kind == "explicit" else "choices"
            raise OptionError(f'similarity="{measure}" says nothing of {there}; take "{usual.measure}".')
        shrinkage = usual.shrinkage if self.shrinkage is None else float(self.shrinkage)
        return Similarity(measure, usual.k if self.k is None else int(self.k), shrinkage)

    def _biases(self, ratings: Ratings) -> Factors:
        """Mean and biases of ratings; nothing of choices."""
        if ratings.is_implicit:
            return no_biases(ratings.n_users, ratings.n_items)
        return Bias(n_threads=self.n_threads).fit(ratings, progress=False).model.factors

    def _weighted(self, model: ItemWeights, similarity: Similarity) -> ItemWeights:
        """With the weights of the k items nearest to each."""
        history, n_items = model.history, len(model.items)
        signals = with_signals(history, model.signals(history, model.users))
        by_item = transpose_rows(signals, n_items)
        near = neighbor_rows(*NeighborIndex(by_item, history.n_rows, similarity).nearest_neighbors(self.n_threads))
        return replace(model, weights=transpose_rows(near, n_items))


# By inner splits of ml-100k, ml-1m and lastfm-hetrec2011.
USUAL: dict[tuple[Kind, By], Similarity] = {
    ("explicit", "items"): Similarity("pearson", 150, 50.0),
    ("explicit", "users"): Similarity("pearson", 150, 50.0),
    ("implicit", "items"): Similarity("bm25", 100),
    ("implicit", "users"): Similarity("cosine", 100),
}
