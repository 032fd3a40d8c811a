"""The names of recipes at the command line, without importing one."""

from __future__ import annotations

RECIPES = (
    *("Bayes", "ALS", "SGD", "Bias", "Mean", "Blend", "ImplicitALS", "EASE", "SparseEASE", "Sequence"),
    *("Neighbors", "BPR", "Popularity"),
)
TUNABLE = (
    "Bayes",
    "ALS",
    "SGD",
    "Bias",
    "Blend",
    "ImplicitALS",
    "EASE",
    "SparseEASE",
    "Sequence",
    "Neighbors",
    "BPR",
)  # the recipes that palate.tune has a search space for
