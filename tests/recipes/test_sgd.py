"""SGD: its grid, PyTorch's autograd step for step, y_range, patience, any number of threads."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from helpers.data import with_values
from palate.errors import OptionError
from palate.models.factors import gauss_newton
from palate.recipes.gradient_descent import learning_rates
from palate.recipes.sgd import DEFAULT_LR, START_SQUARES, Descent, Grid

VARIANTS = list(product(("sgd", "adagrad"), (True, False), (None, (0.0, 5.5))))
each_variant = pytest.mark.parametrize(("optimizer", "bias", "y_range"), VARIANTS)
some = settings(max_examples=25, deadline=None)


@pytest.fixture(scope="module")
def one_torch_thread():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data():
    return palate.datasets.synthetic(120, 80, 3000, n_factors=3, noise=0.5, seed=1)


@pytest.fixture(scope="module")
def weighted(data):
    weights = np.random.default_rng(0).uniform(0.2, 3.0, len(data)).astype(np.float32)
    return data.with_weights(weights)


# ---- the grid --------------------------------------------------------------------------------------------------------


@some
@given(seed=st.integers(0, 2**32 - 1), n_users=st.integers(1, 90), n_items=st.integers(1, 90), n=st.integers(1, 600))
def test_the_grid_visits_every_rating_once_in_strata_that_share_no_row(seed, n_users, n_items, n):
    rng = np.random.default_rng(seed)
    ratings = palate.Ratings(
        (rng.random(n) ** 2 * n_users).astype(np.int32),
        (rng.random(n) ** 2 * n_items).astype(np.int32),
        np.ones(n, np.float32),
        user_vocabulary=palate.Vocabulary.in_order(np.arange(n_users), what="user"),
        item_vocabulary=palate.Vocabulary.in_order(np.arange(n_items), what="item"),
    )
    grid = Grid.of(ratings, rng)
    strata = grid.strata(rng)
    assert sorted(np.concatenate(list(grid.visits(strata)))) == list(range(n))
    for stratum in strata:
        for codes in (ratings.user_codes, ratings.item_codes):
            rows = [set(codes[visit]) for visit in grid.visits(stratum)]
            assert sum(map(len, rows)) == len(set().union(*rows))


def test_many_ratings_are_cut_into_more_blocks():
    rng = np.random.default_rng(0)
    labels = [palate.Vocabulary.in_order(np.arange(500), what=what) for what in ("user", "item")]
    codes = rng.integers(0, 500, (2, 3_000_000)).astype(np.int32)
    ratings = palate.Ratings(*codes, np.ones(3_000_000), user_vocabulary=labels[0], item_vocabulary=labels[1])
    grid = Grid.of(ratings, rng)
    assert grid.side == 32
    assert np.array_equal(np.sort(grid.order), np.arange(3_000_000))
    cells = (codes[0] * 500 + codes[1])[grid.order[: grid.cells[1]]]
    assert 0 < len(cells) < 2 * 3_000_000 / 32**2
    assert (np.diff(grid.order[: grid.cells[1]]) < 0).mean() == pytest.approx(0.5, abs=0.05)  # in no order


def test_blocks_have_nearly_as_many_ratings(data):
    grid = Grid.of(data, np.random.default_rng(0))
    weights = np.diff(grid.cells).reshape(grid.side, grid.side)
    assert weights.sum(axis=1).max() <= 1.1 * weights.sum(axis=1).mean()
    assert weights.sum(axis=0).max() <= 1.1 * weights.sum(axis=0).mean()


# ---- autograd --------------------------------------------------------------------------------------------------------


class Twin:
    """DotProductBias in torch, in double precision: [p, b] and [q, c], one optimizer step for each group of ratings."""

    def __init__(self, descent):
        self.torch = pytest.importorskip("torch")
        self.descent = descent
        self.tables = [self.torch.tensor(table, dtype=self.torch.float64) for table in tables_of(descent)]
        self.squares = [
            self.torch.full((len(table),), START_SQUARES, dtype=self.torch.float64) for table in self.tables
        ]

    def loss(self, x, z, values, weights):
        """The loss: squared error plus weight decay times the sum of the squared parameters it is made of."""
        d = self.descent
        product = (x[:, :-1] * z[:, :-1]).sum(1)
        if d.recipe.bias:
            product = product + x[:, -1] + z[:, -1]
        score = d.offset + d.unit * product
        predicted = score if d.low == d.high else d.low + (d.high - d.low) * self.torch.sigmoid(score)
        decay = d.recipe.weight_decay * ((x**2).sum(1) + (z**2).sum(1))
        return (weights * ((predicted - values) ** 2 + decay)).sum()

    def step(self, ratings, lr):
        """One step on ratings that share no user and no item: the same as a step on each."""
        torch, d = self.torch, self.descent
        codes = [torch.tensor(side[ratings].astype(np.int64)) for side in (d.user_codes, d.item_codes)]
        rows = [table[at].requires_grad_() for table, at in zip(self.tables, codes, strict=True)]
        weights = torch.ones(len(ratings)) if d.weights is None else torch.tensor(d.weights[ratings])
        loss = self.loss(*rows, torch.tensor(d.values[ratings]).double(), weights.double())
        for side, gradient in enumerate(torch.autograd.grad(loss, rows)):
            self.tables[side][codes[side]] -= self.rates(side, codes[side], gradient, lr) * gradient

    def rates(self, side, codes, gradient, lr):
        if self.descent.recipe.optimizer == "sgd":
            return float(lr)
        n_parameters = self.descent.recipe.n_factors + self.descent.recipe.bias
        self.squares[side][codes] += (gradient**2).sum(1) / n_parameters
        return float(lr) / (self.squares[side][codes].sqrt()[:, None] + 1e-10)


def tables_of(descent):
    """(n, k + 1) each: [p, b] of the users, [q, c] of the items."""
    k = descent.recipe.n_factors
    return descent.users[:, [*range(k), -2]], descent.items[:, [*range(k), -1]]


def independent_steps(users, items):
    """Ratings, in their order, parted into the fewest steps such that ratings of a step share no user and no item.

    A rating comes after all earlier ratings of its user and of its item, so that nothing changes but how many are done
    at once.
    """
    step_of = np.zeros(len(users), np.int64)
    user_next, item_next = np.zeros(users.max() + 1, np.int64), np.zeros(items.max() + 1, np.int64)
    for e, (u, i) in enumerate(zip(users, items, strict=True)):
        step_of[e] = max(user_next[u], item_next[i])
        user_next[u] = item_next[i] = step_of[e] + 1
    order = np.argsort(step_of, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(step_of[order])) + 1)


def epoch_in_torch(descent, recipe, epoch, rng, one_by_one):
    """The same epoch through autograd, in the order in which the kernel visits the ratings; the tables it ends with."""
    twin = Twin(descent)
    strata = descent.grid.strata(rng)
    timestamps = epoch + np.arange(descent.grid.side) / descent.grid.side
    rates = learning_rates(recipe.schedule, recipe.lr, timestamps, recipe.n_epochs)
    begin = descent.grid.cells
    for lr, stratum in zip(rates, strata, strict=True):
        visits = np.concatenate([np.arange(begin[cell], begin[cell + 1]) for cell in stratum])
        steps = (
            visits[:, None]
            if one_by_one
            else [visits[step] for step in independent_steps(descent.user_codes[visits], descent.item_codes[visits])]
        )
        for step in steps:
            twin.step(step, lr)
    return [table.numpy() for table in twin.tables]


def assert_equals_autograd(recipe, ratings, one_by_one):
    descent = Descent.start(recipe, ratings, np.random.default_rng(3))
    expected = epoch_in_torch(descent, recipe, 0, np.random.default_rng(4), one_by_one)
    before = [table.copy() for table in tables_of(descent)]
    descent.epoch(0, np.random.default_rng(4))
    for table, twin, start in zip(tables_of(descent), expected, before, strict=True):
        np.testing.assert_allclose(table, twin, atol=1e-5, rtol=0)
        assert np.abs(table - start).max() > 1e-2


@pytest.mark.usefixtures("one_torch_thread")
@each_variant
def test_batch_size_one_in_torch_gives_the_same_parameters(weighted, optimizer, bias, y_range):
    recipe = palate.SGD(n_factors=5, lr=0.05, optimizer=optimizer, bias=bias, y_range=y_range, schedule="1/t")
    assert_equals_autograd(recipe, weighted[:600], one_by_one=True)


@pytest.mark.data
@pytest.mark.usefixtures("one_torch_thread")
@each_variant
def test_an_epoch_of_ml_100k_equals_autograd(ml_100k, optimizer, bias, y_range):
    recipe = palate.SGD(n_epochs=1, lr=DEFAULT_LR[optimizer], optimizer=optimizer, bias=bias, y_range=y_range)
    assert_equals_autograd(recipe, ml_100k, one_by_one=False)


# ---- the recipe ------------------------------------------------------------------------------------------------------


def row_gradient(factors, rows, x):
    """d loss / d x of every row, (n, k), from the formula: the loss that a fold-in says it minimises."""
    codes = np.repeat(np.arange(rows.n_rows), rows.counts)
    z = factors.items[rows.indices].astype(np.float64)
    score = factors.mean + factors.scale * (np.sum(x[codes, :-1] * z[:, :-1], 1) + x[codes, -1] + z[:, -1])
    low, high = factors.y_range
    share = 1 / (1 + np.exp(-score))
    error = (low + (high - low) * share - rows.values) / (high - low)
    weights = 1 if rows.weights is None else rows.weights
    pull = 2 * factors.user_prior.alpha * weights * error * share * (1 - share) * factors.scale
    z[:, -1] = 1
    gradient = 2 * (x - factors.user_prior.mean) @ factors.user_prior.precision.astype(np.float64)
    np.add.at(gradient, codes, pull[:, None] * z)
    return gradient


@pytest.mark.parametrize("y_range", [(0.0, 5.5), (0.9, 5.1), (-100.0, 100.0)])
def test_folding_in_finds_the_optimum_in_a_range_too(weighted, y_range):
    rec = palate.SGD(n_factors=4, y_range=y_range).fit(weighted)
    factors, rows = rec.model.factors, rec.model.history
    found = gauss_newton(factors, rows).astype(np.float64)
    at_start = np.abs(row_gradient(factors, rows, np.zeros_like(found))).max()
    # A loss computed in float32 cannot tell points apart whose gradients are below about sqrt(1e-7) of this one.
    assert np.abs(row_gradient(factors, rows, found)).max() < 1e-3 * at_start


def test_a_wide_range_is_the_linear_model(data):
    linear, wide = (palate.SGD(n_factors=4, y_range=y).fit(data) for y in (None, (-1e3, 1e3)))
    asked = data.to_frame()
    one, two = (rec.predict(asked)["prediction"].to_numpy() for rec in (linear, wide))
    assert np.abs(one - two).max() < 0.01 * np.ptp(one)


def test_no_prediction_leaves_the_range(data):
    rec = palate.SGD(n_factors=4, n_epochs=60, weight_decay=0.0, y_range=(0.5, 5.5)).fit(data)
    scores = rec.model.factors.scores(rec.model.factors.users)
    assert 0.5 <= scores.min() < 1.5
    assert 4.5 < scores.max() <= 5.5
    one = rec.model.factors.predict(data.user_codes[:50], data.item_codes[:50])
    np.testing.assert_allclose(scores[data.user_codes[:50], data.item_codes[:50]], one, rtol=1e-5)


def test_unknown_users_and_items_have_wider_intervals_in_a_range_too(data):
    train, valid = palate.split_random(data, test=0.2, seed=0)
    rec = palate.SGD(n_factors=4, y_range=(0.0, 6.0)).fit(train, valid)
    (_, low, high), (_, wide_low, wide_high) = rec.predict("u1", "i1"), rec.predict("nobody", "nothing")
    assert wide_high - wide_low > high - low > 0


@pytest.mark.parametrize("y_range", [None, (0.0, 6.0)])
def test_an_explanation_adds_up(data, y_range):
    rec = palate.SGD(n_factors=4, n_epochs=60, y_range=y_range).fit(data)
    for item in ("i0", "i7", "i33"):
        why = rec.explain("u5", item)
        assert sum(why.parts.values()) == pytest.approx(why.prediction, abs=1e-4)
        own = sum(reason.contribution for reason in why.because)
        assert own + why.rest == pytest.approx(why.parts["user"] + why.parts["factors"], abs=1e-4)
        assert abs(why.rest) < 0.2


def test_a_saved_range_is_loaded(data, tmp_path):
    rec = palate.SGD(n_factors=4, y_range=(0.0, 6.0)).fit(data)
    rec.save(tmp_path / "model.palate")
    loaded = palate.load(tmp_path / "model.palate")
    assert loaded.model.factors.y_range == (0.0, 6.0)
    assert loaded.predict("u1", "i1").prediction == rec.predict("u1", "i1").prediction
    assert loaded.fold_in({"i1": 5}).predict("i2").prediction == rec.fold_in({"i1": 5}).predict("i2").prediction


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad"])
@pytest.mark.parametrize("y_range", [None, (1.0, 5.0)])
def test_shifting_and_scaling_ratings_shifts_and_scales_predictions(data, optimizer, y_range):
    moved = with_values(data, data.values * 20 - 7)
    moved_range = None if y_range is None else tuple(end * 20 - 7 for end in (0.0, 6.0))
    rec = palate.SGD(n_factors=4, optimizer=optimizer, y_range=y_range and (0.0, 6.0)).fit(data)
    other = palate.SGD(n_factors=4, optimizer=optimizer, y_range=moved_range).fit(moved)
    asked = data.to_frame()
    expected = rec.predict(asked)["prediction"].to_numpy() * 20 - 7
    np.testing.assert_allclose(other.predict(asked)["prediction"].to_numpy(), expected, atol=0.02)


def test_only_the_proportions_of_weights_count(weighted):
    doubled = replace(palate.SGD(n_factors=4), n_epochs=3)
    rec = doubled.fit(weighted)
    again = doubled.fit(
        palate.Ratings(
            weighted.user_codes,
            weighted.item_codes,
            weighted.values,
            weights=weighted.weights * 7,
            user_vocabulary=weighted.user_vocabulary,
            item_vocabulary=weighted.item_vocabulary,
        )
    )
    np.testing.assert_allclose(rec.model.factors.users, again.model.factors.users, atol=1e-6)
    unweighted = doubled.fit(with_values(weighted, weighted.values))
    assert rec.predict("u1", "i1").prediction != unweighted.predict("u1", "i1").prediction


def test_patience_ends_early_and_keeps_the_best_epoch(data):
    train, valid = palate.split_random(data, test=0.3, seed=0)
    recipe = palate.SGD(n_factors=20, n_epochs=200, weight_decay=0.0, schedule="constant", patience=5)
    seen = []
    rec = recipe.fit(train, valid, callback=seen.append)
    errors = [sweep.valid_rmse for sweep in seen]
    best = int(np.argmin(errors))
    assert len(errors) == best + 1 + 5
    predicted = rec.predict(valid.to_frame())["prediction"].to_numpy()
    assert np.sqrt(np.mean((predicted - valid.values) ** 2)) == pytest.approx(errors[best], abs=1e-5)
    assert rec.model.training["ended"] == "ended early: no lower validation error in 5 epochs"
    assert rec.model.noise == rec.model.training["valid_rmse"] == errors[best]
    assert rec.model.training["kept_epoch"] == best + 1
    with pytest.raises(OptionError, match="patience needs validation ratings"):
        recipe.fit(train)


def test_patience_keeps_the_best_epoch_however_the_fit_ends(data):
    train, valid = palate.split_random(data, test=0.3, seed=0)
    recipe = palate.SGD(n_factors=20, n_epochs=200, schedule="constant", patience=50)

    def interrupt(sweep):
        if sweep.number == 3:
            raise KeyboardInterrupt

    for end in (lambda sweep: sweep.number == 3, interrupt):
        rec = recipe.fit(train, valid, callback=end)
        predicted = rec.predict(valid.to_frame())["prediction"].to_numpy()
        error = np.sqrt(np.mean((predicted - valid.values) ** 2))
        errors = [record["valid_rmse"] for record in rec.model.training["epochs"]]
        assert len(errors) == 3
        assert error == pytest.approx(min(errors), abs=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"optimizer": "adam"}, "optimizer='adam' is not valid; use one of 'sgd', 'adagrad'"),
        ({"schedule": "cosine"}, "schedule='cosine' is not valid; use one of 'one-cycle'"),
        ({"y_range": (5, 1)}, "y_range must rise"),
        ({"y_range": 5}, "y_range must be two numbers"),
        ({"y_range": (0, float("nan"))}, "y_range must rise"),
        ({"lr": 0}, "lr must be a number above 0"),
        ({"weight_decay": -1}, "weight_decay must be a number, 0 or more"),
        ({"y_range": "15"}, "y_range must be two numbers"),
        ({"n_factors": None}, "n_factors must be a whole number"),
        ({"seed": None}, "seed must be a whole number"),
        ({"bias": "no"}, "bias must be True or False"),
        ({"n_epochs": 0}, "n_epochs must be a whole number, 1 or more"),
        ({"patience": 0}, "patience must be a whole number"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, said):
    with pytest.raises(OptionError, match=said):
        palate.SGD(**options)


def test_what_cannot_be_learned_is_an_error(data):
    with pytest.raises(OptionError, match=r"does not lie between the ends of y_range=\(10.0, 20.0\)"):
        palate.SGD(y_range=(10, 20)).fit(data)
    with pytest.raises(OptionError, match="standard deviations of the ratings wide"):
        palate.SGD(y_range=(-1e7, 1e7)).fit(data)
    with pytest.raises(OptionError, match="diverged in epoch 1: give a smaller lr than 50"):
        palate.SGD(lr=50.0, schedule="constant").fit(data)


@pytest.mark.data
@pytest.mark.parametrize(
    ("options", "bar"), [({}, 0.8954), ({"y_range": (0, 5.5)}, 0.8954), ({"optimizer": "adagrad"}, 0.91)]
)
def test_ml_100k_is_learned(ml_100k_90_10, options, bar):
    train, test = ml_100k_90_10
    assert palate.evaluate(palate.SGD(**options).fit(train), test)["rmse"] < bar
