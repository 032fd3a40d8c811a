"""Effects of time in the chain: their draws against closed forms, sessions by hand, and whole fits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import palate
from palate import kernels
from palate.errors import OptionError
from palate.models.effects import YEAR
from palate.recipes.gibbs import time_effects
from palate.recipes.gibbs.targets import Targets
from palate.recipes.gibbs.time_effects import (
    FIRST_PRECISION,
    Effects,
    KeyedEffectsSampler,
    SessionTree,
    TimeEffectsSampler,
)

ALPHA = 1.7


@pytest.fixture
def fixed(monkeypatch):
    """Every precision stays what it is at the start: the rest has closed forms then."""
    monkeypatch.setattr(Effects, "draw_precision", lambda self, *_: self.precision)


def rng_of(seed):
    return np.random.Generator(np.random.Philox(seed))


def timed(n_users=6, n_items=5, n=40, seed=0, weights=False, days=40):
    rng = np.random.default_rng(seed)
    times = 1_000_000_000 + rng.integers(0, days * 86_400, n) // 7000 * 7000
    return palate.Ratings(
        rng.integers(0, n_users, n), rng.integers(0, n_items, n), rng.normal(3, 1, n).astype(np.float32), times=times,
        weights=rng.integers(0, 4, n).astype(np.float32) if weights else None,
        user_vocabulary=palate.Vocabulary(range(n_users), what="user"),
        item_vocabulary=palate.Vocabulary(range(n_items), what="item"),
    )  # fmt: skip


# ---- one kind of effect


@pytest.mark.usefixtures("fixed")
def test_effects_given_all_else_have_their_mean_and_variance():
    counts, sums = np.array([0.0, 1.0, 2.5, 40.0]), np.array([0.0, -1.3, 2.0, 11.0])
    effects, rng = Effects(counts), rng_of(1)
    draws = np.empty((20_000, 4))
    for row in draws:
        effects.draw(sums, ALPHA, rng)
        row[:] = effects.values
    precision = FIRST_PRECISION + ALPHA * counts
    error = np.sqrt(1 / precision / len(draws))
    assert (np.abs(draws.mean(axis=0) - ALPHA * sums / precision) < 5 * error).all()
    np.testing.assert_allclose(draws.var(axis=0), 1 / precision, rtol=0.06)


@pytest.mark.parametrize("sizes", [np.array([3.0]), np.array([1.0, 2.0, 2.0, 5.0, 0.0])])
def test_the_precision_follows_its_law_without_the_effects(sizes):
    """The density by brute force: residuals' sums are Normal(0, n / alpha + n^2 / tau), the deviation half-Cauchy."""
    sums = np.linspace(-1.5, 2.0, len(sizes)) * np.sqrt(sizes)
    sd = np.geomspace(1e-3, 4, 4001)
    density = stats.halfcauchy(scale=time_effects.PRIOR_DEVIATION).pdf(sd) * sd  # per unit of log sd
    for n, total in zip(sizes, sums, strict=True):
        if n:
            density = density * stats.norm(0, np.sqrt(n / ALPHA + n**2 * sd**2)).pdf(total)
    cdf = np.cumsum(density) / density.sum()
    effects, rng = Effects(sizes), rng_of(2)
    drawn = [effects.draw_precision(sums, ALPHA, rng) ** -0.5 for _ in range(4000)]
    assert stats.kstest(drawn, lambda x: np.interp(np.log(x), np.log(sd), cdf)).statistic < 0.03


@given(st.integers(0, 2**32 - 1), st.floats(0.02, 1.0))
@settings(max_examples=15, deadline=None)
def test_the_precision_of_many_effects_is_recovered(seed, deviation):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 40, 3000).astype(float)
    sums = counts * rng.normal(0, deviation, 3000) + rng.normal(0, np.sqrt(counts / ALPHA))
    drawn = [Effects(counts).draw_precision(sums, ALPHA, rng_of(at)) ** -0.5 for at in range(5)]
    assert np.mean(drawn) == pytest.approx(deviation, rel=0.12, abs=0.04)


def test_kept_draws_become_their_mean_and_the_variance_beside_something_else():
    effects, rng = Effects(np.ones(3)), np.random.default_rng(0)
    draws, around, beside = rng.standard_normal((3, 50, 3))
    for values, more, other in zip(draws, around, beside, strict=True):
        effects.values = values
        effects.keep(more, other)
    mean, variance = effects.moments()
    np.testing.assert_allclose(mean, (draws + around).mean(axis=0))
    np.testing.assert_allclose(variance, (draws + around + beside).var(axis=0))
    assert effects.variance == pytest.approx(1 / FIRST_PRECISION)


# ---- sessions


@pytest.mark.usefixtures("fixed")
@pytest.mark.parametrize("weighted", [False, True])
def test_the_draws_of_all_levels_have_the_joint_law(weighted):
    """Mean and covariance of the sums over levels, by numpy.linalg, for ratings in no order of time."""
    rng = np.random.default_rng(4)
    users = np.array([0, 1, 0, 0, 1, 0, 0, 1, 0], np.int32)
    times = np.array([5, 0, 3, 900, 2, 1, 905, 800, 3000])
    weights = rng.integers(1, 4, 9).astype(np.float64) if weighted else None
    rest, w = rng.standard_normal(9), np.ones(9) if weights is None else weights
    tree = SessionTree(users, times, weights)
    assert len(tree.levels) >= 2
    columns = []
    for gap in tree.gaps:
        order = np.lexsort((times, users))
        new = np.concatenate([[True], (np.diff(users[order]) != 0) | (np.diff(times[order]) > gap)])
        session = np.empty(9, int)
        session[order] = np.cumsum(new) - 1
        columns.append(np.eye(session.max() + 1)[session])
    Z = np.hstack(columns)
    covariance = np.linalg.inv(FIRST_PRECISION * np.eye(Z.shape[1]) + ALPHA * (Z.T * w) @ Z)
    mean = Z @ covariance @ (Z.T @ (w * rest)) * ALPHA
    generator = rng_of(3)
    draws = np.empty((30_000, 9))
    for row in draws:
        tree.draw(rest, ALPHA, generator)
        row[:] = tree.offsets()
    expected = np.diag(Z @ covariance @ Z.T)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=6 * np.sqrt(expected.max() / len(draws)))
    np.testing.assert_allclose(draws.var(axis=0), expected, rtol=0.07)


@pytest.mark.usefixtures("fixed")
def test_what_has_no_key_has_no_effect():
    keyed = KeyedEffectsSampler(np.array([7, -1, 7, 3, -1]), None)
    np.testing.assert_array_equal(keyed.keys, [3, 7])
    keyed.draw(np.array([1e6, 50.0, 1e6, -1e6, 50.0]), ALPHA, rng_of(0))
    once, twice = FIRST_PRECISION + ALPHA, FIRST_PRECISION + 2 * ALPHA
    expected = ALPHA * 1e6 * np.array([2 / twice, 0, 2 / twice, -1 / once, 0])
    np.testing.assert_allclose(keyed.offsets(), expected, rtol=1e-3)


# ---- in the chain


@pytest.mark.parametrize("weights", [False, True])
def test_both_orders_of_the_ratings_get_the_same_targets_and_the_errors_are_theirs(weights):
    ratings = timed(weights=weights, n=300, days=1500)
    targets = Targets(ratings, seed=1, n_threads=1, time=True, ordinal=False)
    whole = targets.time_effects
    assert whole.days is not None and whole.drift is not None and whole.sessions.levels
    rng = np.random.default_rng(0)
    users, items = (rng.standard_normal((n, 3)).astype(np.float32) for n in (6, 5))
    errors = targets.draw(users, items, ALPHA, rng, 1)
    order = np.argsort(ratings.user_codes, kind="stable")
    other = order[np.argsort(ratings.item_codes[order], kind="stable")]  # users rise in the rows of items
    offsets = np.empty(len(ratings))
    offsets[order] = whole.offsets
    wanted = (ratings.values - targets.center) / targets.scale - offsets
    for side, order_of_side in (("user", order), ("item", other)):
        rows, center, scale = targets.of(side)
        assert (center, scale) == (0, 1)
        np.testing.assert_allclose(rows.values, wanted[order_of_side], atol=1e-5)
    parts = [part.offsets() for part in (whole.sessions, whole.days, whole.drift)]
    np.testing.assert_allclose(whole.offsets, np.sum(parts, axis=0), atol=1e-9)
    left = wanted - kernels.predict_pairs(users, items, ratings.user_codes, ratings.item_codes, bias=True)
    w = np.ones(300) if ratings.weights is None else ratings.weights
    assert errors == pytest.approx(w @ left**2, rel=1e-4)


def test_what_is_kept_is_the_mean_of_what_the_ratings_got():
    """The trained effects at the ratings' own times are the mean of the chain's offsets."""
    ratings = timed(n=200, days=1500, n_users=8)
    whole, rng = TimeEffectsSampler(ratings, 1.5, seed=1), np.random.default_rng(0)
    vectors = np.zeros((8, 2), np.float32)
    total = np.zeros(200)
    order = np.argsort(ratings.user_codes, kind="stable")
    codes = ratings.user_codes[order], ratings.item_codes[order]
    for _ in range(30):
        whole.draw(rng.standard_normal(200), ALPHA)
        whole.keep(vectors)
        total += whole.offsets
        present = whole.effects(current=True).at(*codes, ratings.times[order])[0]
        np.testing.assert_allclose(present, 1.5 * whole.offsets, atol=1e-5)
    mean, variance = whole.effects().at(*codes, ratings.times[order])
    np.testing.assert_allclose(mean, 1.5 * total / 30, atol=1e-5)
    assert (variance >= 0).all()


def test_at_unknown_times_the_effects_are_noise():
    ratings = timed(n=300, days=1500)
    whole = TimeEffectsSampler(ratings, 2.0, seed=1)
    kinds = [*whole.sessions.levels, whole.days.effects]
    for at, kind in enumerate(kinds):
        kind.precision = at + 2.0
    assert whole.predictive_alpha(4.0) == pytest.approx(1 / (1 / 4 + sum(1 / (at + 2) for at in range(len(kinds)))))


def test_short_histories_have_no_drift_and_one_day_no_days():
    short = TimeEffectsSampler(timed(days=400), 1.0, seed=0)
    assert short.drift is None and short.effects(current=True).drift is None
    ratings = timed(n=50)
    same = palate.Ratings(
        ratings.user_codes, ratings.item_codes, ratings.values, times=np.full(50, 5),
        user_vocabulary=ratings.user_vocabulary, item_vocabulary=ratings.item_vocabulary,
    )  # fmt: skip
    rec = palate.Bayes(n_factors=1, n_sweeps=5, time=True).fit(same)
    assert rec.model.effects.sessions == () and rec.model.effects.days is None and rec.model.effects.drift is None
    assert palate.evaluate(rec, same, baselines=False)["rmse"] > 0


@pytest.mark.parametrize("unit", [1 / 86_400, 1e3, 1e9])
def test_other_units_of_time_find_the_same_sessions(unit, tmp_path):
    """Days, milliseconds and nanoseconds: only what days and periods mean is lost."""
    ratings = timed(n_users=30, n_items=10, n=900, days=3000)
    times = np.floor(ratings.times // 86_400 * 86_400 * unit).astype(np.int64)
    vocabularies = {"user_vocabulary": ratings.user_vocabulary, "item_vocabulary": ratings.item_vocabulary}
    other = palate.Ratings(ratings.user_codes, ratings.item_codes, ratings.values, times=times, **vocabularies)
    rec = palate.Bayes(n_factors=1, n_sweeps=5, time=True).fit(other)
    rec.save(tmp_path / "other.palate")
    codes = ratings.user_codes, ratings.item_codes
    answers = [one.predict_codes(*codes, when=times) for one in (rec, palate.load(tmp_path / "other.palate"))]
    np.testing.assert_array_equal(answers[0], answers[1])
    assert np.isfinite(answers[0]).all()
    days = ratings.times // 86_400 * 86_400
    plain = palate.Ratings(ratings.user_codes, ratings.item_codes, ratings.values, times=days, **vocabularies)
    found = [TimeEffectsSampler(one, 1.0, seed=0).sessions for one in (plain, other)]
    assert len(found[0].levels) == len(found[1].levels) > 0
    for one, two in zip(found[0].levels, found[1].levels, strict=True):
        np.testing.assert_array_equal(one.counts, two.counts)


def test_items_that_drift_are_recovered():
    rng = np.random.default_rng(1)
    plain = palate.datasets.synthetic(300, 30, 9000, n_factors=1, noise=0.3, seed=2, step=None, scale=(-20.0, 30.0))
    period = rng.integers(0, 4, len(plain))
    moved = np.column_stack([np.zeros(30), rng.normal(0, 0.7, (30, 3))])[plain.item_codes, period]
    times = 2_000_000_000 - period * YEAR - rng.integers(0, YEAR, len(plain))
    ratings = palate.Ratings(
        plain.user_codes, plain.item_codes, plain.values + moved, times=times, user_vocabulary=plain.user_vocabulary,
        item_vocabulary=plain.item_vocabulary,
    )  # fmt: skip
    rec = palate.Bayes(n_factors=1, n_sweeps=60, time=True).fit(ratings)
    assert rec.model.effects.drift.n_periods == 4
    found, _ = rec.model.effects.at(ratings.user_codes, ratings.item_codes, times)
    assert np.sqrt(np.mean((found - moved) ** 2)) < 0.2
    now = rec.predict_codes(plain.user_codes, plain.item_codes)[0]  # what the items are now, without what they were
    assert np.sqrt(np.mean((now - plain.values) ** 2)) < 0.4


def test_same_seed_same_answers_at_any_number_of_threads():
    ratings = palate.datasets.synthetic(60, 40, 1500, seed=1)
    times = np.random.default_rng(0).integers(0, 10**8, 1500)
    vocabularies = {"user_vocabulary": ratings.user_vocabulary, "item_vocabulary": ratings.item_vocabulary}
    stamped = palate.Ratings(ratings.user_codes, ratings.item_codes, ratings.values, times=times, **vocabularies)
    fits = [palate.Bayes(n_factors=3, n_sweeps=15, time=True, n_threads=n).fit(stamped) for n in (1, 2, 3)]
    answers = [np.stack(rec.predict_codes(stamped.user_codes, stamped.item_codes, when=times)) for rec in fits]
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


def test_effects_of_time_need_times():
    ratings = palate.datasets.synthetic(20, 10, 100, seed=1)
    assert ratings.times is None
    with pytest.raises(OptionError, match="needs times"):
        palate.Bayes(time=True).fit(ratings)
    assert palate.Bayes(time=False, n_sweeps=3).fit(ratings).model.effects is None
    assert palate.Bayes(time=True).label() == "Bayes(time=True)"
    with pytest.raises(OptionError, match="time"):
        palate.Bayes(time="yes")


def test_the_validation_error_uses_times():
    ratings = timed(n_users=40, n_items=10, n=1500, seed=3, days=8)
    mood = np.random.default_rng(0).normal(0, 1.5, 40 * 50)
    felt = mood[ratings.user_codes * 50 + (ratings.times - 10**9) // 86_400]
    vocabularies = {"user_vocabulary": ratings.user_vocabulary, "item_vocabulary": ratings.item_vocabulary}
    moody = palate.Ratings(
        ratings.user_codes, ratings.item_codes, ratings.values + felt, times=ratings.times, **vocabularies
    )
    train, valid = palate.split_random(moody, test=0.2)
    rec = palate.Bayes(n_factors=1, n_sweeps=40, time=True).fit(train, valid)
    shown = rec.model.training["valid_rmse"]
    assert shown == pytest.approx(palate.evaluate(rec, valid, baselines=False)["rmse"], rel=0.02)
    assert shown < 0.9 * palate.Bayes(n_factors=1, n_sweeps=40).fit(train, valid).model.training["valid_rmse"]


# ---- real data
