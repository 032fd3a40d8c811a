"""Measures by groups: for active and other users, popular and other items, and each column of the table of users."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from palate.answers.ranking import RecommendOptions
from palate.data.ratings import Ratings
from palate.evaluation.matching import code_maps
from palate.evaluation.predictions import BLOCK_ROWS
from palate.evaluation.rankings import values_by_user
from palate.evaluation.resampling import N_BOOTSTRAP, Doubles, Measure, Resample, measure_of
from palate.evaluation.user_classes import MIN_USERS, Classes, by_columns, by_numbers
from palate.evaluation.user_sums import BlockSums, UserSums
from palate.models.factors import Codes
from palate.recommender import Recommender

LISTS = ("ndcg", "recall")


@dataclass(frozen=True)
class Group:
    """The measures of one group.

    Attributes:
        name (str): The group, such as "25 to 31".
        n (int): The number of its test ratings; of lists, of held-out items.
        n_users (int): The number of its users.
        measures (dict of str to Measure): "rmse" and "mean_error" (prediction less rating), or "ndcg@k" and "recall@k".
            Empty where there are fewer than 20 users.
    """

    name: str
    n: int
    n_users: int
    measures: dict[str, Measure] = field(default_factory=dict)


@dataclass(frozen=True)
class Grouping:
    """Groups by one thing, such as a column of the table of users.

    Attributes:
        by (str): What the groups are told apart by.
        whole (Group): All of them together.
        groups (tuple of Group): The groups; none where there is only a note.
        note (str, default ""): What was done to small groups, or why there are none.
    """

    by: str
    whole: Group
    groups: tuple[Group, ...]
    note: str = ""


def errors_by_group(
    recommender: Recommender, test: Ratings, *, n_bootstrap: int = N_BOOTSTRAP, seed: int = 0
) -> tuple[Grouping, ...]:
    """Return the errors of predictions of explicit test ratings, by groups of users and of items."""
    users, items = code_maps(recommender, test)
    has_some = np.bincount(test.user_codes, minlength=test.n_users) > 0
    positions = np.cumsum(has_some) - 1
    of_users = list(user_classes(recommender, test, users, has_some))
    of_items = [item_classes(recommender, test, items)]
    sums: dict[tuple[int, int], UserSums] = {}
    for start in range(0, len(test), BLOCK_ROWS):
        part = test[start : start + BLOCK_ROWS]
        predicted, _, _ = recommender.predict_codes(users[part.user_codes], items[part.item_codes], when=part.times)
        losses = {"rmse": (predicted - part.values) ** 2, "mean_error": predicted - part.values}
        weights = None if part.weights is None else part.weights.astype(np.float64)
        for at, classes in enumerate((*of_users, *of_items)):
            codes = classes.codes[part.user_codes if at < len(of_users) else part.item_codes]
            for group in (-1, *range(len(classes.names))):
                rows = np.flatnonzero(codes == group) if group >= 0 else slice(None)
                block = {name: loss[rows] for name, loss in losses.items()}
                if len(block["rmse"]):
                    own = BlockSums.of(
                        positions[part.user_codes[rows]], block, None if weights is None else weights[rows]
                    )
                    sums.setdefault((at, group), UserSums(int(has_some.sum()), n_bootstrap, seed)).add(own)
    return tuple(
        _grouping(
            classes, {group: _of_sums(classes, group, found) for (place, group), found in sums.items() if place == at}
        )
        for at, classes in enumerate((*of_users, *of_items))
    )


def _of_sums(classes: Classes, group: int, found: UserSums) -> Group:
    n_users = found.n_users
    name = classes.names[group] if group >= 0 else "all"
    return Group(name, found.n_rows, n_users, found.measures() if n_users >= MIN_USERS else {})


def _grouping(classes: Classes, groups: dict[int, Group]) -> Grouping:
    whole = groups.pop(-1)
    return Grouping(classes.by, whole, tuple(groups[at] for at in sorted(groups)), classes.note)


def lists_by_group(
    recommender: Recommender,
    test: Ratings,
    options: RecommendOptions,
    *,
    k: int = 10,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
) -> tuple[Grouping, ...]:
    """Return the measures of lists of implicit test ratings, by groups of users; and recall by groups of items.

    Of the items of one group, lists are measured by how many of these are among the first k of all items.
    """
    users, items = code_maps(recommender, test)
    counts = np.bincount(test.user_codes, minlength=test.n_users)
    has_some = counts > 0
    _, values = values_by_user(recommender, test, k, options)
    names = [f"{name}@{k}" for name in LISTS]
    columns = {name: np.asarray(values[name]) for name in names}
    found = []
    for classes in user_classes(recommender, test, users, has_some):
        codes = classes.codes[has_some]
        groups = {
            group: _of_values(classes, group, columns, codes == group if group >= 0 else codes > -2, counts[has_some],
                              n_bootstrap, seed)
            for group in (-1, *range(len(classes.names)))
        }  # fmt: skip
        found.append(_grouping(classes, groups))
    return (
        *found,
        _lists_by_items(recommender, test, item_classes(recommender, test, items), options, k, n_bootstrap, seed),
    )


def _of_values(
    classes: Classes, group: int, columns: dict[str, Doubles], those: NDArray[np.bool_], counts: NDArray[np.int64],
    n_bootstrap: int, seed: int,
) -> Group:  # fmt: skip
    """The means over some users."""
    name, n_users = classes.names[group] if group >= 0 else "all", int(those.sum())
    measures = {}
    if n_users >= MIN_USERS:
        measures = {measure: _mean(values[those], n_bootstrap, seed) for measure, values in columns.items()}
    return Group(name, int(counts[those].sum()), n_users, measures)


def _mean(values: Doubles, n_bootstrap: int, seed: int) -> Measure:
    values = values[np.isfinite(values)]
    if not len(values):
        return Measure(float("nan"))
    sample = Resample(len(values), n_bootstrap, seed).ratios(values[:, None], np.ones((len(values), 1)))
    return measure_of(float(values.mean()), sample[:, 0])


def _lists_by_items(
    recommender: Recommender,
    test: Ratings,
    classes: Classes,
    options: RecommendOptions,
    k: int,
    n_bootstrap: int,
    seed: int,
) -> Grouping:
    """The share of the held-out items of each group that are in the lists."""
    groups = {}
    for group in (-1, *range(len(classes.names))):
        part = test if group < 0 else test[np.flatnonzero(classes.codes[test.item_codes] == group)]
        if not len(part):
            continue
        _, values = values_by_user(recommender, part, k, options)
        recall = np.asarray(values[f"recall@{k}"])
        measures = {f"recall@{k}": _mean(recall, n_bootstrap, seed)} if len(recall) >= MIN_USERS else {}
        groups[group] = Group(classes.names[group] if group >= 0 else "all", len(part), len(recall), measures)
    return _grouping(classes, groups)


def user_classes(
    recommender: Recommender, test: Ratings, users: Codes, counted: NDArray[np.bool_]
) -> Iterator[Classes]:
    """Return classes of the test users: by activity, and by the columns of the model's table or else of the test's."""
    noun = _noun(recommender)
    yield by_numbers(f"{noun} of the user in training", _counts(recommender.model.history.counts, users), counted)
    table, rows = recommender.model.user_table, users.astype(np.int64)
    if table is None:
        table, rows = test.user_table, np.arange(test.n_users)
    yield from by_columns(table, rows, counted)


def item_classes(recommender: Recommender, test: Ratings, items: Codes) -> Classes:
    """Return classes of the items, each with about as many test ratings: by popularity."""
    counts = _counts(recommender.model.item_counts, items)
    by = f"{_noun(recommender)} of the item in training"
    by_row = by_numbers(by, counts[test.item_codes], np.ones(len(test), bool))
    codes = np.full(test.n_items, -1)
    codes[test.item_codes] = by_row.codes
    return Classes(by, by_row.names, codes)


def _noun(recommender: Recommender) -> str:
    return "choices" if recommender.model.kind == "implicit" else "ratings"


def _counts(learned: NDArray[np.int64], codes: Codes) -> NDArray[np.int64]:
    """The number of training ratings of each, 0 of those that the model does not know."""
    return np.where(codes >= 0, learned[codes], 0)
