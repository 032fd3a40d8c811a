"""Recipes: values that say how to learn. Their fit() returns a Recommender; there is no unfitted model."""

from palate.solvers.als import ALS
from palate.solvers.base import Recipe, Sweep
from palate.solvers.baselines import Bias, Mean, Popularity
from palate.solvers.bayes import Bayes
from palate.solvers.sgd import SGD

RECIPES: dict[str, type[Recipe]] = {recipe.__name__: recipe for recipe in (Bayes, ALS, SGD, Bias, Mean, Popularity)}

__all__ = ["ALS", "RECIPES", "SGD", "Bayes", "Bias", "Mean", "Popularity", "Recipe", "Sweep"]
