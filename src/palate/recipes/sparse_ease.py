"""SparseEASE: item-item weights on a few items each, for catalogues too large for EASE.

The closed form is in models/item_supports.py, the choice of settings that are not given in sparse_choice.py.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from palate.answers.ranking.memory import bytes_of
from palate.data.durations import Duration
from palate.data.ratings import Kind, Ratings
from palate.data.rows import CompressedRows, pointers_of, take_rows
from palate.kernels import sparse_gram
from palate.models.chosen import Chosen
from palate.models.factors import Floats
from palate.models.fading import Fading
from palate.models.history_factors import no_biases
from palate.models.implicit import CONFIDENCES, Confidence, choice_signals
from palate.models.item_supports import SparseGram, by_popularity, in_codes, rising
from palate.models.item_weights import ItemWeights
from palate.models.regression import Regression
from palate.options import check_between, check_choice, check_flags, check_positive, check_whole
from palate.recipes.base import Recipe, Trained
from palate.recipes.costs import Needs, check_memory
from palate.recipes.ease_cold import alike, with_cold
from palate.recipes.ease_features import ItemFeatures, Setting, choose_weight, scales_of
from palate.recipes.fading import checked_half_life, fading_of
from palate.recipes.hidden import some_users
from palate.recipes.monitor import Monitor
from palate.recipes.sparse_choice import Given, Settings, choose

K_ITEMS = 120  # of a support; 200 gain less than 0.5% on the data sets of docs/decisions.md
N_PROBED = 400  # items whose rows of the Gram matrix tell how large it will be
ENTRY_BYTES = 8  # of the Gram matrix: a column and a value
SUPPORT_BYTES = 40  # of an item in a support: as it is found, sorted, weighted and turned into rows
CHOICE_BYTES = 32  # of a choice: X and X'
SECONDS_PER_PAIR = 1e-8  # of two items in a support, on one thread
PASSES = 5  # over the choices, each as long as the Gram matrix takes


@dataclass(frozen=True)
class SparseEASE(Recipe):
    """EASE with a support: weights from the k items that go with each item most, in closed form, for implicit feedback.

    With x_u the choices of a user and S_j the k items whose choices have the largest cosine with those of item j, it
    minimises for each item j

        sum_u w_u (x_uj - sum_i x_ui B_ij)^2 + sum_i l_i B_ij^2    such that B_ij = 0 unless i is in S_j

    by B_Sj = (G_SS + L_SS)^-1 G_Sj with G = X'WX. The score of an item is x_u B. predict() gives the score, without an
    interval. What EASE does with an inverse of n_items^2 numbers, this does with n_items systems of k equations: a
    catalogue of 40,000 items takes seconds and some hundred megabytes. update() changes the histories of users, and
    gives items that are new since the fit weights from and to the k items that go with them most; other weights stay.

    With a table of items, X has a row more for each feature of the table, which holds the items that have it, so
    that items that look alike get weights too. How much such a row weighs, beside a user, is chosen by hidden choices
    of the training data. An item without choices has half the mean score of the items that it looks like.

    What is not given is chosen by hidden choices of the training data. Where fewer than 100 users have five choices, it
    is a weight_decay of 40 times the mean of x^2, a user_exponent of 0.5 and an item_exponent of 0. The fit's training
    says what was taken. A fit says before it begins what it needs.

    Parameters:
        k (int, default 120): The number of items in a support, 1 to 4096.
        weight_decay (float or None, default None): Regularisation, above 0. None: of 10, 20, 40, 80 and 160 (times the
            mean of x^2) the one that ranks best what is hidden of 1,000 users.
        dropout (float, default 0.33): Learn as if each choice were hidden with this probability; 0 to 0.99. It sets
            l_i = weight_decay + dropout / (1 - dropout) G_ii.
        user_exponent (float or None, default None): A user with n choices has a weight w_u in proportion to
            n^-user_exponent; 0 to 1. None: chosen from 0.5, 0 and 1 in the same way.
        item_exponent (float or None, default None): Scores of an item with n choices are divided by
            (n / mean n)^item_exponent; -1 to 1. None: chosen from 0, -0.1 and 0.1 in the same way.
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
            bytes. None: as much as the machine has free.
        n_threads (int, default 0): Threads to use, 0 or more; 0: all cores. Any number gives the same bytes.

    Raises:
        OptionError: An option is out of its range. fit() raises it if the fit does not fit into the memory.
        DataError: fit() raises it for half_life where the ratings have no times.

    Source:
        Steck (2019), Embarrassingly Shallow Autoencoders for Sparse Data, restricted to a support; Ning & Karypis
        (2011), SLIM: Sparse Linear Methods for Top-N Recommender Systems (fsSLIM: the support is selected first);
        Jeunen, Van Balen & Goethals (2020), Closed-Form Models for Collaborative Filtering with Side-Information.

    Example:
        >>> import palate
        >>> likes = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1).likes(at_least=4)
        >>> palate.SparseEASE(k=20).fit(likes).recommend("u1", n=3).columns
        ['user', 'item', 'score', 'rank']
    """

    predicts_ratings: ClassVar[bool] = False
    kinds: ClassVar[tuple[Kind, ...]] = ("implicit",)

    k: int = K_ITEMS
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
        check_whole(1, 4096, k=self.k)
        check_whole(n_threads=self.n_threads)
        check_flags(features=self.features)
        check_between(0, 0.99, dropout=self.dropout)
        if self.weight_decay is not None:
            check_positive(weight_decay=self.weight_decay)
        if self.user_exponent is not None:
            check_between(0, 1, user_exponent=self.user_exponent)
        if self.item_exponent is not None:
            check_between(-1, 1, item_exponent=self.item_exponent)
        check_choice("confidence", self.confidence, CONFIDENCES)
        object.__setattr__(self, "half_life", checked_half_life(self.recency, self.half_life))
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
            >>> palate.SparseEASE(weight_decay=20).data_defaults(likes)
            {'user_exponent': 0.5, 'item_exponent': 0.0}
        """
        ratings = self._as_events(ratings)
        histories, signals = self._choices(ratings)
        settings = self._settings(histories, signals, by_popularity(ratings.item_codes))._asdict()
        return {name: settings[name] for name in settings if getattr(self, name) is None}

    def bytes_needed(self, ratings: Ratings) -> int:
        """Return about how many bytes of memory a fit needs besides the ratings.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            int: Bytes, without those of the Gram matrix, which the fit itself tells.
        """
        return ratings.n_items * min(self.k, ratings.n_items) * SUPPORT_BYTES + len(ratings) * CHOICE_BYTES

    def seconds_needed(self, ratings: Ratings) -> float | None:
        """Return about how many seconds a fit takes on this machine, from some rows of the Gram matrix.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            float: Seconds.
        """
        return float(needs(self, rising(*self._choices(ratings), by_popularity(ratings.item_codes), 0.5)).seconds)

    def _choices(self, ratings: Ratings) -> tuple[CompressedRows, Any]:
        histories = ratings.by_user()
        return histories, choice_signals(histories, self.confidence, fading=self._fading(ratings))

    def _fading(self, ratings: Ratings) -> Fading:
        return fading_of(self.recency, self.half_life, ratings)

    def _settings(self, histories: CompressedRows, signals: Any, chosen: Any) -> Settings:
        """What a fit learns with; the weight decay as it stands in the equations."""
        unit = 1.0 if signals is None else _mean_square(histories, signals)
        decay = None if self.weight_decay is None else self.weight_decay / unit
        given = Given(self.user_exponent, decay, self.item_exponent, self.dropout, self.k, self.n_threads)
        found = choose(*some_users(histories, signals), chosen, given)
        return found._replace(weight_decay=found.weight_decay * unit)

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        return learn(self, ratings, monitor)


def learn(recipe: SparseEASE, ratings: Ratings, monitor: Monitor) -> Trained:
    """The fit, telling the monitor what it needs and which settings it took."""
    (histories, signals), chosen = recipe._choices(ratings), by_popularity(ratings.item_codes)
    cost = needs(recipe, rising(histories, signals, chosen, 0.5))
    check_memory("SparseEASE", cost.n_bytes, ratings.n_items, recipe.memory, "a smaller k, or ImplicitALS")
    monitor.note(cost.text)
    if cost.is_large:
        monitor.announce(f"SparseEASE of {ratings.n_items:,} items {cost.text}. Ctrl-C stops it.")
    settings = recipe._settings(histories, signals, chosen)
    monitor.taken |= {"k": recipe.k, **settings._asdict()}
    monitor.note(f"weight decay {settings.weight_decay:.3g}; {cost.text}")
    features = ItemFeatures.of(ratings) if recipe.features else None
    if features is None:
        X = rising(histories, signals, chosen, settings.user_exponent)
        scales = X.popularities**-settings.item_exponent
    else:
        chosen = features.known(histories)
        setting = Setting(settings.weight_decay, recipe.dropout, settings.user_exponent, settings.item_exponent)
        weight = choose_weight(histories, signals, features, setting, recipe.n_threads)
        monitor.taken["feature_weight"] = weight
        X = features.choices_and_features(histories, signals, chosen, settings.user_exponent, weight)
        scales = scales_of(histories, chosen, settings.item_exponent)
    weights = in_codes(_on_supports(recipe, X, settings), scales, chosen, ratings.n_items)
    if features is not None:
        weights = with_cold(weights, *alike(features, histories))
    biases = no_biases(ratings.n_users, ratings.n_items)
    taken = Regression(settings.weight_decay, recipe.dropout, settings.user_exponent, settings.item_exponent, recipe.k)
    return Trained(
        ItemWeights.of(
            biases,
            history=histories,
            confidence=recipe.confidence,
            fading=recipe._fading(ratings),
            weights=weights,
            regression=taken,
        )
    )


def _mean_square(histories: CompressedRows, signals: Floats) -> float:
    """The mean of x^2 over the choices, block by block."""
    sums = (float(np.square(signals[some], dtype=np.float64).sum()) for some in histories.plan.entries)
    return sum(sums) / len(signals)


def _on_supports(recipe: SparseEASE, X: Chosen, settings: Settings) -> CompressedRows:
    """The weights of each item on its support."""
    G = SparseGram.of(X, recipe.n_threads)
    decays = settings.weight_decay + recipe.dropout / (1 - recipe.dropout) * X.masses
    supports = G.supports(recipe.k, recipe.n_threads)
    (weights,) = G.weights(supports, decays.astype(np.float32)[None], recipe.n_threads)
    return weights


def needs(recipe: SparseEASE, X: Chosen) -> Needs:
    """The bytes of a fit and about its seconds, from some rows of the Gram matrix. X: items by popularity."""
    probed = np.unique(np.linspace(0, X.n_items - 1, N_PROBED).astype(np.int64))
    counts, some = np.zeros(X.n_items, np.int64), take_rows(X.by_item, probed)
    counts[probed] = some.counts
    started = time.perf_counter()
    indptr, *_ = sparse_gram(pointers_of(counts), some.indices, None, *X.users()[:2], None, n_threads=recipe.n_threads)
    share = X.n_items / len(probed)
    seconds = (time.perf_counter() - started) * share * PASSES
    k = min(recipe.k, X.n_items)
    seconds += X.n_items * k**2 * SECONDS_PER_PAIR / (recipe.n_threads or os.cpu_count() or 1)
    n_bytes = int(indptr[-1] * share) * ENTRY_BYTES + X.n_items * k * SUPPORT_BYTES
    return Needs(n_bytes + len(X.by_user.indices) * CHOICE_BYTES, seconds)
