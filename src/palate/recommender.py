"""Recommender: a trained model that answers by label. Each method hands over to palate.answers or palate.storing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from palate import storing
from palate.answers import updating
from palate.answers.arguments import Doubles, OnUnknown
from palate.answers.explaining import explain
from palate.answers.fold_in import FoldIn, fold_in, recommend_for_session
from palate.answers.fold_in_many import FoldIns, are_many, fold_in_many
from palate.answers.frames import Frame
from palate.answers.matching import Match, match
from palate.answers.names import find
from palate.answers.observed import cross_tab, history_frame
from palate.answers.overview import overview
from palate.answers.predicting import columns_of, predict
from palate.answers.ranking import By, ItemIndex, RecommendOptions, SimilarOptions, build_index, recommend, similar
from palate.answers.results import CrossTab, Distribution, Explanation, Prediction
from palate.answers.vectors import Metric, Question, Side, Vectors, vectors_of
from palate.data.output import in_kind, in_kind_by_row
from palate.data.ratings import Ratings
from palate.data.timestamps import Timestamp
from palate.data.vocabulary import Label
from palate.distributed.exchange import Cluster
from palate.errors import OptionError
from palate.models.factors import Codes, Factors, Floats
from palate.models.model import Model
from palate.options import check_choice

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from palate.answers.typed_options import AnyListOptions, ItemOptions, ListOptions, PredictOptions, UserOptions


class Recommender:
    """A trained model. Ask it by labels; one label gets a short answer, a list or frame gets a frame.

    A frame gets a frame of the same kind. A list gets one of the kind that the training ratings came in, or else a
    polars frame; palate.set_output() sets a kind for all answers.

    Recipes make it (`palate.Bayes().fit(ratings)`), and `palate.load` reads it from a file. It never changes: update()
    and forget() return a new one. An item may be named by its title instead of its label, wherever one label, a list or
    a mapping is given; frames and arrays hold labels only.

    Parameters:
        model (Model): What the fit learned, in codes.

    Example:
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
        """Join what a fit learned with the ratings it learned from. For recipes; users call fit().

        Parameters:
            ratings (Ratings): What was learned from.
            factors (Factors): The vectors of users and items, in the order of the ratings' vocabularies.
            learned: Whatever else was learned, by its name in Model: posterior, noise, effects, recipe, ...

        Returns:
            Recommender: The trained model.
        """
        return cls(Model.learned_from(ratings, factors=factors, **learned))

    # ---- what it is ----------------------------------------------------------------------------------------------

    @property
    def n_users(self) -> int:
        """The number of users the model knows."""
        return len(self.model.user_vocabulary)

    @property
    def n_items(self) -> int:
        """The number of items the model knows."""
        return len(self.model.item_vocabulary)

    @property
    def n_factors(self) -> int:
        """The number of latent factors, without the biases."""
        return self.model.factors.n_factors

    @property
    def mean(self) -> float:
        """The rating that biases and factors are measured from, on the rating scale."""
        factors = self.model.factors
        return float(factors.ratings_at(np.array([factors.mean], np.float64))[0])

    @property
    def user_factors(self) -> Floats:
        """The factors of the users, (n_users, n_factors) float32, in the order of the vocabulary."""
        return self.model.user_vectors[:, :-1] * np.float32(np.sqrt(self.model.factors.scale))

    @property
    def item_factors(self) -> Floats:
        """The factors of the items, (n_items, n_factors) float32, in the order of the vocabulary."""
        return self.model.factors.items[:, :-1] * np.float32(np.sqrt(self.model.factors.scale))

    @property
    def user_bias(self) -> Floats:
        """The biases of the users, (n_users,) float32, in rating units and the order of the vocabulary."""
        return self.model.user_vectors[:, -1] * np.float32(self.model.factors.scale)

    @property
    def item_bias(self) -> Floats:
        """The biases of the items, (n_items,) float32, in rating units and the order of the vocabulary."""
        return self.model.factors.items[:, -1] * np.float32(self.model.factors.scale)

    @property
    def has_intervals(self) -> bool:
        """True if predict() gives intervals; without them low and high are nan."""
        return not np.isnan(self.model.noise)

    @property
    def has_posterior(self) -> bool:
        """True if posterior draws were kept: intervals differ from pair to pair, and by="lower" and "thompson" work."""
        return self.model.posterior is not None

    def __repr__(self) -> str:
        name = self.model.recipe.get("name", "Recommender")
        posterior = "" if self.model.posterior is None else f", {len(self.model.posterior)} posterior draws"
        return f"<{name}: {self.n_users:,} users, {self.n_items:,} items, {self.n_factors} factors{posterior}>"

    def _repr_html_(self) -> str:
        return overview(self.model, repr(self)[1:-1])

    def find(self, text: str, n: int = 10) -> Frame:
        """Find items by a part of their title, whatever its case and accents.

        Whole titles come first, then titles that contain the text; of equal matches the most rated comes first. Where
        no title contains the text, the titles spelt most like it are found. Labels stand in for titles where the model
        learned no titles.

        Parameters:
            text (str): A title or a part of one; "matrix, the" and "the matrix" are the same.
            n (int, default 10): The maximum number of items, 0 or more.

        Returns:
            Frame: A frame of item, title and n_ratings, at most n rows.

        Raises:
            OptionError: The text is empty or not a string, or n is not a whole number.

        Example:
            >>> import palate
            >>> ratings = palate.read({"user": ["ann", "bob"], "item": ["m1", "m2"], "rating": [5, 3]})
            >>> ratings = ratings.with_items({"item": ["m1", "m2"], "title": ["Alien (1979)", "Amélie (2001)"]})
            >>> palate.Bias().fit(ratings).find("amelie")["item"].to_list()
            ['m2']
        """
        return self._answer(find(self.model, text, n))

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
    def predict(self, users: pd.DataFrame, items: None = ..., **options: Unpack[PredictOptions]) -> pd.DataFrame: ...
    @overload
    def predict(self, users: pl.DataFrame, items: None = ..., **options: Unpack[PredictOptions]) -> pl.DataFrame: ...
    @overload
    def predict(
        self, users: pd.Series[Any], items: pd.Series[Any] | Label, **options: Unpack[PredictOptions]
    ) -> pd.DataFrame: ...
    @overload
    def predict(
        self, users: pl.Series, items: pl.Series | Label, **options: Unpack[PredictOptions]
    ) -> pl.DataFrame: ...
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
        """Predict ratings, each with the interval that holds the real rating with probability `level`.

        Predictions and intervals stay within the rating range of the training ratings. Intervals are central: as many
        ratings lie below as above. On a scale of 2 to 20 steps a Bayes model knows the probability of each step, and
        its intervals go by these; other intervals are those of a Normal, cut off at the range.

        Parameters:
            users (label, list of labels, or frame): One user, several, or a frame with a user and an item column.
            items (label or list of labels, default None): One item per user, or one for all; None with a frame.
            when (timestamp or list of them, default None): Seconds since 1970, a datetime or an ISO text, one for all
                rows or one per row. None stands for now, or for a frame's time column. Only models of
                Bayes(time=True) use it.
            level (float, default 0.9): Probability that an interval holds the rating, between 0 and 1.
            distribution (bool, default False): Also give the probability of each rating, as a Distribution or in
                columns chance_1, chance_2, ...; for models of Bayes where the ratings have 2 to 20 different values.
            on_unknown (str, default "fallback"): What an unknown user or item gets: "fallback" uses what is known of
                the other side and the cold-start prior, "nan" gives nan, "raise" raises.

        Returns:
            Prediction, Distribution or Frame: For one pair a Prediction (prediction, low, high), or a Distribution. For
                lists and frames a frame of user, item, prediction, low, high: one row in, one row out, in the same
                order and, of a pandas frame, under the same index.

        Raises:
            OptionError: Lists of different lengths, a level outside (0, 1), or a distribution where there are no steps.
            DataError: A frame without a user or an item column, or a value of `when` that is no time.
            UnknownLabelError: An unknown label with on_unknown="raise", or a title that several items have.
            LabelTypeError: Labels of another type than those of the model.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> rec.predict(["u1", "u2"], "i2").columns
            ['user', 'item', 'prediction', 'low', 'high']
        """
        found = predict(self.model, users, items, when, level, distribution=distribution, on_unknown=on_unknown)
        if isinstance(found, Prediction | Distribution):
            return found
        return in_kind_by_row(found, (users, items), self.model.frame_kind)

    def predict_codes(
        self, user_codes: Codes, item_codes: Codes, *, when: NDArray[Any] | None = None, level: float = 0.9
    ) -> tuple[Doubles, ...]:
        """Predict ratings of pairs of codes: the fast way in for code that has encoded its labels already.

        Parameters:
            user_codes (array): User codes, (n,) int32; -1 for an unknown user.
            item_codes (array): Item codes, (n,) int32; -1 for an unknown item.
            when (array, default None): Seconds since 1970, (n,); nan stands for now.
            level (float, default 0.9): Probability that an interval holds the rating, between 0 and 1.

        Returns:
            tuple: prediction, low and high, (n,) float64 each.
        """
        return tuple(columns_of(self.model, self.model.forecast(user_codes, item_codes, when), level).values())

    # ---- recommend -------------------------------------------------------------------------------------------------

    @overload
    def recommend(
        self, users: pd.DataFrame | pd.Series[Any], n: int = ..., **options: Unpack[ListOptions]
    ) -> pd.DataFrame: ...
    @overload
    def recommend(
        self, users: pl.DataFrame | pl.Series, n: int = ..., **options: Unpack[ListOptions]
    ) -> pl.DataFrame: ...
    @overload
    def recommend(self, users: Any = ..., n: int = ..., **options: Unpack[AnyListOptions]) -> Any: ...
    def recommend(
        self,
        users: Any = None,
        n: int = 10,
        *,
        items: Any = None,
        exclude: Any = (),
        where: Any = None,
        max_per: Mapping[str, int] | None = None,
        keep_seen: bool | None = None,
        by: By = "mean",
        level: float = 0.9,
        at_least: float | None = None,
        seed: int = 0,
        out: str | PathLike[str] | None = None,
        memory: str | int | None = None,
        resume: bool = False,
        index: Literal["ann"] | None = None,
        on_unknown: OnUnknown = "fallback",
        diversity: float = 0.0,
        diversity_by: str | None = None,
        popularity: float = 0.0,
        calibrated: Any = None,
        boost: Any = None,
        recent: Any = None,
        session: Iterable[Label] | None = None,
        overwrite: bool = False,
        on: Cluster | None = None,
    ) -> Frame:
        """Recommend the n items that each user would like best.

        Ties go to the item with the lower code. A user gets fewer than n rows when fewer items are left.

        Five dials change the order: `diversity`, `diversity_by`, `popularity`, `calibrated` and `boost`. They choose
        among the 500 items of the model's ranking that the user may get (the pool), and work with places in it, not
        with scores: a strength means the same for every recipe. `score` stays the model's, so it does not fall with the
        rank. `docs/guide.md` has the formula and what each dial costs.

        Parameters:
            users (label, list of labels, or frame, default None): Who to recommend to; None for all users.
            n (int, default 10): The maximum number of items per user, 0 or more.
            items (list, mapping or frame, default None): Only these items. A list counts for all users; a mapping
                {user: [items]} or a frame of users and items gives each user a list, and users without one get nothing.
                Items that the model does not know are left out, unless on_unknown="raise".
            exclude (list, mapping or frame, default ()): None of these items; given like `items`.
            where (str or polars expression, default None): A condition on the columns of the item table, in SQL, such
                as "year >= 1990". Items with a missing value do not meet it. Text may come from anybody: it takes
                comparisons, AND, OR, NOT, arithmetic, LIKE, IN, BETWEEN, IS NULL, CASE, regular expressions with ~ and
                some functions, which the error for an unknown one names, in up to 10,000 characters.
            max_per (mapping, default None): {"genre": 2} takes at most two items of each genre, in the order of the
                ranking. An item with several genres counts in each.
            keep_seen (bool or None, default None): Also recommend what the user has rated or chosen already. None: only
                if the model found that users come back to items (Sequence).
            by (str, default "mean"): What to rank by. "mean": the predicted rating. "lower": the lower end of its
                interval (cautious). "thompson": the rating under one posterior draw of the user (exploring, see
                seed). "chance": the probability of a rating of at_least or more; Bayes with steps only. "likely":
                that probability times the propensity, the probability that the user chooses the item. With "chance"
                and "likely" this probability is the score.
            level (float, default 0.9): Probability of the interval for by="lower", between 0 and 1.
            at_least (float, default None): The rating for by="chance" and by="likely"; "likely" takes by default the
                lowest rating above the average.
            seed (int, default 0): Seed of by="thompson", 0 or more.
            out (path, default None): Write the answer to this .parquet, .csv or .jsonl file, block by block. With a
                folder ("lists/", which ends with a slash or is there already) or an address ("s3://bucket/lists/") the
                lists of some users after the others become Parquet files in it, with a manifest. The same call goes on
                after a kill: it makes the parts that are missing. Each user is in one part, and the files are the same
                as without a kill.
            memory (str or int, default None): What the call may take besides the model, the labels and the returned
                frame, such as "1GB". None: 256MB, or more where one user needs more.
            resume (bool, default False): Keep finished blocks in the folder `<out>.parts`, and after a kill go on
                there. The file is the same as without a kill. A folder needs no resume.
            index (str, default None): "ann" looks items up in `item_index`, approximately: for catalogues of more than
                a million items.
            on_unknown (str, default "fallback"): What an unknown user gets: "fallback" the items that users in general
                like best, "nan" no rows, "raise" an error.
            diversity (float, default 0.0): How little the items of a list should be alike, from 0 to 1 (maximal
                marginal relevance). Alike are items whose factors have a large cosine, or in models without factors
                those that the same users rated or chose.
            diversity_by (str, default None): Alike are items with the same values of this column of the item table,
                such as "genres". It changes nothing without `diversity`.
            popularity (float, default 0.0): Towards popular items, up to 1, or away from them, down to -1, by their
                numbers of training ratings.
            calibrated (str or mapping, default None): A column such as "genres", whose mix in the list should follow
                the mix in the user's history; {"genres": 0.3} says how much, from 0 to 1 (a name alone counts 0.1).
            boost (str, mapping or polars expression, default None): A column of the item table, or an expression on
                its columns as in `where`, whose high values are lifted; true is lifted, false is not. {"margin": 0.2,
                "year >= 2020": 0.1} says how much, from -1 to 1 (one alone counts 0.3). Missing values are not lifted.
            recent (number, str or timedelta, default None): Weigh what users chose: with a number, a choice with k
                later ones counts 1 / (1 + k / recent); with a time such as "30d", one that is so much older than the
                user's last counts half. It takes the place of the recency and half_life of the fit. For EASE,
                SparseEASE, ImplicitALS, Neighbors fitted to implicit feedback, and blends of these.
            session (list of labels, default None): Recommend to somebody unknown, in place of users, who has just
                chosen these items, oldest first; as fold_in(session) does. For models of implicit feedback.
            overwrite (bool, default False): Let `out`, a folder, lose the parts of another model or other options.
            on (cluster, default None): Have the workers of a Ray cluster make the parts of a folder, as
                palate.distributed.ray() names it; None: this process. The folder must lie where all workers see it:
                while they work, it also holds the model.

        Returns:
            Frame or path: A frame of user, item, (title,) score, rank, of the kind asked with; with `out` its path. The
                frame for a session has no column of users.

        Raises:
            OptionError: An option is out of range, the model has no answer for it, `resume` or a folder meets another
                model or other options, or both users and a session are given.
            DataError: `where` is no condition, a column is named that the item table lacks, or `recent` is a time and
                the model has learned from choices without times.
            UnknownLabelError: An unknown user or item with on_unknown="raise"; a title that several items have, or
                words that are spelt nearly like one.
            ClusterError: No worker of the cluster starts, they are of other versions, or do not see the folder.

        Source:
            by="thompson": Chapelle & Li (2011), An Empirical Evaluation of Thompson Sampling. diversity: Carbonell &
            Goldstein (1998), The Use of MMR, Diversity-Based Reranking. calibrated: Steck (2018), Calibrated
            Recommendations.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> rec.recommend(["u0", "u40"], n=3, exclude={"u40": ["i2"]}).height
            6
            >>> rec.recommend("u0", n=3, diversity=0.5, popularity=-0.2).height
            3
        """
        options = RecommendOptions(
            *(n, items, exclude, where, max_per, keep_seen, by, level, at_least, seed),
            *(out, memory, resume, index, on_unknown),
            diversity=diversity,
            diversity_by=diversity_by,
            popularity=popularity,
            calibrated=calibrated,
            boost=boost,
            recent=recent,
            overwrite=overwrite,
            on=on,
        )
        if session is not None:
            if users is not None or index is not None:
                raise OptionError("session= is somebody unknown: leave users and index out.")
            return self._answer(recommend_for_session(self.model, session, options), session)
        return self._answer(recommend(self.model, users, options, None if index is None else self.item_index), users)

    @cached_property
    def item_index(self) -> ItemIndex:
        """The approximate index of recommend(index="ann"), built at first use; its `recall` is measured on the users.

        Raises:
            OptionError: faiss is not installed (pip install 'palate[ann]'), or scores are no product of factors.
        """
        return build_index(self.model.factors)

    # ---- similar ---------------------------------------------------------------------------------------------------

    @overload
    def similar_items(
        self, item: pd.DataFrame | pd.Series[Any], n: int = ..., **options: Unpack[ItemOptions]
    ) -> pd.DataFrame: ...
    @overload
    def similar_items(
        self, item: pl.DataFrame | pl.Series, n: int = ..., **options: Unpack[ItemOptions]
    ) -> pl.DataFrame: ...
    @overload
    def similar_items(self, item: Any, n: int = ..., **options: Unpack[ItemOptions]) -> Any: ...
    def similar_items(
        self, item: Any, n: int = 10, *, items: Any = None, exclude: Iterable[Label] = (), where: Any = None
    ) -> Frame:
        """Find the n items most similar to an item.

        Similarity is the cosine of the factors, without the biases. A model of EASE takes its item-item weights
        instead, and one of Neighbors(by="items") its own similarities. Items of which nothing is known are left out.

        Parameters:
            item (label or list of labels): The item, or several; several get a column `to`.
            n (int, default 10): The maximum number of items for each, 0 or more.
            items (list, default None): Only these items; those that the model does not know are left out.
            exclude (list, default ()): None of these items; unknown ones count nothing.
            where (str or polars expression, default None): A condition on the item table, as in recommend().

        Returns:
            Frame: A frame of item, (title,) cosine and rank, most similar first. The column cosine is
                called weight in a model of EASE, and similarity in one of Neighbors(by="items").

        Raises:
            OptionError: The model has no factors to compare.
            UnknownLabelError: An unknown item.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> rec.similar_items("i2", n=3).columns
            ['item', 'cosine', 'rank']
        """
        return self._answer(similar(self._transposed, item, SimilarOptions(n, items, exclude, where)), item)

    @overload
    def similar_users(
        self, user: pd.DataFrame | pd.Series[Any], n: int = ..., **options: Unpack[UserOptions]
    ) -> pd.DataFrame: ...
    @overload
    def similar_users(
        self, user: pl.DataFrame | pl.Series, n: int = ..., **options: Unpack[UserOptions]
    ) -> pl.DataFrame: ...
    @overload
    def similar_users(self, user: Any, n: int = ..., **options: Unpack[UserOptions]) -> Any: ...
    def similar_users(
        self, user: Any, n: int = 10, *, users: Any = None, exclude: Iterable[Label] = (), where: Any = None
    ) -> Frame:
        """Find the n users most similar to a user, by the cosine of their factors without the biases.

        Users of whom nothing is known are left out.

        Parameters:
            user (label or list of labels): The user, or several; several get a column `to`.
            n (int, default 10): The maximum number of users for each, 0 or more.
            users (list, default None): Only these users; those that the model does not know are left out.
            exclude (list, default ()): None of these users; unknown ones count nothing.
            where (str or polars expression, default None): A condition on the user table, as in recommend().

        Returns:
            Frame: A frame of user, cosine and rank, most similar first.

        Raises:
            OptionError: The model has no factors to compare.
            UnknownLabelError: An unknown user.
        """
        return self._answer(similar(self.model, user, SimilarOptions(n, users, exclude, where)), user)

    # ---- vectors for other systems ---------------------------------------------------------------------------------

    def vectors(self, side: Side = "items", *, metric: Metric = "ip", question: Question = "recommend") -> Vectors:
        """Give the vectors of all items or users, for a vector store whose nearest neighbours are palate's ranking.

        Put the items' vectors into a store and look up the neighbours of a user's vector: they are what
        recommend(keep_seen=True) ranks first. Leave out seen items in the store's own filter. Neither dials nor other
        values of by= are in the vectors.

        Biases and lengths are in the vectors, in one or two more columns than the factors: items get their bias and
        users a 1. With metric="cosine" and "l2" all items are made equally long by one more column, in which users have
        a 0; use both sides with the same metric. With question="similar" vectors have the length 1 and no such columns,
        and items (or users) of which nothing is known are left out.

        Parameters:
            side ("items" or "users", default "items"): Whose vectors.
            metric ("ip", "cosine" or "l2", default "ip"): What the store finds neighbours by: the largest inner
                product, the largest cosine or the smallest Euclidean distance.
            question ("recommend" or "similar", default "recommend"): What the neighbours answer: "recommend" (the
                items for a user), or "similar" (the items like an item, the users like a user).

        Returns:
            Vectors: `labels`, `vectors` (n, d), `titles`, and of users `offsets`.

        Raises:
            OptionError: An option is not valid, or the model ranks by something else than vectors: EASE, SparseEASE,
                Sequence, Neighbors, Blend and neural nets.

        Source:
            metric="cosine" and "l2": Bachrach et al. (2014), Speeding Up the Xbox Recommender System Using a Euclidean
            Transformation for Inner-Product Spaces, section 4.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> items, users = rec.vectors("items", metric="cosine"), rec.vectors("users", metric="cosine")
            >>> items.n_dimensions == users.n_dimensions == rec.n_factors + 2
            True
        """
        return vectors_of(self.model, side, metric, question)

    # ---- explain ---------------------------------------------------------------------------------------------------

    def explain(self, user: Label, item: Label, *, when: Timestamp | None = None) -> Explanation:
        """Explain a prediction: the parts that add up to it, and which of the user's own ratings made it.

        The parts are mean, user, item and factors, and time where `when` is given. Given the items, a user's factors
        are linear in the user's ratings, so that the share of each rating is exact.

        Parameters:
            user (label): A user the model knows.
            item (label): An item the model knows.
            when (timestamp, default None): Explain the prediction at this time; only for models of Bayes(time=True).

        Returns:
            Explanation: Its `parts` add up to `prediction`; `because` lists the user's own ratings, strongest first.

        Raises:
            UnknownLabelError: An unknown user or item.
            OptionError: The model is a neural net, whose predictions are not a sum of parts.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> why = rec.explain("u1", "i2")
            >>> abs(sum(why.parts.values()) - why.prediction) < 1e-6
            True
        """
        return explain(self.model, user, item, when)

    def history(self, user: Label) -> Frame:
        """List what a user rated or chose in training, the highest rating first.

        Parameters:
            user (label): A user the model knows.

        Returns:
            Frame: A frame of item, (title,) rating; of implicit feedback item, (title,) and count if there are counts.

        Raises:
            UnknownLabelError: An unknown user.
        """
        return self._answer(history_frame(self.model, user))

    def cross_tab(self, users: Iterable[Label] | None = None, items: Iterable[Label] | None = None) -> CrossTab:
        """Lay out a table of users and items: observed ratings beside predictions.

        Parameters:
            users (list of labels, default None): The rows; None for the ten users with the most ratings.
            items (list of labels, default None): The columns; None for the ten items with the most ratings.

        Returns:
            CrossTab: Arrays `known` (nan where not rated) and `predicted`, (n_users, n_items) each; prints as a table.

        Raises:
            UnknownLabelError: An unknown user or item.
        """
        return cross_tab(self.model, users, items)

    # ---- fold-in -----------------------------------------------------------------------------------------------------

    def fold_in(
        self, ratings: Any, side: Literal["user", "item"] = "user", *, features: Any = None, times: Any = None
    ) -> Any:
        """Fold in a user the model was not trained on, or many, from a few ratings each. Nothing is retrained.

        Parameters:
            ratings (mapping, list or frame): What the user rated: {item: rating}, or a frame of items, ratings and
                perhaps weights, where a weight of 1 is the average of the training. For a model of implicit feedback a
                list of the items chosen, oldest first, {item: count}, or a frame of items and perhaps counts and
                times; for a model of likes (Ratings.likes) a list of the items liked. An item listed twice was chosen
                twice, the last time at its last place. For many new users {user: {item: rating}}, a list of such
                mappings (users are then called 0, 1, ...), or a frame with a user column; {user: [items]} or a list of
                lists for implicit feedback.
            side (str, default "user"): "item" folds in a new item instead, from {user: rating}.
            features (mapping or list, default None): Attributes of the new user, {column: value}, in the columns of
                the user table that the model learned from; of many {user: {column: value}}, or a list in their order.
            times (list of timestamps, default None): When the new user chose each item, in seconds since 1970 or as
                dates: the items are then ordered by them, and weigh by their age where the model has a half_life.

        Returns:
            FoldIn or FoldIns: Answers for the new user: predict, recommend, explain, similar_users, ask. Of many a
                FoldIns, a mapping {user: FoldIn} that also predicts and recommends for all; each answer is the same as
                for that user alone.

        Raises:
            UnknownLabelError: An item that the model does not know.
            DataError: An item rated twice, a time that is none, a value that is no rating or lies far outside the
                training range, or one of many new users that the model knows already.
            OptionError: Features for a model that learned from none, a model that cannot fold in a new item, ratings
                for a model of likes, or times that are not one for each choice.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> rec.fold_in({"i2": 5, "i7": 1}).recommend(n=3).height
            3
        """
        model = self._model_of(side)
        is_many = are_many(model, ratings)
        if times is not None and (is_many or side == "item"):
            raise OptionError(
                "times= goes with the choices of one new user; give those of many in a frame with a column of times."
            )
        return fold_in_many(model, ratings, features) if is_many else fold_in(model, ratings, features, times)

    def match(self, source: Any, **options: Any) -> Match:
        """Match the items of one person's file with those of the model, and bring the ratings onto its scale.

        Such files are exports of Goodreads, Letterboxd, IMDb, StoryGraph, MyAnimeList, Spotify, Netflix and Last.fm, or
        any table of items and ratings. An item is matched by its label, then by ISBN or IMDb id, then by title and year
        or author, without regard to case, punctuation, articles, editions in brackets and, where only one item fits,
        subtitles. What fits several items is listed in the report and not taken.

        Parameters:
            source (path, frame, mapping or Ratings): The ratings or choices of one person.
            options (keyword arguments): Options of `palate.read`, such as item= and rating=. A column of items that is
                named with item= has labels of the model, even if they are numbers.

        Returns:
            Match: `ratings` is what fold_in() takes, `seen` what not to recommend. Prints as a report.

        Raises:
            DataError: The file cannot be read, has several users, or has no ratings where the model needs them.
            OptionError: An option is not valid, or kind= is given.

        Example:
            >>> import palate
            >>> ratings = palate.read({"user": ["ann", "bob"], "item": ["m1", "m2"], "rating": [5, 3]})
            >>> films = {"item": ["m1", "m2"], "title": ["Matrix, The (1999)", "Alien (1979)"]}
            >>> rec = palate.Bias().fit(ratings.with_items(films))
            >>> found = rec.match({"title": ["The Matrix"], "year": [1999], "rating": [4.5]})
            >>> found.ratings, found.by
            ({'m1': 4.5}, {'title and year': 1})
        """
        return match(self.model, source, options)

    def ask(self, n: int = 5, given: Any = None, **options: Any) -> Frame:
        """Choose the n items whose ratings would teach most about a new user (preference elicitation).

        Parameters:
            n (int, default 5): The number of items to ask about, 0 or more.
            given (mapping or frame, default None): What the new user has rated so far, as fold_in() takes it.
            options: items, exclude and popularity, as FoldIn.ask() takes them.

        Returns:
            Frame: A frame of item, (title,) gain, known, rank; see FoldIn.ask().

        Raises:
            OptionError: The model predicts no ratings, is a neural net, or was fitted without weight decay.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> rec.ask(3).columns
            ['item', 'gain', 'known', 'rank']
        """
        return self.fold_in({} if given is None else given).ask(n, **options)

    # ---- ratings that arrive or go -----------------------------------------------------------------------------------

    def update(self, ratings: Any = None, *, users: Any = None, items: Any = None) -> Recommender:
        """Learn from new ratings without a new fit, and return a new Recommender.

        Only users and items whose ratings change are solved again, so that this is far quicker than a fit and nearly as
        accurate. What was learned from all ratings (hyperparameters, noise, cut points) stays: fit again when
        the ratings have doubled.

        Parameters:
            ratings (Ratings, or whatever palate.read takes, default None): New ratings of known and new users and
                items. A pair rated again replaces its old rating; counts of implicit feedback add up. A weight of 1 is
                the average of the training; ratings of weight 0 are left out. A model of likes takes Ratings.likes()
                of the same threshold, or pairs without counts. Choices come after those before, or in the order of
                times where all have some; without times, the model knows no times from then on. None: only tables are
                given.
            users (frame, mapping of columns or path, default None): A table of attributes of the new users. A model of
                Bayes or ImplicitALS that learned from a table of users takes those without ratings too.
            items (frame, mapping of columns or path, default None): The same for the new items. They can be recommended
                at once. Models of EASE and SparseEASE take new items only with choices: their attributes then serve as
                titles and filters, and the choices alone give the weights.

        Returns:
            Recommender: The updated model; this one stays as it is.

        Raises:
            DataError: There are no new ratings, they are on another scale, or they have no times and the model a
                half_life. A column of a table has lists where that of the fit had single values, or the other way
                round.
            OptionError: Nothing is given, the model cannot be updated (a neural net, BPR), or the ratings are of
                another kind. A table is given alone to another model than Bayes or ImplicitALS, or to one fitted
                without such a table. There are choices of new items for Neighbors(by="items"), alone or in a Blend.
            LabelTypeError: Labels of another type than those of the model.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> rec.update({"user": ["new"], "item": ["i2"], "rating": [5]}).n_users
            61
        """
        return Recommender(updating.update(self.model, ratings, users, items))

    def forget(self, *, users: Any = None, items: Any = None) -> Recommender:
        """Remove users or items with everything known of them, and return a new Recommender.

        Their labels, vectors, ratings and attributes go, and users and items they shared ratings with are solved again.
        What was learned from all ratings (hyperparameters, noise, cut points) keeps their small part in it. The old
        model and its file stay as they are.

        Parameters:
            users (label or list of labels, default None): The users to remove.
            items (label or list of labels, default None): The items to remove.

        Returns:
            Recommender: The model without them.

        Raises:
            UnknownLabelError: A label the model does not know.
            OptionError: Neither users nor items are given, or the model cannot be updated.
            DataError: Nothing would be left.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> rec.forget(users=["u1"]).n_users
            59
        """
        return Recommender(updating.forget(self.model, users, items))

    def _answer(self, found: pl.DataFrame | Path | str, question: Any = None) -> Frame:
        """A frame in the kind that the caller is to get, and a path as it is."""
        return in_kind(found, question, self.model.frame_kind)

    def _model_of(self, side: str) -> Model:
        """The model as it is, or with users and items exchanged. Raises OptionError for any other side."""
        check_choice("side", side, ("user", "item"))
        return self.model if side == "user" else self._transposed

    @cached_property
    def _transposed(self) -> Model:
        return self.model.transposed()

    # ---- keep ------------------------------------------------------------------------------------------------------

    def compact(self) -> Recommender:
        """Return the same model without its posterior draws.

        The file gets smaller and the predictions stay the same. Intervals then have one width for all pairs, and a
        Bayes model can no longer place new users and items by attributes.

        Returns:
            Recommender: The smaller model.
        """
        return Recommender(self.model.compact())

    def with_metrics(self, metrics: dict[str, Any]) -> Recommender:
        """Return the same model with measured metrics noted in it, which are saved along.

        Parameters:
            metrics (dict): Plain values by name, such as {"rmse": 0.86}.

        Returns:
            Recommender: The model with these metrics in `model.metrics`.
        """
        return Recommender(replace(self.model, metrics=dict(metrics)))

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to one .palate file. The file appears whole or not at all; an old one stays until then.

        Parameters:
            path (path): Where to write.

        Raises:
            ModelFileError: The file cannot be written.
        """
        storing.save(self.model, path)


def load(path: str | PathLike[str], *, copy: bool | None = None) -> Recommender:
    """Read a saved model. Nothing in the file is executed.

    Parameters:
        path (path): A .palate file.
        copy (bool, default None): Whether the model is copied into memory, so that the file may change afterwards. With
            False it is mapped: processes share its memory, but who writes into the file changes the answers or ends
            the process. None copies files of up to 256 MB and maps larger ones. `save` never writes into a file: it
            puts a new one in its place.

    Returns:
        Recommender: The model, which answers as it did before it was saved.

    Raises:
        ModelFileError: The file is missing, damaged, no palate model or from a newer version; the message says which.
        OptionError: `copy` is not True, False or None.

    Example:
        >>> import palate, tempfile
        >>> rec = palate.Bias().fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     rec.save(f"{folder}/bias.palate")
        ...     palate.load(f"{folder}/bias.palate").predict("u1", "i2") == rec.predict("u1", "i2")
        True
    """
    return Recommender(storing.load(path, copy=copy))


__all__ = ["FoldIn", "FoldIns", "Recommender", "load"]
