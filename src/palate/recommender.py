"""Recommender: a trained model by the ids people know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from os import PathLike
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from palate import storing
from palate._columns import is_usual, there_are
from palate.answers import CrossTab, Explanation, Frame, Prediction, is_frame, make_frame
from palate.errors import DataError, OptionError, UnknownLabelError
from palate.explaining import explain_row
from palate.factors import Codes, Factors, Floats
from palate.model import Model, People
from palate.posterior import Posterior
from palate.ranking import By, Query, rank, similar_rows
from palate.ratings import CompressedRows, Ratings, titles
from palate.vocabulary import Label, Vocabulary

OnUnknown = Literal["fallback", "nan", "raise"]


class Recommender:
    """A trained model. Ask it by labels; a scalar gets a short answer, a list or frame gets a frame of the same kind.

    >>> import palate
    >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
    >>> prediction, low, high = rec.predict("u1", "i2")
    >>> low < prediction < high
    True
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    @classmethod
    def from_training(
        cls,
        ratings: Ratings,
        *,
        factors: Factors,
        posterior: Posterior | None = None,
        noise: float = float("nan"),
        predicts_ratings: bool = True,
        recipe: dict[str, Any] | None = None,
        training: dict[str, Any] | None = None,
    ) -> Recommender:
        """What a recipe's fit() ends with: the factors learned, joined with the ratings they were learned from."""
        return cls(
            Model(
                factors=factors,
                posterior=posterior,
                noise=noise,
                user_vocabulary=ratings.user_vocabulary,
                item_vocabulary=ratings.item_vocabulary,
                history=ratings.by_user(),
                limits=ratings.range,
                user_table=ratings.user_table,
                item_table=ratings.item_table,
                predicts_ratings=predicts_ratings,
                recipe=recipe or {},
                training=training or {},
            )
        )

    # ---- what it is ----------------------------------------------------------------------------------------------

    @property
    def n_users(self) -> int:
        """Users it knows."""
        return len(self.model.user_vocabulary)

    @property
    def n_items(self) -> int:
        """Items it knows."""
        return len(self.model.item_vocabulary)

    @property
    def n_factors(self) -> int:
        """Latent factors, biases not counted."""
        return self.model.factors.n_factors

    @property
    def mean(self) -> float:
        """The rating everything is measured from."""
        return self.model.factors.mean

    @property
    def user_factors(self) -> Floats:
        """(n_users, n_factors), in the order of the vocabulary."""
        return self.model.factors.users[:, :-1]

    @property
    def item_factors(self) -> Floats:
        """(n_items, n_factors), in the order of the vocabulary."""
        return self.model.factors.items[:, :-1]

    @property
    def user_bias(self) -> Floats:
        """(n_users,), in the order of the vocabulary."""
        return self.model.factors.users[:, -1]

    @property
    def item_bias(self) -> Floats:
        """(n_items,), in the order of the vocabulary."""
        return self.model.factors.items[:, -1]

    @property
    def has_intervals(self) -> bool:
        """Whether predict() gives intervals; without them low and high are nan."""
        return not np.isnan(self.model.noise)

    @property
    def has_posterior(self) -> bool:
        """Whether it kept draws: intervals that differ from pair to pair, by="lower" and by="thompson"."""
        return self.model.posterior is not None

    def __repr__(self) -> str:
        name = self.model.recipe.get("name", "Recommender")
        posterior = "" if self.model.posterior is None else f", {len(self.model.posterior)} posterior draws"
        return f"<{name}: {self.n_users:,} users, {self.n_items:,} items, {self.n_factors} factors{posterior}>"

    # ---- predict ---------------------------------------------------------------------------------------------------

    @overload
    def predict(self, users: Label, items: Label, *, level: float = ..., on_unknown: OnUnknown = ...) -> Prediction: ...
    @overload
    def predict(self, users: Any, items: Any = ..., *, level: float = ..., on_unknown: OnUnknown = ...) -> Any: ...
    def predict(
        self, users: Any, items: Any = None, *, level: float = 0.9, on_unknown: OnUnknown = "fallback"
    ) -> Prediction | Frame:
        """The expected rating and the interval that holds the real one with probability `level`.

        predict(user, item) gives a Prediction; predict(users, items), two lists of one length, or predict(frame) with a
        user and an item column give a frame: user, item, prediction, low, high, one row in, one row out. An unknown
        user or item falls back on what is known of the other and of everybody, with its wider interval
        (on_unknown="fallback"), gives nan ("nan") or an UnknownLabelError ("raise"). Predictions and intervals stay
        within the rating range seen in training.
        """
        _check_choice("on_unknown", on_unknown, ("fallback", "nan", "raise"))
        _check_level(level)
        if items is None:
            users_given, items_given = self._pair_columns(users)
            return self._predict_many(users_given, items_given, level, on_unknown, like=users)
        if isinstance(users, str | int | np.integer) and isinstance(items, str | int | np.integer):
            row = self.predict_codes(
                self._codes(self.model.user_vocabulary, [users], on_unknown),
                self._codes(self.model.item_vocabulary, [items], on_unknown),
                level=level,
                on_unknown=on_unknown,
            )
            return Prediction(*(float(column[0]) for column in row))
        return self._predict_many(*_same_length(users, items), level, on_unknown, like=None)

    def _predict_many(self, users: Any, items: Any, level: float, on_unknown: OnUnknown, like: Frame) -> Frame:
        user_codes = self._codes(self.model.user_vocabulary, users, on_unknown)
        item_codes = self._codes(self.model.item_vocabulary, items, on_unknown)
        names = ("prediction", "low", "high")
        numbers = zip(
            names, self.predict_codes(user_codes, item_codes, level=level, on_unknown=on_unknown), strict=True
        )
        whats = self.model.user_vocabulary.what, self.model.item_vocabulary.what
        return make_frame({whats[0]: _labels(users), whats[1]: _labels(items)} | dict(numbers), like)

    def predict_codes(
        self, user_codes: Codes, item_codes: Codes, *, level: float = 0.9, on_unknown: OnUnknown = "fallback"
    ) -> tuple[NDArray[np.float64], ...]:
        """prediction, low and high, (n,) each, of pairs of codes; -1 is somebody or something unknown."""
        model = self.model
        expected = model.factors.predict(user_codes, item_codes).astype(np.float64)
        if model.posterior is None:
            spread = np.full(len(expected), model.noise)
        else:
            mean, variance = model.posterior.predict(model.posterior.users.vectors, user_codes, item_codes)
            unknown = (user_codes < 0) | (item_codes < 0)
            expected[unknown] = mean[unknown]
            spread = np.sqrt(variance + model.noise**2)
        answer = interval(expected, spread, level, self._limits)
        if on_unknown == "nan":
            for column in answer:
                column[(user_codes < 0) | (item_codes < 0)] = np.nan
        return answer

    @property
    def _limits(self) -> tuple[float, float]:
        return self.model.limits if self.model.predicts_ratings else (-np.inf, np.inf)

    # ---- recommend -------------------------------------------------------------------------------------------------

    def recommend(
        self,
        users: Any = None,
        n: int = 10,
        *,
        items: Iterable[Label] | None = None,
        exclude: Iterable[Label] = (),
        keep_seen: bool = False,
        by: By = "mean",
        level: float = 0.9,
        seed: int = 0,
        out: str | PathLike[str] | None = None,
        on_unknown: OnUnknown = "fallback",
    ) -> Frame:
        """The n items somebody would like best: a frame of user, item, (title,) score, rank.

        users: one label, several, a frame with a user column, or None for everyone. items: only these; exclude: none of
        these; keep_seen: also what was rated already. by: "mean" ranks by the expected rating, "lower" by the lower end
        of its interval at `level` (cautious), "thompson" by one draw from the posterior (exploring; seeded). out: write
        to .parquet, .csv or .jsonl block by block in bounded memory and return the path. Ties go to the lower code.
        Fewer than n rows come back when fewer items are left. An unknown user gets what people in general like best.
        """
        codes = (
            np.arange(self.n_users, dtype=np.int32)
            if users is None
            else self._codes(self.model.user_vocabulary, self._user_labels(users), on_unknown)
        )
        labels = self.model.user_vocabulary.labels if users is None else _labels(self._user_labels(users))
        query = self._query(n, items, exclude, keep_seen, by, level, seed)
        return rank(self.model, _Lazy(self, codes), labels, query, like=users if is_frame(users) else None, out=out)

    def _query(self, n: int, items: Any, exclude: Any, keep_seen: bool, by: By, level: float, seed: int) -> Query:
        _check_choice("by", by, ("mean", "lower", "thompson"))
        _check_level(level)
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0:
            raise OptionError(f"n must be a whole number, 0 or more, got {n!r}.")
        if by != "mean" and self.model.posterior is None:
            raise OptionError(
                f'by="{by}" needs the draws of a Bayes fit, which this model does not have; use by="mean".'
            )
        allowed = np.ones(self.n_items, bool) if items is None else np.zeros(self.n_items, bool)
        if items is not None:
            allowed[self.model.item_vocabulary.encode(items)] = True
        allowed[self.model.item_vocabulary.encode(exclude)] = False
        return Query(int(n), allowed, keep_seen, by, z_of(level), seed)

    def people(self, codes: Codes) -> People:
        """Rows for codes; -1 is somebody without any rating."""
        if len(codes) == 0 or codes.min() >= 0:
            return self.model.known(codes)
        strangers = self.model.newcomers(_empty_rows(1))
        known = self.model.known(np.maximum(codes, 0))
        unknown = codes < 0
        vectors = np.where(unknown[:, None], strangers.vectors, known.vectors)
        draws = None
        if known.draws is not None and strangers.draws is not None:
            draws = np.where(unknown[None, :, None], strangers.draws, known.draws)
        keep = np.repeat(~unknown, known.history.counts)
        counts = np.where(unknown, 0, known.history.counts)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        history = CompressedRows(indptr, known.history.indices[keep], known.history.values[keep], None)
        return People(vectors, draws, history)

    # ---- similar ---------------------------------------------------------------------------------------------------

    def similar_items(self, item: Any, n: int = 10) -> Frame:
        """The n items whose factors point the same way: cosine, biases left out. item: a label, or several."""
        return self._transposed.similar_users(item, n)

    def similar_users(self, user: Any, n: int = 10) -> Frame:
        """The n users whose factors point the same way: cosine, biases left out. user: a label, or several."""
        labels = self._user_labels(user)
        codes = self.model.user_vocabulary.encode(labels)
        return similar_rows(self.model, self.model.factors.users[codes], codes, labels, n, named=_is_many(user))

    # ---- explain ---------------------------------------------------------------------------------------------------

    def explain(self, user: Label, item: Label) -> Explanation:
        """Mean + user + item + factors, which add up to the prediction, and which own ratings did it."""
        user_code = self.model.user_vocabulary.encode_one(user)
        item_code = self.model.item_vocabulary.encode_one(item)
        return explain_row(self.model, self.people(np.array([user_code], np.int32)), user, item_code, self._limits)

    def history(self, user: Label) -> Frame:
        """What a user rated in training, best first: item, (title,) rating."""
        codes, values = self.model.history.row(self.model.user_vocabulary.encode_one(user))
        order = np.lexsort((codes, -values))
        columns: dict[str, Any] = {self.model.item_vocabulary.what: self.model.item_vocabulary.decode(codes[order])}
        names = titles(self.model.item_table)
        if names is not None:
            columns["title"] = [names[code] for code in codes[order]]
        return make_frame(columns | {"rating": values[order]})

    def cross_tab(self, users: Iterable[Label] | None = None, items: Iterable[Label] | None = None) -> CrossTab:
        """The users x items table: known ratings beside predictions; by default the ten most active and most rated."""
        rows, columns = self.model.user_vocabulary, self.model.item_vocabulary
        counts = np.bincount(self.model.history.indices, minlength=self.n_items)
        user_codes = _most(self.model.history.counts) if users is None else rows.encode(users)
        item_codes = _most(counts) if items is None else columns.encode(items)
        known = np.full((len(user_codes), len(item_codes)), np.nan, np.float32)
        for at, user in enumerate(user_codes):
            rated, values = self.model.history.row(int(user))
            place = {int(code): value for code, value in zip(rated, values, strict=True)}
            known[at] = [place.get(int(code), np.nan) for code in item_codes]
        scores = self.model.factors.scores(self.model.factors.users[user_codes])[:, item_codes]
        names = titles(self.model.item_table) or [None] * self.n_items
        return CrossTab(
            rows.decode(user_codes).tolist(),
            columns.decode(item_codes).tolist(),
            [names[code] for code in item_codes],
            known,
            np.clip(scores, *self._limits).astype(np.float32),
        )

    # ---- somebody new ------------------------------------------------------------------------------------------------

    def fold_in(self, ratings: Any, side: Literal["user", "item"] = "user") -> Newcomer:
        """Somebody never seen, from a mapping {item: rating} or a frame of items and ratings; nothing is retrained.

        side="item" takes in a new item from the ratings users gave it. Raises UnknownLabelError for an unknown label,
        DataError for a value that is no number.
        """
        _check_choice("side", side, ("user", "item"))
        if side == "item":
            return self._transposed.fold_in(ratings)
        pairs = ratings.items() if isinstance(ratings, Mapping) else zip(*self._rating_columns(ratings), strict=True)
        given = dict(pairs)
        codes = self.model.item_vocabulary.encode(list(given))
        try:
            values = np.array([float(value) for value in given.values()], np.float32)
        except (TypeError, ValueError) as error:
            raise DataError(f"a rating must be a number: {error}.") from None
        if not np.isfinite(values).all():
            raise DataError("a rating is NaN or infinite.")
        history = CompressedRows(np.array([0, len(codes)], np.int64), codes, values, None)
        return Newcomer(self, self.model.newcomers(history))

    @cached_property
    def _transposed(self) -> Recommender:
        return Recommender(self.model.transposed())

    # ---- keep ------------------------------------------------------------------------------------------------------

    def compact(self) -> Recommender:
        """The same model without its posterior draws: smaller, same predictions, intervals of one width for all."""
        return Recommender(self.model.compact())

    def with_metrics(self, metrics: dict[str, Any]) -> Recommender:
        """The same model with measured metrics noted in it (they are saved along)."""
        return Recommender(replace(self.model, metrics=dict(metrics)))

    def save(self, path: str | PathLike[str]) -> None:
        """Write one .palate file, atomically: until it is whole, the old one stays."""
        storing.save(self.model, path)

    # ---- labels ----------------------------------------------------------------------------------------------------

    def _codes(self, vocabulary: Vocabulary, labels: Any, on_unknown: OnUnknown) -> Codes:
        return vocabulary.encode(labels, on_unknown="raise" if on_unknown == "raise" else "mark")

    def _user_labels(self, users: Any) -> Any:
        if is_frame(users):
            return _frame_column(users, self.model.user_vocabulary.what)
        return users if _is_many(users) else [users]

    def _pair_columns(self, frame: Any) -> tuple[Any, Any]:
        if not is_frame(frame):
            raise OptionError("predict takes a user and an item, two lists, or a frame with both columns.")
        whats = self.model.user_vocabulary.what, self.model.item_vocabulary.what
        return _frame_column(frame, whats[0]), _frame_column(frame, whats[1])

    def _rating_columns(self, frame: Any) -> tuple[Any, Any]:
        if not is_frame(frame):
            raise OptionError("fold_in takes a mapping {item: rating} or a frame with an item and a rating column.")
        return _frame_column(frame, self.model.item_vocabulary.what), _frame_column(frame, "rating")


class Newcomer:
    """Somebody (or something) the model was not trained on, answered for like anybody else."""

    def __init__(self, recommender: Recommender, people: People) -> None:
        self._recommender = recommender
        self._people = people
        self._model = recommender.model

    @property
    def vector(self) -> Floats:
        """(n_factors + 1,): factors, then the bias."""
        vector: Floats = self._people.vectors[0]
        return vector

    def predict(self, items: Any, *, level: float = 0.9, on_unknown: OnUnknown = "fallback") -> Prediction | Frame:
        """Expected ratings with intervals: one item gives a Prediction, several give a frame."""
        _check_level(level)
        labels = items if _is_many(items) else [items]
        codes = self._recommender._codes(self._model.item_vocabulary, labels, on_unknown)
        same = np.zeros(len(codes), np.int32)
        factors = replace(self._model.factors, users=self._people.vectors)
        expected = factors.predict(same, codes).astype(np.float64)
        spread = np.full(len(codes), self._model.noise)
        if self._model.posterior is not None and self._people.draws is not None:
            mean, variance = self._model.posterior.predict(self._people.draws, same, codes)
            expected[codes < 0] = mean[codes < 0]
            spread = np.sqrt(variance + self._model.noise**2)
        answer = interval(expected, spread, level, self._recommender._limits)
        if not _is_many(items):
            return Prediction(*(float(column[0]) for column in answer))
        names = ("prediction", "low", "high")
        return make_frame({self._model.item_vocabulary.what: _labels(labels)} | dict(zip(names, answer, strict=True)))

    def recommend(
        self,
        n: int = 10,
        *,
        items: Iterable[Label] | None = None,
        exclude: Iterable[Label] = (),
        keep_seen: bool = False,
        by: By = "mean",
        level: float = 0.9,
        seed: int = 0,
    ) -> Frame:
        """The n items they would like best: item, (title,) score, rank. Options as in Recommender.recommend."""
        query = self._recommender._query(n, items, exclude, keep_seen, by, level, seed)
        return rank(self._model, self._people.part, None, query)

    def similar_users(self, n: int = 10) -> Frame:
        """The n known users (or items) whose factors point the same way."""
        return similar_rows(self._model, self._people.vectors, None, [None], n, named=False)

    def explain(self, item: Label) -> Explanation:
        """Where the prediction for an item comes from, own rating by own rating."""
        code = self._model.item_vocabulary.encode_one(item)
        return explain_row(self._model, self._people, "new", code, self._recommender._limits)


class _Lazy:
    """People for a slice of many codes, made when their block is due."""

    def __init__(self, recommender: Recommender, codes: Codes) -> None:
        self._recommender, self._codes = recommender, codes

    def __call__(self, rows: slice) -> People:
        return self._recommender.people(self._codes[rows])


def interval(
    expected: NDArray[np.float64], spread: NDArray[np.float64], level: float, limits: tuple[float, float]
) -> tuple[NDArray[np.float64], ...]:
    """The expectation -+ z spread, all three clipped to the rating range."""
    z = z_of(level)
    with np.errstate(invalid="ignore"):
        return (
            np.clip(expected, *limits),
            np.clip(expected - z * spread, *limits),
            np.clip(expected + z * spread, *limits),
        )


def z_of(level: float) -> float:
    """How many standard deviations on each side hold `level` of a Normal."""
    from statistics import NormalDist

    return NormalDist().inv_cdf((1 + level) / 2)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise OptionError(f"level must lie between 0 and 1, got {level!r}.")


def _check_choice(name: str, given: Any, choices: Sequence[str]) -> None:
    if given not in choices:
        raise OptionError(f"{name}={given!r} is none of {', '.join(map(repr, choices))}.")


def _is_many(labels: Any) -> bool:
    return not isinstance(labels, str | int | np.integer)


def _labels(labels: Any) -> Any:
    """Labels as an array a frame can be made of."""
    if isinstance(labels, np.ndarray):
        return labels
    collected = list(labels)
    return np.array(collected, dtype=object if any(isinstance(label, str) for label in collected) else None)


def _same_length(users: Any, items: Any) -> tuple[Any, Any]:
    many_users = [users] * (len(items) if _is_many(items) else 1) if not _is_many(users) else list(users)
    many_items = [items] * len(many_users) if not _is_many(items) else list(items)
    if len(many_users) != len(many_items):
        raise OptionError(f"predict got {len(many_users)} users and {len(many_items)} items; give one item per user.")
    return many_users, many_items


def _frame_column(frame: Any, field: str) -> NDArray[Any]:
    import narwhals as nw

    native = nw.from_native(frame, eager_only=True)
    found = [name for name in native.columns if name == field] or [n for n in native.columns if is_usual(n, field)]
    if not found:
        raise DataError(f"the frame has no {field} column. {there_are(list(native.columns))}")
    column: NDArray[Any] = native[found[0]].to_numpy()
    return column.astype(object) if native[found[0]].dtype == nw.String else column


def _empty_rows(n: int) -> CompressedRows:
    return CompressedRows(np.zeros(n + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), None)


def _most(counts: NDArray[Any], n: int = 10) -> Codes:
    return np.argsort(-counts, kind="stable")[:n].astype(np.int32)


def load(path: str | PathLike[str]) -> Recommender:
    """A saved model; nothing in the file is executed. Raises a ModelFileError that says what is wrong with the file."""
    return Recommender(storing.load(path))


__all__ = ["Newcomer", "Recommender", "UnknownLabelError", "load"]
