"""The measures of recommended lists, user by user; means over users with their intervals; and curves over k."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import Codes
from palate.evaluation import list_metrics
from palate.evaluation.groups import Groups
from palate.evaluation.matching import HeldOut
from palate.evaluation.rank_metrics import AT_K, UNREACHABLE, WEIGHTED_AT_K, HeldOutRanks, auc
from palate.evaluation.resampling import Doubles, Measure, Resample, measures_of
from palate.models.model import Model

CURVES = ("recall", "ndcg")  # the measures that are drawn against k
KS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000)  # of curves
Mask = NDArray[np.bool_]
UserValues = Doubles | tuple[Doubles, Doubles]  # one number per user, or a numerator and a denominator


def main_measure(ks: Sequence[int]) -> str:
    """Return the measure that models are compared by: ndcg@10, or ndcg at the k nearest to 10."""
    return f"ndcg@{min(ks, key=lambda k: (abs(k - 10), k))}"


@dataclass(frozen=True)
class KCurves:
    """Measures of lists at many lengths.

    Attributes:
        k (tuple of int): The list lengths, ascending.
        values (dict of str to dict): {name of the model: {measure: its values at each k}}, of the "model" and of a
            baseline.
    """

    k: tuple[int, ...]
    values: dict[str, dict[str, tuple[float, ...]]]


def curve_ks(ks: Sequence[int]) -> tuple[int, ...]:
    """The list lengths of a curve up to the last of ks: all of these, and some between."""
    return tuple(sorted({*ks, *(k for k in KS if k < ks[-1])}))


@dataclass(frozen=True)
class UserMeasures:
    """The measures of one model, user by user.

    values: by measure, one number for each user, nan for users left out of the mean. A pair (numerators, denominators)
    stands for a measure that is the ratio of two means, less 1. sums: over users, of the measures of curves at other k.
    hits, held: of each user and group of items, how many held-out items stand in the first k, and how many there are.
    """

    ks: tuple[int, ...]
    n_missed: int  # held-out items that cannot be recommended
    listed: Mask  # which items stand in the first k of a list, (n_ks, n_items)
    values: dict[str, UserValues]
    sums: dict[str, float] = field(default_factory=dict)
    hits: Doubles = field(default_factory=lambda: np.zeros((0, 0)))  # (n_users, n_groups)
    held: Doubles = field(default_factory=lambda: np.zeros((0, 0)))

    @classmethod
    def of(
        cls,
        ks: tuple[int, ...],
        ranks: HeldOutRanks,
        lists: Codes,
        model: Model,
        values: dict[str, UserValues],
        popularity: Groups,
    ) -> UserMeasures:
        """Return the measures of some users with these ranks and lists."""
        listed = list_metrics.listed_items(lists, ks, len(model.item_vocabulary))
        others = [k for k in curve_ks(ks) if k not in ks]
        sums = {f"{name}@{k}": float(AT_K[name](ranks, k).sum()) for name in CURVES for k in others}
        main = int(main_measure(ks).partition("@")[2])
        hits, held = hits_by_group(ranks, main, popularity)
        return cls(ks, int((ranks.ranks == UNREACHABLE).sum()), listed, values, sums, hits, held)

    def curves(self) -> dict[str, tuple[float, ...]]:
        """Return the measures of curves at all their k."""
        n = len(self.hits)
        means = {name: total / n for name, total in self.sums.items()}
        means |= {f"{name}@{k}": float(np.sum(self.values[f"{name}@{k}"])) / n for name in CURVES for k in self.ks}
        return {name: tuple(means[f"{name}@{k}"] for k in curve_ks(self.ks)) for name in CURVES}

    @classmethod
    def joined(cls, blocks: Sequence[UserMeasures]) -> UserMeasures:
        """Return the measures of the users of all blocks, in the order of the blocks."""
        values: dict[str, UserValues] = {}
        for name in blocks[0].values:
            parts: list[Any] = [block.values[name] for block in blocks]
            if isinstance(parts[0], tuple):
                above, below = (np.concatenate(part) for part in zip(*parts, strict=True))
                values[name] = above, below
            else:
                values[name] = np.concatenate(parts)
        listed = np.logical_or.reduce([block.listed for block in blocks])
        sums = {name: sum(block.sums[name] for block in blocks) for name in blocks[0].sums}
        hits, held = (np.concatenate([getattr(block, name) for block in blocks]) for name in ("hits", "held"))
        return cls(blocks[0].ks, sum(block.n_missed for block in blocks), listed, values, sums, hits, held)

    def add(self, name: str, at_ks: Sequence[Doubles]) -> None:
        """Add a measure at each k."""
        self.values.update({f"{name}@{k}": values for k, values in zip(self.ks, at_ks, strict=True)})

    def measures(self, resample: Resample, allowed: Mask) -> dict[str, Measure]:
        """Return the means over users with their intervals; coverage, of the allowed items, is no mean and has none."""
        found = dict(zip(self.values, measures_of(*self._estimates(resample)), strict=True))
        return found | {name: Measure(share) for name, share in self._coverage(allowed).items()}

    def difference(self, other: UserMeasures, resample: Resample, allowed: Mask) -> dict[str, Measure]:
        """Return the measures less those of other lists for the same users, with intervals of the difference."""
        (own, own_samples), (values, samples) = self._estimates(resample), other._estimates(resample)
        found = dict(zip(self.values, measures_of(own - values, own_samples - samples), strict=True))
        shares = other._coverage(allowed)
        return found | {name: Measure(share - shares[name]) for name, share in self._coverage(allowed).items()}

    def _estimates(self, resample: Resample) -> tuple[Doubles, Doubles]:
        """Return each mean over users, (n,), and the same in each resampling, (n_bootstrap, n)."""
        sums, counts = (np.array(part).T for part in zip(*map(as_ratio, self.values.values()), strict=True))
        shifts = [-1.0 if isinstance(values, tuple) else 0.0 for values in self.values.values()]
        with np.errstate(invalid="ignore", divide="ignore"):
            values = sums.sum(axis=0) / counts.sum(axis=0) + shifts
        return values, resample.ratios(sums, counts) + shifts

    def _coverage(self, allowed: Mask) -> dict[str, float]:
        scale = float(len(allowed) / allowed.sum())
        return {f"coverage@{k}": float(items.mean()) * scale for k, items in zip(self.ks, self.listed, strict=True)}


def user_values(
    model: Model, held_out: HeldOut, ranks: HeldOutRanks, lists: Codes, ks: tuple[int, ...]
) -> dict[str, UserValues]:
    """Return each measure of each user."""
    found: dict[str, UserValues] = {}
    for name, metric in AT_K.items():
        found |= {f"{name}@{k}": metric(ranks, k) for k in ks}
    if ranks.weights is not None:
        for name, metric in WEIGHTED_AT_K.items():
            found |= {f"{name}@{k}": metric(ranks, k) for k in ks}
    found["auc"] = auc(ranks)
    shares = list_metrics.item_shares(model)
    own = list_metrics.history_popularity(model, held_out.users, shares)
    at_ks: dict[str, Sequence[Doubles]] = {"novelty": list_metrics.novelty(lists, ks, shares)}
    if model.factors.n_factors > 0:
        at_ks["diversity"] = list_metrics.diversity(
            lists, ks, np.ascontiguousarray(model.factors.items[:, model.compared_columns])
        )
    for name, values in at_ks.items():
        found |= {f"{name}@{k}": value for k, value in zip(ks, values, strict=True)}
    for k, value in zip(ks, list_metrics.popularity(lists, ks, shares), strict=True):
        both = np.isfinite(own) & np.isfinite(value)
        found[f"popularity_bias@{k}"] = np.where(both, value, np.nan), np.where(both, own, np.nan)
    return found


def hits_by_group(ranks: HeldOutRanks, k: int, groups: Groups) -> tuple[Doubles, Doubles]:
    """Return how many held-out items of each user and group are in the first k, and how many in all, (n_users, n)."""
    assert ranks.items is not None
    n_users, n = len(ranks.counts), len(groups.names)
    cells = np.repeat(np.arange(n_users), ranks.counts) * n + groups.of[ranks.items]
    hits, held = (np.bincount(cells[rows], minlength=n_users * n) for rows in (ranks.ranks <= k, slice(None)))
    return hits.reshape(-1, n).astype(np.float64), held.reshape(-1, n).astype(np.float64)


def as_ratio(values: UserValues) -> tuple[Doubles, Doubles]:
    """Return the numerator and denominator of each user; both 0 for users left out."""
    if isinstance(values, tuple):
        return np.nan_to_num(values[0]), np.nan_to_num(values[1])
    counts = np.isfinite(values)
    return np.where(counts, values, 0.0), counts.astype(np.float64)
