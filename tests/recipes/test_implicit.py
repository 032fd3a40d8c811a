"""ImplicitALS: the optimum of the whole dense objective, exact shares, folding in, updates."""

from itertools import islice, pairwise

import numpy as np
import pytest

import palate
from palate.data.rows import transpose_rows
from palate.models import implicit
from palate.models.implicit import choice_signals, default_problem, is_exact, start, sweeps, weighted_choices

SMALL = {"n_factors": 6, "unobserved_weight": 0.2, "weight_decay": 0.01}


def drawn(*, with_counts=False):
    likes = palate.datasets.synthetic(60, 40, 1200, n_factors=3, seed=2).likes(at_least=3)
    counts = np.random.default_rng(1).integers(1, 30, len(likes)) if with_counts else None
    return likes.with_weights(None if counts is None else counts.astype(np.float32))


def problem_of(recipe, likes):
    """Targets, weights and ridge of the dense objective, by users."""
    R, W = np.zeros((likes.n_users, likes.n_items)), np.zeros((likes.n_users, likes.n_items))
    rows = likes.by_user()
    weights = choice_signals(rows, recipe.confidence)
    users = np.repeat(np.arange(likes.n_users), rows.counts)
    R[users, rows.indices] = 1
    W[users, rows.indices] = 1 if weights is None else weights
    mass = (R > 0).sum(axis=1) + recipe.unobserved_weight * likes.n_items
    return R, W, recipe.weight_decay * mass**recipe.count_exponent


@pytest.mark.parametrize("k", [3, 64, 65])
def test_only_the_last_of_many_sweeps_settles_users_and_a_sweep_of_few_factors_always(k):
    """With at most 64 factors a sweep solves whole rows; with more, its users are on the way until the last sweep."""
    likes = drawn()
    by_user = likes.by_user()
    by_item = transpose_rows(by_user, likes.n_items)
    problem = default_problem(by_user, likes.n_items)
    assert is_exact(k) == (k <= 64)
    for last in (1, 3, None):
        found = list(islice(sweeps(problem, by_user, by_item, start(60, 40, k, seed=1), last=last), 3))
        assert [at.is_settled for at in found] == [k <= 64 or number == last for number in (1, 2, 3)]
        for at in found:
            settled = at.settled(problem, by_user)
            assert settled.is_settled and (settled is at) == at.is_settled
            best = problem.solve(by_user, at.items, problem.background(at.items))
            assert (np.abs(at.users - best).max() < 1e-5) == at.is_settled
            np.testing.assert_array_equal(settled.users, at.users if at.is_settled else best)
        assert [np.abs(one.items - other.items).max() > 1e-3 for one, other in pairwise(found)] == [True, True]


@pytest.mark.parametrize("n_pairs", [1, 7, 400, 10**6])
def test_the_training_error_is_that_of_evenly_spaced_choices(n_pairs, monkeypatch):
    likes = drawn()
    by_user = likes.by_user()
    at = start(60, 40, 4, seed=1)
    at = at._replace(users=np.random.default_rng(2).normal(size=(60, 4)).astype(np.float32))
    monkeypatch.setattr(implicit, "N_ERROR_PAIRS", n_pairs)
    users, n = np.repeat(np.arange(60), by_user.counts), len(by_user.indices)
    step = max(1, n // n_pairs)
    scores = np.einsum("nk,nk->n", at.users[users], at.items[by_user.indices])[::step]
    assert at.error(by_user) == pytest.approx(np.sqrt(np.mean((1 - scores) ** 2)), rel=1e-5)


@pytest.mark.parametrize("confidence", ["equal", "relative"])
def test_the_users_are_at_the_optimum_of_the_dense_objective(confidence):
    recipe, likes = palate.ImplicitALS(**SMALL, confidence=confidence, seed=3), drawn(with_counts=True)
    factors = recipe.fit(likes).model.factors
    X, Y = factors.users[:, :-1].astype(np.float64), factors.items[:, :-1].astype(np.float64)
    R, W, ridge = problem_of(recipe, likes)
    scores = X @ Y.T
    gradient = (W * (scores - R) + recipe.unobserved_weight * scores) @ Y + ridge[:, None] * X
    assert np.abs(gradient).max() < 2e-4 * max(1.0, W.max())
    assert not factors.users[:, -1].any()
    assert not factors.items[:, -1].any()


def test_each_own_choice_has_its_exact_share():
    recipe, likes = palate.ImplicitALS(**SMALL, seed=3), drawn(with_counts=True)
    rec = recipe.fit(likes)
    Y = rec.model.factors.items[:, :-1].astype(np.float64)
    _, W, ridge = problem_of(recipe, likes)
    user, item = 4, 9
    A = Y.T @ (W[user][:, None] * Y) + recipe.unobserved_weight * Y.T @ Y + ridge[user] * np.eye(6)
    expected = W[user] * (Y @ np.linalg.solve(A, Y[item]))
    users, items = rec.model.user_vocabulary, rec.model.item_vocabulary
    why = rec.explain(users.labels[user], items.labels[item])
    for reason in why.because:
        assert reason.contribution == pytest.approx(expected[items.encode_one(reason.item)], abs=1e-5)
    assert sum(reason.contribution for reason in why.because) == pytest.approx(why.prediction, abs=1e-5)


@pytest.mark.parametrize("with_counts", [False, True])
def test_a_known_history_folds_in_to_the_known_vector(with_counts):
    likes = drawn(with_counts=with_counts)
    rec = palate.ImplicitALS(**SMALL, seed=3).fit(likes)
    rows = likes.to_frame()
    for code, user in enumerate(rec.model.user_vocabulary):
        own = rows.filter(user=user)
        given = dict(zip(own["item"], own["weight"], strict=True)) if with_counts else own["item"].to_list()
        np.testing.assert_allclose(rec.fold_in(given).vector, rec.model.factors.users[code], atol=1e-5)


def more_of(pairs, counts=None):
    users, items = zip(*pairs, strict=True)
    known = palate.Vocabulary(users, what="user"), palate.Vocabulary(items, what="item")
    return palate.Ratings(
        known[0].encode(users), known[1].encode(items), np.ones(len(pairs)), user_vocabulary=known[0],
        item_vocabulary=known[1], weights=None if counts is None else np.array(counts, np.float32), kind="implicit",
    )  # fmt: skip


def test_a_new_user_gets_what_folding_in_gives():
    rec = palate.ImplicitALS(**SMALL, seed=3).fit(drawn())
    after = rec.update(more_of([("new", "i3"), ("new", "i7")]))
    code = after.model.user_vocabulary.encode_one("new")
    np.testing.assert_allclose(after.model.factors.users[code], rec.fold_in(["i3", "i7"]).vector, atol=1e-6)


def test_a_new_item_gets_what_folding_in_gives():
    rec = palate.ImplicitALS(**SMALL, seed=3).fit(drawn())
    after = rec.update(more_of([("u3", "fresh"), ("u5", "fresh")]))
    code = after.model.item_vocabulary.encode_one("fresh")
    told = rec.fold_in(["u3", "u5"], side="item").vector
    assert np.linalg.norm(after.model.factors.items[code] - told) < 0.15 * np.linalg.norm(told)


@pytest.mark.parametrize("confidence", ["equal", "relative"])
def test_a_folded_in_item_is_where_the_next_half_step_takes_it(confidence):
    """Its counts are relative to each user's mean count, as in training, and not to one another."""
    recipe, likes = palate.ImplicitALS(**SMALL, confidence=confidence, seed=3), drawn(with_counts=True)
    rec = recipe.fit(likes)
    users = np.ascontiguousarray(rec.model.factors.users[:, :-1])
    by_item = transpose_rows(weighted_choices(likes.by_user(), confidence), likes.n_items)
    problem = recipe.resolved(likes)._problem(likes)
    expected = problem.solve(by_item, users, problem.background(users))
    for code, item in enumerate(likes.item_vocabulary):
        own = likes.to_frame().filter(item=item)
        given = dict(zip(own["user"], own["weight"], strict=True))
        found = rec.fold_in(given, side="item")
        np.testing.assert_allclose(found.vector[:-1], expected[code], atol=1e-5)
    why = found.explain(next(iter(given)))
    assert sum(reason.contribution for reason in why.because) == pytest.approx(why.prediction, abs=1e-5)
    assert {reason.item: reason.rating for reason in why.because} == given
    twice = rec.fold_in({user: 2 * count for user, count in given.items()}, side="item")
    assert np.allclose(twice.vector, found.vector) == (confidence == "equal")
    assert rec.model.transposed().transposed().factors.mean_counts is None


def test_a_new_item_with_counts_has_the_weights_of_an_update():
    rec = palate.ImplicitALS(**SMALL, seed=3).fit(drawn(with_counts=True))
    given = {"u3": 10, "u5": 400, "u8": 2}
    after = rec.update(more_of([(user, "fresh") for user in given], list(given.values())))
    trained = after.model.factors.items[after.model.item_vocabulary.encode_one("fresh")]
    told = rec.fold_in(given, side="item").vector
    assert np.linalg.norm(trained - told) < 0.15 * np.linalg.norm(trained)


def test_users_without_choices_count_as_typical():
    likes = drawn(with_counts=True)
    rec = palate.ImplicitALS(**SMALL, seed=3).fit(likes[likes.user_codes != 7])
    user = likes.user_vocabulary.labels[7]
    for count in (1, 900):
        np.testing.assert_array_equal(
            rec.fold_in({user: count}, side="item").vector, rec.fold_in([user], side="item").vector
        )
    plain = palate.ImplicitALS(**SMALL, seed=3).fit(drawn().with_weights(np.ones(len(drawn()))))
    np.testing.assert_array_equal(
        plain.fold_in({"u3": 1, "u5": 1}, side="item").vector, plain.fold_in(["u3", "u5"], side="item").vector
    )
    much = plain.fold_in({"u3": 9, "u5": 9}, side="item").vector
    assert np.linalg.norm(much) > np.linalg.norm(plain.fold_in(["u3", "u5"], side="item").vector)


def test_counts_of_a_pair_add_up():
    likes = drawn(with_counts=True)
    rec = palate.ImplicitALS(**SMALL, seed=3).fit(likes)
    user, item, count = likes.to_frame().select("user", "item", "weight").row(7)
    after = rec.update(more_of([(user, item), ("new", item)], counts=[5, 2]))
    code = after.model.user_vocabulary.encode_one(user)
    history = after.model.history
    here = slice(*history.indptr[code : code + 2])
    at = list(history.indices[here]).index(after.model.item_vocabulary.encode_one(item))
    assert history.weights[here][at] == count + 5
    assert len(history.indices) == len(likes) + 1
    assert (history.values == 1).all()


def test_liking_again_is_the_same_like():
    likes = drawn()
    rec = palate.ImplicitALS(**SMALL, seed=3).fit(likes)
    again = rec.update(more_of([likes.to_frame().select("user", "item").row(7)]))
    assert again.model.history.weights is None
    assert again.model.fingerprint == rec.model.fingerprint
    np.testing.assert_allclose(again.model.factors.users, rec.model.factors.users, atol=1e-6)


def test_forgetting_undoes_an_update():
    rec = palate.ImplicitALS(**SMALL, seed=3).fit(drawn())
    back = rec.update(more_of([("new", "i3"), ("new", "i7")])).forget(users=["new"])
    assert back.model.fingerprint == rec.model.fingerprint
    gap = back.model.factors.user_scores() - rec.model.factors.user_scores()
    assert np.abs(gap).mean() < 0.002


def test_an_updated_item_has_the_weights_of_a_fit():
    """u1 plays everything ten times as often as others do: his plays of a new item count as anybody's."""
    likes = drawn(with_counts=True)
    rec = palate.ImplicitALS(**SMALL, seed=3).fit(likes)
    after = rec.update(more_of([("u3", "fresh"), ("u5", "fresh")], [10, 500]))
    factors, code = after.model.factors, after.model.item_vocabulary.encode_one("fresh")
    rows = after.model.history
    signals = choice_signals(rows, "relative")
    owners = np.repeat(np.arange(rows.n_rows), rows.counts)
    of_item = rows.indices == code
    X = factors.users[:, :-1].astype(np.float64)
    A, w = X[owners[of_item]], signals[of_item].astype(np.float64)
    mass = of_item.sum() + 0.2 * len(X)
    B = A.T @ (w[:, None] * A) + 0.2 * X.T @ X + 0.01 * mass * np.eye(6)
    np.testing.assert_allclose(factors.items[code, :-1], np.linalg.solve(B, A.T @ w), atol=2e-5)
    assert factors.confidence == "relative"
