"""Public data sets by name, downloaded once and kept, and synthetic ratings drawn from known factors."""

from palate.data.datasets.catalogue import DataSet, available, load
from palate.data.datasets.planted import SyntheticFactors, synthetic, synthetic_factors

__all__ = ["DataSet", "SyntheticFactors", "available", "load", "synthetic", "synthetic_factors"]


def __dir__() -> list[str]:
    return sorted(__all__)
