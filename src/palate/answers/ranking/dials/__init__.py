"""Dials: diversity=, popularity=, calibrated= and boost= change the order of a list, and only that.

The model's best POOL items that a user may get are the user's pool. A list is made of it one place after the other:
the next item is the one of the largest

    (1 - diversity) (1 - calibrated) [ a r(i) + popularity v(i) + sum of boost v(i) ]
        - diversity max_j s(i, j) - calibrated t KL(i),        a = (1 - |popularity|) prod (1 - |boost|)

with r and v from places.py, the similarity s to the items j of the list so far from similarity.py, the mix of the list
with this item, its length t, and KL from calibration.py. Nothing in it depends on the unit of the model's scores.
Behind the pool the ranking goes on in the model's order.
"""

from palate.answers.ranking.dials.calibration import divergence
from palate.answers.ranking.dials.options import BOOST, CALIBRATED, DialOptions, is_expression
from palate.answers.ranking.dials.pools import POOL, Dials, depth_of, dials_of, with_dials
from palate.answers.ranking.dials.similarity import BLOCK_FLOATS, SetSimilarity, by_users

__all__ = [
    "BLOCK_FLOATS",
    "BOOST",
    "CALIBRATED",
    "POOL",
    "DialOptions",
    "Dials",
    "SetSimilarity",
    "by_users",
    "depth_of",
    "dials_of",
    "divergence",
    "is_expression",
    "with_dials",
]
