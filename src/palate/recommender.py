"""Recommender: a trained model by the ids people know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from os import PathLike
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from palate import storing
from palate.answers.arguments import (
    Doubles,
    OnUnknown,
    Timestamp,
    check_choice,
    choices_of,
    history_of,
    is_many,
    timestamps_of,
)
from palate.answers.explaining import explain_row
from palate.answers.fold_in import FoldIn
from palate.answers.predicting import columns_of, predict
from palate.answers.ranking import (
    Alike,
    By,
    ItemIndex,
    Job,
    Wishes,
    built,
    check_indexed,
    labels_of,
    recommend,
    similar_rows,
)
from palate.answers.shapes import CrossTab, Distribution, Explanation, Frame, Prediction
from palate.answers.showing import cross_tab, history_frame
from palate.answers.updating import forgotten, updated
from palate.data.ratings import Ratings
from palate.data.vocabulary import Label
from palate.models.factors import Codes, Factors, Floats
from palate.models.model import Model, UserRows


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
    def from_training(cls, ratings: Ratings, *, factors: Factors, **learned: Any) -> Recommender:
        """What a fit ends with: what was learned, by its name in Model, joined with the ratings it was learned from."""
        return cls(Model.learned_from(ratings, factors=factors, **learned))

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
        factors = self.model.factors
        return float(factors.ratings_at(np.array([factors.mean], np.float64))[0])

    @property
    def user_factors(self) -> Floats:
        """(n_users, n_factors), in the order of the vocabulary."""
        return self.model.factors.users[:, :-1] * np.float32(np.sqrt(self.model.factors.scale))

    @property
    def item_factors(self) -> Floats:
        """(n_items, n_factors), in the order of the vocabulary."""
        return self.model.factors.items[:, :-1] * np.float32(np.sqrt(self.model.factors.scale))

    @property
    def user_bias(self) -> Floats:
        """(n_users,), in the order of the vocabulary."""
        return self.model.factors.users[:, -1] * np.float32(self.model.factors.scale)

    @property
    def item_bias(self) -> Floats:
        """(n_items,), in the order of the vocabulary."""
        return self.model.factors.items[:, -1] * np.float32(self.model.factors.scale)

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
    def predict(
        self,
        users: Label,
        items: Label,
        *,
        distribution: Literal[True],
        when: Timestamp | None = ...,
        level: float = ...,
        on_unknown: OnUnknown = ...,
    ) -> Distribution: ...
    @overload
    def predict(
        self,
        users: Label,
        items: Label,
        *,
        when: Timestamp | None = ...,
        level: float = ...,
        on_unknown: OnUnknown = ...,
    ) -> Prediction: ...
    @overload
    def predict(
        self,
        users: Any,
        items: Any = ...,
        *,
        when: Any = ...,
        level: float = ...,
        distribution: bool = ...,
        on_unknown: OnUnknown = ...,
    ) -> Any: ...
    def predict(
        self,
        users: Any,
        items: Any = None,
        *,
        when: Any = None,
        level: float = 0.9,
        distribution: bool = False,
        on_unknown: OnUnknown = "fallback",
    ) -> Prediction | Distribution | Frame:
        """The expected rating and the interval that holds the real one with probability `level`.

        predict(user, item) gives a Prediction; predict(users, items), two lists of one length, or predict(frame) with a
        user and an item column give a frame: user, item, prediction, low, high, one row in, one row out. An unknown
        user or item falls back on what is known of the other and of everybody, with its wider interval
        (on_unknown="fallback"), gives nan ("nan") or an UnknownLabelError ("raise"). Predictions and intervals stay
        within the rating range seen in training.

        when: the moment, or one per row: seconds since 1970, a datetime, an ISO text; None is now, or what a frame's
        time column says. Only models of Bayes(time=True) know of moments. distribution: also the chance of each rating,
        as a Distribution or in columns chance_1, chance_2, ...; only Bayes(likelihood="ordinal") knows it.
        """
        return predict(self.model, users, items, when, level, distribution=distribution, on_unknown=on_unknown)

    def predict_codes(
        self, user_codes: Codes, item_codes: Codes, *, when: NDArray[Any] | None = None, level: float = 0.9
    ) -> tuple[Doubles, ...]:
        """prediction, low and high, (n,) each, of pairs of codes (-1: unknown) at moments (in seconds; nan: now)."""
        return tuple(columns_of(self.model, self.model.forecast(user_codes, item_codes, when), level).values())

    # ---- recommend -------------------------------------------------------------------------------------------------

    def recommend(
        self,
        users: Any = None,
        n: int = 10,
        *,
        items: Any = None,
        exclude: Any = (),
        where: Any = None,
        max_per: Mapping[str, int] | None = None,
        keep_seen: bool = False,
        by: By = "mean",
        level: float = 0.9,
        at_least: float | None = None,
        seed: int = 0,
        out: str | PathLike[str] | None = None,
        memory: str | int | None = None,
        resume: bool = False,
        index: Literal["ann"] | None = None,
        on_unknown: OnUnknown = "fallback",
    ) -> Frame:
        """The n items somebody would like best: a frame of user, item, (title,) score, rank.

        users: one label, several, a frame with a user column, or None for everyone. items: only these; exclude: none of
        these; each a list for all, or {user: [items]} or a frame of users and items, where whoever is not in `items`
        gets nothing. where: a condition on the columns of the item table, in SQL ("year >= 1990") or as a polars
        expression; what is missing (null) does not meet it. max_per: {"genre": 2} takes at most two items of each genre
        in the order of the ranking; an item with several counts in each. keep_seen: also what was rated already.

        by: "mean" ranks by the expected rating, "lower" by the lower end of its interval at `level` (cautious),
        "thompson" by one draw from the posterior (exploring; seeded), "chance" by the chance of a rating of `at_least`
        or more (ordered ratings only), which is then the score, "likely" by the chance that they choose the item at all
        and then give it `at_least` (by default, a rating above the average): for people who may pick anything, where
        "mean" knows what they would love of all that they will never look at. Who chooses what is learned from the same
        ratings when first asked for. Ties go to the lower code. Fewer than n rows come back when fewer items are left.
        An unknown user gets what people in general like best (on_unknown="fallback"), no
        rows ("nan") or an UnknownLabelError ("raise").

        out: write to .parquet, .csv or .jsonl block by block and return the path. memory: what the call may take
        besides the model, the labels and a frame it returns, such as "1GB"; by itself 256MB, or more where one user
        needs more. resume: keep each block in the folder `<out>.parts` until the file is whole, and after a kill go on
        there; the file is then the same. OptionError for other options then. index: "ann" looks the best up in
        `item_index`, approximately: for catalogues of more than a million items.

        >>> import palate
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> rec.recommend(["u0", "u40"], n=3, exclude={"u40": ["i2"]}).height
        6
        """
        wishes = Wishes(n, items, exclude, where, max_per or {}, keep_seen, by, level, at_least, seed)
        if index is not None:
            check_choice("index", index, ("ann",))
            check_indexed(wishes)  # before the minutes that building one may take
            wishes = replace(wishes, index=self.item_index)
        return recommend(self.model, users, wishes, on_unknown, Job(out, memory, resume))

    @cached_property
    def item_index(self) -> ItemIndex:
        """What recommend(index="ann") looks items up in: built when first asked for; .recall is measured on its users.

        Needs palate[ann]. OptionError without, and for a model that is no product of factors.
        """
        return built(self.model.factors)

    def user_rows(self, codes: Codes) -> UserRows:
        """Rows for codes; -1 is somebody without any rating."""
        return self.model.user_rows(codes)

    # ---- similar ---------------------------------------------------------------------------------------------------

    def similar_items(
        self, item: Any, n: int = 10, *, items: Any = None, exclude: Iterable[Label] = (), where: Any = None
    ) -> Frame:
        """The n items whose factors point the same way: cosine, biases left out. item: a label, or several.

        items: only these; exclude: none of these; where: a condition on the item table, as in recommend().
        """
        return self._transposed.similar_users(item, n, users=items, exclude=exclude, where=where)

    def similar_users(
        self, user: Any, n: int = 10, *, users: Any = None, exclude: Iterable[Label] = (), where: Any = None
    ) -> Frame:
        """The n users whose factors point the same way: cosine, biases left out. user: a label, or several.

        users: only these; exclude: none of these; where: a condition on the user table, as in recommend().
        """
        labels = labels_of(user, self.model.user_vocabulary.what)
        codes = self.model.user_vocabulary.encode(labels)
        named = labels if is_many(user) else None
        return similar_rows(self.model, self.model.known(codes), named, Alike(n, users, exclude, where))

    # ---- explain ---------------------------------------------------------------------------------------------------

    def explain(self, user: Label, item: Label, *, when: Timestamp | None = None) -> Explanation:
        """Mean + user + item + factors (+ time, with when=) add up to the prediction; and which own ratings did it."""
        user_code = self.model.user_vocabulary.encode_one(user)
        item_code = self.model.item_vocabulary.encode_one(item)
        codes = np.array([user_code], np.int32), np.array([item_code], np.int32)
        timestamps = timestamps_of(when, 1)
        moved, *_ = self.model.effects_at(*codes, timestamps)
        effects = {} if when is None or self.model.effects is None else {"time": float(moved[0])}
        forecast = self.model.forecast(*codes, timestamps)
        return explain_row(
            self.model,
            self.user_rows(codes[0]),
            user,
            item_code,
            self.model.score_limits,
            forecast.score_variance,
            effects,
        )

    def history(self, user: Label) -> Frame:
        """What a user rated in training, best first: item, (title,) rating; of choices a count, where there are any."""
        return history_frame(self.model, user)

    def cross_tab(self, users: Iterable[Label] | None = None, items: Iterable[Label] | None = None) -> CrossTab:
        """The users x items table: known ratings beside predictions; by default the ten most active and most rated."""
        return cross_tab(self.model, users, items)

    # ---- somebody new ------------------------------------------------------------------------------------------------

    def fold_in(
        self, ratings: Any, side: Literal["user", "item"] = "user", *, features: Mapping[str, Any] | None = None
    ) -> FoldIn:
        """Somebody never seen, from a mapping {item: rating} or a frame of items and ratings; nothing is retrained.

        side="item" takes in a new item from the ratings users gave it. A frame may have weights, where 1 is a rating of
        the training's average weight. features: what is known of them besides, {column: value}, in the columns of the
        table that the model learned from. Raises UnknownLabelError for an unknown label, DataError for one that comes
        twice or a value that is no rating, and OptionError for features that the model has learned nothing from.

        A model of implicit ratings takes a list of the items chosen, or a mapping {item: count}; of a new item, the
        users who chose it, whose counts weigh against what was usual of each of them in training.
        """
        check_choice("side", side, ("user", "item"))
        if side == "item":
            return self._transposed.fold_in(ratings, features=features)
        given = choices_of if self.model.kind == "implicit" else history_of
        return FoldIn(self.model, given(self.model.item_vocabulary, ratings), features)

    def ask(self, n: int = 5, given: Any = None, **options: Any) -> Frame:
        """The n items whose rating would teach most about somebody new who rated `given`; options of Newcomer.ask."""
        return self.fold_in({} if given is None else given).ask(n, **options)

    # ---- ratings that arrive or go -----------------------------------------------------------------------------------

    def update(self, ratings: Any, *, users: Any = None, items: Any = None) -> Recommender:
        """A new Recommender that has also learned from new ratings: of known and of new users and items.

        ratings: Ratings, or whatever palate.read takes; a pair rated again replaces its old rating, and of choices the
        counts add up, where there are any. users, items: tables of what is known of new ones. Only rows whose ratings
        change are solved again, under 6 draws of the posterior or more: far quicker than a fit, and nearly as good.
        What was learned of all (spreads, noise, cut points, sessions) stays: fit again when ratings have doubled. A
        weight of 1 is the training's average. Raises DataError for ratings on another scale and OptionError for a
        neural net or ratings of another kind.

        >>> import palate
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> rec.update({"user": ["new"], "item": ["i2"], "rating": [5]}).n_users
        61
        """
        from palate.data.reading import read

        if not isinstance(ratings, Ratings):
            ratings = read(ratings, kind=self.model.kind)
        ratings = ratings if users is None else ratings.with_users(users)
        return Recommender(updated(self.model, ratings if items is None else ratings.with_items(items)))

    def forget(self, *, users: Any = None, items: Any = None) -> Recommender:
        """A new Recommender without some users or items: their labels, vectors, ratings, attributes and sessions.

        What their ratings did to others is taken back by solving those again; what was learned of all (spreads, noise,
        cut points, classes of attributes, days) stays, with their small part in it. The old model and its file stay as
        they are. Raises UnknownLabelError, or DataError where nothing would be left.

        >>> import palate
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> "u1" in rec.forget(users=["u1"]).model.user_vocabulary
        False
        """
        return Recommender(forgotten(self.model, users, items))

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


def load(path: str | PathLike[str]) -> Recommender:
    """A saved model; nothing in the file is executed. Raises a ModelFileError that says what is wrong with the file.

    >>> import palate, tempfile
    >>> rec = palate.Bias().fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rec.save(f"{folder}/bias.palate")
    ...     palate.load(f"{folder}/bias.palate").predict("u1", "i2") == rec.predict("u1", "i2")
    True
    """
    return Recommender(storing.load(path))


__all__ = ["FoldIn", "Recommender", "load"]
