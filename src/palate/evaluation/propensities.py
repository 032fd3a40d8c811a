"""Inverse propensity weights: what a measure would be if the test ratings were of pairs drawn at random.

Users choose what they rate, so a mean over test ratings is a mean over the pairs that they chose. A pair that is chosen
with propensity p stands for 1 / p pairs. The self-normalised mean (SNIPS) of a loss over the test ratings is

    sum_n w_n loss_n / sum_n w_n        with w_n = (weight of the rating) / p_n

Only the proportions of propensities count. A few ratings of low propensity may carry most of the weight; the effective
sample size (sum w)^2 / sum w^2 says as how many ratings of equal weight they all are.

Source: Schnabel, Swaminathan, Singh, Chandak & Joachims (2016), Recommendations as Treatments: Debiasing Learning and
Evaluation, equation 11; for lists: Yang, Cui, Xuan, Wang, Belongie & Estrin (2018), Unbiased Offline Recommender
Evaluation for Missing-Not-At-Random Implicit Feedback; Kish (1965), Survey Sampling (effective sample size).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings
from palate.errors import DataError, OptionError
from palate.evaluation.matching import codes_in_model
from palate.evaluation.resampling import Doubles
from palate.models.factors import Codes
from palate.recommender import Recommender

POPULARITY = "popularity"
N_STRATA = 10
FEW, FEW_SHARE = 100, 0.1  # an effective sample below 100 ratings, or below a tenth of them, is small
N_DEVIATIONS = 6  # how far item counts must vary beyond chance to say that users chose the items

SELF_SELECTED = (  # from the mean squared errors of its table 2, 1.891 and 0.989
    "Users chose what they rated, and errors on what they did not choose may be larger: on songs picked at random, "
    "factors\nlearned from chosen songs had an RMSE of 1.38, and with inverse propensities of 0.99 (Yahoo! R3; "
    "Schnabel et al. 2016)."
)
ONLY_POPULARITY = (
    "Strata of popularity mend that popular items are rated more often, not that users rate what they expect to like."
)


@dataclass(frozen=True)
class InversePropensities:
    """1 / propensity of each test row, times a constant, (n,), and where they are from: "popularity" or "given"."""

    weights: Doubles
    source: str

    @classmethod
    def of(cls, recommender: Recommender, test: Ratings, propensity: Any) -> InversePropensities | None:
        """Check the propensities of evaluate(), or estimate them; None without any."""
        if propensity is None:
            return None
        if not isinstance(propensity, str):
            return cls(_inverse(_given(propensity, len(test))), "given")
        if propensity != POPULARITY:
            raise OptionError(
                f'propensity={propensity!r}: give "popularity", or one number above 0 for each test rating.'
            )
        _, item_codes = codes_in_model(recommender, test)
        return cls(_inverse(popularity_propensities(training_counts(recommender), item_codes)), POPULARITY)

    def of_rows(self, keep: NDArray[Any]) -> InversePropensities:
        """Return those of some rows: a mask, or row numbers."""
        return InversePropensities(self.weights[keep], self.source)


def _inverse(propensities: Doubles) -> Doubles:
    """1 / propensity, times a constant such that none is above 1."""
    inverse: Doubles = propensities.min(initial=np.inf) / propensities
    return inverse


def training_counts(recommender: Recommender) -> NDArray[np.int64]:
    """Return the number of training ratings of each item, (n_items,)."""
    return recommender.model.item_counts


def popularity_propensities(counts: NDArray[np.int64], item_codes: Codes) -> Doubles:
    """Return the propensities of items (n,), code -1 for unknown ones, from numbers of training ratings, (n_items,).

    Items are cut by their number of ratings into strata that hold about a tenth of the ratings each; the propensity of
    a stratum is the mean number of ratings of its items. Items without ratings are in the lowest stratum.
    """
    if not counts.any():
        raise DataError('the model holds no training ratings, so propensity="popularity" cannot be estimated.')
    group = np.unique(np.maximum(counts, counts[counts > 0].min()), return_inverse=True)[1]
    totals = np.bincount(group, counts)
    middle = (np.cumsum(totals) - totals / 2) / counts.sum()  # items of equal counts are in one stratum
    stratum = (N_STRATA * middle).astype(np.int64)[group]
    means = np.bincount(stratum, counts) / np.maximum(np.bincount(stratum), 1)
    lowest = means[stratum.min()]
    found: Doubles = np.where(item_codes >= 0, means[stratum[item_codes]], lowest)
    return found


def _given(propensity: Any, n: int) -> Doubles:
    """Return given propensities as numbers, (n,). Raise OptionError unless there is one above 0 for each test row."""
    try:
        found = np.asarray(propensity)
    except (TypeError, ValueError) as error:
        raise OptionError(f"propensity= must be numbers, one for each test rating ({error}).") from error
    if found.ndim != 1 or (found.dtype.kind not in "iuf" and len(found)):
        raise OptionError(
            f"propensity= must be numbers, one for each test rating, got {found.ndim} dimensions of {found.dtype}."
        )
    if len(found) != n:
        raise OptionError(
            f"propensity= has {len(found):,} numbers and there are {n:,} test ratings: give one for each, in the order "
            "of the Ratings, which hold no bad and no repeated rows."
        )
    found = found.astype(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(found) & (found > 0)))
    if len(wrong):
        raise OptionError(f"propensity= must be finite and above 0; number {wrong[0]} is {found[wrong[0]]:g}.")
    return found


def effective_size(weights: Doubles) -> float:
    """(sum w)^2 / sum w^2: as how many ratings of equal weight they count; n if all weights are equal."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def is_self_selected(counts: NDArray[np.int64]) -> bool:
    """Tell whether test rows vary more between items than rows drawn at random would. counts: of each item, (n_items,).

    Under random exposure the index of dispersion, sum (count - mean)^2 / mean, is chi-squared with n_items - 1 degrees
    of freedom. True if it lies more than N_DEVIATIONS of its standard deviations above its mean.
    """
    if not counts.any():
        return False
    mean = counts.mean()
    freedom = len(counts) - 1
    dispersion = float(((counts - mean) ** 2).sum() / mean)
    return dispersion > freedom + N_DEVIATIONS * math.sqrt(2 * freedom)


def notes_on(source: str, n_effective: float | None, n: int, noun: str = "ratings") -> list[str]:
    """Return what a reader should know of weighted measures, in lines; n: the number of test ratings, or of others."""
    if n_effective is None:
        return []
    notes = [f"snips: weighted by inverse propensities; {n:,} {noun} count as {n_effective:,.0f} of equal weight."]
    if n_effective < max(FEW, FEW_SHARE * n):
        notes.append("That is few: some of them decide these figures, so trust the intervals and not the digits.")
    return notes + [ONLY_POPULARITY] * (source == POPULARITY)
