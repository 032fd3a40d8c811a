"""Vectors as an index of faiss: exact search, whose row numbers are places in the list of labels beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from palate.answers.ranking.index import faiss_for
from palate.answers.vectors import Vectors
from palate.exporting.files import write_labels

NEEDED_BY = 'to="faiss"'


def faiss(vectors: Vectors, path: Path, labels: Path) -> None:
    """Write an exact index of the metric, and the labels as JSON. Cosines are inner products of vectors of length 1."""
    library = faiss_for(NEEDED_BY)
    rows = vectors.vectors
    if vectors.metric == "cosine":
        rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    kind = library.IndexFlatL2 if vectors.metric == "l2" else library.IndexFlatIP
    index = kind(vectors.n_dimensions)
    index.add(np.ascontiguousarray(rows, np.float32))
    path.write_bytes(library.serialize_index(index).tobytes())
    write_labels(vectors, labels)
