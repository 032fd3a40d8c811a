"""Solving the rows again whose ratings changed, at a cost that follows from how many ratings they have.

Without a posterior, a row moves by what its ratings make of it now less what its earlier ratings made of it.

With a posterior, some draws go on for one Gibbs sweep, their hyperparameters unchanged. Each draw is continued twice
with the same random numbers: with the ratings as they were before, and as they are after the change. The distilled
vectors move by the difference between the two. So they keep the accuracy of all the draws they were distilled from,
and rows whose ratings do not change keep their bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.plan import count_codes
from palate.data.rows import CompressedRows, mean_and_deviation, take_rows, transpose_rows
from palate.kernels.blas import single_threaded_blas
from palate.models.blend import BlendedFactors
from palate.models.factors import Codes, Factors, Floats
from palate.models.history_factors import HistoryFactors
from palate.models.implicit import ImplicitFactors, with_confidence_of, with_given_weights
from palate.models.implicit_links import folded
from palate.models.item_weights import ItemWeights
from palate.models.late_items import with_late_items
from palate.models.model import Model
from palate.models.popular import PopularFactors
from palate.models.posterior import Posterior, Projection
from palate.models.sequences import SequenceWeights, with_late_events
from palate.models.step_distribution import StepDistribution

if TYPE_CHECKING:
    import polars as pl

    from palate.models.side_information import SideInfo

MIN_DRAWS = 6  # that go on if every rating belongs to a changed row; more go on if fewer do

Mask = NDArray[np.bool_]


def with_changed_ratings(
    model: Model, history: CompressedRows, targets: CompressedRows, changed: tuple[Mask, Mask], note: dict[str, Any]
) -> Model:
    """The model with another history, the changed users and items solved again.

    targets: the history's ratings less effects of time. changed: masks of the users and items whose ratings change.
    note: what the training summary says of this change.
    """
    updates = model.training.get("updates", [])
    limits = float(history.values.min()), float(history.values.max())
    training = model.training | {"updates": [*updates, note]}
    steps = _steps_of(model, history)
    whole = replace(model, history=history, limits=limits, training=training, metrics={}, step_distribution=steps)
    if isinstance(model.factors, SequenceWeights):
        return replace(whole, factors=with_late_events(model.factors, history, changed[1]))
    if isinstance(model.factors, ItemWeights) and model.factors.regression is not None:
        return replace(whole, factors=with_late_items(model.factors, history, changed[1]))
    if isinstance(model.factors, BlendedFactors):
        alone = (replace(model, factors=part.factors) for part in model.factors.parts)
        parts = [with_changed_ratings(one, history, targets, changed, note).factors for one in alone]
        return replace(whole, factors=replace(model.factors, history=history).with_parts(parts))
    if model.factors.user_prior.alpha == 0:
        return whole if isinstance(model.factors, HistoryFactors) else _recounted(whole)
    n_items, all_users = len(model.item_vocabulary), np.arange(len(model.user_vocabulary), dtype=np.int32)
    before, after = (_weighted(model, rows, all_users) for rows in (model.history, targets))
    by_item = transpose_rows(before, n_items), transpose_rows(after, n_items)
    users = _change(changed[0], before, after, model.user_info, model.user_table)
    items = _change(changed[1], *by_item, model.item_info, model.item_table)
    if model.posterior is None:
        return replace(whole, factors=_solved_factors(model.factors, users, items, history))
    draws = _draws(len(model.posterior), (users.n_ratings + items.n_ratings) / (2 * len(targets.indices)))
    some = model.posterior.select_draws(draws)
    seed = 4 * len(updates)  # other random numbers for each update
    with single_threaded_blas():
        state = UpdateState(model.factors, some, some).solve_users(users, seed)
        state = state.transposed().solve_users(items, seed + 2).transposed()
    return replace(whole, factors=state.factors, posterior=state.after)


def _steps_of(model: Model, history: CompressedRows) -> StepDistribution | None:
    """The model's distribution over steps, as long as all ratings are steps it knows: those between have no chance."""
    known = model.step_distribution
    if known is None or np.isin(history.values, known.steps.values.astype(np.float32)).all():
        return known
    return None


def _change(
    mask: Mask, before: CompressedRows, after: CompressedRows, info: SideInfo | None, table: pl.DataFrame | None
) -> Change:
    codes = np.flatnonzero(mask).astype(np.int32)
    own_before, own_after = take_rows(before, codes), take_rows(after, codes)
    if info is None:
        return Change(codes, own_before, own_after, None, None)
    design = info.encode_some(table, codes)
    return Change(codes, own_before, own_after, info.matrix(own_before, design), info.matrix(own_after, design))


def _draws(n: int, share: float) -> NDArray[np.int64]:
    """Which of n draws go on, evenly spaced. share: of all ratings, those of changed rows; the larger, the fewer."""
    n_draws = min(n, max(MIN_DRAWS, int(MIN_DRAWS / max(share, 1e-9))))
    return np.arange(n_draws) * n // n_draws


def _recounted(model: Model) -> Model:
    """Mean and Popularity with the mean, or the counts, of the new history."""
    if model.predicts_ratings:
        mean, deviation = mean_and_deviation(model.history)
        return replace(model, factors=replace(model.factors, mean=mean), noise=deviation)
    if isinstance(model.factors, PopularFactors):
        return replace(model, factors=model.factors.recounted(model.history))
    items = model.factors.items.copy()
    items[:, 0] = count_codes(model.history.indices, len(items))
    return replace(model, factors=replace(model.factors, items=items))


def _weighted(model: Model, rows: CompressedRows, users: Codes) -> CompressedRows:
    """Ratings with their weights by user and item. Those of choices follow from all choices of their user."""
    if isinstance(model.factors, ImplicitFactors):
        return model.factors.weighted(rows)
    return model.weighted(rows, users)


@dataclass(frozen=True)
class Change:
    """Rows of one side whose ratings change: codes (m,), ratings and features before and after, m rows each."""

    codes: Codes
    before: CompressedRows
    after: CompressedRows
    features_before: CompressedRows | None
    features_after: CompressedRows | None

    @property
    def n_ratings(self) -> int:
        """The number of ratings of these rows after the change."""
        return len(self.after.indices)

    @property
    def is_rated(self) -> Mask:
        """Which rows have ratings both before and after, (m,)."""
        mask: Mask = (self.before.counts > 0) & (self.after.counts > 0)
        return mask

    def subset(self, mask: Mask) -> Change:
        """Some of the rows."""
        if mask.all():
            return self
        at = np.flatnonzero(mask).astype(np.int32)
        parts = (self.before, self.after, self.features_before, self.features_after)
        return Change(self.codes[at], *(None if part is None else take_rows(part, at) for part in parts))  # type: ignore[arg-type]


# ---- without a posterior ---------------------------------------------------------------------------------------------


def _solved_factors(factors: Factors, users: Change, items: Change, history: CompressedRows) -> Factors:
    if isinstance(factors, HistoryFactors):
        biases = _moved_factors(factors.biases, users, items)
        return replace(factors, users=biases.users, items=biases.items).with_history(history)
    return with_confidence_of(_moved_factors(with_given_weights(factors), users, items), factors)


def _moved_factors(factors: Factors, users: Change, items: Change) -> Factors:
    """Users moved, then items, once each. A second pass moved errors by less than 0.002, up or down."""
    halfway = _moved_users(factors, factors, users)
    return _moved_users(factors.transposed(), halfway.transposed(), items).transposed()


def _moved_users(before: Factors, after: Factors, change: Change) -> Factors:
    """The factors `after` with the changed users moved; users without ratings before or after are folded in anew."""
    users, is_rated = after.users.copy(), change.is_rated
    moved = folded(after, change.after, change.features_after)
    rated = change.subset(is_rated)
    moved[is_rated] += before.users[rated.codes] - folded(before, rated.before, rated.features_before)
    users[change.codes] = moved
    return replace(after, users=users)


# ---- with a posterior ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class UpdateState:
    """The distilled factors so far, and the draws that go on with the ratings before and after the change."""

    factors: Factors
    before: Posterior
    after: Posterior

    def transposed(self) -> UpdateState:
        """The same with users and items exchanged."""
        return UpdateState(self.factors.transposed(), self.before.transposed(), self.after.transposed())

    def solve_users(self, change: Change, seed: int) -> UpdateState:
        """The changed users solved again, given the items of the draws before and after."""
        after = self.after.projection(self.factors)
        before = after if self.before.items is self.after.items else self.before.projection(self.factors)
        moved = self._move(change.subset(change.is_rated), (before, after), seed)
        return moved._replace(change.subset(~change.is_rated), after, seed + 1)

    def _move(self, change: Change, projections: tuple[Projection, Projection], seed: int) -> UpdateState:
        """Users with ratings before and after move by the difference between the two sets of draws."""
        if len(change.codes) == 0:
            return self
        start = tuple(side.users.vectors.take(change.codes, axis=1) for side in (self.before, self.after))
        before, after = self._draw(change, (start[0], start[1]), seed)
        users = self.factors.users.copy()
        users[change.codes] += projections[1].shift(after - start[1])
        users[change.codes] -= projections[0].shift(before - start[0])
        return UpdateState(
            replace(self.factors, users=users),
            _with_vectors(self.before, change.codes, before),
            _with_vectors(self.after, change.codes, after),
        )

    def _draw(self, change: Change, start: tuple[Floats, Floats], seed: int) -> tuple[Floats, Floats]:
        """Draws of rows before and after, (S, m, k) each, that differ by the change and not by random numbers."""
        before, after = (change.before, change.features_before), (change.after, change.features_after)
        drawn = self.after.solve(*after, draw=True, start=start[1], seed=seed)
        if self.after.steps is None:
            return self.before.solve(*before, draw=True, seed=seed), drawn
        # Each ordered rating has a random number of its own. One rating more puts these out of step, and so the
        # difference is taken between modes, which have no random numbers.
        mode_before = self.before.solve(*before, draw=False, start=start[0])
        mode_after = self.after.solve(*after, draw=False, start=start[1])
        return drawn - (mode_after - mode_before), drawn

    def _replace(self, change: Change, projection: Projection, seed: int) -> UpdateState:
        """Users that had no ratings, or have none now: their vectors are solved anew, whatever they were."""
        if len(change.codes) == 0:
            return self
        users = self.factors.users.copy()
        vectors = projection(self.after.solve_new(change.after, change.features_after))
        vectors[change.after.counts == 0] += projection.cold_start_step(self.after, self.factors.user_prior.mean)
        users[change.codes] = vectors
        after = self.after.solve(change.after, change.features_after, draw=True, seed=seed)
        is_new = change.before.counts == 0
        before = _with_vectors(self.before, change.codes[is_new], after[:, is_new])
        return UpdateState(replace(self.factors, users=users), before, _with_vectors(self.after, change.codes, after))


def _with_vectors(posterior: Posterior, codes: Codes, vectors: Floats) -> Posterior:
    users = posterior.users.vectors.copy()
    users[:, codes] = vectors
    return replace(posterior, users=replace(posterior.users, vectors=users))
