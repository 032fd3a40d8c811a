"""palate in scikit-learn: recipes as parameters, and RatingRegressor held to scikit-learn's own checks."""

import pickle

import numpy as np
import polars as pl
import pytest

import palate
from palate.errors import DataError, LabelTypeError, OptionError
from palate.recipes import RECIPES

pytest.importorskip("sklearn", minversion="1.6", reason="needs palate[sklearn]")

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, ParameterGrid, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from palate.sklearn import RatingRegressor

FAST = palate.ALS(n_factors=2, n_sweeps=3, n_threads=1)
FRAME = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1).to_frame()
X, Y = FRAME.select("user", "item"), FRAME["rating"].to_numpy()

# What scikit-learn's checks ask for and this estimator does otherwise, and why.
OTHERWISE = {
    "check_sample_weight_equivalence_on_dense_data": "weights count in proportion: palate scales them to a mean of 1, "
    "so that a weight of 2 for all rows is no weight at all, while every row twice is twice the evidence",
}


@parametrize_with_checks(
    [RatingRegressor(FAST), RatingRegressor(palate.Bias())], expected_failed_checks=lambda _: OTHERWISE
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


# ---- recipes are parameters ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", [kind() for kind in RECIPES.values()], ids=lambda recipe: type(recipe).__name__)
def test_a_recipe_is_its_parameters(recipe):
    assert type(recipe)(**recipe.get_params(deep=False)) == recipe
    assert clone(recipe) == recipe
    assert recipe.set_params() == recipe
    assert recipe.set_params(**recipe.get_params(deep=False)) == recipe
    of_parts = {name: value for name, value in recipe.get_params().items() if "__" in name}
    assert recipe.set_params(**of_parts).options() == recipe.options()


def test_a_recipe_stays_as_it_is():
    recipe = palate.ALS()
    changed = recipe.set_params(n_factors=3)
    assert (recipe.n_factors, changed.n_factors) == (palate.ALS().n_factors, 3)
    with pytest.raises(OptionError, match="no option 'factors'"):
        recipe.set_params(factors=3)
    with pytest.raises(OptionError, match="n_factors"):
        recipe.set_params(n_factors=-3)


def test_a_grid_of_recipes():
    grid = ParameterGrid({"n_factors": [2, 4], "weight_decay": [0.1, 1.0]})
    recipes = {palate.ALS().set_params(**options) for options in grid}
    assert len(recipes) == 4 and palate.ALS(n_factors=4, weight_decay=0.1) in recipes


def test_parts_of_a_blend_have_parameters_too():
    blend = palate.Blend(["EASE", palate.ImplicitALS(n_factors=8)], weights=[1, 2])
    params = blend.get_params()
    assert (params["EASE__dropout"], params["ImplicitALS__n_factors"]) == (0.33, 8)
    assert set(blend.get_params(deep=False)) == {"parts", "weights", "seed", "n_threads"}
    changed = blend.set_params(EASE__dropout=0.5, seed=4)
    assert changed == palate.Blend([palate.EASE(dropout=0.5), palate.ImplicitALS(n_factors=8)], weights=[1, 2], seed=4)
    with pytest.raises(OptionError, match="no part 'BPR'"):
        blend.set_params(BPR__lr=0.1)


# ---- the estimator ---------------------------------------------------------------------------------------------------


def test_it_predicts_what_the_recommender_does():
    recipe = palate.Bayes(n_factors=2, n_sweeps=8, n_threads=1)
    fitted, rec = RatingRegressor(recipe).fit(X, Y), recipe.fit(palate.read(FRAME), progress=False)
    assert np.allclose(fitted.predict(X), rec.predict(X)["prediction"])
    expected = rec.predict(X, level=0.5)
    assert np.allclose(fitted.predict_interval(X, 0.5), expected.select("low", "high"))
    assert fitted.recommender_.recommend("u1", n=3, keep_seen=True).height == 3
    assert list(fitted.feature_names_in_) == ["user", "item"]


@pytest.mark.parametrize("kind", ["pandas", "arrow", "array of texts", "mixed array", "swapped", "positions"])
def test_rows_come_in_many_forms(kind):
    users = np.array([int(user[1:]) for user in X["user"]])
    data = {
        "pandas": lambda: (X.to_pandas(), {}),
        "arrow": lambda: (X.to_arrow(), {}),
        "array of texts": lambda: (X.to_numpy().astype(str), {}),
        "mixed array": lambda: (np.array(list(zip(users.tolist(), X["item"], strict=True)), dtype=object), {}),
        "swapped": lambda: (X.select(pl.col("item").alias("movieId"), pl.col("user").alias("userId")), {}),
        "positions": lambda: (np.array([X["item"], Y.astype(str), X["user"]]).T, {"user": 2, "item": -3}),
    }
    rows, options = data[kind]()
    fitted = RatingRegressor(FAST, **options).fit(rows, Y)
    assert fitted.recommender_.n_items == 40 and fitted.recommender_.n_users == 60
    assert np.allclose(fitted.predict(rows), RatingRegressor(FAST).fit(X, Y).predict(X), atol=1e-5)


def test_whole_floats_are_ids():
    rows = np.array([[1.0, 17850.0], [2.0, 17850.0], [1.0, 3.0], [2.0, 4.0]])
    fitted = RatingRegressor(palate.Bias()).fit(rows, [5, 4, 3, 2])
    assert fitted.recommender_.model.item_vocabulary.labels.tolist() == [3, 4, 17850]
    assert np.array_equal(fitted.predict(rows), fitted.predict(rows.astype(int)))


def test_unknown_ids_get_the_cold_start_prediction():
    fitted = RatingRegressor(FAST).fit(X, Y)
    rows = pl.DataFrame({"user": ["nobody", "u1"], "item": ["nothing", "nothing"]})
    assert np.allclose(fitted.predict(rows), fitted.recommender_.predict(rows)["prediction"])


def test_what_scikit_learn_does_with_estimators():
    base = RatingRegressor(FAST)
    assert len(cross_val_score(base, X, Y, cv=3)) == 3
    search = GridSearchCV(base, {"recipe__n_factors": [1, 2], "recipe__weight_decay": [1.0, 50.0]}, cv=2, n_jobs=1)
    search.fit(X, Y)
    assert search.best_estimator_.recipe.n_factors == search.best_params_["recipe__n_factors"]
    assert len(set(search.cv_results_["mean_test_score"].tolist())) == 4
    assert base.recipe == FAST
    recipes = GridSearchCV(base, {"recipe": [palate.Mean(), palate.Bias()]}, cv=2).fit(X, Y)
    assert recipes.best_params_["recipe"] == palate.Bias()
    assert np.allclose(make_pipeline(base).fit(X, Y).predict(X), base.fit(X, Y).predict(X))
    train, test, _, y_test = train_test_split(X.to_pandas(), Y, random_state=0)
    assert base.fit(train, Y[train.index]).score(test, y_test) < 1


def test_parameters_of_the_recipe_may_be_set_before_there_is_one():
    regressor = RatingRegressor().set_params(recipe__n_factors=3, user="reader")
    assert regressor.recipe == palate.Bayes(n_factors=3) and regressor.user == "reader"
    assert RatingRegressor(FAST).get_params()["recipe__n_sweeps"] == 3
    with pytest.raises(ValueError, match="factors"):
        regressor.set_params(factors=3)


def test_weights_count():
    heavy = RatingRegressor(palate.Mean()).fit(X, Y, sample_weight=np.where(Y > 3, 10.0, 1.0))
    assert heavy.predict(X)[0] > RatingRegressor(palate.Mean()).fit(X, Y).predict(X)[0]


def test_times_and_tables_are_used():
    ratings = palate.datasets.synthetic(n_users=30, n_items=20, n_ratings=300, seed=2).to_frame()
    rows = ratings.select("user", "item").with_columns(when=pl.int_range(pl.len()) * 86_400 + 1_500_000_000)
    titles = {"item": [f"i{n}" for n in range(20)], "title": [f"Film {n}" for n in range(20)]}
    recipe = palate.Bayes(n_sweeps=6, time=True, n_threads=1)
    fitted = RatingRegressor(recipe, time="when", items=titles).fit(rows, ratings["rating"])
    assert fitted.recommender_.model.effects is not None
    assert fitted.recommender_.find("film 3")["item"].to_list() == ["i3"]
    assert np.isfinite(fitted.predict(rows)).all()


def twice(frame):
    """The frame with the name of its first column on all of them."""
    frame.columns = [frame.columns[0]] * len(frame.columns)
    return frame


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda: RatingRegressor(palate.EASE()).fit(X, Y), OptionError, "EASE ranks items"),
        (lambda: RatingRegressor(palate.Popularity()).fit(X, Y), OptionError, "Popularity ranks items"),
        (lambda: RatingRegressor("ALS").fit(X, Y), OptionError, "must be a Recipe"),
        (lambda: RatingRegressor(FAST).fit(twice(X.to_pandas()), Y), DataError, "columns of X are called 'user'"),
        (lambda: RatingRegressor(FAST).fit(X, Y).predict(twice(X.to_pandas())), DataError, "are called 'user'"),
        (
            lambda: RatingRegressor(FAST).fit(np.random.default_rng(0).normal(size=(9, 2)), range(9)),
            LabelTypeError,
            "no features",
        ),
        (lambda: RatingRegressor(FAST).fit(X.rename({"user": "x"}), Y), DataError, "no user column"),
        (lambda: RatingRegressor(FAST, user="reader").fit(X, Y), DataError, "no column 'reader'"),
        (lambda: RatingRegressor(FAST, user=2).fit(X, Y), DataError, "none at position 2"),
        (lambda: RatingRegressor(FAST, user="user").fit(X.to_numpy(), Y), DataError, "give positions"),
        (lambda: RatingRegressor(FAST).fit(X[:0], Y[:0]), ValueError, "0 sample"),
        (lambda: RatingRegressor(FAST).fit(X.with_columns(user=None), Y), DataError, "missing"),
        (
            lambda: RatingRegressor(FAST).fit(X, Y).predict(pl.DataFrame({"user": [1], "item": [2]})),
            LabelTypeError,
            "string",
        ),
        (lambda: RatingRegressor(FAST).fit(X, Y).predict_interval(X, 2), OptionError, "level"),
    ],
    ids=[
        "implicit",
        "scores",
        "text",
        "repeated",
        "repeated-later",
        "features",
        "unnamed",
        "absent",
        "position",
        "name",
        "empty",
        "null",
        "type",
        "level",
    ],
)
def test_errors_help(change, error, says):
    with pytest.raises(error, match=says):
        change()


def test_it_can_be_copied_to_another_process():
    fitted = RatingRegressor(FAST).fit(X, Y)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))
