"""Small trainings of the kernels of BPR: tables, positives, cells and blocks, made up from a seed."""

import numpy as np

BLOCKS = np.array([0, 5, 9, 9, 13, 16, 19], np.int64)  # one of them empty


def table(rng, n, n_factors, last):
    """Rows of factors, zeros and one last number, (n, width)."""
    out = np.zeros((n, -(-(n_factors + 1) // 16) * 16), np.float32)
    out[:, :n_factors] = rng.standard_normal((n, n_factors)) * 0.3
    out[:, -1] = last
    return out


def compressed(pairs, n_users):
    """Positives by user, the items of each rising: indptr, indices."""
    pairs = sorted(pairs)
    counts = np.bincount([u for u, _ in pairs], minlength=n_users)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), np.array([i for _, i in pairs], np.int32)


def epoch_of(seed, n_factors=5, popular=False, n_candidates=1, density=0.3, n_users=11):
    """The arguments of one epoch over 3 x 6 blocks, starting anywhere; user 0 has all items and user 1 none."""
    rng = np.random.default_rng(seed)
    n_items = int(BLOCKS[-1])
    likes = rng.random((n_users, n_items)) < density
    likes[0], likes[1] = True, False
    block_items = rng.permutation(n_items).astype(np.int32)
    block_of = np.empty(n_items, np.int64)
    block_of[block_items] = np.repeat(np.arange(6), np.diff(BLOCKS))
    pairs = rng.permutation(np.argwhere(likes))
    cell = (pairs[:, 0] % 3) * 6 + block_of[pairs[:, 1]]
    order = np.argsort(cell, kind="stable")
    cells = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=18))]).astype(np.int64)
    matching = rng.permutation(6).reshape(3, 2)
    strata = np.array([[a * 6 + matching[(a + shift) % 3] for a in range(3)] for shift in range(3)], np.int32)
    indptr, indices = compressed(map(tuple, pairs), n_users)
    sizes = np.repeat(np.diff(BLOCKS), np.diff(BLOCKS))
    within = np.repeat(BLOCKS[:-1], np.diff(BLOCKS)) + rng.integers(0, sizes)  # an alias is an item of the same block
    options = {
        "blocks": BLOCKS,
        "block_items": block_items,
        "own": rng.uniform(0, 1, 6).astype(np.float32),
        "accept": rng.uniform(0, 1, n_items).astype(np.float32) if popular else None,
        "alias": block_items[within] if popular else None,
        "n_candidates": n_candidates,
        "weight_decay": 0.05,
        "seed": int(rng.integers(0, 2**63)),
        "epoch": 3,
    }
    arguments = (
        table(rng, n_users, n_factors, 1),
        table(rng, n_items, n_factors, rng.standard_normal(n_items)),
        *(np.ascontiguousarray(pairs[order, side]).astype(np.int32) for side in (0, 1)),
        indptr,
        indices,
        cells,
        strata,
        np.array([0.3, 0.1, 0.05], np.float32),
    )
    return arguments, options


def run(function, arguments, options, **more):
    """Loss, steps, and the tables that an epoch leaves."""
    users, items = (array.copy() for array in arguments[:2])
    loss, steps = function(users, items, *arguments[2:], **options | more)
    return np.float64(loss), steps, users, items


def altered(name, value, make=None):
    """The arguments of an epoch, one of them replaced."""
    arguments, options = make() if make else epoch_of(1, popular=True)
    names = ["users", "items", "user_codes", "item_codes", "indptr", "indices", "cells", "strata", "rates"]
    given = dict(zip(names, arguments, strict=True)) | options
    given[name] = value(given[name]) if callable(value) else value
    return given


def nudged(at, to):
    def change(array):
        array = array.copy()
        array.flat[at] = to
        return array

    return change
