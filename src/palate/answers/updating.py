"""Updating: ratings that arrive or go after the fit, absorbed at a cost that follows from how much they touch.

Only rows whose ratings change are solved again, under some draws of the posterior whose hyperparameters stay. Each draw
goes two ways for one Gibbs sweep with the same random numbers: once with the ratings as they were, once as they are
now. By what the two differ, the distilled vectors move: so they keep the accuracy of all the draws that they were
distilled from, and rows that nothing touches keep their bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import check_range, is_many
from palate.answers.names import Names
from palate.answers.resizing import grown, kept
from palate.data.ratings import Ratings
from palate.data.reading import read
from palate.data.rows import CompressedRows, entries_at, row_codes, rows_of_entries, take_rows, transpose_rows
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError, OptionError
from palate.kernels import compress_rows
from palate.kernels.blas import single_threaded_blas
from palate.models.factors import Codes, Factors, Floats
from palate.models.history_factors import HistoryFactors
from palate.models.implicit import ImplicitFactors, weighted_choices, with_confidence_of, with_given_weights
from palate.models.model import Model
from palate.models.network import Network
from palate.models.pairwise import PairwiseFactors
from palate.models.posterior import Posterior, Projection

if TYPE_CHECKING:
    import polars as pl

    from palate.models.side_information import SideInfo

LEAST_DRAWS = 6  # of the posterior that go on where an update touches every rating; all of them where it touches few

Mask = NDArray[np.bool_]


def update(model: Model, ratings: Any, users: Any, items: Any) -> Model:
    """The model with new ratings, given as palate.read takes them, and tables of new users and items."""
    given = ratings if isinstance(ratings, Ratings) else read(ratings, kind=model.kind)
    given = given if users is None else given.with_users(users)
    return updated(model, given if items is None else given.with_items(items))


def updated(model: Model, ratings: Ratings) -> Model:
    """The model with new ratings, and with the users and items among them that it did not know.

    Raises OptionError for a neural net and for ratings of another kind, DataError for no ratings or such on another
    scale, LabelTypeError for labels of another type.
    """
    _check_updatable(model)
    _check_kind(model, ratings)
    if len(ratings) == 0:
        raise DataError("there are no new ratings to update the model with.")
    users, user_codes = _extended(model.user_vocabulary, ratings.user_vocabulary, ratings.user_codes)
    items, item_codes = _extended(model.item_vocabulary, ratings.item_vocabulary, ratings.item_codes)
    check_range(items, item_codes, ratings.values, model.limits)
    if model.factors.steps is not None:
        model.factors.steps.steps_of(ratings.values)
    told = (
        _told(ratings.user_table, ratings.user_vocabulary, users, len(model.user_vocabulary)),
        _told(ratings.item_table, ratings.item_vocabulary, items, len(model.item_vocabulary)),
    )
    larger = grown(model, users, items, told)
    left = _without_pairs(larger.history, user_codes, item_codes)
    codes = user_codes, item_codes
    weights = ratings.weights if model.kind == "explicit" else _added_counts(larger.history, codes, ratings.weights)
    history = _joined(left, codes, ratings.values, weights)
    values = _without_effects(model, ratings, codes, larger)
    targets = history if values is ratings.values else _joined(left, codes, values, weights)
    changed = _mask(user_codes, len(users)), _mask(item_codes, len(items))
    note = {"kind": "update", "n_ratings": len(ratings), **_growth(model, larger)}
    return _relearned(larger, history, targets, changed, note)


def forgotten(model: Model, users: Any, items: Any) -> Model:
    """The model without some users and items, by label: their rows, their ratings and what these did to others.

    Raises UnknownLabelError for a label that is not there, OptionError for none at all or a neural net, and DataError
    where nothing would be left.
    """
    _check_updatable(model)
    gone = _named(Names.of_users(model), users), _named(Names.of_items(model), items)
    if not (gone[0].any() or gone[1].any()):
        raise OptionError("forget takes the labels of users or items: rec.forget(users=[...], items=[...]).")
    history = rows_of_entries(model.history, ~(gone[0][row_codes(model.history)] | gone[1][model.history.indices]))
    for mask, what in zip(gone, ("user", "item"), strict=True):
        if mask.all():
            raise DataError(f"a model cannot forget every {what} it knows: nothing would be left. Delete its file.")
    if len(history.indices) == 0:
        raise DataError("no rating would be left without these; a model that knows none is of no use.")
    changed = _fewer(model.history, history) & ~gone[0], _fewer_by_item(model, history) & ~gone[1]
    note = {"kind": "forget", "n_users": int(gone[0].sum()), "n_items": int(gone[1].sum())}
    return kept(_relearned(model, history, history, changed, note), ~gone[0], ~gone[1])


# ---- which ratings change ------------------------------------------------------------------------------------------


def _check_updatable(model: Model) -> None:
    if isinstance(model.factors, Network):
        raise OptionError("a neural net cannot be updated row by row; train it again on all ratings.")
    if isinstance(model.factors, PairwiseFactors):
        raise OptionError("BPR cannot be updated item by item; train it again on all that was chosen.")


def _check_kind(model: Model, ratings: Ratings) -> None:
    if ratings.kind == model.kind:
        return
    name = model.recipe.get("name", "this model")
    if model.kind == "implicit":
        raise OptionError(
            f'{name} learned from who chose what, and these are ratings: read them with kind="implicit", or give '
            "ratings.likes(at_least=...)."
        )
    raise OptionError(f"{name} learned from ratings, and these only say who chose what: it cannot learn from them.")


def _extended(known: Vocabulary, given: Vocabulary, codes: Codes) -> tuple[Vocabulary, Codes]:
    """A vocabulary with the new labels that have ratings at its end, and what codes of the given one are there."""
    rated = np.unique(codes)
    labels = given.labels[rated]
    whole = known.extended(labels)
    code_of = np.zeros(len(given), np.int32)
    code_of[rated] = whole.encode(labels)
    return (known if len(whole) == len(known) else whole), code_of[codes]


def _told(table: pl.DataFrame | None, given: Vocabulary, whole: Vocabulary, n_known: int) -> pl.DataFrame | None:
    """What a table says of the labels that are new, in their order."""
    return None if table is None else table[given.encode(whole.labels[n_known:])]


def _growth(model: Model, larger: Model) -> dict[str, int]:
    """How many users and items are new."""
    return {
        "n_users": len(larger.user_vocabulary) - len(model.user_vocabulary),
        "n_items": len(larger.item_vocabulary) - len(model.item_vocabulary),
    }


def _named(names: Names, labels: Any) -> Mask:
    given = [] if labels is None else list(labels) if is_many(labels) else [labels]
    return _mask(names.encode(given), len(names.vocabulary))


def _mask(codes: Codes, n: int) -> Mask:
    mask = np.zeros(n, bool)
    mask[codes] = True
    return mask


def _without_pairs(rows: CompressedRows, user_codes: Codes, item_codes: Codes) -> CompressedRows:
    """Ratings but those of pairs that are rated again."""
    found = entries_at(rows, user_codes, item_codes)
    return rows_of_entries(rows, ~found) if found.any() else rows


def _joined(rows: CompressedRows, codes: tuple[Codes, Codes], values: Floats, weights: Floats | None) -> CompressedRows:
    """Ratings with more of them, (n,) each; a weight of 1 stands where only one of both has weights."""
    joined = (
        np.concatenate([row_codes(rows), codes[0]]),
        np.concatenate([rows.indices, codes[1]]),
        np.concatenate([rows.values, values]),
    )
    heavy = None
    if rows.weights is not None or weights is not None:
        parts = (rows.weights, rows.values), (weights, values)
        heavy = np.concatenate([np.ones_like(like) if own is None else own for own, like in parts])
    return CompressedRows(*compress_rows(*joined, heavy, rows.n_rows))


def _added_counts(rows: CompressedRows, codes: tuple[Codes, Codes], counts: Floats | None) -> Floats | None:
    """Counts of pairs chosen, (n,), with those of the same pairs from before; None where neither has counts."""
    if rows.weights is None and counts is None:
        return None
    n_items = 1 + int(max(rows.indices.max(initial=0), codes[1].max()))
    pairs = row_codes(rows).astype(np.int64) * n_items + rows.indices
    order = np.argsort(pairs)
    asked = codes[0].astype(np.int64) * n_items + codes[1]
    at = order[np.minimum(np.searchsorted(pairs[order], asked), len(order) - 1)]
    before = np.ones(len(pairs), np.float32) if rows.weights is None else rows.weights
    now = np.ones(len(asked), np.float32) if counts is None else counts
    return now + np.where(pairs[at] == asked, before[at], np.float32(0))


def _without_effects(model: Model, ratings: Ratings, codes: tuple[Codes, Codes], larger: Model) -> Floats:
    """New ratings less what their moments did to them, as far as that is known of these moments."""
    if model.effects is None or ratings.times is None or model.factors.steps is not None:
        return ratings.values
    moved, _ = (larger.effects or model.effects).at(*codes, ratings.times)
    return (ratings.values - moved).astype(np.float32)


def _fewer(before: CompressedRows, after: CompressedRows) -> Mask:
    mask: Mask = after.counts < before.counts
    return mask


def _fewer_by_item(model: Model, after: CompressedRows) -> Mask:
    n_items = len(model.item_vocabulary)
    there, left = (np.bincount(rows.indices, minlength=n_items) for rows in (model.history, after))
    mask: Mask = left < there
    return mask


# ---- what they change ----------------------------------------------------------------------------------------------


def _relearned(
    model: Model, history: CompressedRows, targets: CompressedRows, changed: tuple[Mask, Mask], note: dict[str, Any]
) -> Model:
    """The model with another history, the users and items whose ratings change solved again.

    targets: the history's ratings less effects of time. note: what the training summary says of this.
    """
    updates = model.training.get("updates", [])
    limits = float(history.values.min()), float(history.values.max())
    training = model.training | {"updates": [*updates, note]}
    whole = replace(model, history=history, limits=limits, training=training, metrics={})
    if model.factors.user_prior.alpha == 0:
        return whole if isinstance(model.factors, HistoryFactors) else _recounted(whole)
    n_items, everybody = len(model.item_vocabulary), np.arange(len(model.user_vocabulary), dtype=np.int32)
    was, now = (_weighted(model, rows, everybody) for rows in (model.history, targets))
    by_item = transpose_rows(was, n_items), transpose_rows(now, n_items)
    users = _change(changed[0], was, now, model.user_info, model.user_table)
    items = _change(changed[1], *by_item, model.item_info, model.item_table)
    if model.posterior is None:
        if isinstance(model.factors, HistoryFactors):
            moved = _moved_factors(model.factors.biases, users, items)
            factors = replace(model.factors, users=moved.users, items=moved.items)
            return replace(whole, factors=factors.with_history(history))
        return replace(
            whole,
            factors=with_confidence_of(_moved_factors(with_given_weights(model.factors), users, items), model.factors),
        )
    draws = _draws(len(model.posterior), (users.n_ratings + items.n_ratings) / (2 * len(targets.indices)))
    some = model.posterior.select_draws(draws)
    seed = 4 * len(updates)  # other random numbers each time
    with single_threaded_blas():
        ways = (
            Ways(model.factors, some, some)
            .with_users(users, seed)
            .transposed()
            .with_users(items, seed + 2)
            .transposed()
        )
    return replace(whole, factors=ways.factors, posterior=ways.after)


def _change(
    mask: Mask, before: CompressedRows, after: CompressedRows, info: SideInfo | None, table: pl.DataFrame | None
) -> Change:
    codes = np.flatnonzero(mask).astype(np.int32)
    was, now = take_rows(before, codes), take_rows(after, codes)
    if info is None:
        return Change(codes, was, now, None, None)
    design = info.encode_some(table, codes)
    return Change(codes, was, now, info.matrix(was, design), info.matrix(now, design))


def _draws(n: int, share: float) -> NDArray[np.int64]:
    """Which of n draws go on, evenly spaced; the fewer, the larger the share of all ratings that rows to solve have."""
    wanted = min(n, max(LEAST_DRAWS, int(LEAST_DRAWS / max(share, 1e-9))))
    return np.arange(wanted) * n // wanted


def _recounted(model: Model) -> Model:
    """Mean and Popularity, which learn nothing of rows."""
    values = model.history.values.astype(np.float64)
    if model.predicts_ratings:
        return replace(model, factors=replace(model.factors, mean=float(values.mean())), noise=float(values.std()))
    items = model.factors.items.copy()
    items[:, 0] = np.bincount(model.history.indices, minlength=len(items))
    return replace(model, factors=replace(model.factors, items=items))


def _moved_factors(factors: Factors, users: Change, items: Change) -> Factors:
    """Without a posterior: rows move by what their ratings make of them now, less what these made of them before.

    Once only: what has not been fitted to its optimum (SGD) is not to be led there, and another pass would.
    """
    halfway = _represented(factors, factors, users)
    return _represented(factors.transposed(), halfway.transposed(), items).transposed()


def _weighted(model: Model, rows: CompressedRows, users: Codes) -> CompressedRows:
    """Ratings with the weights that they have by whose they are: those of choices follow from their user's counts."""
    if isinstance(model.factors, ImplicitFactors):
        return weighted_choices(rows, model.factors.confidence)
    return model.weighted(rows, users)


def _represented(was: Factors, now: Factors, change: Change) -> Factors:
    users, goes_on = now.users.copy(), change.goes_on
    moved = now.fold_in(change.after)
    moved[goes_on] += was.users[change.codes[goes_on]] - was.fold_in(change.part(goes_on).before)
    users[change.codes] = moved
    return replace(now, users=users)


@dataclass(frozen=True)
class Change:
    """Rows of one side whose ratings change: their codes (m,), their ratings before and after, their features."""

    codes: Codes
    before: CompressedRows
    after: CompressedRows
    known_before: CompressedRows | None
    known_after: CompressedRows | None

    @property
    def n_ratings(self) -> int:
        """Ratings of these rows now."""
        return len(self.after.indices)

    @property
    def goes_on(self) -> Mask:
        """Rows with ratings both before and after."""
        mask: Mask = (self.before.counts > 0) & (self.after.counts > 0)
        return mask

    def part(self, mask: Mask) -> Change:
        """Some of the rows."""
        if mask.all():
            return self
        at = np.flatnonzero(mask).astype(np.int32)
        parts = (self.before, self.after, self.known_before, self.known_after)
        return Change(self.codes[at], *(None if part is None else take_rows(part, at) for part in parts))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Ways:
    """Where an update stands: the distilled factors, and draws with the ratings as they were and as they are."""

    factors: Factors
    before: Posterior
    after: Posterior

    def transposed(self) -> Ways:
        """The same with users and items exchanged."""
        return Ways(self.factors.transposed(), self.before.transposed(), self.after.transposed())

    def with_users(self, change: Change, seed: int) -> Ways:
        """The users of a change solved again, given the items of each way."""
        after = self.after.projection(self.factors)
        before = after if self.before.items is self.after.items else self.before.projection(self.factors)
        moved = self._moved(change.part(change.goes_on), (before, after), seed)
        return moved._set(change.part(~change.goes_on), after, seed + 1)

    def _moved(self, change: Change, projections: tuple[Projection, Projection], seed: int) -> Ways:
        """Rows with ratings before and after: they move by what the two ways differ."""
        if len(change.codes) == 0:
            return self
        was_before, was_after = (way.users.vectors.take(change.codes, axis=1) for way in (self.before, self.after))
        before, after = self._drawn(change, (was_before, was_after), seed)
        users = self.factors.users.copy()
        users[change.codes] += projections[1].shift(after - was_after)
        users[change.codes] -= projections[0].shift(before - was_before)
        return Ways(
            replace(self.factors, users=users),
            _with_vectors(self.before, change.codes, before),
            _with_vectors(self.after, change.codes, after),
        )

    def _drawn(self, change: Change, start: tuple[Floats, Floats], seed: int) -> tuple[Floats, Floats]:
        """Draws of rows before and after the change, (S, m, k) each, that differ by the change and by no chance."""
        before, after = (change.before, change.known_before), (change.after, change.known_after)
        drawn = self.after.solve(*after, draw=True, start=start[1], seed=seed)
        if self.after.steps is None:
            return self.before.solve(*before, draw=True, seed=seed), drawn
        # Of ordered ratings each has a random number of its own, which one more puts out of step: not so their modes.
        likely = (
            self.before.solve(*before, draw=False, start=start[0]),
            self.after.solve(*after, draw=False, start=start[1]),
        )
        return drawn - (likely[1] - likely[0]), drawn

    def _set(self, change: Change, projection: Projection, seed: int) -> Ways:
        """Rows that had no ratings, or have none now: nothing they were says what they are."""
        if len(change.codes) == 0:
            return self
        users = self.factors.users.copy()
        users[change.codes] = projection(self.after.solve_new(change.after, change.known_after))
        after = self.after.solve(change.after, change.known_after, draw=True, seed=seed)
        is_new = change.before.counts == 0
        before = _with_vectors(self.before, change.codes[is_new], after[:, is_new])
        return Ways(replace(self.factors, users=users), before, _with_vectors(self.after, change.codes, after))


def _with_vectors(posterior: Posterior, codes: Codes, vectors: Floats) -> Posterior:
    users = posterior.users.vectors.copy()
    users[:, codes] = vectors
    return replace(posterior, users=replace(posterior.users, vectors=users))
