"""Error against seconds: palate, measured now, beside the other libraries, measured before on such a machine.

`python benchmarks/picture.py` writes docs/error-against-seconds.svg. The others' figures are in benchmarks/peers.csv:
the best settings found for each, same split, same kind of machine (2 x86-64 cores with AVX-512), one process each.
"""

from __future__ import annotations

import csv
from pathlib import Path

import matplotlib as mpl
from measuring import fit_timed, rmse, split_90_10

import palate

mpl.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
RECIPES = {
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


def main() -> None:
    """Measure, draw, write."""
    with (HERE / "peers.csv").open(newline="") as lines:
        peers = list(csv.DictReader(lines))
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6))
    for panel, (name, recipes) in zip(axes, RECIPES.items(), strict=True):
        train, test = split_90_10(name)
        points = []
        for recipe in recipes:
            seconds, rec = fit_timed(recipe, train, repeat=3)
            points.append((type(recipe).__name__, seconds, rmse(rec, test)))
            print(name, recipe.label(), f"{seconds:.3f} s", f"{points[-1][2]:.4f}", flush=True)
        draw(panel, name, points, [row for row in peers if row["data"] == name])
    figure.tight_layout()
    figure.savefig(HERE.parent / "docs" / "error-against-seconds.svg", metadata={"Date": None})


def draw(panel: plt.Axes, name: str, points: list[tuple[str, float, float]], peers: list[dict[str, str]]) -> None:
    """One data set: the others as grey dots with their names, palate as lines."""
    for row in peers:
        at = float(row["seconds"]), float(row["rmse"])
        panel.plot(*at, "o", color="0.6", markersize=5)
        name_of = row["library"].split()[0] + (" SVD++" if "SVD++" in row["setting"] else "")
        panel.annotate(name_of, at, (5, 3), textcoords="offset points", fontsize=8, color="0.35")
    for kind, style, color in (("Bayes", "o-", "#c2410c"), ("ALS", "s-", "#1d4ed8"), ("SGD", "^-", "#047857")):
        own = [(seconds, error) for found, seconds, error in points if found == kind]
        panel.plot(*zip(*own, strict=True), style, color=color, label=f"palate {kind}")
    panel.set_xscale("log")
    panel.margins(x=0.14)
    panel.set_xlabel("seconds to fit")
    panel.set_ylabel("test RMSE")
    panel.set_title(f"{name}, 90/10, lower left is better")
    panel.grid(alpha=0.2)
    panel.legend(frameon=False, loc="lower left")


if __name__ == "__main__":
    main()
