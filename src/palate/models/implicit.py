"""Implicit ALS: factors of implicit feedback, where the items that a user did not choose count with a small weight.

The vectors x of users and y of items minimize

    sum_chosen w (1 - x_u . y_i)^2 + a0 sum_all (x_u . y_i)^2
        + weight_decay (sum_u (n_u + a0 n_items)^e |x_u|^2 + sum_i (n_i + a0 n_users)^e |y_i|^2)

with a0 the unobserved weight and e the count exponent. Given the items, each user is a small linear problem, in which
all unobserved items are one Gram matrix:

    x_u = (sum_chosen w y y' + a0 Y'Y + ridge_u I)^-1 sum_chosen w y

Source: Rendle, Krichene, Zhang & Koren (2022), Revisiting the Performance of iALS, equation 4; Hu, Koren & Volinsky
(2008), Collaborative Filtering for Implicit Feedback Datasets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from palate.data.plan import count_codes
from palate.data.rows import CompressedRows, total_weights
from palate.distributed.exchange import Exchange
from palate.distributed.half_sweeps import solve_blocks, solve_rows
from palate.errors import OptionError
from palate.kernels import gram, predict_pairs
from palate.models.factors import Codes, Doubles, Factors, Floats, Prior
from palate.models.fading import NO_FADING, Fading

Confidence = Literal["equal", "relative", "given"]
CONFIDENCES: tuple[Confidence, ...] = ("equal", "relative")  # "given" is internal: weights are confidences already

START = 0.1  # standard deviation of scores among the random start vectors
N_ERROR_PAIRS = 20_000  # choices in the training error
DECAY = 0.45  # in default_problem()
BLOCK = 32  # columns solved at a time if there are many (Rendle et al. 2021, "iALS++")


def choice_signals(
    histories: CompressedRows,
    confidence: Confidence,
    mean_counts: Doubles | None = None,
    fading: Fading = NO_FADING,
) -> Floats | None:
    """The confidence of each choice, (n,): 1, or (1 + ln(1 + count / mean count)) / (1 + ln 2). None: 1 everywhere.

    The mean is over the counts of the same user, so an item chosen as often as the user's average has confidence 1.
    mean_counts: if rows are items, the mean count of each user, which are columns then; 0 for a user without choices,
    for whom the count itself is the mean. Their choices do not fade, since the order within each user is not known.
    """
    if confidence == "given":
        return histories.weights
    confidences = _confidences(histories, confidence, mean_counts)
    return confidences if mean_counts is not None else fading.times_signals(histories, confidences)


def _confidences(histories: CompressedRows, confidence: Confidence, mean_counts: Doubles | None) -> Floats | None:
    """The same without fading."""
    if histories.weights is None or confidence == "equal":
        return None
    own_means = mean_counts_of(histories) if mean_counts is None else None
    confidences = np.empty(len(histories.weights), np.float32)
    for block, entries in zip(histories.plan.blocks, histories.plan.entries, strict=True):
        counts = histories.weights[entries].astype(np.float64)
        if own_means is not None:
            means = np.repeat(own_means[block], histories.counts[block])
            means = np.where(means > 0, means, 1)
        else:
            assert mean_counts is not None
            means = mean_counts[histories.indices[entries]]
            means = np.where(means > 0, means, counts)
        confidences[entries] = (1 + np.log1p(counts / means)) / (1 + np.log(2))
    return confidences


def mean_counts_of(histories: CompressedRows) -> Doubles:
    """The mean count of each row's choices, (n_rows,); 0 for an empty row."""
    return np.asarray(total_weights(histories) / np.maximum(histories.counts, 1))


def weighted_choices(
    histories: CompressedRows,
    confidence: Confidence,
    mean_counts: Doubles | None = None,
    fading: Fading = NO_FADING,
) -> CompressedRows:
    """Return choices weighted by their confidence in place of their count; see choice_signals(). Times are left out."""
    return replace(histories, weights=choice_signals(histories, confidence, mean_counts, fading), times=None)


@dataclass(frozen=True)
class ImplicitProblem:
    """The least-squares problem of one side, given the other side and the choices.

    Attributes:
        unobserved_weight (float): a0, the weight of a pair that was not chosen.
        weight_decay (float): Of the regularization.
        count_exponent (float): e, the exponent of the row's total weight in the regularization.
    """

    unobserved_weight: float
    weight_decay: float
    count_exponent: float

    def ridge(self, counts: Any, n_others: int) -> Floats:
        """Weight decay of rows with so many choices (n_rows,): weight_decay (n + a0 n_others)^e, (n_rows,)."""
        total_weight = np.asarray(counts, np.float64) + self.unobserved_weight * n_others
        return np.asarray(self.weight_decay * total_weight**self.count_exponent, np.float32)

    def background(self, others: Floats) -> Floats:
        """The part of the normal equations that all rows share: a0 Y'Y, (k, k), for the other side Y (n, k)."""
        return (self.unobserved_weight * gram(others)[0]).astype(np.float32)

    def solve(
        self,
        rows: CompressedRows,
        others: Floats,
        background: Floats,
        n_threads: int = 0,
        on: Exchange | None = None,
    ) -> Floats:
        """The optimal vectors, (n_rows, k), given those of the other side, (n, k)."""
        k = others.shape[1]
        vectors, _ = solve_rows(
            rows,
            others,
            on=on,
            precision=np.zeros((k, k), np.float32),
            mean=np.zeros(k, np.float32),
            ridge=self.ridge(rows.counts, len(others)),
            background=background,
            n_threads=n_threads,
        )
        return vectors

    def improve(
        self,
        rows: CompressedRows,
        others: Floats,
        vectors: Floats,
        n_threads: int = 0,
        on: Exchange | None = None,
    ) -> Floats:
        """Lower the loss by one pass over the rows: the optimal vectors, or if k is large, BLOCK columns at a time."""
        background = self.background(others)
        if is_exact(others.shape[1]):
            return self.solve(rows, others, background, n_threads, on)
        return solve_blocks(
            rows,
            others,
            vectors,
            on=on,
            block=BLOCK,
            ridge=self.ridge(rows.counts, len(others)),
            background=background,
            n_threads=n_threads,
        )


def default_problem(
    by_user: CompressedRows,
    n_items: int,
    unobserved_weight: float | None = None,
    weight_decay: float | None = None,
    count_exponent: float = 1.0,
) -> ImplicitProblem:
    """Return the problem with defaults in place of options that are None; the defaults follow from the data's density.

    For n choices by n_u users of n_i items, of density p = n / (n_u n_i), the unobserved weight is sqrt(p). The decay
    of a typical row is DECAY (sqrt(n / n_u) + sqrt(n / n_i)), in proportion to the largest singular value of noise of
    that density. DECAY was chosen on inner splits of four data sets (docs/decisions.md).
    """
    n = max(len(by_user.indices), 1)
    users = max(int(np.count_nonzero(by_user.counts)), 1)
    items = max(int(np.count_nonzero(count_codes(by_user.indices, n_items))), 1)
    per_user, per_item = n / users, n / items
    weight = float(np.sqrt(per_user / items)) if unobserved_weight is None else unobserved_weight
    total_weight = np.sqrt((per_user + weight * n_items) * (per_item + weight * by_user.n_rows))
    decay = float(DECAY * (np.sqrt(per_user) + np.sqrt(per_item)) / total_weight**count_exponent)
    return ImplicitProblem(weight, decay if weight_decay is None else weight_decay, count_exponent)


def is_exact(n_factors: int) -> bool:
    """True if a sweep solves whole rows. With more factors, blocks of columns are faster and converge as well."""
    return n_factors <= 2 * BLOCK


class Sweep(NamedTuple):
    """The state after a sweep.

    Attributes:
        users (float32 array of shape (n_users, k)): User factors.
        items (float32 array of shape (n_items, k)): Item factors.
        is_settled (bool, default False): True if every user vector is optimal given the items.
    """

    users: Floats
    items: Floats
    is_settled: bool = False

    def error(self, by_user: CompressedRows) -> float:
        """Root mean square of 1 - x . y over the choices, or over about N_ERROR_PAIRS of them, evenly spaced."""
        sample = np.arange(0, len(by_user.indices), max(1, len(by_user.indices) // N_ERROR_PAIRS))
        users = np.searchsorted(by_user.indptr, sample, side="right").astype(np.int32) - np.int32(1)
        scores = predict_pairs(self.users, self.items, users, by_user.indices[sample])
        return float(np.sqrt(np.mean(np.square(1 - scores, dtype=np.float64))))

    def settled(
        self, problem: ImplicitProblem, by_user: CompressedRows, n_threads: int = 0, on: Exchange | None = None
    ) -> Sweep:
        """Return the state with every user vector optimal given the items."""
        if self.is_settled:
            return self
        background = problem.background(self.items)
        return Sweep(problem.solve(by_user, self.items, background, n_threads, on), self.items, True)

    def factors(self, problem: ImplicitProblem, confidence: Confidence, fading: Fading = NO_FADING) -> ImplicitFactors:
        """Return these vectors as factors of a model; confidence, fading: how choices become weights at fold-in."""
        k = self.users.shape[1] + 1
        item_prior = Prior.flat(k, ridge=problem.weight_decay, count_exponent=problem.count_exponent)
        users = without_bias(self.users)
        mean_user = users.mean(axis=0, dtype=np.float64).astype(np.float32)
        return ImplicitFactors(
            0.0,
            users,
            without_bias(self.items),
            replace(item_prior, mean=mean_user),
            item_prior,
            unobserved_weight=problem.unobserved_weight,
            confidence=confidence,
            fading=fading,
        )


def start(n_users: int, n_items: int, n_factors: int, seed: int) -> Sweep:
    """Return random items, scaled by START / sqrt(k) (Rendle et al. 2022, section 3.3), and users of zeros."""
    rng = np.random.Generator(np.random.Philox(seed))
    items = rng.standard_normal((n_items, n_factors), np.float32) * np.float32(START / np.sqrt(n_factors))
    return Sweep(np.zeros((n_users, n_factors), np.float32), items)


def sweeps(
    problem: ImplicitProblem,
    by_user: CompressedRows,
    by_item: CompressedRows,
    at: Sweep,
    n_threads: int = 0,
    *,
    last: int | None = None,
    done: int = 0,
    on: Exchange | None = None,
) -> Iterator[Sweep]:
    """Yield the state after each sweep, without end: users given items; before the next, items given users.

    last: the number of the last sweep that will be used; its users are settled. done: sweeps that lead to this state.
    on: the workers that solve rows.
    """
    is_settled = is_exact(at.items.shape[1])
    if done:
        at = Sweep(at.users, problem.improve(by_item, at.users, at.items, n_threads, on))
    for number in count(done + 1):
        if number == last:
            at = Sweep(at.users, at.items).settled(problem, by_user, n_threads, on)
        else:
            at = Sweep(problem.improve(by_user, at.items, at.users, n_threads, on), at.items, is_settled)
        yield at
        at = Sweep(at.users, problem.improve(by_item, at.users, at.items, n_threads, on))


@dataclass(frozen=True, repr=False)
class ImplicitFactors(Factors):
    """Factors of implicit feedback, without mean and biases. Fold-in counts unobserved items too.

    Attributes:
        unobserved_weight (float, default 1.0): a0, the weight of a pair that was not chosen.
        confidence ("equal", "relative" or "given", default "equal"): How counts become weights; see choice_signals().
        mean_counts (float64 array, default None): In the transposed model: the mean count of each user's choices.
        fading (Fading, default none): How the weight of a user's choices falls with later ones and with age.
    """

    unobserved_weight: float = 1.0
    confidence: Confidence = "equal"
    mean_counts: Doubles | None = None
    fading: Fading = NO_FADING

    def __post_init__(self) -> None:
        if not 0 < self.unobserved_weight < np.inf or self.confidence not in (*CONFIDENCES, "given"):
            raise ValueError(
                f"unobserved weight {self.unobserved_weight!r} or confidence {self.confidence!r} is not valid"
            )

    @property
    def problem(self) -> ImplicitProblem:
        """The least-squares problem of the users."""
        prior = self.user_prior
        return ImplicitProblem(self.unobserved_weight, prior.ridge, prior.count_exponent)

    @cached_property
    def background(self) -> Floats:
        """The Gram matrix a0 Y'Y of the items, (k, k), without the bias column."""
        return self.problem.background(np.ascontiguousarray(self.items[:, :-1]))

    def row_precision(self, n_ratings: int) -> Doubles:
        """Ridge I + a0 Y'Y, (k + 1, k + 1): the precision of a user of n_ratings choices, without these choices."""
        ridge = float(self.problem.ridge(n_ratings, len(self.items)))
        return np.pad(self.background.astype(np.float64), ((0, 1), (0, 1))) + ridge * np.eye(self.items.shape[1])

    def partners(self, item_codes: Codes) -> Doubles:
        """The vectors of items, (n, k + 1), bias column included: users have no bias."""
        return self.items[item_codes].astype(np.float64)

    def linearised(self, histories: CompressedRows, vectors: Floats) -> CompressedRows:  # noqa: ARG002
        """Return choices weighted by their confidence."""
        return self.weighted(histories)

    def weighted(self, histories: CompressedRows) -> CompressedRows:
        """Return choices weighted by their confidence, faded, in place of their count."""
        return weighted_choices(histories, self.confidence, self.mean_counts, self.fading)

    def faded(self, fading: Fading) -> Self:
        """Return factors that fold in with this fading, whatever they learned with.

        Raises OptionError in a transposed model: those who chose an item are in no order.
        """
        if self.mean_counts is not None:
            raise OptionError("recent= weighs what a user chose, in order; those who chose an item are in none.")
        return replace(self, fading=fading)

    @property
    def fades_by_age(self) -> bool:
        """True if choices count by their age."""
        return self.fading.half_life is not None

    def fold_in(self, histories: CompressedRows) -> Floats:
        """Fold in new users from their choices: vectors (n, k + 1); the mean user vector for a user without any."""
        others = np.ascontiguousarray(self.items[:, :-1])
        vectors = without_bias(self.problem.solve(self.weighted(histories), others, self.background))
        vectors[histories.counts == 0] = self.user_prior.mean
        return vectors


def with_given_weights(factors: Factors) -> Factors:
    """Return factors that take the weights of choices as confidences; other than implicit factors stay as they are."""
    return replace(factors, confidence="given") if isinstance(factors, ImplicitFactors) else factors


def with_confidence_of(factors: Factors, original: Factors) -> Factors:
    """Return factors with the confidence of the original; the inverse of with_given_weights()."""
    if not isinstance(factors, ImplicitFactors) or not isinstance(original, ImplicitFactors):
        return factors
    return replace(factors, confidence=original.confidence)


def with_mean_counts(factors: Factors, histories: CompressedRows) -> Factors:
    """Return transposed implicit factors with the mean counts of users, or without them after a second transposition.

    histories: of the users, from before the transposition. Other factors stay as they are.
    """
    if not isinstance(factors, ImplicitFactors):
        return factors
    return replace(factors, mean_counts=mean_counts_of(histories) if factors.mean_counts is None else None)


def without_bias(vectors: Floats) -> Floats:
    """Return factors (n, k) with a bias column of zeros, (n, k + 1)."""
    return np.pad(vectors, ((0, 0), (0, 1)))
