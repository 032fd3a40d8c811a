"""What a call of a kernel costs: calls with so little to do that the border is what takes the time.

    python benchmarks/kernel_calls.py                 microseconds a call, of this Python
    python benchmarks/kernel_calls.py OTHER_PYTHON    the same of another Python beside it, and the ratio

The second compares two builds of palate, such as one for a single version of Python and one for the stable ABI. Both
are asked in turn, ROUNDS times; of each the least counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import timeit
from collections.abc import Callable

import numpy as np

from palate import kernels

ROUNDS, CALLS = 7, 5000


def calls() -> dict[str, Callable[[], object]]:
    """Calls by what is passed: no arrays, a number back, arrays in and out."""
    rng = np.random.default_rng(0)
    users, items = (rng.standard_normal((n, 8)).astype(np.float32) for n in (4, 16))
    codes = np.arange(4, dtype=np.int32)
    indptr, indices = np.arange(17, dtype=np.int64), np.zeros(16, np.int32)
    return {
        "level": kernels.level,
        "philox": lambda: kernels.philox(0, 1, 2, 3, 4, 5),
        "normals, 4": lambda: kernels.normals(0, 1, 2, 3, 4),
        "has_repeats, 16 rows": lambda: kernels.has_repeats(indptr, indices, 4),
        "predict_pairs, 4": lambda: kernels.predict_pairs(
            users, items, codes, codes, bias=False, center=3.5, scale=1.0, n_threads=1
        ),
        "top_n, 3 of 16": lambda: kernels.top_n(users[:1], items, 3, n_threads=1),
    }


def microseconds() -> dict[str, float]:
    """The time of one call of each kind, now."""
    return {name: timeit.timeit(call, number=CALLS) / CALLS * 1e6 for name, call in calls().items()}


def of_python(python: str) -> dict[str, float]:
    done = subprocess.run([python, __file__, "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def least(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: min(each[name] for each in rounds) for name in rounds[0]}


def main(arguments: list[str]) -> None:
    if arguments == ["--json"]:
        print(json.dumps(least([microseconds() for _ in range(3)])))
        return
    pythons = [sys.executable, *arguments]
    found: dict[str, list[dict[str, float]]] = {python: [] for python in pythons}
    for _ in range(ROUNDS):
        for python in pythons:
            found[python].append(of_python(python))
    columns = [least(found[python]) for python in pythons]
    for name, own in columns[0].items():
        others = "".join(f"{other[name]:9.2f} ({other[name] / own:.2f})" for other in columns[1:])
        print(f"{name:22}{own:9.2f}{others}")


if __name__ == "__main__":
    main(sys.argv[1:])
