"""A person's ratings and choices as a model takes them: on its scale, as likes, or as counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from palate.data.ratings import Ratings
from palate.data.reading.exports import EXPORTS, Export
from palate.data.vocabulary import Label, plain_label
from palate.models.model import Model

TOPS = (1.0, 5.0, 10.0, 100.0)  # highest ratings of scales
MIDDLE = 0.6  # of the highest rating: 3 stars of 5, 6 of 10


def export_of_ratings(ratings: Ratings) -> Export | None:
    """The export that ratings were read from; None for a table of the person's own."""
    return next((export for export in EXPORTS if export.name == ratings.report.how.get("file")), None)


def for_model(
    model: Model, rated: Ratings | None, chosen: Ratings | None, taken: Mapping[Label, int]
) -> tuple[dict[int, float | None], str]:
    """The ratings or counts by item code, None for choices without counts; and in words how they were made."""
    if rated is None:
        assert chosen is not None
        return _counted(model, chosen, taken)
    values = _means(rated, taken)
    if model.kind == "explicit":
        return _scaled(values, _scale_of(rated), model.limits)
    return _liked(model, values, _scale_of(rated), _also_chosen(rated, chosen, taken))


def _means(rated: Ratings, taken: Mapping[Label, int]) -> dict[int, float]:
    """The mean rating of each item that was matched."""
    own: dict[int, list[float]] = defaultdict(list)
    for label, value in zip(labels_of_rows(rated), rated.values.tolist(), strict=True):
        if label in taken:
            own[taken[label]].append(value)
    return {code: sum(values) / len(values) for code, values in own.items()}


def labels_of_rows(ratings: Ratings) -> list[Label]:
    """The item of each rating."""
    return [plain_label(label) for label in ratings.item_vocabulary.decode(ratings.item_codes).tolist()]


def _scale_of(rated: Ratings) -> tuple[float, float, bool]:
    """(lowest, highest rating, whether that is known): of the export, or else of the ratings themselves."""
    export = export_of_ratings(rated)
    if export is not None and export.scale is not None:
        return *export.scale, True
    return *rated.range, False


def _top(high: float) -> float:
    """The highest rating of the scale that has this one."""
    return next((top for top in TOPS if high <= top), high)


def _scaled(
    values: Mapping[int, float], scale: tuple[float, float, bool], limits: tuple[float, float]
) -> tuple[dict[int, float | None], str]:
    """The ratings on the model's scale: in proportion to the highest one, or from end to end if that is below 0."""
    (first, last, is_known), (low, high) = scale, limits
    if not is_known and low <= first and last <= high:
        return {**values}, f"ratings as they are, from {first:g} to {last:g}"
    if low < 0 and last > first:
        stretch = (high - low) / (last - first)
        stretched = {code: low + (value - first) * stretch for code, value in values.items()}
        return {**stretched}, f"ratings from {first:g} to {last:g} are brought to the model's, {low:g} to {high:g}"
    last = last if is_known else _top(last)
    factor = _top(high) / last
    limited = {code: min(max(value * factor, low), high) for code, value in values.items()}
    words = "ratings as they are" if factor == 1 else f"ratings times {factor:g}, so that {last:g} is {_top(high):g}"
    return {**limited}, f"{words}, within the model's {low:g} to {high:g}"


def _liked(
    model: Model, values: Mapping[int, float], scale: tuple[float, float, bool], also: Sequence[int]
) -> tuple[dict[int, float | None], str]:
    """The items that are rated high enough. A model of choices also takes what was chosen without a rating."""
    _, last, is_known = scale
    threshold = model.like_threshold
    last = last if is_known else max(_top(last), _top(threshold or 0))
    at_least = MIDDLE * last if threshold is None else threshold / _top(threshold) * last
    liked: dict[int, float | None] = {code: None for code, value in values.items() if value >= at_least - 1e-6}
    words = f"ratings of {at_least:g} or more of {last:g} are {'choices' if threshold is None else 'likes'}"
    if threshold is not None or not also:
        return liked, words
    return liked | dict.fromkeys(also), f"{words}, and so is what was chosen without a rating"


def _also_chosen(rated: Ratings, chosen: Ratings | None, taken: Mapping[Label, int]) -> list[int]:
    """The items that were chosen and not rated."""
    own = set(labels_of_rows(rated))
    rest = [] if chosen is None else [label for label in labels_of_rows(chosen) if label not in own]
    return [taken[label] for label in rest if label in taken]


def _counted(model: Model, chosen: Ratings, taken: Mapping[Label, int]) -> tuple[dict[int, float | None], str]:
    """The items that were chosen, and how often if the file says so and the model takes counts."""
    counts: dict[int, float] = defaultdict(float)
    weights = [1.0] * len(chosen) if chosen.weights is None else chosen.weights.tolist()
    for label, weight in zip(labels_of_rows(chosen), weights, strict=True):
        if label in taken:
            counts[taken[label]] += weight
    if chosen.weights is None or model.like_threshold is not None:
        return dict.fromkeys(counts), "each is a choice"
    return {**counts}, "each counts as often as it is there"
