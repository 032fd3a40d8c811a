"""Model: everything a fit leaves behind, in codes, with the vocabularies beside it. What a model file holds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Kind, Ratings, titles
from palate.data.rows import CompressedRows, row_codes, rows_where, take_rows, transpose_rows
from palate.data.titles import Titles
from palate.data.vocabulary import Vocabulary
from palate.models.effects import TimeEffects
from palate.models.factors import Codes, Doubles, Factors, Floats
from palate.models.history_factors import HistoryFactors
from palate.models.implicit import with_mean_counts
from palate.models.posterior import Posterior, Projection
from palate.models.propensity import Propensity, fit_propensity
from palate.models.side_information import SideInfo

if TYPE_CHECKING:
    import polars as pl


MAX_SCALE_STEPS = 100  # of a scale of ratings


@dataclass(frozen=True)
class UserRows:
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
class Forecast:
    """What is expected of ratings: mean and standard deviation, (n,) each.

    doubt: (n,) the variance of the scores; chances: (n, K) of each step, where ratings are ordered.
    """

    mean: Doubles
    standard_deviation: Doubles
    score_variance: Doubles
    probabilities: Doubles | None = None


@dataclass(frozen=True)
class Model:
    """Factors, their posterior where there is one, vocabularies, tables, the ratings learned from, how it came to be.

    noise: standard deviation of a rating around its expectation at an unknown moment (nan: not claimed); user_noise and
    item_noise: that of each user or item, where they differ. limits: the rating range. effects: what is known of
    moments; the factors describe the present. kind: of the ratings learned from, "explicit" or "implicit".
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
    effects: TimeEffects | None = None
    user_noise: Floats | None = None
    item_noise: Floats | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.factors, HistoryFactors) and not self.factors.has_history(self.history):
            object.__setattr__(self, "factors", self.factors.with_history(self.history))

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
        """Factors and what else a fit has learned, joined with the ratings that it learned from."""
        return cls(
            factors=factors,
            posterior=posterior,
            noise=noise,
            user_vocabulary=ratings.user_vocabulary,
            item_vocabulary=ratings.item_vocabulary,
            history=ratings.by_user(),
            limits=ratings.range,
            kind=ratings.kind,
            user_table=ratings.user_table,
            item_table=ratings.item_table,
            **more,
        )

    @property
    def score_limits(self) -> tuple[float, float]:
        """What predictions are clipped to: the rating range, or nothing where scores are no ratings."""
        return self.limits if self.predicts_ratings else (-np.inf, np.inf)

    @cached_property
    def item_titles(self) -> Titles | None:
        """The titles of the items, None without a column of them (or where a transposed model's items are users)."""
        return _titles_of(self.item_vocabulary, self.item_table)

    @cached_property
    def user_titles(self) -> Titles | None:
        """The titles of the users of a transposed model, which are items; None otherwise."""
        return _titles_of(self.user_vocabulary, self.user_table)

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

    @cached_property
    def propensity(self) -> Propensity:
        """Who chooses what, learned from the ratings when first asked for."""
        return fit_propensity(self.history, len(self.item_vocabulary))

    @cached_property
    def rating_step(self) -> float:
        """The distance between a rating and the next one up, 0 where they are not those of a scale."""
        values = np.unique(self.history.values)
        return float(np.median(np.diff(values))) if 1 < len(values) <= MAX_SCALE_STEPS else 0.0

    def rated_users(self, codes: Codes) -> Codes:
        """The codes, -1 for users without a training rating."""
        return np.where(np.append(self.history.counts, 0)[codes] > 0, codes, -1).astype(np.int32)

    def rated_items(self, codes: Codes) -> Codes:
        """The codes, -1 for items without a training rating."""
        return np.where(np.append(self._item_counts, 0)[codes] > 0, codes, -1).astype(np.int32)

    def users_with_data(self, codes: Codes) -> Codes:
        """The codes, -1 where a model knows no more of a user than of a stranger: no rating, and no link to attributes.

        With a link, the draws of a user say what is expected of him and how doubtful that is.
        """
        return codes if _has_attributes(self.user_info, self.posterior) else self.rated_users(codes)

    def items_with_data(self, codes: Codes) -> Codes:
        """The same for items."""
        return codes if _has_attributes(self.item_info, self.posterior) else self.rated_items(codes)

    def forecast(self, user_codes: Codes, item_codes: Codes, when: Doubles | None = None) -> Forecast:
        """What is expected of pairs of known users and items (-1: unknown) at moments (nan: now; None: all now)."""
        draws = None if self.posterior is None else self.posterior.users.vectors
        described = self.users_with_data(user_codes), self.items_with_data(item_codes)
        timestamp = self.effects_at(user_codes, item_codes, when)
        return self._forecast(self.factors, draws, (user_codes, item_codes), described, timestamp)

    def forecast_new(self, user_rows: UserRows, item_codes: Codes, *, has_data: bool) -> Forecast:
        """The same for one new person and items, now; is_described: whether anything is known of the person."""
        rows = np.zeros(len(item_codes), np.int32)
        factors = self.factors.with_users(user_rows.vectors, user_rows.history)
        described = rows if has_data else rows - np.int32(1), self.items_with_data(item_codes)
        timestamp = self.effects_at(rows - np.int32(1), item_codes, None)
        return self._forecast(factors, user_rows.draws, (rows, item_codes), described, timestamp)

    def _forecast(
        self,
        factors: Factors,
        draws: Floats | None,
        codes: tuple[Codes, Codes],
        described: tuple[Codes, Codes],
        timestamp: tuple[Doubles, Doubles, Doubles | float],
    ) -> Forecast:
        moved, noise_variance, score_variance = timestamp
        if self.posterior is None or draws is None:
            variance = self.factors.unknown_variance(*described, users=factors.users) + factors.score_variance
        else:
            _, variance = self.posterior.predict(draws, *described)
        variance = np.maximum(np.asarray(variance + score_variance, np.float64), 0)
        if factors.steps is None:
            expected = factors.predict(*codes).astype(np.float64) + moved
            return Forecast(expected, np.sqrt(noise_variance + variance), variance)
        scores = factors.pair_scores(factors.users, *codes).astype(np.float64) + moved
        chances = factors.steps.probabilities(scores, variance)
        expected = chances @ factors.steps.values
        spread = np.sqrt(np.maximum(chances @ factors.steps.values**2 - expected**2, 0))
        return Forecast(expected, spread, variance, chances)

    def effects_at(
        self, user_codes: Codes, item_codes: Codes, when: Doubles | None
    ) -> tuple[Doubles, Doubles, Doubles | float]:
        """What moments (nan: now) move ratings by, the noise's variance there, and what they add to the doubt."""
        effects, noise = self.effects, self.noise_of(user_codes, item_codes) ** 2
        if effects is not None and when is not None:
            moved, score_variance = effects.at(user_codes, item_codes, when)
            if self.factors.steps is not None and self.posterior is None:
                score_variance = score_variance - effects.unknown_variance  # which the factors' doubt holds
            return moved, np.maximum(noise - effects.unknown_variance, 0.0), score_variance
        still = np.zeros(len(user_codes))
        if effects is None or self.factors.steps is None or self.posterior is None:
            return still, noise, 0.0  # the noise, or the factors' doubt, is that of an unknown moment
        return still, noise, effects.unknown_variance

    def noise_of(self, user_codes: Codes, item_codes: Codes | None = None) -> Doubles:
        """Standard deviation of ratings around their expectation at an unknown moment, (n,); -1 is anybody."""
        if self.user_noise is not None:
            return np.append(self.user_noise, self.noise)[user_codes].astype(np.float64)
        if self.item_noise is not None and item_codes is not None:
            return np.append(self.item_noise, self.noise)[item_codes].astype(np.float64)
        return np.full(len(user_codes), self.noise)

    def weighted(self, history: CompressedRows, codes: Codes) -> CompressedRows:
        """Ratings of the users `codes` (-1: new ones) with the weights that they have by whose ratings they are."""
        if self.posterior is None or (self.user_noise is None and self.item_noise is None):
            return history
        weights = np.ones(len(history.values), np.float32) if history.weights is None else history.weights
        usual = self.posterior.noise
        if self.user_noise is not None:
            levels = np.append(self.user_noise, np.float32(usual))[codes]
            weights = weights * np.repeat((usual / levels) ** 2, history.counts)
        if self.item_noise is not None:
            weights = weights * (usual / self.item_noise[history.indices]) ** 2
        return replace(history, weights=weights.astype(np.float32))

    def _trained_rows(self, codes: Codes) -> UserRows:
        """Users the model was trained on, by code."""
        posterior = self.posterior
        draw = None if posterior is None else lambda: posterior.users.vectors[:, codes]
        return UserRows(codes, self.factors.users[codes], take_rows(self.history, codes), draw)

    def fold_in(self, history: CompressedRows, known: Sequence[Mapping[str, Any]] | None = None) -> UserRows:
        """Users the model has never seen, from their ratings and what is known of them; nobody else's vector changes.

        known: for each a mapping {field: value}, where the model learned from a table of users.
        """
        codes = np.full(history.n_rows, -1, np.int32)
        posterior = self.posterior
        if posterior is None:
            return UserRows(codes, self.factors.fold_in(history), history, None)
        features = None if self.user_info is None else self.user_info.matrix(history, self.user_info.encode(known))
        weighted = self.weighted(history, codes)
        likely = self._projection(posterior.solve_new(weighted, features))
        return UserRows(codes, likely, history, lambda: posterior.solve(weighted, features, draw=True), features)

    def features_of(self, user_rows: UserRows) -> CompressedRows | None:
        """The matrix F of what is known of people besides their ratings; None where nothing is."""
        if self.user_info is None or user_rows.features is not None:
            return user_rows.features
        table = None if self.user_table is None else self.user_table[user_rows.codes]
        return self.user_info.matrix(user_rows.history, self.user_info.encode(table))

    def user_rows(self, codes: Codes) -> UserRows:
        """Rows for codes; -1 is somebody without any rating."""
        if len(codes) == 0 or codes.min() >= 0:
            return self._trained_rows(codes)
        cold_start = self.fold_in(CompressedRows.empty(1))
        known = self._trained_rows(np.maximum(codes, 0))
        unknown = codes < 0
        vectors = np.where(unknown[:, None], cold_start.vectors, known.vectors)

        def draw() -> Floats:
            assert cold_start.draws is not None and known.draws is not None
            return np.where(unknown[None, :, None], cold_start.draws, known.draws)

        history = rows_where(known.history, ~unknown)
        return UserRows(codes, vectors, history, None if known.draw is None else draw)

    def targets_of(self, user_rows: UserRows) -> Floats:
        """What the vector of the one person in `people` is fitted to: ratings, or the mean latent behind each."""
        if self.factors.steps is None:
            return user_rows.history.values
        return self.factors.latents(user_rows.history, user_rows.vectors)

    def scores(self, user_rows: UserRows) -> Floats:
        """What people are expected to give every item, or the scores to rank by, (m, n_items)."""
        return self.factors.with_users(user_rows.vectors, user_rows.history).user_scores()

    def transposed(self) -> Model:
        """The same model with users and items exchanged: what it says of items it then says of users."""
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
        """The same model without the posterior's draws: the same predictions, and one width of interval for all items.

        The noise then takes in what the draws disagreed about on average, over random pairs of a user and an item that
        are as active as those of the ratings.
        """
        if self.posterior is None:
            return self
        rng = np.random.Generator(np.random.Philox(0))
        size = min(4096, len(self.history.indices))
        users, items = (rng.choice(codes, size) for codes in (row_codes(self.history), self.history.indices))
        _, variance = self.posterior.predict(self.posterior.users.vectors, users, items)
        disagreed = float(variance.mean()) if self.factors.steps is None else 0.0  # the factors' doubt holds it else
        wider: dict[str, Any] = {
            name: None if level is None else np.sqrt(level**2 + np.float32(disagreed))
            for name, level in (("user_noise", self.user_noise), ("item_noise", self.item_noise))
        }
        noise = float(np.sqrt(self.noise**2 + disagreed))
        return replace(self, posterior=None, noise=noise, user_info=None, item_info=None, **wider)  # links were draws'


def _titles_of(vocabulary: Vocabulary, table: pl.DataFrame | None) -> Titles | None:
    texts = titles(table) if vocabulary.what == "item" else None
    return None if texts is None else Titles(texts)


def _has_attributes(info: SideInfo | None, posterior: Posterior | None) -> bool:
    return posterior is not None and info is not None and info.attributes is not None
