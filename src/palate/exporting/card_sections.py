"""The sections of a card that say what a model is: what it is for, data, recipe, limits, versions."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np

from palate.data.ratings import ReadReport
from palate.evaluation import check, training_ratings
from palate.exporting.card_facts import Known, versions_at_work
from palate.exporting.card_quality import cell, count, measure_in
from palate.exporting.documents import Facts, Paragraph, Points, Section
from palate.exporting.measuring import Measured
from palate.models.side_information import SideInfo

HIDDEN = ("n_threads", "name")  # options of a recipe that change no model


# ---- what it is, and what it learned from


def what_it_is(known: Known) -> Section:
    """What the model does, what it is for, and who answers for it."""
    model = known.model
    low, high = (f"{end:g}" for end in model.limits)
    if model.predicts_ratings:
        width = ", each with an interval" if known.rec.has_intervals else ""
        does = (
            f"It predicts how a user would rate an item, from {low} to {high}{width}, and recommends the items with "
            "the highest predictions."
        )
    else:
        does = "It ranks items for a user by a score, which is no rating and no probability."
    rows = (
        ("model", f"{known.recipe}: {known.rec.n_users:,} users, {known.rec.n_items:,} items"),
        ("use", known.said("use")),
        ("contact", known.said("contact")),
        ("date of this card", known.day),
    )
    return Section("What it is", (Paragraph(does), Facts(rows)))


def data(known: Known) -> Section:
    """The ratings it learned from: source, licence, size, and what the data doctor finds."""
    model, rec = known.model, known.rec
    counts = model.history.counts
    rated_users, rated_items = int(np.count_nonzero(counts)), int(np.count_nonzero(model.item_counts))
    rows = [
        ("source", known.said("data")),
        ("licence", known.licence),
        ("size", f"{known.n_ratings:,} {known.noun} by {rated_users:,} users of {rated_items:,} items"),
        ("density", f"{known.n_ratings / max(rated_users * rated_items, 1):.3%} of all pairs of these users and items"),
        ("scale", _scale(known)),
        ("time", _span(known)),
    ]
    reading = model.training.get("read")
    if isinstance(reading, Mapping) and (taken := _taken(reading)):
        rows.append(("read as", taken))
    for side, table, info in (
        ("users", model.user_table, model.user_info),
        ("items", model.item_table, model.item_info),
    ):
        if table is not None:
            rows.append((f"known of {side}", ", ".join(table.columns)))
        rows += [(f"learned from of {side}", used)] if (used := _features(info)) else []
    rows += [("fingerprint", f"SHA-256 {model.fingerprint} of labels, values and weights")]
    found = check(training_ratings(rec), order=False).findings
    marks = {"info": "", "warning": " (warning)", "problem": " (problem)"}
    doctor = tuple((one.name + marks[one.severity], one.says) for one in found)
    text = "What palate check finds in these ratings. Rows that were left out when they were read are not known here."
    return Section("Data", (Facts(tuple(rows)), Paragraph(text), Facts(doctor)))


def _scale(known: Known) -> str:
    model = known.model
    if model.kind == "implicit":
        liked = "" if model.like_threshold is None else f", which are ratings of {model.like_threshold:g} or more"
        return f"choices without ratings{liked}"
    low, high = model.limits
    values, counts = np.unique(model.history.values, return_counts=True)
    mean = float(np.average(model.history.values, weights=model.history.weights))
    shares = ", ".join(f"{value:g}: {count / counts.sum():.1%}" for value, count in zip(values, counts, strict=True))
    return f"{low:g} to {high:g}, mean {mean:.2f}" + (f" ({shares})" if len(values) <= 10 else "")


def _span(known: Known) -> str:
    times, until = known.model.history.times, known.model.training.get("until")
    if times is not None and len(times):
        return f"{_day(int(times.min()))} to {_day(int(times.max()))}"
    if isinstance(until, int | float) and not isinstance(until, bool):
        return f"until {_day(until)}"
    return "not known: the ratings have no times"


def _day(seconds: float) -> str:
    """The day of a time, in UTC; as a number where it is no time of this calendar."""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return f"{seconds:g}"


def _taken(reading: Mapping[str, Any]) -> str:
    """Which column became what; "" where that is not stored as expected."""
    parts = {name: value for name, value in reading.items() if isinstance(value, Mapping)}
    known: dict[str, Any] = {name: dict(parts.get(name, {})) for name in ("columns", "unused", "how")}
    return ReadReport(**known).taken


def _features(info: SideInfo | None) -> str:
    """What was learned from beside the ratings of one side."""
    if info is None:
        return ""
    used = [f"{name} ({how})" for name, how in (info.attributes.report if info.attributes is not None else {}).items()]
    return ", ".join([*used, *["which items were rated"] * bool(info.n_history)])


# ---- how it was made


def how_it_was_made(known: Known) -> Section:
    """The recipe with its options, and what its fit reports."""
    recipe, training = known.model.recipe, known.model.training
    options = {name: value for name, value in recipe.items() if name not in HIDDEN}
    rows = [("recipe", known.recipe), *((name, _option(name, value, training)) for name, value in options.items())]
    for name, noun in (("n_sweeps", "sweeps"), ("n_epochs", "epochs")):
        if training.get(name):
            rows.append((f"{noun} made", str(training[name])))
    rows += [("training ended", str(training["ended"]))] if training.get("ended", "finished") != "finished" else []
    rows += [("factors", str(known.rec.n_factors))] if known.rec.n_factors else []
    rows += [("posterior draws", str(len(known.model.posterior)))] if known.model.posterior is not None else []
    rows += [("noise", f"{known.model.noise:.3f}, standard deviation of a rating")] if known.rec.has_intervals else []
    return Section("How it was made", (Facts(tuple(rows)),))


def _option(name: str, value: Any, training: Mapping[str, Any]) -> str:
    if value is None:
        taken = training.get(name)
        return "chosen by the fit" + ("" if taken is None else f": {_short(taken)}")
    if isinstance(value, list):
        return ", ".join(_part(one) if isinstance(one, Mapping) else _short(one) for one in value)
    return _short(value)


def _part(options: Mapping[str, Any]) -> str:
    """A part of a blend."""
    given = (f"{name}={_short(value)}" for name, value in options.items() if name not in HIDDEN and value is not None)
    return f"{options.get('name', 'part')}({', '.join(given)})"


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_short(one)}" for name, one in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# ---- what it cannot do, and what it was made with


def limits(known: Known, measured: Measured) -> Section:
    """What the model cannot do, with figures where there are some."""
    model = known.model
    points = [
        f"It knows {known.rec.n_users:,} users and {known.rec.n_items:,} items. Predictions for others rest on averages"
        f"{' and on what tables say of them' if model.user_info is not None or model.item_info is not None else ''}.",
        *_cold(measured),
        *_hindsight(measured),
    ]
    if model.predicts_ratings:
        points.append(
            f"Predictions never leave the scale of the training ratings, {model.limits[0]:g} to {model.limits[1]:g}."
        )
    if known.rec.has_intervals:
        points.append(
            "Intervals assume that future ratings come about as those before: the same users, the same scale, the same "
            "way of choosing what to rate. They hold on average over ratings, and not for each user."
        )
    if model.kind == "implicit":
        points.append("What was not chosen is not known to be disliked: most of it was never seen.")
    points += [
        "Users chose what they rated or took. Figures hold for such items and may be worse for others.",
        "If users see its lists and it learns from their answers, what it recommends grows more popular by itself.",
        f"Its file holds the labels and {known.noun} of {known.rec.n_users:,} users: personal data, if users are "
        "persons. Recommender.forget() and palate forget remove some of them.",
    ]
    return Section("Limits", (Points(tuple(points)),))


def _cold(measured: Measured) -> list[str]:
    """The errors on users and items without training ratings, where they were measured."""
    found = (measured.predictions or {}).get("groups", {})
    rows = {name: found[name] for name in ("cold users", "cold items") if isinstance(found, Mapping) and name in found}
    return [
        f"On the {count(row, 'n')} test ratings of {name} (without training ratings) the RMSE is "
        f"{cell(measure_in(row, 'rmse'))}."
        for name, row in rows.items()
    ]


def _hindsight(measured: Measured) -> list[str]:
    """Test ratings that the model has learned from, or that are older than what it has learned from."""
    points = []
    for report in measured.reports[:1]:
        learned, older = (report.get(name) for name in ("n_learned", "n_older"))
        if isinstance(learned, int) and learned:
            points.append(
                f"It was trained on {learned:,} of the test ratings: figures there say nothing about new ratings."
            )
        if isinstance(older, int) and older:
            points.append(
                f"{older:,} test ratings are older than some that it learned from. In use it knows "
                "only the past, so that its errors may be larger there."
            )
    return points


def versions(known: Known) -> Section:
    """The file and the versions at the time of the card."""
    file = known.file
    rows: list[tuple[str, str]] = []
    if file is None:
        rows.append(("file", "not known: save the model, and make the card of its path"))
    else:
        rows += [("file", f"{file.name}, {file.n_bytes:,} bytes"), ("SHA-256 of the file", file.sha256)]
    return Section("Versions when this card was made", (Facts((*rows, *versions_at_work().items())),))
