"""palate: collaborative filtering with latent factors. Learns tastes from ratings, says what somebody will like next.

>>> import palate
>>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
>>> train, test = palate.split_random(ratings, test=0.1, seed=0)
>>> rec = palate.Bayes(n_sweeps=20).fit(train)
>>> rec.recommend("u1", n=3).columns
['user', 'item', 'score', 'rank']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> the module it lives in. Loaded when first used, so that `import palate` is quick.
_HOMES = {
    "ALS": "solvers",
    "BPR": "solvers",
    "Bayes": "solvers",
    "Bias": "solvers",
    "EASE": "solvers",
    "ImplicitALS": "solvers",
    "Mean": "solvers",
    "Neighbors": "solvers",
    "Popularity": "solvers",
    "Ratings": "ratings",
    "Recommender": "recommender",
    "SGD": "solvers",
    "Vocabulary": "vocabulary",
    "check": "checking",
    "compare": "evaluation",
    "cross_validate": "evaluation",
    "evaluate": "evaluation",
    "load": "recommender",
    "read": "reading",
    "split_folds": "splitting",
    "split_folds_within_users": "splitting",
    "split_last": "splitting",
    "split_random": "splitting",
    "split_rows": "splitting",
    "split_time": "splitting",
    "split_users": "splitting",
    "split_within_users": "splitting",
    "tune": "tuning",
}
_MODULES = ("datasets", "errors", "nn", "plotting")

if TYPE_CHECKING:
    from palate import datasets, errors
    from palate.checking import check
    from palate.evaluation import compare, cross_validate, evaluate
    from palate.ratings import Ratings
    from palate.reading import read
    from palate.recommender import Recommender, load
    from palate.solvers import ALS, BPR, EASE, SGD, Bayes, Bias, ImplicitALS, Mean, Neighbors, Popularity
    from palate.splitting import (
        split_folds,
        split_folds_within_users,
        split_last,
        split_random,
        split_rows,
        split_time,
        split_users,
        split_within_users,
    )
    from palate.tuning import tune
    from palate.vocabulary import Vocabulary

__all__ = [
    "ALS",
    "BPR",
    "EASE",
    "SGD",
    "Bayes",
    "Bias",
    "ImplicitALS",
    "Mean",
    "Neighbors",
    "Popularity",
    "Ratings",
    "Recommender",
    "Vocabulary",
    "check",
    "compare",
    "cross_validate",
    "datasets",
    "errors",
    "evaluate",
    "load",
    "read",
    "split_folds",
    "split_folds_within_users",
    "split_last",
    "split_random",
    "split_rows",
    "split_time",
    "split_users",
    "split_within_users",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"palate.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'palate' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"palate.{_HOMES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
