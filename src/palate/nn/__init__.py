"""Latent factors from scratch in PyTorch, to read and to learn from.

Read the files in this order: embedding, models, losses, loaders (with columns), schedules and optimizers, learner (the
training loop, with callbacks, metrics, progress, device and checkpoints), conversion (to a Recommender and back). The
folder book has the names of chapter 8 of the fast.ai book.

>>> import palate
>>> from palate.nn import DotProductBias, Learner, RatingLoaders
>>> loaders = RatingLoaders.from_ratings(palate.datasets.synthetic(60, 40, 1200, seed=1))
>>> model = DotProductBias(loaders.n_users, loaders.n_items, n_factors=5, y_range=(0, 5.5))
>>> learner = Learner(loaders, model, progress=False).fit_one_cycle(3, 0.05, wd=0.1)
>>> palate.nn.from_torch(model, loaders.ratings).recommend("u1", n=3).columns
['user', 'item', 'score', 'rank']
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if find_spec("torch") is None:
    raise ImportError("palate.nn needs PyTorch, which is not installed: pip install 'palate[torch]'.")

if TYPE_CHECKING:
    from palate.nn.callbacks import Callback, EarlyStopping, Epoch, KeepBest, Recorder, RecordNorms, SaveCheckpoint
    from palate.nn.conversion import from_torch, to_torch
    from palate.nn.embedding import Embedding, create_params, embedding_size, one_hot
    from palate.nn.learner import Learner
    from palate.nn.loaders import Batches, RatingLoaders
    from palate.nn.losses import mse, weight_decay_term
    from palate.nn.models import DotProduct, DotProductBias, EmbeddingNet, cosine, sigmoid_range
    from palate.nn.schedules import LrSearch

# Public name -> its module, which is imported (and torch with it) when the name is first used.
_MODULES = {
    **dict.fromkeys(("Callback", "EarlyStopping", "Epoch", "KeepBest", "Recorder"), "callbacks"),
    **dict.fromkeys(("RecordNorms", "SaveCheckpoint"), "callbacks"),
    **dict.fromkeys(("from_torch", "to_torch"), "conversion"),
    **dict.fromkeys(("Embedding", "create_params", "embedding_size", "one_hot"), "embedding"),
    "Learner": "learner",
    **dict.fromkeys(("Batches", "RatingLoaders"), "loaders"),
    **dict.fromkeys(("mse", "weight_decay_term"), "losses"),
    **dict.fromkeys(("DotProduct", "DotProductBias", "EmbeddingNet", "cosine", "sigmoid_range"), "models"),
    "LrSearch": "schedules",
}
_PARTS = ("book",)  # public modules of their own

__all__ = [
    "Batches",
    "Callback",
    "DotProduct",
    "DotProductBias",
    "EarlyStopping",
    "Embedding",
    "EmbeddingNet",
    "Epoch",
    "KeepBest",
    "Learner",
    "LrSearch",
    "RatingLoaders",
    "RecordNorms",
    "Recorder",
    "SaveCheckpoint",
    "cosine",
    "create_params",
    "embedding_size",
    "from_torch",
    "mse",
    "one_hot",
    "sigmoid_range",
    "to_torch",
    "weight_decay_term",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES and name not in _PARTS:
        raise AttributeError(f"module 'palate.nn' has no attribute {name!r}")
    if name in _PARTS:
        return import_module(f"palate.nn.{name}")
    found = globals()[name] = getattr(import_module(f"palate.nn.{_MODULES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted([*__all__, *_PARTS])
