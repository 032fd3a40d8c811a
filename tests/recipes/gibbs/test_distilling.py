"""Distilling against dense linear algebra: the mean of the draws, its best low rank, and what a fit keeps of both."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from palate.recipes import bayes
from palate.recipes.gibbs import averaging
from palate.recipes.gibbs.distilling import Distiller
from palate.recipes.monitor import rmse

some = settings(max_examples=30, deadline=None)


def draws_of(n_draws, n_users, n_items, k, seed=0, spread=0.3):
    """Draws around one truth, each in a basis of its own: the product is alike, the factors are not."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal((n_users, k)), rng.standard_normal((n_items, k))
    draws = []
    for _ in range(n_draws):
        turn = np.linalg.qr(rng.standard_normal((k, k)))[0]
        sides = [(side + spread * rng.standard_normal(side.shape)) @ turn for side in truth]
        biases = [rng.standard_normal((len(side), 1)) for side in truth]
        draws.append([np.hstack(both).astype(np.float32) for both in zip(sides, biases, strict=True)])
    return draws


def table(users, items):
    """Scores of all pairs in float64, without the biases and the biases' part."""
    x, y = users.astype(np.float64), items.astype(np.float64)
    return x[:, :-1] @ y[:, :-1].T, x[:, -1:] + y[:, -1]


def mean_of(draws):
    tables = [table(*draw) for draw in draws]
    return [np.mean(part, axis=0) for part in zip(*tables, strict=True)]


def distilled(draws, rank):
    distiller = Distiller(rank, n_threads=1)
    for draw in draws:
        distiller.add(*draw)
    users, items = distiller.result()
    assert distiller.count == len(draws)
    assert users.shape == (len(draws[0][0]), rank + 1)
    assert items.shape == (len(draws[0][1]), rank + 1)
    assert users.dtype == items.dtype == np.float32
    return users, items


@given(
    st.integers(1, 12),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(0, 999),
)
@some
def test_a_rank_that_holds_everything_loses_nothing(n_draws, n_users, n_items, k, more, seed):
    draws = draws_of(n_draws, n_users, n_items, k, seed)
    product, biases = table(*distilled(draws, n_draws * k + more))
    expected = mean_of(draws)
    np.testing.assert_allclose(product, expected[0], atol=2e-3 * max(1, np.abs(expected[0]).max()))
    np.testing.assert_allclose(biases, expected[1], atol=1e-5)


@given(st.integers(2, 30), st.integers(8, 60), st.integers(8, 60), st.integers(1, 5), st.integers(0, 999))
@some
def test_less_rank_loses_little_more_than_it_must(n_draws, n_users, n_items, k, seed):
    draws = draws_of(n_draws, n_users, n_items, k, seed)
    rank = 2 * k + 1
    product, _ = table(*distilled(draws, rank))
    mean, _ = mean_of(draws)
    left = np.linalg.svd(mean, compute_uv=False)[rank:]  # Eckart and Young: no product of this rank comes closer
    least = np.sqrt(np.sum(left**2))
    lost = np.linalg.norm(product - mean)
    assert lost >= least - 1e-3 * np.linalg.norm(mean)
    assert lost <= 1.03 * least + 1e-3 * np.linalg.norm(mean)


def test_the_axes_come_in_order_of_importance():
    users, items = distilled(draws_of(6, 80, 50, 3), 5)
    strength = np.linalg.norm(users[:, :-1], axis=0) * np.linalg.norm(items[:, :-1], axis=0)
    assert (np.diff(strength) <= 1e-6).all()
    np.testing.assert_allclose(np.linalg.norm(users[:, :-1], axis=0), np.linalg.norm(items[:, :-1], axis=0), rtol=1e-2)
    off = users[:, :-1].T @ users[:, :-1]
    assert np.abs(off - np.diag(np.diag(off))).max() < 1e-2 * off.max()


def test_draws_that_are_all_zero():
    draws = [[np.zeros((5, 3), np.float32), np.zeros((4, 3), np.float32)] for _ in range(9)]
    for side in distilled(draws, 2):
        np.testing.assert_array_equal(side, 0)


def test_memory_does_not_grow_with_the_draws():
    distiller = Distiller(5, n_threads=1)
    widths = []
    for draw in draws_of(100, 30, 30, 3):
        distiller.add(*draw)
        widths.append(distiller._sum.width)
    assert max(widths) <= 2 * 5 + 4 * 3


def test_adding_changes_no_draw():
    draws = draws_of(20, 30, 20, 4)
    before = [side.copy() for draw in draws for side in draw]
    distilled(draws, 3)
    for side, copy in zip((side for draw in draws for side in draw), before, strict=True):
        np.testing.assert_array_equal(side, copy)


def fit_and_collect(recipe, train, pairs, monkeypatch):
    """A fit, and the mean of what each of its averaged draws predicts for pairs, on the rating scale."""
    added = []

    class Collecting(Distiller):
        def add(self, users, items):
            x, y = users[pairs[0]].astype(np.float64), items[pairs[1]].astype(np.float64)
            added.append(np.sum(x[:, :-1] * y[:, :-1], axis=1) + x[:, -1] + y[:, -1])
            super().add(users, items)

    monkeypatch.setattr(averaging, "Distiller", Collecting)
    rec = recipe.fit(train)
    posterior = rec.model.posterior
    return rec, posterior.center + posterior.scale * np.mean(added, axis=0), len(added)


def check_distilled(recipe, train, test, monkeypatch):
    rated = (train.by_user().counts > 0)[test.user_codes] & (train.by_item().counts > 0)[test.item_codes]
    test = test[rated]  # rows without ratings get the cold-start prior instead
    codes = test.user_codes, test.item_codes
    rec, average, n_added = fit_and_collect(recipe, train, codes, monkeypatch)
    assert n_added == recipe.n_sweeps - bayes.BURN_IN
    clipped = np.clip(average, *train.range)
    predicted = rec.predict_codes(*codes)[0]
    assert abs(rmse(predicted, test.values) - rmse(clipped, test.values)) < 1e-3
    assert rmse(predicted, clipped) < 0.05
    assert rec.n_factors <= 32


@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_a_fit_predicts_like_the_average_of_its_draws(noise, monkeypatch):
    whole = palate.datasets.synthetic(600, 400, 40_000, n_factors=6, noise=noise, seed=3)
    train, test = palate.split_random(whole, test=0.1, seed=0)
    check_distilled(palate.Bayes(n_sweeps=60), train, test, monkeypatch)


@pytest.mark.data
def test_a_fit_of_movielens_predicts_like_the_average_of_its_draws(ml_100k_90_10, monkeypatch):
    check_distilled(palate.Bayes(n_sweeps=100), *ml_100k_90_10, monkeypatch)
