"""Neighbors: neighborhood models, by items or by users.

Item neighborhoods become item-item weights (`palate.models.item_weights`), computed at fit. User neighborhoods are
found when a user is served (`palate.models.neighborhood`). The equations stand in the docstring of `Neighbors`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

from palate.data.durations import Duration
from palate.data.ratings import Kind, Ratings
from palate.data.rows import transpose_rows
from palate.errors import OptionError
from palate.models.factors import Factors
from palate.models.history_factors import HistoryFactors, no_biases
from palate.models.item_weights import ItemWeights
from palate.models.neighborhood import MEASURES, Measure, NeighborIndex, Similarity, UserNeighbors, neighbor_rows
from palate.options import check_choice, check_not_negative, check_whole
from palate.recipes.base import Recipe, Trained
from palate.recipes.baselines import Bias
from palate.recipes.fading import checked_half_life, fading_of
from palate.recipes.monitor import Monitor

By = Literal["items", "users"]
NEIGHBOR_BYTES = 24  # a code and a similarity, found, sorted into rows and turned over
DAMPING = 0.1  # pulls the weighted mean of deviations towards 0; chosen on an inner split of ml-100k


@dataclass(frozen=True)
class Neighbors(Recipe):
    """Neighborhoods of items or of users, for ratings and for implicit feedback.

    By items, with the k items nearest to i, of which the sums take those that the user rated or chose:

        ratings:  mean + b_u + c_i + sum_j w_uj s_ij d_uj / (sum_j w_uj s_ij + 0.1)        choices:  sum_j s_ij

    where s is the similarity, d_uj = r_uj - mean - b_u - c_j, with the mean and the biases of palate.Bias(), and w_uj
    the weight of the rating. By users, the sums take those of the k users v nearest to u who rated or chose i, with
    s_uv in place of s_ij, and w_vi and d_vi in place of w_uj and d_uj. In cosines, each d counts times the root of w.

    A model of ratings predicts ratings; its predictions have intervals only if fit() gets validation ratings. A model
    of implicit feedback ranks, and ignores counts. By items, update() changes no similarities: it refuses choices of
    new items, which would have none, and predicts ratings of new items from biases alone.

    Parameters:
        by ("items" or "users", default "items"): Whether neighbors are items or users.
        similarity ("cosine", "bm25", "pearson" or None, default None): "bm25" is for implicit feedback only, "pearson"
            for ratings only (the cosine of deviations d). None: "pearson" for ratings, "bm25" for choices by items,
            "cosine" for choices by users.
        k (int or None, default None): Neighbors of an item or a user, 1 or more. None: 150 for ratings, 100 for
            choices.
        shrinkage (float or None, default None): Similarities are multiplied by n / (n + shrinkage), where n is the
            number of users or items that both have in common; 0 or more. None: 50 for ratings, 0 for choices.
        recency (float or None, default None): For choices: the number of later ones of the same user after which a
            choice counts half: its signal is multiplied by 1 / (1 + k / recency), k being the number of later ones, in
            the fit and in answers. None: the order counts nothing.
        half_life (str, timedelta, float or None, default None): For choices: the age at which a choice counts half,
            "30d", "12h", a timedelta or seconds: its signal is multiplied by 0.5^(age / half_life), the age being how
            much older it is than the user's last. With recency, by the product of both. None: ages count nothing.
        n_threads (int, default 0): Threads to use, 0 or more; 0: all cores.

    Raises:
        OptionError: An option is out of its range. fit() raises it if the similarity does not suit the ratings, and for
            recency and half_life where these are no choices.
        DataError: fit() raises it for half_life where the choices have no times.

    Source:
        Koren (2010), Factor in the Neighbors: Scalable and Accurate Collaborative Filtering, section 2.2 (shrinkage);
        Robertson & Walker (1994), Some Simple Effective Approximations to the 2-Poisson Model (BM25).

    Example:
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
    recency: float | None = None
    half_life: Duration | None = None
    n_threads: int = 0

    def __post_init__(self) -> None:
        check_choice("by", self.by, get_args(By))
        if self.similarity is not None:
            check_choice("similarity", self.similarity, MEASURES)
        check_whole(1, or_none=True, k=self.k)
        check_whole(n_threads=self.n_threads)
        if self.shrinkage is not None:
            check_not_negative(shrinkage=self.shrinkage)
        object.__setattr__(self, "half_life", checked_half_life(self.recency, self.half_life))

    @classmethod
    def defaults(cls) -> list[Recipe]:
        """Return the recipes that palate.compare() tries: one by items and one by users.

        Returns:
            list of Recipe: Both with default options otherwise.

        Example:
            >>> import palate
            >>> [recipe.by for recipe in palate.Neighbors.defaults()]
            ['items', 'users']
        """
        return [cls(), cls(by="users")]

    def data_defaults(self, ratings: Ratings) -> dict[str, Any]:
        """Return the similarity, k and shrinkage that a fit uses where they are None.

        Parameters:
            ratings (Ratings): What a fit would learn from; only its kind matters.

        Returns:
            dict: Values by option name; only options that are None have one.

        Raises:
            OptionError: The similarity does not suit the kind of ratings.

        Example:
            >>> import palate
            >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
            >>> palate.Neighbors(k=20).data_defaults(ratings)
            {'similarity': 'pearson', 'shrinkage': 50.0}
        """
        similarity = self._similarity(ratings.kind)
        used = {"similarity": similarity.measure, "k": similarity.k, "shrinkage": similarity.shrinkage}
        return {name: value for name, value in used.items() if getattr(self, name) is None}

    def bytes_needed(self, ratings: Ratings) -> int:
        """Return about how many bytes of memory a fit needs besides the ratings.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            int: Bytes, most of them of the neighbors of items.
        """
        near = self._similarity(ratings.kind).k * ratings.n_items if self.by == "items" else 0
        return super().bytes_needed(ratings) + NEIGHBOR_BYTES * near

    def predicts(self, ratings: Ratings) -> bool:
        """Tell whether a model fitted to these ratings predicts ratings, or only ranks items.

        Parameters:
            ratings (Ratings): What a fit would learn from; only its kind matters.

        Returns:
            bool: True for ratings, False for implicit feedback.
        """
        return not ratings.is_implicit

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        similarity = self._similarity(ratings.kind)
        biases = self._biases(ratings)
        damping = None if ratings.is_implicit else DAMPING
        fading = fading_of(self.recency, self.half_life, ratings)
        model: HistoryFactors
        if self.by == "users":
            model = UserNeighbors.of(biases, damping=damping, fading=fading, similarity=similarity)
            model = model.with_history(ratings.by_user())
        else:
            history = ratings.by_user()
            model = ItemWeights.of(biases, damping=damping, fading=fading, history=history, are_similarities=True)
            model = self._with_weights(model, similarity)
        if monitor.valid is None or ratings.is_implicit:
            return Trained(model)
        predicted = model.predict(monitor.valid.user_codes, monitor.valid.item_codes)
        return Trained(model, noise=monitor.valid_rmse(predicted))

    def _similarity(self, kind: Kind) -> Similarity:
        default = DEFAULTS[kind, self.by]
        measure = self.similarity or default.measure
        if (measure == "bm25" and kind == "explicit") or (measure == "pearson" and kind == "implicit"):
            learned = "ratings" if kind == "explicit" else "implicit feedback"
            raise OptionError(f'similarity="{measure}" does not work on {learned}; take "{default.measure}".')
        shrinkage = default.shrinkage if self.shrinkage is None else float(self.shrinkage)
        return Similarity(measure, default.k if self.k is None else int(self.k), shrinkage)

    def _biases(self, ratings: Ratings) -> Factors:
        """Mean and biases of ratings; zeros for implicit feedback."""
        if ratings.is_implicit:
            return no_biases(ratings.n_users, ratings.n_items)
        return Bias(n_threads=self.n_threads).fit(ratings, progress=False).model.factors

    def _with_weights(self, model: ItemWeights, similarity: Similarity) -> ItemWeights:
        """The model with item-item weights: each item's similarities with its k nearest."""
        history, n_items = model.history, len(model.items)
        signals = model.with_signals(history, model.signals(history, model.users))
        by_item = transpose_rows(signals, n_items)
        nearest = neighbor_rows(*NeighborIndex(by_item, history.n_rows, similarity).nearest_neighbors(self.n_threads))
        return replace(model, weights=transpose_rows(nearest, n_items))


# Chosen on inner splits of ml-100k, ml-1m and lastfm-hetrec2011.
DEFAULTS: dict[tuple[Kind, By], Similarity] = {
    ("explicit", "items"): Similarity("pearson", 150, 50.0),
    ("explicit", "users"): Similarity("pearson", 150, 50.0),
    ("implicit", "items"): Similarity("bm25", 100),
    ("implicit", "users"): Similarity("cosine", 100),
}
