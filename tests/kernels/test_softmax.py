"""The kernel of many negatives: against the reference implementation, its gradient, the weights of its negatives."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.kernels import at_level
from helpers.pairs import altered, epoch_of, nudged, run
from palate import kernels
from palate.kernels import reference

some = settings(max_examples=20, deadline=None)
few = settings(max_examples=7, deadline=None)  # the reference implementation is slow


def softmax_epoch(seed, cosine=False, n_negatives=5, temperature=0.7, **more):
    """The arguments of one epoch, as of epoch_of; with cosine factors of length 1."""
    arguments, options = epoch_of(seed, **more)
    users, items, *rest = arguments
    if cosine:
        for table in (users, items):
            table[:, :-1] /= np.maximum(np.linalg.norm(table[:, :-1], axis=1, keepdims=True), 1e-9)
    dropped = ("own", "accept", "alias", "n_candidates")
    options = {name: value for name, value in options.items() if name not in dropped}
    options |= {"cosine": cosine, "n_negatives": n_negatives, "temperature": temperature}
    return (users, items, *rest), options | ({"weight_decay": 0.0} if cosine else {})


epochs = st.builds(
    softmax_epoch,
    seed=st.integers(0, 2**32 - 1),
    cosine=st.booleans(),
    n_factors=st.sampled_from([1, 8, 15, 16, 31, 40, 63, 70]),
    n_negatives=st.sampled_from([1, 3, 5, 300]),
    temperature=st.sampled_from([0.1, 1.0, 3.0]),
    density=st.sampled_from([0.0, 0.2, 0.6, 0.95]),
    n_users=st.sampled_from([11, 90]),  # cells of less and of more than one step
)


@pytest.mark.parametrize("level", kernels.levels())
@few
@given(epoch=epochs)
def test_an_epoch_equals_the_reference(level, epoch):
    with at_level(level):
        found = run(kernels.descend_softmax, *epoch)
    for one, two in zip(found, run(reference.descend_softmax, *epoch), strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-3, atol=5e-5)


@pytest.mark.parametrize("level", kernels.levels())
@some
@given(epoch=epochs)
def test_an_epoch_gives_the_same_bytes_on_any_number_of_threads(level, epoch):
    with at_level(level):
        first, *others = (run(kernels.descend_softmax, *epoch, n_threads=n) for n in (1, 2, 3))
    for other in others:
        assert all(
            np.asarray(one).tobytes() == np.asarray(two).tobytes() for one, two in zip(first, other, strict=True)
        )


@some
@given(epoch=epochs)
def test_an_epoch_leaves_constants_padding_and_lengths_alone(epoch):
    users, items = epoch[0][:2]
    _, _, users_after, items_after = run(kernels.descend_softmax, *epoch)
    for before, after in ((users, users_after), (items, items_after)):
        padding = ~before[:, :-1].any(axis=0)
        assert not after[:, :-1][:, padding].any()
        if epoch[1]["cosine"]:
            np.testing.assert_allclose(np.linalg.norm(after[:, :-1], axis=1), 1, atol=1e-5)
    assert (users_after[:, -1] == users[:, -1]).all()


def one_step(rng, n_users=3, n_items=6, n_factors=4, temperature=0.5, decay=0.1):
    """A step of size 1 of a few users who have one item each, with all items as negatives."""
    users, items = (np.zeros((n, 16), np.float32) for n in (n_users, n_items))
    users[:, :n_factors], items[:, :n_factors] = rng.normal(0, 1, (n_users, 4)), rng.normal(0, 1, (n_items, 4))
    users[:, -1], items[:, -1] = 1, rng.normal(0, 1, n_items)
    codes, chosen = np.arange(n_users, dtype=np.int32), np.arange(n_users, dtype=np.int32)
    cells, strata = np.array([0, n_users, n_users]), np.array([[[0, 1]]], np.int32)
    arguments = (users, items, codes, chosen, np.arange(n_users + 1), chosen, cells, strata, np.ones(1, np.float32))
    options = {
        "blocks": np.array([0, n_items, n_items]),
        "block_items": rng.permutation(n_items).astype(np.int32),
        "n_negatives": n_items,
        "temperature": temperature,
        "weight_decay": decay,
    }
    return arguments, options


def loss_of(users, items, temperature, log_sum_exp=np.logaddexp.reduce):
    """The sum of losses by the definition: the user's own item against all items, the others in full."""
    scores = users @ items.T / temperature
    return temperature * sum(log_sum_exp(row) - row[u] for u, row in enumerate(scores))


def test_a_step_is_the_gradient_of_a_softmax_over_all_items():
    arguments, options = one_step(np.random.default_rng(1), decay=0.0)
    loss, steps, users, items = run(kernels.descend_softmax, arguments, options)
    x, z = (array.astype(np.float64) for array in arguments[:2])
    assert steps == 3
    assert loss == pytest.approx(loss_of(x, z, 0.5) / 0.5, rel=1e-5)
    for table, after in ((x, users), (z, items)):
        for at in np.ndindex(len(table), 4):
            ends = []
            for nudge in (1e-6, -1e-6):
                table[at] += nudge
                ends.append(loss_of(x, z, 0.5))
                table[at] -= nudge
            assert table[at] - after[at] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=2e-5)


def test_weight_decay_shrinks_each_row_by_its_share():
    ends = []
    for decay in (0.0, 0.1):
        arguments, options = one_step(np.random.default_rng(1), decay=decay)
        rates = np.full(1, 1e-3, np.float32)
        ends.append(run(kernels.descend_softmax, (*arguments[:-1], rates), options)[2:])
    x, z = arguments[:2]
    np.testing.assert_allclose(ends[1][0] - ends[0][0], -2e-4 * x * (np.arange(16) < 15), atol=2e-6)
    times = np.array([1 + 0.5] * 3 + [0.5] * 3)[:, None]  # three choices share six negatives
    np.testing.assert_allclose(ends[1][1] - ends[0][1], -2e-4 * times * z, atol=2e-6)


def test_a_step_agrees_with_automatic_differentiation():
    torch = pytest.importorskip("torch")
    arguments, options = one_step(np.random.default_rng(2), n_users=5, n_items=9, decay=0.0)
    _, _, users, items = run(kernels.descend_softmax, arguments, options)
    x, z = (torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in arguments[:2])
    loss = 0.5 * torch.nn.functional.cross_entropy(x @ z.T / 0.5, torch.arange(5), reduction="sum")
    loss.backward()
    np.testing.assert_allclose(arguments[1] - items, z.grad.numpy(), atol=1e-5)
    np.testing.assert_allclose((arguments[0] - users)[:, :-1], x.grad.numpy()[:, :-1], atol=1e-5)


def test_a_cosine_step_turns_rows_along_the_gradient():
    torch = pytest.importorskip("torch")
    arguments, options = one_step(np.random.default_rng(3), decay=0.0)
    rate = 1e-3
    users, items = (array.copy() for array in arguments[:2])
    for table in (users, items):
        table[:, :-1] /= np.linalg.norm(table[:, :-1], axis=1, keepdims=True)
    arguments = (users, items, *arguments[2:-1], np.array([rate], np.float32))
    _, _, users_after, items_after = run(kernels.descend_softmax, arguments, options | {"cosine": True})
    x, z = (torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in (users, items))
    cosines = torch.nn.functional.normalize(x[:, :-1]) @ torch.nn.functional.normalize(z[:, :-1]).T
    scores = cosines + z[:, -1]
    (0.5 * torch.nn.functional.cross_entropy(scores / 0.5, torch.arange(3), reduction="sum")).backward()
    np.testing.assert_allclose((users - users_after) / rate, x.grad.numpy(), atol=3e-3)
    np.testing.assert_allclose((items - items_after) / rate, z.grad.numpy(), atol=3e-3)


@pytest.mark.parametrize("n_negatives", [1, 4])
def test_the_sum_over_negatives_stands_for_all_items_that_the_user_does_not_have(n_negatives):
    """Where all scores are equal, any negatives give the loss of the whole catalogue: ln(1 + items not chosen)."""
    arguments, options = softmax_epoch(5, n_negatives=n_negatives, density=0.2)
    arguments[0][:], arguments[1][:] = 0, 0
    arguments[0][:, -1] = 1
    rates = np.zeros(3, np.float32)
    loss, steps, *_ = run(kernels.descend_softmax, (*arguments[:-1], rates), options)
    counts = np.diff(arguments[4])
    per_choice = np.log(1 + 19 - counts) * counts
    if n_negatives == 4:  # a user may have the only negative of a step
        assert loss == pytest.approx(per_choice[1:].sum(), rel=0.1)
    assert loss / steps == pytest.approx(per_choice[1:].sum() / counts[1:].sum(), rel=0.1)


def test_items_that_a_user_has_are_no_negatives():
    arguments, options = one_step(np.random.default_rng(4), n_users=1, n_items=3, decay=0.0)
    arguments = (*arguments[:4], np.array([0, 2]), np.array([0, 1], np.int32), *arguments[6:])
    _, _, _, items = run(kernels.descend_softmax, arguments, options)
    moved = np.abs(items - arguments[1]).max(axis=1)
    assert moved[1] == 0
    assert (moved[[0, 2]] > 1e-3).all()


def test_a_user_who_has_all_items_takes_no_step():
    arguments, options = softmax_epoch(3, density=0.0)  # user 0 has all items, the others none
    loss, steps, users, items = run(kernels.descend_softmax, arguments, options | {"weight_decay": 0.0})
    assert (loss, steps) == (0, 0)
    assert users.tobytes() == arguments[0].tobytes()
    assert items.tobytes() == arguments[1].tobytes()


@pytest.mark.parametrize("bias", [-1e4, 1e4])
def test_huge_scores_stay_finite(bias):
    arguments, options = one_step(np.random.default_rng(2), decay=0.0)
    arguments[1][0, -1] = bias
    loss, _, users, items = run(kernels.descend_softmax, arguments, options)
    assert np.isfinite(loss)
    assert np.isfinite(users).all()
    assert np.isfinite(items).all()


@pytest.mark.parametrize(
    ("name", "value", "error", "says"),
    [
        ("users", lambda a: a[:, :12].copy(), ValueError, "multiple of 16"),
        ("user_codes", nudged(0, 11), IndexError, "user_codes"),
        ("item_codes", nudged(0, -1), IndexError, "item_codes"),
        ("indptr", nudged(0, 1), ValueError, "indptr"),
        ("indices", nudged(0, 19), IndexError, "indices"),
        ("indices", nudged(1, 0), ValueError, "rise in each row; row 0"),
        ("cells", nudged(1, 10**9), ValueError, "cells must rise"),
        ("strata", nudged(0, 18), IndexError, "strata"),
        ("rates", nudged(0, np.nan), ValueError, "rates"),
        ("blocks", nudged(-1, 18), ValueError, "blocks must rise"),
        ("block_items", nudged(0, 19), IndexError, "block_items"),
        ("block_items", lambda a: np.full_like(a, 3), ValueError, "each item once"),
        ("n_negatives", 0, ValueError, "n_negatives"),
        ("n_negatives", 4097, ValueError, "n_negatives"),
        ("temperature", 0.0, ValueError, "temperature"),
        ("temperature", np.nan, ValueError, "temperature"),
        ("weight_decay", -1.0, ValueError, "weight_decay"),
        ("n_threads", -1, ValueError, "n_threads"),
    ],
)
def test_invalid_arguments_raise(name, value, error, says):
    changed = partial(altered, make=partial(softmax_epoch, 1))
    with pytest.raises(error, match=says):
        kernels.descend_softmax(**changed(name, value))
    kernels.descend_softmax(**changed("n_threads", 1))


def test_a_pair_of_one_cell_twice_is_safe():
    """No grid has such a pair; its items are taken once."""
    arguments, options = softmax_epoch(2, n_negatives=300)
    strata = np.zeros_like(arguments[7][:1, :1])
    assert len(strata.ravel()) == 2
    found = run(kernels.descend_softmax, (*arguments[:7], strata, arguments[8][:1]), options)
    assert np.isfinite(found[0])
    for one, two in zip(
        found, run(reference.descend_softmax, (*arguments[:7], strata, arguments[8][:1]), options), strict=True
    ):
        np.testing.assert_allclose(one, two, rtol=2e-3, atol=5e-5)
