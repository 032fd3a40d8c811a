"""Items new since a fit get item-item weights: against dense regressions in double precision, and against a new fit."""

import os

import numpy as np
import pytest

import palate
from palate.data.rows import CompressedRows, row_codes
from palate.models.history_factors import to_dense
from palate.models.implicit import choice_signals
from palate.models.item_weights import check_rows

DATA = os.environ.get("PALATE_DATA")
RECIPES = {
    "EASE": palate.EASE(weight_decay=6.0, dropout=0.2, user_exponent=0.5, item_exponent=0.0),
    "SparseEASE": palate.SparseEASE(k=12, weight_decay=6.0, dropout=0.2, user_exponent=0.5, item_exponent=0.0),
    "SparseEASE, powers": palate.SparseEASE(k=7, weight_decay=3.0, user_exponent=1.0, item_exponent=0.3),
}
LATE = ("i3", "i17")


def choices(counts=False):
    likes = palate.datasets.synthetic(120, 40, 1500, seed=1).likes(at_least=4)
    return likes.with_weights(np.random.default_rng(1).integers(1, 9, len(likes))) if counts else likes


def parts(likes, late=LATE):
    """The choices of all other items, and those of the late ones."""
    is_late = np.isin(likes.item_codes, likes.item_vocabulary.encode(list(late)))
    return likes[~is_late], likes[is_late]


def dense_weights(rec):
    weights = rec.model.factors.weights
    return to_dense(weights, rec.n_items) if isinstance(weights, CompressedRows) else weights


def objective_parts(rec):
    """X and the weights of users, dense, in double precision, for the model's history."""
    history = rec.model.history
    signals = choice_signals(history, rec.model.factors.confidence)
    X = np.zeros((rec.n_users, rec.n_items))
    X[row_codes(history), history.indices] = 1.0 if signals is None else signals
    w = np.maximum(history.counts, 1.0) ** -rec.model.factors.regression.user_exponent
    return X, w * len(history.indices) / (w @ history.counts)


@pytest.mark.parametrize("counts", [False, True], ids=["choices", "counts"])
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_weights_of_late_items_are_a_regression_and_a_step_of_descent(recipe, counts):
    known, more = parts(choices(counts))
    rec = recipe.fit(known, progress=False)
    after = rec.update(more)
    taken, B = after.model.factors.regression, dense_weights(after).astype(float)
    X, w = objective_parts(after)
    G = X.T @ (w[:, None] * X)
    chosen = np.diag(G) > 0
    counts_of = np.bincount(after.model.history.indices, minlength=after.n_items)
    scales = (np.maximum(counts_of, 1) / counts_of[chosen].mean()) ** -taken.item_exponent
    ridges = taken.weight_decay + taken.dropout / (1 - taken.dropout) * np.diag(G)
    late = after.model.item_vocabulary.encode(list(LATE))
    others = B.copy()
    others[late], others[:, late] = 0, 0
    for j in late:
        cosines = G[j] / np.sqrt(np.maximum(np.diag(G) * G[j, j], 1e-12))
        cosines[j] = 0
        S = np.sort(np.argsort(-cosines, kind="stable")[: min(taken.k, np.count_nonzero(cosines > 0))])
        column = np.zeros(after.n_items)
        column[S] = scales[j] * np.linalg.solve(G[np.ix_(S, S)] + np.diag(ridges[S]), G[S, j])
        np.testing.assert_allclose(B[:, j], column, rtol=2e-4, atol=1e-6)
        row = np.zeros(after.n_items)
        S = np.setdiff1d(S, late)
        residuals = scales * X - X @ others
        row[S] = (w * X[:, j]) @ residuals[:, S] / (G[j, j] + ridges[j])
        row[late] = B[j, late]
        np.testing.assert_allclose(B[j], row, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_other_weights_stay_and_late_items_are_recommended_and_explained(recipe):
    likes = choices()
    known, more = parts(likes)
    rec = recipe.fit(known, progress=False)
    after = rec.update(more)
    kept = ~np.isin(np.arange(rec.n_items), rec.model.item_vocabulary.encode(list(LATE)))
    np.testing.assert_array_equal(dense_weights(after)[np.ix_(kept, kept)], dense_weights(rec)[np.ix_(kept, kept)])
    assert after.model.factors.is_late.sum() == len(LATE)
    if isinstance(after.model.factors.weights, CompressedRows):
        check_rows("weights", after.model.factors.weights, after.n_items, after.n_items)
    lists = after.recommend(likes.user_vocabulary.labels.tolist(), n=10)
    assert set(LATE) <= set(lists["item"])
    user, item, score = lists.filter(lists["item"] == LATE[0])["user", "item", "score"].row(0)
    told = after.explain(user, item)
    assert sum(reason.contribution for reason in told.because) + told.rest == pytest.approx(score, abs=1e-5)
    neighbors = after.similar_items(LATE[0], n=3)
    assert (neighbors["weight"] > 0).all()


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_late_items_are_solved_again_with_the_choices_of_later_updates(recipe):
    known, more = parts(choices())
    rec = recipe.fit(known, progress=False)
    once = rec.update(more)
    half = np.arange(len(more)) % 2 == 0
    twice = rec.update(more[half]).update(more[~half])
    order = twice.model.item_vocabulary.encode(once.model.item_vocabulary.labels)
    users = twice.model.user_vocabulary.encode(once.model.user_vocabulary.labels)
    assert (users >= 0).all()
    np.testing.assert_allclose(dense_weights(twice)[np.ix_(order, order)], dense_weights(once), rtol=1e-4, atol=1e-6)


def test_with_every_item_in_the_support_the_weights_to_a_late_item_are_those_of_a_new_fit():
    likes = palate.datasets.synthetic(200, 20, 3500, seed=1).likes(at_least=4)
    recipe = palate.EASE(weight_decay=6.0, item_exponent=0.0)
    known, more = parts(likes, ["i3"])
    after, again = recipe.fit(known, progress=False).update(more), recipe.fit(likes, progress=False)
    mine, theirs = (rec.model.item_vocabulary.encode(["i3"])[0] for rec in (after, again))
    np.testing.assert_allclose(dense_weights(after)[:, mine], dense_weights(again)[:, theirs], rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_late_items_are_kept_in_files_and_forgotten(recipe, tmp_path):
    known, more = parts(choices())
    after = recipe.fit(known, progress=False).update(more)
    after.save(tmp_path / "m.palate")
    loaded = palate.load(tmp_path / "m.palate")
    np.testing.assert_array_equal(loaded.model.factors.is_late, after.model.factors.is_late)
    assert loaded.model.factors.regression == after.model.factors.regression
    fewer = loaded.forget(items=[LATE[0]])
    assert fewer.model.factors.is_late.tolist() == [item == LATE[1] for item in fewer.model.item_vocabulary]
    user = more.user_vocabulary.labels[0]
    gone = loaded.forget(users=[user])
    B, before = dense_weights(gone), dense_weights(loaded)
    late = gone.model.item_vocabulary.encode([LATE[1]])[0]
    kept = loaded.model.item_vocabulary.encode(gone.model.item_vocabulary.labels)
    has_chosen = (known.to_frame()["user"] == user).any() or (more.to_frame()["user"] == user).any()
    assert has_chosen
    changed = np.abs(B[:, late] - before[np.ix_(kept, kept)][:, late]).max() > 0
    assert changed == ((more.to_frame().filter(user=user)["item"] == LATE[1]).any())


@pytest.mark.parametrize("change", [{"weight_decay": 0.0}, {"dropout": 1.0}, {"user_exponent": -1.0}, {"k": 0}, None])
def test_a_file_with_a_regression_that_no_fit_takes_is_refused(change):
    from palate.models.item_weights import pack, unpack

    known, more = parts(choices())
    factors = RECIPES["SparseEASE"].fit(known, progress=False).update(more).model.factors
    header, tensors = pack(factors)
    unpack(factors.biases, header, tensors)
    if change is None:
        tensors["item.weights.late"] = np.array([len(factors.items)], np.int32)
    else:
        header["regression"] |= change
    with pytest.raises(ValueError, match="item weights"):
        unpack(factors.biases, header, tensors)


def test_an_item_that_all_have_forgotten_again_has_no_weights():
    known, more = parts(choices(), ["i3"])
    after = RECIPES["SparseEASE"].fit(known, progress=False).update(more)
    late, history = after.model.item_vocabulary.encode(["i3"])[0], after.model.history
    choosers = np.unique(row_codes(history)[history.indices == late])
    assert 0 < len(choosers) < after.n_users
    gone = after.forget(users=after.model.user_vocabulary.labels[choosers].tolist())
    weights = dense_weights(gone)
    assert not weights[late].any()
    assert not weights[:, late].any()
