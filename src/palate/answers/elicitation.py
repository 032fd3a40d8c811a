"""Preference elicitation: which items should a new user rate first? Those whose ratings teach most about the user.

Given the items, a user's vector x is Gaussian, and the predicted rating of item i is z_i . x with z = [q, 1] (see
factors.py). Let A be the precision of x given the user's ratings, S = A^-1, v_i the importance of item i with
sum_i v_i = 1, and G = sum_i v_i z_i z_i'. The variance of the predicted ratings is

    V = sum_i v_i z_i' S z_i = tr(G S)

A rating of item j, whatever its value, adds alpha z_j z_j' to A. By Sherman & Morrison (1950), S becomes

    S - alpha S z_j z_j' S / (1 + alpha z_j' S z_j)    and V drops by    alpha z_j' S G S z_j / (1 + alpha z_j' S z_j)

That is one formula for all items at once; it is averaged over the draws of a posterior.

Users cannot rate an item they do not know. The probability that they know it is taken as proportional to
known^popularity, where known is the share of users who rated the item. The best item to ask about has the largest
drop * known^popularity. Items that users are likely to meet also matter most, so v is proportional to the same power.

Each further item is chosen as if those before it had been rated. V does not depend on the ratings' values, so n items
can be chosen before the first one is rated.

This is Bayesian design of experiments (Lindley 1956) that minimises the variance at the points of interest (MacKay
1992, "Information-based objective functions for active data selection"; A- and V-optimality). Rubens, Elahi, Sugiyama
& Kaplan (2015) survey active learning in recommender systems.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.frames import Frame, item_columns, make_frame
from palate.answers.names import Names
from palate.data.rows import CompressedRows
from palate.data.vocabulary import Label
from palate.errors import OptionError
from palate.models.factors import Codes, Doubles, Factors, Floats, Prior, as_partner, ridge_of_rows
from palate.models.model import Model, UserRows
from palate.models.network import Network
from palate.options import check_count, check_not_negative

POPULARITY = 1.0  # 0.5 to 1 differ by less than sampling noise: benchmarks/questions.py --tune
MIN_PRECISION = 1e-5  # in ratings; a prior less precise than that is flat


def ask(
    model: Model,
    n: int,
    user_rows: UserRows,
    *,
    items: Iterable[Label] | None = None,
    exclude: Iterable[Label] = (),
    popularity: float = POPULARITY,
) -> Frame:
    """The answer of FoldIn.ask, where the options are described, for the only row of `user_rows`."""
    check_count(n)
    check_not_negative(popularity=popularity)
    _check_model(model)
    candidates = _candidates(model, items)
    allowed = candidates.copy()
    allowed[Names.of_items(model).known(exclude)] = False
    allowed[user_rows.history.indices] = False
    known = rated_shares(model)
    probabilities = np.where(candidates, known**popularity, 0.0)
    posteriors = user_posteriors(model, user_rows, probabilities)
    codes, gains = most_informative(posteriors, probabilities, allowed, int(n))
    columns = item_columns(model, codes)
    columns |= {"gain": gains.astype(np.float32), "known": known[codes].astype(np.float32)}
    return make_frame(columns | {"rank": np.arange(1, len(codes) + 1, dtype=np.int32)})


def _check_model(model: Model) -> None:
    name = model.recipe.get("name", "this model")
    if not model.predicts_ratings:
        raise OptionError(
            f"{name} predicts no ratings, so there are no ratings to ask for; fit a recipe that does, such as Bayes."
        )
    if isinstance(model.factors, Network):
        raise OptionError(f"{name} is a neural net; ask() needs a dot product, best the draws of a Bayes fit.")


def _candidates(model: Model, items: Any) -> NDArray[np.bool_]:
    """Which items may be asked about, (n_items,)."""
    n_items = len(model.item_vocabulary)
    if items is None:
        return np.ones(n_items, bool)
    candidates = np.zeros(n_items, bool)
    candidates[Names.of_items(model).known(items)] = True
    return candidates


def rated_shares(model: Model) -> Doubles:
    """The share of the users with ratings who rated each item, (n_items,)."""
    counts = np.bincount(model.history.indices, minlength=len(model.item_vocabulary))
    shares: Doubles = counts / max(int((model.history.counts > 0).sum()), 1)
    return shares


def most_informative(
    posteriors: list[UserPosterior], probabilities: Doubles, allowed: NDArray[np.bool_], n: int
) -> tuple[Codes, Doubles]:
    """Codes of n items chosen greedily, and the mean drop of V by each after those before it, (n,) each.

    probabilities: (n_items,), that the user can rate each item; a factor common to all does not matter. Fewer come
    back if fewer are allowed. Ties go to the lower code.
    """
    free = allowed.copy()
    codes: list[int] = []
    gains: list[float] = []
    for _ in range(min(n, int(free.sum()))):
        drops = np.mean([posterior.drops() for posterior in posteriors], axis=0)
        code = int(np.argmax(np.where(free, drops * probabilities, -1.0)))
        codes.append(code)
        gains.append(float(drops[code]))
        free[code] = False
        for posterior in posteriors:
            posterior.add_rating(code)
    return np.array(codes, np.int32), np.array(gains)


def user_posteriors(model: Model, user_rows: UserRows, probabilities: Doubles) -> list[UserPosterior]:
    """The Gaussians of the only row: one under each draw of a posterior, or one under the prior of other models.

    probabilities: (n_items,), to which the importance of items is proportional.
    """
    importance = probabilities / (probabilities.sum() or 1.0)
    posterior = model.posterior
    if posterior is None:
        return [_under_prior(model.factors, user_rows, importance)]
    users, items = posterior.users, posterior.items
    return [
        UserPosterior(
            items.vectors[s],
            Prior(users.precision[s], users.mean[s], float(posterior.alpha[s])),
            user_rows.history,
            importance,
            posterior.scale,
        )
        for s in range(len(posterior))
    ]


def _under_prior(factors: Factors, user_rows: UserRows, importance: Doubles) -> UserPosterior:
    """The Gaussian in a model without draws; with a y_range, to first order around the predicted ratings.

    A weight decay that grows with the number of ratings is kept at that of the present ratings.
    """
    prior = factors.user_prior
    ridge = ridge_of_rows(user_rows.history.counts, prior.ridge, prior.count_exponent)
    precision = prior.precision + (0 if ridge is None else ridge[0]) * np.eye(len(prior.mean), dtype=np.float32)
    if np.linalg.eigvalsh(precision)[0] < MIN_PRECISION * prior.alpha:
        raise OptionError(
            "without weight decay the prior of a new user is flat, so that no item can be said to teach most; "
            "fit with weight_decay > 0, or a Bayes fit."
        )
    prior = Prior(precision, prior.mean, prior.alpha)
    if factors.is_linear or factors.steps is not None:  # for ordered ratings: the variance of their latents
        return UserPosterior(factors.items, prior, user_rows.history, importance, factors.scale)
    codes = np.arange(len(factors.items), dtype=np.int32)
    slopes = factors.slopes_at(factors.pair_scores(user_rows.vectors, np.zeros_like(codes), codes)).astype(np.float64)
    return UserPosterior(factors.items, prior, user_rows.history, importance, factors.span, slopes * factors.scale)


class UserPosterior:
    """The Gaussian of a user's vector under one draw of the items, and how far a rating of each item shrinks V.

    It keeps q_j = z_j' S z_j and r_j = z_j' S G S z_j of all items. A rating of item a, with u = S z_a and
    c = alpha / (1 + alpha q_a), changes them and S to

        S - c u u',    q_j - c (z_j . u)^2,    r_j - 2 c (z_j . u) (z_j . S G u) + c^2 (z_j . u)^2 u' G u

    items: (n, k), biases in the last column. prior: of the user's vector. history: the user's ratings, one row.
    importance: (n,), v. scale: rating units per unit of score. slopes: (n,), by which each z is multiplied if a
    sigmoid follows the score.
    """

    def __init__(
        self,
        items: Floats,
        prior: Prior,
        history: CompressedRows,
        importance: Doubles,
        scale: float,
        slopes: Doubles | None = None,
    ) -> None:
        self.items, self.slopes, self.alpha, self.scale = items, slopes, float(prior.alpha), scale
        Z = self._partners(slice(None))
        self.S = np.linalg.inv(prior.precision + self.alpha * _gram(Z[history.indices], history.weights))
        self.G = _gram(Z, importance)
        ZS = Z @ self.S
        self.q = np.sum(ZS * Z, axis=1)
        self.r = np.sum((ZS @ self.G) * ZS, axis=1)

    @property
    def variance(self) -> float:
        """V, in squared ratings."""
        return float(self.scale**2 * np.sum(self.G * self.S))

    def drops(self) -> Doubles:
        """How far V would drop with a rating of each item, (n,), in squared ratings."""
        drops: Doubles = self.scale**2 * self.alpha * self.r / (1 + self.alpha * self.q)
        return np.maximum(drops, 0)

    def add_rating(self, code: int) -> None:
        """Go on as if the user had rated an item."""
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
