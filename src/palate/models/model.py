"""Model: everything that a fit returns, and everything that a model file holds.

Factors (of any kind), the posterior of a Bayesian fit, time effects, side information, vocabularies, and the ratings
learned from. A Model works on codes: user code u is row u of the user vectors and of the history. Labels appear only in
the two vocabularies; palate.answers translates them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from palate.data.blocks.mapped import Blocks
from palate.data.plan import count_codes, distinct_values
from palate.data.ratings import Kind, Ratings
from palate.data.rows import CompressedRows, read_only, row_codes, rows_where, take_rows, transpose_rows
from palate.data.titles import Titles, titles
from palate.data.vocabulary import Vocabulary
from palate.models.blend import BlendedFactors
from palate.models.effects import TimeEffects
from palate.models.factors import Codes, Doubles, Factors, Floats
from palate.models.fingerprint import fingerprint_of
from palate.models.forecasts import Forecast, TimeShift
from palate.models.history_factors import HistoryFactors
from palate.models.implicit import ImplicitFactors, with_mean_counts
from palate.models.implicit_links import LinkedFactors, folded
from palate.models.ordinal import latent_deviation
from palate.models.posterior import Posterior, Projection
from palate.models.propensity import Propensity, fit_propensity
from palate.models.side_information import SideInfo
from palate.models.step_distribution import StepDistribution
from palate.showing.texts import Fielded

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")

MAX_SCALE_STEPS = 100  # more different values than this are no rating scale


@dataclass(frozen=True, repr=False)
class UserRows(Fielded):
    """The m users that a question is about, trained or new. In a transposed model these are items.

    Attributes:
        codes (int32 array of shape (m,)): User codes; -1 for a new user.
        vectors (float32 array of shape (m, k)): User vectors: factors, then the bias.
        history (CompressedRows of m rows): Their ratings, by item code.
        draw (function, or None): Returns a vector of each user under each of S posterior draws, float32 of shape
            (S, m, k_s). It is called only when an answer needs the uncertainty. None without a posterior.
        features (CompressedRows of m rows, default None): The matrix F of new users: history and attributes.
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
        """User vectors under each posterior draw, (S, m, k_s); None without a posterior."""
        return None if self.draw is None else self.draw()


@dataclass(frozen=True, repr=False)
class Model(Fielded):
    """A trained model.

    Attributes:
        factors (Factors): User and item vectors, one row a code.
        posterior (Posterior, or None): Draws of both sides, after a Bayesian fit.
        noise (float): Standard deviation of a rating around its mean at an unknown time, in rating units; nan if the
            model makes no claim.
        user_vocabulary (Vocabulary): Label <-> code of n_users users.
        item_vocabulary (Vocabulary): Label <-> code of n_items items.
        history (CompressedRows of n_users rows): The ratings learned from, by user.
        limits (tuple of two floats): Lowest and highest possible rating.
        user_table (polars.DataFrame of n_users rows, default None): Attributes of users.
        item_table (polars.DataFrame of n_items rows, default None): Attributes of items, such as titles.
        user_info (SideInfo, default None): How users become rows of the feature matrix F.
        item_info (SideInfo, default None): The same for items.
        predicts_ratings (bool, default True): False if scores only rank.
        kind ("explicit" or "implicit", default "explicit"): Of the ratings learned from.
        like_threshold (float, default None): The lowest rating that is a like, if it learned from Ratings.likes().
        effects (TimeEffects, default None): Time effects; the factors describe the present.
        user_noise (float32 array of shape (n_users,), default None): Noise of each user, where users differ.
        item_noise (float32 array of shape (n_items,), default None): Noise of each item, where items differ.
        step_distribution (StepDistribution, default None): The distribution over the steps of the rating scale, of a
            Bayesian fit to ratings in 2 to 20 steps.
        recipe (dict, default {}): Name and options of the recipe.
        training (dict, default {}): What the fit reports of itself, such as seconds and errors.
        metrics (dict, default {}): Metrics measured on a test set.
        frame_kind (str, default None): The kind of frame that the ratings came in; a file does not keep it.
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
    kind: Kind = "explicit"
    like_threshold: float | None = None
    effects: TimeEffects | None = None
    user_noise: Floats | None = None
    item_noise: Floats | None = None
    step_distribution: StepDistribution | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    frame_kind: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.factors, HistoryFactors) and not self.factors.has_history(self.history):
            object.__setattr__(self, "factors", self.factors.with_history(self.history))
        if isinstance(self.factors, LinkedFactors) and self.factors.learned is not self.history:
            object.__setattr__(self, "factors", self.factors.with_history(self.history))
        if self.step_distribution is None and self.factors.steps is not None:
            object.__setattr__(self, "step_distribution", StepDistribution(self.factors.steps))

    @classmethod
    def learned_from(
        cls,
        ratings: Ratings,
        *,
        factors: Factors,
        posterior: Posterior | None = None,
        noise: float = np.nan,
        **more: Any,
    ) -> Model:
        """Return the model of a fit: what it learned, and vocabularies, tables and history of its ratings."""
        model = cls(
            factors=factors,
            posterior=posterior,
            noise=noise,
            user_vocabulary=ratings.user_vocabulary.in_memory(),
            item_vocabulary=ratings.item_vocabulary.in_memory(),
            history=ratings.by_user(),
            limits=ratings.range,
            kind=ratings.kind,
            like_threshold=ratings.like_threshold,
            user_table=ratings.user_table,
            item_table=ratings.item_table,
            frame_kind=ratings.frame_kind,
            **more,
        )
        model._made["ratings on disk"] = ratings if isinstance(ratings, Blocks) else None
        return model

    @property
    def learned_blocks(self) -> Any:
        """The Blocks that it was fitted to; None for a fit to ratings in memory, and for a loaded model."""
        return self._made.get("ratings on disk")

    def once(self, make: Callable[[Model], T], *key: Any) -> T:
        """Return what `make` makes of this model: made on first use, then kept with the model, for each key."""
        name = (make, *key)
        if name not in self._made:
            self._made[name] = make(self)
        made: T = self._made[name]
        return made

    @cached_property
    def _made(self) -> dict[Any, Any]:
        return {}

    @property
    def score_limits(self) -> tuple[float, float]:
        """The range that predictions are clipped to: the rating range, or no limits if scores only rank."""
        return self.limits if self.predicts_ratings else (-np.inf, np.inf)

    @cached_property
    def item_titles(self) -> Titles | None:
        """The titles of the items; None without a title column, or if the model is transposed."""
        return _titles_of(self.item_vocabulary, self.item_table)

    @cached_property
    def user_titles(self) -> Titles | None:
        """The titles of a transposed model's users, which are items; None otherwise."""
        return _titles_of(self.user_vocabulary, self.user_table)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the ratings learned from, in any order: labels, codes, values and weights."""
        return fingerprint_of(self.history, (self.user_vocabulary, self.item_vocabulary))

    @cached_property
    def _projection(self) -> Projection:
        assert self.posterior is not None
        return self.posterior.projection(self.factors)

    @cached_property
    def every_item(self) -> NDArray[np.bool_]:
        """A mask of all items, (n_items,), shared and read-only."""
        return read_only(np.ones(len(self.item_vocabulary), bool))

    @cached_property
    def item_counts(self) -> NDArray[np.int64]:
        """The number of training ratings of each item, (n_items,)."""
        return count_codes(self.history.indices, len(self.item_vocabulary))

    @cached_property
    def propensity(self) -> Propensity:
        """The propensity model, fitted to the history on first use."""
        return fit_propensity(self.history, len(self.item_vocabulary))

    @cached_property
    def rating_step(self) -> float:
        """The step of the rating scale: the median distance of neighboring values; 0 if there is no scale."""
        values = distinct_values(self.history.values, MAX_SCALE_STEPS)
        return float(np.median(np.diff(values))) if 1 < len(values) <= MAX_SCALE_STEPS else 0.0

    @cached_property
    def is_rated_user(self) -> NDArray[np.bool_]:
        """Whether a user has training ratings, (n_users + 1,); the last one stands for code -1."""
        return np.append(self.history.counts > 0, False)

    @cached_property
    def is_rated_item(self) -> NDArray[np.bool_]:
        """The same of items."""
        return np.append(self.item_counts > 0, False)

    def rated_users(self, codes: Codes) -> Codes:
        """Return codes with -1 in place of users without training ratings."""
        return np.where(self.is_rated_user[codes], codes, -1).astype(np.int32)

    def rated_items(self, codes: Codes) -> Codes:
        """Return codes with -1 in place of items without training ratings."""
        return np.where(self.is_rated_item[codes], codes, -1).astype(np.int32)

    def users_with_data(self, codes: Codes) -> Codes:
        """Return codes with -1 in place of cold-start users: without ratings, in a model that uses no attributes.

        With attributes, the posterior draws of a user without ratings hold the prior mean and its uncertainty.
        """
        return codes if _uses_attributes(self.user_info, self.posterior) else self.rated_users(codes)

    def items_with_data(self, codes: Codes) -> Codes:
        """Return codes with -1 in place of cold-start items, as users_with_data()."""
        return codes if _uses_attributes(self.item_info, self.posterior) else self.rated_items(codes)

    def _answered_by(self, codes: Codes) -> Codes:
        """Return codes with -1 in place of users whose own vectors do not answer for them.

        Fits leave the prior mean, which an unknown user gets, in rows without ratings. But implicit ALS without links,
        alone or in a blend, leaves zeros, which item factors are solved for, and draws of cold-start users are as
        random as those of an unknown one.
        """
        has_zeros = isinstance(self.factors, ImplicitFactors | BlendedFactors)
        is_mean = self.posterior is None and (not has_zeros or isinstance(self.factors, LinkedFactors))
        return codes if is_mean else self.users_with_data(codes)

    def forecast(self, user_codes: Codes, item_codes: Codes, when: Doubles | None = None) -> Forecast:
        """Forecast ratings of trained users and items, (n,) codes each; -1 is unknown.

        when: (n,) seconds since 1970; nan, or None for all, is now.
        """
        draws = None if self.posterior is None else self.posterior.users.vectors
        with_data = self.users_with_data(user_codes), self.items_with_data(item_codes)
        time = self.effects_at(user_codes, item_codes, when)
        return self._forecast(self.factors, draws, (self._answered_by(user_codes), item_codes), with_data, time)

    def forecast_new(
        self,
        user_rows: UserRows,
        item_codes: Codes,
        *,
        has_data: bool | NDArray[np.bool_],
        rows: Codes | None = None,
    ) -> Forecast:
        """Forecast ratings of new users, now. has_data: which of them have ratings or attributes.

        rows: whose each rating is, (n,) positions in user_rows; None if it has one row.
        """
        rows = np.zeros(len(item_codes), np.int32) if rows is None else rows
        known = np.where(np.broadcast_to(has_data, len(user_rows))[rows], rows, -1).astype(np.int32)
        factors = self.factors.with_users(user_rows.vectors, user_rows.history)
        with_data = known, self.items_with_data(item_codes)
        time = self.effects_at(np.full_like(rows, -1), item_codes, None)
        return self._forecast(factors, user_rows.draws, (rows, item_codes), with_data, time)

    def _forecast(
        self,
        factors: Factors,
        draws: Floats | None,
        codes: tuple[Codes, Codes],
        with_data: tuple[Codes, Codes],
        time: TimeShift,
    ) -> Forecast:
        """Forecast pairs of user and item codes. with_data: the same codes, -1 in place of cold-start rows."""
        if self.posterior is None or draws is None:
            variance = self.factors.unknown_variance(*with_data, users=factors.users) + factors.score_variance
        else:
            _, variance = self.posterior.predict(draws, *with_data)
        variance = np.maximum(np.asarray(variance + time.score_variance, np.float64), 0)
        if factors.steps is None:
            mean = factors.predict(*codes).astype(np.float64) + time.shift
            return Forecast(mean, np.sqrt(time.noise_variance + variance), variance, self.step_distribution)
        scores = factors.pair_scores(factors.users, *codes).astype(np.float64) + time.shift
        probabilities = factors.steps.probabilities(scores, variance)
        mean = probabilities @ factors.steps.values
        rating_variance = np.maximum(probabilities @ factors.steps.values**2 - mean**2, 0)
        latent = scores, latent_deviation(variance)
        return Forecast(mean, np.sqrt(rating_variance), variance, self.step_distribution, latent)

    def effects_at(self, user_codes: Codes, item_codes: Codes, when: Doubles | None) -> TimeShift:
        """What timestamps (n,) change about ratings of pairs; nan, or None for all, is now."""
        effects, noise_variance = self.effects, self.noise_of(user_codes, item_codes) ** 2
        if effects is not None and when is not None:
            shift, score_variance = effects.at(user_codes, item_codes, when)
            if self.factors.steps is not None and self.posterior is None:
                score_variance = score_variance - effects.unknown_variance  # factors.score_variance includes it
            return TimeShift(shift, np.maximum(noise_variance - effects.unknown_variance, 0.0), score_variance)
        no_shift = np.zeros(len(user_codes))
        if effects is None or self.factors.steps is None or self.posterior is None:
            return TimeShift(no_shift, noise_variance, 0.0)  # noise, or factors.score_variance, includes unknown times
        return TimeShift(no_shift, noise_variance, effects.unknown_variance)

    def noise_of(self, user_codes: Codes, item_codes: Codes | None = None) -> Doubles:
        """Standard deviation of ratings around their means at an unknown time, (n,); code -1 gets the model's noise."""
        if self.user_noise is not None:
            return np.where(user_codes < 0, np.float64(self.noise), self.user_noise[user_codes]).astype(np.float64)
        if self.item_noise is not None and item_codes is not None:
            return np.where(item_codes < 0, np.float64(self.noise), self.item_noise[item_codes]).astype(np.float64)
        return np.full(len(user_codes), self.noise)

    def weighted(self, history: CompressedRows, codes: Codes) -> CompressedRows:
        """Return ratings of users (codes (m,), -1: new) weighted by 1 / noise variance of their user or item."""
        if self.posterior is None or (self.user_noise is None and self.item_noise is None):
            return history
        weights = np.ones(len(history.values), np.float32) if history.weights is None else history.weights
        typical = self.posterior.noise
        if self.user_noise is not None:
            levels = np.append(self.user_noise, np.float32(typical))[codes]
            weights = weights * np.repeat((typical / levels) ** 2, history.counts)
        if self.item_noise is not None:
            weights = weights * (typical / self.item_noise[history.indices]) ** 2
        return replace(history, weights=weights.astype(np.float32))

    @cached_property
    def comparable_users(self) -> NDArray[np.bool_]:
        """The users whose factors say something, (n_users,): with ratings, or neither zero nor the prior mean."""
        return _comparable(self.factors.users, self.factors.user_prior.mean, self.history.counts)

    @cached_property
    def comparable_items(self) -> NDArray[np.bool_]:
        """The items whose factors say something, (n_items,), as comparable_users."""
        return _comparable(self.factors.items, self.factors.item_prior.mean, self.item_counts)

    @cached_property
    def compared_columns(self) -> slice:
        """The columns of factors by which rows are compared: all, but for one that only rows without ratings use.

        That is the last one of a Bayesian fit, if it holds own levels (recipes/gibbs/own_levels.py): then it is 0 in
        most of the items with ratings, which are the users of a transposed model.
        """
        rated = self.factors.users[self.history.counts > 0], self.factors.items[self.item_counts > 0]
        has_own_levels = self.recipe.get("name") == "Bayes" and any(
            2 * np.count_nonzero(rows[:, -2] == 0) > len(rows) for rows in rated
        )
        return slice(0, -2 if has_own_levels and self.factors.n_factors > 1 else -1)

    @property
    def user_vectors(self) -> Floats:
        """The vectors that answer for the users, (n_users, k): their own, or that of an unknown user."""
        is_unknown = self._answered_by(np.arange(len(self.factors.users), dtype=np.int32)) < 0
        return np.where(is_unknown[:, None], self.factors.user_prior.mean, self.factors.users)

    def _trained_rows(self, codes: Codes) -> UserRows:
        """User rows of trained users, by code."""
        posterior = self.posterior
        draw = None if posterior is None else partial(posterior.vectors_of_users, codes)
        return UserRows(codes, self.factors.users[codes], take_rows(self.history, codes), draw)

    def fold_in(self, history: CompressedRows, attributes: Sequence[Mapping[str, Any]] | None = None) -> UserRows:
        """Return user rows of new users, from their ratings and attributes. The trained vectors stay as they are.

        attributes: for each user a mapping {field: value}, if the model learned from a table of users.
        """
        codes = np.full(history.n_rows, -1, np.int32)
        posterior = self.posterior
        features = None if self.user_info is None else self.user_info.matrix(history, self.user_info.encode(attributes))
        if posterior is None:
            return UserRows(codes, folded(self.factors, history, features), history, None, features)
        weighted = self.weighted(history, codes)
        vectors = self._projection(posterior.solve_new(weighted, features))
        is_cold = history.counts == 0
        if is_cold.any():
            vectors[is_cold] += self._projection.cold_start_step(posterior, self.factors.user_prior.mean)
        is_blank = is_cold & (True if features is None else features.counts == 0)
        vectors[is_blank] = self.factors.user_prior.mean  # as in predictions; the projection gives nearly the same
        draw = partial(posterior.solve, weighted, features, draw=True)  # no lambda: answers may be pickled
        return UserRows(codes, vectors, history, draw, features)

    def features_of(self, user_rows: UserRows) -> CompressedRows | None:
        """The feature matrix F of user rows, (m, n_features); None if the model has no side information."""
        if self.user_info is None or user_rows.features is not None:
            return user_rows.features
        info = self.once(_user_info)
        assert info is not None
        return info.matrix(user_rows.history, info.encode_some(self.user_table, user_rows.codes))

    def user_rows(self, codes: Codes) -> UserRows:
        """Return user rows for codes (m,); -1 is a cold-start user."""
        codes = self._answered_by(codes)
        if len(codes) == 0 or codes.min() >= 0:
            return self._trained_rows(codes)
        cold_start = self.fold_in(CompressedRows.empty(1))
        trained = self._trained_rows(np.maximum(codes, 0))
        unknown = codes < 0
        vectors = np.where(unknown[:, None], cold_start.vectors, trained.vectors)

        def draw() -> Floats:
            assert cold_start.draws is not None and trained.draws is not None
            return np.where(unknown[None, :, None], cold_start.draws, trained.draws)

        history = rows_where(trained.history, ~unknown)
        return UserRows(codes, vectors, history, None if trained.draw is None else draw)

    def targets_of(self, user_rows: UserRows) -> Floats:
        """The regression targets behind user vectors, (n_ratings,): ratings, or the mean latent behind each."""
        if self.factors.steps is None:
            return user_rows.history.values
        return self.factors.latents(user_rows.history, user_rows.vectors)

    def scores(self, user_rows: UserRows) -> Floats:
        """Predicted ratings, or scores to rank by, of every item, (m, n_items)."""
        return self.factors.with_users(user_rows.vectors, user_rows.history).user_scores()

    def transposed(self) -> Model:
        """Return the model with users and items exchanged, so that a method for users answers for items."""
        return replace(
            self,
            factors=with_mean_counts(self.factors.transposed(), self.history),
            posterior=None if self.posterior is None else self.posterior.transposed(),
            user_vocabulary=self.item_vocabulary,
            item_vocabulary=self.user_vocabulary,
            history=transpose_rows(self.history, len(self.item_vocabulary)),
            user_table=self.item_table,
            item_table=self.user_table,
            user_info=self.item_info,
            item_info=self.user_info,
            user_noise=self.item_noise,
            item_noise=self.user_noise,
            effects=None if self.effects is None else self.effects.transposed(),
        )

    def compact(self) -> Model:
        """Return the model without posterior draws: the same predictions, and intervals of one width for all items.

        The average score variance is added to the noise. It is averaged over random pairs of a user and an item, each
        sampled in proportion to its ratings and their weights.
        """
        if self.posterior is None:
            return self
        rng = np.random.Generator(np.random.Philox(0))
        size = min(4096, len(self.history.indices))
        weights = self.history.weights
        p = None if weights is None else weights.astype(np.float64) / weights.sum(dtype=np.float64)
        users, items = (rng.choice(codes, size, p=p) for codes in (row_codes(self.history), self.history.indices))
        _, variance = self.posterior.predict(self.posterior.users.vectors, users, items)
        # With steps, factors.score_variance includes it already.
        score_variance = float(variance.mean()) if self.factors.steps is None else 0.0
        wider: dict[str, Any] = {
            name: None if level is None else np.sqrt(level**2 + np.float32(score_variance))
            for name, level in (("user_noise", self.user_noise), ("item_noise", self.item_noise))
        }
        noise = float(np.sqrt(self.noise**2 + score_variance))
        return replace(self, posterior=None, noise=noise, user_info=None, item_info=None, **wider)  # no draws, no link


def _comparable(vectors: Floats, prior_mean: Floats, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows of one side have ratings, or factors that are neither zero nor the prior mean, (n,)."""
    factors, mean = vectors[:, :-1], prior_mean[:-1]
    is_typical = np.isclose(factors, mean, rtol=1e-4, atol=1e-6).all(axis=1)
    return np.asarray((counts > 0) | (factors.any(axis=1) & ~is_typical))


def _titles_of(vocabulary: Vocabulary, table: pl.DataFrame | None) -> Titles | None:
    texts = titles(table) if vocabulary.what == "item" else None
    return None if texts is None else Titles(texts)


def _user_info(model: Model) -> SideInfo | None:
    """The user_info of a model, with the encoding of its table: a loaded model has not encoded it yet."""
    return None if model.user_info is None else model.user_info.learned_from(model.user_table)


def _uses_attributes(info: SideInfo | None, posterior: Posterior | None) -> bool:
    return posterior is not None and info is not None and info.attributes is not None
