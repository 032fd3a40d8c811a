"""The bars of what Bayes knows besides the ids: history, attributes, ordered steps, moments. Means of five seeds.

The official folds of ml-100k come from its files u1.test .. u5.test; without them (PALATE_DATA) they are left out.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import Row, fresh, split_90_10

import palate
from palate import Ratings
from palate.kernels.blas import single_threaded_blas
from palate.recipes.gibbs.chain import Chain

SEEDS = range(5)
IDS = {"history": False, "features": False}
EVERYTHING = {"time": True, "likelihood": "ordinal"}


def all_of_known() -> list[Row]:
    """Every bar of history, attributes, ordered ratings and time."""
    return [*with_history(), *with_all(), *folds(), *with_time(), *cold_items(), *sweeps()]


def with_history() -> list[Row]:
    """Ids and history alone, then attributes too."""
    known = {"features": False}
    return [
        bar("ml-100k 90/10, ids + history", "ml-100k", {**known, "n_sweeps": 60}, 0.8694, 0.8),
        bar("ml-100k 90/10, ids + history", "ml-100k", {**known, "n_sweeps": 200}, 0.8660, 2.5),
        bar("ml-1m 90/10, ids + history", "ml-1m", {**known, "n_sweeps": 60}, 0.8230, 10),
        bar("ml-1m 90/10, ids + history + attributes", "ml-1m", {"n_sweeps": 100, "n_factors": 40}, 0.8190, 25),
    ]


def with_all() -> list[Row]:
    """All that is known of ml-100k, and what ordered steps alone bring."""
    return [
        bar("ml-100k 90/10, all that is known", "ml-100k", {**EVERYTHING, "n_sweeps": 100}, 0.8600, None),
        bar("ml-100k 90/10, all but time", "ml-100k", {"n_sweeps": 100}, None, None),
        bar("ml-100k 90/10, all but time, ordinal", "ml-100k", {"n_sweeps": 100, "likelihood": "ordinal"}, None, None),
        bar("ml-latest-small 90/10, all that is known", "ml-latest-small", {**EVERYTHING, "n_sweeps": 100}, None, None),
    ]


def folds() -> list[Row]:
    """The official folds: u1 with its bars, all five against ids alone."""
    splits = [fold(number) for number in range(1, 6)]
    if None in splits:
        return [Row("ml-100k u1..u5", "not measured: PALATE_DATA has no u1.test .. u5.test", "-", None)]
    pairs = [split for split in splits if split is not None]
    rows = [
        row_of("ml-100k u1, attributes + history, no time", pairs[0], {"n_sweeps": 200}, 0.8855, 3),
        row_of("ml-100k u1, all that is known", pairs[0], {**EVERYTHING, "n_sweeps": 150}, 0.8765, 6),
    ]
    errors = {
        name: [error_of(palate.Bayes(n_sweeps=150, **options), *pair) for pair in pairs]
        for name, options in (("ids", IDS), ("no time", {}), ("all", EVERYTHING))
    }
    better = all(one < other for one, other in zip(errors["all"], errors["ids"], strict=True))
    told = "; ".join(
        f"{name} {statistics.mean(found):.4f} ({', '.join(f'{error:.4f}' for error in found)})"
        for name, found in errors.items()
    )
    return [*rows, Row("ml-100k u1..u5, mean (each), one seed", f"RMSE {told}", "every fold better than ids", better)]


def with_time() -> list[Row]:
    """ml-1m where it has timestamps, and splits in time, where less can be known."""
    rows = []
    timed = timed_ml_1m()
    if timed is not None:
        train, test = palate.split_random(timed, test=0.1, seed=0)
        found = {time: errors_of({"n_sweeps": 60, "time": time}, train, test)[0] for time in (False, True)}
        gain = statistics.mean(found[False]) - statistics.mean(found[True])
        rows.append(
            Row("ml-1m timed 90/10, with time", f"RMSE {spread(found[True])}, without {spread(found[False])}",
                "at least 0.004 below", gain >= 0.004)
        )  # fmt: skip
    for name, ratings in (("ml-100k", palate.datasets.load("ml-100k")), ("ml-1m timed", timed)):
        if ratings is not None:
            pair = palate.split_time(ratings, test=0.1)
            errors = [error_of(palate.Bayes(n_sweeps=60, time=time), *pair) for time in (False, True)]
            told = f"RMSE {errors[0]:.4f} without time, {errors[1]:.4f} with"
            rows.append(Row(f"{name}, last tenth in time", told, "report", None))
    return rows


def cold_items() -> list[Row]:
    """A tenth of the items of ml-100k withheld whole, five times; with and without the moments of their ratings."""
    ratings = palate.datasets.load("ml-100k")
    kinds: dict[str, dict[str, Any]] = {
        "no time": {},
        "no time, no history": {"history": False},
        "time": {"time": True},
    }
    gains: dict[str, list[float]] = {kind: [] for kind in kinds}
    for seed in SEEDS:
        held_out = np.random.default_rng(seed).permutation(ratings.n_items)[: ratings.n_items // 10]
        cold = np.isin(ratings.item_codes, held_out)
        train, test = ratings[~cold], ratings[cold]
        bias = error_of(palate.Bias(), train, test)
        for kind, options in kinds.items():
            gains[kind].append(1 - error_of(palate.Bayes(n_sweeps=80, **options), train, test) / bias)
    rows = []
    for kind, found in gains.items():
        mean = statistics.mean(found)
        each = ", ".join(f"{gain:.1%}" for gain in found)
        what = f"ml-100k, a tenth of the items withheld: RMSE below Bias's ({kind})"
        rows.append(Row(what, f"{mean:.1%} ({each})", ">= 5%", mean >= 0.05))
    return rows


def sweeps() -> list[Row]:
    """Milliseconds of a sweep of ml-1m at 31 factors, ids alone, with history, ordinal."""
    train, _ = split_90_10("ml-1m")
    kinds: dict[str, dict[str, Any]] = {"ids": {}, "ordinal": {"ordinal": True}, "history": {}}
    chains = {}
    with single_threaded_blas():
        for name, options in kinds.items():
            infos = palate.Bayes(features=False).side_information(train) if name == "history" else None
            chains[name] = Chain(train, 31, 0, 0, infos, **options)
            for _ in range(6):
                chains[name].mode_sweep()
        seconds: dict[str, list[float]] = {name: [] for name in kinds}
        for number in range(1, 61):  # in turns, so that the machine's moods are shared
            for name, chain in chains.items():
                start = time.perf_counter()
                chain.draw_sweep(number)
                seconds[name].append(time.perf_counter() - start)
    ms = {name: 1000 * statistics.median(found) for name, found in seconds.items()}
    rows = []
    for name, most in (("ordinal", 1.5), ("history", 2.0)):
        ratio = ms[name] / ms["ids"]
        told = f"{ratio:.2f}x ({ms[name]:.0f} / {ms['ids']:.0f} ms)"
        rows.append(Row(f"ml-1m sweep, {name} against ids alone", told, f"<= {most}x", ratio <= most))
    return rows


def bar(what: str, name: str, options: dict[str, Any], error_bar: float | None, seconds_bar: float | None) -> Row:
    """One row on the 90/10 split of a data set."""
    return row_of(what, split_90_10(name), options, error_bar, seconds_bar)


def row_of(
    what: str,
    pair: tuple[Ratings, Ratings],
    options: dict[str, Any],
    error_bar: float | None,
    seconds_bar: float | None,
) -> Row:
    """Mean and spread of the error over five seeds, median seconds of a fit."""
    errors, seconds = errors_of(options, *pair)
    bars = [f"RMSE <= {error_bar:.4f}"] if error_bar else []
    bars += [f"<= {seconds_bar} s"] if seconds_bar else []
    met = (error_bar is None or statistics.mean(errors) <= error_bar) and (
        seconds_bar is None or seconds <= seconds_bar
    )
    given = ", ".join(f"{name}={value}" for name, value in options.items() if value is not False)
    told = f"RMSE {spread(errors)} in {seconds:.2f} s"
    return Row(f"{what} ({given})", told, " in ".join(bars) or "report", met if bars else None)


def errors_of(options: dict[str, Any], train: Ratings, test: Ratings) -> tuple[list[float], float]:
    """Errors of five seeds, and the median seconds of their fits."""
    errors, seconds = [], []
    for seed in SEEDS:
        ratings = fresh(train)
        start = time.perf_counter()
        rec = palate.Bayes(seed=seed, **options).fit(ratings, progress=False)
        seconds.append(time.perf_counter() - start)
        errors.append(rmse_at(rec, test))
    return errors, statistics.median(seconds)


def error_of(recipe: Any, train: Ratings, test: Ratings) -> float:
    """The error of one fit."""
    return rmse_at(recipe.fit(fresh(train), progress=False), test)


def rmse_at(rec: palate.Recommender, test: Ratings) -> float:
    """RMSE of predictions at the moments of the test ratings, where they have any."""
    predicted = rec.predict_codes(test.user_codes, test.item_codes, when=test.times)[0]
    return float(np.sqrt(np.mean((predicted - test.values) ** 2)))


def spread(errors: list[float]) -> str:
    """Mean and range."""
    return f"{statistics.mean(errors):.4f} ({min(errors):.4f}..{max(errors):.4f})"


def fold(number: int) -> tuple[Ratings, Ratings] | None:
    """An official fold of ml-100k, or None where its file is not there."""
    path = Path(os.environ.get("PALATE_DATA", "")) / "ml-100k" / f"u{number}.test"
    if not path.is_file():
        return None
    ratings = palate.datasets.load("ml-100k")
    rows = np.loadtxt(path, dtype=np.int64, usecols=(0, 1))
    users, items = (np.asarray([str(label) for label in column], object) for column in rows.T)
    wanted = ratings.user_vocabulary.encode(users).astype(np.int64) * ratings.n_items
    wanted += ratings.item_vocabulary.encode(items)
    is_test = np.isin(ratings.user_codes.astype(np.int64) * ratings.n_items + ratings.item_codes, wanted)
    return ratings[~is_test], ratings[is_test]


def timed_ml_1m() -> Ratings | None:
    """The part of ml-1m that has timestamps, where PALATE_DATA has it."""
    path = Path(os.environ.get("PALATE_DATA", "")) / "ml-1m" / "timed.parquet"
    return palate.read(path) if path.is_file() else None
