"""Describe models and data sets, for palate fit, palate show and palate datasets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.cli import printing

if TYPE_CHECKING:
    from palate.models.model import Model
    from palate.recommender import Recommender

N_EXTREMES = 5  # items with the highest and with the lowest bias


def summary(rec: Recommender) -> dict[str, Any]:
    """Return a description of a model as plain values, ready for JSON."""
    model = rec.model
    low, high = model.limits
    best, worst = _extreme_items(rec)
    return {
        "recipe": model.recipe,
        "kind": model.kind,
        "n_users": rec.n_users,
        "n_items": rec.n_items,
        "n_ratings": len(model.history.indices),
        "range": [low, high],
        "mean": rec.mean,
        "n_factors": rec.n_factors,
        "n_draws": 0 if model.posterior is None else len(model.posterior),
        "noise": model.noise,
        **learned_from(model),
        "labels": {"user": model.user_vocabulary.kind, "item": model.item_vocabulary.kind},
        "training": model.training,
        "metrics": model.metrics,
        "fingerprint": model.fingerprint,
        "best_items": best,
        "worst_items": worst,
    }


def print_summary(rec: Recommender, path: Path) -> None:
    """Print a description of a model."""
    model = rec.model
    low, high = model.limits
    mean = float(np.average(model.history.values, weights=model.history.weights))
    facts = {
        "file": f"{path}, {size_of(path)}",
        "recipe": recipe_of(rec),
        noun_of(model): f"{len(model.history.indices):,} by {rec.n_users:,} users of {rec.n_items:,} items",
        **_counts(model),
        "scale": f"{low:g} to {high:g}, mean {mean:.3f}" if model.predicts_ratings else "ranks only",
        "factors": _factors(rec),
        "intervals": f"yes, noise {model.noise:.3f}" if rec.has_intervals else "no",
        **_learned_from_lines(learned_from(model)),
        "read": read_line(model.training.get("read", {})),
        "training": _training(model),
        "metrics": _metrics(model.metrics),
        "labels": f"users {_examples(model.user_vocabulary)}; items {_examples(model.item_vocabulary)}",
        "fingerprint": model.fingerprint,
    }
    printing.print_facts({name: value for name, value in facts.items() if value})
    _print_columns(learned_from(model)["features"])
    if not rec.item_bias.any():
        return
    best, worst = _extreme_items(rec)
    for heading, rows in (("Highest item biases", best), ("Lowest item biases", worst)):
        printing.say(f"\n{heading}", "bold")
        printing.print_table({name: [row[name] for row in rows] for name in rows[0]} if rows else {})


def _factors(rec: Recommender) -> str:
    draws = rec.model.posterior
    if not rec.n_factors:
        return ""
    return f"{rec.n_factors}" + (f", {len(draws)} posterior draws" if draws else "")


def learned_from(model: Model) -> dict[str, Any]:
    """Return what a model learned from beside ids and ratings (side information, ordered steps, time), for JSON."""
    sides = {"user": model.user_info, "item": model.item_info}
    infos = {side: info for side, info in sides.items() if info is not None}
    steps, effects = model.factors.steps, model.effects
    drift = None if effects is None else effects.drift
    return {
        "history": [side for side, info in infos.items() if info.n_history],
        "features": {side: info.attributes.report for side, info in infos.items() if info.attributes is not None},
        "likelihood": "gaussian" if steps is None else "ordinal",
        "steps": None if steps is None else steps.values.tolist(),
        "time": effects
        and {
            "session_gaps": [level.gap for level in effects.sessions],
            "n_days": 0 if effects.days is None else len(effects.days.keys),
            "n_years": 1 if drift is None else drift.n_periods,
        },
    }


def _learned_from_lines(facts: dict[str, Any]) -> dict[str, str]:
    """Return the same as one text for each fact, empty where there is none."""
    steps, time = facts["steps"], facts["time"]
    return {
        "history": " and ".join(f"of {side}s" for side in facts["history"]),
        "features": " and ".join(f"of {side}s" for side in facts["features"]),
        "likelihood": f"ordinal, {len(steps)} steps" if steps else "",
        "time": _time_line(time) if time else "",
    }


def _time_line(time: dict[str, Any]) -> str:
    """Return the time effects in words."""
    gaps = ", ".join(map(_duration, time["session_gaps"]))
    parts = [f"sessions with gaps up to {gaps}"] if gaps else []
    parts += [f"{time['n_days']:,} days"] if time["n_days"] else []
    parts += [f"items drift over {time['n_years']} years"] if time["n_years"] > 1 else []
    return "; ".join(parts) or "nothing found"


def _duration(seconds: float) -> str:
    """Return a duration in the largest unit of which it is at least two."""
    units = ((86_400, "d"), (3_600, "h"), (60, "min"))
    return next((f"{seconds / size:.3g} {unit}" for size, unit in units if seconds >= 2 * size), f"{seconds:.3g} s")


def _print_columns(features: dict[str, dict[str, str]]) -> None:
    """Print how each column of the user and item tables is used."""
    for side, columns in features.items():
        printing.say(f"\nSide information of {side}s", "bold")
        printing.print_table({"column": list(columns), "used as": list(columns.values())})


def read_line(reading: dict[str, Any]) -> str:
    """Return one line about what was read: which column became what, which were not used, and how; "" if unknown."""
    from palate.data.ratings import ReadReport

    return ReadReport(**reading).taken if reading else ""


def fit_line(rec: Recommender) -> str:
    """Return one line about a fit: the recipe, the size of the data, the training."""
    model = rec.model
    size = f"{len(model.history.indices):,} {noun_of(model)}, {rec.n_users:,} users, {rec.n_items:,} items"
    return f"{recipe_of(rec)}: {size}; {_training(model)}"


def noun_of(model: Model) -> str:
    """Return what the model's ratings are called: "ratings", or "choices" if they are implicit."""
    return "choices" if model.kind == "implicit" else "ratings"


def _counts(model: Model) -> dict[str, str]:
    """Return the range and sum of the counts of implicit ratings."""
    counts = model.history.weights
    if model.kind != "implicit" or counts is None:
        return {}
    return {"counts": f"{counts.min():g} to {counts.max():g}, {counts.sum(dtype=np.float64):,.0f} in all"}


def recipe_of(rec: Recommender) -> str:
    """Return the recipe's name with the options that are set."""
    return _recipe_in(rec.model.recipe)


def _recipe_in(stored: dict[str, Any]) -> str:
    """Return a stored recipe as text; the parts of a blend are recipes too."""
    options = {name: value for name, value in stored.items() if name != "name" and value is not None}
    if isinstance(parts := options.get("parts"), list):
        options["parts"] = f"[{', '.join(_recipe_in(part) for part in parts)}]"
    return f"{stored.get('name', 'a model')}({', '.join(f'{option}={value}' for option, value in options.items())})"


def size_of(path: Path) -> str:
    """Return the size of a file as text."""
    size = path.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _training(model: Model) -> str:
    training = model.training
    if not training:
        return ""
    error = training.get("train_rmse") if model.kind == "explicit" else None
    unit = "epochs" if "n_epochs" in training else "sweeps"
    passes = f"{training[f'n_{unit}']} {unit} " if training.get(f"n_{unit}") else ""
    parts = [f"{passes}in {training.get('seconds', 0):.2f} s"]
    parts += [f"train rmse {error:.4f}"] if isinstance(error, float) else []
    taken = [
        name for name in ("recency", "weight_decay", "feature_weight", "similarity") if training.get(name) is not None
    ]
    parts += [f"{name.replace('_', ' ')} {training[name]:.3g}" for name in taken]
    parts += ["users come back to items"] if training.get("keep_seen") else []
    if isinstance(weights := training.get("weights"), dict):
        parts += ["weights " + ", ".join(f"{part} {weight:.2g}" for part, weight in weights.items())]
    ended = training.get("ended", "finished")
    return ", ".join(parts + ([str(ended)] if ended != "finished" else []))


def _metrics(metrics: dict[str, Any]) -> str:
    """Return the metrics stored in a model, as text; those of lists at one length only."""
    measures = metrics.get("measures", metrics)
    lengths = [name.partition("@")[2] for name in measures if "@" in name]
    length = "10" if "10" in lengths else next(iter(lengths), "")
    measures = {name: value for name, value in measures.items() if name.partition("@")[2] in ("", length)}
    plain = {name: value.get("value") if isinstance(value, dict) else value for name, value in measures.items()}
    shown = ", ".join(f"{name} {value:.4f}" for name, value in plain.items() if isinstance(value, float))
    on = f" on {metrics['n']:,} held-out ratings" if isinstance(metrics.get("n"), int) else ""
    return shown + on if shown else ""


def _examples(vocabulary: Any) -> str:
    shown = ", ".join(repr(label) for label in vocabulary.labels[:3].tolist())
    return shown + (", ..." if len(vocabulary) > 3 else "")


def _extreme_items(rec: Recommender) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the items with the highest and with the lowest bias, each with its title and number of ratings."""
    from palate.data.titles import titles

    bias = rec.item_bias
    counts = np.bincount(rec.model.history.indices, minlength=rec.n_items)
    names = titles(rec.model.item_table)
    order = np.argsort(-bias, kind="stable")
    labels = rec.model.item_vocabulary.labels

    def row(code: int) -> dict[str, Any]:
        title = {} if names is None else {"title": names[code]}
        return {"item": labels[code], **title, "bias": float(bias[code]), "ratings": int(counts[code])}

    n = min(N_EXTREMES, len(order))
    return [row(code) for code in order[:n].tolist()], [row(code) for code in order[::-1][:n].tolist()]


def data_sets() -> list[dict[str, Any]]:
    """Return all data sets that palate can read by name, as plain values."""
    from palate.data.datasets import available

    return [
        {
            "name": data_set.name,
            "n_ratings": data_set.n_ratings,
            "n_users": data_set.n_users,
            "n_items": data_set.n_items,
            "megabytes": data_set.megabytes,
            "here": None if data_set.here is None else str(data_set.here),
            "licence": data_set.licence,
        }
        for data_set in available()
    ]


def print_data_sets() -> None:
    """Print the data sets as a table, with their licences below it."""
    rows = data_sets()
    marks: dict[str, str] = {}
    for row in rows:
        marks.setdefault(row["licence"], f"[{len(marks) + 1}]")
    printing.print_table(
        {
            "name": [row["name"] for row in rows],
            "ratings": [f"{row['n_ratings']:,}" for row in rows],
            "users": [f"{row['n_users']:,}" for row in rows],
            "items": [f"{row['n_items']:,}" for row in rows],
            "where": [row["here"] or f"to download, {row['megabytes']} MB" for row in rows],
            "licence": [marks[row["licence"]] for row in rows],
        }
    )
    printing.say("")
    for licence, mark in marks.items():
        printing.say(f"{mark} {licence}")
    printing.say("Use one by its name: palate fit ml-100k -o model.palate")
