"""Tuning: tune() finds which options of a recipe are best, on ratings held out of the training ratings."""

from palate.tuning.results import Trial, Tuning
from palate.tuning.searching import tune
from palate.tuning.spaces import SPACES

__all__ = ["SPACES", "Trial", "Tuning", "tune"]
