"""FoldIns: answers for many new users (or items) at once, each the same as if it had been folded in alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import (
    OnUnknown,
    encode,
    frame_columns,
    is_many,
    label_array,
    marking,
    rows_of_frame,
    same_length,
)
from palate.answers.fold_in import FoldIn, check_features, history_of_one
from palate.answers.frames import Frame, is_frame, make_frame
from palate.answers.names import Names
from palate.answers.predicting import check_distribution, columns_of
from palate.answers.ranking import By, RecommendOptions, query_of, rank
from palate.answers.results import Explanation
from palate.answers.shown import N_SHOWN, frame_table
from palate.answers.vectors import Metric, Question, query_vector
from palate.data.native import opened
from palate.data.output import in_kind, in_kind_by_row, kind_of
from palate.data.reading.names import is_common
from palate.data.rows import CompressedRows, stack_rows, take_rows
from palate.data.vocabulary import Label, Vocabulary, plain_label
from palate.errors import DataError, OptionError, PalateError, UnknownLabelError
from palate.models.factors import Floats
from palate.models.model import Model, UserRows
from palate.options import check_choice, check_level
from palate.showing import html, texts

N_LISTED = 20  # new users that a notebook lists


def are_many(model: Model, ratings: Any) -> bool:
    """True if ratings are those of several new users: a frame that says whose each is, or a mapping or list of them."""
    if is_frame(ratings):
        native = opened(ratings)
        return native is not None and any(is_common(name, model.user_vocabulary.what) for name in native.names)
    given = list(ratings.values()) if isinstance(ratings, Mapping) else ratings
    return isinstance(given, list) and bool(given) and all(isinstance(one, Mapping | list) for one in given)


def fold_in_many(model: Model, ratings: Any, features: Any) -> FoldIns:
    """Many new users of the model; see Recommender.fold_in."""
    if is_frame(ratings):
        owners = frame_columns(ratings, [model.user_vocabulary.what], "")[0].tolist()
        labels = list(dict.fromkeys(owners))
        history = rows_of_frame(model, ratings, owners, labels)
    else:
        is_mapping = isinstance(ratings, Mapping)
        labels = list(ratings) if is_mapping else list(range(len(ratings)))
        given = list(ratings.values()) if is_mapping else ratings
        history = stack_rows([_one(model, label, own) for label, own in zip(labels, given, strict=True)])
    if is_frame(ratings) or isinstance(ratings, Mapping):
        _check_new(model, labels)
    return FoldIns(model, labels, history, _features_of(model, labels, features), kind_of(ratings))


def _one(model: Model, label: Any, given: Any) -> CompressedRows:
    """The ratings of one new user as one row; an error says whose they are."""
    try:
        return history_of_one(model, given)
    except (DataError, OptionError, UnknownLabelError) as error:
        raise type(error)(f"{model.user_vocabulary.what} {label!r}: {error}") from error


def _check_new(model: Model, labels: list[Any]) -> None:
    what = model.user_vocabulary.what
    try:
        known = model.user_vocabulary.encode(labels, on_unknown="mark") >= 0
    except PalateError:  # labels of another type than the model's are all new
        return
    if known.any():
        label = labels[int(np.argmax(known))]
        raise DataError(
            f"the model knows {what} {label!r} already: rec.update(...) takes in more ratings. To fold these in as "
            f"those of somebody new, give the {what} another label."
        )


def _features_of(model: Model, labels: list[Any], features: Any) -> list[Mapping[str, Any]] | None:
    """The attributes of each new user: from {label: {column: value}}, a list in their order, or None."""
    what = model.user_vocabulary.what
    if features is None:
        return None
    if isinstance(features, Mapping):
        unknown = [label for label in features if label not in set(labels)]
        if unknown or not all(isinstance(own, Mapping) for own in features.values()):
            found = f", and {unknown[0]!r} has no ratings here" if unknown else ""
            raise OptionError(f"features of many new {what}s must be {{{what}: {{column: value}}}}{found}.")
        return [features.get(label, {}) for label in labels]
    if not isinstance(features, list) or len(features) != len(labels):
        raise OptionError(f"features of many new {what}s must be a mapping by {what}, or a list with one mapping each.")
    return features


class FoldIns(Mapping[Any, FoldIn]):
    """Answers for many new users, folded in at once: a mapping {label: FoldIn}. Made by Recommender.fold_in.

    Their vectors are solved together, and each is the same, up to rounding, as if it had been folded in alone. With
    side="item" new items are folded in: read "user" for "item" below, and the other way round.

    Parameters:
        model (Model): The trained model, in codes.
        labels (list): The labels of the new users.
        history (CompressedRows): Their ratings, one row each.
        features (list of mappings, default None): Their attributes, {column: value} each.
        frame_kind (str, default None): The kind of frame that the ratings came in, in which answers are given.

    Example:
        >>> import palate
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> new = rec.fold_in({"ann": {"i2": 5, "i7": 1}, "bob": {"i3": 4}})
        >>> new.recommend(n=3).columns
        ['user', 'item', 'score', 'rank']
        >>> list(new), new["bob"].recommend(n=2).height
        (['ann', 'bob'], 2)
    """

    def __init__(
        self,
        model: Model,
        labels: list[Any],
        history: CompressedRows,
        features: Sequence[Mapping[str, Any]] | None = None,
        frame_kind: str | None = None,
    ) -> None:
        check_features(model, history, features)
        self._model = model
        self._frame_kind = frame_kind or model.frame_kind
        self._features = features
        self._vocabulary = Vocabulary.in_order(labels, what=model.user_vocabulary.what)
        self._rows: UserRows = model.fold_in(history, features)
        matrix = self._rows.features
        self._has_data = (history.counts > 0) | (False if matrix is None else matrix.counts > 0)

    def __repr__(self) -> str:
        what, n = self._model.user_vocabulary.what, len(self)
        return f"<FoldIns: {n:,} new {what}{'s' * (n != 1)}: {texts.joined(self, 5, n)}>"

    def _repr_html_(self) -> str:
        labels, noun = list(self)[:N_LISTED], "choices" if self._model.kind == "implicit" else "ratings"
        rows = [(texts.name(label), f"{n:,}") for label, n in zip(labels, self._rows.history.counts, strict=False)]
        what = self._model.user_vocabulary.what
        given = html.table(rows, head=(what, noun), caption="Given", numbers=(1,), n_rows=len(self))
        try:
            best = self[labels[0]].recommend(N_SHOWN)
        except (PalateError, IndexError):  # a model that cannot rank, or nobody
            return html.page(repr(self)[1:-1], given)
        return html.page(repr(self)[1:-1], given, frame_table(best, f"Predicted first for {texts.name(labels[0])}"))

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._vocabulary)

    def __contains__(self, label: object) -> bool:
        return label in self._vocabulary

    def __getitem__(self, label: Label) -> FoldIn:
        return self._at(self._vocabulary.encode_one(label))

    def _at(self, at: int) -> FoldIn:
        own = self._of(np.arange(at, at + 1))
        features = None if self._features is None else self._features[at]
        return FoldIn(self._model, own.history, features, own, self._frame_kind)

    def _subset(self, rows: slice) -> UserRows:
        return self._of(np.arange(len(self))[rows])

    def _of(self, codes: NDArray[np.int64]) -> UserRows:
        """Some of the new users. Their draws are those that each has alone, whoever else is folded in."""
        whole = self._rows
        features = None if whole.features is None else take_rows(whole.features, codes)
        draw = None if whole.draw is None else partial(self._draws, codes)
        return UserRows(whole.codes[codes], whole.vectors[codes], take_rows(whole.history, codes), draw, features)

    def _draws(self, codes: NDArray[np.int64]) -> Floats:
        alone = (
            self._model.fold_in(
                take_rows(self._rows.history, codes[at : at + 1]),
                None if self._features is None else [self._features[code]],
            )
            for at, code in enumerate(codes)
        )
        draws: Floats = np.concatenate([rows.draws for rows in alone if rows.draws is not None], axis=1)
        return draws

    @property
    def vectors(self) -> Floats:
        """The factors of the new users with the bias at the end, (n, n_factors + 1) float32."""
        return self._rows.vectors

    def query_vectors(self, metric: Metric = "ip", question: Question = "recommend") -> Floats:
        """Give the vectors by which a vector store finds what is best for each new user, as FoldIn.query_vector does.

        Parameters:
            metric ("ip", "cosine" or "l2", default "ip"): The metric of the store, as the items' vectors were given.
            question ("recommend" or "similar", default "recommend"): What the neighbours answer: the items for the
                users, or the users like them.

        Returns:
            array: The vectors, (n, d) float32, in the order of the users.

        Raises:
            OptionError: An option is not valid, the model has no vectors, or new items ask for users.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> rec.fold_in([{"i2": 5}, {"i3": 4}]).query_vectors().shape == (2, rec.n_factors + 1)
            True
        """
        return query_vector(self._model, self._rows, metric, question)

    def predict(
        self,
        users: Any,
        items: Any = None,
        *,
        level: float = 0.9,
        distribution: bool = False,
        on_unknown: OnUnknown = "fallback",
    ) -> Frame:
        """Predict ratings of the new users, each with an interval, as Recommender.predict does.

        Parameters:
            users (label, list of labels, or frame): One new user, several, or a frame with a user and an item column.
            items (label or list of labels, default None): One item per user, or one for all; None with a frame.
            level (float, default 0.9): Probability that an interval holds the rating, between 0 and 1.
            distribution (bool, default False): Also give the probability of each rating; for models of Bayes where the
                ratings have 2 to 20 different values.
            on_unknown (str, default "fallback"): What an unknown item gets: "fallback" a prediction from the user
                alone, "nan" gives nan, "raise" raises.

        Returns:
            Frame: A frame of user, item, prediction, low and high, one row per pair. One pair is a row too.

        Raises:
            UnknownLabelError: A user that is none of the new ones, or an unknown item with on_unknown="raise".
            OptionError: Lists of different lengths, a level outside (0, 1), or a distribution where there are no steps.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> rec.fold_in({"ann": {"i2": 5}, "bob": {"i3": 4}}).predict(["ann", "bob"], "i7").height
            2
        """
        check_choice("on_unknown", on_unknown, ("fallback", "nan", "raise"))
        check_level(level)
        check_distribution(self._model, distribution)
        vocabulary, mark = self._model.item_vocabulary, marking(on_unknown)
        question = (users, items)
        users, items = self._pairs(users, items, mark)
        rows, codes = self._vocabulary.encode(users), encode(vocabulary, items, on_unknown)
        needed, local = np.unique(rows.astype(np.int64), return_inverse=True)
        forecast = self._model.forecast_new(
            self._of(needed), codes, has_data=self._has_data[needed], rows=local.astype(np.int32)
        )
        blank = codes < 0 if on_unknown == "nan" else None
        columns = columns_of(self._model, forecast, level, blank=blank, distribution=distribution)
        labels = {self._vocabulary.what: label_array(users, self._vocabulary)}
        frame = make_frame(labels | {vocabulary.what: label_array(items, vocabulary)} | columns)
        return in_kind_by_row(frame, question, self._frame_kind)

    def _pairs(self, users: Any, items: Any, mark: Any) -> tuple[Any, Any]:
        """Labels of users and of items, (n,) each."""
        whats = self._vocabulary.what, self._model.item_vocabulary.what
        if items is None:
            usage = f"predict takes a new {whats[0]} and a {whats[1]}, two lists, or a frame with both columns."
            given_users, given_items = frame_columns(users, whats, usage)
            return given_users, given_items
        names = Names.of_items(self._model)
        if is_many(users) or is_many(items):
            return same_length(users, names.labels(items, mark))
        return [users], names.labels([items], mark)

    def recommend(
        self,
        n: int = 10,
        *,
        items: Iterable[Label] | None = None,
        exclude: Iterable[Label] = (),
        where: Any = None,
        max_per: Mapping[str, int] | None = None,
        keep_seen: bool | None = None,
        by: By = "mean",
        level: float = 0.9,
        at_least: float | None = None,
        seed: int = 0,
        diversity: float = 0.0,
        diversity_by: str | None = None,
        popularity: float = 0.0,
        calibrated: Any = None,
        boost: Any = None,
        recent: Any = None,
    ) -> Frame:
        """Recommend to each new user the n items that the user would like best, as FoldIn.recommend does.

        Parameters:
            n (int, default 10): The maximum number of items per user, 0 or more.
            items (list, default None): Only these items; those that the model does not know are left out.
            exclude (list, default ()): None of these items; unknown ones count nothing.
            where (str or polars expression, default None): A condition on the item table, in SQL.
            max_per (mapping, default None): {"genre": 2} takes at most two items of each genre.
            keep_seen (bool or None, default None): Also recommend the items of the fold-in ratings. None: only if the
                model found that users come back to items (Sequence).
            by (str, default "mean"): What to rank by: "mean", "lower", "thompson", "chance" or "likely".
            level (float, default 0.9): Probability of the interval for by="lower", between 0 and 1.
            at_least (float, default None): The rating for by="chance" and by="likely".
            seed (int, default 0): Seed of by="thompson", 0 or more.
            diversity (float, default 0.0): How little the items of a list should be alike, from 0 to 1.
            diversity_by (str, default None): Alike are items with the same values of this column of the item table.
            popularity (float, default 0.0): Towards popular items, up to 1, or away from them, down to -1.
            calibrated (str or mapping, default None): A column whose mix in the list should follow the mix in the
                ratings; {"genres": 0.3} says how much, from 0 to 1.
            boost (str, mapping or polars expression, default None): A column, or an expression on columns, whose high
                values are lifted; {"margin": 0.2} says how much, from -1 to 1.
            recent (number, str or timedelta, default None): Weigh what the user chose: with a number, a choice with k
                later ones counts 1 / (1 + k / recent); with a time such as "30d", one that is so much older than the
                last counts half. It takes the place of the recency and half_life of the fit; models of implicit
                feedback.

        Returns:
            Frame: A frame of user, item, (title,) score and rank, user by user, best first.

        Raises:
            OptionError: An option is out of range, or the model has no answer for it.
            DataError: `where` is no condition, or a column is named that the item table lacks.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> rec.fold_in([{"i2": 5}, {"i3": 4}]).recommend(n=3)["user"].to_list()
            [0, 0, 0, 1, 1, 1]
        """
        options = RecommendOptions(
            *(n, items, exclude, where, max_per, keep_seen, by, level, at_least, seed),
            diversity=diversity,
            diversity_by=diversity_by,
            popularity=popularity,
            calibrated=calibrated,
            boost=boost,
            recent=recent,
        )
        query = query_of(self._model, options)
        found = rank(self._model, self._subset, self._vocabulary.labels, self._rows.codes, query, options)
        return in_kind(found, None, self._frame_kind)

    def explain(self, user: Label, item: Label) -> Explanation:
        """Explain the prediction for a new user and an item, as FoldIn.explain does.

        Parameters:
            user (label): One of the new users.
            item (label): An item the model knows.

        Returns:
            Explanation: Its `because` lists the fold-in ratings of this user, largest contribution first.

        Raises:
            UnknownLabelError: A user that is none of the new ones, or an unknown item.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> rec.fold_in({"ann": {"i2": 5}, "bob": {"i3": 4}}).explain("bob", "i7").because[0].item
            'i3'
        """
        return self[plain_label(user)].explain(item)
