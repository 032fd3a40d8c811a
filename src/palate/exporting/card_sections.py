"""The sections of a card. Each is a function of what is known and what was measured."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from palate.data.ratings import ReadReport
from palate.evaluation import Measure, check, training_ratings
from palate.evaluation.groups import Grouping
from palate.exporting.card_facts import Known, versions_at_work
from palate.exporting.documents import Block, Facts, Paragraph, Points, Section, Table
from palate.exporting.measuring import Measured
from palate.models.side_information import SideInfo

SEVERITIES = {"info": "", "warning": "warning", "problem": "problem"}
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
    blocks: list[Block] = [Facts(tuple(rows))]
    found = check(training_ratings(rec), order=False).findings
    table_rows = tuple((one.name, SEVERITIES[one.severity], one.says) for one in found)
    text = "What palate check finds in these ratings. Rows that were left out when they were read are not known here."
    blocks += [
        Paragraph(text),
        Facts(tuple((name + f" ({mark})" * bool(mark), says) for name, mark, says in table_rows)),
    ]
    return Section("Data", tuple(blocks))


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
    known = {name: dict(parts.get(name, {})) for name in ("columns", "unused", "how")}
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


# ---- how good it is


def how_it_was_measured(known: Known, measured: Measured) -> Section:
    """Which ratings it was measured on, and how they were set apart."""
    if not measured.reports:
        how = f"This model was not measured: give ratings that it did not learn from, with {known.spelled('test')}."
        return Section("How it was measured", (Paragraph(how),))
    rows = [
        ("test ratings", f"{_count(report, 'n')} of {_count(report, 'n_users')} users")
        for report in measured.reports[:1]
    ]
    if measured.threshold is not None and measured.lists is not None:
        n, n_users = (_count(measured.lists, name) for name in ("n", "n_users"))
        rows.append(("liked", f"a test rating of {measured.threshold:g} or more: {n} of {n_users} users"))
    rows.append(("set apart", _split(known, measured)))
    if measured.fingerprint:
        rows.append(("fingerprint", f"SHA-256 {measured.fingerprint} of labels, values and weights"))
    if measured.is_stored:
        rows.append(("measured", "when the model was made; the figures are noted in its file"))
    notes = "In brackets are 95% intervals, from a bootstrap over users: other users would have given other figures."
    return Section("How it was measured", (Facts(tuple(rows)), Paragraph(notes)))


def _count(report: Mapping[str, Any], name: str) -> str:
    found = report.get(name)
    return f"{found:,}" if isinstance(found, int) else "an unknown number"


def _split(known: Known, measured: Measured) -> str:
    if known.given.split:
        return known.given.split
    if measured.split is None:
        return known.unknown("split")
    return split_in_words(measured.split)


def split_in_words(split: Mapping[str, Any]) -> str:
    """How palate fit set test ratings apart, from what it notes in a model."""
    kind, share = split.get("split", "random"), split.get("test")
    if kind == "last":
        return "each user's last event"
    size = f"{share:.0%} of the ratings" if isinstance(share, int | float) else "a share of the ratings"
    return f"the latest {size}" if kind == "time" else f"{size} at random, seed {split.get('seed', 0)}"


def quality(measured: Measured) -> Section:
    """The measures, beside those of baselines."""
    blocks: list[Block] = []
    if measured.predictions is not None:
        columns = {"rmse": "RMSE", "mae": "MAE"}
        caption = "Errors of predictions, in rating units: smaller is better. Mean and Bias are baselines to beat."
        blocks += [_measures(measured.predictions, columns, caption)]
    if measured.lists is not None:
        blocks += [_measures(measured.lists, _list_columns(measured.lists), _list_caption(measured.lists))]
    for report in measured.reports:
        if isinstance(report.get("verdict"), str) and report["verdict"]:
            blocks.append(Paragraph(report["verdict"]))
    return Section("Quality", tuple(blocks))


def _list_columns(report: Mapping[str, Any]) -> dict[str, str]:
    """The measures of lists that are shown, at one length: 10 if it is there."""
    lengths = (
        [k for k in report.get("k", ()) if isinstance(k, int)] if isinstance(report.get("k"), list | tuple) else []
    )
    k = 10 if 10 in lengths else next(iter(lengths), 10)
    names = {
        "ndcg": "NDCG",
        "recall": "recall",
        "precision": "precision",
        "hit_rate": "hit rate",
        "coverage": "coverage",
    }
    measures = report.get("measures", {})
    return {f"{name}@{k}": f"{text}@{k}" for name, text in names.items() if f"{name}@{k}" in measures}


def _list_caption(report: Mapping[str, Any]) -> str:
    items = "the items that users chose next stand" if "ordered_by" in report else "held-out items of users stand"
    by = report.get("by", "mean")
    ranked = "" if by == "mean" else f", ranked by {by}"
    return (
        f"How high {items} in their lists of all items{ranked}: larger is better. Coverage is the share of the "
        "catalogue that is recommended to anybody."
    )


def _measures(report: Mapping[str, Any], columns: Mapping[str, str], caption: str) -> Table:
    others = report.get("baselines", {})
    models = {"this model": report.get("measures", {}), **(others if isinstance(others, Mapping) else {})}
    found = {name: [_measure(measures, column) for column in columns] for name, measures in models.items()}
    rows = tuple((str(name), *map(_cell, cells)) for name, cells in found.items())
    first = tuple(_interval(cells[0]) if cells else None for cells in found.values())
    return Table(caption, ("", *columns.values()), rows, first)


def _measure(measures: Any, name: str) -> Measure | None:
    """A measure of a report as plain values; None if it is not there."""
    found = measures.get(name) if isinstance(measures, Mapping) else None
    parts = [found.get(part) for part in ("value", "low", "high")] if isinstance(found, Mapping) else [None]
    if not isinstance(parts[0], int | float):
        return None
    return Measure(*(float(part) if isinstance(part, int | float) else math.nan for part in parts))


def _cell(measure: Measure | None, digits: int = 4) -> str:
    if measure is None or math.isnan(measure.value):
        return "-"
    ends = "" if math.isnan(measure.low) else f" ({measure.low:.{digits}f} .. {measure.high:.{digits}f})"
    return f"{measure.value:.{digits}f}{ends}"


def _interval(measure: Measure | None) -> tuple[float, float, float] | None:
    if measure is None or not all(map(math.isfinite, (measure.value, measure.low, measure.high))):
        return None
    return measure.value, measure.low, measure.high


def calibration(known: Known, measured: Measured) -> Section:
    """Whether intervals and predictions are right on average."""
    found = measured.calibration
    if found is None:
        return Section(
            "Calibration",
            () if known.model.predicts_ratings else (Paragraph("Scores only rank: there is nothing to calibrate."),),
        )
    blocks: list[Block] = []
    if found.coverage:
        rows = tuple(
            (f"{one.level:.0%}", _cell(one.inside, 3), f"{one.below:.3f}", f"{one.above:.3f}", f"{one.width:.2f}")
            for one in found.coverage
        )
        head = ("interval", "ratings inside", "below", "above", "mean width")
        blocks.append(Table("How many test ratings the intervals hold, and how wide they are.", head, rows))
    else:
        blocks.append(Paragraph("This model has no intervals."))
    bins = tuple(
        (
            f"{one.low:.2f} to {one.high:.2f}",
            f"{one.n:,}",
            f"{one.prediction:.3f}",
            f"{one.rating:.3f}",
            f"{one.prediction - one.rating:+.3f}",
        )
        for one in found.bins
    )
    head = ("predictions", "test ratings", "mean prediction", "mean rating", "difference")
    blocks.append(Table("Predictions and the ratings that came.", head, bins))
    return Section("Calibration", tuple(blocks))


def groups(known: Known, measured: Measured) -> Section:
    """The measures by groups of users and of items, and which of them lie apart."""
    found = (*measured.error_groups, *measured.list_groups)
    if not found:
        how = f"Not measured by groups: that needs the test ratings themselves, given with {known.spelled('test')}."
        return Section("Groups", (Paragraph(how),) if measured.reports else ())
    tables = [_group_table(grouping) for grouping in found if grouping.groups and grouping.whole.measures]
    apart = [text for grouping in found for text in _apart(grouping)]
    n_shown = sum(len(table.rows) - 1 for table in tables)
    told = "No group lies apart." if not apart else f"{len(apart)} of {n_shown} groups lie apart:"
    notes = tuple(dict.fromkeys(grouping.note for grouping in found if grouping.note))
    blocks: list[Block] = [Paragraph(GROUPS_NOTE), Paragraph(told), *([Points(tuple(apart))] if apart else []), *tables]
    return Section("Groups", (*blocks, *([Points(notes)] if notes else [])))


def _group_table(grouping: Grouping) -> Table:
    names, rows = list(grouping.whole.measures), [grouping.whole, *grouping.groups]
    cells = tuple(
        (one.name, f"{one.n:,}", f"{one.n_users:,}", *(_cell(one.measures.get(name), 3) for name in names))
        for one in rows
    )
    counted = "ratings" if "rmse" in names else "held-out items"
    return Table(
        f"{'Errors' if 'rmse' in names else 'Lists'} by {grouping.by}",
        ("", counted, "users", *map(_head, names)),
        cells,
        tuple(_interval(one.measures.get(names[0])) for one in rows),
        grouping.whole.measures[names[0]].value,
    )


def _apart(grouping: Grouping) -> list[str]:
    """The groups whose interval of the first measure does not hold the figure of all."""
    if len(grouping.groups) < 2:
        return []
    told = []
    for name, whole in list(grouping.whole.measures.items())[:1]:
        for one in grouping.groups:
            found = one.measures.get(name)
            if found is not None and not found.low <= whole.value <= found.high:
                better = (found.value < whole.value) == (name == "rmse")
                told.append(
                    f"{grouping.by}, {one.name}: {_head(name)} {found.value:.3f} and not {whole.value:.3f}, "
                    f"{'better' if better else 'worse'} than all."
                )
    return told


def _head(name: str) -> str:
    return HEADS.get(name, name.replace("ndcg", "NDCG"))


HEADS = {"rmse": "RMSE", "mean_error": "mean error"}
GROUPS_NOTE = (
    "A group lies apart if its 95% interval does not hold the figure of all; by chance alone 1 of 20 does. Differences "
    "have many causes, among them how many ratings a group gave. The mean error is prediction less rating."
)


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
        f"On the {_count(row, 'n')} test ratings of {name} (without training ratings) the RMSE is "
        f"{_cell(_measure(row, 'rmse'))}."
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
