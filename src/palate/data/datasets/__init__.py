"""Data sets by name, and ratings drawn from known factors. palate ships none; it gets them once and keeps them."""

from palate.data.datasets.catalogue import DataSet, available, load
from palate.data.datasets.planted import SyntheticFactors, synthetic, synthetic_factors

__all__ = ["DataSet", "SyntheticFactors", "available", "load", "synthetic", "synthetic_factors"]
