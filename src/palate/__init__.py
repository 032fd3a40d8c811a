"""palate: collaborative filtering with latent factors. Learns from ratings and recommends items.

>>> import palate
>>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
>>> train, test = palate.split_random(ratings, test=0.1, seed=0)
>>> rec = palate.Bayes(n_sweeps=20).fit(train)
>>> rec.recommend("u1", n=3).columns
['user', 'item', 'score', 'rank']
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from palate.__version__ import __version__ as __version__

# Public name -> the module it lives in. Loaded when first used, so that `import palate` is quick.
_HOMES = {
    "ALS": "recipes",
    "BPR": "recipes",
    "Bayes": "recipes",
    "Bias": "recipes",
    "Blend": "recipes",
    "EASE": "recipes",
    "ImplicitALS": "recipes",
    "Mean": "recipes",
    "Neighbors": "recipes",
    "Popularity": "recipes",
    "Ratings": "data.ratings",
    "Recommender": "recommender",
    "SGD": "recipes",
    "Sequence": "recipes",
    "SparseEASE": "recipes",
    "Vocabulary": "data.vocabulary",
    "card": "exporting.card",
    "check": "evaluation",
    "compare": "evaluation",
    "cross_validate": "evaluation",
    "drift": "evaluation",
    "evaluate": "evaluation",
    "load": "recommender",
    "read": "data.reading",
    "set_output": "data.output",
    "split_folds": "data.splitting",
    "split_folds_within_users": "data.splitting",
    "split_last": "data.splitting",
    "split_random": "data.splitting",
    "split_rows": "data.splitting",
    "split_time": "data.splitting",
    "split_users": "data.splitting",
    "split_within_users": "data.splitting",
    "tune": "tuning",
}
_MODULES = {
    "blocks": "data.blocks",
    "datasets": "data.datasets",
    "distributed": "distributed",
    "errors": "errors",
    "evaluation": "evaluation",
    "exporting": "exporting",
    "mlflow": "exporting.mlflow",
    "nn": "nn",
    "plotting": "plotting",
    "recipes": "recipes",
    "sklearn": "sklearn",
    "tuning": "tuning",
}
_NEEDS = {"nn": "torch"}  # what must be installed for a module to be there at all

if TYPE_CHECKING:
    from palate import distributed, errors, evaluation, exporting, recipes, tuning
    from palate.data import blocks, datasets
    from palate.data.output import set_output
    from palate.data.ratings import Ratings
    from palate.data.reading import read
    from palate.data.splitting import (
        split_folds,
        split_folds_within_users,
        split_last,
        split_random,
        split_rows,
        split_time,
        split_users,
        split_within_users,
    )
    from palate.data.vocabulary import Vocabulary
    from palate.evaluation import check, compare, cross_validate, drift, evaluate
    from palate.exporting.card import card
    from palate.recipes import (
        ALS,
        BPR,
        EASE,
        SGD,
        Bayes,
        Bias,
        Blend,
        ImplicitALS,
        Mean,
        Neighbors,
        Popularity,
        Sequence,
        SparseEASE,
    )
    from palate.recommender import Recommender, load
    from palate.tuning import tune

__all__ = [
    "ALS",
    "BPR",
    "EASE",
    "SGD",
    "Bayes",
    "Bias",
    "Blend",
    "ImplicitALS",
    "Mean",
    "Neighbors",
    "Popularity",
    "Ratings",
    "Recommender",
    "Sequence",
    "SparseEASE",
    "Vocabulary",
    "blocks",
    "card",
    "check",
    "compare",
    "cross_validate",
    "datasets",
    "distributed",
    "drift",
    "errors",
    "evaluate",
    "evaluation",
    "exporting",
    "load",
    "read",
    "recipes",
    "set_output",
    "split_folds",
    "split_folds_within_users",
    "split_last",
    "split_random",
    "split_rows",
    "split_time",
    "split_users",
    "split_within_users",
    "tune",
    "tuning",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"palate.{_MODULES[name]}")
    if name not in _HOMES:
        raise AttributeError(f"module 'palate' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"palate.{_HOMES[name]}"), name)
    return found


def __dir__() -> list[str]:
    there = [name for name in _MODULES if name not in _NEEDS or find_spec(_NEEDS[name]) is not None]
    return sorted({*__all__, *there, "__version__"})
