"""The SGD kernel against the reference implementation, on every instruction set and any number of threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.kernels import at_level
from palate import kernels
from palate.kernels import reference
from palate.recipes.gradient_descent import random_table

some = settings(max_examples=25, deadline=None)


def epoch_of(seed, n_factors, bias, sigmoid, adagrad, weighted, n=300, n_users=23, n_items=17):
    """The arguments of one epoch, over a grid of 3 x 3, starting anywhere."""
    rng = np.random.default_rng(seed)
    users, items = (random_table(np.ones(rows), n_factors, rng) * 30 for rows in (n_users, n_items))
    if bias:
        users[:, -2], items[:, -1] = rng.standard_normal(n_users), rng.standard_normal(n_items)
        users[:, -1] = items[:, -2] = 1
    user_codes = np.sort(rng.integers(0, n_users, n)).astype(np.int32)
    item_codes = rng.integers(0, n_items, n).astype(np.int32)
    cell = (user_codes % 3) * 3 + item_codes % 3
    order = np.argsort(cell, kind="stable")
    cells = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=9))]).astype(np.int64)
    strata = np.array([[0, 4, 8], [2, 3, 7], [1, 5, 6]], dtype=np.int32)
    options = {
        "weights": rng.uniform(0, 2, n).astype(np.float32) if weighted else None,
        "user_squares": rng.uniform(0, 1, n_users).astype(np.float32) if adagrad else None,
        "item_squares": rng.uniform(0, 1, n_items).astype(np.float32) if adagrad else None,
        "n_factors": n_factors,
        "bias": bias,
        "mean": 0.3,
        "scale": 0.8,
        "low": -2.0 if sigmoid else 0.0,
        "high": 1.5 if sigmoid else 0.0,
        "weight_decay": 0.05,
    }
    values = rng.standard_normal(n).astype(np.float32)
    rates = np.array([0.01, 0.02, 0.005], np.float32)
    return (users, items, user_codes[order], item_codes[order], values, cells, strata, rates), options


def run(function, arguments, options, **more):
    """What an epoch returns and what it leaves in the tables, as copies."""
    arguments = [array.copy() for array in arguments]
    options = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in options.items()} | more
    loss = function(*arguments, **options)
    return [np.float64(loss), *arguments[:2], options["user_squares"], options["item_squares"]]


epochs = st.builds(
    epoch_of,
    seed=st.integers(0, 2**32 - 1),
    n_factors=st.sampled_from([0, 1, 2, 13, 14, 15, 30, 31, 46, 50, 62, 63, 80]),
    bias=st.booleans(),
    sigmoid=st.booleans(),
    adagrad=st.booleans(),
    weighted=st.booleans(),
    n=st.integers(0, 300),
)


@pytest.mark.parametrize("level", kernels.levels())
@some
@given(epoch=epochs)
def test_an_epoch_equals_the_reference(level, epoch):
    with at_level(level):
        found = run(kernels.descend, *epoch)
    for one, two in zip(found, run(reference.descend, *epoch), strict=True):
        if two is not None:
            np.testing.assert_allclose(one, two, rtol=2e-4, atol=2e-5)


@some
@given(epoch=epochs)
def test_an_epoch_gives_the_same_bytes_on_any_number_of_threads(epoch):
    first, *others = (run(kernels.descend, *epoch, n_threads=n) for n in (1, 2, 3))
    for other in others:
        for one, two in zip(first, other, strict=True):
            assert (one is None and two is None) or one.tobytes() == two.tobytes()


@some
@given(epoch=epochs)
def test_an_epoch_leaves_constants_and_padding_alone(epoch):
    (users, items, *_), options = epoch
    _, users_after, items_after, *_ = run(kernels.descend, *epoch)
    between = slice(options["n_factors"], -2)
    np.testing.assert_array_equal(users_after[:, -1], users[:, -1])
    np.testing.assert_array_equal(items_after[:, -2], items[:, -2])
    assert not users_after[:, between].any() and not items_after[:, between].any()
    if not options["bias"]:
        assert not users_after[:, -2:].any() and not items_after[:, -2:].any()
