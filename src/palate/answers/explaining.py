"""Explaining: which parts add up to a prediction, and how far each of the user's own ratings moves it.

Given the items, a user's vector is linear in the user's ratings, so the contribution of each rating is exact. With z_j
the items rated, t_j the ratings less mean and item bias, f the user's features and beta the link,

    x = A^-1 (Lambda (m + f beta) + alpha sum_j w_j t_j z_j),     A = Lambda + alpha sum_j w_j z_j z_j'

and the score of item i is z_i . x. Rating j therefore moves it by alpha w_j t_j z_i' A^-1 z_j, and feature f by
f z_i' A^-1 Lambda beta_f. Without ratings A = Lambda, and the link is that of the cold start.

With a posterior, a contribution is the mean over its draws; for ordered ratings t_j is the mean latent behind the
rating. Where a sigmoid keeps predictions in a range, the problem is linearised around the present x.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from palate.answers.arguments import timestamps_of
from palate.answers.names import Names
from palate.answers.results import Explanation, Reason
from palate.data.rows import CompressedRows
from palate.data.timestamps import Timestamp
from palate.data.titles import Titles
from palate.data.vocabulary import Label
from palate.errors import OptionError
from palate.models.blend import BlendedFactors
from palate.models.factors import Codes, Doubles, Factors, as_partner
from palate.models.fading import NO_FADING
from palate.models.history_factors import HistoryFactors
from palate.models.implicit_links import LinkedFactors
from palate.models.model import Model, UserRows
from palate.models.network import Network
from palate.models.pairwise import PairwiseFactors
from palate.models.posterior import Posterior
from palate.models.side_information import SideInfo

BLOCK_RATINGS = 128  # of a history at once: their matrices need little memory, and BLAS starts no threads for them


def explain(model: Model, user: Label, item: Label, when: Timestamp | None) -> Explanation:
    """Explain the prediction for a user and an item of the model. Raises UnknownLabelError."""
    user_code, item_code = model.user_vocabulary.encode_one(user), Names.of_items(model).encode_one(item)
    codes = np.array([user_code], np.int32), np.array([item_code], np.int32)
    timestamps = timestamps_of(when, 1)
    moved, *_ = model.effects_at(*codes, timestamps)
    effects = {} if when is None or model.effects is None else {"time": float(moved[0])}
    score_variance = model.forecast(*codes, timestamps).score_variance
    return explain_row(model, model.user_rows(codes[0]), user, item_code, score_variance, effects)


def explain_row(
    model: Model,
    user_rows: UserRows,
    label: Any,
    item_code: int,
    score_variance: Doubles | None = None,
    effects: dict[str, float] | None = None,
) -> Explanation:
    """Explain the prediction for the only row of `user_rows` and an item.

    score_variance: (1,), if it is not the model's typical one. effects: what else moves the score, by name. In a
    transposed model the row is an item and "the item" a user; the parts are named after what they are.
    """
    if isinstance(model.factors, Network):
        raise OptionError("a neural net has no parts that add up to its predictions; explain() needs a dot product.")
    x = user_rows.vectors[0].astype(np.float64)
    y = model.factors.items[item_code].astype(np.float64)
    row_what, column_what = model.user_vocabulary.what, model.item_vocabulary.what
    mean, scale = model.factors.mean, model.factors.scale
    own, known = contributions(model, user_rows, item_code)
    inner, blend = scale * (x[:-1] @ y[:-1]), _shares_of_blend(model, user_rows, item_code)
    if blend:
        inner = sum(blend.values())
    elif isinstance(model.factors, HistoryFactors):
        inner = own.sum() + model.factors.cold_start_part(user_rows.history, item_code)
    score_parts = {row_what: scale * x[-1], column_what: scale * y[-1], "factors": inner, **(effects or {})}
    curve = model.factors if score_variance is None else replace(model.factors, score_variance=float(score_variance[0]))
    start, slope = _rating_per_score(curve, mean, sum(score_parts.values()))
    parts = {"mean": start, **{name: slope * part for name, part in score_parts.items()}}
    rating = sum(parts.values())
    prediction = float(np.clip(rating, *model.score_limits))
    parts["limit"] = prediction - rating
    own, known = slope * own, slope * known
    titles = model.item_titles
    column_label = model.item_vocabulary.decode([item_code]).tolist()[0]
    return Explanation(
        user=label if row_what == "user" else column_label,
        item=column_label if row_what == "user" else label,
        title=None if titles is None else titles[item_code],
        prediction=prediction,
        parts={name: float(value) for name, value in parts.items()},
        because=_reasons(model, user_rows.history, own, titles),
        known=_by_name(model.user_info, known),
        rest=float(parts[row_what] + parts["factors"] - own.sum() - known.sum()),
        kind=model.kind,
        blend=blend,
    )


def _shares_of_blend(model: Model, user_rows: UserRows, item_code: int) -> dict[str, float]:
    """What each part of a blend adds to the score, by name; empty for other models."""
    if not isinstance(model.factors, BlendedFactors):
        return {}
    users = model.factors.with_users(user_rows.vectors, user_rows.history)
    parts = users.score_parts(user_rows.vectors, _one(0), _one(item_code))
    return {name: float(share[0]) for name, share in parts.items()}


def _reasons(model: Model, history: CompressedRows, shares: Doubles, titles: Titles | None) -> list[Reason]:
    """The ratings, or choices with their counts, of a history with one row; largest share (in size) first."""
    rated, values = history.row(0)
    if model.kind == "implicit" and history.weights is not None:
        values = history.weights
    labels = model.item_vocabulary.decode(rated).tolist()
    fading = getattr(model.factors, "fading", NO_FADING)
    later: Iterable[int | None] = [None] * len(rated) if fading.is_none else range(len(rated) - 1, -1, -1)
    reasons = [
        Reason(label, None if titles is None else titles[code], float(value), float(share), behind)
        for label, code, value, share, behind in zip(labels, rated, values, shares, later, strict=True)
    ]
    return sorted(reasons, key=lambda reason: -abs(reason.contribution))


def _rating_per_score(factors: Factors, mean: float, move: float) -> tuple[float, float]:
    """The rating at the mean score, and how far the rating moves per unit of score from there to mean + move.

    1 if scores are ratings. On a sigmoid the parts of the score share the change of the rating in proportion, so that
    they still add up (integrated gradients along a straight line, Sundararajan et al. 2017).
    """
    if factors.is_linear:
        return mean, 1.0
    ends = np.array([mean, mean + move])
    start, end = factors.ratings_at(ends).tolist()
    return start, (end - start) / move if abs(move) > 1e-6 else factors.span * float(factors.slopes_at(ends)[0])


def _by_name(info: SideInfo | None, shares: Doubles) -> dict[str, float]:
    """Shares of the groups of features by the names of the groups."""
    return {} if info is None else dict(zip(info.group_names, shares.tolist(), strict=True))


def contributions(model: Model, user_rows: UserRows, item_code: int) -> tuple[Doubles, Doubles]:
    """How far each own rating (n_ratings,) and each group of features (n_groups,) moves the score of an item."""
    if isinstance(model.factors, BlendedFactors):
        return _of_blend(model, model.factors, user_rows, item_code), np.zeros(0)
    if isinstance(model.factors, PairwiseFactors):
        return model.factors.contributions(user_rows.history, user_rows.vectors[0], item_code), np.zeros(0)
    if isinstance(model.factors, HistoryFactors):
        signals = model.factors.signals(user_rows.history, user_rows.vectors)
        return model.factors.contributions(user_rows.history, signals, item_code), np.zeros(0)
    if model.posterior is None:
        return _under_prior(model, user_rows, item_code)
    return _under_draws(model, model.posterior, user_rows, item_code)


def _of_blend(model: Model, blend: BlendedFactors, user_rows: UserRows, item_code: int) -> Doubles:
    """Contributions of own choices, (n,): the sum over the parts, each asked as if it were alone."""
    total = np.zeros(len(user_rows.history.indices))
    for part, vectors in zip(blend.parts, blend.vectors_of(user_rows.vectors), strict=True):
        alone = replace(model, factors=part.factors)
        total += part.multiplier * contributions(alone, replace(user_rows, vectors=vectors), item_code)[0]
    return total


def _under_prior(model: Model, user_rows: UserRows, item_code: int) -> tuple[Doubles, Doubles]:
    """Contributions of own ratings (n_ratings,) and of groups of features, in a model without draws."""
    factors = model.factors
    history = model.weighted(factors.linearised(user_rows.history, user_rows.vectors), user_rows.codes)
    rated, values = history.row(0)
    problem = _RowProblem(
        factors.row_precision(len(rated)),
        factors.user_prior.alpha,
        factors.partners(rated),
        factors.items[rated, -1].astype(np.float64),
        _weights_of(history),
    )
    targets = (values - np.float64(factors.mean)) / factors.scale
    partner = factors.partners(_one(item_code))[0]
    solved = problem.solve(partner)
    own = factors.scale * problem.contributions(targets, solved)
    return own, _known_by_link(model, user_rows, partner, solved)


def _known_by_link(model: Model, user_rows: UserRows, partner: Doubles, solved: Doubles) -> Doubles:
    """Contributions of groups of features, (n_groups,), by the link of a model without draws; none without a link."""
    features, info = model.features_of(user_rows), model.user_info
    if features is None or info is None or not isinstance(model.factors, LinkedFactors):
        return np.zeros(0)
    return model.factors.known_parts(user_rows.history, features, info.groups, partner, solved)


def _under_draws(model: Model, posterior: Posterior, user_rows: UserRows, item_code: int) -> tuple[Doubles, Doubles]:
    """Contributions of own ratings (n_ratings,) and of groups of features (n_groups,): means over the draws."""
    samples, info = posterior.users, model.user_info
    history, features = model.weighted(user_rows.history, user_rows.codes), model.features_of(user_rows)
    if user_rows.codes[0] < 0:
        history = posterior.weight_new(history, samples.means(features))
    rated, weights = history.indices, _weights_of(history)
    targets = (model.targets_of(user_rows) - np.float64(posterior.center)) / posterior.scale
    solved = _solved_under_draws(posterior, rated, weights, item_code)
    small = solved.astype(np.float32)
    own, known = np.zeros(len(rated)), np.zeros(0 if info is None else len(info.group_names))
    for some in _blocks(len(rated)):
        items = posterior.items.vectors.take(rated[some], axis=1)
        moves = np.einsum("snk,sk->sn", items[:, :, :-1], small[:, :-1]) + small[:, -1:]
        own[some] = weights[some] * (posterior.alpha[:, None] * (targets[some] - items[:, :, -1]) * moves).sum(axis=0)
    if info is not None and features is not None and samples.link is not None:
        pulls = np.einsum("sij,sj->si", samples.precision, small)
        link, columns = samples.link, features.indices
        if len(rated) == 0:
            link = np.stack([samples.cold_start.link_of(s, link.shape[1]) for s in range(len(link))])
        moves = np.einsum("snk,sk->n", link.take(columns, axis=1), pulls).astype(np.float64)
        known += np.bincount(info.groups[columns], features.values * moves, minlength=len(known))
    per_draw = posterior.scale / len(posterior)
    return per_draw * own, per_draw * known


def _solved_under_draws(posterior: Posterior, rated: Codes, weights: Doubles, item_code: int) -> Doubles:
    """A^-1 z_i under each draw, (S, k)."""
    items, alpha = posterior.items.vectors, posterior.alpha.astype(np.float64)
    A = posterior.users.precision.astype(np.float64)
    for some in _blocks(len(rated)):
        Z = items.take(rated[some], axis=1)
        Z[:, :, -1] = 1
        A += alpha[:, None, None] * ((Z * weights[some, None].astype(np.float32)).swapaxes(1, 2) @ Z)
    partners = as_partner(items[:, item_code]).astype(np.float64)
    return np.asarray(np.linalg.solve(A, partners[:, :, None])[:, :, 0], np.float64)


def _blocks(n: int) -> list[slice]:
    """Blocks of n ratings, so that those of a long history need little memory."""
    return [slice(start, start + BLOCK_RATINGS) for start in range(0, n, BLOCK_RATINGS)]


def _one(code: int) -> Codes:
    return np.array([code], np.int32)


def _weights_of(history: CompressedRows) -> Doubles:
    """The weight of each rating, (n_ratings,)."""
    return np.ones(len(history.values)) if history.weights is None else history.weights.astype(np.float64)


@dataclass(frozen=True)
class _RowProblem:
    """The linear-Gaussian problem whose solution is a user's vector, given the items of one draw."""

    precision: Doubles  # (k, k) Lambda
    alpha: float
    partners: Doubles  # (n_ratings, k) z of the items rated
    biases: Doubles  # (n_ratings,)
    weights: Doubles  # (n_ratings,)

    def solve(self, partner: Doubles) -> Doubles:
        """A^-1 z_i, (k,): how far the score of item i moves with the right-hand side of A x = h."""
        Z = self.partners
        A = self.precision + self.alpha * (Z.T * self.weights) @ Z
        return np.asarray(np.linalg.solve(A, partner), np.float64)

    def contributions(self, targets: Doubles, solved: Doubles) -> Doubles:
        """How far each rating moves the score of item i, (n_ratings,), with A^-1 z_i solved."""
        return self.alpha * self.weights * (targets - self.biases) * (self.partners @ solved)
