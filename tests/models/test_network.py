"""A network without torch: its score one pair at a time, its slopes, the minimum of its fold-in, its unknown rows."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from helpers.data import rows_of
from palate.models import network as networks
from palate.models.factors import Prior
from palate.models.network import N_OTHERS, Network, pack, unpack

RNG = np.random.default_rng(5)


def floats(*shape):
    return RNG.normal(0, 0.8, shape).astype(np.float32)


def prior(width, alpha):
    root = RNG.normal(0, 0.5, (width + 1, width + 1)) + 2 * np.eye(width + 1)
    return Prior((root @ root.T).astype(np.float32), np.append(floats(width), np.float32(0)), alpha)


def rows_with_inputs(n, width):
    return np.column_stack([floats(n, width), np.zeros(n, np.float32)])


# Users: an embedding of two and one attribute; items: an embedding of three. The first layer has a constant input too.
USER_PLACES, ITEM_PLACES = np.array([4, 0, 6]), np.array([1, 5, 2])
CONSTANTS = floats(7)
LAYERS = ((floats(5, 7), floats(5)), (floats(4, 5), floats(4)), (floats(1, 4), floats(1)))
NET = Network(
    0.0, rows_with_inputs(6, 3), rows_with_inputs(5, 3), prior(3, 1.7), prior(3, 0.6), 1.0, (1.0, 5.0),
    layers=LAYERS, user_places=USER_PLACES, item_places=ITEM_PLACES, constants=CONSTANTS, learned=(2, 3),
)  # fmt: skip
LINEAR = replace(NET, y_range=None)
PAIRS = [(u, i) for u in (*range(6), -1) for i in (*range(5), -1)]
USERS, ITEMS = (np.array(side, np.int32) for side in zip(*PAIRS, strict=True))
each = pytest.mark.parametrize("net", [NET, LINEAR], ids=["in a range", "linear"])


def score(user, item):
    """The score of two rows in double precision."""
    inputs = CONSTANTS.astype(np.float64)
    inputs[USER_PLACES], inputs[ITEM_PLACES] = user[:-1], item[:-1]
    for weight, bias in LAYERS[:-1]:
        inputs = np.maximum(weight.astype(np.float64) @ inputs + bias, 0)
    return float((LAYERS[-1][0].astype(np.float64) @ inputs + LAYERS[-1][1])[0])


def rating(net, at):
    return at if net.y_range is None else 1 + 4 / (1 + np.exp(-at))


def vector(net, side, code):
    vectors, own = (net.users, net.user_prior) if side == "user" else (net.items, net.item_prior)
    return (own.mean if code < 0 else vectors[code]).astype(np.float64)


@each
@pytest.mark.parametrize("block", [1, 50, 4_000_000])
def test_scores_one_pair_at_a_time(net, block, monkeypatch):
    monkeypatch.setattr(networks, "BLOCK_FLOATS", block)
    expected = [score(vector(net, "user", user), vector(net, "item", item)) for user, item in PAIRS]
    np.testing.assert_allclose(net.pair_scores(net.users, USERS, ITEMS), expected, rtol=1e-4, atol=1e-5)
    told = np.array([rating(net, one) for one in expected]).reshape(7, 6)
    np.testing.assert_allclose(net.scores(net.users), told[:6, :5], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(net.predict(USERS, ITEMS), told.ravel(), rtol=1e-4, atol=1e-5)
    turned = net.transposed()
    np.testing.assert_allclose(turned.predict(ITEMS, USERS), told.ravel(), rtol=1e-4, atol=1e-5)
    assert turned.learned == (3, 2)
    assert net.pair_scores(net.users, USERS[:0], ITEMS[:0]).shape == (0,)


def test_slopes_are_derivatives_by_the_embedding():
    users, items = NET.users[USERS], NET.items[ITEMS]  # -1 is the last row here
    found = NET._slopes(users, items)
    assert found.shape == (len(PAIRS), 2)
    h = 1e-6
    for row, (user, item) in enumerate(zip(users.astype(np.float64), items.astype(np.float64), strict=True)):
        for column in range(2):
            step = h * np.eye(4)[column]
            numeric = (score(user + step, item) - score(user - step, item)) / (2 * h)
            assert found[row, column] == pytest.approx(numeric, abs=1e-4)


HISTORIES = rows_of([[0, 2, 3], [], [4], [1, 2, 4]])
HISTORIES = replace(HISTORIES, values=np.array([1, 4.5, 3, 5, 2, 2.5, 4], np.float32))


def loss(net, x, row):
    """alpha sum ((f - r) / span)^2 + (x - m)' Lambda (x - m) over the embedding; attributes are the mean's."""
    mean = net.user_prior.mean.astype(np.float64)
    whole, here = np.append(x, mean[2:]), slice(*HISTORIES.indptr[row : row + 2])
    total = (whole - mean) @ net.user_prior.precision.astype(np.float64) @ (whole - mean)
    for item, value in zip(HISTORIES.indices[here], HISTORIES.values[here], strict=True):
        error = rating(net, score(whole, net.items[item].astype(np.float64))) - value
        total += net.user_prior.alpha * (error / (4 if net.y_range else 1)) ** 2
    return total


@each
def test_fold_in_finds_a_minimum(net):
    folded = net.fold_in(HISTORIES)
    assert folded.shape == (4, 4) and folded.dtype == np.float32
    np.testing.assert_array_equal(folded[:, 2:], np.tile(net.user_prior.mean[2:], (4, 1)))
    np.testing.assert_array_equal(folded[1], net.user_prior.mean)
    for row in range(4):
        x = folded[row, :2].astype(np.float64)
        found = loss(net, x, row)
        assert found <= loss(net, net.user_prior.mean[:2].astype(np.float64), row)
        near = minimize(lambda x, row=row: loss(net, x, row), x, method="Nelder-Mead", options={"xatol": 1e-7})
        slack = 1e-4 if net is NET else 5e-3  # where a ReLU bends, the last steps are cut short
        assert found <= near.fun * (1 + slack) + 1e-7
        exact = net._loss(folded[row], net.items[HISTORIES.row(row)[0]], HISTORIES.row(row)[1])
        assert exact == pytest.approx(found, rel=1e-4, abs=1e-6)


@each
def test_an_unknown_row_varies_as_a_sample_of_trained_ones(net):
    """Over the same sample by hand, for the model's users and for others; what is known adds nothing."""
    rng = np.random.Generator(np.random.Philox(0))
    sample = [rng.integers(0, n, N_OTHERS) for n in (6, 5)]
    others = rows_with_inputs(8, 3)
    for users in (None, others):
        asked = [(0, 1), (2, -1), (-1, 3), (-1, -1), (0, -1), (-1, 0), (5 if users is None else 7, -1)]
        codes = [np.array(side, np.int32) for side in zip(*asked, strict=True)]
        found = net.unknown_variance(*codes, **({} if users is None else {"users": users}))
        for (user, item), variance in zip(asked, found, strict=True):
            own = net.users if users is None else users
            some_users = net.users[sample[0]] if user < 0 else np.tile(own[user], (N_OTHERS, 1))
            some_items = net.items[sample[1]] if item < 0 else np.tile(net.items[item], (N_OTHERS, 1))
            told = [rating(net, score(x, y)) for x, y in zip(some_users, some_items, strict=True)]
            expected = np.var(told) if min(user, item) < 0 else 0
            assert variance == pytest.approx(expected, rel=1e-3, abs=1e-9)


def test_a_network_survives_packing():
    header, tensors = pack(NET)
    again = unpack(NET, header, tensors)
    np.testing.assert_array_equal(again.predict(USERS, ITEMS), NET.predict(USERS, ITEMS))
    assert again.learned == NET.learned
    assert header == {"layers": 3, "learned": [2, 3]}


def without(tensors, **changes):
    return {
        name: changes.get(name.removeprefix("network.").replace(".", "_"), tensor) for name, tensor in tensors.items()
    }


HOSTILE = {
    "a place too high": ({"user_places": np.array([4, 0, 7])}, {}, "places"),
    "a place below 0": ({"item_places": np.array([1, -1, 2])}, {}, "places"),
    "places of another type": ({"user_places": USER_PLACES.astype(np.int32)}, {}, "places"),
    "too few places": ({"user_places": USER_PLACES[:2]}, {}, "places"),
    "more learned than there is": ({}, {"learned": [4, 3]}, "places"),
    "less than nothing learned": ({}, {"learned": [2, -1]}, "places"),
    "a layer that is no matrix": ({"1_weight": floats(4)}, {}, "fit each other"),
    "a layer of another width": ({"1_weight": floats(4, 6)}, {}, "fit each other"),
    "a bias of another width": ({"0_bias": floats(4)}, {}, "fit each other"),
    "a weight of double precision": ({"0_weight": LAYERS[0][0].astype(np.float64)}, {}, "float32"),
    "a bias of double precision": ({"2_bias": LAYERS[2][1].astype(np.float64)}, {}, "float32"),
    "constants of double precision": ({"constants": CONSTANTS.astype(np.float64)}, {}, "one output"),
    "too few constants": ({"constants": CONSTANTS[:5]}, {}, "places"),
    "no layers": ({}, {"layers": 0}, "one output"),
    "no last layer": ({}, {"layers": 2}, "one output"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_parts_that_do_not_fit_are_refused(name):
    changes, more, message = HOSTILE[name]
    header, tensors = pack(NET)
    with pytest.raises(ValueError, match=message):
        unpack(NET, header | more, without(tensors, **changes))
    unpack(NET, header | {"learned": [3, 0]}, tensors)


def test_one_input_a_side_and_one_layer_are_solved_in_one_step(monkeypatch):
    """Without ReLU and range the loss is a parabola: the first step ends at its minimum."""
    weight, bias = floats(1, 2), floats(1)
    net = Network(
        0.0, rows_with_inputs(4, 1), rows_with_inputs(5, 1), prior(1, 1.7), prior(1, 0.6), layers=((weight, bias),),
        user_places=np.array([1]), item_places=np.array([0]), constants=np.zeros(2, np.float32), learned=(1, 1),
    )  # fmt: skip
    assert unpack(net, *pack(net)).user_places.tolist() == [1]
    losses, loss_of = [], Network._loss
    monkeypatch.setattr(Network, "_loss", lambda *given: losses.append(loss_of(*given)) or losses[-1])
    items, values = np.array([0, 2, 4], np.int32), np.float32([1, 4.5, 3])
    folded = net._fitted(items, values)
    slope, rest = float(weight[0, 1]), weight[0, 0] * net.items[items, 0].astype(float) + bias[0] - values
    mean, precision = float(net.user_prior.mean[0]), float(net.user_prior.precision[0, 0])
    minimum = (precision * mean - 1.7 * slope * rest.sum()) / (precision + 1.7 * 3 * slope**2)
    assert folded[0] == pytest.approx(minimum, rel=1e-5)
    assert losses[1] < losses[0] and losses[1] == pytest.approx(min(losses), rel=1e-5)
