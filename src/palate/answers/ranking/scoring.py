"""What to rank by: the expected rating, its lower end, one draw of it, or the chance of reaching a rating."""

from __future__ import annotations

import numpy as np

from palate.answers.ranking.products import is_product
from palate.answers.ranking.queries import Query
from palate.models.factors import Factors, Floats
from palate.models.model import Model, UserRows
from palate.models.ordinal import cdf


def ranks_by_products(model: Model, query: Query) -> bool:
    """Whether products of factors alone say which items come first, for everybody."""
    return query.by == "mean" and query.only is None and is_product(model.factors)


def ratings_of_products(factors: Factors, products: Floats) -> Floats:
    """Expected ratings of the best products p . q + c + b, (m, n), best first; a product of -inf is no item's."""
    with np.errstate(invalid="ignore"):
        scores = factors.ratings_at(np.float32(factors.scale) * products + np.float32(factors.mean))
    return np.minimum.accumulate(scores, axis=1)  # rounding could raise one above the one before


def scores_of(model: Model, user_rows: UserRows, query: Query) -> Floats:
    """What to rank by, (m, n_items)."""
    if query.by == "likely":
        return _likely(model, user_rows, query)
    if query.by == "mean" or model.posterior is None or user_rows.draws is None:
        return model.scores(user_rows)
    if query.by == "thompson":
        return _thompson(model, user_rows, query)
    if query.by == "chance":
        return _loved(model, user_rows, query)
    score_variance, steps = _score_variance(model, user_rows), model.factors.steps
    if steps is None:
        lower: Floats = model.scores(user_rows) - np.float32(query.z) * _spread(model, user_rows, score_variance)
        return lower
    mean, variance = steps.moments(model.factors.raw_scores(user_rows.vectors), score_variance)
    return (mean - np.float32(query.z) * np.sqrt(variance)).astype(np.float32)


def _score_variance(model: Model, user_rows: UserRows) -> Floats | np.float32:
    """The variance of scores, (m, n_items), or one for all where there are no draws."""
    if model.posterior is None or user_rows.draws is None:
        return np.float32(model.factors.score_variance)
    score_variance = model.posterior.score_variance(user_rows.draws)
    if model.factors.steps is not None and model.effects is not None:
        score_variance += np.float32(model.effects.unknown_variance)
    return score_variance


def _spread(model: Model, user_rows: UserRows, score_variance: Floats | np.float32) -> Floats:
    """The standard deviation of ratings around their expectation, (m, n_items) or what broadcasts to it."""
    own = model.noise_of(user_rows.codes)[:, None] if model.item_noise is None else model.item_noise
    spread: Floats = np.sqrt(score_variance + np.square(own, dtype=np.float32))
    return spread


def _loved(model: Model, user_rows: UserRows, query: Query) -> Floats:
    """The chance of a rating of query.at_least or more for every item, (m, n_items)."""
    assert query.at_least is not None
    score_variance, steps = _score_variance(model, user_rows), model.factors.steps
    if steps is not None:
        return steps.at_least(model.factors.raw_scores(user_rows.vectors), query.at_least, score_variance)
    lowest = query.at_least - model.rating_step / 2  # where a rating is rounded up to it
    sure = np.maximum(_spread(model, user_rows, score_variance), np.float32(1e-6))
    return cdf(((model.scores(user_rows) - np.float32(lowest)) / sure).astype(np.float64)).astype(np.float32)


def _likely(model: Model, user_rows: UserRows, query: Query) -> Floats:
    """The chance that somebody chooses an item and gives it query.at_least or more, (m, n_items)."""
    return model.propensity.probabilities(user_rows.codes, user_rows.history) * _loved(model, user_rows, query)


def _thompson(model: Model, user_rows: UserRows, query: Query) -> Floats:
    """The ratings expected under one draw of each person, (m, n_items)."""
    assert model.posterior is not None and user_rows.draws is not None
    # Whose draw it is depends on the seed and the person, not on who else is asked for; the last one is a stranger's.
    rng = np.random.Generator(np.random.Philox(query.seed))
    draw_of = rng.integers(len(model.posterior), size=len(model.user_vocabulary) + 1)[user_rows.codes]
    scores = np.empty((len(user_rows), len(model.item_vocabulary)), np.float32)
    for s in np.unique(draw_of):
        rows = draw_of == s
        scores[rows] = model.posterior.draw_scores(user_rows.draws[s][rows], int(s))
    return model.factors.ratings_at(scores)
