"""Questions: whom to ask what. The items whose rating would teach most about somebody new.

Given the items, somebody's vector x is Gaussian and what he expects of item i is z_i . x, z = [q, 1] (see factors.py).
With the precision A of x given what he has rated, S = A^-1, the weights v_i of the items, sum v = 1, and
G = sum_i v_i z_i z_i', the variance of his expected ratings is

    V = sum_i v_i z_i' S z_i = tr(G S)

An answer about item j, whatever it is, adds alpha z_j z_j' to A, so that (Sherman & Morrison 1950) S becomes

    S - alpha S z_j z_j' S / (1 + alpha z_j' S z_j)    and V drops by    alpha z_j' S G S z_j / (1 + alpha z_j' S z_j)

which is one formula for all items at once, averaged over the draws of a posterior. Whoever does not know an item cannot
answer, so a drop counts with the chance that he does, taken as proportional to known^popularity, known being the share
of people who rated the item: the best question has the largest drop * known^popularity. What he is likely to meet is
also what matters, so that v is proportional to the same.

Each further question takes the ones before it as answered. As V does not depend on what the answers are, n questions
can be chosen before the first one is put.

This is the Bayesian design of experiments (Lindley 1956) in the form in which the variance at the points of interest
is what counts (MacKay 1992, "Information-based objective functions for active data selection"; A- and V-optimality);
asking newcomers in this way is the active learning of recommender systems (Rubens, Elahi, Sugiyama & Kaplan 2015).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import check_count
from palate.answers.names import Names
from palate.answers.shapes import Frame, make_frame
from palate.answers.showing import item_columns
from palate.data.rows import CompressedRows
from palate.data.vocabulary import Label
from palate.errors import OptionError
from palate.models.factors import Codes, Doubles, Factors, Floats, Prior, as_partner, ridge_of_rows
from palate.models.model import Model, UserRows
from palate.models.network import Network
from palate.options import is_number

POPULARITY = 1.0  # 0.5 to 1 differ by less than chance: benchmarks/questions.py --tune
FLAT = 1e-5  # a prior less precise than this many ratings says nothing


def ask(
    model: Model,
    n: int,
    given: UserRows,
    *,
    items: Iterable[Label] | None = None,
    exclude: Iterable[Label] = (),
    popularity: float = POPULARITY,
) -> Frame:
    """The n items to ask somebody about, the most telling first: item, (title,) gain, known, rank.

    given: the one person, with the ratings known of him, which are not asked for again. items: only these, and what he
    thinks of others does not count; exclude: none of these. popularity: how much it counts that few people know an
    item; 0 where all of `items` are known to him.
    gain: by how much the variance of his expected ratings, in squared ratings, drops when he answers; known: the share
    of people who rated the item. Raises UnknownLabelError for unknown labels, and OptionError for options that make no
    sense and models that nothing can be asked for.
    """
    check_count(n)
    _check_popularity(popularity)
    _check_model(model)
    wanted = _wanted(model, items)
    allowed = wanted.copy()
    allowed[Names.of_items(model).encode(exclude)] = False
    allowed[given.history.indices] = False
    known = known_shares(model)
    chances = np.where(wanted, known**popularity, 0.0)
    codes, gains = best_questions(beliefs(model, given, chances), chances, allowed, int(n))
    columns = item_columns(model, codes)
    columns |= {"gain": gains.astype(np.float32), "known": known[codes].astype(np.float32)}
    return make_frame(columns | {"rank": np.arange(1, len(codes) + 1, dtype=np.int32)})


def _check_popularity(popularity: Any) -> None:
    if not is_number(popularity) or not 0 <= popularity < np.inf:
        raise OptionError(f"popularity must be a number, 0 or more, got {popularity!r}.")


def _check_model(model: Model) -> None:
    name = model.recipe.get("name", "this model")
    if not model.predicts_ratings:
        raise OptionError(
            f"{name} predicts no ratings, so no rating teaches it anything; fit one that does, like Bayes."
        )
    if isinstance(model.factors, Network):
        raise OptionError(f"{name} is a neural net; ask() needs a dot product, best the draws of a Bayes fit.")


def _wanted(model: Model, items: Any) -> NDArray[np.bool_]:
    """Which items are asked about, (n_items,)."""
    n_items = len(model.item_vocabulary)
    if items is None:
        return np.ones(n_items, bool)
    wanted = np.zeros(n_items, bool)
    wanted[Names.of_items(model).encode(items)] = True
    return wanted


def known_shares(model: Model) -> Doubles:
    """The share of the people with ratings who rated each item, (n_items,)."""
    counts = np.bincount(model.history.indices, minlength=len(model.item_vocabulary))
    shares: Doubles = counts / max(int((model.history.counts > 0).sum()), 1)
    return shares


def best_questions(
    believed: list[Belief], chances: Doubles, allowed: NDArray[np.bool_], n: int
) -> tuple[Codes, Doubles]:
    """Codes of the n best questions, greedily, and the mean drop that each brings after those before it, (n,) each.

    chances: (n_items,), by which the drops count. Fewer come back where fewer are allowed. Ties go to the lower code.
    """
    free = allowed.copy()
    codes: list[int] = []
    gains: list[float] = []
    for _ in range(min(n, int(free.sum()))):
        drops = np.mean([belief.drops() for belief in believed], axis=0)
        code = int(np.argmax(np.where(free, drops * chances, -1.0)))
        codes.append(code)
        gains.append(float(drops[code]))
        free[code] = False
        for belief in believed:
            belief.answer(code)
    return np.array(codes, np.int32), np.array(gains)


def beliefs(model: Model, given: UserRows, chances: Doubles) -> list[Belief]:
    """What is believed of a person: under each draw of a posterior, or under the prior of a model that has none.

    chances: (n_items,), in proportion to which items matter.
    """
    matter = chances / (chances.sum() or 1.0)
    posterior = model.posterior
    if posterior is None:
        return [_by_prior(model.factors, given, matter)]
    user_rows, items = posterior.users, posterior.items
    return [
        Belief(
            items.vectors[s],
            Prior(user_rows.precision[s], user_rows.mean[s], float(posterior.alpha[s])),
            given.history,
            matter,
            posterior.scale,
        )
        for s in range(len(posterior))
    ]


def _by_prior(factors: Factors, given: UserRows, matter: Doubles) -> Belief:
    """The belief of a model without draws; with a y_range, to first order around what is expected of the person.

    A weight decay that grows with the number of ratings stays what it is for those known.
    """
    prior = factors.user_prior
    ridge = ridge_of_rows(given.history.counts, prior.ridge, prior.count_exponent)
    precision = prior.precision + (0 if ridge is None else ridge[0]) * np.eye(len(prior.mean), dtype=np.float32)
    if np.linalg.eigvalsh(precision)[0] < FLAT * prior.alpha:
        raise OptionError(
            "without weight decay anything may be true of somebody new, so that no question can be said to teach most; "
            "fit with weight_decay > 0, or a Bayes fit."
        )
    prior = Prior(precision, prior.mean, prior.alpha)
    if factors.is_linear or factors.steps is not None:  # of ordered ratings, what their latents would tell
        return Belief(factors.items, prior, given.history, matter, factors.scale)
    codes = np.arange(len(factors.items), dtype=np.int32)
    slopes = factors.slopes_at(factors.pair_scores(given.vectors, np.zeros_like(codes), codes)).astype(np.float64)
    return Belief(factors.items, prior, given.history, matter, factors.span, slopes * factors.scale)


class Belief:
    """What is believed of a person under one draw of the items: how much each answer would tell.

    q_j = z_j' S z_j and r_j = z_j' S G S z_j of all items are kept. With an answer about item a, u = S z_a and
    c = alpha / (1 + alpha q_a), they and S become

        S - c u u',    q_j - c (z_j . u)^2,    r_j - 2 c (z_j . u) (z_j . S G u) + c^2 (z_j . u)^2 u' G u

    items: (n, k), biases in the last column; prior: of the person; history: his one row of ratings; matter: (n,), v;
    unit: of the expected ratings; slopes: (n,), by which each z is stretched where a sigmoid follows the score.
    """

    def __init__(
        self,
        items: Floats,
        prior: Prior,
        history: CompressedRows,
        matter: Doubles,
        unit: float,
        slopes: Doubles | None = None,
    ) -> None:
        self.items, self.slopes, self.alpha, self.unit = items, slopes, float(prior.alpha), unit
        Z = self._partners(slice(None))
        self.S = np.linalg.inv(prior.precision + self.alpha * _gram(Z[history.indices], history.weights))
        self.G = _gram(Z, matter)
        ZS = Z @ self.S
        self.q = np.sum(ZS * Z, axis=1)
        self.r = np.sum((ZS @ self.G) * ZS, axis=1)

    @property
    def variance(self) -> float:
        """V, in squared ratings."""
        return float(self.unit**2 * np.sum(self.G * self.S))

    def drops(self) -> Doubles:
        """By how much V would drop with an answer about each item, (n,)."""
        drops: Doubles = self.unit**2 * self.alpha * self.r / (1 + self.alpha * self.q)
        return np.maximum(drops, 0)

    def answer(self, code: int) -> None:
        """Go on as if the person had answered about an item."""
        u = self.S @ self._partners(slice(code, code + 1))[0]
        c = self.alpha / (1 + self.alpha * self.q[code])
        Gu = self.G @ u
        along, across = self._times(u), self._times(self.S @ Gu)
        self.S -= c * np.outer(u, u)
        self.q -= c * along**2
        self.r += along * (c**2 * float(u @ Gu) * along - 2 * c * across)

    def _partners(self, rows: slice) -> Doubles:
        """The z of some items, (m, k)."""
        Z = as_partner(self.items[rows]).astype(np.float64)
        return Z if self.slopes is None else Z * self.slopes[rows, None]

    def _times(self, u: Doubles) -> Doubles:
        """z_j . u of all items, (n,)."""
        product: Doubles = (self.items[:, :-1] @ u[:-1].astype(np.float32)).astype(np.float64) + u[-1]
        return product if self.slopes is None else product * self.slopes


def _gram(Z: Doubles, weights: Floats | Doubles | None) -> Doubles:
    """sum_j w_j z_j z_j', (k, k)."""
    product: Doubles = (Z if weights is None else Z * weights[:, None]).T @ Z
    return product
