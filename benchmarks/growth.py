"""Time a rating and a sweep as ratings grow, on disk and in memory, and what memory a fit on disk needs.

`python benchmarks/growth.py FOLDER` writes ratings of many_ratings.py at every size to FOLDER, makes blocks of them
(`palate.blocks.write`), and fits ALS and Bayes, 31 factors, to the blocks and to the same ratings in memory. It keeps
the figures in growth.csv, prints tables, and draws docs/growth.svg; `--draw` only draws. Sizes that stand in growth.csv
are not measured again: `--again` forgets them.

Every step is a process of its own. A sweep is the median of those after the first ones. Memory is what is resident and
belongs to no file, `RssAnon` in /proc/self/status, at most, looked at every 20 ms: pages of mapped files do not count,
since the system takes them back when it wants them.

There are more users as ratings grow, with as many ratings each: what a sweep solves for a user is then a fixed share of
it. `--sparser` has users and items grow as sqrt(n), so that small sizes have few ratings a row; it only prints.

`python benchmarks/growth.py FOLDER --limit 600` fits 20 million ratings on disk by a process that may not have more
than 600 MB of data (RLIMIT_DATA), and compares the bytes of its model with those of one without a limit.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from growth_steps import RECIPES
from many_ratings import write as write_ratings
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from measuring import machine
from picture import COLORS, MARKERS, STYLE

HERE = Path(__file__).parent
FIGURES, PICTURE = HERE / "growth.csv", HERE.parent / "docs" / "growth.svg"
COLUMNS = ("size", "n", "recipe", "where", "write", "bytes", "sweep", "fit", "anon_mb")
SIZES = (1e6, 3e6, 1e7, 3e7, 1e8, 2e8)
FLAT, SLOWER, WRITTEN, ANON_MB = 1.5, 1.3, 240, 1_200  # bars; the last two at 100 million ratings
LINES = {"memory": ("in memory", "--", 0.8, 4), "disk": ("on disk", "-", 1.8, 6)}  # name, line, width, size of markers
LIMITED = 2e7  # ratings of the fit under a limit
Figures = list[dict[str, Any]]


def in_own_process(step: str, *arguments: str, limit: int = 0) -> dict[str, Any]:
    """What a step says of itself. limit: MB of data that its process may have; 0: as many as there are."""
    command = [sys.executable, str(HERE / "growth_steps.py"), str(limit), step, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def prepared(folder: Path, n: float, *, sparser: bool = False) -> Path:
    """The folder of ratings of one size, which are drawn if they are not there."""
    own = folder / f"{n:.0e}{'-sparser' if sparser else ''}"
    if not (own / "shape.json").exists():
        write_ratings(own, n, arrays=False, more_users=not sparser)
    return own


def measure(folder: Path, sizes: list[float], *, sparser: bool = False) -> Figures:
    """Write, fit, and keep the figures of every size that has none; those of sparser ratings are not kept."""
    figures = [] if sparser else read(FIGURES)
    for n in sizes:
        if any(float(row["size"]) == n for row in figures):
            continue
        own = prepared(folder, n, sparser=sparser)
        rows = [{"recipe": "", "where": "write", **in_own_process("written", str(own))}]
        for recipe in RECIPES:
            pair = [
                {"recipe": recipe, "where": where, **in_own_process("fitted", str(own), recipe, where)}
                for where in ("disk", "memory")
            ]
            if len({row["digest"] for row in pair}) > 1:
                raise SystemExit(f"{recipe} at {n:,.0f} ratings: disk and memory gave different models.")
            rows += pair
        figures += [{"size": f"{n:.0f}", **row} for row in rows]
        if not sparser:
            keep(figures)
        print(*rows, sep="\n", file=sys.stderr, flush=True)
    return figures


def keep(figures: Figures) -> None:
    """Write growth.csv."""
    with FIGURES.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for row in figures:
            writer.writerow(
                {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in row.items()}
            )


def read(path: Path) -> Figures:
    """The rows of growth.csv; none if it is not there."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def series(figures: Figures, recipe: str, where: str) -> list[tuple[int, float]]:
    """Numbers of ratings, and nanoseconds a rating and sweep."""
    rows = [row for row in figures if row["recipe"] == recipe and row["where"] == where]
    return sorted((int(row["n"]), 1e9 * float(row["sweep"]) / int(row["n"])) for row in rows)


def tables(figures: Figures) -> Iterator[str]:
    """The figures in Markdown, with their bars."""
    yield "| ratings | blocks written | bytes a rating | memory of writing |\n|--:|--:|--:|--:|"
    for row in figures:
        if row["where"] == "write":
            yield (
                f"| {int(row['n']):,} | {float(row['write']):.1f} s | {float(row['bytes']):.1f} "
                f"| {float(row['anon_mb']):,.0f} MB |"
            )
    yield "\n| ratings | recipe | a sweep on disk | in memory | share | memory on disk | in memory |"
    yield "|--:|---|--:|--:|--:|--:|--:|"
    fits = {(int(row["n"]), row["recipe"], row["where"]): row for row in figures if row["recipe"]}
    for n, recipe in sorted({(n, recipe) for n, recipe, _ in fits}):
        disk, memory = fits[n, recipe, "disk"], fits[n, recipe, "memory"]
        yield (
            f"| {n:,} | {recipe} | {float(disk['sweep']):.3g} s | {float(memory['sweep']):.3g} s "
            f"| {float(disk['sweep']) / float(memory['sweep']):.2f} "
            f"| {float(disk['anon_mb']):,.0f} MB | {float(memory['anon_mb']):,.0f} MB |"
        )
    yield "\n| what | measured | bar | met |\n|---|---|---|---|"
    yield from bars(figures)


def bars(figures: Figures) -> Iterator[str]:
    """The bars: flat; and at 100 million ratings seconds of writing, disk beside memory, and memory."""
    for recipe in RECIPES:
        costs = [cost for _, cost in series(figures, recipe, "disk")]
        ratio = max(costs) / min(costs)
        yield _bar(f"{recipe} on disk, time a rating and sweep: most / least", f"{ratio:.2f}", ratio, FLAT)
    for row in figures:
        if float(row["size"]) != 1e8:
            continue
        if row["where"] == "write":
            seconds = float(row["write"])
            yield _bar("100 million ratings, blocks written", f"{seconds:.0f} s", seconds, WRITTEN)
        if row["where"] == "disk":
            (other,) = (
                each for each in figures
                if (each["size"], each["recipe"], each["where"]) == (row["size"], row["recipe"], "memory")
            )  # fmt: skip
            share, anon = float(row["sweep"]) / float(other["sweep"]), float(row["anon_mb"])
            yield _bar(
                f"100 million ratings, {row['recipe']}, a sweep on disk / in memory", f"{share:.2f}", share, SLOWER
            )
            yield _bar(
                f"100 million ratings, {row['recipe']}, memory beyond mapped pages", f"{anon:,.0f} MB", anon, ANON_MB
            )


def _bar(what: str, measured: str, value: float, bar: float) -> str:
    return f"| {what} | {measured} | <= {bar:,g} | {'yes' if value <= bar else '**no**'} |"


def figure_of(figures: Figures) -> Figure:
    """Time a rating and sweep by number of ratings: on disk bold, in memory thin; the band is 1.5 wide."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    for recipe in RECIPES:
        for where, (name, line, width, size) in LINES.items():
            points = series(figures, recipe, where)
            look = {"color": COLORS[recipe], "linewidth": width, "markersize": size, "label": f"{recipe}, {name}"}
            panel.plot(*zip(*points, strict=True), MARKERS[recipe] + line, **look)
        least = min(cost for _, cost in series(figures, recipe, "disk"))
        panel.axhspan(least, FLAT * least, color=COLORS[recipe], alpha=0.07, linewidth=0)
    style(panel)
    return figure


def style(panel: Axes) -> None:
    """Axes, names and the legend."""
    panel.set_xscale("log")
    panel.set_ylim(bottom=0)
    panel.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n / 1e6:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.set_xlabel("ratings, in millions")
    panel.set_ylabel("nanoseconds a rating and sweep")
    panel.set_title(f"31 factors; each band is {FLAT:g} times as high as it begins")
    panel.grid(alpha=0.2)
    panel.legend(loc="lower right", frameon=False)


def draw(figures: Figures) -> None:
    """Write docs/growth.svg."""
    with mpl.rc_context(STYLE):
        figure_of(figures).savefig(PICTURE, metadata={"Date": None})


def compare_limited(folder: Path, n: float, limit: int) -> None:
    """Fit on disk with and without a limit, and say whether the models are the same."""
    own = prepared(folder, n)
    if not (own / "ratings.blocks").exists():
        in_own_process("written", str(own))
    for recipe in RECIPES:
        free, limited = (in_own_process("fitted", str(own), recipe, "disk", limit=mb) for mb in (0, limit))
        is_same = free["digest"] == limited["digest"]
        print(
            f"| {n / 1e6:g} million ratings, {recipe}, at most {limit} MB of data | fits: {limited['fit']:.1f} s, "
            f"{limited['anon_mb']:.0f} MB; without a limit {free['fit']:.1f} s, {free['anon_mb']:.0f} MB "
            f"| the same bytes | {'yes' if is_same else '**no**'} |",
            flush=True,
        )


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("growth"), help="takes 30 bytes a rating")
    parser.add_argument("--sizes", type=float, nargs="+", default=SIZES)
    parser.add_argument("--limit", type=int, default=0, help="MB of data that a fit to 20 million ratings may have")
    parser.add_argument("--sparser", action="store_true", help="users and items both grow as sqrt(n); only printed")
    parser.add_argument("--draw", action="store_true")
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    if options.limit:
        compare_limited(options.folder, LIMITED, options.limit)
        return
    if options.again:
        FIGURES.unlink(missing_ok=True)
    if options.sparser:
        print(f"{machine()}.\n", *tables(measure(options.folder, list(options.sizes), sparser=True)), sep="\n")
        return
    if not options.draw:
        measure(options.folder, list(options.sizes))
    figures = read(FIGURES)
    print(f"{machine()}.\n", *tables(figures), sep="\n")
    draw(figures)


if __name__ == "__main__":
    main()
