"""The sections of a card that say how good a model is: how it was measured, quality, calibration, groups."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from palate.evaluation import Measure
from palate.evaluation.card_breakdowns import CardBreakdown
from palate.exporting.card_facts import Known
from palate.exporting.documents import Block, Facts, Paragraph, Points, Section, Table
from palate.exporting.measuring import Measured


def how_it_was_measured(known: Known, measured: Measured) -> Section:
    """Which ratings it was measured on, and how they were set apart."""
    if not measured.reports:
        how = f"This model was not measured: give ratings that it did not learn from, with {known.spelled('test')}."
        return Section("How it was measured", (Paragraph(how),))
    rows = [
        ("test ratings", f"{count(report, 'n')} of {count(report, 'n_users')} users") for report in measured.reports[:1]
    ]
    if measured.threshold is not None and measured.lists is not None:
        n, n_users = (count(measured.lists, name) for name in ("n", "n_users"))
        rows.append(("liked", f"a test rating of {measured.threshold:g} or more: {n} of {n_users} users"))
    rows.append(("set apart", _split(known, measured)))
    if measured.fingerprint:
        rows.append(("fingerprint", f"SHA-256 {measured.fingerprint} of labels, values and weights"))
    if measured.is_stored:
        rows.append(("measured", "when the model was made; the figures are noted in its file"))
    notes = "In brackets are 95% intervals, from a bootstrap over users: other users would have given other figures."
    return Section("How it was measured", (Facts(tuple(rows)), Paragraph(notes)))


def count(report: Mapping[str, Any], name: str) -> str:
    """A number of a report in words."""
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
    found = {name: [measure_in(measures, column) for column in columns] for name, measures in models.items()}
    rows = tuple((str(name), *map(cell, cells)) for name, cells in found.items())
    first = tuple(_interval(cells[0]) if cells else None for cells in found.values())
    return Table(caption, ("", *columns.values()), rows, first)


def measure_in(measures: Any, name: str) -> Measure | None:
    """A measure of a report as plain values; None if it is not there."""
    found = measures.get(name) if isinstance(measures, Mapping) else None
    parts = [found.get(part) for part in ("value", "low", "high")] if isinstance(found, Mapping) else [None]
    if not isinstance(parts[0], int | float):
        return None
    return Measure(*(float(part) if isinstance(part, int | float) else math.nan for part in parts))


def cell(measure: Measure | None, digits: int = 4) -> str:
    """A measure with its interval, as a cell of a table."""
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
            (f"{one.level:.0%}", cell(one.inside, 3), f"{one.below:.3f}", f"{one.above:.3f}", f"{one.width:.2f}")
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
    tables = [_group_table(one) for one in found if one.groups]
    apart = [text for one in found for text in _apart(one)]
    n_shown = sum(len(table.rows) - 1 for table in tables)
    told = "No group lies apart." if not apart else f"{len(apart)} of {n_shown} groups lie apart:"
    notes = tuple(dict.fromkeys(one.note for one in found if one.note))
    blocks: list[Block] = [Paragraph(GROUPS_NOTE), Paragraph(told), *([Points(tuple(apart))] if apart else []), *tables]
    return Section("Groups", (*blocks, *([Points(notes)] if notes else [])))


def _group_table(found: CardBreakdown) -> Table:
    first, names = next(iter(found.measures.values())), tuple(found.measures)
    columns = ([f"{n:,}" for n in found.sizes], [f"{n:,}" for n in found.n_users],
               *([cell(one, 3) for one in measures] for measures in found.measures.values()))  # fmt: skip
    what, counted = ("Errors", "ratings") if "rmse" in names else ("Lists", "held-out items")
    return Table(
        f"{what} by {found.by}",
        ("", counted, "users", *map(_head, names)),
        tuple(zip(found.groups, *columns, strict=True)),
        tuple(map(_interval, first)),
        first[0].value,
    )


def _apart(found: CardBreakdown) -> list[str]:
    """The groups whose interval of the first measure does not hold the figure of all."""
    told = []
    for name, (whole, *measures) in list(found.measures.items())[:1]:
        for group, one in zip(found.groups[1:], measures, strict=True):
            if not one.low <= whole.value <= one.high:
                better = (one.value < whole.value) == (name == "rmse")
                told.append(
                    f"{found.by}, {group}: {_head(name)} {one.value:.3f} and not {whole.value:.3f}, "
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
