"""Rows for more or fewer users and items, part by part: draws, history columns, tables, noise."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import palate
from palate.answers.resizing import _kept_others, _kept_samples, _with_new_samples, _with_others, add_rows, keep_rows
from palate.models.cold_start import ColdStart
from palate.models.posterior import Posterior, SideSamples
from palate.models.side_information import SideInfo

TABLE = pl.DataFrame({"age": [20, 30, 40], "city": ["a", "b", None]})
COLUMNS = np.array([0, -1, 1, -1], np.int32)  # of the four others, two have a column


def samples_of(n_features, n=3):
    rng = np.random.default_rng(0)
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    cold = ColdStart(normal(2, 2), normal(2, 2, 2))
    return SideSamples(normal(2, n, 2), normal(2, 2, 2), normal(2, 2), cold, normal(2, n_features, 2))


class Attributes:
    n_features = 2


ALL = SideInfo(4, Attributes())
SOME = SideInfo(2, Attributes(), COLUMNS)
NO_HISTORY = SideInfo(0, Attributes())


def test_new_rows_are_zeros_and_new_others_are_columns_if_all_have_one():
    for info, n_features, is_longer in ((ALL, 6, True), (SOME, 4, False), (NO_HISTORY, 2, False), (None, 6, False)):
        samples = samples_of(n_features)
        found = _with_new_samples(samples, (2, 3), info)
        np.testing.assert_array_equal(found.vectors[:, :3], samples.vectors)
        assert found.vectors.shape == (2, 5, 2) and not found.vectors[:, 3:].any()
        if is_longer:
            assert found.link.shape == (2, 9, 2) and not found.link[:, 4:7].any()
            np.testing.assert_array_equal(np.delete(found.link, [4, 5, 6], axis=1), samples.link)
        else:
            assert found.link is samples.link
        assert _with_new_samples(samples, (2, 0), info).link is samples.link
        assert _with_new_samples(samples, (0, 1), info).vectors is samples.vectors
    assert _with_new_samples(replace(samples, link=None), (1, 1), ALL).link is None


def test_columns_go_with_the_others_that_go():
    own, others = np.array([True, False, True]), np.array([True, False, False, True])
    for info, n_features, left in (
        (ALL, 6, [0, 3, 4, 5]),
        (SOME, 4, [0, 2, 3]),
        (NO_HISTORY, 2, [0, 1]),
        (None, 6, range(6)),
    ):
        samples = samples_of(n_features)
        found = _kept_samples(samples, own, others, info)
        np.testing.assert_array_equal(found.vectors, samples.vectors[:, [0, 2]])
        np.testing.assert_array_equal(found.link, samples.link[:, list(left)])
    assert _kept_samples(replace(samples, link=None), own, others, ALL).link is None


def test_side_information_counts_the_others():
    others = np.array([True, True, True, False])
    assert (_with_others(ALL, 3).n_history, _with_others(NO_HISTORY, 3).n_history, _with_others(None, 3)) == (
        7,
        0,
        None,
    )
    more = _with_others(SOME, 2)
    assert (more.n_history, more.columns.tolist(), more.columns.dtype) == (2, [0, -1, 1, -1, -1, -1], np.int32)
    assert (_kept_others(ALL, others).n_history, _kept_others(NO_HISTORY, others).n_history) == (3, 0)
    assert _kept_others(None, others) is None
    fewer = _kept_others(SOME, np.array([False, True, True, True]))
    assert (fewer.n_history, fewer.columns.tolist()) == (1, [-1, 0, -1])
    first = _kept_others(SOME, np.array([True, True, False, False]))
    assert (first.n_history, first.columns.tolist()) == (1, [0, -1])


@pytest.fixture(scope="module")
def model():
    ratings = palate.read(
        {"user": ["a", "a", "b", "c", "c", "c"], "item": [1, 2, 2, 1, 2, 3], "rating": [1.0, 2, 3, 4, 5, 1]}
    )
    found = palate.ALS(n_factors=1, n_sweeps=2).fit(ratings, progress=False).model
    noise = np.float32([0.5, 0.6, 0.7])
    table = TABLE.with_columns(age=pl.col("age").cast(pl.Int64))
    return replace(found, user_table=table, item_table=None, user_noise=noise, item_noise=noise + 1, noise=0.25)


def longer(vocabulary, *more):
    return palate.Vocabulary.in_order([*vocabulary.labels, *more], what=vocabulary.what)


def test_a_model_with_rows_for_new_labels(model):
    tables = pl.DataFrame({"age": ["50", "old"], "size": [1, 2]}), None
    found = add_rows(model, longer(model.user_vocabulary, "d", "e"), longer(model.item_vocabulary, 9), tables)
    for side, n in (("users", 2), ("items", 1)):
        rows, before = getattr(found.factors, side), getattr(model.factors, side)
        np.testing.assert_array_equal(rows[:-n], before)
        assert rows.shape == (3 + n, 2) and not rows[-n:].any()
    assert found.history.indptr.tolist() == [*model.history.indptr, 6, 6]
    assert found.user_table.to_dict(as_series=False) == {
        "age": [20, 30, 40, 50, None], "city": ["a", "b", None, None, None],
    }  # fmt: skip
    assert found.item_table is None and (len(found.user_vocabulary), len(found.item_vocabulary)) == (5, 4)
    np.testing.assert_allclose(found.user_noise, [0.5, 0.6, 0.7, 0.25, 0.25])
    np.testing.assert_allclose(found.item_noise, [1.5, 1.6, 1.7, 0.25])
    same = add_rows(model, model.user_vocabulary, model.item_vocabulary)
    assert same.factors.users is model.factors.users and same.user_table is model.user_table
    bare = add_rows(replace(model, user_noise=None), longer(model.user_vocabulary, "d"), model.item_vocabulary)
    assert bare.user_noise is None and bare.user_table["age"].to_list() == [20, 30, 40, None]


def test_a_model_of_some_rows_only(model):
    users, items = np.array([True, False, True]), np.array([False, True, True])
    found = keep_rows(model, users, items)
    np.testing.assert_array_equal(found.factors.users, model.factors.users[[0, 2]])
    np.testing.assert_array_equal(found.factors.items, model.factors.items[[1, 2]])
    assert [found.user_vocabulary.labels.tolist(), found.item_vocabulary.labels.tolist()] == [["a", "c"], [2, 3]]
    rows = [dict(zip(*(part.tolist() for part in found.history.row(row)[:2]), strict=True)) for row in range(2)]
    assert rows == [{0: 2.0}, {0: 5.0, 1: 1.0}]
    assert found.user_table["age"].to_list() == [20, 40] and found.item_table is None
    np.testing.assert_allclose(found.user_noise, [0.5, 0.7])
    np.testing.assert_allclose(found.item_noise, [1.6, 1.7])
    assert keep_rows(replace(model, item_noise=None), users, items).item_noise is None


def test_each_side_of_draws_and_side_information_gets_its_own_number(model):
    sides = (samples_of(5), samples_of(5))
    info = SideInfo(3, Attributes())
    posterior = Posterior(3.0, 1.0, np.ones(2, np.float32), *sides)
    model = replace(model, posterior=posterior, user_info=info, item_info=info)
    more = add_rows(model, longer(model.user_vocabulary, "d", "e"), longer(model.item_vocabulary, 9))
    fewer = keep_rows(model, np.array([True, False, False]), np.array([False, True, True]))
    for found, n_users, n_items in ((more, 5, 4), (fewer, 1, 2)):
        users, items = found.posterior.users, found.posterior.items
        assert (users.vectors.shape, users.link.shape) == ((2, n_users, 2), (2, n_items + 2, 2))
        assert (items.vectors.shape, items.link.shape) == ((2, n_items, 2), (2, n_users + 2, 2))
        assert (found.user_info.n_history, found.item_info.n_history) == (n_items, n_users)
    np.testing.assert_array_equal(fewer.posterior.users.vectors[:, 0], sides[0].vectors[:, 0])
    np.testing.assert_array_equal(fewer.posterior.users.link, sides[0].link[:, [1, 2, 3, 4]])
    np.testing.assert_array_equal(fewer.posterior.items.link, sides[1].link[:, [0, 3, 4]])
    assert not more.posterior.users.link[:, 3].any() and not more.posterior.items.link[:, 3:5].any()
