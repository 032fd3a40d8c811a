"""Factors of implicit ratings, where what somebody did not choose counts too, with a small weight.

The vectors x of users and y of items minimise (Rendle, Krichene, Zhang & Koren 2022, eq. 4)

    sum_chosen w (1 - x_u . y_i)^2 + a0 sum_all (x_u . y_i)^2
        + weight_decay (sum_u (n_u + a0 n_items)^e |x_u|^2 + sum_i (n_i + a0 n_users)^e |y_i|^2)

so that given the items a user is a small linear problem, in which all unchosen ones are one Gram matrix:

    x_u = (sum_chosen w y y' + a0 Y'Y + ridge_u I)^-1 sum_chosen w y
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from typing import Any, Literal, NamedTuple

import numpy as np

from palate.data.rows import CompressedRows, row_codes
from palate.kernels import gram, predict_pairs, solve_blocks, solve_rows
from palate.models.factors import Codes, Doubles, Factors, Floats, Prior

Confidence = Literal["equal", "relative", "given"]
CONFIDENCES: tuple[Confidence, ...] = ("equal", "relative")  # "given", inside: weights are what they count for already


def choice_signals(
    histories: CompressedRows, confidence: Confidence, mean_counts: Doubles | None = None
) -> Floats | None:
    """What each choice counts for, (n,): 1, or (1 + ln(1 + count / own mean count)) / (1 + ln 2). None: 1 everywhere.

    The mean is that of the user's own counts: so a choice made as often as his usual one counts 1. usual_of: where rows
    are items, the usual counts of the users that are their columns; 0 for who has none, whose own choice is his usual.
    """
    if histories.weights is None or confidence == "equal":
        return None
    if confidence == "given":
        return histories.weights
    counts = histories.weights.astype(np.float64)
    means = mean_counts_of(histories)[row_codes(histories)] if mean_counts is None else mean_counts[histories.indices]
    usual = np.where(means > 0, means, counts if mean_counts is not None else 1)
    return np.asarray((1 + np.log1p(counts / usual)) / (1 + np.log(2)), np.float32)


def mean_counts_of(histories: CompressedRows) -> Doubles:
    """The mean count of each row's choices, (n_rows,); 0 of none."""
    counts = None if histories.weights is None else histories.weights.astype(np.float64)
    totals = np.bincount(row_codes(histories), counts, minlength=histories.n_rows)
    return totals / np.maximum(histories.counts, 1)


def weighted_choices(
    histories: CompressedRows, confidence: Confidence, mean_counts: Doubles | None = None
) -> CompressedRows:
    """The same choices, weighing what they count for in place of how often they were made; see choice_signals()."""
    return replace(histories, weights=choice_signals(histories, confidence, mean_counts))


START = 0.1
N_LOOKED_AT = 20_000
DECAY = 0.45
BLOCK = 32  # columns solved at once where there are many (Rendle et al. 2021, "iALS++")


@dataclass(frozen=True)
class ImplicitProblem:
    """The least-squares problem of one side given the other: what counts besides the choices, and how strongly."""

    unobserved_weight: float
    weight_decay: float
    count_exponent: float

    def ridge(self, counts: Any, n_others: int) -> Floats:
        """Weight decay of rows with so many choices among n_others: weight_decay (n + a0 n_others)^e."""
        mass = np.asarray(counts, np.float64) + self.unobserved_weight * n_others
        return np.asarray(self.weight_decay * mass**self.count_exponent, np.float32)

    def background(self, others: Floats) -> Floats:
        """What all of the other side (n, k) weighs, chosen or not: a0 Y'Y, (k, k)."""
        return (self.unobserved_weight * gram(others)[0]).astype(np.float32)

    def solve(self, rows: CompressedRows, others: Floats, background: Floats, n_threads: int = 0) -> Floats:
        """The best vectors (n_rows, k) given the other side's (n, k)."""
        k = others.shape[1]
        vectors, _ = solve_rows(
            rows.indptr,
            rows.indices,
            rows.values,
            others,
            precision=np.zeros((k, k), np.float32),
            mean=np.zeros(k, np.float32),
            weights=rows.weights,
            ridge=self.ridge(rows.counts, len(others)),
            background=background,
            n_threads=n_threads,
        )
        return vectors

    def improve(self, rows: CompressedRows, others: Floats, vectors: Floats, n_threads: int = 0) -> Floats:
        """Better vectors (n_rows, k) than these: the best ones, or of many factors, BLOCK columns at a time, once."""
        background = self.background(others)
        if is_exact(others.shape[1]):
            return self.solve(rows, others, background, n_threads)
        return solve_blocks(
            rows.indptr,
            rows.indices,
            rows.values,
            others,
            vectors,
            block=BLOCK,
            weights=rows.weights,
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
    """What generalises on choices of this number, in place of options that are not given.

    With n choices by n_u users of n_i items, of density p = n / (n_u n_i), unobserved_weight = sqrt(p), and the decay
    of a typical row is 0.45 (sqrt(n / n_u) + sqrt(n / n_i)), in proportion to the largest singular value of noise of
    that density. The number was found on inner splits of four data sets (docs/decisions.md).
    """
    n = max(len(by_user.indices), 1)
    users = max(int(np.count_nonzero(by_user.counts)), 1)
    items = max(int(np.count_nonzero(np.bincount(by_user.indices, minlength=1))), 1)
    per_user, per_item = n / users, n / items
    weight = float(np.sqrt(per_user / items)) if unobserved_weight is None else unobserved_weight
    mass = np.sqrt((per_user + weight * n_items) * (per_item + weight * by_user.n_rows))
    decay = float(DECAY * (np.sqrt(per_user) + np.sqrt(per_item)) / mass**count_exponent)
    return ImplicitProblem(weight, decay if weight_decay is None else weight_decay, count_exponent)


def is_exact(n_factors: int) -> bool:
    """Whether a sweep solves rows whole: of more factors, blocks of columns cost less and reach as much."""
    return n_factors <= 2 * BLOCK


class Sweep(NamedTuple):
    """Where the alternation stands: users (n_users, k) and items (n_items, k).

    is_settled: whether every user is exactly what the items and his own choices make of him.
    """

    users: Floats
    items: Floats
    is_settled: bool = False

    def error(self, by_user: CompressedRows) -> float:
        """Root of the mean of (1 - x.y)^2 over what was chosen, or over N_LOOKED_AT of it, evenly spaced."""
        some = np.arange(0, len(by_user.indices), max(1, len(by_user.indices) // N_LOOKED_AT))
        owners = np.searchsorted(by_user.indptr, some, side="right").astype(np.int32) - np.int32(1)
        scores = predict_pairs(self.users, self.items, owners, by_user.indices[some])
        return float(np.sqrt(np.mean(np.square(1 - scores, dtype=np.float64))))

    def settled(self, problem: ImplicitProblem, by_user: CompressedRows, n_threads: int = 0) -> Sweep:
        """With every user exactly what the items and his own choices make of him."""
        if self.is_settled:
            return self
        return Sweep(problem.solve(by_user, self.items, problem.background(self.items), n_threads), self.items, True)

    def factors(self, problem: ImplicitProblem, confidence: Confidence) -> ImplicitFactors:
        """What it leaves to a model, whose choices weigh what `confidence` makes of their counts."""
        k = self.users.shape[1] + 1
        item_prior = Prior.flat(k, ridge=problem.weight_decay, count_exponent=problem.count_exponent)
        users = without_bias(self.users)
        anybody = users.mean(axis=0, dtype=np.float64).astype(np.float32)
        return ImplicitFactors(
            0.0,
            users,
            without_bias(self.items),
            replace(item_prior, mean=anybody),
            item_prior,
            unobserved_weight=problem.unobserved_weight,
            confidence=confidence,
        )


def start(n_users: int, n_items: int, n_factors: int, seed: int) -> Sweep:
    """Random items whose products spread by START (Rendle et al. 2022, section 3.3), and users who like nothing."""
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
) -> Iterator[Sweep]:
    """Alternates without end from where it stands: users given items, then items given users.

    last: the number of the sweep that will be the last one, whose users are therefore settled.
    """
    is_settled = is_exact(at.items.shape[1])
    for number in count(1):
        if number == last:
            at = Sweep(at.users, at.items).settled(problem, by_user, n_threads)
        else:
            at = Sweep(problem.improve(by_user, at.items, at.users, n_threads), at.items, is_settled)
        yield at
        at = Sweep(at.users, problem.improve(by_item, at.users, at.items, n_threads))


@dataclass(frozen=True)
class ImplicitFactors(Factors):
    """Factors without biases or a mean, whose new rows are solved for with all that they did not choose."""

    unobserved_weight: float = 1.0
    confidence: Confidence = "equal"
    mean_counts: Doubles | None = None  # where items stand for users: how often users usually chose what they chose

    def __post_init__(self) -> None:
        if not 0 < self.unobserved_weight < np.inf or self.confidence not in (*CONFIDENCES, "given"):
            raise ValueError(f"unobserved weight {self.unobserved_weight!r} and confidence {self.confidence!r}")

    @property
    def problem(self) -> ImplicitProblem:
        """What users are solved by."""
        prior = self.user_prior
        return ImplicitProblem(self.unobserved_weight, prior.ridge, prior.count_exponent)

    @cached_property
    def background(self) -> Floats:
        """a0 Y'Y of the items, (k, k), without the column of biases."""
        return self.problem.background(np.ascontiguousarray(self.items[:, :-1]))

    def row_precision(self, n_ratings: int) -> Doubles:
        """Ridge I + a0 Y'Y: what the vector of a user with so many choices is held by, besides them; (k + 1, k + 1)."""
        ridge = float(self.problem.ridge(n_ratings, len(self.items)))
        return np.pad(self.background.astype(np.float64), ((0, 1), (0, 1))) + ridge * np.eye(self.items.shape[1])

    def partners(self, item_codes: Codes) -> Doubles:
        """The items' vectors, (n, k + 1): no user has a bias."""
        return self.items[item_codes].astype(np.float64)

    def linearised(self, histories: CompressedRows, vectors: Floats) -> CompressedRows:  # noqa: ARG002
        """The choices with the weights that their counts give them."""
        return weighted_choices(histories, self.confidence, self.mean_counts)

    def fold_in(self, histories: CompressedRows) -> Floats:
        """Vectors of users never seen, from what they chose: (n, k + 1); the usual one for who chose nothing."""
        others = np.ascontiguousarray(self.items[:, :-1])
        weighted = weighted_choices(histories, self.confidence, self.mean_counts)
        vectors = without_bias(self.problem.solve(weighted, others, self.background))
        vectors[histories.counts == 0] = self.user_prior.mean
        return vectors


def with_given_weights(factors: Factors) -> Factors:
    """The same factors; implicit ones take the weights of choices as they are."""
    return replace(factors, confidence="given") if isinstance(factors, ImplicitFactors) else factors


def with_confidence_of(factors: Factors, by: Factors) -> Factors:
    """The same factors; implicit ones weigh choices as those of `by` do."""
    if not isinstance(factors, ImplicitFactors) or not isinstance(by, ImplicitFactors):
        return factors
    return replace(factors, confidence=by.confidence)


def with_mean_counts(factors: Factors, histories: CompressedRows) -> Factors:
    """The same factors of exchanged sides; implicit ones weigh a count against the usual one of whose history it is in.

    histories: of the users, which are the items now.
    """
    if not isinstance(factors, ImplicitFactors):
        return factors
    return replace(factors, mean_counts=mean_counts_of(histories) if factors.mean_counts is None else None)


def without_bias(vectors: Floats) -> Floats:
    """Factors (n, k) as rows of the waist, (n, k + 1): the last column, the bias, is zero."""
    return np.pad(vectors, ((0, 0), (0, 1)))
