"""The names of chapter 8 of the fast.ai book, built on the rest of palate.nn.

Every code cell of that chapter runs after changing its imports to `from palate.nn.book import *`. What differs:

- Frames come back as pandas frames if a pandas frame was given, else as polars frames.
- Only the last rating of a user for a title counts; ml-100k has 307 others, of films that share a title.
- Splits and shuffles come from `seed` (default 0); a model's first weights come from torch's generator.
- The parameters of a model have pca() once a Learner has trained it; torch.Tensor itself stays as it is.
- save() and export() write safetensors files, without code; export() those of the models of collab_learner only.
- The net of collab_learner has no batch normalization; TabularModel has.
- Callbacks are those of palate.nn (after_epoch(self, learner)), or the ones here.
- `pd` and `plt` are pandas and matplotlib.pyplot; where one is not installed, its first use says how to install it.

Read the files in this order: names, data, models, losses, learner (with predicting, recorder, searching, summary,
callbacks), exporting, pca.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from palate.nn.book.callbacks import CSVLogger, EarlyStoppingCallback, SaveModelCallback, TrackerCallback
from palate.nn.book.data import CategoryBlock, CollabDataLoaders
from palate.nn.book.exporting import load_learner
from palate.nn.book.external import URLs, untar_data
from palate.nn.book.learner import Learner, collab_learner
from palate.nn.book.losses import CrossEntropyLossFlat, MSELossFlat, accuracy, error_rate, mae, mse, rmse
from palate.nn.book.models import EmbeddingDotBias, EmbeddingNN, TabularModel, get_emb_sz
from palate.nn.book.names import OPTIONAL, L, Module, delegates, first, one_hot, optional, set_seed, tensor, to_np
from palate.nn.book.pca import pca
from palate.nn.book.recorder import Recorder
from palate.nn.book.searching import minimum, slide, steep, valley
from palate.nn.embedding import Embedding
from palate.nn.models import sigmoid_range

__all__ = [
    "CSVLogger", "CategoryBlock", "CollabDataLoaders", "CrossEntropyLossFlat", "EarlyStoppingCallback", "Embedding",
    "EmbeddingDotBias", "EmbeddingNN", "F", "L", "Learner", "MSELossFlat", "Module", "Path", "Recorder",
    "SaveModelCallback", "TabularModel", "Tensor", "TrackerCallback", "URLs", "accuracy", "collab_learner", "delegates",
    "error_rate", "first", "get_emb_sz", "load_learner", "mae", "minimum", "mse", "nn", "np", "one_hot", "pca", "pd",
    "plt", "rmse", "set_seed", "sigmoid_range", "slide", "steep", "tensor", "to_np", "torch", "untar_data", "valley",
]  # fmt: skip  # pd and plt are loaded by __getattr__


def __getattr__(name: str) -> Any:
    if name not in OPTIONAL:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return optional(name)
