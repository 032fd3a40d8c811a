"""Error against seconds: palate beside the other libraries, as docs/error-against-seconds.svg.

`python benchmarks/picture.py` measures palate, writes the points to benchmarks/points.csv and draws; `--draw` only
draws. The other libraries' figures stand in benchmarks/peers.csv: the best of a search over settings for each, measured
on the same split and the same kind of machine, one process each.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from itertools import pairwise, product
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, NullFormatter
from matplotlib.transforms import Bbox

HERE = Path(__file__).parent
PICTURE = HERE.parent / "docs" / "error-against-seconds.svg"
POINTS, PEERS = HERE / "points.csv", HERE / "peers.csv"
TITLES = {"ml-100k": "MovieLens 100K", "ml-1m": "MovieLens 1M"}
# One color for each recipe in all charts; readers with any color vision can tell them apart (Okabe & Ito).
BLUE, ORANGE, GREEN, GRAY = "#0072b2", "#d55e00", "#009e73", "#767676"
COLORS = {"Bayes": ORANGE, "ALS": BLUE, "SGD": GREEN}
MUTED = {
    "myFM": "#7b5a86",
    "cmfrec": "#8c6d31",
    "Surprise": "#6b7a3a",
    "LensKit": "#52798f",
    "LIBMF": "#a0526d",
    "Cornac": "#5f5f5f",
    "fastai": "#9c5a4a",
    "Spark": "#3f7f7b",
}
MARKERS = {"Bayes": "o", "ALS": "s", "SGD": "^"}
GAPS = (7, 11, 16, 24)  # between a point and its label, in typographic points, nearest first
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))  # of a point: right, left, above, ...
ALIGN = {1: "left", 0: "center", -1: "right"}, {1: "bottom", 0: "center", -1: "top"}
# Of all charts. The white behind them stays in a reader's dark mode, where black letters alone would be lost.
STYLE = {
    "svg.hashsalt": "palate",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "savefig.facecolor": "white",
}

Rows = list[dict[str, str]]
Curves = dict[str, list[tuple[float, float]]]  # name -> (seconds, RMSE), the quickest first


def main() -> None:
    """Measure, unless told only to draw; draw; write."""
    if "--draw" not in sys.argv[1:]:
        measure()
    with mpl.rc_context(STYLE):
        figure_of(read(POINTS), read(PEERS)).savefig(PICTURE, metadata={"Date": None})


def read(path: Path) -> Rows:
    """The rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def measure() -> None:
    """Fit palate's recipes on both data sets and write seconds and RMSE to points.csv."""
    from measuring import fit_timed, rmse, split_90_10

    import palate

    recipes = {
        "ml-100k": [
            palate.SGD(n_epochs=8, lr=0.04),
            palate.SGD(),
            palate.ALS(),
            *(palate.Bayes(n_factors=15, n_sweeps=n, features=False) for n in (10, 25, 50, 100)),
        ],
        "ml-1m": [
            palate.SGD(n_epochs=6, lr=0.05, weight_decay=0.03),
            palate.SGD(),
            palate.ALS(n_factors=15, n_sweeps=7),
            palate.ALS(),
            *(palate.Bayes(n_factors=31, n_sweeps=n, features=False) for n in (10, 20, 40, 100)),
        ],
    }
    with POINTS.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(["data", "recipe", "setting", "seconds", "rmse"])
        for name, tried in recipes.items():
            train, test = split_90_10(name)
            for recipe in tried:
                seconds, rec = fit_timed(recipe, train, repeat=3)
                row = [name, type(recipe).__name__, recipe.label(), f"{seconds:.4f}", f"{rmse(rec, test):.5f}"]
                writer.writerow(row)
                print(*row, flush=True)


def figure_of(points: Rows, peers: Rows) -> Figure:
    """Two panels, one a data set: palate's curves bold, the other libraries' thin, each with its name beside it."""
    figure = Figure(figsize=(10, 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2)
    panels[0].set_ylabel("test RMSE")
    content = [
        (
            panel,
            curves((row["recipe"], row) for row in points if row["data"] == name),
            curves((series(row), row) for row in peers if row["data"] == name),
        )
        for panel, name in zip(panels, TITLES, strict=True)
    ]
    for (panel, own, others), title in zip(content, TITLES.values(), strict=True):
        draw(panel, title, own, others)
    figure.draw_without_rendering()  # gives the panels their place, without which no text has a box
    figure.set_layout_engine("none")
    for panel, own, others in content:
        name_curves(panel, own, others)
    return figure


def series(row: dict[str, str]) -> str:
    """The name of a library's curve. myFM has two: with and without what users rated as a feature."""
    return row["library"].split()[0] + (" SVD++" if "SVD++" in row["setting"] else "")


def curves(named: Iterable[tuple[str, dict[str, str]]]) -> Curves:
    """Points by the name of their curve, the quickest first."""
    found: Curves = {}
    for name, row in named:
        found.setdefault(name, []).append((float(row["seconds"]), float(row["rmse"])))
    return {name: sorted(points) for name, points in found.items()}


def draw(panel: Axes, title: str, own: Curves, others: Curves) -> None:
    """The curves of one panel, without names."""
    for name, points in others.items():
        panel.plot(
            *zip(*points, strict=True), "o-", color=MUTED[name.split()[0]], markersize=4, linewidth=0.8, alpha=0.8
        )
    for name, points in own.items():
        panel.plot(*zip(*points, strict=True), f"{MARKERS[name]}-", color=COLORS[name], markersize=6, linewidth=1.8)
    panel.set_xscale("log")
    panel.margins(x=0.17, y=0.1)
    panel.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.set_xlabel("seconds to fit (lower left is better)")
    panel.set_title(title)
    panel.grid(alpha=0.2)


def name_curves(panel: Axes, own: Curves, others: Curves) -> list[Annotation]:
    """Write each curve's name beside one of its points, where it covers neither a curve nor another name."""
    taken = [box for points in (own | others).values() for box in boxes_of(panel, points)]
    names = [(f"palate {name}", points, COLORS[name], "bold") for name, points in own.items()]
    names += [(name, points, MUTED[name.split()[0]], "normal") for name, points in others.items()]
    labels = []
    for text, points, color, weight in names:
        label = placed(panel, text, points, taken, color=color, weight=weight)
        taken.append(label.get_window_extent())
        labels.append(label)
    return labels


def boxes_of(panel: Axes, points: list[tuple[float, float]]) -> list[Bbox]:
    """Small boxes, in pixels, that cover a curve: its markers, and its lines every few pixels."""
    places = panel.transData.transform(points)
    boxes = [square(place, 5) for place in places]
    for start, end in pairwise(places):
        n = 2 + int(np.hypot(*(end - start)) / 4)
        boxes += [square(place, 1.5) for place in np.linspace(start, end, n)]
    return boxes


def square(place: np.ndarray, half: float) -> Bbox:
    """The square around a place."""
    return Bbox([place - half, place + half])


def placed(panel: Axes, text: str, points: list[tuple[float, float]], taken: list[Bbox], **style: str) -> Annotation:
    """A label in the first place that is free: as near as can be, at the most accurate point if there is room."""
    best_first = sorted(points, key=lambda point: point[1])
    for gap, point, (right, up) in product(GAPS, best_first, SIDES):
        label = panel.annotate(
            text, point, (gap * right, gap * up), textcoords="offset points",
            ha=ALIGN[0][right], va=ALIGN[1][up], **style,
        )  # fmt: skip
        box = label.get_window_extent()
        if inside(box, panel.get_window_extent()) and not any(box.overlaps(other) for other in taken):
            return label
        label.remove()
    raise ValueError(f"No room for the name {text!r}: draw the picture larger, or show fewer points.")


def inside(box: Bbox, frame: Bbox) -> bool:
    """True if a box lies within a frame, four pixels from its edge at least."""
    low, high = box.min - frame.min, frame.max - box.max
    return bool((low >= 4).all() and (high >= 4).all())


if __name__ == "__main__":
    main()
