"""What items are ranked by: the predicted rating, its lower end, one draw of it, or a probability.

by="mean" ranks by the predicted rating, "lower" by the lower end of its interval, and "thompson" by the rating under
one posterior draw of the user. "chance" ranks by the probability of a rating of at_least or more. "likely" multiplies
that with the user's propensity to choose the item.
"""

from __future__ import annotations

import numpy as np

from palate.answers.ranking.queries import Query
from palate.answers.ranking.top_n import is_product
from palate.models.factors import Factors, Floats
from palate.models.model import Model, UserRows
from palate.models.ordinal import cdf
from palate.models.step_distribution import z_of


def ranks_by_products(model: Model, query: Query) -> bool:
    """True if products of factors alone put the items in order, for all users of the query."""
    return query.by == "mean" and query.included_lists is None and is_product(model.factors)


def ratings_of_products(factors: Factors, products: Floats) -> Floats:
    """Predicted ratings of the best products p . q + c + b, (m, n), best first; -inf stands for no item."""
    with np.errstate(invalid="ignore"):
        scores = factors.ratings_at(np.float32(factors.scale) * products + np.float32(factors.mean))
    return np.minimum.accumulate(scores, axis=1)  # rounding could raise a score above the one before it


def scores_of(model: Model, user_rows: UserRows, query: Query) -> Floats:
    """The numbers that rank items, (m, n_items)."""
    if query.by == "likely":
        propensities = model.propensity.probabilities(user_rows.codes, user_rows.history)
        return propensities * _at_least(model, user_rows, query)
    if query.by == "mean" or model.posterior is None or user_rows.draws is None:
        return model.scores(user_rows)
    if query.by == "thompson":
        return _thompson(model, user_rows, query)
    return _at_least(model, user_rows, query) if query.by == "chance" else _lower(model, user_rows, query)


def _lower(model: Model, user_rows: UserRows, query: Query) -> Floats:
    """The lower ends of intervals, (m, n_items), not clipped to the rating range."""
    score_variance, steps = _score_variance(model, user_rows), model.factors.steps
    center, deviation = _latent(model, user_rows, score_variance)
    distribution, z = model.step_distribution, np.float32(z_of(query.level))
    if distribution is not None and distribution.tails is not None:
        mean = center if steps is None else steps.expected(center, score_variance)
        return np.minimum(distribution.lower_end(query.level, center, deviation), mean).astype(np.float32)
    if steps is not None:
        center, variance = steps.moments(center, score_variance)
        deviation = np.sqrt(variance)
    return (center - z * deviation).astype(np.float32)


def _latent(
    model: Model, user_rows: UserRows, score_variance: Floats | np.float32
) -> tuple[Floats, Floats | np.floating]:
    """Center and deviation of the variable that falls into steps, (m, n_items) or what broadcasts to it."""
    if model.factors.steps is None:
        return model.scores(user_rows), _deviation(model, user_rows, score_variance)
    return model.factors.raw_scores(user_rows.vectors), np.sqrt(np.float32(1) + score_variance)


def _score_variance(model: Model, user_rows: UserRows) -> Floats | np.float32:
    """The variance of scores, (m, n_items), or one number for all if there are no draws."""
    if model.posterior is None or user_rows.draws is None:
        return np.float32(model.factors.score_variance)
    score_variance = model.posterior.score_variance(user_rows.draws)
    if model.factors.steps is not None and model.effects is not None:
        score_variance += np.float32(model.effects.unknown_variance)
    return score_variance


def _deviation(model: Model, user_rows: UserRows, score_variance: Floats | np.float32) -> Floats:
    """The standard deviation of ratings around their predicted mean, (m, n_items) or what broadcasts to it."""
    noise = model.noise_of(user_rows.codes)[:, None] if model.item_noise is None else model.item_noise
    deviation: Floats = np.sqrt(score_variance + np.square(noise, dtype=np.float32))
    return deviation


def _at_least(model: Model, user_rows: UserRows, query: Query) -> Floats:
    """The probability of a rating of query.at_least or more, (m, n_items)."""
    assert query.at_least is not None
    score_variance = _score_variance(model, user_rows)
    if model.step_distribution is not None:
        return model.step_distribution.at_least(*_latent(model, user_rows, score_variance), query.at_least)
    threshold = query.at_least - model.rating_step / 2  # ratings from here on are rounded up to at_least
    deviation = np.maximum(_deviation(model, user_rows, score_variance), np.float32(1e-6))
    z = (model.scores(user_rows) - np.float32(threshold)) / deviation
    return cdf(z.astype(np.float64)).astype(np.float32)


def _thompson(model: Model, user_rows: UserRows, query: Query) -> Floats:
    """Predicted ratings under one posterior draw of each user, (m, n_items).

    The draw depends on the seed and the user, not on the other users of the query. Unknown users share the last one.
    """
    assert model.posterior is not None and user_rows.draws is not None
    rng = np.random.Generator(np.random.Philox(query.seed))
    draw_of = rng.integers(len(model.posterior), size=len(model.user_vocabulary) + 1)[user_rows.codes]
    scores = np.empty((len(user_rows), len(model.item_vocabulary)), np.float32)
    for s in np.unique(draw_of):
        rows = draw_of == s
        scores[rows] = model.posterior.draw_scores(user_rows.draws[s][rows], int(s))
    return model.factors.ratings_at(scores)
