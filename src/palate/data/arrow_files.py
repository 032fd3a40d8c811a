"""Arrow files under the path that they have: polars takes *, ? and [ in a path for a pattern."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def scan_arrow(path: str | Path) -> pl.LazyFrame:
    """The table in an Arrow file, to be read when it is collected."""
    import polars as pl

    return pl.scan_ipc("".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(path)))
