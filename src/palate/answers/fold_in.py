"""Newcomer: somebody (or something) a model was not trained on, from a few ratings and without retraining."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from palate.answers.arguments import (
    OnUnknown,
    check_choice,
    check_level,
    check_range,
    choices_of,
    encode,
    history_of,
    is_many,
    label_array,
    marking,
)
from palate.answers.elicitation import POPULARITY, ask
from palate.answers.explaining import explain_row
from palate.answers.names import Names
from palate.answers.predicting import check_distribution, columns_of, one_of
from palate.answers.ranking import By, RecommendOptions, SimilarOptions, query_of, rank, similar_rows
from palate.answers.shapes import Explanation, Frame, make_frame
from palate.data.rows import CompressedRows
from palate.data.vocabulary import Label
from palate.errors import OptionError
from palate.models.factors import Floats
from palate.models.model import Model, UserRows


def fold_in(model: Model, ratings: Any, features: Mapping[str, Any] | None) -> FoldIn:
    """A user of the model who was not in its training, from ratings or choices of items; see Recommender.fold_in."""
    given = choices_of if model.kind == "implicit" else history_of
    return FoldIn(model, given(model.item_vocabulary, Names.of_items(model).keys(ratings)), features)


class FoldIn:
    """Answers for somebody new like for anybody else. Made by Recommender.fold_in.

    >>> import palate
    >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
    >>> rec.fold_in({"i2": 5, "i7": 1}).recommend(n=3).columns
    ['item', 'score', 'rank']
    """

    def __init__(self, model: Model, history: CompressedRows, features: Mapping[str, Any] | None = None) -> None:
        check_range(model.item_vocabulary, history.indices, history.values, model.limits)
        _check_features(model, features)
        self._model = model
        self._rows: UserRows = model.fold_in(history, None if features is None else [features])
        told = self._rows.features
        self._has_data = len(history.indices) > 0 or (told is not None and len(told.indices) > 0)

    @property
    def vector(self) -> Floats:
        """(n_factors + 1,): factors, then the bias."""
        vector: Floats = self._rows.vectors[0]
        return vector

    def predict(
        self, items: Any, *, level: float = 0.9, distribution: bool = False, on_unknown: OnUnknown = "fallback"
    ) -> Any:
        """Expected ratings with intervals: one item gives a Prediction, several a frame. As Recommender.predict."""
        check_choice("on_unknown", on_unknown, ("fallback", "nan", "raise"))
        check_level(level)
        check_distribution(self._model, distribution)
        names = Names.of_items(self._model)
        labels = names.labels(list(items) if is_many(items) else [items], marking(on_unknown))
        codes = encode(self._model.item_vocabulary, labels, on_unknown)
        forecast = self._model.forecast_new(self._rows, codes, has_data=self._has_data)
        blank = codes < 0 if on_unknown == "nan" else None
        columns = columns_of(self._model, forecast, level, blank=blank, distribution=distribution)
        if not is_many(items):
            return one_of(columns)
        return make_frame(
            {self._model.item_vocabulary.what: label_array(labels, self._model.item_vocabulary)} | columns
        )

    def recommend(
        self,
        n: int = 10,
        *,
        items: Iterable[Label] | None = None,
        exclude: Iterable[Label] = (),
        where: Any = None,
        max_per: Mapping[str, int] | None = None,
        keep_seen: bool = False,
        by: By = "mean",
        level: float = 0.9,
        at_least: float | None = None,
        seed: int = 0,
    ) -> Frame:
        """The n items they would like best: item, (title,) score, rank. Options as in Recommender.recommend."""
        options = RecommendOptions(n, items, exclude, where, max_per, keep_seen, by, level, at_least, seed)
        query = query_of(self._model, options)
        return rank(self._model, lambda _: self._rows, None, self._rows.codes, query, options)

    def ask(
        self,
        n: int = 5,
        *,
        items: Iterable[Label] | None = None,
        exclude: Iterable[Label] = (),
        popularity: float = POPULARITY,
    ) -> Frame:
        """The n items whose ratings would teach most about them: item, (title,) gain, known, rank.

        Options as in Recommender.ask. Of a new item, the users to ask about it.
        """
        return ask(self._model, n, self._rows, items=items, exclude=exclude, popularity=popularity)

    def similar_users(
        self, n: int = 10, *, users: Iterable[Label] | None = None, exclude: Iterable[Label] = (), where: Any = None
    ) -> Frame:
        """The n known users (or items) most like them. Options as in Recommender.similar_users."""
        return similar_rows(self._model, self._rows, None, SimilarOptions(n, users, exclude, where))

    def explain(self, item: Label) -> Explanation:
        """Where the prediction for an item comes from, own rating by own rating."""
        code = Names.of_items(self._model).encode_one(item)
        codes = np.array([code], np.int32)
        score_variance = self._model.forecast_new(self._rows, codes, has_data=self._has_data).score_variance
        return explain_row(self._model, self._rows, "new", code, score_variance)


def _check_features(model: Model, features: Mapping[str, Any] | None) -> None:
    """OptionError for features of somebody where the model has learned nothing from any."""
    if features is None or (model.user_info is not None and model.user_info.attributes is not None):
        return
    what = model.user_vocabulary.what
    raise OptionError(
        f"this model has learned nothing from attributes of {what}s, or compact() left that behind; fit Bayes on "
        f"ratings that have a table of them (ratings.with_{what}s)."
    )
