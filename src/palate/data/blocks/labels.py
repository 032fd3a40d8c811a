"""The labels of one side on disk, with its table: an Arrow file with one row for each code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.data.vocabulary import Vocabulary
from palate.data.whole_files import reason, replacing
from palate.errors import BlocksError

if TYPE_CHECKING:
    import polars as pl

LABEL = "label"  # the first column; those of the table follow, each after PREFIX
PREFIX = "table."


def write_labels(path: Path, vocabulary: Vocabulary, table: pl.DataFrame | None) -> dict[str, Any]:
    """Write the file; return its entry in the manifest."""
    import polars as pl

    from palate.data.blocks.folder import crc_of

    kind = pl.Int64 if vocabulary.kind == "integer" else pl.String
    frame = pl.DataFrame({LABEL: pl.Series(vocabulary.labels.tolist(), dtype=kind)})
    if table is not None:
        frame = frame.hstack(table.rename({name: PREFIX + name for name in table.columns}))
    with replacing(path) as temporary:
        frame.write_ipc(temporary)
    return {"bytes": path.stat().st_size, "crc32": crc_of(path)}


def labels_and_table(path: Path, what: str) -> tuple[Vocabulary, pl.DataFrame | None]:
    """The vocabulary and the table in a file. Raises BlocksError."""
    import polars as pl

    try:
        frame = pl.read_ipc(path)
        labels = frame[LABEL]
    except (OSError, pl.exceptions.PolarsError) as error:
        raise BlocksError(f"cannot read {path}: {reason(error)}. Write the blocks again.") from error
    array = labels.to_numpy() if labels.dtype == pl.Int64 else np.array(labels.to_list(), dtype=object)
    table = frame.drop(LABEL)
    renamed = table.rename({name: name.removeprefix(PREFIX) for name in table.columns})
    return Vocabulary.in_order(array, what=what), renamed if renamed.width else None
