"""What is asked of blocks: that they are the ratings that palate.read gives, sorted by user."""

from dataclasses import replace

import numpy as np

from palate.data.order import oldest_first


def sorted_by_user(ratings):
    ratings = oldest_first(ratings) if ratings.is_implicit else ratings
    return ratings[np.argsort(ratings.user_codes, kind="stable")]


def check_same(blocks, ratings, **changed):
    """Blocks hold what was read, in their order."""
    ratings = sorted_by_user(ratings)
    assert blocks.same_vocabulary(ratings)
    assert blocks.kind == ratings.kind
    for name in ("user_codes", "item_codes", "values", "times", "weights"):
        here, there = getattr(ratings, name), getattr(blocks, name)
        assert (here is None) == (there is None), name
        assert here is None or np.array_equal(here, there), name
    for name in ("indptr", "indices", "values"):
        assert np.array_equal(getattr(blocks.by_item(), name), getattr(ratings.by_item(), name)), name
    assert blocks.report == replace(ratings.report, **changed)
    assert np.array_equal(blocks.range, ratings.range, equal_nan=True)
