"""Learning by gradient: the compiled SGD engine, and the notes' loop in PyTorch (torch_loop.py)."""

from __future__ import annotations

import numpy as np
from measuring import Row, fit_timed, fresh, rmse, split_90_10, timed

import palate
from palate.recipes.sgd import Descent


def accuracy_sgd() -> list[Row]:
    """Error and time of SGD, ids only."""
    rows = []
    for name, recipe, error_bar, seconds_bar in (
        ("ml-100k", palate.SGD(), 0.8954, 0.08),
        ("ml-1m", palate.SGD(n_epochs=6, lr=0.05, weight_decay=0.03), 0.8433, 0.20),
        ("ml-1m", palate.SGD(), 0.8392, 0.5),
    ):
        train, test = split_90_10(name)
        seconds, rec = fit_timed(recipe, train, repeat=9)
        error = rmse(rec, test)
        others = [rmse(with_seed(recipe, seed).fit(fresh(train), progress=False), test) for seed in (1, 2, 3, 4)]
        rows.append(
            Row(
                f"{name} 90/10, {recipe.label()}",
                f"RMSE {error:.4f} in {seconds:.3f} s (seeds 1-4: {min(others):.4f}..{max(others):.4f})",
                f"RMSE <= {error_bar:.4f} in <= {seconds_bar:.2f} s",
                error <= error_bar and seconds <= seconds_bar,
            )
        )
    return rows


def with_seed(recipe: palate.SGD, seed: int) -> palate.SGD:
    return palate.SGD(**{**recipe.options(), "seed": seed})


def variants() -> list[Row]:
    """The rest of the family on ml-1m, as it comes."""
    train, test = split_90_10("ml-1m")
    rows = []
    for recipe in (palate.SGD(y_range=(0, 5.5)), palate.SGD(optimizer="adagrad"), palate.SGD(bias=False)):
        seconds, rec = fit_timed(recipe, train)
        rows.append(
            Row(f"ml-1m 90/10, {recipe.label()}", f"RMSE {rmse(rec, test):.4f} in {seconds:.3f} s", "reported", None)
        )
    return rows


def rate() -> list[Row]:
    """Ratings a second in the epochs alone, 50 factors, ml-1m: medians of seven rounds, threads taking turns."""
    train, _ = split_90_10("ml-1m")
    rows = []
    for optimizer, bar in (("sgd", 80.0), ("adagrad", None)):
        rng = np.random.default_rng(0)
        descents = {n: Descent.start(palate.SGD(optimizer=optimizer, n_threads=n), train, rng) for n in (1, 2)}
        speeds: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(7):
            for n_threads, descent in descents.items():
                seconds, _answer = timed(lambda d=descent, rng=rng: d.epoch(3, rng), 7)
                speeds[n_threads].append(len(train) / seconds / 1e6)
        one, two = (float(np.median(speeds[n])) for n in (1, 2))
        rows.append(
            Row(
                f"{optimizer}, 50 factors, ml-1m: ratings a second in an epoch",
                f"{two:.0f} M on 2 threads ({min(speeds[2]):.0f}..{max(speeds[2]):.0f} in 7 rounds), {one:.0f} M on 1",
                "reported" if bar is None else f">= {bar:.0f} M on 2 threads",
                None if bar is None else two >= bar,
            )
        )
    return rows


def all_of_sgd() -> list[Row]:
    """The SGD section of the results."""
    return accuracy_sgd() + variants() + rate()
