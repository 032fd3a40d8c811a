"""Tuning: tune() finds the best options of a recipe, measured on ratings held out of the training ratings."""

from palate.tuning.results import Trial, Tuning
from palate.tuning.searching import tune
from palate.tuning.spaces import SPACES

__all__ = ["SPACES", "Trial", "Tuning", "tune"]


def __dir__() -> list[str]:
    return sorted(__all__)
