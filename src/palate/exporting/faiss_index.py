"""Vectors as an index of faiss: exact search, whose row numbers are places in the list of labels beside it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from palate.answers.vectors import Vectors
from palate.errors import OptionError
from palate.exporting.files import write_labels


def check_installed() -> Any:
    """Return faiss. Raises OptionError where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of the types that SWIG makes
            import faiss as found
    except ImportError:
        raise OptionError("to=\"faiss\" needs faiss: pip install 'palate[ann]'.") from None
    return found


def faiss(vectors: Vectors, path: Path, labels: Path) -> None:
    """Write an exact index of the metric, and the labels as JSON. Cosines are inner products of vectors of length 1."""
    library = check_installed()
    rows = vectors.vectors
    if vectors.metric == "cosine":
        rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    kind = library.IndexFlatL2 if vectors.metric == "l2" else library.IndexFlatIP
    index = kind(vectors.n_dimensions)
    index.add(np.ascontiguousarray(rows, np.float32))
    path.write_bytes(library.serialize_index(index).tobytes())
    write_labels(vectors, labels)
