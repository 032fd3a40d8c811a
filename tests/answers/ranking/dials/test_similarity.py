"""How alike items are, and the mixes of lists, against NumPy."""

import numpy as np
import polars as pl
import pytest

import palate
from palate.answers.ranking.classes import item_classes
from palate.answers.ranking.dials import divergence, similarity
from palate.answers.ranking.dials.calibration import ListMixes, mixes
from palate.answers.ranking.dials.similarity import by_classes, similarity_of
from palate.data.rows import CompressedRows

LIKES = palate.datasets.synthetic(40, 30, 300, seed=2, kind="implicit")
POOLS = np.array([[3, 1, 4, 15], [9, 2, 6, 5], [3, 5, 8, 9]], np.int32)
CHOSEN = np.array([3, 6, 3], np.int32)


def all_pairs(found):
    return found.beside(POOLS)(CHOSEN)


def test_users_in_common_are_a_cosine_of_sets(monkeypatch):
    rec = palate.EASE(weight_decay=5).fit(LIKES, progress=False)
    chosen = np.zeros((30, 40))
    chosen[LIKES.item_codes, LIKES.user_codes] = 1
    lengths = np.linalg.norm(chosen, axis=1)
    cosine = chosen @ chosen.T / np.outer(lengths, lengths)
    expected = np.array([cosine[one, pool] for one, pool in zip(CHOSEN, POOLS, strict=True)])
    np.testing.assert_allclose(all_pairs(similarity_of(rec.model)), expected, atol=1e-6)
    monkeypatch.setattr(similarity, "BLOCK_FLOATS", 1)  # an item at a time
    np.testing.assert_allclose(all_pairs(similarity_of(rec.model)), expected, atol=1e-6)


def test_factors_are_compared_by_the_cosine_and_opposites_are_not_alike():
    stars = palate.datasets.synthetic(40, 30, 500, seed=2)
    rec = palate.ALS(n_factors=3, n_sweeps=3).fit(stars, progress=False)
    items = rec.model.factors.items[:, :-1].astype(np.float64)
    unit = items / np.linalg.norm(items, axis=1, keepdims=True)
    cosine = unit @ unit.T
    expected = [np.maximum(cosine[one, pool], 0) for one, pool in zip(CHOSEN, POOLS, strict=True)]
    np.testing.assert_allclose(all_pairs(similarity_of(rec.model)), expected, atol=1e-6)
    assert (cosine < 0).any() and all_pairs(similarity_of(rec.model)).min() >= 0


def test_common_classes_are_a_share_of_all_classes():
    texts = [("a|b", "b", "a|b|c", None)[n % 4] for n in range(30)]
    classes = item_classes(pl.DataFrame({"genres": texts}), "genres", "diversity_by", "item")
    found = by_classes(classes)
    sets = [set(text.split("|")) if text else set() for text in texts]
    for row, (one, pool) in enumerate(zip(CHOSEN.tolist(), POOLS.tolist(), strict=True)):
        for place, other in enumerate(pool):
            either = sets[one] | sets[other]
            share = len(sets[one] & sets[other]) / len(either) if either else 0
            assert all_pairs(found)[row, place] == pytest.approx(share)
    assert found.is_known.tolist() == [bool(own) for own in sets]


def test_the_mix_of_a_list_grows_item_by_item():
    texts = [("a|b", "b", "a|c", None, "d")[n % 5] for n in range(30)]
    classes = item_classes(pl.DataFrame({"genres": texts}), "genres", "calibrated", "item")
    history = CompressedRows.of(
        np.array([0, 0, 0, 1, 2, 2], np.int32), np.array([0, 1, 2, 3, 4, 9], np.int32), np.ones(6, np.float32), None, 3
    )
    own = mixes(classes, history)
    np.testing.assert_allclose(own, [[1 / 3, 1 / 2, 1 / 6, 0], [0, 0, 0, 0], [0, 0, 0, 1]])
    pool = np.tile(np.array([[0, 1, 2, 3, 4]], np.int32), (3, 1))
    made, listed = ListMixes(classes, own, pool), []
    rows = np.arange(3)
    for chosen in (1, 3, 2):
        found = made.divergences()
        for item in (0, 1, 2, 4):
            parts = np.zeros(4)
            for one in [*listed, item]:
                own_classes = classes.pairs(np.array([one]))[1]
                parts[own_classes] += 1 / max(len(own_classes), 1)
            expected = divergence(own, np.tile(parts / parts.sum(), (3, 1)))
            np.testing.assert_allclose(found[:, item], expected, atol=1e-12)
        made.add(rows, np.full(3, chosen))
        listed.append(chosen)
