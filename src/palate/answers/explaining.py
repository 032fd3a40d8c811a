"""Explaining: given the items, a user's vector is linear in his own ratings, so each rating's share is exact."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from palate.answers.arguments import Timestamp, timestamps_of
from palate.answers.names import Names
from palate.answers.shapes import Explanation, Reason
from palate.data.rows import CompressedRows
from palate.data.titles import Titles
from palate.data.vocabulary import Label
from palate.errors import OptionError
from palate.models.factors import Codes, Doubles, Factors, as_partner
from palate.models.history_factors import HistoryFactors
from palate.models.model import Model, UserRows
from palate.models.network import Network
from palate.models.pairwise import PairwiseFactors
from palate.models.posterior import Posterior
from palate.models.side_information import SideInfo


def explain(model: Model, user: Label, item: Label, when: Timestamp | None) -> Explanation:
    """Where the prediction for a known user and item comes from. Raises UnknownLabelError."""
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
    who: Any,
    item_code: int,
    score_variance: Doubles | None = None,
    effects: dict[str, float] | None = None,
) -> Explanation:
    """Why the one row in `people` gets this prediction for an item.

    doubt: (1,) the variance of the score, where it is not the usual one; effects: what else moves the score, by name.
    In a transposed model the row is an item and the "item" a user; the parts are named after what they are.
    """
    if isinstance(model.factors, Network):
        raise OptionError("a neural net has no parts that add up to its predictions; explain() needs a dot product.")
    x = user_rows.vectors[0].astype(np.float64)
    y = model.factors.items[item_code].astype(np.float64)
    row, column = model.user_vocabulary.what, model.item_vocabulary.what
    mean, scale = model.factors.mean, model.factors.scale
    shares, known = contributions(model, user_rows, item_code)
    inner = scale * (x[:-1] @ y[:-1])
    if isinstance(model.factors, HistoryFactors):
        inner = shares.sum() + model.factors.cold_start_part(user_rows.history, item_code)
    moves = {row: scale * x[-1], column: scale * y[-1], "factors": inner, **(effects or {})}
    curve = model.factors if score_variance is None else replace(model.factors, score_variance=float(score_variance[0]))
    start, gain = _gain(curve, mean, sum(moves.values()))
    parts = {"mean": start, **{name: gain * move for name, move in moves.items()}}
    rating = sum(parts.values())
    prediction = float(np.clip(rating, *model.score_limits))
    parts["limit"] = prediction - rating
    shares, known = gain * shares, gain * known
    titles = model.item_titles
    asked = model.item_vocabulary.decode([item_code]).tolist()[0]
    return Explanation(
        user=who if row == "user" else asked,
        item=asked if row == "user" else who,
        title=None if titles is None else titles[item_code],
        prediction=prediction,
        parts={name: float(value) for name, value in parts.items()},
        because=_reasons(model, user_rows.history, shares, titles),
        known=_by_name(model.user_info, known),
        rest=float(parts[row] + parts["factors"] - shares.sum() - known.sum()),
        kind=model.kind,
    )


def _reasons(model: Model, history: CompressedRows, shares: Doubles, titles: Titles | None) -> list[Reason]:
    """The one person's own ratings, or choices and how often they were made, with their shares, the largest first."""
    rated, values = history.row(0)
    if model.kind == "implicit" and history.weights is not None:
        values = history.weights
    labels = model.item_vocabulary.decode(rated).tolist()
    reasons = [
        Reason(label, None if titles is None else titles[code], float(value), float(share))
        for label, code, value, share in zip(labels, rated, values, shares, strict=True)
    ]
    return sorted(reasons, key=lambda reason: -abs(reason.contribution))


def _gain(factors: Factors, mean: float, move: float) -> tuple[float, float]:
    """The rating at the mean score, and by how much a rating moves per unit of score on the way from there.

    1 where scores are ratings. Along a sigmoid the way is straight in the score, so that the parts of a score share the
    rating's change in proportion (integrated gradients, Sundararajan et al. 2017) and still add up.
    """
    if factors.is_linear:
        return mean, 1.0
    ends = np.array([mean, mean + move])
    start, end = factors.ratings_at(ends).tolist()
    return start, (end - start) / move if abs(move) > 1e-6 else factors.span * float(factors.slopes_at(ends)[0])


def _by_name(info: SideInfo | None, shares: Doubles) -> dict[str, float]:
    """Shares of the groups of features, by the names of the groups."""
    return {} if info is None else dict(zip(info.group_names, shares.tolist(), strict=True))


def contributions(model: Model, user_rows: UserRows, item_code: int) -> tuple[Doubles, Doubles]:
    """By how much each of the person's own ratings, and each group of what else is known, moves the score of an item.

    Shapes (n_ratings,) and (n_groups,). With x = A^-1 (Lambda (m + F beta) + alpha sum_j w_j t_j z_j), rating j moves
    the score z_i . x by alpha w_j t_j z_i' A^-1 z_j, and feature f by F_f z_i' A^-1 Lambda beta_f (without ratings
    A = Lambda, and beta is that of strangers); with a posterior, the mean of that over its draws, t being the expected
    latents of ordered ratings; where scores are squashed into a range, of the linear problem around the present x.
    """
    if isinstance(model.factors, PairwiseFactors):
        return model.factors.contributions(user_rows.history, user_rows.vectors[0], item_code), np.zeros(0)
    if isinstance(model.factors, HistoryFactors):
        signals = model.factors.signals(user_rows.history, user_rows.vectors)
        return model.factors.contributions(user_rows.history, signals, item_code), np.zeros(0)
    if model.posterior is None:
        return _under_prior(model, user_rows, item_code), np.zeros(0)
    return _under_draws(model, model.posterior, user_rows, item_code)


def _under_prior(model: Model, user_rows: UserRows, item_code: int) -> Doubles:
    """The shares of own ratings, (n_ratings,), of a model without draws."""
    factors = model.factors
    history = model.weighted(factors.linearised(user_rows.history, user_rows.vectors), user_rows.codes)
    rated, values = history.row(0)
    problem = _Problem(
        factors.row_precision(len(rated)),
        factors.user_prior.alpha,
        factors.partners(rated),
        factors.items[rated, -1].astype(np.float64),
        _weights_of(history),
    )
    targets = (values - np.float64(factors.mean)) / factors.scale
    return factors.scale * problem.own(targets, problem.towards(factors.partners(_one(item_code))[0]))


def _under_draws(model: Model, posterior: Posterior, user_rows: UserRows, item_code: int) -> tuple[Doubles, Doubles]:
    """The shares of own ratings, (n_ratings,), and of groups of features, (n_groups,): their means over the draws."""
    samples, info = posterior.users, model.user_info
    history, features = model.weighted(user_rows.history, user_rows.codes), model.features_of(user_rows)
    if user_rows.codes[0] < 0:
        history = posterior.weight_new(history, samples.means(features))
    rated, weights = history.indices, _weights_of(history)
    targets = (model.targets_of(user_rows) - np.float64(posterior.center)) / posterior.scale
    own, known = np.zeros(len(rated)), np.zeros(0 if info is None else len(info.group_names))
    for s, items in enumerate(posterior.items.vectors):
        precision, alpha = samples.precision[s].astype(np.float64), float(posterior.alpha[s])
        partners = as_partner(items[rated]).astype(np.float64)
        problem = _Problem(precision, alpha, partners, items[rated, -1], weights)
        towards = problem.towards(as_partner(items[_one(item_code)]).astype(np.float64)[0])
        own += problem.own(targets, towards)
        if info is not None and features is not None and samples.link is not None:
            link = samples.link[s] if len(rated) else samples.cold_start.link_of(s, len(samples.link[s]))
            moves = features.values * (link[features.indices] @ (samples.precision[s] @ towards))
            known += np.bincount(info.groups[features.indices], moves, minlength=len(known))
    per_draw = posterior.scale / len(posterior)
    return per_draw * own, per_draw * known


def _one(code: int) -> Codes:
    return np.array([code], np.int32)


def _weights_of(history: CompressedRows) -> Doubles:
    """What each rating weighs, (n_ratings,)."""
    return np.ones(len(history.values)) if history.weights is None else history.weights.astype(np.float64)


@dataclass(frozen=True)
class _Problem:
    """The linear-Gaussian problem that a person's vector solves, given the items of one draw."""

    precision: Doubles
    alpha: float
    partners: Doubles  # (n_ratings, k) z of what was rated
    biases: Doubles  # (n_ratings,)
    weights: Doubles

    def towards(self, partner: Doubles) -> Doubles:
        """A^-1 z_i, (k,): by how much the score of an item moves with the right side of A x = h."""
        Z = self.partners
        A = self.precision + self.alpha * (Z.T * self.weights) @ Z
        return np.asarray(np.linalg.solve(A, partner), np.float64)

    def own(self, targets: Doubles, towards: Doubles) -> Doubles:
        """The share of each own rating, (n_ratings,)."""
        return self.alpha * self.weights * (targets - self.biases) * (self.partners @ towards)
