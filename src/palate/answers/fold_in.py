"""FoldIn: answers for a new user (or item), from a few ratings and without retraining."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from palate.answers.arguments import (
    OnUnknown,
    check_range,
    choices_of,
    encode,
    history_of,
    is_many,
    label_array,
    listed,
    marking,
)
from palate.answers.elicitation import POPULARITY, ask
from palate.answers.explaining import explain_row
from palate.answers.frames import Frame, make_frame
from palate.answers.names import Names
from palate.answers.predicting import check_distribution, columns_of, one_of
from palate.answers.ranking import By, RecommendOptions, SimilarOptions, recommend_new, similar_rows
from palate.answers.results import Distribution, Explanation, Prediction
from palate.answers.shown import N_SHOWN, frame_table, history_table
from palate.answers.vectors import Metric, Question, query_vector
from palate.data.output import in_kind, in_kind_by_row, kind_of
from palate.data.rows import CompressedRows
from palate.data.vocabulary import Label
from palate.errors import OptionError, PalateError
from palate.models.factors import Floats
from palate.models.model import Model, UserRows
from palate.options import check_choice, check_level
from palate.showing import html

if TYPE_CHECKING:
    import polars as pl


def fold_in(model: Model, ratings: Any, features: Mapping[str, Any] | None, times: Any = None) -> FoldIn:
    """A new user of the model, from ratings or choices of items; see Recommender.fold_in."""
    return FoldIn(model, history_of_one(model, ratings, times), features, frame_kind=kind_of(ratings))


def history_of_one(model: Model, ratings: Any, times: Any = None) -> CompressedRows:
    """The ratings or choices of one new user as one row; times: when each choice was made."""
    given, items = Names.of_items(model).keys(ratings), model.item_vocabulary
    if model.kind == "implicit":
        return choices_of(items, given, model.like_threshold, times=times, each_once=not model.factors.reads_order)
    if times is not None:
        raise OptionError("times= orders the choices of implicit feedback, and this model learned from ratings.")
    return history_of(items, given)


def recommend_for_session(model: Model, session: Any, options: RecommendOptions) -> pl.DataFrame | Path:
    """The best items for somebody unknown who has just chosen these items, oldest first: a frame without users."""
    if model.kind == "explicit":
        raise OptionError(
            "session= lists what somebody chose, and this model learned from ratings: "
            "rec.fold_in({item: rating}).recommend()."
        )
    return recommend_new(model, model.fold_in(history_of_one(model, session)), options)


class FoldIn:
    """Answers for one new user, folded in from a few ratings. Made by Recommender.fold_in.

    The user's vector is solved under the trained model; nothing is retrained and no other user's answers change. With
    side="item" a new item is folded in: read "user" for "item" below, and the other way round.

    Parameters:
        model (Model): The trained model, in codes.
        history (CompressedRows): The new user's ratings as one row.
        features (mapping, default None): Attributes of the new user, {column: value}.
        rows (UserRows, default None): The user's row, if it has been solved already.
        frame_kind (str, default None): The kind of frame that the ratings came in, in which answers are given.

    Example:
        >>> import palate
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> new = rec.fold_in({"i2": 5, "i7": 1})
        >>> new.recommend(n=3).columns
        ['item', 'score', 'rank']
        >>> new.vector.shape == (rec.n_factors + 1,)
        True
    """

    def __init__(
        self,
        model: Model,
        history: CompressedRows,
        features: Mapping[str, Any] | None = None,
        rows: UserRows | None = None,
        frame_kind: str | None = None,
    ) -> None:
        check_features(model, history, features)
        self._model = model
        self._frame_kind = frame_kind or model.frame_kind
        self._rows: UserRows = rows or model.fold_in(history, None if features is None else [features])
        matrix = self._rows.features
        self._has_attributes = bool(features)
        self._has_data = len(history.indices) > 0 or (matrix is not None and len(matrix.indices) > 0)

    def _given(self) -> str:
        """What the user was folded in from, in words."""
        n, noun = len(self._rows.history.indices), "choice" if self._model.kind == "implicit" else "rating"
        return f"{n:,} {noun}{'s' * (n != 1)}" + (" and attributes" if self._has_attributes else "")

    def __repr__(self) -> str:
        return f"<FoldIn: a new {self._model.user_vocabulary.what} with {self._given()}>"

    def _repr_html_(self) -> str:
        try:
            best = frame_table(self.recommend(N_SHOWN), "Predicted first")
        except PalateError:  # a model that cannot rank
            best = html.Raw("")
        return html.page(repr(self)[1:-1], history_table(self._model, self._rows.history), best)

    @property
    def vector(self) -> Floats:
        """The factors of the new user with the bias at the end, (n_factors + 1,) float32."""
        vector: Floats = self._rows.vectors[0]
        return vector

    def query_vector(self, metric: Metric = "ip", question: Question = "recommend") -> Floats:
        """Give the vector by which a vector store finds what is best for the new user; see Recommender.vectors.

        Parameters:
            metric ("ip", "cosine" or "l2", default "ip"): The metric of the store, as the items' vectors were given.
            question ("recommend" or "similar", default "recommend"): What the neighbours answer: the items for the
                user, or the users like the user.

        Returns:
            array: The vector, (d,) float32.

        Raises:
            OptionError: An option is not valid, the model has no vectors, or a new item asks for users.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> items, new = rec.vectors("items"), rec.fold_in({"i2": 5, "i7": 1})
            >>> best = (items.vectors @ new.query_vector()).argmax()
            >>> items.labels[best] == new.recommend(n=1, keep_seen=True)["item"][0]
            True
        """
        vector: Floats = query_vector(self._model, self._rows, metric, question)[0]
        return vector

    @overload
    def predict(
        self, items: Label, *, distribution: Literal[True], level: float = ..., on_unknown: OnUnknown = ...
    ) -> Distribution: ...
    @overload
    def predict(self, items: Label, *, level: float = ..., on_unknown: OnUnknown = ...) -> Prediction: ...
    @overload
    def predict(
        self, items: Any, *, level: float = ..., distribution: bool = ..., on_unknown: OnUnknown = ...
    ) -> Any: ...
    def predict(
        self, items: Any, *, level: float = 0.9, distribution: bool = False, on_unknown: OnUnknown = "fallback"
    ) -> Prediction | Distribution | Frame:
        """Predict the new user's ratings, each with an interval, as Recommender.predict does.

        Parameters:
            items (label or list of labels): One item, or several.
            level (float, default 0.9): Probability that an interval holds the rating, between 0 and 1.
            distribution (bool, default False): Also give the probability of each rating; for models of Bayes where the
                ratings have 2 to 20 different values.
            on_unknown (str, default "fallback"): What an unknown item gets: "fallback" a prediction from the user
                alone, "nan" gives nan, "raise" raises.

        Returns:
            Prediction, Distribution or Frame: For one item a Prediction or a Distribution; for several a frame of
                item, prediction, low and high, in the same order.

        Raises:
            OptionError: A level outside (0, 1), or a distribution from a model without steps.
            UnknownLabelError: An unknown item with on_unknown="raise", or a title that several items have.
            LabelTypeError: Labels of another type than those of the model.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> prediction, low, high = rec.fold_in({"i2": 5, "i7": 1}).predict("i3")
            >>> low < prediction < high
            True
        """
        check_choice("on_unknown", on_unknown, ("fallback", "nan", "raise"))
        check_level(level)
        check_distribution(self._model, distribution)
        vocabulary = self._model.item_vocabulary
        labels = Names.of_items(self._model).labels(listed(items) if is_many(items) else [items], marking(on_unknown))
        codes = encode(vocabulary, labels, on_unknown)
        forecast = self._model.forecast_new(self._rows, codes, has_data=self._has_data)
        blank = codes < 0 if on_unknown == "nan" else None
        columns = columns_of(self._model, forecast, level, blank=blank, distribution=distribution)
        if not is_many(items):
            return one_of(columns)
        frame = make_frame({vocabulary.what: label_array(labels, vocabulary)} | columns)
        return in_kind_by_row(frame, items, self._frame_kind)

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
        """Recommend the n items that the new user would like best. Ties go to the item with the lower code.

        Parameters:
            n (int, default 10): The maximum number of items, 0 or more.
            items (list, default None): Only these items; those that the model does not know are left out.
            exclude (list, default ()): None of these items; unknown ones count nothing.
            where (str or polars expression, default None): A condition on the item table, in SQL, such as
                "year >= 1990". Items with a missing value do not meet it.
            max_per (mapping, default None): {"genre": 2} takes at most two items of each genre.
            keep_seen (bool or None, default None): Also recommend the items of the fold-in ratings. None: only if the
                model found that users come back to items (Sequence).
            by (str, default "mean"): What to rank by: "mean", "lower", "thompson", "chance" or "likely", as in
                Recommender.recommend.
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
            Frame: A frame of item, (title,) score and rank, best first, at most n rows.

        Raises:
            OptionError: An option is out of range, or the model has no answer for it.
            DataError: `where` is no condition, or a column is named that the item table lacks.
            UnknownLabelError: A title in `items` or `exclude` that several items have, or that is misspelt.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> rec.fold_in({"i2": 5, "i7": 1}).recommend(n=3, exclude=["i4"]).height
            3
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
        return in_kind(recommend_new(self._model, self._rows, options), None, self._frame_kind)

    def ask(
        self,
        n: int = 5,
        *,
        items: Iterable[Label] | None = None,
        exclude: Iterable[Label] = (),
        popularity: float = POPULARITY,
    ) -> Frame:
        """Choose the n items whose ratings would teach most about the new user (preference elicitation).

        Each item is chosen as if those before it had been rated. Items rated already are left out. Of a new item, the
        answer names the users to ask.

        Parameters:
            n (int, default 5): The number of items to ask about, 0 or more.
            items (list, default None): Ask about these items only; what is learned of other items then counts nothing.
                Items that the model does not know are left out.
            exclude (list, default ()): Ask about none of these items; unknown ones count nothing.
            popularity (float, default 1.0): How much it counts that many users know an item, 0 or more. 0 ignores it:
                use that if the user knows all of `items`.

        Returns:
            Frame: A frame of item, (title,) gain, known and rank. gain: how far the mean variance of the
                predicted ratings drops with a rating of the item, in squared ratings. known: the share of users who
                rated the item.

        Raises:
            OptionError: The model predicts no ratings, is a neural net, or was fitted without weight decay; or an
                option is out of range.
            UnknownLabelError: A title in `items` or `exclude` that several items have, or that is misspelt.

        Source:
            MacKay (1992), Information-based objective functions for active data selection, section 4: information
            about the interpolant in a region of interest.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> "i2" in rec.fold_in({"i2": 5}).ask(3)["item"]
            False
        """
        asked = ask(self._model, n, self._rows, items=items, exclude=exclude, popularity=popularity)
        return in_kind(asked, None, self._frame_kind)

    def similar_users(
        self, n: int = 10, *, users: Iterable[Label] | None = None, exclude: Iterable[Label] = (), where: Any = None
    ) -> Frame:
        """Find the n users of the model most similar to the new one; for a new item, the most similar items.

        Parameters:
            n (int, default 10): The maximum number of users, 0 or more.
            users (list, default None): Only these users; those that the model does not know are left out.
            exclude (list, default ()): None of these users; unknown ones count nothing.
            where (str or polars expression, default None): A condition on the user table, as in recommend().

        Returns:
            Frame: A frame of user, cosine and rank, most similar first.

        Raises:
            OptionError: The model has no factors to compare.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> rec.fold_in({"i2": 5, "i7": 1}).similar_users(n=3).columns
            ['user', 'cosine', 'rank']
        """
        found = similar_rows(self._model, self._rows, None, SimilarOptions(n, users, exclude, where))
        return in_kind(found, None, self._frame_kind)

    def explain(self, item: Label) -> Explanation:
        """Explain the prediction for an item: its parts, and which of the fold-in ratings made it.

        Parameters:
            item (label): An item the model knows.

        Returns:
            Explanation: Its `user` is "new"; `because` lists the fold-in ratings, largest contribution first.

        Raises:
            UnknownLabelError: An unknown item.
            OptionError: The model is a neural net, whose predictions are not a sum of parts.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> sorted(reason.item for reason in rec.fold_in({"i2": 5, "i7": 1}).explain("i3").because)
            ['i2', 'i7']
        """
        code = Names.of_items(self._model).encode_one(item)
        codes = np.array([code], np.int32)
        score_variance = self._model.forecast_new(self._rows, codes, has_data=self._has_data).score_variance
        return explain_row(self._model, self._rows, "new", code, score_variance)


def check_features(model: Model, history: CompressedRows, features: Any) -> None:
    """Raise DataError for ratings on another scale, OptionError for features if the model has learned from none."""
    check_range(model.item_vocabulary, history.indices, history.values, model.limits)
    if features is None or (model.user_info is not None and model.user_info.attributes is not None):
        return
    what = model.user_vocabulary.what
    raise OptionError(
        f"this model cannot place a new {what} by attributes. Bayes and ImplicitALS can, fitted on ratings that have a "
        f"table of {what}s (ratings.with_{what}s); a Bayes model cannot any more after compact()."
    )
