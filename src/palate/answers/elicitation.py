"""Preference elicitation: which items should a new user rate first? Those whose ratings teach most about the user.

Given the items, a user's vector x is Gaussian, and the predicted rating of item i is z_i . x with z = [q, 1] (see
factors.py). Let A be the precision of x given the user's ratings, S = A^-1, v_i the importance of item i with
sum_i v_i = 1, and G = sum_i v_i z_i z_i'. The variance of the predicted ratings is

    V = sum_i v_i z_i' S z_i = tr(G S)

A rating of item j, whatever its value, adds alpha z_j z_j' to A. By Sherman & Morrison (1950), S becomes

    S - alpha S z_j z_j' S / (1 + alpha z_j' S z_j)    and V drops by    alpha z_j' S G S z_j / (1 + alpha z_j' S z_j)

That is one formula for all items at once; it is averaged over the draws of a posterior. A model with draws is prepared
once for a user without ratings, and the few ratings of each user are added to that.

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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.frames import item_columns, make_frame
from palate.answers.names import Names
from palate.data.rows import CompressedRows
from palate.data.vocabulary import Label
from palate.errors import OptionError
from palate.models.factors import Codes, Doubles, Factors, Floats, as_partner, ridge_of_rows
from palate.models.model import Model, UserRows
from palate.models.network import Network
from palate.models.posterior import Posterior
from palate.options import check_count, check_not_negative

if TYPE_CHECKING:
    import polars as pl

POPULARITY = 1.0  # 0.5 to 1 differ by less than sampling noise: benchmarks/questions.py --tune
FEW_RATINGS = 24  # up to here it is faster to add ratings to the start than to compute all anew
FEW_PRODUCTS = 250_000  # of numbers, for which BLAS starts no threads: they would cost more than they save
MIN_PRECISION = 1e-5  # in ratings; a prior less precise than that is flat


def ask(
    model: Model,
    n: int,
    user_rows: UserRows,
    *,
    items: Iterable[Label] | None = None,
    exclude: Iterable[Label] = (),
    popularity: float = POPULARITY,
) -> pl.DataFrame:
    """The answer of FoldIn.ask, where the options are described, for the only row of `user_rows`."""
    check_count(n)
    check_not_negative(popularity=popularity)
    _check_model(model)
    candidates = _candidates(model, items)
    allowed = candidates.copy()
    allowed[Names.of_items(model).known(exclude)] = False
    allowed[user_rows.history.indices] = False
    known = model.once(rated_shares)
    probabilities = np.where(candidates, known**popularity, 0.0)
    is_usual = items is None and popularity == POPULARITY
    posteriors = user_posteriors(model, user_rows, None if is_usual else probabilities)
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
    posteriors: UserPosteriors, probabilities: Doubles, allowed: NDArray[np.bool_], n: int
) -> tuple[Codes, Doubles]:
    """Codes of n items chosen greedily, and the mean drop of V by each after those before it, (n,) each.

    probabilities: (n_items,), that the user can rate each item; a factor common to all does not matter. Fewer come
    back if fewer are allowed. Ties go to the lower code.
    """
    free = allowed.copy()
    codes: list[int] = []
    gains: list[float] = []
    for left in range(min(n, int(free.sum())), 0, -1):
        drops = posteriors.drops()
        code = int(np.argmax(np.where(free, drops * probabilities, -1.0)))
        codes.append(code)
        gains.append(float(drops[code]))
        free[code] = False
        if left > 1:
            posteriors.add_ratings(np.array([code], np.int32))
    return np.array(codes, np.int32), np.array(gains)


def user_posteriors(model: Model, user_rows: UserRows, probabilities: Doubles | None = None) -> UserPosteriors:
    """The Gaussians of the only row: one under each draw of a posterior, or one under the prior of other models.

    probabilities: (n_items,), to which the importance of items is proportional; None for the shares of users who rated
    each item, with which a model with draws is prepared once.
    """
    history, posterior = user_rows.history, model.posterior
    importance = _normalized(model.once(rated_shares) if probabilities is None else probabilities)
    if posterior is None:
        return _under_prior(model.factors, user_rows, importance)
    start = model.once(_start_of_model) if probabilities is None else _start(posterior, importance)
    return UserPosteriors(posterior.items.vectors, start, posterior.alpha, posterior.scale, history)


def _normalized(probabilities: Doubles) -> Doubles:
    importance: Doubles = probabilities / (probabilities.sum() or 1.0)
    return importance


def _start_of_model(model: Model) -> Start:
    assert model.posterior is not None
    return _start(model.posterior, _normalized(model.once(rated_shares)))


def _start(posterior: Posterior, importance: Doubles) -> Start:
    return Start.of(posterior.items.vectors, posterior.users.precision, importance)


def _under_prior(factors: Factors, user_rows: UserRows, importance: Doubles) -> UserPosteriors:
    """The Gaussian in a model without draws; with a y_range, to first order around the predicted ratings.

    A weight decay that grows with the number of ratings is kept at that of the present ratings.
    """
    prior, history = factors.user_prior, user_rows.history
    ridge = ridge_of_rows(history.counts, prior.ridge, prior.count_exponent)
    precision = prior.precision + (0 if ridge is None else ridge[0]) * np.eye(len(prior.mean), dtype=np.float32)
    if np.linalg.eigvalsh(precision)[0] < MIN_PRECISION * prior.alpha:
        raise OptionError(
            "without weight decay the prior of a new user is flat, so that no item can be said to teach most; "
            "fit with weight_decay > 0, or a Bayes fit."
        )
    items, alpha, scale, slopes = factors.items[None], np.array([prior.alpha], np.float32), factors.scale, None
    if not factors.is_linear and factors.steps is None:  # for ordered ratings: the variance of their latents
        codes = np.arange(len(factors.items), dtype=np.int32)
        scores = factors.pair_scores(user_rows.vectors, np.zeros_like(codes), codes)
        slopes, scale = factors.slopes_at(scores).astype(np.float64) * scale, factors.span
    start = Start.of(items, precision[None], importance, slopes)
    return UserPosteriors(items, start, alpha, scale, history, slopes)


@dataclass(frozen=True)
class Start:
    """The Gaussians of a user without ratings under S draws: what asking begins with, the same for all users.

    S and G: (S, k, k). q and r: (S, n), as in UserPosteriors.
    """

    S: Doubles
    G: Doubles
    q: Doubles
    r: Doubles

    @classmethod
    def of(cls, items: Floats, precisions: Floats, importance: Doubles, slopes: Doubles | None = None) -> Start:
        """Prepare for items (S, n, k) of this importance, (n,), and prior precisions (S, k, k)."""
        S = np.linalg.inv(precisions.astype(np.float64))
        G, q, r = np.empty_like(S), np.empty(items.shape[:2]), np.empty(items.shape[:2])
        for s, own in enumerate(items):
            Z = as_partner(own).astype(np.float64) * (1.0 if slopes is None else slopes[:, None])
            G[s] = (Z * importance[:, None]).T @ Z
            q[s], r[s] = _moments(Z, S[s], G[s])
        return cls(S, G, q, r)


class UserPosteriors:
    """The Gaussians of a user's vector under S draws of the items, and how far a rating of each item shrinks V.

    It keeps q_j = z_j' S z_j and r_j = z_j' S G S z_j of all items. Ratings of m items, with Z_r their z times the root
    of alpha w, U = S Z_r' and M = (I + Z_r U)^-1 (Woodbury 1950), change them and S to

        S - U M U',    q_j - z_j' U M U' z_j,    r_j - 2 z_j' U M U' G S z_j + z_j' U M (U' G U) M U' z_j

    items: (S, n, k), biases in the last column. start: of a user without ratings. alpha: (S,). scale: rating units per
    unit of score. history: the user's ratings, one row. slopes: (n,), by which each z is multiplied if a sigmoid
    follows the score.
    """

    def __init__(
        self,
        items: Floats,
        start: Start,
        alpha: Floats,
        scale: float,
        history: CompressedRows,
        slopes: Doubles | None = None,
    ) -> None:
        self.items, self.slopes, self.scale = items, slopes, scale
        self.alpha = alpha.astype(np.float64)
        self.S, self.G = start.S, start.G
        self.q, self.r = start.q.copy(), start.r.copy()
        if len(history.indices) <= FEW_RATINGS:
            self.add_ratings(history.indices, history.weights)
        else:
            self._add_many(history.indices, history.weights)

    @property
    def variance(self) -> float:
        """V, in squared ratings, the mean over draws."""
        return float(self.scale**2 * np.sum(self.G * self.S) / len(self.S))

    def drops(self) -> Doubles:
        """How far V would drop with a rating of each item, (n,), in squared ratings: the mean over draws."""
        alpha = self.alpha[:, None]
        drops: Doubles = np.mean(np.maximum(alpha * self.r / (1 + alpha * self.q), 0), axis=0)
        return self.scale**2 * drops

    def add_ratings(self, codes: Codes, weights: Floats | None = None) -> None:
        """Go on as if the user had rated these few items, (m,)."""
        if len(codes) == 0:
            return
        roots = np.sqrt(self.alpha[:, None] * self._weights(codes, weights))  # (S, m)
        Z = self._partners(codes) * roots[:, :, None]
        U: Doubles = self.S @ Z.swapaxes(1, 2)
        GU = self.G @ U
        M = np.asarray(np.linalg.inv(np.eye(len(codes)) + Z @ U), np.float64)
        along, across = np.split(self._times(np.concatenate([U, self.S @ GU], axis=2)), 2, axis=1)
        turned = _product(M, along)
        self.q -= np.sum(turned * along, axis=1)
        self.r += np.sum(turned * (_product(U.swapaxes(1, 2) @ GU, turned) - 2 * across), axis=1)
        self.S = self.S - U @ M @ U.swapaxes(1, 2)

    def _add_many(self, codes: Codes, weights: Floats | None) -> None:
        """The same for many ratings: q and r of all items are computed anew."""
        given = self._weights(codes, weights)
        for s, items in enumerate(self.items):
            Z = self._with_slopes(as_partner(items).astype(np.float64), slice(None))
            rated = Z[codes]
            precision = np.linalg.inv(self.S[s]) + self.alpha[s] * (rated.T * given) @ rated
            self.S = self.S.copy() if s == 0 else self.S
            self.S[s] = np.linalg.inv(precision)
            self.q[s], self.r[s] = _moments(Z, self.S[s], self.G[s])

    def _weights(self, codes: Codes, weights: Floats | None) -> Doubles:
        return np.ones(len(codes)) if weights is None else weights.astype(np.float64)

    def _partners(self, codes: Codes) -> Doubles:
        """The z of some items, (S, m, k)."""
        Z = self.items[:, codes].astype(np.float64)
        Z[:, :, -1] = 1
        return self._with_slopes(Z, codes)

    def _with_slopes(self, Z: Doubles, codes: Any) -> Doubles:
        return Z if self.slopes is None else Z * self.slopes[codes, None]

    def _times(self, U: Doubles) -> Doubles:
        """z_j . u of all items and the columns u of U (S, k, m), (S, m, n): products of float32, as items are kept."""
        rows, n = U.swapaxes(1, 2), self.items.shape[1]
        step = max(1, FEW_PRODUCTS // max(U[0].size, 1))
        product: Doubles = np.empty((*rows.shape[:2], n))
        small = rows[:, :, :-1].astype(np.float32)
        for start in range(0, n, step):
            product[:, :, start : start + step] = small @ self.items[:, start : start + step, :-1].swapaxes(1, 2)
        product += rows[:, :, -1:]
        return product if self.slopes is None else product * self.slopes


def _moments(Z: Doubles, S: Doubles, G: Doubles) -> tuple[Doubles, Doubles]:
    """z_j' S z_j and z_j' S G S z_j of each row of Z, (n,) each."""
    ZS = Z @ S
    return np.sum(ZS * Z, axis=1), np.sum((ZS @ G) * ZS, axis=1)


def _product(M: Doubles, x: Doubles) -> Doubles:
    """M x of M (S, m, m) and x (S, m, n); one row is multiplied without BLAS."""
    return M * x if x.shape[1] == 1 else M @ x
