"""Writing: ratings -> a folder of blocks, whole or not at all."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from palate.data.blocks.folder import Folder, write_manifest
from palate.data.blocks.labels import write_labels
from palate.data.blocks.mapped import Blocks
from palate.data.blocks.mapped import open as open_blocks
from palate.data.blocks.sorting import Buckets, RowFiles, compressed, counts_of, transpose_to
from palate.data.blocks.views import part_of, ranges_of, rows_by_user
from palate.data.ratings import Ratings
from palate.data.reading.duplicates import Columns
from palate.data.rows import in_order

AT_ONCE = 1 << 20  # ratings


def write(path: str | os.PathLike[str], source: Any, *, progress: bool = True) -> Blocks:  # noqa: ARG001
    """Write."""
    ratings: Ratings = source
    target = Path(path)
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    counts = counts_of(ratings.user_codes, ratings.n_users)
    has = {"weights": ratings.weights is not None, "times": ratings.times is not None}
    buckets = Buckets(part, counts, **has)
    for start in range(0, len(ratings), AT_ONCE):
        at = slice(start, start + AT_ONCE)
        columns = Columns(
            ratings.user_codes[at],
            ratings.item_codes[at],
            ratings.values[at],
            None if ratings.times is None else ratings.times[at],
            None if ratings.weights is None else ratings.weights[at],
        )
        buckets.add(columns.users, columns.items, columns)
    files = RowFiles(part, "by_user", **has)
    for first, last, columns in buckets.sorted():
        rows = compressed(first, last, columns)
        files.append(in_order(rows) if ratings.is_implicit else rows)
    entries = files.close()
    for side in ("user", "item"):
        name = f"{side}s.arrow"
        entries[name] = write_labels(
            part / name, getattr(ratings, f"{side}_vocabulary"), getattr(ratings, f"{side}_table")
        )
    low, high = ratings.range
    manifest: dict[str, Any] = {
        "n_ratings": len(ratings),
        "n_users": ratings.n_users,
        "n_items": ratings.n_items,
        "kind": ratings.kind,
        "like_threshold": ratings.like_threshold,
        "range": [low, high],
        "report": asdict(ratings.report),
        "files": entries,
    }
    folder = Folder(part, manifest)
    rows = rows_by_user(folder)
    counts = counts_of(ratings.item_codes, ratings.n_items)
    parts = ((first, part_of(rows, first, last)) for _, first, last in ranges_of(rows))
    entries |= transpose_to(part, part, parts, counts)
    write_manifest(part, manifest)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    return open_blocks(target)
