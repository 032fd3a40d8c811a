"""Who is similar to whom, against cosines computed one by one: rows without ratings or factors, choices, shapes."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import palate
from palate.data.rows import CompressedRows
from palate.errors import OptionError

N_USERS, N_ITEMS, K = 12, 9, 3
SILENT, ONE_RATING, NO_RATINGS = 4, 6, 8  # without ratings or factors; one rating, no factors; factors, no ratings


@pytest.fixture(scope="module")
def rec():
    """A model with factors at random, short and long, and a few rows with less than that."""
    data = palate.datasets.synthetic(N_USERS, N_ITEMS, 60, n_factors=K, seed=1)
    titles = pl.DataFrame({"item": [f"i{at}" for at in range(N_ITEMS)], "title": [f"T{at}" for at in range(N_ITEMS)]})
    model = palate.ALS(n_factors=K, n_sweeps=2).fit(data.with_items(titles), progress=False).model
    rng = np.random.default_rng(0)
    users = rng.standard_normal((N_USERS, K + 1)).astype(np.float32) * rng.choice([0.01, 1, 30], (N_USERS, 1))
    users = users.astype(np.float32)
    users[[SILENT, ONE_RATING], :-1] = 0
    counts = np.full(N_USERS, 2)
    counts[[SILENT, ONE_RATING, NO_RATINGS]] = 0, 1, 0
    pointers = np.append(0, np.cumsum(counts)).astype(np.int64)
    n = int(pointers[-1])
    history = CompressedRows(pointers, np.arange(n, dtype=np.int32) % N_ITEMS, np.ones(n, np.float32), None)
    return palate.Recommender(replace(model, factors=replace(model.factors, users=users), history=history))


def cosines(rec, code):
    """Of a user with all others, {label: cosine}, most similar first; those of whom nothing is known are left out."""
    vectors, labels = rec.model.factors.users[:, :-1].astype(np.float64), rec.model.user_vocabulary.labels
    lengths = np.maximum(np.sqrt((vectors**2).sum(axis=1)), 1e-30)
    found = {other: vectors[code] @ vectors[other] / lengths[code] / lengths[other] for other in range(N_USERS)}
    del found[code]
    found.pop(SILENT, None)
    order = sorted(found, key=lambda other: (-found[other], other))
    return {labels[other]: found[other] for other in order}


def test_the_most_similar_come_first_and_without_oneself(rec):
    for code in range(N_USERS):
        label = rec.model.user_vocabulary.labels[code]
        answer, expected = rec.similar_users(label, n=N_USERS), cosines(rec, code)
        if code == SILENT:
            assert answer.is_empty()
            continue
        np.testing.assert_allclose(answer["cosine"], list(expected.values()), atol=1e-6)
        assert set(answer["user"]) == set(expected)
        if code != ONE_RATING:
            assert answer["user"].to_list() == list(expected)
        assert answer["rank"].to_list() == list(range(1, len(expected) + 1))
        assert rec.similar_users(label).equals(answer.head(10))


def test_of_several_each_has_a_block_of_its_own(rec):
    labels = rec.model.user_vocabulary.labels[[5, SILENT, 0, 5]].tolist()
    answer = rec.similar_users(labels, n=3)
    alone = [rec.similar_users(label, n=3) for label in labels]
    assert answer.columns == ["to", "user", "cosine", "rank"]
    assert answer["to"].to_list() == [label for label, one in zip(labels, alone, strict=True) for _ in range(len(one))]
    assert answer.drop("to").equals(pl.concat(alone))
    assert [len(one) for one in alone] == [3, 0, 3, 3]
    one = rec.similar_users(labels[:1], n=2)
    assert one["to"].to_list() == labels[:1] * 2


def test_a_choice_of_users_leaves_the_others_out_and_no_place_empty(rec):
    label = rec.model.user_vocabulary.labels[0]
    everyone = rec.similar_users(label, n=N_USERS)
    some = everyone["user"].to_list()[1::3]
    answer = rec.similar_users(label, n=N_USERS, users=some)
    assert answer.drop("rank").equals(everyone.filter(pl.col("user").is_in(some)).drop("rank"))
    rest = rec.similar_users(label, n=N_USERS, exclude=some)
    assert rest.drop("rank").equals(everyone.filter(~pl.col("user").is_in(some)).drop("rank"))


def test_items_come_with_their_titles_and_users_with_none(rec):
    items = rec.similar_items("i3", n=4)
    assert items.columns == ["item", "title", "cosine", "rank"]
    assert items["title"].to_list() == [f"T{label[1:]}" for label in items["item"]]
    assert rec.similar_users("u3", n=1).columns == ["user", "cosine", "rank"]


def test_a_model_without_factors_has_nothing_to_compare_and_one_factor_is_enough():
    data = palate.datasets.synthetic(N_USERS, N_ITEMS, 60, seed=1)
    with pytest.raises(OptionError, match="Bias has no factors to compare; fit a model that has some"):
        palate.Bias().fit(data, progress=False).similar_users("u1")
    one = palate.ALS(n_factors=1, n_sweeps=2).fit(data, progress=False).similar_items("i1", n=3)
    np.testing.assert_allclose(one["cosine"].abs(), 1, rtol=1e-5)


def test_no_cosine_lies_beyond_one_whatever_is_rounded(rec):
    rng = np.random.default_rng(2)
    half = rng.standard_normal((400, K + 1)).astype(np.float32)
    users = np.concatenate([half, half, -half])
    labels = palate.Vocabulary.in_order([f"w{at}" for at in range(len(users))], what="user")
    rows = CompressedRows(np.arange(len(users) + 1), np.zeros(len(users), np.int32), np.ones(len(users), "f4"), None)
    model = replace(
        rec.model,
        factors=replace(rec.model.factors, users=users),
        history=rows,
        user_vocabulary=labels,
        user_table=None,
    )
    found = palate.Recommender(model).similar_users(labels.labels[:400].tolist(), n=len(users))["cosine"]
    assert (found.min(), found.max()) == (-1, 1)
