"""Instructions of the hottest kernels, counted by valgrind's callgrind: the same on a busy machine as on an idle one.

instructions.csv keeps the counts, one line for each kernel and compiler; of several the last counts. Run:

    python benchmarks/instructions.py             compare; exit code 1 where a count is 3% above the kept one
    python benchmarks/instructions.py --keep WHY  add lines for counts that are new or moved by 3%, with this reason

A count depends on the compiler. So the first part of its version, as in "GCC 12", belongs to a line. A compiler without
lines is a failure too, whose message names the command that adds them: nothing passes because nobody looked. A count
that fell by 3% is no failure, but keep it, so that it cannot rise again unseen.

Kernels run on one thread at level v3, since valgrind knows no AVX-512. Counted is the whole call, checks included.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from ctypes import CDLL
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate import kernels

KEPT = Path(__file__).with_name("instructions.csv")
TOLERANCE = 0.03
LEVEL = "v3"
N_USERS, N_ITEMS, N_RATINGS = 600, 400, 24_000

# valgrind starts to count at a request of the program, which is made by macros of C.
REQUESTS = """
#include <valgrind/callgrind.h>
void start(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void stop(const char* name) { CALLGRIND_DUMP_STATS_AT(name); CALLGRIND_STOP_INSTRUMENTATION; }
"""

Arrays = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]


# ---- the inputs: synthetic, the same everywhere ----


def ratings() -> tuple[Arrays, Arrays]:
    """Ratings by user and by item: (indptr, indices, values) each. Few items get many of them, most get few."""
    rng = np.random.default_rng(0)
    users = np.minimum(rng.exponential(N_USERS / 4, N_RATINGS).astype(np.int32), N_USERS - 1)
    items = np.minimum(rng.exponential(N_ITEMS / 4, N_RATINGS).astype(np.int32), N_ITEMS - 1)
    values = rng.integers(1, 6, N_RATINGS).astype(np.float32)
    by_user = kernels.compress_rows(users, items, values, None, N_USERS)[:3]
    by_item = kernels.compress_rows(items, users, values, None, N_ITEMS)[:3]
    return by_user, by_item


def table(n: int, k: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((n, k), np.float32) * np.float32(0.3)


def prior(k: int) -> dict[str, Any]:
    return {"precision": 15 * np.eye(k, dtype=np.float32), "mean": np.zeros(k, np.float32)}


# ---- the kernels, each as a fit or an answer calls it; a function returns the call that is counted ----


def solve_rows_draw() -> Callable[[], Any]:
    """Both sides of a sweep of Bayes: 31 factors and a bias, a noise and a prior mean of each user."""
    by_user, by_item = ratings()
    users, items = table(N_USERS, 32, 1), table(N_ITEMS, 32, 2)
    noise = np.random.default_rng(3).gamma(5, 0.2, N_USERS).astype(np.float32)
    options = {"bias": True, "center": 3.5, "scale": 1.1, "alpha": 1.5, "draw": True, "errors": True, "n_threads": 1}
    options |= prior(32)

    def call() -> None:
        kernels.solve_rows(*by_user, items, **(options | {"mean": users}), row_weights=noise)
        kernels.solve_rows(*by_item, users, **(options | {"mean": items}), other_weights=noise)

    return call


def solve_rows_mode() -> Callable[[], Any]:
    """The users of a sweep of ALS: 64 columns."""
    by_user, _ = ratings()
    items = table(N_ITEMS, 64, 2)
    return lambda: kernels.solve_rows(*by_user, items, bias=True, n_threads=1, **prior(64))


def draw_link() -> Callable[[], Any]:
    """The link of the users' history: 32 columns, one value for all entries of a row."""
    _, (indptr, indices, _values) = ratings()
    counts = np.bincount(indices, minlength=N_USERS)
    options = {
        "row_values": (1 / np.sqrt(np.maximum(counts, 1))).astype(np.float32),
        "ridge": np.full(N_ITEMS, 2, np.float32),
        "factor": np.eye(32, dtype=np.float32) / 4,
        "n_threads": 1,
    }
    link, residuals = np.zeros((N_ITEMS, 32), np.float32), table(N_USERS, 32, 1)
    return lambda: kernels.draw_link(indptr, indices, None, link, residuals, **options)


def solve_blocks() -> Callable[[], Any]:
    """The users of a sweep of ImplicitALS: 128 factors by blocks of 32."""
    by_user, _ = ratings()
    users, items = table(N_USERS, 128, 1), table(N_ITEMS, 128, 2)
    background = items.T @ items + 3 * np.eye(128, dtype=np.float32)
    return lambda: kernels.solve_blocks(*by_user, items, users, block=32, background=background, n_threads=1)


def draw_truncated() -> Callable[[], Any]:
    """The latent scores of ordinal ratings in five steps."""
    rng = np.random.default_rng(4)
    means, steps = rng.standard_normal(N_RATINGS, np.float32), rng.integers(0, 5, N_RATINGS).astype(np.uint8)
    cuts = np.asarray([-1.5, -0.5, 0.4, 1.3], np.float32)
    return lambda: kernels.draw_truncated(means, steps, cuts, seed=0, sweep=1, stream=4, n_threads=1)


def descend() -> Callable[[], Any]:
    """An epoch of SGD: 50 factors and biases."""
    (indptr, items, values), _ = ratings()
    order = np.random.default_rng(5).permutation(N_RATINGS)
    users = np.repeat(np.arange(N_USERS, dtype=np.int32), np.diff(indptr))
    codes = {"user_codes": users[order], "item_codes": items[order], "values": values[order]}
    grid = {"cells": np.asarray([0, N_RATINGS]), "strata": np.zeros((1, 1), np.int32)}
    rates = np.asarray([0.01], np.float32)
    tables = table(N_USERS, 64, 1), table(N_ITEMS, 64, 2)
    options = {"n_factors": 50, "mean": 3.5, "weight_decay": 0.01, "n_threads": 1}
    return lambda: kernels.descend(*tables, **codes, **grid, rates=rates, **options)


def top_n() -> Callable[[], Any]:
    """The ten best of 2,000 items for 300 users, without what they have seen."""
    indptr, indices, _ = ratings()[0]
    users, items = table(300, 32, 1), table(2000, 32, 2)
    seen = {"seen_indptr": indptr[:301].copy(), "seen_indices": indices[: indptr[300]].copy()}
    return lambda: kernels.top_n(users, items, 10, n_threads=1, **seen)


KERNELS: dict[tuple[str, str], Callable[[], Callable[[], Any]]] = {
    ("solve_rows", "draw of both sides, 32 columns"): solve_rows_draw,
    ("solve_rows", "mode, 64 columns"): solve_rows_mode,
    ("draw_link", "history, 32 columns"): draw_link,
    ("solve_blocks", "128 factors by blocks of 32"): solve_blocks,
    ("draw_truncated", "five steps"): draw_truncated,
    ("descend", "an epoch, 50 factors"): descend,
    ("top_n", "10 of 2,000 items, 300 users"): top_n,
}


# ---- counting ----


def run_under_valgrind(requests: str) -> None:
    """The counted process: calls every kernel between two requests to valgrind."""
    library = CDLL(requests)
    if LEVEL not in kernels.levels():
        raise SystemExit(f"instructions: this machine cannot run level {LEVEL} (AVX2), for which counts are kept")
    kernels.use_level(LEVEL)
    for number, prepare in enumerate(KERNELS.values()):
        call = prepare()
        call()  # what the first call of a kernel sets up is not counted
        library.start()
        call()
        library.stop(str(number).encode())


def counted() -> dict[tuple[str, str], int]:
    """The instructions of every kernel."""
    with tempfile.TemporaryDirectory() as folder:
        source, requests, out = (Path(folder) / name for name in ("requests.c", "requests.so", "counts"))
        source.write_text(REQUESTS)
        commands = [
            [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", str(requests), str(source)],
            ["valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}",
             sys.executable, __file__, "--run", str(requests)],
        ]  # fmt: skip
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        for command in commands:
            try:
                subprocess.run(command, check=True, env=environment)
            except FileNotFoundError:
                raise SystemExit(f"instructions: {command[0]} is missing; apt-get install valgrind gcc") from None
            except subprocess.CalledProcessError as failure:
                raise SystemExit(f"instructions: {command[0]} failed with exit code {failure.returncode}") from None
        dumps = [path.read_text() for path in Path(folder).glob("counts*")]
    by_number = {}
    for dump in dumps:
        name = re.search(r"^desc: Trigger: Client Request: (\d+)$", dump, re.MULTILINE)
        total = re.search(r"^(?:totals|summary): (\d+)", dump, re.MULTILINE)
        if name and total:
            by_number[int(name[1])] = int(total[1])
    return {kernel: by_number[number] for number, kernel in enumerate(KERNELS)}


def compiler() -> str:
    """What the kernels were compiled with, such as "GCC 12": compilers leave their names in the files they make."""
    file = sys.modules["palate.kernels._kernels"].__file__
    assert file is not None
    found = re.findall(rb"(GCC|clang version)[:\s](?: ?\([^)]*\) )?(\d+)\.\d+\.\d+", Path(file).read_bytes())
    if not found:
        return "unknown"
    name, version = max(found)  # clang links start-up code of GCC's, so clang comes first
    return f"{'GCC' if name == b'GCC' else 'clang'} {int(version)}"


# ---- comparing with what is kept ----


def kept() -> dict[tuple[str, str, str], int]:
    """The last count of each (kernel, input, compiler)."""
    with KEPT.open(newline="", encoding="utf-8") as lines:
        return {(row["kernel"], row["input"], row["compiler"]): int(row["count"]) for row in csv.DictReader(lines)}


def verdict(now: int, before: int | None) -> str:
    """One of "new", "more", "less" and "same"."""
    if before is None:
        return "new"
    change = now / before - 1
    return "more" if change > TOLERANCE else "less" if change < -TOLERANCE else "same"


def keep(counts: dict[tuple[str, str], int], built_by: str, why: str) -> None:
    """Add a line for every count that is new or has moved."""
    before = kept()
    with KEPT.open("a", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        for (kernel, given), count in counts.items():
            if verdict(count, before.get((kernel, given, built_by))) != "same":
                writer.writerow([kernel, given, built_by, count, datetime.date.today(), why])


def told(counts: dict[tuple[str, str], int], before: dict[tuple[str, str, str], int], built_by: str) -> int:
    """Print every count beside the kept one. Return the exit code: 1 if any is new or has risen."""
    command = f"{Path(sys.executable).name} benchmarks/instructions.py --keep"
    advice = {
        "same": "",
        "less": f'  fewer; keep it: {command} "why"',
        "more": f'  MORE; make it cheaper, or say why it must be so: {command} "why"',
        "new": f'  NOT KEPT for {built_by}: {command} "first counts with {built_by}"',
    }
    exit_code = 0
    for (kernel, given), count in counts.items():
        old = before.get((kernel, given, built_by))
        found = verdict(count, old)
        change = "" if old is None else f" {count / old - 1:+.1%}"
        print(f"{kernel}, {given}: {count:,}{change}{advice[found]}")
        exit_code |= found in ("more", "new")
    return exit_code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", metavar="WHY", help="add lines to instructions.csv, with the reason")
    parser.add_argument("--run", metavar="LIBRARY", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        return run_under_valgrind(options.run)
    counts, built_by = counted(), compiler()
    if options.keep:
        keep(counts, built_by, options.keep)
    sys.exit(told(counts, kept(), built_by))


if __name__ == "__main__":
    main()
