"""The BPR kernel: against the reference implementation, its gradient, and the negatives it draws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.kernels import at_level
from helpers.pairs import BLOCKS, altered, epoch_of, nudged, run, table
from palate import kernels
from palate.kernels import reference
from palate.recipes.pair_grid import alias_tables

some = settings(max_examples=20, deadline=None)
few = settings(max_examples=7, deadline=None)  # the reference implementation is slow
epochs = st.builds(
    epoch_of,
    seed=st.integers(0, 2**32 - 1),
    n_factors=st.sampled_from([0, 1, 8, 15, 16, 31, 40, 63, 70]),
    popular=st.booleans(),
    n_candidates=st.sampled_from([1, 1, 2, 5]),
    density=st.sampled_from([0.0, 0.2, 0.6, 0.95]),
)


@pytest.mark.parametrize("level", kernels.levels())
@few
@given(epoch=epochs)
def test_an_epoch_equals_the_reference(level, epoch):
    with at_level(level):
        found = run(kernels.descend_pairs, *epoch)
    for one, two in zip(found, run(reference.descend_pairs, *epoch), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("level", kernels.levels())
@some
@given(epoch=epochs)
def test_an_epoch_gives_the_same_bytes_on_any_number_of_threads(level, epoch):
    with at_level(level):
        first, *others = (run(kernels.descend_pairs, *epoch, n_threads=n) for n in (1, 2, 3))
    for other in others:
        assert all(
            np.asarray(one).tobytes() == np.asarray(two).tobytes() for one, two in zip(first, other, strict=True)
        )


@some
@given(epoch=epochs)
def test_an_epoch_leaves_constants_and_padding_alone(epoch):
    users, items = epoch[0][:2]
    _, _, users_after, items_after = run(kernels.descend_pairs, *epoch)
    for before, after in ((users, users_after), (items, items_after)):
        padding = ~before[:, :-1].any(axis=0)
        assert not after[:, :-1][:, padding].any()
    assert (users_after[:, -1] == 1).all()


def one_pair(rng, n_factors=7):
    """One user who has item 0 of two: the arguments of a step of size 1, with only one possible negative."""
    users, items = table(rng, 1, n_factors, 1), table(rng, 2, n_factors, rng.standard_normal(2))
    zero = np.zeros(1, np.int32)
    arguments = (users, items, zero, zero, np.array([0, 1]), zero, np.array([0, 1, 1]), np.array([[[0, 1]]], np.int32))
    options = {
        "blocks": np.array([0, 2, 2]),
        "block_items": np.array([0, 1], np.int32),
        "own": np.array([1, 0], np.float32),
        "n_candidates": 1,
        "weight_decay": 0.1,
    }
    return (*arguments, np.ones(1, np.float32)), options


def test_a_step_is_the_gradient():
    arguments, options = one_pair(np.random.default_rng(1))
    loss, steps, users, items = run(kernels.descend_pairs, *(arguments, options))
    assert steps == 1
    x = np.concatenate([array[:, :7].ravel() for array in arguments[:2]] + [arguments[1][:, -1]]).astype(np.float64)
    after = np.concatenate([array[:, :7].ravel() for array in (users, items)] + [items[:, -1]])

    def objective(x, decay=0.1):
        p, q, b = x[:7], x[7:21].reshape(2, 7), x[21:]
        return np.logaddexp(0, -(p @ (q[0] - q[1]) + b[0] - b[1])) + decay * x @ x

    assert loss == pytest.approx(objective(x, 0), rel=1e-6)
    nudges = np.eye(len(x)) * 1e-5
    slopes = [(objective(x + nudge) - objective(x - nudge)) / 2e-5 for nudge in nudges]
    np.testing.assert_allclose(x - after, slopes, atol=1e-6)


@pytest.mark.parametrize("margin", [-1e4, -200.0, 200.0, 1e4])
def test_a_huge_margin_stays_finite(margin):
    arguments, options = one_pair(np.random.default_rng(2))
    arguments[1][0, -1] = margin
    loss, _, users, items = run(kernels.descend_pairs, *(arguments, options | {"weight_decay": 0.0}))
    assert np.isfinite(loss)
    assert np.isfinite(users).all()
    assert np.isfinite(items).all()
    assert items[1, -1] - arguments[1][1, -1] == pytest.approx(-1 if margin < 0 else 0, abs=1e-6)


def negatives_of_many_steps(observed, popularity=None, n=30_000, rate=2e-8):
    """How often each of 19 items is the negative of item 0, (19,): a tiny step lowers its bias by half the rate."""
    rng = np.random.default_rng(8)
    users, items = table(rng, 1, 0, 1), table(rng, 19, 0, 0)
    codes = np.zeros(n, np.int32)
    cells = np.array([0, *[n] * 6])
    strata, block_items = np.array([[[0, 1]]], np.int32), np.arange(19, dtype=np.int32)
    tables = (None, None) if popularity is None else alias_tables(popularity, block_items, BLOCKS)
    kernels.descend_pairs(
        users, items, codes, codes, np.array([0, len(observed)]), np.array(observed, np.int32), cells, strata,
        np.array([rate], np.float32), blocks=BLOCKS, block_items=block_items,
        own=np.array([0.6, 0, 0, 0, 0, 0], np.float32), accept=tables[0], alias=tables[1], seed=11,
    )  # fmt: skip
    counts = -items[:, -1].astype(np.float64) / (rate / 2)
    assert np.allclose(counts[1:], np.round(counts[1:]), atol=0.1 + 2e-3 * n / 19)
    return np.round(counts)[1:]


@pytest.mark.parametrize("popular", [False, True])
def test_negatives_have_their_probabilities_and_are_never_observed(popular):
    popularity = np.arange(1.0, 20.0) if popular else np.ones(19)
    observed = [0, 2, 6]
    counts = negatives_of_many_steps(observed, popularity if popular else None)
    share = np.zeros(19)
    for block, probability in ((slice(0, 5), 0.6), (slice(5, 9), 0.4)):
        share[block] = probability * popularity[block] / popularity[block].sum()
    share[observed] = 0
    assert (counts[share[1:] == 0] == 0).all()
    drawn = share[1:] > 0
    expected = share[1:][drawn] / share.sum() * counts.sum()
    assert counts.sum() == pytest.approx(30_000, rel=2e-3)
    assert np.sum((counts[drawn] - expected) ** 2 / expected) < 18.5  # 99% of chi-square with 7 degrees of freedom


def test_a_user_who_has_all_items_takes_no_step():
    arguments, options = epoch_of(3, density=0.0)  # user 0 has all items, the others none
    loss, steps, users, items = run(kernels.descend_pairs, arguments, options)
    assert (loss, steps) == (0, 0)
    assert users.tobytes() == arguments[0].tobytes()
    assert items.tobytes() == arguments[1].tobytes()


def test_the_candidate_with_the_highest_score_is_used():
    touched = {}
    for n_candidates in (1, 100):
        arguments, options = epoch_of(4, n_factors=0, density=0.2, n_candidates=n_candidates)
        items = arguments[1]
        items[:, -1] = np.arange(19)
        options |= {"weight_decay": 0.0, "own": np.zeros(6, np.float32) + 0.5}
        _, _, _, after = run(kernels.descend_pairs, arguments, options)
        touched[n_candidates] = np.flatnonzero(after[:, -1] < items[:, -1])
    assert touched[100].mean() > touched[1].mean() + 2  # items of high scores


@pytest.mark.parametrize(
    ("name", "value", "error", "says"),
    [
        ("users", lambda a: a.astype(np.float64), TypeError, "users"),
        ("users", lambda a: a[:, :12].copy(), ValueError, "multiple of 16"),
        ("items", lambda a: a[:-1].copy(), TypeError, "block_items"),
        ("user_codes", nudged(0, 11), IndexError, "user_codes"),
        ("item_codes", nudged(0, -1), IndexError, "item_codes"),
        ("item_codes", lambda a: a[:-1].copy(), TypeError, "item_codes"),
        ("indptr", nudged(0, 1), ValueError, "indptr"),
        ("indices", nudged(0, 19), IndexError, "indices"),
        ("indices", nudged(1, 0), ValueError, "rise in each row; row 0"),
        ("cells", nudged(1, 10**9), ValueError, "cells must rise"),
        ("cells", lambda a: a[None], TypeError, "cells"),
        ("strata", nudged(0, 18), IndexError, "strata"),
        ("strata", lambda a: a[:, :, :1].copy(), TypeError, "strata"),
        ("rates", nudged(0, np.nan), ValueError, "rates"),
        ("blocks", nudged(-1, 18), ValueError, "blocks must rise"),
        ("blocks", np.zeros(0, np.int64), TypeError, "blocks"),
        ("block_items", nudged(0, 19), IndexError, "block_items"),
        ("alias", nudged(0, -1), IndexError, "alias"),
        ("alias", None, TypeError, "both accept and alias"),
        ("accept", nudged(0, 1.5), ValueError, "accept"),
        ("own", nudged(0, np.nan), ValueError, "own"),
        ("n_candidates", 0, ValueError, "n_candidates"),
        ("weight_decay", -1.0, ValueError, "weight_decay"),
        ("n_threads", -1, ValueError, "n_threads"),
    ],
)
def test_invalid_arguments_raise(name, value, error, says):
    with pytest.raises(error, match=says):
        kernels.descend_pairs(**altered(name, value))
    kernels.descend_pairs(**altered("n_threads", 1))
