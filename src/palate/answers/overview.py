"""A model at a glance, for notebooks: what it is, what it learned from, its fit, and what was measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palate.models.model import Model
from palate.showing import html, texts

MAX_OPTIONS = 40  # of a recipe
TAKEN = ("recency", "half_life", "weight_decay", "similarity", "n_factors", "dropout")  # what a fit may choose


def overview(model: Model, heading: str) -> str:
    """A model as HTML."""
    n, noun = len(model.history.indices), "choices" if model.kind == "implicit" else "ratings"
    low, high = model.limits
    facts = {
        "recipe": _recipe(model.recipe),
        "learned from": f"{n:,} {noun}" + (f", {low:g} to {high:g}" if model.kind == "explicit" else ""),
        "side information": _side_information(model),
        "fit": _fit(model.training),
        "predicts": "ratings" if model.predicts_ratings else "a score to rank by",
        "intervals": f"yes, noise {model.noise:.3f}" if model.noise == model.noise else "no",
    }
    return html.page(heading, html.facts(facts), _measures(model.metrics))


def _recipe(stored: Mapping[str, Any]) -> str:
    """A stored recipe with the options that are set; the parts of a blend are recipes too."""
    options = {
        name: value for name, value in list(stored.items())[:MAX_OPTIONS] if name != "name" and value is not None
    }
    if isinstance(parts := options.get("parts"), list):
        options["parts"] = f"[{', '.join(_recipe(part) for part in parts)}]"
    listed = ", ".join(f"{name}={texts.value(value) if name != 'parts' else value}" for name, value in options.items())
    return f"{stored.get('name', 'a model')}({listed})"


def _side_information(model: Model) -> str:
    tables = {"users": model.user_info, "items": model.item_info}
    found = {
        side: ", ".join(texts.name(column, 40) for column in list(info.attributes.report)[:12])
        for side, info in tables.items()
        if info is not None and info.attributes is not None
    }
    return "; ".join(f"{side}: {columns}" for side, columns in found.items())


def _fit(training: Mapping[str, Any]) -> str:
    """How long the fit took, its errors, and what it chose by the data."""
    if not training:
        return ""
    unit = "epochs" if "n_epochs" in training else "sweeps"
    n, seconds = training.get(f"n_{unit}"), training.get("seconds")
    passes = f"{n:,} {unit} in " if isinstance(n, int) and n else ""
    parts = [f"{passes}{texts.number(seconds)} s"] if isinstance(seconds, int | float) else []
    errors = {name: training.get(name) for name in ("train_rmse", "valid_rmse")}
    parts += [f"{name.replace('_', ' ')} {error:.4f}" for name, error in errors.items() if isinstance(error, float)]
    parts += [
        f"{name.replace('_', ' ')} {texts.value(training[name])}" for name in TAKEN if training.get(name) is not None
    ]
    if isinstance(weights := training.get("weights"), dict):
        parts.append("weights " + ", ".join(f"{part} {texts.value(weight)}" for part, weight in weights.items()))
    ended = str(training.get("ended", "finished"))
    return ", ".join(parts + ([ended] if ended != "finished" else []))


def _measures(metrics: Mapping[str, Any]) -> str:
    """What was measured on held-out ratings; of lists of several lengths at one."""
    measures = metrics.get("measures", metrics)
    if not isinstance(measures, Mapping):
        return ""
    lengths = {name.partition("@")[2] for name in measures if "@" in name}
    shown = "10" if "10" in lengths else min(lengths, default="")
    rows = []
    for name, measure in measures.items():
        value = measure.get("value") if isinstance(measure, Mapping) else measure
        if isinstance(value, float) and name.partition("@")[2] in ("", shown):
            ends = [measure.get(end) for end in ("low", "high")] if isinstance(measure, Mapping) else []
            numbers = [f"{end:.4f}" for end in ends if isinstance(end, float)]
            rows.append((name, f"{value:.4f}", " .. ".join(numbers)))
    n = metrics.get("n")
    caption = f"Measured on {n:,} held-out ratings" if isinstance(n, int) else "Measured"
    return html.table(rows, head=("", "value", "95% interval"), caption=caption, numbers=(1, 2))
