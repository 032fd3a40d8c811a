"""Vectors as files: Parquet, which says itself what is in it, and NumPy arrays with their labels beside them."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np

from palate.__version__ import __version__
from palate.answers.vectors import Vectors


def about(vectors: Vectors) -> dict[str, Any]:
    """What the reader of some vectors has to know of them."""
    return {
        "palate": __version__,
        "side": vectors.side,
        "metric": vectors.metric,
        "question": vectors.question,
        "dimensions": vectors.n_dimensions,
    }


def parquet(vectors: Vectors, path: Path) -> None:
    """Write label, title, vector and offset columns; about() lies in the metadata of the file, under "palate"."""
    import polars as pl

    frame, options = vectors.polars_frame(), {}
    if "metadata" in inspect.signature(pl.DataFrame.write_parquet).parameters:  # of polars 1.30 and later
        options["metadata"] = {"palate": json.dumps(about(vectors))}
    frame.write_parquet(path, **options)


def npy(vectors: Vectors, path: Path, labels: Path) -> None:
    """Write the array, (n, d) float32, and the labels as JSON."""
    with path.open("wb") as file:
        np.save(file, vectors.vectors, allow_pickle=False)
    write_labels(vectors, labels)


def write_labels(vectors: Vectors, path: Path) -> None:
    """Write about(), the labels and, where there are any, titles and offsets, in the order of the rows."""
    said = about(vectors) | {"labels": vectors.labels.tolist()}
    if vectors.titles is not None:
        said["titles"] = vectors.titles
    if vectors.offsets is not None:
        said["offsets"] = vectors.offsets.tolist()
    path.write_text(json.dumps(said), encoding="ascii")
