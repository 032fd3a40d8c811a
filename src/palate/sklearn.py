"""palate in scikit-learn: RatingRegressor, an estimator of ratings for pairs of a user and an item.

Needs `palate[sklearn]`. The columns of X are ids, not features: each user and each item is a category of its own.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import frame_columns
from palate.answers.frames import is_frame
from palate.data.native import opened
from palate.data.ratings import Ratings
from palate.data.reading.names import there_are
from palate.data.timestamps import seconds_of
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError, LabelTypeError, OptionError
from palate.options import check_level
from palate.recipes import Bayes
from palate.recipes.base import Recipe

try:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.utils.validation import check_array, check_is_fitted, check_X_y, validate_data
except ImportError:
    raise ImportError("palate.sklearn needs scikit-learn: pip install 'palate[sklearn]'.") from None

Doubles = NDArray[np.float64]
MAX_EXACT = 2.0**53  # larger whole numbers have no float of their own
RECIPE = "recipe__"  # before the name of an option of the recipe, in get_params and set_params

__all__ = ["RatingRegressor"]


def __dir__() -> list[str]:
    return sorted(__all__)


class RatingRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predict the rating of a user for an item, as an estimator of scikit-learn.

    X holds a user and an item in each row, and y their rating. It goes where scikit-learn's regressors go:
    cross_val_score, GridSearchCV, pipelines. Options of the recipe are searched as recipe__n_factors and the like.
    Users and items that were not in the fit get the model's cold-start prediction. score() is R^2, as of all regressors
    of scikit-learn.

    Columns of X that are neither user, item nor time are not used. Whole floats are ids too: 17850.0 is 17850.

    Parameters:
        recipe (Recipe or None, default None): How to learn; one that predicts ratings, such as palate.ALS(). None:
            palate.Bayes().
        user (str, int or None, default None): The column of users: its name in a frame, or its position. None: in a
            frame the column called user, user_id or the like, in an array the first.
        item (str, int or None, default None): The column of items. None: in a frame the column called item, item_id,
            movie or the like, in an array the second.
        time (str, int or None, default None): The column of times, for palate.Bayes(time=True). None: no times.
        users (frame, mapping of columns, path or None, default None): A table of attributes of users, as palate.read
            takes it.
        items (frame, mapping of columns, path or None, default None): A table of attributes of items.

    Attributes:
        recommender_ (Recommender): The trained model, with everything else that it can do.
        n_features_in_ (int): The number of columns of X in the fit.
        feature_names_in_ (array of str): Their names, if X was a frame.

    Example:
        >>> import palate
        >>> from palate.sklearn import RatingRegressor
        >>> from sklearn.model_selection import GridSearchCV
        >>> frame = palate.datasets.synthetic(60, 40, 1200, seed=1).to_frame()
        >>> search = GridSearchCV(RatingRegressor(palate.ALS()), {"recipe__n_factors": [2, 8]}, cv=3)
        >>> search.fit(frame.select("user", "item"), frame["rating"]).best_params_
        {'recipe__n_factors': 2}
        >>> search.best_estimator_.recommender_.recommend("u1", n=2).columns
        ['user', 'item', 'score', 'rank']
    """

    def __init__(
        self, recipe: Any = None, *, user: Any = None, item: Any = None, time: Any = None, users: Any = None,
        items: Any = None,
    ) -> None:  # fmt: skip
        self.recipe = recipe
        self.user = user
        self.item = item
        self.time = time
        self.users = users
        self.items = items

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> RatingRegressor:
        """Learn from ratings.

        Parameters:
            X (frame or array): A user and an item in each row, (n, 2 or more).
            y (array of numbers): Their ratings, (n,).
            sample_weight (array of numbers or None, default None): How much each rating counts, in proportion; 0 or
                more. None: all count the same.

        Returns:
            RatingRegressor: This estimator.

        Raises:
            DataError: X has no column of users or of items, an id is missing, or there is nothing to learn from.
            LabelTypeError: The ids of a column mix strings and integers.
            OptionError: The recipe is none, or predicts no ratings.
            ValueError: y has missing values, or another length than X.
        """
        recipe = self._recipe()
        users, items, times = self._columns(X, reset=True)
        _, ratings = check_X_y(np.zeros((len(users), 1)), y, y_numeric=True, estimator=self)
        weights = _weights(sample_weight, len(users))
        data = self._ratings(_ids(users, "user"), _ids(items, "item"), ratings, times, weights)
        self.recommender_ = recipe.fit(data, progress=False)
        return self

    def predict(self, X: Any) -> Doubles:
        """Predict ratings.

        Parameters:
            X (frame or array): A user and an item in each row, with the columns of the fit.

        Returns:
            array: Predicted ratings, (n,) float64, within the range of the ratings in the fit.

        Raises:
            DataError: X has no column of users or of items, or an id is missing.
            LabelTypeError: Ids of another type than in the fit.
        """
        return self._predicted(X)[0]

    def predict_interval(self, X: Any, level: float = 0.9) -> Doubles:
        """Predict the interval that holds each rating with probability `level`.

        Parameters:
            X (frame or array): A user and an item in each row, with the columns of the fit.
            level (float, default 0.9): Probability that an interval holds the rating, between 0 and 1.

        Returns:
            array: The lower and the upper end of each interval, (n, 2) float64; nan where the model has no intervals.

        Raises:
            OptionError: The level is outside (0, 1).
            DataError: X has no column of users or of items, or an id is missing.
        """
        check_level(level)
        return np.stack(self._predicted(X, level)[1:], axis=1)

    def set_params(self, **params: Any) -> RatingRegressor:
        """Set parameters by name; recipe__n_factors and the like are options of the recipe.

        Recipes never change: this estimator gets another recipe.

        Parameters:
            params (values by name): Parameters, and options of the recipe.

        Returns:
            RatingRegressor: This estimator.

        Raises:
            OptionError: The recipe has no such option, or its value is out of range.
            ValueError: There is no such parameter.
        """
        of_recipe = {name.removeprefix(RECIPE): value for name, value in params.items() if name.startswith(RECIPE)}
        super().set_params(**{name: value for name, value in params.items() if not name.startswith(RECIPE)})
        if of_recipe:
            self.recipe = self._recipe().set_params(**of_recipe)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = tags.input_tags.string = True
        tags.regressor_tags.poor_score = True  # on the random features of scikit-learn's checks
        return tags

    # ---- how X becomes ratings ---------------------------------------------------------------------------------------

    def _recipe(self) -> Recipe:
        """The recipe. Raises OptionError for what is none, or predicts no ratings."""
        recipe = Bayes() if self.recipe is None else self.recipe
        if not isinstance(recipe, Recipe):
            raise OptionError(f"recipe must be a Recipe, such as palate.ALS(), got {recipe!r}.")
        if "explicit" not in recipe.kinds or not recipe.predicts_ratings:
            raise OptionError(
                f"{type(recipe).__name__} ranks items and predicts no ratings: give RatingRegressor a recipe such as "
                "palate.ALS() or palate.Bayes()."
            )
        return recipe

    def _columns(self, X: Any, *, reset: bool) -> tuple[NDArray[Any], NDArray[Any], Doubles | None]:
        """The columns of users, of items and of times, (n,) each. reset: note the columns as those of the fit."""
        names, column = self._frame(X, reset) if is_frame(X) else self._array(X, reset)
        times = None if self.time is None else seconds_of(column(self.time), "time", is_column=True)
        if times is not None and np.isnan(times).any():
            raise DataError(f"{np.isnan(times).sum()} of {len(times)} times are missing.")
        return column(names[0]), column(names[1]), times

    def _frame(self, X: Any, reset: bool) -> tuple[tuple[Any, Any], Any]:
        """Where users and items are in a frame, and what gives one of its columns."""
        native = opened(X)
        assert native is not None
        if twice := [name for name, count in Counter(native.names).items() if count > 1]:
            raise DataError(f"several columns of X are called {twice[0]!r}: rename all but one.")
        validate_data(self, X=X, reset=reset, skip_check_array=True)
        names, has_names = native.names, hasattr(self, "feature_names_in_")

        def column(place: Any) -> Any:
            if place in ("user", "item") and place not in names:
                return frame_columns(X, [place], "")[0]
            at = (
                _position(place, len(names)) if isinstance(place, int) else names.index(place) if place in names else -1
            )
            if at < 0:
                raise DataError(f"X has no column {place!r}. {there_are(names)}")
            series = native.frame[:, at]
            if series.null_count():
                raise DataError(f"Input X contains NaN: {series.null_count()} values in {names[at]!r} are missing.")
            return series.to_numpy()

        usual = ("user", "item") if has_names else (0, 1)
        return self._places(usual), column

    def _array(self, X: Any, reset: bool) -> tuple[tuple[Any, Any], Any]:
        """Where users and items are in an array, and what gives one of its columns."""
        array = validate_data(self, X=X, reset=reset, dtype=None, ensure_min_features=2 if reset else 1)

        def column(place: Any) -> Any:
            if not isinstance(place, int):
                raise DataError(f"X is an array and has no column {place!r}: give positions, from 0 on.")
            return array[:, _position(place, array.shape[1])]

        return self._places((0, 1)), column

    def _places(self, usual: tuple[Any, Any]) -> tuple[Any, Any]:
        return tuple(place if own is None else own for own, place in zip((self.user, self.item), usual, strict=True))

    def _ratings(
        self, users: NDArray[Any], items: NDArray[Any], values: Doubles, times: Doubles | None, weights: Doubles | None
    ) -> Ratings:
        """The rows as Ratings, those that repeat a pair too, with the tables joined."""
        user_vocabulary, item_vocabulary = Vocabulary(users, what="user"), Vocabulary(items, what="item")
        ratings = Ratings(
            user_vocabulary.encode(users),
            item_vocabulary.encode(items),
            values,
            times=None if times is None else times.astype(np.int64),
            weights=weights,
            user_vocabulary=user_vocabulary,
            item_vocabulary=item_vocabulary,
        )
        ratings = ratings if self.users is None else ratings.with_users(self.users)
        return ratings if self.items is None else ratings.with_items(self.items)

    def _predicted(self, X: Any, level: float = 0.9) -> tuple[Doubles, ...]:
        """Predictions, and the lower and upper ends of their intervals, (n,) each."""
        check_is_fitted(self)
        users, items, times = self._columns(X, reset=False)
        model = self.recommender_.model
        codes = (
            vocabulary.encode(_ids(labels, vocabulary.what), on_unknown="mark")
            for vocabulary, labels in ((model.user_vocabulary, users), (model.item_vocabulary, items))
        )
        found: tuple[Doubles, ...] = self.recommender_.predict_codes(*codes, when=times, level=level)
        return found


def _position(place: int, n: int) -> int:
    """A position among n columns. Raises DataError if there is none."""
    if not -n <= place < n:
        raise DataError(f"X has {n} columns and none at position {place}: count from 0.")
    return place % n


def _ids(column: NDArray[Any], what: str) -> NDArray[Any]:
    """The ids of a column as labels: whole floats as integers. Raises an error for what is no id."""
    if column.dtype.kind == "O" and all(isinstance(label, int | float | np.number) for label in column):
        column = np.array(column.tolist())
    if column.dtype.kind != "f":
        return column
    if np.isnan(column).any():
        raise DataError(f"Input X contains NaN: {np.isnan(column).sum()} {what}s are missing.")
    is_id = (column == np.floor(column)) & (np.abs(column) < MAX_EXACT)
    if not is_id.all():
        raise LabelTypeError(
            f"{float(column[~is_id][0]):g} is no {what}: RatingRegressor takes the ids of users and items, strings or "
            "integers, and no features. Name their columns with user= and item=."
        )
    return column.astype(np.int64)


def _weights(given: Any, n: int) -> Doubles | None:
    """Weights of n rows, checked as scikit-learn's estimators do."""
    if given is None:
        return None
    weights: Doubles = check_array(given, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weights.ndim != 1:
        raise ValueError("Sample weights must be 1D array or scalar")
    if len(weights) != n:
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(n,)}!")
    if not weights.any():
        raise DataError("every sample weight is zero: there is nothing to learn from.")
    return weights
