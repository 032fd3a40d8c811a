"""EASE: item-item weights by ridge regression of every item on all others, in closed form.

A fit takes the matrix X of choices, restricted to the items with choices (`Chosen`), computes P = (X'WX + L)^-1 by the
smaller side, and turns P into item-item weights. Before that it checks that the matrices fit into memory. The equations
stand in the docstring of `EASE`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from palate.answers.ranking.memory import bytes_of
from palate.data.durations import Duration
from palate.data.ratings import Kind, Ratings
from palate.models.chosen import Chosen
from palate.models.factors import Codes, Doubles, Floats
from palate.models.fading import Fading
from palate.models.history_factors import no_biases
from palate.models.implicit import CONFIDENCES, Confidence, choice_signals
from palate.models.item_weights import ItemWeights
from palate.models.regression import Regression
from palate.options import check_between, check_choice, check_flags, check_positive, check_whole
from palate.recipes.base import Recipe, Trained
from palate.recipes.closed_form import by_items, by_users, chosen_items
from palate.recipes.costs import Needs, available_memory, check_memory
from palate.recipes.ease_cold import alike, fill_cold
from palate.recipes.ease_decay import choose_decay
from palate.recipes.ease_features import ItemFeatures, Setting, choose_weight, scales_of
from palate.recipes.fading import checked_half_life, fading_of
from palate.recipes.inverse import TRIAL, seconds_to_invert
from palate.recipes.monitor import Monitor
from palate.recipes.sparse_ease import K_ITEMS, SparseEASE, learn

SECONDS_PER_PRODUCT = 1e-9  # of sparse matrices, on one thread
USER_EXPONENT, ITEM_EXPONENT = 0.5, 0.1  # where nothing is said
CHOSEN = ("weight_decay", "user_exponent", "item_exponent")  # options that may be None
MEMORY_SHARE = 0.25  # of what is free: a fit that needs more than this ...
PATIENCE = 120  # ... or more seconds is made on supports instead


@dataclass(frozen=True)
class EASE(Recipe):
    """Embarrassingly shallow autoencoder: item-item weights B in closed form, for implicit feedback.

    With x_u the choices of a user, it minimises

        sum_u w_u |x_u - x_u B|^2 + sum_i l_i |B_i|^2    such that B_ii = 0

    by B_ij = -P_ij / P_jj with P = (X'WX + L)^-1. The score of an item is x_u B. predict() gives the score, without an
    interval. With dropout, user_exponent and item_exponent 0 it is EASE as published in 2019. update() changes the
    histories of users, and gives items that are new since the fit weights from and to the 120 items that go with them
    most; other weights stay.

    With a table of items, X has a row more for each feature of the table, which holds the items that have it, so
    that items that look alike get weights too. How much such a row weighs, beside a user, is chosen by hidden choices
    of the training data. An item without choices has half the mean score of the items that it looks like.

    Parameters:
        weight_decay (float or None, default None): Regularisation, above 0. None: the one that ranks best what is
            hidden of users left out of the fit, among the 300 most chosen items, drawn towards 30 sqrt(n), n being the
            mean length of a choice's history. With fewer than 100 users of five such choices it is 30 sqrt(n) itself.
            The fit's training["weight_decay"] says which it was.
        dropout (float, default 0.33): Learn as if each choice were hidden with this probability, on average over all
            ways to hide choices; 0 to 0.99. It sets l_i = weight_decay + dropout / (1 - dropout) (X'WX)_ii.
        user_exponent (float or None, default None): A user with n choices has a weight w_u in proportion to
            n^-user_exponent; 0 to 1. None: 0.5.
        item_exponent (float or None, default None): Scores of an item with n choices are divided by
            (n / mean n)^item_exponent; 0 to 1. None: 0.1.
        confidence ("relative" or "equal", default "relative"): The entry of X for a choice made `count` times.
            "relative": (1 + ln(1 + count / the user's mean count)) / (1 + ln 2). "equal": 1. Without counts it is 1.
        recency (float or None, default None): The number of later choices of the same user after which a choice counts
            half: its entry of X is multiplied by 1 / (1 + k / recency), k being the number of later ones, in the fit
            and in answers. None: the order counts nothing.
        half_life (str, timedelta, float or None, default None): The age at which a choice counts half, "30d", "12h", a
            timedelta or seconds: its entry of X is multiplied by 0.5^(age / half_life), the age being how much older it
            is than the user's last. With recency, by the product of both. None: ages count nothing.
        features (bool, default True): Use as side information the columns of ratings.item_table, where there is such a
            table. The fit's training["feature_weight"] says how much they count.
        memory (str, int or None, default None): The maximum memory that a fit may need, such as "2GB" or a number of
            bytes. None: a fit that needs more than a quarter of what the machine has free, or two minutes, goes on as
            SparseEASE with the same options, and says so; training["k"] tells. A fit of more than 1 GB or a minute is
            announced before it begins, unless progress is False.
        n_threads (int, default 0): Threads to use, 0 or more; 0: all cores. Any number gives the same bytes.

    Raises:
        OptionError: An option is out of its range. fit() raises it if there are too many items for the memory.
        DataError: fit() raises it for half_life where the ratings have no times.

    Source:
        Steck (2019), Embarrassingly Shallow Autoencoders for Sparse Data, equation 8; Steck (2020), Autoencoders that
        don't overfit towards the Identity (dropout); Jeunen, Van Balen & Goethals (2020), Closed-Form Models for
        Collaborative Filtering with Side-Information (features).

    Example:
        >>> import palate
        >>> likes = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1).likes(at_least=4)
        >>> palate.EASE().fit(likes).recommend("u1", n=3).columns
        ['user', 'item', 'score', 'rank']
    """

    predicts_ratings: ClassVar[bool] = False
    kinds: ClassVar[tuple[Kind, ...]] = ("implicit",)

    weight_decay: float | None = None
    dropout: float = 0.33
    user_exponent: float | None = None
    item_exponent: float | None = None
    confidence: Confidence = "relative"
    recency: float | None = None
    half_life: Duration | None = None
    features: bool = True
    memory: str | int | None = None
    n_threads: int = 0

    def __post_init__(self) -> None:
        if self.weight_decay is not None:
            check_positive(weight_decay=self.weight_decay)
        check_between(0, 0.99, dropout=self.dropout)
        exponents = {"user_exponent": self.user_exponent, "item_exponent": self.item_exponent}
        check_between(0, 1, **{name: value for name, value in exponents.items() if value is not None})
        check_choice("confidence", self.confidence, CONFIDENCES)
        object.__setattr__(self, "half_life", checked_half_life(self.recency, self.half_life))
        check_whole(n_threads=self.n_threads)
        check_flags(features=self.features)
        if self.memory is not None:
            bytes_of(self.memory)

    def data_defaults(self, ratings: Ratings) -> dict[str, Any]:
        """Return the weight_decay, user_exponent and item_exponent that a fit uses where they are None.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            dict: Values by option name; only options that are None have one.

        Example:
            >>> import palate
            >>> likes = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1).likes(at_least=4)
            >>> round(palate.EASE().data_defaults(likes)["weight_decay"])
            118
        """
        ratings = self._as_events(ratings)
        if self._is_too_much(self._needs(ratings)):
            return self.sparse().data_defaults(ratings)
        dense = self._dense()
        taken = {**dense.options(), "weight_decay": dense._decay(ratings)}
        return {name: taken[name] for name in CHOSEN if getattr(self, name) is None}

    def bytes_needed(self, ratings: Ratings) -> int:
        """Return about how many bytes of memory a fit needs besides the ratings.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            int: Bytes; those of SparseEASE where the fit may go on as that.
        """
        dense = memory_needed(ratings.n_users, ratings.n_items, len(chosen_items(ratings)))
        return dense if self.memory is not None else min(dense, self.sparse().bytes_needed(ratings))

    def seconds_needed(self, ratings: Ratings) -> float | None:
        """Return about how many seconds a fit takes on this machine.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            float: Seconds; those of SparseEASE where the fit goes on as that.
        """
        cost = self._needs(ratings)
        return self.sparse().seconds_needed(ratings) if self._is_too_much(cost) else float(cost.seconds)

    def _needs(self, ratings: Ratings) -> Needs:
        """What the dense closed form needs."""
        dense = self._dense()
        features = ItemFeatures.of(ratings) if self.features else None
        return dense._cost(ratings, dense._choices(ratings), features)

    def _dense(self) -> EASE:
        """The recipe with exponents in place of None."""
        user, item = self.user_exponent, self.item_exponent
        return replace(
            self,
            user_exponent=USER_EXPONENT if user is None else user,
            item_exponent=ITEM_EXPONENT if item is None else item,
        )

    def sparse(self) -> SparseEASE:
        """Return the recipe with the same options for catalogues that are too large for this one.

        Returns:
            SparseEASE: What a fit goes on with that would take too long, or too much memory.
        """
        shared = (*CHOSEN, "dropout", "confidence", "recency", "half_life", "features", "n_threads")
        return SparseEASE(**{name: getattr(self, name) for name in shared})

    def _is_too_much(self, cost: Needs) -> bool:
        """Whether a fit goes on as SparseEASE."""
        free = available_memory()
        is_large = free is not None and cost.n_bytes > MEMORY_SHARE * free
        return self.memory is None and (is_large or cost.seconds > PATIENCE)

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        dense = self._dense()
        X = dense._choices(ratings)
        features = ItemFeatures.of(ratings) if self.features else None
        cost = dense._cost(ratings, X, features)
        if self._is_too_much(cost):
            monitor.announce(f"EASE of {ratings.n_items:,} items {cost.text}: goes on as SparseEASE.")
            return learn(self.sparse(), ratings, monitor)
        check_memory("EASE", cost.n_bytes, ratings.n_items, self.memory, "SparseEASE")
        monitor.note(cost.text)
        if cost.is_large:
            monitor.announce(
                f"EASE of {ratings.n_items:,} items {cost.text}. Ctrl-C stops it; SparseEASE needs far less of both."
            )
        decay = dense._decay(ratings)
        monitor.taken["weight_decay"] = decay
        monitor.note(f"weight decay {decay:.3g}; {cost.text}")
        return Trained(dense._learned(ratings, X, features, decay, monitor))

    # ---- the dense closed form: of a recipe whose exponents are numbers ----

    def _learned(
        self, ratings: Ratings, X: Chosen, features: ItemFeatures | None, decay: float, monitor: Monitor
    ) -> ItemWeights:
        user_exponent, item_exponent = self._exponents
        chosen, scales = chosen_items(ratings), X.popularities**-item_exponent
        if features is not None:
            chosen, X, scales = self._with_features(ratings, features, decay, monitor)
        decays = (decay + self.dropout / (1 - self.dropout) * X.masses).astype(np.float32)
        P = by_users(X, decays, self.n_threads) if X.n_users < len(chosen) else by_items(X, decays, self.n_threads)
        if not (np.diagonal(P) > 0).all():
            raise ValueError(f"a weight decay of {decay:g} vanishes beside the counts")
        weights = _to_weights(P, scales, chosen, ratings.n_items)
        if features is not None:
            fill_cold(weights, *alike(features, ratings.by_user()))
        return ItemWeights.of(
            no_biases(ratings.n_users, ratings.n_items),
            history=ratings.by_user(),
            confidence=self.confidence,
            fading=self._fading(ratings),
            weights=weights,
            regression=Regression(decay, self.dropout, user_exponent, item_exponent, K_ITEMS),
        )

    def _with_features(
        self, ratings: Ratings, features: ItemFeatures, decay: float, monitor: Monitor
    ) -> tuple[Codes, Chosen, Doubles]:
        """The items with choices or features, X with a row for each feature, and the scales of scores."""
        histories = ratings.by_user()
        signals = self._signals(ratings)
        user_exponent, item_exponent = self._exponents
        setting = Setting(decay, self.dropout, user_exponent, item_exponent)
        weight = choose_weight(histories, signals, features, setting, self.n_threads)
        monitor.taken["feature_weight"] = weight
        known = np.sort(features.known(histories))
        X = features.choices_and_features(histories, signals, known, user_exponent, weight)
        return known, X, scales_of(histories, known, item_exponent)

    @property
    def _exponents(self) -> tuple[float, float]:
        assert self.user_exponent is not None
        assert self.item_exponent is not None
        return self.user_exponent, self.item_exponent

    def _decay(self, ratings: Ratings) -> float:
        """The weight decay given, or chosen by the data."""
        if self.weight_decay is not None:
            return self.weight_decay
        histories, (user_exponent, item_exponent) = ratings.by_user(), self._exponents
        return choose_decay(
            histories,
            self._signals(ratings),
            user_exponent=user_exponent,
            item_exponent=item_exponent,
            dropout=self.dropout,
            n_threads=self.n_threads,
        )

    def _fading(self, ratings: Ratings) -> Fading:
        return fading_of(self.recency, self.half_life, ratings)

    def _signals(self, ratings: Ratings) -> Floats | None:
        """The entries of X, (n,); None for 1 everywhere."""
        return choice_signals(ratings.by_user(), self.confidence, fading=self._fading(ratings))

    def _choices(self, ratings: Ratings) -> Chosen:
        histories = ratings.by_user()
        signals = self._signals(ratings)
        return Chosen.of(histories, signals, chosen_items(ratings), self._exponents[0])

    def _cost(self, ratings: Ratings, X: Chosen, features: ItemFeatures | None) -> Needs:
        n_rows, n_columns = X.n_users, X.n_items
        if features is not None:
            n_rows, n_columns = n_rows + features.rows.n_rows, len(features.known(ratings.by_user()))
        return needs(memory_needed(n_rows, ratings.n_items, n_columns), X, self.n_threads)


def _to_weights(P: Floats, scales: Doubles, chosen: Codes, n_items: int) -> Floats:
    """B_ij = -P_ij / P_jj times the scale of j, with a zero diagonal, (n_items, n_items); zeros without choices."""
    P *= (-scales / np.diagonal(P)).astype(np.float32)
    np.fill_diagonal(P, 0)
    if len(chosen) == n_items:
        return P
    weights = np.zeros((n_items, n_items), np.float32)
    columns = np.searchsorted(chosen, np.arange(n_items))
    for code, row in zip(chosen, P, strict=True):
        np.take(row, columns, out=weights[code], mode="clip")
    weights[:, np.setdiff1d(np.arange(n_items), chosen)] = 0
    return weights


# ---- time and memory -------------------------------------------------------------------------------------------------


def memory_needed(n_users: int, n_items: int, n_chosen: int) -> int:
    """The bytes of a fit: P, which becomes B; products on the way to P; a second B if some items have no choices."""
    work = n_users**2 + 2 * n_users * n_chosen if n_users < n_chosen else n_chosen**2 // 2
    second = 0 if n_chosen == n_items else n_items**2
    return 4 * (n_chosen**2 + max(work, second))


def needs(n_bytes: int, X: Chosen, n_threads: int) -> Needs:
    """The bytes of a fit and, if it inverts more than a small matrix, about its seconds on this machine."""
    n = min(X.n_users, X.n_items)
    if n <= 2 * TRIAL:
        return Needs(n_bytes, 0.0)
    seconds = seconds_to_invert(n, n_threads) + _products(X) * SECONDS_PER_PRODUCT / (n_threads or os.cpu_count() or 1)
    return Needs(n_bytes, seconds)


def _products(X: Chosen) -> float:
    """How many numbers a fit multiplies besides the inversion."""
    if X.n_users >= X.n_items:
        return float(np.square(X.by_user.counts, dtype=np.float64).sum())
    by_item = float(np.square(X.by_item.counts, dtype=np.float64).sum())
    return by_item + len(X.by_item.indices) * float(X.n_users + X.n_items)
