"""The fingerprint: the same for the same ratings in any order, by one block or many; another for other ratings."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from palate.data import plan
from palate.data.datasets import synthetic
from palate.models.fingerprint import fingerprint_of

RATINGS = synthetic(50, 30, 700, seed=2)
VOCABULARIES = RATINGS.user_vocabulary, RATINGS.item_vocabulary


def digest(rows):
    """From the definition: labels, then all arrays with each user's ratings sorted by item."""
    order = np.lexsort((rows.indices, np.repeat(np.arange(rows.n_rows), rows.counts)))
    found = hashlib.sha256()
    for vocabulary in VOCABULARIES:
        found.update(repr(vocabulary.labels.tolist()).encode())
    for array in (rows.indptr, rows.indices[order], rows.values[order]):
        found.update(array.tobytes())
    found.update(b"" if rows.weights is None else rows.weights[order].tobytes())
    return found.hexdigest()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("least", [10, 100, 100_000])
def test_it_is_the_digest_of_sorted_ratings(weighted, least, monkeypatch):
    monkeypatch.setattr(plan, "MIN_RATINGS", least)
    weights = np.random.default_rng(0).random(700) if weighted else None
    ratings = RATINGS.with_weights(weights)
    shuffled = ratings[np.random.default_rng(1).permutation(700)]
    expected = digest(ratings.by_user())
    assert fingerprint_of(ratings.by_user(), VOCABULARIES) == expected
    assert fingerprint_of(shuffled.by_user(), VOCABULARIES) == expected
    assert fingerprint_of(replace(ratings.by_user(), times=np.arange(700)), VOCABULARIES) == expected


def test_another_value_gives_another():
    rows = RATINGS.by_user()
    other = replace(rows, values=np.where(np.arange(700) == 9, np.float32(2.5), rows.values))
    assert fingerprint_of(other, VOCABULARIES) != fingerprint_of(rows, VOCABULARIES)
    ones = replace(rows, weights=np.ones(700, np.float32))
    assert fingerprint_of(ones, VOCABULARIES) != fingerprint_of(rows, VOCABULARIES)
