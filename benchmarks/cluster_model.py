"""What a sweep of ALS costs on a cluster: a simulation of palate's tasks over measured compute and a given network.

    .venv/bin/python benchmarks/cluster_model.py     writes docs/cluster.csv and docs/cluster.svg; --draw only draws

The runs are those that palate cuts (`runs_of`), and go to workers as it hands them out: two at a time each, in order.
A task begins when its node has fetched the vectors of the other side from the other nodes, and ends after as long as
the kernel takes here for its ratings and rows, divided by the cores of a node. Its vectors then travel to the driver,
which has a machine of its own. Events are worked off in the order of their time. What one rating and one row cost is
measured first, in CPU time of one thread, on this machine.
"""

from __future__ import annotations

import argparse
import csv
import heapq
import time
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from picture import BLUE, ORANGE, STYLE

from palate.data.rows import CompressedRows, pointers_of
from palate.distributed.half_sweeps import runs_of, solve_rows

DOCS = Path(__file__).parent.parent / "docs"
FACTORS = 64
CORES = 32
GBIT = 1e9 / 8
COPY = 8e9  # bytes a second that one process copies
LATENCY = 2e-3  # seconds from handing out a task to its beginning, and from its end to the driver's notice
SIZES = {  # ratings: users and items
    100_000_000: (1_000_000, 100_000),
    1_000_000_000: (10_000_000, 500_000),
    10_000_000_000: (100_000_000, 1_000_000),
}


@dataclass(frozen=True)
class Costs:
    """Seconds of one core for a rating and for a row."""

    rating: float
    row: float


@dataclass(frozen=True)
class Cluster:
    """Nodes with one worker each, and how many bytes a second the network carries from or to the driver."""

    nodes: int
    cores: int = CORES
    bandwidth: float = 10 * GBIT


def measured(factors: int) -> Costs:
    """What the kernel takes on this machine, by least squares over rows of several lengths."""
    rng = np.random.default_rng(0)
    other = rng.standard_normal((20_000, factors + 1), np.float32)
    options = {"precision": np.eye(factors + 1, dtype=np.float32), "mean": np.zeros(factors + 1, np.float32)}
    cells, seconds = [], []
    for per_row, n_rows in ((4, 20_000), (40, 8_000), (200, 2_000), (1000, 500)):
        n = per_row * n_rows
        rows = CompressedRows(
            pointers_of(np.full(n_rows, per_row)),
            rng.integers(0, 20_000, n).astype(np.int32),
            np.ones(n, np.float32),
            None,
        )
        cells.append((n, n_rows))
        seconds.append(min(cpu_seconds(rows, other, options) for _ in range(5)))
    found, *_ = np.linalg.lstsq(np.array(cells, float), np.array(seconds), rcond=None)
    return Costs(*found.tolist())


def cpu_seconds(rows: CompressedRows, other: NDArray[np.float32], options: dict[str, NDArray[np.float32]]) -> float:
    began = time.process_time()
    solve_rows(rows, other, bias=True, n_threads=1, **options)
    return time.process_time() - began


def half_sweep(counts: NDArray[np.int64], n_others: int, factors: int, costs: Costs, cluster: Cluster) -> float:
    """Seconds of half a sweep: rows with so many ratings each, solved given n_others vectors."""
    vector = 4 * (factors + 1)
    rows = CompressedRows(pointers_of(counts), np.zeros(0, np.int32), np.zeros(0, np.float32), None)
    waiting = list(reversed(runs_of(rows, cluster.nodes)))
    side = n_others * vector
    fetched = side * (cluster.nodes - 1) / cluster.nodes / cluster.bandwidth + side / COPY  # and made one array
    events = [(LATENCY, at, node) for at, node in enumerate(list(range(cluster.nodes)) * 2)]  # a node may take a run
    free, received, n_events = [fetched] * cluster.nodes, 0.0, len(events)
    while events:
        now, _, node = heapq.heappop(events)
        if not waiting:
            continue
        run = waiting.pop()
        work = costs.rating * counts[run].sum() + costs.row * (run.stop - run.start)
        free[node] = max(free[node], now) + side / (COPY * cluster.cores**0.5) + work / cluster.cores
        received = max(received, free[node]) + (run.stop - run.start) * (vector + 8) / cluster.bandwidth
        heapq.heappush(events, (free[node] + 2 * LATENCY, n_events, node))
        n_events += 1
    return max(received, *free) + len(counts) * vector / COPY


def sweep(n_ratings: int, costs: Costs, cluster: Cluster) -> float:
    """Seconds of a sweep: all items given users, then all users given items."""
    users, items = SIZES[n_ratings]
    by_user, by_item = counts_of(n_ratings, users, spread=1.2), counts_of(n_ratings, items, spread=2.0)
    return half_sweep(by_item, users, FACTORS, costs, cluster) + half_sweep(by_user, items, FACTORS, costs, cluster)


def counts_of(n_ratings: int, n: int, *, spread: float) -> NDArray[np.int64]:
    """Ratings of each of n rows, log-normal: `spread` is the standard deviation of their logarithm."""
    shares = np.exp(spread * np.random.default_rng(1).standard_normal(n))
    return np.floor(shares * (n_ratings / shares.sum())).astype(np.int64)


def vector_bytes(n_ratings: int) -> int:
    """Bytes of the vectors of both sides."""
    return 4 * (FACTORS + 1) * sum(SIZES[n_ratings])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draw", action="store_true", help="only draw what stands in docs/cluster.csv")
    if parser.parse_args().draw:
        with (DOCS / "cluster.csv").open(newline="") as file:
            draw([tuple(map(float, row)) for row in list(csv.reader(file))[1:]])
        return
    costs = measured(FACTORS)
    print(f"{costs.rating * 1e9:.0f} ns a rating and {costs.row * 1e6:.1f} us a row, one core, {FACTORS} factors")
    rows = []
    for n_ratings in SIZES:
        for nodes in (1, 2, 4, 8, 16):
            for gbit in (10, 100):
                cluster = replace(Cluster(nodes), bandwidth=gbit * GBIT)
                seconds = sweep(n_ratings, costs, cluster)
                into = vector_bytes(n_ratings) * (nodes - 1) // nodes
                rows.append((n_ratings, nodes, gbit, round(seconds, 2), into, vector_bytes(n_ratings)))
                print(*rows[-1])
    with (DOCS / "cluster.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("ratings", "nodes", "gbit", "seconds", "into_a_node", "into_the_driver"), *rows])
    draw(rows)


def draw(rows: list[tuple[float, ...]]) -> None:
    """The picture: seconds a sweep by nodes, a panel for each number of ratings."""
    with mpl.rc_context(STYLE):
        figure_of(rows).savefig(DOCS / "cluster.svg", metadata={"Date": None})


def figure_of(rows: list[tuple[float, ...]]) -> Figure:
    """Seconds a sweep by nodes, a panel for each number of ratings."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(SIZES))
    for panel, n_ratings in zip(panels, SIZES, strict=True):
        for gbit, color in ((10, ORANGE), (100, BLUE)):
            line = [(nodes, seconds) for n, nodes, speed, seconds, *_ in rows if n == n_ratings and speed == gbit]
            panel.plot(*zip(*line, strict=True), color=color, marker="o", markersize=3, label=f"{gbit} Gbit/s")
        panel.set_title(f"{n_ratings / 1e9:g} billion ratings")
        panel.grid(alpha=0.2)
        panel.set_xscale("log", base=2)
        panel.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
        panel.set_ylim(bottom=0)
        panel.set_xlabel("nodes")
    panels[0].set_ylabel("seconds a sweep")
    panels[0].legend(frameon=False)
    return figure


if __name__ == "__main__":
    main()
