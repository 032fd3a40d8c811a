"""One step of growth.py, in a process of its own that imports nothing but palate: seconds and memory, as JSON.

`python growth_steps.py LIMIT written FOLDER` makes blocks of the Parquet files in a folder,
`python growth_steps.py LIMIT fitted FOLDER RECIPE disk` (or memory) fits to them. LIMIT: MB of data that the process
may have (RLIMIT_DATA); 0: as many as there are.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import palate

N_FACTORS, FIRST_SWEEPS = 31, 3  # the first sweeps are not counted: by then Bayes averages draws
RECIPES: dict[str, dict[str, Any]] = {"ALS": {"n_sweeps": 6}, "Bayes": {"n_sweeps": 8, "history": False}}


class Anonymous:
    """The most memory of this process that belonged to no file, in MB, while the block of `with` ran."""

    def __enter__(self) -> Anonymous:
        self.megabytes, self._ended = anonymous_mb(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            self.megabytes = max(self.megabytes, anonymous_mb())


def anonymous_mb() -> float:
    """Resident memory of this process that belongs to no file, in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


def written(folder: Path) -> dict[str, Any]:
    """Make blocks of the Parquet files in a folder."""
    with Anonymous() as memory:
        begun = time.perf_counter()
        source = str(folder / "part-*.parquet")
        blocks = palate.blocks.write(folder / "ratings.blocks", source, progress=False, overwrite=True)
        seconds = time.perf_counter() - begun
    size = sum(path.stat().st_size for path in (folder / "ratings.blocks").rglob("*") if path.is_file())
    return {"n": len(blocks), "write": seconds, "anon_mb": memory.megabytes, "bytes": size / len(blocks)}


def fitted(folder: Path, recipe: str, where: str) -> dict[str, Any]:
    """Fit to the blocks in a folder, or to the same ratings in memory; save the model."""
    ratings: Any = palate.blocks.open(folder / "ratings.blocks")
    if where == "memory":
        vocabularies = {f"{side}_vocabulary": getattr(ratings, f"{side}_vocabulary") for side in ("user", "item")}
        ratings = palate.Ratings(ratings.user_codes, ratings.item_codes, ratings.values, **vocabularies)
    ends: list[float] = []
    with Anonymous() as memory:
        fit = getattr(palate, recipe)(n_factors=N_FACTORS, **RECIPES[recipe]).fit
        rec = fit(ratings, progress=False, callback=lambda sweep: ends.append(sweep.seconds))
        seconds = rec.model.training["seconds"]
        path = folder / f"{recipe}-{where}.palate"
        rec.save(path)
    sweep = median(np.diff(ends)[FIRST_SWEEPS - 1 :])
    told = {"n": len(ratings), "sweep": float(sweep), "fit": seconds, "anon_mb": memory.megabytes}
    del rec
    told["digest"] = digest(path)
    path.unlink()
    return told


def digest(path: Path) -> str:
    """SHA-256 of all arrays of a model file; its header also holds seconds and dates."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(8 + int.from_bytes(file.read(8), "little"))
        while chunk := file.read(1 << 20):
            found.update(chunk)
    return found.hexdigest()


def main() -> None:
    """Do one step."""
    limit, step, folder, *rest = sys.argv[1:]
    if int(limit):
        resource.setrlimit(resource.RLIMIT_DATA, (int(limit) << 20, int(limit) << 20))
    print(json.dumps({"written": written, "fitted": fitted}[step](Path(folder), *rest)))


if __name__ == "__main__":
    main()
