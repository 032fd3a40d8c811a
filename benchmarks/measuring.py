"""Measuring: what all benchmarks share. Times are wall-clock medians; a bar is met or it is not."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import palate
from palate import Ratings


@dataclass(frozen=True)
class Row:
    """One line of RESULTS.md."""

    what: str
    measured: str
    bar: str
    met: bool | None  # None: reported only

    def line(self) -> str:
        """The row in Markdown."""
        verdict = {True: "yes", False: "**no**", None: "-"}[self.met]
        return f"| {self.what} | {self.measured} | {self.bar} | {verdict} |"


def split_90_10(name: str) -> tuple[Ratings, Ratings]:
    """Rows in file order; perm = default_rng(0).permutation(n); test = perm[: n // 10], train = the rest."""
    return palate.split_random(palate.datasets.load(name), test=0.1, seed=0)


def fresh(ratings: Ratings) -> Ratings:
    """The same ratings with nothing built yet, so that every fit pays for its own compressed rows."""
    return ratings[np.arange(len(ratings))]


def timed(work: Callable[[], Any], repeat: int = 5) -> tuple[float, Any]:
    """Median seconds of `repeat` runs after one that is not counted, and the last run's answer."""
    work()
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        answer = work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), answer


def fit_timed(recipe: Any, train: Ratings, repeat: int = 5) -> tuple[float, palate.Recommender]:
    """Median seconds of the fit alone, reading and imports excluded."""
    copies = iter([fresh(train) for _ in range(repeat + 1)])
    return timed(lambda: recipe.fit(next(copies), progress=False), repeat)


def rmse(recommender: palate.Recommender, test: Ratings) -> float:
    """RMSE of predictions clipped to the rating range."""
    predicted = recommender.predict_codes(test.user_codes, test.item_codes)[0]
    return float(np.sqrt(np.mean((predicted - test.values) ** 2)))


def in_own_process(source: str) -> str:
    """What a fresh Python prints."""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def command_seconds(command: list[str], repeat: int = 7) -> float:
    """Median wall seconds of a whole process, the first run not counted."""
    return timed(lambda: subprocess.run(command, check=True, capture_output=True), repeat)[0]


def peak_mb() -> float:
    """Peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine() -> str:
    """One line about where this ran."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    cores = os.cpu_count()
    level = palate.kernels.level()
    return (
        f"{model}, {cores} cores, kernels built for {level}, Python {platform.python_version()}, NumPy {np.__version__}"
    )
