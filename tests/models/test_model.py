"""What a model derives from its parts: weights by noise, steps of the scale, noise without draws, time, columns."""

from dataclasses import replace

import numpy as np
import pytest

import palate
from palate.data.rows import CompressedRows
from palate.models.effects import KeyedEffects, TimeEffects
from palate.models.model import MAX_SCALE_STEPS
from palate.models.ordinal import OrderedSteps


@pytest.fixture(scope="module")
def model():
    data = palate.datasets.synthetic(20, 12, 120, seed=4)
    recipe = palate.Bayes(n_factors=1, n_sweeps=10, history=False, features=False, user_noise=True)
    return recipe.fit(data, progress=False).model


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("levels", ["users", "items", "both", "none"])
def test_ratings_count_by_the_noise_of_their_user_and_item(model, levels, weighted):
    rng = np.random.default_rng(0)
    user_noise, item_noise = (rng.uniform(0.4, 1.6, n).astype(np.float32) for n in (20, 12))
    model = replace(
        model,
        user_noise=user_noise if levels in ("users", "both") else None,
        item_noise=item_noise if levels in ("items", "both") else None,
    )
    own = rng.uniform(0.5, 2, len(model.history.values)).astype(np.float32) if weighted else None
    history = replace(model.history, weights=own)
    codes = np.arange(20, dtype=np.int32)
    codes[[3, 7]] = -1  # new users have the typical noise
    typical = model.posterior.noise
    found = model.weighted(history, codes)
    expected = np.ones(len(history.values)) if own is None else own.astype(np.float64)
    for at, (row, item) in enumerate(zip(np.repeat(codes, history.counts), history.indices, strict=True)):
        if model.user_noise is not None and row >= 0:
            expected[at] *= (typical / user_noise[row]) ** 2
        if model.item_noise is not None:
            expected[at] *= (typical / item_noise[item]) ** 2
    if levels == "none":
        assert found is history
    else:
        np.testing.assert_allclose(found.weights, expected, rtol=1e-5)
    users, items = np.array([0, 5, -1], np.int32), np.array([2, -1, 3], np.int32)
    of_users = np.append(user_noise, model.noise)[users]
    of_items = np.append(item_noise, model.noise)[items]
    expected = of_users if model.user_noise is not None else of_items if levels == "items" else [model.noise] * 3
    np.testing.assert_allclose(model.noise_of(users, items), expected)
    assert levels != "items" or model.noise_of(users).tolist() == [model.noise] * 3


def test_who_has_one_rating_is_rated_and_only_codes_without_any_are_not():
    ratings = palate.read({"user": ["a", "a", "b"], "item": ["x", "y", "y"], "rating": [5, 3, 4]})
    table = {"item": ["x", "y", "z"], "title": ["X", "Y", "Z"]}
    model = palate.Bias().fit(ratings.with_items(table, unrated="keep"), progress=False).model
    codes = np.array([0, 1, 2, -1], np.int32)
    assert model.rated_items(codes).tolist() == [0, 1, -1, -1]
    assert model.rated_users(codes[[0, 1, 3]]).tolist() == [0, 1, -1]


@pytest.mark.parametrize("told", ["nothing", "attributes", "attributes, but no draws"])
def test_rows_without_ratings_answer_by_their_attributes_alone(told):
    """Only draws with attributes know anything of a row without ratings; otherwise it is as an unknown one."""
    data = palate.datasets.synthetic(20, 12, 120, seed=4)
    users = {"user": [*data.user_vocabulary, "new"], "age": [*range(20, 40), 33]}
    items = {"item": [*data.item_vocabulary, "fresh"], "year": [*range(1990, 2002), 1999]}
    ratings = data.with_users(users, unrated="keep").with_items(items, unrated="keep")
    recipe = palate.Bayes(n_factors=1, n_sweeps=8, history=False, features=told != "nothing")
    model = recipe.fit(ratings, progress=False).model
    if told.endswith("draws"):
        model = replace(model, posterior=None)
    for vocabulary, labels, with_data, rated in (
        (model.user_vocabulary, ["u0", "new", "u3"], model.users_with_data, model.rated_users),
        (model.item_vocabulary, ["i0", "fresh", "i3"], model.items_with_data, model.rated_items),
    ):
        one, new, other = vocabulary.encode(labels).tolist()
        codes = np.array([one, new, -1, other], np.int32)
        assert rated(codes).tolist() == [one, -1, -1, other]
        assert with_data(codes).tolist() == [one, new if told == "attributes" else -1, -1, other]
    new = model.user_vocabulary.encode_one("new")
    is_mean = told.endswith("draws")  # the fit left the prior mean in rows without ratings
    found = model._answered_by(np.array([new, -1], np.int32)).tolist()
    assert found == [new if told == "attributes" or is_mean else -1, -1]


def with_history(model, values=None, weights=None, items=None):
    """The model with other ratings, all of its first user."""
    n = len(values if values is not None else items)
    indptr = np.append(0, np.full(len(model.user_vocabulary), n)).astype(np.int64)
    items = np.zeros(n, np.int32) if items is None else np.asarray(items, np.int32)
    values = np.ones(n, np.float32) if values is None else np.asarray(values, np.float32)
    return replace(model, history=CompressedRows(indptr, items, values, weights))


@pytest.mark.parametrize(
    ("values", "step"),
    [([1, 2, 3, 3, 5, 4], 1.0), ([1, 1.5, 3], 1.0), ([0, 1, 3, 9], 2.0), ([2, 2], 0.0), ([2, 4], 2.0),
     (range(MAX_SCALE_STEPS), 1.0), (range(MAX_SCALE_STEPS + 1), 0.0)],
)  # fmt: skip
def test_the_step_of_a_scale_is_the_median_distance_of_its_values(model, values, step):
    assert with_history(model, list(values)).rating_step == step
    assert MAX_SCALE_STEPS == 100


def test_scores_that_only_rank_have_no_limits(model):
    assert model.score_limits == model.limits
    assert replace(model, predicts_ratings=False).score_limits == (-np.inf, np.inf)


def test_the_fingerprint_is_that_of_the_ratings_in_any_order(model):
    history = model.history
    begin, end = history.indptr[:2]
    order = np.r_[np.arange(begin, end)[::-1], np.arange(end, len(history.indices))]
    turned = replace(history, indices=history.indices[order], values=history.values[order])
    assert replace(model, history=turned).fingerprint == model.fingerprint
    others = (
        replace(model, history=replace(history, values=history.values + 1)),
        replace(model, history=replace(history, weights=np.ones_like(history.values))),
        replace(model, history=replace(history, indices=history.indices[::-1].copy())),
        replace(model, user_vocabulary=palate.Vocabulary.in_order([f"v{at}" for at in range(20)], what="user")),
    )
    assert len({one.fingerprint for one in (model, *others)}) == 5


def test_what_is_made_of_a_model_is_made_once_for_each_key(model):
    model, calls = replace(model), []
    make = lambda own: calls.append(own) or len(calls)  # noqa: E731
    assert [model.once(make), model.once(make), model.once(make, 2), model.once(make, 2), model.once(make)] == [
        *(1, 1, 2, 2, 1)
    ]
    assert calls == [model, model] and replace(model).once(make) == 3


@pytest.mark.parametrize("is_weighted", [False, True])
def test_without_draws_the_noise_holds_the_variance_of_the_average_pair(model, is_weighted):
    """Pairs are drawn by the ratings of their user and of their item."""
    rng = np.random.default_rng(0)
    items = rng.choice(12, 5000, p=np.arange(12) / 66).astype(np.int32)
    weights = np.where(items == 3, 1.0, 0.0).astype(np.float32) if is_weighted else None
    own = replace(model, noise=0.7, user_noise=np.full(20, 0.5, np.float32), item_noise=np.full(12, 0.6, np.float32))
    own = with_history(own, items=items, weights=weights)
    compact = own.compact()
    users, each = np.zeros(12, np.int32), np.arange(12, dtype=np.int32)
    _, variance = own.posterior.predict(own.posterior.users.vectors, users, each)
    added = variance[3] if is_weighted else np.average(variance, weights=np.bincount(items, minlength=12))
    assert np.ptp(variance) > 0.1 * added > 0
    for found, before in ((compact.noise, 0.7), (compact.user_noise[4], 0.5), (compact.item_noise[5], 0.6)):
        assert found**2 - before**2 == pytest.approx(added, rel=0.02)
    assert compact.posterior is None and compact.user_info is None and compact.item_info is None
    assert compact.compact() is compact and model.compact().item_noise is None


def test_an_exchanged_model_has_each_part_of_the_other_side(model):
    turned = replace(model, item_noise=np.full(12, 0.6, np.float32)).transposed()
    assert turned.user_vocabulary is model.item_vocabulary and turned.item_vocabulary is model.user_vocabulary
    assert turned.user_noise[0] == np.float32(0.6) and turned.item_noise is model.user_noise
    assert turned.factors.users is model.factors.items and turned.posterior.users is model.posterior.items
    assert turned.history.n_rows == 12 and turned.transposed().fingerprint == model.fingerprint


def test_a_time_shifts_ratings_and_takes_the_variance_of_unknown_times_from_the_noise(model):
    users, items, when = np.zeros(3, np.int32), np.arange(3, dtype=np.int32), np.array([0.0, 86_400.0, np.nan])
    days = KeyedEffects(0.16, np.array([1]), np.float32([0.5]), np.float32([0.04]))
    none = model.effects_at(users, items, when)
    assert (none.shift.tolist(), none.score_variance) == ([0, 0, 0], 0.0)
    np.testing.assert_allclose(none.noise_variance, model.noise_of(users, items) ** 2)
    for noise, left in ((0.5, 0.09), (0.3, 0.0)):
        timed = replace(model, effects=TimeEffects(days=days), noise=noise, user_noise=None)
        known = timed.effects_at(users, items, when)
        np.testing.assert_allclose(known.shift, [0, 0.5, 0])
        np.testing.assert_allclose(known.score_variance, [0.16, 0.04, 0.16], rtol=1e-6)
        np.testing.assert_allclose(known.noise_variance, left, atol=1e-12)
        now = timed.effects_at(users, items, None)
        np.testing.assert_allclose(now.noise_variance, noise**2)
        assert (now.shift.tolist(), now.score_variance) == ([0, 0, 0], 0.0)
    stepped = replace(timed, factors=replace(timed.factors, steps=OrderedSteps([1, 2], [0.0])))
    assert stepped.effects_at(users, items, None).score_variance == pytest.approx(0.16)
    compact = replace(stepped, posterior=None)  # its score variance is that of unknown times
    assert compact.effects_at(users, items, None).score_variance == 0
    np.testing.assert_allclose(compact.effects_at(users, items, when).score_variance, [0, -0.12, 0], atol=1e-7)


def test_columns_that_only_rows_without_ratings_use_are_not_compared(model):
    """More than half zeros among the rated rows of either side, in a Bayesian fit of two factors or more."""
    rated = np.arange(20) < 5
    history = CompressedRows(np.append(0, np.cumsum(rated)).astype(np.int64), *np.zeros((2, 5), np.int32), None)
    history = replace(history, indices=np.int32([0, 1, 2, 3, 3]), values=np.ones(5, np.float32))

    def columns(user_zeros, item_zeros, n_factors=2, name="Bayes"):
        users, items = (np.ones((n, n_factors + 1), np.float32) for n in (20, 12))
        users[:user_zeros, -2] = 0
        items[:item_zeros, -2] = 0
        factors = replace(model.factors, users=users, items=items)
        return replace(model, factors=factors, history=history, recipe={"name": name}, posterior=None).compared_columns

    assert columns(2, 2) == slice(0, -1)
    assert columns(3, 0) == columns(0, 3) == slice(0, -2)
    assert columns(3, 0, n_factors=1) == columns(3, 0, name="ALS") == slice(0, -1)


def test_rows_say_something_with_ratings_or_factors_of_their_own(model):
    users = np.zeros((20, 3), np.float32)
    users[:, -1] = 5  # a bias says nothing
    users[1, 0], users[2], users[3] = 1, [0.5, 0.25, 5], [0.5, 0.26, 5]
    prior = replace(model.factors.user_prior, mean=np.float32([0.5, 0.25, 0]))
    history = CompressedRows(np.append(0, np.ones(20)).astype(np.int64), np.int32([0]), np.float32([3]), None)
    factors = replace(model.factors, users=users, user_prior=prior)
    found = replace(model, factors=factors, history=history, posterior=None).comparable_users
    assert found.tolist() == [True, True, False, True] + [False] * 16
