"""Updates and forgetting against the same rows solved with numpy.linalg, and against fits where these are the same."""

from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from palate.answers.changed_rows import Change, UpdateState
from palate.answers.resizing import add_rows
from palate.data.rows import CompressedRows, take_rows
from palate.errors import DataError
from palate.models.factors import Prior

N_USERS, N_ITEMS = 24, 15
RATED = {
    "ALS": palate.ALS(n_factors=2, n_sweeps=4),
    "ALS by counts": palate.ALS(n_factors=2, n_sweeps=4, weight_decay=0.3, count_exponent=0.5),
    "Bias": palate.Bias(),
    "Neighbors": palate.Neighbors(),
    "Neighbors of users": palate.Neighbors(by="users"),
}
CHOSEN = {
    "equal": palate.ImplicitALS(n_factors=3, n_sweeps=4, confidence="equal"),
    "relative": palate.ImplicitALS(n_factors=3, n_sweeps=4, confidence="relative", count_exponent=0.5),
}
HISTORIES = {
    "Neighbors": palate.Neighbors(),
    "Neighbors of users": palate.Neighbors(by="users"),
    "EASE": palate.EASE(),
}


def table(cells):
    """{(user, item): (value, weight)} as columns."""
    users, items = zip(*cells, strict=True)
    values, weights = zip(*cells.values(), strict=True)
    return {"user": list(users), "item": list(items), "rating": list(values), "weight": list(weights)}


def rated_cells(seed=0, n=170):
    """Ratings with weights of 0.5 to 1.5, 1 on average: {(user, item): (value, weight)}."""
    rng = np.random.default_rng(seed)
    cells = rng.choice(N_USERS * N_ITEMS, n, replace=False)
    weights = rng.permutation(np.tile([0.5, 1.5], n // 2))
    taste = rng.normal(size=N_USERS), rng.normal(size=N_ITEMS)
    return {
        (f"u{c // N_ITEMS}", f"i{c % N_ITEMS}"): (
            float(np.clip(round(3 + 1.5 * taste[0][c // N_ITEMS] * taste[1][c % N_ITEMS]), 1, 5)),
            float(weight),
        )
        for c, weight in zip(cells, weights, strict=True)
    }


NEW = {  # new and known users and items, pairs rated before and not
    ("newt", "i3"): (4.0, 1.0),
    ("newt", "fresh"): (2.0, 0.5),
    ("u2", "fresh"): (5.0, 2.0),
    ("u3", "i1"): (1.0, 1.0),
    ("u3", "i2"): (5.0, 1.0),
    ("u0", "i14"): (2.0, 4.0),
}


def cells_of(model):
    """{(user, item): (value, weight)} of a model's history."""
    history = model.history
    users = model.user_vocabulary.decode(np.repeat(np.arange(history.n_rows), history.counts))
    items = model.item_vocabulary.decode(history.indices)
    weights = np.ones(len(history.values)) if history.weights is None else history.weights
    values = zip(history.values.tolist(), weights.tolist(), strict=True)
    return dict(zip(zip(users.tolist(), items.tolist(), strict=True), values, strict=True))


def matrices(cells, users, items):
    """(values, weights) as dense matrices, NaN where there is none."""
    made = np.full((2, len(users), len(items)), np.nan)
    for (user, item), pair in cells.items():
        made[:, users.index(user), items.index(item)] = pair
    return made


def rated_row(prior: Prior, others, values, weights, mean, scale):
    """One row's ridge regression on the other side's [q, 1], by the normal equations of the documentation."""
    rated = np.flatnonzero(~np.isnan(values))
    Z = np.column_stack([others[rated, :-1], np.ones(len(rated))]).astype(np.float64)
    W = np.diag(weights[rated])
    ridge = prior.ridge * max(len(rated), 1) ** prior.count_exponent
    A = prior.precision + ridge * np.eye(len(prior.mean)) + prior.alpha * Z.T @ W @ Z
    targets = (values[rated] - mean) / scale - others[rated, -1] - Z @ prior.mean
    return prior.mean + np.linalg.solve(A, prior.alpha * Z.T @ W @ targets)


def chosen_row(factors, others, weights):
    """One row of implicit ALS by the formula of its module; weights are confidences."""
    chosen = np.flatnonzero(~np.isnan(weights))
    if len(chosen) == 0:
        return None
    Y = others[:, :-1].astype(np.float64)
    prior, a0 = factors.user_prior, factors.unobserved_weight
    ridge = prior.ridge * (len(chosen) + a0 * len(Y)) ** prior.count_exponent
    A = Y[chosen].T @ np.diag(weights[chosen]) @ Y[chosen] + a0 * Y.T @ Y + ridge * np.eye(Y.shape[1])
    return np.append(np.linalg.solve(A, Y[chosen].T @ weights[chosen]), 0)


def moved(rows, solve_before, solve_after, before, after):
    """Rows whose cells differ: what their ratings make of them now less what these made of them before."""
    rows = rows.astype(np.float64)
    for at in np.flatnonzero((~np.isclose(before, after, equal_nan=True)).any(axis=(0, 2))):
        is_old, is_left = (not np.isnan(side[0, at]).all() for side in (before, after))
        now = solve_after(after[:, at])
        rows[at] = now + rows[at] - solve_before(before[:, at]) if is_old and is_left else now
    return rows


def rated_by_hand(model, before, after):
    """(users, items) of an updated model of ratings; model: with rows of zeros for whoever is new."""
    factors = model.factors
    sides = factors.user_prior, factors.item_prior

    def solver(prior, others):
        return lambda cells: rated_row(prior, others, *cells, factors.mean, factors.scale)

    solve = solver(sides[0], factors.items)
    users = moved(factors.users, solve, solve, before, after)
    turned = before.transpose(0, 2, 1), after.transpose(0, 2, 1)
    return users, moved(factors.items, solver(sides[1], factors.users), solver(sides[1], users), *turned)


def padded(model, users, items):
    """The model with rows of zeros for new users and items, and everybody's labels."""
    return add_rows(model, model.user_vocabulary.extended(users), model.item_vocabulary.extended(items))


def labels_of(model):
    return list(model.user_vocabulary), list(model.item_vocabulary)


# ---- update


@pytest.mark.parametrize("name", RATED)
@pytest.mark.parametrize("new", [dict([pair]) for pair in NEW.items()] + [NEW], ids=[*map("-".join, NEW), "all"])
def test_an_update_solves_the_changed_rows(name, new):
    """By one rating of each kind, and by all of them at once."""
    cells = rated_cells()
    rec = RATED[name].fit(palate.read(table(cells)), progress=False)
    updated = rec.update(table(new))
    assert cells_of(updated.model) == cells | new
    users, items = ([key[side] for key in new] for side in (0, 1))
    wide = padded(rec.model, np.array(users, object), np.array(items, object))
    before, after = (matrices(of, *labels_of(wide)) for of in (cells, cells | new))
    expected = rated_by_hand(wide, before, after)
    np.testing.assert_allclose(updated.model.factors.users, expected[0], rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(updated.model.factors.items, expected[1], rtol=1e-4, atol=2e-5)
    changed = ~np.isin(list(wide.user_vocabulary), users)
    np.testing.assert_array_equal(updated.model.factors.users[changed], wide.factors.users[changed])


def confidences(counts, is_relative):
    """Confidences of a matrix of counts, NaN where nothing was chosen: by the formula of Hu, Koren and Volinsky."""
    if not is_relative:
        return np.where(np.isnan(counts), np.nan, 1.0)
    means = np.array([np.nan if np.isnan(row).all() else np.nanmean(row) for row in counts])
    return (1 + np.log(1 + counts / means[:, None])) / (1 + np.log(2))


def chosen_counts(seed=1, n=150):
    rng = np.random.default_rng(seed)
    cells = rng.choice(N_USERS * N_ITEMS, n, replace=False)
    return {(f"u{c // N_ITEMS}", f"i{c % N_ITEMS}"): float(rng.integers(1, 9)) for c in cells}


def as_counts(counts):
    users, items = zip(*counts, strict=True)
    return palate.read({"user": users, "item": items, "count": list(counts.values())}, kind="implicit")


NEW_COUNTS = {("newt", "i3"): 4.0, ("newt", "fresh"): 2.0, ("u2", "fresh"): 5.0, ("u3", "i1"): 1.0, ("u0", "i14"): 3.0}


@pytest.mark.parametrize("name", CHOSEN)
def test_an_update_by_choices_solves_the_changed_rows(name):
    """Every row by hand: the counts of pairs chosen again add up, and users' mean counts follow."""
    counts = chosen_counts()
    rec = CHOSEN[name].fit(as_counts(counts), progress=False)
    updated = rec.update(as_counts(NEW_COUNTS))
    total = dict(Counter(counts) + Counter(NEW_COUNTS))
    assert {pair: weight for pair, (_, weight) in cells_of(updated.model).items()} == total
    wide = padded(rec.model, *(np.array([pair[side] for pair in NEW_COUNTS], object) for side in (0, 1)))
    dense = [matrices({pair: (1, n) for pair, n in of.items()}, *labels_of(wide))[1] for of in (counts, total)]
    before, after = (np.stack([matrix] * 2) for matrix in (confidences(of, name == "relative") for of in dense))
    changed = [np.isin(list(side), [pair[at] for pair in NEW_COUNTS]) for at, side in enumerate(labels_of(wide))]
    before[:, ~changed[0]] = after[:, ~changed[0]]
    factors = wide.factors

    def solver(of, others):
        return lambda cells: chosen_row(of, others, cells[1])

    solve = solver(factors, factors.items)
    users = all_moved(factors.users, solve, solve, before, after, changed[0])
    turned = before.transpose(0, 2, 1), after.transpose(0, 2, 1)
    sides = solver(factors.transposed(), factors.users), solver(factors.transposed(), users)
    items = all_moved(factors.items, *sides, *turned, changed[1])
    np.testing.assert_allclose(updated.model.factors.users, users, rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(updated.model.factors.items, items, rtol=1e-4, atol=2e-5)


def all_moved(rows, solve_before, solve_after, before, after, changed):
    """As moved(), for the rows of a mask: the confidences of an item follow from the other choices of its users."""
    rows = rows.astype(np.float64)
    for at in np.flatnonzero(changed):
        is_old = not np.isnan(before[0, at]).all()
        rows[at] = solve_after(after[:, at]) + (rows[at] - solve_before(before[:, at]) if is_old else 0)
    return rows


@given(
    st.dictionaries(st.tuples(st.integers(0, 29), st.integers(0, 19)), st.integers(1, 9), min_size=1, max_size=30),
    st.dictionaries(st.tuples(st.integers(0, 35), st.integers(0, 25)), st.integers(1, 9), min_size=1, max_size=30),
)
@settings(max_examples=25)
def test_counts_add_up_as_those_of_a_dictionary(earlier, later):
    first, second = ({(f"u{u}", f"i{i}"): float(n) for (u, i), n in of.items()} for of in (earlier, later))
    rec = palate.Popularity().fit(as_counts(first), progress=False)
    updated = rec.update(as_counts(second))
    added = {pair: weight for pair, (_, weight) in cells_of(updated.model).items()}
    assert added == dict(Counter(first) + Counter(second))


def test_counts_meet_choices_without_counts():
    """A choice without a count counts once, whichever side has none."""
    plain = {("a", "x"): 1.0, ("a", "y"): 1.0, ("b", "x"): 1.0}
    counted = {("a", "y"): 3.0, ("b", "z"): 2.0}
    read = palate.read({"user": ["a", "a", "b"], "item": ["x", "y", "x"]}, kind="implicit")
    total = dict(Counter(plain) + Counter(counted))
    for old, new in ((read, as_counts(counted)), (as_counts(counted), read)):
        updated = palate.Popularity().fit(old, progress=False).update(new)
        assert {pair: weight for pair, (_, weight) in cells_of(updated.model).items()} == total
    twice = palate.Popularity().fit(read, progress=False).update(read)
    assert twice.model.history.weights is None


def scores_of(rec, users, items):
    """Scores of labels, whatever their order in the model, (n_users, n_items)."""
    model = rec.model
    rows = model.scores(model.user_rows(model.user_vocabulary.encode(users)))
    return rows[:, model.item_vocabulary.encode(items)]


def history_by_hand(model, cells, labels):
    """Scores of item-item weights for likes: the sum of the weights from what the user chose."""
    weights = model.factors.weights
    if not isinstance(weights, np.ndarray):
        dense = np.zeros((len(model.item_vocabulary),) * 2)
        dense[np.repeat(np.arange(weights.n_rows), weights.counts), weights.indices] = weights.values
        weights = dense
    chosen = ~np.isnan(matrices(cells, *labels)[0])
    return chosen @ weights


def likes(cells):
    users, items = zip(*cells, strict=True)
    return palate.read({"user": users, "item": items}, kind="implicit")


@pytest.mark.parametrize("name", HISTORIES)
def test_histories_of_choices_are_what_they_would_be_after_a_fit(name):
    """Users of the whole history are neighbors at once; weights between items stay, and new choices use them."""
    cells = dict.fromkeys(rated_cells(), (1.0, 1.0))
    new = {("newt", "i3"): (1.0, 1.0), ("newt", "i7"): (1.0, 1.0), ("u3", "i1"): (1.0, 1.0), ("u5", "i2"): (1.0, 1.0)}
    rec = HISTORIES[name].fit(likes(cells), progress=False)
    updated = rec.update(likes(new))
    labels = labels_of(updated.model)
    got = scores_of(updated, *labels)
    if name == "Neighbors of users":
        refit = HISTORIES[name].fit(likes(cells | new), progress=False)
        np.testing.assert_allclose(got, scores_of(refit, *labels), rtol=1e-5, atol=1e-6)
    else:
        expected = history_by_hand(rec.model, cells | new, (labels[0], list(rec.model.item_vocabulary)))
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    assert cells_of(updated.model) == cells | new


@pytest.mark.parametrize("name", ["Mean", "Popularity", "Popularity, likes"])
def test_an_update_by_everything_is_a_fit(name):
    made = table if "likes" not in name else likes
    cells = rated_cells() if "likes" not in name else dict.fromkeys(rated_cells(), (1.0, 1.0))
    new = NEW if "likes" not in name else dict.fromkeys(NEW, (1.0, 1.0))
    recipe = palate.Mean() if name == "Mean" else palate.Popularity()
    read = palate.read if "likes" not in name else lambda given: given
    rec = recipe.fit(read(made(cells)), progress=False)
    updated, refit = rec.update(read(made(new))), recipe.fit(read(made(cells | new)), progress=False)
    labels = labels_of(updated.model)
    np.testing.assert_allclose(scores_of(updated, *labels), scores_of(refit, *labels), rtol=1e-5)
    assert updated.model.noise == pytest.approx(refit.model.noise, nan_ok=True)
    everything = rec.update(read(made(cells | new)))
    np.testing.assert_allclose(scores_of(everything, *labels), scores_of(refit, *labels), rtol=1e-5)


EVERY = RATED | {
    "Bayes": palate.Bayes(n_factors=2, n_sweeps=20),
    "Mean": palate.Mean(),
    "Popularity": palate.Popularity(),
}


@pytest.mark.parametrize("name", EVERY)
def test_an_update_by_nothing_changes_nothing(name, tmp_path):
    """Without ratings it is refused; with ratings that are known, only the note of the update and rounding are new."""
    cells = rated_cells()
    rec = EVERY[name].fit(palate.read(table(cells)), progress=False)
    rec.save(tmp_path / "before.palate")
    none = dict.fromkeys([("u1", "i1"), ("newt", "i2")], (3.0, 0.0))
    with pytest.raises(DataError, match="no new ratings"):
        rec.update(table(none))
    some = dict(list(cells.items())[:40])
    same = rec.update(table(some))
    for side in ("users", "items"):
        np.testing.assert_allclose(
            getattr(same.model.factors, side), getattr(rec.model.factors, side), rtol=1e-5, atol=1e-6
        )
    assert same.model.fingerprint == rec.model.fingerprint
    assert same.model.limits == rec.model.limits
    assert same.model.training["updates"] == [{"kind": "update", "n_ratings": 40, "n_users": 0, "n_items": 0}]
    rec.save(tmp_path / "after.palate")
    assert (tmp_path / "before.palate").read_bytes() == (tmp_path / "after.palate").read_bytes()


# ---- forget


@pytest.mark.parametrize("name", RATED)
def test_forgetting_solves_the_rows_that_are_left(name):
    """Users less what is forgotten of them, then items, by hand."""
    cells = rated_cells()
    rec = RATED[name].fit(palate.read(table(cells)), progress=False)
    gone = ["u3", "u8", "u9"], ["i2", "i11"]
    left = rec.forget(users=gone[0], items=gone[1])
    kept = {pair: value for pair, value in cells.items() if pair[0] not in gone[0] and pair[1] not in gone[1]}
    assert cells_of(left.model) == kept
    labels = labels_of(rec.model)
    users, items = rated_by_hand(rec.model, *(matrices(of, *labels) for of in (cells, kept)))
    stay = [~np.isin(labels[side], gone[side]) for side in (0, 1)]
    np.testing.assert_allclose(left.model.factors.users, users[stay[0]], rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(left.model.factors.items, items[stay[1]], rtol=1e-4, atol=2e-5)
    assert left.model.training["updates"] == [{"kind": "forget", "n_users": 3, "n_items": 2}]


@pytest.mark.parametrize("name", ["Neighbors of users", "Popularity", "Neighbors", "EASE"])
def test_forgetting_choices_is_a_fit_without_them(name):
    """Exactly for users as neighbors and for popularity; between items the weights that are left stay."""
    recipe = palate.Popularity() if name == "Popularity" else HISTORIES[name]
    cells = dict.fromkeys(rated_cells(), (1.0, 1.0))
    rec = recipe.fit(likes(cells), progress=False)
    gone = ["u3", "u8"], ["i2", "i11"]
    left = rec.forget(users=gone[0], items=gone[1])
    kept = {pair: value for pair, value in cells.items() if pair[0] not in gone[0] and pair[1] not in gone[1]}
    labels = labels_of(left.model)
    if name in ("Neighbors", "EASE"):
        expected = history_by_hand(rec.model, kept, (labels[0], list(rec.model.item_vocabulary)))
        stay = ~np.isin(list(rec.model.item_vocabulary), gone[1])
        np.testing.assert_allclose(scores_of(left, *labels), expected[:, stay], rtol=1e-4, atol=1e-5)
        return
    without = recipe.fit(likes(kept), progress=False)
    np.testing.assert_allclose(scores_of(left, *labels), scores_of(without, *labels), rtol=1e-5, atol=1e-6)


def test_forgetting_ratings_of_a_mean_is_a_fit_without_them():
    cells = rated_cells()
    left = palate.Mean().fit(palate.read(table(cells)), progress=False).forget(users=["u3"], items="i2")
    kept = {pair: value for pair, value in cells.items() if pair[0] != "u3" and pair[1] != "i2"}
    values, weights = (np.array(side) for side in zip(*kept.values(), strict=True))
    mean = (values * weights).sum() / weights.sum()
    assert left.mean == pytest.approx(mean)
    assert left.model.noise == pytest.approx(np.sqrt((weights * (values - mean) ** 2).sum() / weights.sum()), rel=1e-5)


# ---- with a posterior


@pytest.fixture(scope="module")
def bayes():
    cells = rated_cells(n=180)
    recipe = palate.Bayes(n_factors=2, n_sweeps=60, history=False, features=False, user_noise=False)
    return cells, recipe.fit(palate.read(table(cells)), progress=False)


def modes_by_hand(posterior, items, ratings, weights):
    """A user's posterior modes under each draw of the items, (S, k), by the formula of posterior.py."""
    modes = []
    for s in range(len(posterior)):
        Q = posterior.items.vectors[s, items].astype(np.float64)
        Z = np.column_stack([Q[:, :-1], np.ones(len(items))])
        mean, Lambda = posterior.users.mean[s], posterior.users.precision[s]
        targets = (np.asarray(ratings) - posterior.center) / posterior.scale - Q[:, -1]
        A = Lambda + posterior.alpha[s] * Z.T @ np.diag(weights) @ Z
        modes.append(np.linalg.solve(A, Lambda @ mean + posterior.alpha[s] * Z.T @ (weights * targets)))
    return np.array(modes)


def mean_scores(posterior, vectors):
    """The mean over draws of a user's scores of all items, (n_items,)."""
    sums = [
        vectors[s, :-1] @ posterior.items.vectors[s, :, :-1].T + vectors[s, -1] + posterior.items.vectors[s, :, -1]
        for s in range(len(posterior))
    ]
    return posterior.center + posterior.scale * np.mean(sums, axis=0)


def as_vector(factors, scores):
    """The user vector whose scores of all items are nearest, by least squares."""
    Z = np.column_stack([factors.items[:, :-1], np.ones(len(factors.items))]).astype(np.float64)
    targets = (scores - factors.mean) / factors.scale - factors.items[:, -1]
    return np.linalg.lstsq(Z, targets, rcond=None)[0]


def test_a_new_user_of_bayes_is_solved_under_every_draw(bayes):
    _, rec = bayes
    new = {("newt", "i3"): (4.0, 1.0), ("newt", "i5"): (1.0, 2.0), ("newt", "i9"): (5.0, 0.5)}
    updated = rec.update(table(new))
    items = rec.model.item_vocabulary.encode(["i3", "i5", "i9"])
    modes = modes_by_hand(rec.model.posterior, items, [4, 1, 5], np.array([1, 2, 0.5]))
    expected = as_vector(rec.model.factors, mean_scores(rec.model.posterior, modes))
    np.testing.assert_allclose(updated.model.factors.users[-1], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("is_forgotten", [False, True], ids=["update", "forget"])
def test_users_of_bayes_move_as_their_modes_do(bayes, is_forgotten):
    """By one rating each, added or forgotten: as far as the modes under all draws, but for random numbers."""
    cells, rec = bayes
    item = "i6"
    users = [user for user in rec.model.user_vocabulary if ((user, item) in cells) == is_forgotten]
    new = {} if is_forgotten else {(user, item): (5.0, 3.0) for user in users}
    changed = rec.forget(items=item) if is_forgotten else rec.update(table(new))
    posterior, factors = rec.model.posterior, rec.model.factors

    def vector(ratings):
        values, weights = (np.array(side) for side in zip(*ratings.values(), strict=True))
        modes = modes_by_hand(posterior, rec.model.item_vocabulary.encode(list(ratings)), values, weights)
        return as_vector(factors, mean_scores(posterior, modes))

    def scores(vectors):  # of all items: columns with small singular values say little, and differ by chance
        return vectors[:, :-1] @ factors.items[:, :-1].T + vectors[:, -1:]

    expected = []
    for user in users:
        own = {other: pair for (u, other), pair in cells.items() if u == user}
        after = {other: pair for other, pair in own.items() if other != item} | {
            i: new[u, i] for u, i in new if u == user
        }
        expected.append(vector(after) - vector(own))
    expected, at = np.array(expected), rec.model.user_vocabulary.encode(users)
    got = changed.model.factors.users[at] - factors.users[at]
    got, expected = scores(got), scores(expected)
    assert len(users) > 5
    assert np.sum((got - expected) ** 2) < 0.1 * np.sum(expected**2)  # 0.002 to 0.08 over twelve such updates


def shift_by_hand(posterior, factors, vectors):
    """The change of user vectors, (m, k), nearest to the mean change of scores under draws, by least squares."""
    Z = np.column_stack([factors.items[:, :-1], np.ones(len(factors.items))]).astype(np.float64)
    items = posterior.items.vectors
    scores = [vectors[s, :, :-1] @ items[s, :, :-1].T + vectors[s, :, -1:] for s in range(len(posterior))]
    return np.linalg.lstsq(Z, posterior.scale / factors.scale * np.mean(scores, axis=0).T, rcond=None)[0].T


def test_each_side_of_a_move_has_its_own_draws_of_the_items(bayes):
    """Draws before and after start from their own vectors, and each is seen through its own items."""
    _, rec = bayes
    updated = rec.update(table({("u1", "i6"): (5.0, 1.0), ("u2", "i3"): (1.0, 1.0), ("u7", "i0"): (5.0, 1.0)}))
    codes = rec.model.user_vocabulary.encode(["u1", "u2", "u7"])
    own = [take_rows(model.history, codes) for model in (rec.model, updated.model)]
    rng = np.random.default_rng(0)
    before = rec.model.posterior
    sides = [
        replace(side, vectors=side.vectors + rng.normal(0, 0.3, side.vectors.shape).astype(np.float32))
        for side in (before.users, before.items)
    ]
    after, factors = replace(before, users=sides[0], items=sides[1]), rec.model.factors
    state = UpdateState(factors, before, after).solve_users(Change(codes, *own, None, None), seed=3)
    expected = factors.users[codes].astype(np.float64)
    for sign, posterior, rows, made in ((-1, before, own[0], state.before), (1, after, own[1], state.after)):
        drawn = posterior.solve(rows, draw=True, seed=3)
        np.testing.assert_array_equal(made.users.vectors[:, codes], drawn)
        expected += sign * shift_by_hand(posterior, factors, drawn - posterior.users.vectors[:, codes])
    np.testing.assert_allclose(state.factors.users[codes], expected, rtol=1e-3, atol=1e-4)
    others = np.setdiff1d(np.arange(rec.n_users), codes)
    np.testing.assert_array_equal(state.after.users.vectors[:, others], after.users.vectors[:, others])
    np.testing.assert_array_equal(state.factors.users[others], factors.users[others])


def test_whoever_comes_or_goes_is_drawn_anew(bayes):
    """Without ratings before, draws of both sides are the new ones; without ratings now, only those after."""
    _, rec = bayes
    posterior, factors = rec.model.posterior, rec.model.factors
    rows, none = take_rows(rec.model.history, np.array([3, 4])), CompressedRows.empty(2)
    codes = np.array([3, 4], np.int32)
    for own, is_new in (((none, rows), True), ((rows, none), False)):
        state = UpdateState(factors, posterior, posterior).solve_users(Change(codes, *own, None, None), seed=8)
        drawn = posterior.solve(own[1], draw=True, seed=9)
        np.testing.assert_array_equal(state.after.users.vectors[:, codes], drawn)
        earlier = drawn if is_new else posterior.users.vectors[:, codes]
        np.testing.assert_array_equal(state.before.users.vectors[:, codes], earlier)
        modes = posterior.solve_new(own[1])
        expected = [as_vector(factors, mean_scores(posterior, modes[:, at])) for at in (0, 1)]
        np.testing.assert_allclose(state.factors.users[codes], expected, rtol=1e-3, atol=1e-3)


def test_users_of_ordered_ratings_move_as_their_modes_do():
    """Random numbers of ordered ratings are out of step after one rating more; the move has none of them."""
    cells = {pair: (value, 1.0) for pair, (value, _) in rated_cells(n=180).items()}
    recipe = palate.Bayes(n_factors=1, n_sweeps=40, history=False, features=False, user_noise=False)
    off, moved = 0.0, 0.0
    for seed in range(4):  # a chain's share is off by 1 to 10%
        rec = replace(recipe, likelihood="ordinal", seed=seed).fit(palate.read(table(cells)), progress=False)
        posterior, factors = rec.model.posterior, rec.model.factors
        users = [user for user in rec.model.user_vocabulary if (user, "i6") not in cells]
        updated = rec.update(table(dict.fromkeys([(user, "i6") for user in users], (5.0, 1.0))))
        codes = rec.model.user_vocabulary.encode(users)
        modes = [posterior.solve(take_rows(model.history, codes), draw=False) for model in (rec.model, updated.model)]
        expected = shift_by_hand(posterior, factors, modes[1] - modes[0])
        off += np.sum((updated.model.factors.users[codes] - factors.users[codes] - expected) ** 2)
        moved += np.sum(expected**2)
    assert off < 0.08 * moved


def test_tables_of_new_labels_are_in_their_order():
    """Records of new users in the order of the model, whatever the order of the tables and of the ratings."""
    cells = rated_cells()
    people = pl.DataFrame({"user": [f"u{n}" for n in range(N_USERS)], "age": range(N_USERS)})
    rec = palate.Mean().fit(palate.read(table(cells), users=people), progress=False)
    new = {("z", "i3"): (4.0, 1.0), ("y", "i1"): (2.0, 1.0), ("u3", "i1"): (1.0, 1.0), ("x", "i1"): (2.0, 1.0)}
    told = pl.DataFrame({"user": ["x", "u3", "y", "z", "w"], "age": [101, 103, 102, 104, 105]})
    model = rec.update(table(new), users=told).model
    ages = dict(zip(model.user_vocabulary, model.user_table["age"], strict=True))
    assert ages == {f"u{n}": n for n in range(N_USERS)} | {"x": 101, "y": 102, "z": 104}


def test_attributes_without_histories_keep_their_columns():
    """A link on attributes alone has no column for users and items that come and go."""
    people = pl.DataFrame(
        {"user": [f"u{n}" for n in range(N_USERS)], "kind": [["a", "b"][n % 2] for n in range(N_USERS)]}
    )
    cells = rated_cells()
    recipe = palate.Bayes(n_factors=1, n_sweeps=15, history=False)
    rec = recipe.fit(palate.read(table(cells), users=people), progress=False)
    link = rec.model.posterior.users.link
    told = people.head(1).with_columns(user=pl.lit("newt"))
    for model in (rec.update(table(NEW), users=told).model, rec.forget(users=["u3"], items=["i2"]).model):
        assert (rec.model.user_info.n_history, model.user_info.n_history) == (0, 0)
        assert model.user_info.n_features == rec.model.user_info.n_features == link.shape[1]
        np.testing.assert_array_equal(model.posterior.users.link, link)


def test_draws_of_ordered_ratings_spread_as_far_as_their_precision_says():
    """Draws of a user lie around the mode; without the Gibbs steps they would be the mode."""
    cells = {pair: (value, 1.0) for pair, (value, _) in rated_cells(n=180).items()}
    recipe = palate.Bayes(n_factors=1, n_sweeps=40, history=False, features=False, user_noise=False)
    posterior = replace(recipe, likelihood="ordinal").fit(palate.read(table(cells)), progress=False).model.posterior
    items = np.arange(6, dtype=np.int32)
    own = CompressedRows(np.array([0, 6]), items, np.array([1, 5, 4, 2, 3, 5], np.float32), None)
    modes = posterior.solve(own, draw=False)[:, 0]
    start = np.repeat(modes[:, None], 1, axis=1)
    for begin in (None, start):
        drawn = np.stack([posterior.solve(own, draw=True, seed=seed, start=begin)[:, 0] for seed in range(60)])
        for s in range(len(posterior)):
            Q = posterior.items.vectors[s, :6].astype(np.float64)
            Z = np.column_stack([Q[:, :-1], np.ones(6)])
            known = np.linalg.inv(posterior.users.precision[s] + posterior.alpha[s] * Z.T @ Z)
            spread = np.cov(drawn[:, s].T)
            assert np.trace(spread) > 0.6 * np.trace(known)  # more than with known latents, but for sampling noise
