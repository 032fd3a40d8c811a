"""Reference implementation of stochastic gradient descent."""

from __future__ import annotations

import numpy as np

from palate.kernels.reference.arrays import Codes, Doubles, Floats, Pointers


def descend(
    users: Floats,
    items: Floats,
    user_codes: Codes,
    item_codes: Codes,
    values: Floats,
    cells: Pointers,
    strata: Codes,
    rates: Floats,
    *,
    weights: Floats | None = None,
    user_squares: Floats | None = None,
    item_squares: Floats | None = None,
    n_factors: int,
    bias: bool = True,
    mean: float = 0.0,
    scale: float = 1.0,
    low: float = 0.0,
    high: float = 0.0,
    weight_decay: float = 0.0,
    n_threads: int = 0,  # noqa: ARG001
) -> float:
    """One epoch of SGD, changing users, items and AdaGrad's squares in place. Returns the sum of w error^2.

    w ((f(mean + scale x . z) - r)^2 + weight_decay (|p|^2 + b^2 + |q|^2 + c^2)) is the loss of a rating. A user's row x
    is [p, zeros, b, 1], an item's row z is [q, zeros, 1, c]; without biases both end with [0, 0]. f is the identity or,
    where low < high, low + (high - low) sigmoid. Strata follow each other at their rates, and so do their cells.
    """
    learned_x = np.arange(users.shape[1]) < users.shape[1] - 1
    learned_z = np.arange(users.shape[1]) != users.shape[1] - 2
    total = 0.0
    for lr, stratum in zip(rates, strata, strict=True):
        for e in np.concatenate([np.arange(cells[cell], cells[cell + 1]) for cell in stratum]):
            x = users[user_codes[e]].astype(np.float64)
            z = items[item_codes[e]].astype(np.float64)
            weight = 1.0 if weights is None else float(weights[e])
            score = mean + scale * (x @ z)
            sigmoid = 1 / (1 + np.exp(-score))
            predicted = score if low == high else low + (high - low) * sigmoid
            slope = scale * (1.0 if low == high else (high - low) * sigmoid * (1 - sigmoid))
            error = predicted - values[e]
            total += weight * error**2
            x_gradient = 2 * weight * (error * slope * z + weight_decay * x) * learned_x
            z_gradient = 2 * weight * (error * slope * x + weight_decay * z) * learned_z
            n_parameters = max(1, n_factors + bias)
            users[user_codes[e]] -= _rate(lr, x_gradient, user_squares, user_codes[e], n_parameters) * x_gradient
            items[item_codes[e]] -= _rate(lr, z_gradient, item_squares, item_codes[e], n_parameters) * z_gradient
    return total


def _rate(lr: float, gradient: Doubles, squares: Floats | None, row: int, n_parameters: int) -> float:
    """The rate of a row: lr, or with AdaGrad lr / sqrt(sum of its mean squared gradients, including this one)."""
    if squares is None:
        return lr
    squares[row] += gradient @ gradient / n_parameters
    return float(lr / (np.sqrt(squares[row]) + 1e-10))
