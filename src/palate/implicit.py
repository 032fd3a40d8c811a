"""Factors of implicit ratings, where what somebody did not choose counts too, with a small weight.

The vectors x of users and y of items minimise (Rendle, Krichene, Zhang & Koren 2022, eq. 4)

    sum_chosen w (1 - x_u . y_i)^2 + a0 sum_all (x_u . y_i)^2
        + weight_decay (sum_u (n_u + a0 n_items)^e |x_u|^2 + sum_i (n_i + a0 n_users)^e |y_i|^2)

so that given the items a user is a small linear problem, in which all unchosen ones are one Gram matrix:

    x_u = (sum_chosen w y y' + a0 Y'Y + ridge_u I)^-1 sum_chosen w y
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from palate.compressed import CompressedRows
from palate.factors import Codes, Doubles, Factors, Floats, Prior
from palate.kernels import gram, solve_rows

Confidence = Literal["equal", "log", "count"]
START = 0.1
CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)


def confidence_weights(weights: Floats | None, confidence: Confidence) -> Floats | None:
    """The weight of each choice, (n,), by how often it was made: 1, 1 + ln(count) (of a count below 1: 1) or the count.

    None stands for 1 everywhere.
    """
    if weights is None or confidence == "equal":
        return None
    if confidence == "count":
        return weights
    return (1 + np.log(np.maximum(weights, 1))).astype(np.float32)


@dataclass(frozen=True)
class Implicit:
    """The least-squares problem of one side given the other: what counts besides the choices, and how strongly."""

    unobserved_weight: float
    weight_decay: float
    count_exponent: float
    confidence: Confidence

    def ridge(self, counts: Any, n_others: int) -> Floats:
        """Weight decay of rows with so many choices among n_others: weight_decay (n + a0 n_others)^e."""
        mass = np.asarray(counts, np.float64) + self.unobserved_weight * n_others
        return np.asarray(self.weight_decay * mass**self.count_exponent, np.float32)

    def background(self, others: Floats) -> Floats:
        """What all of the other side (n, k) weighs, chosen or not: a0 Y'Y, (k, k)."""
        return (self.unobserved_weight * gram(others)[0]).astype(np.float32)

    def solve(
        self, rows: CompressedRows, others: Floats, background: Floats, n_threads: int = 0
    ) -> tuple[Floats, Doubles]:
        """The best vectors (n_rows, k) given the other side's (n, k); and each row's sum of w (1 - x.y)^2."""
        k = others.shape[1]
        vectors, errors = solve_rows(
            rows.indptr,
            rows.indices,
            rows.values,
            others,
            precision=np.zeros((k, k), np.float32),
            mean=np.zeros(k, np.float32),
            weights=confidence_weights(rows.weights, self.confidence),
            ridge=self.ridge(rows.counts, len(others)),
            background=background,
            errors=True,
            n_threads=n_threads,
        )
        return vectors, np.asarray(errors)


class Sweep(NamedTuple):
    """Where the alternation stands: users (n_users, k), items (n_items, k), each user's sum of w (1 - x.y)^2."""

    users: Floats
    items: Floats
    errors: Doubles

    def factors(self, problem: Implicit) -> ImplicitFactors:
        """What it leaves to a model."""
        k = self.users.shape[1] + 1
        decay = {"ridge": problem.weight_decay, "count_exponent": problem.count_exponent}
        item_prior = Prior(np.zeros((k, k), np.float32), np.zeros(k, np.float32), **decay)
        users = without_bias(self.users)
        anybody = users.mean(axis=0, dtype=np.float64).astype(np.float32)
        return ImplicitFactors(
            0.0,
            users,
            without_bias(self.items),
            replace(item_prior, mean=anybody),
            item_prior,
            unobserved_weight=problem.unobserved_weight,
            confidence=problem.confidence,
        )


def start(n_users: int, n_items: int, n_factors: int, seed: int) -> Sweep:
    """Random items whose products spread by START (Rendle et al. 2022, section 3.3), and users who like nothing."""
    rng = np.random.Generator(np.random.Philox(seed))
    items = rng.standard_normal((n_items, n_factors), np.float32) * np.float32(START / np.sqrt(n_factors))
    return Sweep(np.zeros((n_users, n_factors), np.float32), items, np.zeros(n_users))


def sweeps(
    problem: Implicit, by_user: CompressedRows, by_item: CompressedRows, items: Floats, n_threads: int = 0
) -> Iterator[Sweep]:
    """Alternates without end, from items (n_items, k): users given items, then items given users."""
    while True:
        users, errors = problem.solve(by_user, items, problem.background(items), n_threads)
        yield Sweep(users, items, errors)
        items, _ = problem.solve(by_item, users, problem.background(users), n_threads)


@dataclass(frozen=True)
class ImplicitFactors(Factors):
    """Factors without biases or a mean, whose new rows are solved for with all that they did not choose."""

    unobserved_weight: float = 1.0
    confidence: Confidence = "equal"

    def __post_init__(self) -> None:
        if not 0 < self.unobserved_weight < np.inf or self.confidence not in CONFIDENCES:
            raise ValueError(f"unobserved weight {self.unobserved_weight!r} and confidence {self.confidence!r}")

    @classmethod
    def of(cls, factors: Factors, **more: Any) -> ImplicitFactors:
        """Factors whose mean and biases are zero, with what else is to be known of implicit ones."""
        return cls(**{field.name: getattr(factors, field.name) for field in fields(Factors)}, **more)

    @property
    def problem(self) -> Implicit:
        """What users are solved by."""
        prior = self.user_prior
        return Implicit(self.unobserved_weight, prior.ridge, prior.count_exponent, self.confidence)

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
        return replace(histories, weights=confidence_weights(histories.weights, self.confidence))

    def represent(self, histories: CompressedRows) -> Floats:
        """Vectors of users never seen, from what they chose: (n, k + 1); the usual one for who chose nothing."""
        others = np.ascontiguousarray(self.items[:, :-1])
        vectors = without_bias(self.problem.solve(histories, others, self.background)[0])
        vectors[histories.counts == 0] = self.user_prior.mean
        return vectors


def without_bias(vectors: Floats) -> Floats:
    """Factors (n, k) as rows of the waist, (n, k + 1): the last column, the bias, is zero."""
    return np.pad(vectors, ((0, 0), (0, 1)))
