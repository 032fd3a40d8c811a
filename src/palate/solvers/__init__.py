"""Recipes: values that say how to learn. Their fit() returns a Recommender; there is no unfitted model."""

from palate.solvers.als import ALS
from palate.solvers.base import Recipe, Sweep
from palate.solvers.baselines import Bias, Mean, Popularity
from palate.solvers.bayes import Bayes
from palate.solvers.bpr import BPR
from palate.solvers.ease import EASE
from palate.solvers.implicit import ImplicitALS
from palate.solvers.neighbors import Neighbors
from palate.solvers.sgd import SGD

ALL: tuple[type[Recipe], ...] = (Bayes, ALS, SGD, ImplicitALS, EASE, Neighbors, BPR, Bias, Mean, Popularity)
RECIPES = {recipe.__name__: recipe for recipe in ALL}

__all__ = [
    "ALS",
    "BPR",
    "EASE",
    "RECIPES",
    "SGD",
    "Bayes",
    "Bias",
    "ImplicitALS",
    "Mean",
    "Neighbors",
    "Popularity",
    "Recipe",
    "Sweep",
]
