"""Very many ratings: seconds to the same error, palate beside LIBMF, cmfrec and implicit. All in memory, two threads.

    python benchmarks/many_ratings.py SAMPLE --n 5e6 --seed 1
    python benchmarks/many_ratings_peers.py search SAMPLE
    python benchmarks/many_ratings.py DATA --n 1e8
    python benchmarks/many_ratings_peers.py run DATA

PALATE_MANY_PEERS is the Python of an environment with requirements/many_ratings_peers.txt. Every fit is a process of
its own (many_ratings_fit.py).

`search` looks for the best setting of each library, palate's recipes included, on another draw of fewer ratings, by
what is held out of it, and keeps it in many_ratings_peers.json. The number of factors is the same for all: 32 numbers
a row for ratings (31 factors and a bias; LIBMF has no biases and gets 32 factors; palate's SGD pads rows, and gets 30
factors), 64 for likes. `run` tries the best
setting of each with a few strengths of regularisation around it, since more ratings a row ask for another one (and
further ones while the best is the last of them), takes
the best by half of the held-out ratings, and makes it stop sooner and sooner. It prints, by the other half, how long
each library took to its best error and to one half a percent worse, and how long palate took to the same errors. Fits
that are done are kept in FOLDER/fits.jsonl and not made again: kill it and call it again at will.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from measuring import machine

HERE = Path(__file__).parent
SETTINGS = HERE / "many_ratings_peers.json"
SLACK = 0.005  # of the second error: 0.5% worse than a library's best
Setting = dict[str, Any]
Fit = dict[str, Any]


def grid(**values: Any) -> list[Setting]:
    """All combinations of some values."""
    lists = {name: value if isinstance(value, list) else [value] for name, value in values.items()}
    return [dict(zip(lists, chosen, strict=True)) for chosen in product(*lists.values())]


@dataclass(frozen=True)
class Contestant:
    """A library, or a recipe of palate.

    library: as many_ratings_fit.py knows it; tried: the settings of a search; steps: the option with the number of
    iterations, and its values; near: the option of regularisation, and by what it is multiplied in a run; None: there
    is none to choose.
    """

    library: str
    tried: list[Setting]
    steps: tuple[str, list[int]]
    near: tuple[str, list[float]] | None


SWEEPS = [1, 2, 3, 4, 6, 9]
LESS = [0.35, 0.5, 0.7, 1.0]  # of a regularisation in proportion to the ratings of a row: more of them need less of it
MORE = [1.0, 4.0]  # of one that is the same for all rows
AROUND = [0.25, 0.5, 1.0, 2.0]
RATERS = {
    "LIBMF": Contestant(
        "LIBMF",
        [
            *grid(k=32, **{"lambda": [0.03, 0.05, 0.08, 0.12]}, eta=[0.05, 0.1, 0.2], nr_bins=20, nr_iters=15),
            *grid(k=32, **{"lambda": [0.05]}, eta=0.1, nr_bins=60, nr_iters=15),
        ],
        ("nr_iters", [2, 3, 4, 6, 8, 10, 12, 15, 20]),
        ("lambda", LESS),
    ),
    "cmfrec": Contestant(
        "cmfrec",
        [
            *grid(k=31, lambda_=[0.03, 0.05, 0.08, 0.12], scale_lam=True, use_cg=True, niter=5),
            *grid(k=31, lambda_=[10.0, 25.0, 60.0, 150.0, 350.0], scale_lam=False, use_cg=True, niter=5),
            *grid(k=31, lambda_=[0.05], scale_lam=True, use_cg=False, niter=5),
        ],
        ("niter", [3, 8]),  # each takes so long
        ("lambda_", [0.35, 0.5]),
    ),
    "palate ALS": Contestant(
        "palate",
        [
            *grid(recipe="ALS", n_factors=31, weight_decay=[1.0, 2.0, 2.8, 4.0], count_exponent=0.5, n_sweeps=10),
            *grid(recipe="ALS", n_factors=31, weight_decay=[0.05, 0.08], count_exponent=1.0, n_sweeps=10),
        ],
        ("n_sweeps", SWEEPS),
        ("weight_decay", LESS),
    ),
    "palate SGD": Contestant(
        "palate",
        grid(
            recipe="SGD", n_factors=30, lr=[0.015, 0.02, 0.03, 0.05], weight_decay=[0.02, 0.03, 0.04, 0.06], n_epochs=12
        ),
        ("n_epochs", [3, 4, 6, 8, 12, 15]),
        ("weight_decay", LESS),
    ),
    "palate Bayes": Contestant(
        "palate",
        grid(recipe="Bayes", n_factors=31, history=False, n_sweeps=15),
        ("n_sweeps", [3, 4, 6, 10, 15]),
        None,
    ),
}
LIKERS = {
    "implicit": Contestant(
        "implicit",
        grid(
            factors=64, regularization=[5.0, 20.0, 60.0, 200.0, 500.0, 1200.0], alpha=[2.0, 10.0, 40.0], iterations=8,
        ),
        ("iterations", [1, 2, 4]),
        ("regularization", MORE),
    ),
    "palate ImplicitALS": Contestant(
        "palate, likes",
        grid(
            recipe="ImplicitALS", n_factors=64, unobserved_weight=[0.03, 0.1, 0.3],
            weight_decay=[0.003, 0.01, 0.03, 0.1], n_sweeps=8,
        ),
        ("n_sweeps", SWEEPS),
        ("weight_decay", AROUND),
    ),
}  # fmt: skip
ALL = RATERS | LIKERS


class Fits:
    """The fits to one folder of ratings, each made once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "fits.jsonl"
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.done = [json.loads(line) for line in lines]

    def __call__(self, library: str, setting: Setting) -> Fit:
        """The fit with this setting: one that was made, or a new one."""
        for fit in self.done:
            if fit["library"] == library and fit["setting"] == setting:
                return dict(fit)
        is_own = library.startswith("palate")
        python = sys.executable if is_own else os.environ.get("PALATE_MANY_PEERS", sys.executable)
        command = [python, str(HERE / "many_ratings_fit.py"), str(self.folder), library, json.dumps(setting)]
        threads = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **threads}, check=False)
        if done.returncode:
            raise SystemExit(f"{library} with {setting} failed:\n{done.stderr[-2000:]}")
        fit = json.loads(done.stdout.splitlines()[-1])
        self.done.append(fit)
        with self.path.open("a") as file:
            file.write(json.dumps(fit) + "\n")
        print(
            f"{library} {setting}: {quality(fit, 'valid'):.4f} in {fit['seconds']:.1f} s", file=sys.stderr, flush=True
        )
        return fit


def quality(fit: Fit, half: str) -> float:
    """RMSE, or 1 - NDCG: less is better."""
    return float(fit[half]["rmse"] if "rmse" in fit[half] else 1 - fit[half]["ndcg"])


def best(fits: list[Fit]) -> Fit:
    """The best by the validation half."""
    return min(fits, key=lambda fit: quality(fit, "valid"))


def search(fits: Fits, names: list[str]) -> None:
    """Find the best setting of each library and keep it."""
    kept = json.loads(SETTINGS.read_text()) if SETTINGS.exists() else {}
    for name in names:
        found = best([fits(ALL[name].library, setting) for setting in ALL[name].tried])
        kept[name] = {"setting": found["setting"], "tried": len(ALL[name].tried), "valid": found["valid"]}
        SETTINGS.write_text(json.dumps(kept, indent=1) + "\n")


def near(contestant: Contestant, chosen: Setting) -> list[Setting]:
    """A setting, with a few strengths of regularisation around its own."""
    if contestant.near is None:
        return [chosen]
    option, multiples = contestant.near
    return [chosen | {option: float(f"{chosen[option] * multiple:.3g}")} for multiple in multiples]


def beyond(option: str, tried: list[Fit]) -> Setting | None:
    """The setting to try next if the best one is the weakest or the strongest that was tried; else None."""
    top, values = best(tried)["setting"], sorted(fit["setting"][option] for fit in tried)
    if top[option] == values[0]:
        return top | {option: float(f"{values[0] ** 2 / values[1]:.3g}")}
    if top[option] == values[-1]:
        return top | {option: float(f"{values[-1] ** 2 / values[-2]:.3g}")}
    return None


def ladder(fits: Fits, name: str) -> list[Fit]:
    """The fits of one library: at its best setting by number of iterations, and those that were tried to find it."""
    contestant = ALL[name]
    chosen = json.loads(SETTINGS.read_text())[name]["setting"]
    steps, numbers = contestant.steps
    tried = [fits(contestant.library, setting) for setting in near(contestant, chosen)]
    while contestant.near and (further := beyond(contestant.near[0], tried)):
        tried.append(fits(contestant.library, further))
    top = best(tried)
    return [
        *tried,
        *(fits(contestant.library, top["setting"] | {steps: n}) for n in numbers),
    ]


def first_within(fits: list[Fit], error: float) -> Fit | None:
    """The quickest fit with an error of the test half no larger than this, rounded as it is shown."""
    reached = [fit for fit in fits if round(quality(fit, "test"), 4) <= round(error, 4)]
    return min(reached, key=lambda fit: float(fit["seconds"]), default=None)


def shown(fit: Fit) -> str:
    """A fit in a cell."""
    what = f"RMSE {quality(fit, 'test'):.4f}"
    if "ndcg" in fit["test"]:
        what = f"NDCG@20 {fit['test']['ndcg']:.4f}, Recall@20 {fit['test']['recall']:.4f}"
    return f"{what} in {fit['seconds']:.1f} s, {fit['peak_mb']:,.0f} MB"


def lines(ladders: dict[str, list[Fit]]) -> Iterator[str]:
    """A line for each peer, error and recipe of palate."""
    for peer, recipe in product(ladders, ladders):
        if "palate" in peer or "palate" not in recipe or (peer in RATERS) != (recipe in RATERS):
            continue
        least = min(quality(fit, "test") for fit in ladders[peer])
        slack = SLACK * (least if peer in RATERS else 1 - least)
        for what, error in (("its best", least), ("0.5% worse", least + slack)):
            theirs, ours = first_within(ladders[peer], error), first_within(ladders[recipe], error)
            assert theirs is not None
            verdict = "yes" if ours is not None and ours["seconds"] < theirs["seconds"] else "**no**"
            nearest = min(ladders[recipe], key=lambda fit: quality(fit, "test"))
            reached = shown(ours) if ours else f"not reached (best: {shown(nearest)})"
            yield f"| {peer}, {what} | {shown(theirs)} | {recipe} | {reached} | {verdict} |"


def report(fits: Fits, names: list[str]) -> None:
    """Measure the ladders and print two tables: seconds to the same error, and the settings."""
    ladders = {name: ladder(fits, name) for name in names}
    told = json.loads((fits.folder / "shape.json").read_text())
    print(f"{machine()}. {told['train']:,} ratings of {told['n_items']:,} items by {told['n_users']:,} users.")
    print(f"RMSE of the best prediction there is: {told['error_of_truth']:.4f}.\n")
    print("| peer | reaches | palate | reaches as much | faster |\n|---|---|---|---|---|")
    print("\n".join(lines(ladders)))
    print("\n| library | setting | seconds: RMSE (of likes: 1 - NDCG@20), by number of iterations |\n|---|---|---|")
    for name, ladder_of in ladders.items():
        rungs = ladder_of[-len(ALL[name].steps[1]) :]
        points = ", ".join(f"{fit['seconds']:.1f}: {quality(fit, 'test'):.4f}" for fit in rungs)
        setting = ", ".join(f"{option} {value}" for option, value in ladder_of[-1]["setting"].items())
        print(f"| {name} | {setting} | {points} |")


def main() -> None:
    """Search or run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("search", "run"))
    parser.add_argument("folder", type=Path, help="what many_ratings.py wrote")
    parser.add_argument("names", nargs="*", default=list(ALL), help=f"some of {', '.join(ALL)}; default all")
    options = parser.parse_args()
    {"search": search, "run": report}[options.what](Fits(options.folder), options.names)


if __name__ == "__main__":
    main()
