"""What to rank by: the expected rating, its lower end, one draw of it, or the chance of reaching a rating."""

from __future__ import annotations

import numpy as np

from palate.factors import Factors, Floats
from palate.model import Model, People
from palate.ranking.products import is_product
from palate.ranking.queries import Query


def ranks_by_products(model: Model, query: Query) -> bool:
    """Whether products of factors alone say which items come first, for everybody."""
    return query.by == "mean" and query.only is None and is_product(model.factors)


def ratings_of_products(factors: Factors, products: Floats) -> Floats:
    """Expected ratings of the best products p . q + c + b, (m, n), best first; a product of -inf is no item's."""
    with np.errstate(invalid="ignore"):
        scores = factors.ratings_at(np.float32(factors.scale) * products + np.float32(factors.mean))
    return np.minimum.accumulate(scores, axis=1)  # rounding could raise one above the one before


def scores_of(model: Model, people: People, query: Query) -> Floats:
    """What to rank by, (m, n_items)."""
    if query.by == "mean" or model.posterior is None or people.draws is None:
        return model.scores(people)
    if query.by == "thompson":
        return _thompson(model, people, query)
    doubt = model.posterior.score_variance(people.draws)
    steps = model.factors.steps
    if steps is None:
        own = model.noise_of(people.codes)[:, None] if model.item_noise is None else model.item_noise
        spread = np.sqrt(doubt + np.square(own, dtype=np.float32))
        lower: Floats = (model.scores(people) - np.float32(query.z) * spread).astype(np.float32)
        return lower
    scores = model.factors.raw_scores(people.vectors)
    doubt += np.float32(0.0 if model.effects is None else model.effects.unknown_variance)
    if query.by == "chance" and query.at_least is not None:
        return steps.at_least(scores, query.at_least, doubt)
    mean, variance = steps.moments(scores, doubt)
    return (mean - np.float32(query.z) * np.sqrt(variance)).astype(np.float32)


def _thompson(model: Model, people: People, query: Query) -> Floats:
    """The ratings expected under one draw of each person, (m, n_items)."""
    assert model.posterior is not None and people.draws is not None
    # Whose draw it is depends on the seed and the person, not on who else is asked for; the last one is a stranger's.
    rng = np.random.Generator(np.random.Philox(query.seed))
    draw_of = rng.integers(len(model.posterior), size=len(model.user_vocabulary) + 1)[people.codes]
    scores = np.empty((len(people), len(model.item_vocabulary)), np.float32)
    for s in np.unique(draw_of):
        rows = draw_of == s
        scores[rows] = model.posterior.draw_scores(people.draws[s][rows], int(s))
    return model.factors.ratings_at(scores)
