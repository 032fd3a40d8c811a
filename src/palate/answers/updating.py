"""Updating: new ratings come in, or users and items are forgotten, without a new fit.

This file finds out which ratings change. changed_rows.py then solves the rows again whose ratings changed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import check_range, is_many
from palate.answers.changed_rows import with_changed_ratings
from palate.answers.names import Names
from palate.answers.new_items import unrated_of, with_described
from palate.answers.resizing import add_rows, keep_rows
from palate.data.order import joined, oldest_first
from palate.data.ratings import Ratings, with_positive_weights
from palate.data.reading import read
from palate.data.reading.duplicates import Duplicates
from palate.data.reading.tables import joined_table
from palate.data.rows import CompressedRows, Times, entries_at, row_codes, rows_of_entries
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError, OptionError
from palate.kernels import compress_rows
from palate.models.blend import BlendedFactors
from palate.models.factors import Codes, Factors, Floats
from palate.models.fitted_prior import is_fitted, with_fitted_priors
from palate.models.item_weights import ItemWeights
from palate.models.model import Model
from palate.models.network import Network
from palate.models.pairwise import PairwiseFactors
from palate.models.side_information import SideInfo
from palate.showing.events import tell

if TYPE_CHECKING:
    import polars as pl

Mask = NDArray[np.bool_]


def update(model: Model, ratings: Any, users: Any, items: Any) -> Model:
    """The model with new ratings, given as palate.read takes them (None: none), and tables of new users and items.

    Raises OptionError for a neural net, for BPR, for ratings of another kind, and for choices of new items of
    Neighbors by items. Raises DataError if there are no ratings, if they are on another scale or if a column has lists
    where the model has single values, and LabelTypeError for labels of another type.
    """
    _check_updatable(model)
    if ratings is None:
        if users is None and items is None:
            raise OptionError("update needs new ratings, or a table of new users or items: rec.update(items=table).")
        _check_learns(users, model.user_info, "users")
        _check_learns(items, model.item_info, "items")
        none = np.zeros(0, np.int32)
        values, (users_known, items_known) = none.astype(np.float32), (model.user_vocabulary, model.item_vocabulary)
        given = Ratings(none, none, values, user_vocabulary=users_known, item_vocabulary=items_known, kind=model.kind)
    else:
        duplicates: Duplicates | None = "keep" if model.factors.reads_order else None
        given = ratings if isinstance(ratings, Ratings) else read(ratings, kind=model.kind, duplicates=duplicates)
    for table, info, vocabulary, join in (
        (users, model.user_info, given.user_vocabulary, Ratings.with_users),
        (items, model.item_info, given.item_vocabulary, Ratings.with_items),
    ):
        if table is not None and unrated_of(info) == "keep":
            given = given._joined(joined_table(table, vocabulary, strict=True, unrated="keep", may_all_be_new=True))
        elif table is not None:
            given = join(given, table)
    _check_forms(given.user_table, model.user_table, "users")
    _check_forms(given.item_table, model.item_table, "items")
    updated = with_described(model if ratings is None else _updated(model, given), given)
    n_ratings = 0 if ratings is None else len(given)
    grown = _growth(model, updated)
    tell(
        "updated",
        "the model has learned from new ratings",
        ratings=n_ratings,
        new_users=grown["n_users"],
        new_items=grown["n_items"],
    )
    return updated


def _check_learns(table: Any, info: SideInfo | None, what: str) -> None:
    """Raise OptionError for a table without ratings where the model has no link from such a table."""
    if table is not None and unrated_of(info) == "drop":
        raise OptionError(
            f"this model cannot place new {what} by a table alone. Bayes and ImplicitALS can, fitted on "
            f"ratings.with_{what}(...); with any other recipe, fit again, or give ratings of the new {what}."
        )


def _check_forms(table: pl.DataFrame | None, known: pl.DataFrame | None, what: str) -> None:
    """Raise DataError where a column has lists and the model has single values in it, or the other way round."""
    if table is None or known is None:
        return
    for column in table:
        given, kind = column.dtype, known.schema.get(column.name)
        if kind is not None and given.is_nested() != kind.is_nested() and column.null_count() < len(column):
            has, wants = ("lists", "single values") if given.is_nested() else ("single values", "lists")
            raise DataError(
                f"the table of {what} has {has} in the column {column.name!r}, where the model has {wants}: give the "
                f"column as it was in the table of the fit, or leave it out."
            )


def _updated(model: Model, ratings: Ratings) -> Model:
    _check_kind(model, ratings)
    if ratings.times is None and model.factors.fades_by_age:
        raise DataError(
            "this model weighs events by their age (half_life), and these have no times: give them a column of times."
        )
    model = _with_prior_of_today(model)
    ratings = with_positive_weights(ratings)
    if model.kind == "implicit":
        ratings = oldest_first(ratings) if model.factors.reads_order else joined(oldest_first(ratings))
    if len(ratings) == 0:
        raise DataError("there are no new ratings (of a weight above 0) to update the model with.")
    users, user_codes = _extended(model.user_vocabulary, ratings.user_vocabulary, ratings.user_codes)
    items, item_codes = _extended(model.item_vocabulary, ratings.item_vocabulary, ratings.item_codes)
    _check_items(model, items, item_codes)
    check_range(items, item_codes, ratings.values, model.limits)
    if model.factors.steps is not None:
        model.factors.steps.steps_of(ratings.values)
    tables = (
        _new_records(ratings.user_table, ratings.user_vocabulary, users, len(model.user_vocabulary)),
        _new_records(ratings.item_table, ratings.item_vocabulary, items, len(model.item_vocabulary)),
    )
    larger = add_rows(model, users, items, tables)
    codes = user_codes, item_codes
    left, weights = _left_and_weights(larger, codes, ratings)
    history = _merged(left, codes, ratings.values, weights, ratings.times)
    values = _without_effects(model, ratings, codes, larger)
    targets = history if values is ratings.values else _merged(left, codes, values, weights)
    changed = _mask(user_codes, len(users)), _mask(item_codes, len(items))
    note = {"kind": "update", "n_ratings": len(ratings), **_growth(model, larger)}
    return with_changed_ratings(larger, history, targets, changed, note)


def forget(model: Model, users: Any, items: Any) -> Model:
    """The model without some users and items: without their rows, their ratings and the effect of these on others.

    Raises UnknownLabelError for an unknown label, OptionError if none are given or for a model that cannot be updated,
    and DataError if nothing would be left.
    """
    _check_updatable(model)
    model = _with_prior_of_today(model)
    forgotten = _mask_of(Names.of_users(model), users), _mask_of(Names.of_items(model), items)
    if not (forgotten[0].any() or forgotten[1].any()):
        raise OptionError("forget needs users or items: rec.forget(users=[...], items=[...]).")
    for mask, what in zip(forgotten, ("user", "item"), strict=True):
        if mask.all():
            raise DataError(f"a model cannot forget every {what} it knows: nothing would be left. Delete its file.")
    is_forgotten = forgotten[0][row_codes(model.history)] | forgotten[1][model.history.indices]
    history = rows_of_entries(model.history, ~is_forgotten)
    if len(history.indices) == 0:
        raise DataError("no rating would be left without these; a model that knows none is of no use.")
    changed = (
        (history.counts < model.history.counts) & ~forgotten[0],
        (_item_counts(model, history) < _item_counts(model, model.history)) & ~forgotten[1],
    )
    note = {"kind": "forget", "n_users": int(forgotten[0].sum()), "n_items": int(forgotten[1].sum())}
    kept = keep_rows(with_changed_ratings(model, history, history, changed, note), ~forgotten[0], ~forgotten[1])
    n_gone = len(model.history.indices) - len(history.indices)
    about: dict[str, Any] = {"users": note["n_users"], "items": note["n_items"], "ratings": n_gone}
    tell("forgotten", "the model has forgotten users or items", **about)
    return kept


def _check_updatable(model: Model) -> None:
    if isinstance(model.factors, Network):
        raise OptionError("a neural net cannot be updated row by row; train it again on all ratings.")
    if any(isinstance(factors, PairwiseFactors) for factors in _alone(model.factors)):
        raise OptionError("BPR cannot be updated item by item; train it again on all choices.")


def _alone(factors: Factors) -> list[Factors]:
    """The factors of a model, or those of each part of a blend."""
    return [part.factors for part in factors.parts] if isinstance(factors, BlendedFactors) else [factors]


def _with_prior_of_today(model: Model) -> Model:
    """The model with fitted priors if palate 0.1 saved it after an SGD fit: that left only the weight decay in them.

    Rows solved under the weight decay alone made such a model worse than no update would.
    """
    if model.recipe.get("name") != "SGD" or is_fitted(model.factors.user_prior):
        return model
    return replace(model, factors=with_fitted_priors(model.factors, model.history))


def _check_kind(model: Model, ratings: Ratings) -> None:
    name = model.recipe.get("name", "this model")
    threshold = model.like_threshold
    if ratings.kind == model.kind:
        if threshold is None or ratings.like_threshold == threshold:
            return
        if ratings.like_threshold is None and ratings.weights is None:
            return
        is_counts = ratings.like_threshold is None
        others = "were read as counts" if is_counts else f"are ratings of {ratings.like_threshold:g} or more"
        raise OptionError(
            f"{name} learned from likes, ratings of {threshold:g} or more, and these {others}: give "
            f"ratings.likes(at_least={threshold:g})."
        )
    if model.kind == "implicit":
        raise OptionError(
            f'{name} learned from implicit feedback, and these are ratings: read them with kind="implicit", or give '
            "ratings.likes(at_least=...)."
        )
    raise OptionError(f"{name} learned from ratings, and these are implicit feedback: it cannot learn from them.")


def _check_items(model: Model, items: Vocabulary, codes: Codes) -> None:
    """Raise OptionError for choices of items that had none before, if only a fit can give them item-item weights."""
    alone = [factors for factors in _alone(model.factors) if isinstance(factors, ItemWeights)]
    if model.kind == "explicit" or all(factors.regression is not None for factors in alone):
        return
    counts = np.bincount(model.history.indices, minlength=len(items))
    new = np.unique(codes[counts[codes] == 0])
    if len(new) == 0:
        return
    name, label = model.recipe.get("name", "this model"), items.decode(new[:1]).tolist()[0]
    more = f" and {len(new) - 1:,} more" if len(new) > 1 else ""
    raise OptionError(
        f"{name} computes item-item weights in a fit only, so that an update could never recommend items that are new "
        f"in these choices: {label!r}{more}. Fit again on all choices, leave these items out, or use ImplicitALS."
    )


def _extended(known: Vocabulary, given: Vocabulary, codes: Codes) -> tuple[Vocabulary, Codes]:
    """The model's vocabulary with the new labels that have ratings at its end, and the codes in it."""
    rated = np.unique(codes)
    labels = given.labels[rated]
    whole = known.extended(labels)
    code_of = np.zeros(len(given), np.int32)
    code_of[rated] = whole.encode(labels)
    return (known if len(whole) == len(known) else whole), code_of[codes]


def _new_records(table: pl.DataFrame | None, given: Vocabulary, whole: Vocabulary, n_known: int) -> pl.DataFrame | None:
    """The records of a table for the new labels, in their order."""
    return None if table is None else table[given.encode(whole.labels[n_known:])]


def _growth(model: Model, larger: Model) -> dict[str, int]:
    """The numbers of new users and items."""
    return {
        "n_users": len(larger.user_vocabulary) - len(model.user_vocabulary),
        "n_items": len(larger.item_vocabulary) - len(model.item_vocabulary),
    }


def _mask_of(names: Names, labels: Any) -> Mask:
    given = [] if labels is None else list(labels) if is_many(labels) else [labels]
    return _mask(names.encode(given), len(names.vocabulary))


def _mask(codes: Codes, n: int) -> Mask:
    mask = np.zeros(n, bool)
    mask[codes] = True
    return mask


def _item_counts(model: Model, history: CompressedRows) -> NDArray[np.int64]:
    """The number of ratings of each item, (n_items,)."""
    return np.bincount(history.indices, minlength=len(model.item_vocabulary))


def _left_and_weights(
    model: Model, codes: tuple[Codes, Codes], ratings: Ratings
) -> tuple[CompressedRows, Floats | None]:
    """The ratings that stay beside new ones of these codes, and the weights of the new ones, (n,) or None.

    A rating takes the place of the one before it, and a choice adds to its count, unless both stay as events.
    """
    if model.factors.reads_order:
        return model.history, ratings.weights
    left = _without_pairs(model.history, *codes)
    explicit = model.kind == "explicit"
    return left, ratings.weights if explicit else _added_counts(model.history, codes, ratings.weights)


def _without_pairs(rows: CompressedRows, user_codes: Codes, item_codes: Codes) -> CompressedRows:
    """The ratings without those of pairs that are rated again."""
    found = entries_at(rows, user_codes, item_codes)
    return rows_of_entries(rows, ~found) if found.any() else rows


def _merged(
    rows: CompressedRows,
    codes: tuple[Codes, Codes],
    values: Floats,
    weights: Floats | None,
    times: Times | None = None,
) -> CompressedRows:
    """Ratings with new ones added, (n,) each. If only one of both has weights, those of the other are 1.

    Of one user, the new ones come last, or by time where all have times; if only one of both has, the result has none.
    """
    arrays = (
        np.concatenate([row_codes(rows), codes[0]]),
        np.concatenate([rows.indices, codes[1]]),
        np.concatenate([rows.values, values]),
    )
    merged_weights = None
    if rows.weights is not None or weights is not None:
        parts = (rows.weights, rows.values), (weights, values)
        merged_weights = np.concatenate([np.ones_like(like) if own is None else own for own, like in parts])
    if rows.times is None or times is None:
        return CompressedRows(*compress_rows(*arrays, merged_weights, rows.n_rows))
    merged_times = np.concatenate([rows.times, times])
    order = np.lexsort((merged_times, arrays[0]))
    owners, columns, merged_values = (array[order] for array in arrays)
    own = None if merged_weights is None else merged_weights[order]
    return CompressedRows.of(owners, columns, merged_values, own, rows.n_rows, merged_times[order])


def _added_counts(rows: CompressedRows, codes: tuple[Codes, Codes], counts: Floats | None) -> Floats | None:
    """The counts of new choices, (n,), plus the earlier counts of the same pairs; None if there are no counts."""
    if rows.weights is None and counts is None:
        return None
    n_items = 1 + int(max(rows.indices.max(initial=0), codes[1].max()))
    pairs = row_codes(rows).astype(np.int64) * n_items + rows.indices
    order = np.argsort(pairs)
    new_pairs = codes[0].astype(np.int64) * n_items + codes[1]
    at = order[np.minimum(np.searchsorted(pairs[order], new_pairs), len(order) - 1)]
    before = np.ones(len(pairs), np.float32) if rows.weights is None else rows.weights
    now = np.ones(len(new_pairs), np.float32) if counts is None else counts
    return now + np.where(pairs[at] == new_pairs, before[at], np.float32(0))


def _without_effects(model: Model, ratings: Ratings, codes: tuple[Codes, Codes], larger: Model) -> Floats:
    """New ratings less the effects of their times, as far as the model knows these times."""
    if model.effects is None or ratings.times is None or model.factors.steps is not None:
        return ratings.values
    moved, _ = (larger.effects or model.effects).at(*codes, ratings.times)
    return (ratings.values - moved).astype(np.float32)
