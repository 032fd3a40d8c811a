"""The slow NumPy twin of every kernel, written from the formula in float64: the oracle of the tests.

Same names and arguments as `palate.kernels`; the twins check nothing and ignore `n_threads`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Codes = NDArray[np.int32]
Words = NDArray[np.uint64]
Steps = NDArray[np.uint8] | NDArray[np.int32]

WORD = np.uint64(0xFFFFFFFF)  # words of 32 bits are kept in 64, so that a product of two fits


def solve_rows(
    indptr: NDArray[np.int64],
    indices: Codes,
    values: Floats,
    other: Floats,
    *,
    precision: Floats,
    mean: Floats,
    weights: Floats | None = None,
    row_weights: Floats | None = None,
    other_weights: Floats | None = None,
    ridge: Floats | None = None,
    background: Floats | None = None,
    bias: bool = False,
    center: float = 0.0,
    scale: float = 1.0,
    alpha: float = 1.0,
    draw: bool = False,
    seed: int = 0,
    sweep: int = 0,
    stream: int = 0,
    errors: bool = False,
    n_threads: int = 0,  # noqa: ARG001
) -> tuple[Doubles, Doubles | None]:
    """Every row of one side given the other, (n_rows, k), and its sum of w (t - x.z)^2, (n_rows,).

    B = Lambda + ridge I + background + alpha sum_j w_j z_j z_j^T
    mode  x = B^-1 ((Lambda + ridge I) m + alpha sum_j w_j t_j z_j)        draw  x = mode + L^-T eps,  B = L L^T

    w_j is the product of the weights of the rating, of its row, (n_rows,), and of the other side's, (n_other,).

    Raises LinAlgError (a ValueError) where B is not positive definite.
    """
    n_rows, k = len(indptr) - 1, other.shape[1]
    Z, targets = targets_of(indices, values, other, bias=bias, center=center, scale=scale)
    w = np.ones(len(values)) if weights is None else weights.astype(np.float64)
    w = w if row_weights is None else w * np.repeat(row_weights, np.diff(indptr))
    w = w if other_weights is None else w * other_weights[indices]
    means = np.broadcast_to(mean.astype(np.float64), (n_rows, k))
    out, sse = np.empty((n_rows, k)), np.empty(n_rows)
    for row in range(n_rows):
        here = slice(indptr[row], indptr[row + 1])
        z, t = Z[here], targets[here]
        prior = precision.astype(np.float64) + (0.0 if ridge is None else float(ridge[row])) * np.eye(k)
        B = prior + alpha * (w[here, None] * z).T @ z + (0.0 if background is None else background)
        h = prior @ means[row] + alpha * z.T @ (w[here] * t)
        L = np.linalg.cholesky(B)
        noise = normals(seed, row, sweep, stream, k) if draw else np.zeros(k)
        out[row] = np.linalg.solve(L.T, np.linalg.solve(L, h) + noise)
        sse[row] = np.sum(w[here] * (t - z @ out[row]) ** 2)
    return out, sse if errors else None


def targets_of(
    indices: Codes, values: Floats, other: Floats, *, bias: bool, center: float, scale: float
) -> tuple[Doubles, Doubles]:
    """What a row is fitted to: z = other[j], (n, k), and t = (value - center) / scale, (n,).

    With a bias the last column c of `other` moves to the target: z = [q, 1], t = (value - center) / scale - c.
    """
    z = other[indices].astype(np.float64)
    t = (values.astype(np.float64) - center) / scale
    if not bias:
        return z, t
    t = t - z[:, -1]
    z[:, -1] = 1.0
    return z, t


def predict_pairs(
    users: Floats,
    items: Floats,
    user_codes: Codes,
    item_codes: Codes,
    *,
    bias: bool = False,
    center: float = 0.0,
    scale: float = 1.0,
    n_threads: int = 0,  # noqa: ARG001
) -> Doubles:
    """The prediction center + scale * (p . q [+ b + c]) of each pair, shape (n,); b and c are the last columns."""
    x, y = users[user_codes].astype(np.float64), items[item_codes].astype(np.float64)
    factors = x.shape[1] - bias
    taste: Doubles = np.einsum("nk,nk->n", x[:, :factors], y[:, :factors])
    effects: Doubles = x[:, factors:].sum(axis=1) + y[:, factors:].sum(axis=1)
    return center + scale * (taste + effects)


def multiply_rows(
    indptr: NDArray[np.int64],
    indices: Codes,
    values: Floats | None,
    table: Floats,
    *,
    n_threads: int = 0,  # noqa: ARG001
) -> Doubles:
    """A sparse matrix times a table: row r is the sum of values_rj table_j, (n_rows, k). No values: all 1."""
    entries = table[indices].astype(np.float64) * (1.0 if values is None else values[:, None].astype(np.float64))
    sums = np.concatenate([np.zeros((1, table.shape[1])), np.cumsum(entries, axis=0)])
    product: Doubles = sums[indptr[1:]] - sums[indptr[:-1]]
    return product


def draw_link(
    indptr: NDArray[np.int64],
    indices: Codes,
    values: Floats | None,
    link: Floats,
    residuals: Floats,
    *,
    row_values: Floats | None = None,
    ridge: Floats,
    factor: Floats,
    seed: int = 0,
    sweep: int = 0,
    stream: int = 0,
    n_threads: int = 0,  # noqa: ARG001
) -> None:
    """One Gibbs pass over the rows beta_f of a link, changing it and the residuals R = X - m - F beta in place.

    The features F are grouped by feature: those with f, and their values. With C the factor, C C^T = Lambda^-1, and
    v = sum_r F_rf^2 + ridge_f:  beta_f ~ Normal((sum_r F_rf R_r + sum_r F_rf^2 beta_f) / v, C C^T / v).
    row_values: in place of values where a row's entries are all alike, (n_rows,).
    """
    if values is None:
        assert row_values is not None
        values = row_values[indices]
    for f in range(len(link)):
        rows = indices[indptr[f] : indptr[f + 1]]
        here = values[indptr[f] : indptr[f + 1]].astype(np.float64)
        before = link[f].astype(np.float64)
        squares = np.sum(here**2)
        noise = factor.astype(np.float64) @ normals(seed, f, sweep, stream, link.shape[1])
        mean = (here @ residuals[rows] + squares * before) / (squares + ridge[f])
        link[f] = mean + noise / np.sqrt(squares + ridge[f])
        residuals[rows] -= here[:, None] * (link[f] - before)


def gram(x: Floats, *, n_threads: int = 0) -> tuple[Doubles, Doubles]:  # noqa: ARG001
    """X^T X, (k, k), and the column sums, (k,)."""
    rows = x.astype(np.float64)
    return rows.T @ rows, rows.sum(axis=0)


def normals(seed: int, row: int, sweep: int, stream: int, n: int) -> Doubles:
    """The first n standard normals of counter (block, row, sweep, stream), by Box and Muller, shape (n,).

    Block b gives four words: (w0, w1) and (w2, w3) each make (r cos a, r sin a) with r = sqrt(-2 ln u). u is the upper
    24 bits of the first word, put half a step above zero in float32; a is the upper 26 bits of the second, as a turn.
    """
    blocks = np.arange((n + 3) // 4, dtype=np.uint64)
    counter = [blocks, *(np.full_like(blocks, word) for word in (row, sweep, stream))]
    words = np.stack(philox_words(counter, seed & 0xFFFFFFFF, seed >> 32), axis=1)  # (blocks, 4)
    steps = (words[:, 0::2] >> np.uint64(8)).astype(np.float32) + np.float32(0.5)
    radius = np.sqrt(-2.0 * np.log(steps.astype(np.float64) / 2**24))
    angle = 2.0 * np.pi * (words[:, 1::2] >> np.uint64(6)).astype(np.float64) / 2**26
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=2).reshape(-1)[:n]


def philox(c0: int, c1: int, c2: int, c3: int, k0: int, k1: int) -> tuple[int, int, int, int]:
    """The four words of counter c under key k, by Philox4x32-10 (Salmon et al., SC 2011)."""
    w0, w1, w2, w3 = philox_words([np.array([word], dtype=np.uint64) for word in (c0, c1, c2, c3)], k0, k1)
    return int(w0[0]), int(w1[0]), int(w2[0]), int(w3[0])


def philox_words(counter: list[Words], key0: int, key1: int) -> list[Words]:
    """Philox4x32-10 of many counters: four arrays of words in, four out.

    A round multiplies two words and mixes the upper halves with the other two and the key, which grows by the golden
    ratio and by sqrt(3) - 1.
    """
    c0, c1, c2, c3 = counter
    for turn in range(10):
        k0 = np.uint64((key0 + turn * 0x9E3779B9) & 0xFFFFFFFF)
        k1 = np.uint64((key1 + turn * 0xBB67AE85) & 0xFFFFFFFF)
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (p1 >> np.uint64(32)) ^ c1 ^ k0, p1 & WORD, (p0 >> np.uint64(32)) ^ c3 ^ k1, p0 & WORD
    return [c0, c1, c2, c3]


def draw_truncated(
    means: Floats,
    steps: Steps,
    cuts: Floats,
    *,
    seed: int,
    sweep: int,
    stream: int,
    n_threads: int = 0,  # noqa: ARG001
) -> Doubles:
    """A draw from Normal(mean, 1) between the cuts around each rating's step, shape (n,), by inverse CDF.

    Phi(x) = Phi(a) + u (Phi(b) - Phi(a)), seen from the side on which Phi is smaller; x by bisection. Rating e takes
    word (e % 64) / 16 of the block 16 (e / 64) + e % 16 of counter (block, block >> 32, sweep, stream); u is its upper
    31 bits, put half a step above zero in float32.
    """
    e = np.arange(len(means), dtype=np.uint64)
    block = e // np.uint64(64) * np.uint64(16) + e % np.uint64(16)
    counter = [block & WORD, block >> np.uint64(32), np.full_like(block, sweep), np.full_like(block, stream)]
    words = np.array(philox_words(counter, seed & 0xFFFFFFFF, seed >> 32))
    bits = words[e % np.uint64(64) // np.uint64(16), np.arange(len(e))] >> np.uint64(1)
    u = (bits.astype(np.float32) + np.float32(0.5)).astype(np.float64) / 2**31
    a, b, flip, low, high = _mirrored(means, steps, cuts)
    x = np.array([_truncated_quantile(*one) for one in zip(a.tolist(), b.tolist(), u.tolist(), strict=True)])
    return np.clip(means + np.where(flip, -x, x), low, high)


def expect_truncated(
    means: Floats,
    steps: Steps,
    cuts: Floats,
    *,
    n_threads: int = 0,  # noqa: ARG001
) -> Doubles:
    """The mean of Normal(mean, 1) between the cuts around each rating's step, shape (n,).

    With (a, b) the step as seen from the mean: mean + (phi(a) - phi(b)) / (Phi(b) - Phi(a)).
    """
    a, b, flip, low, high = _mirrored(means, steps, cuts)
    x = np.array([_truncated_mean(*one) for one in zip(a.tolist(), b.tolist(), strict=True)])
    return np.clip(means + np.where(flip, -x, x), low, high)


def _mirrored(
    means: Floats, steps: Steps, cuts: Floats
) -> tuple[Doubles, Doubles, NDArray[np.bool_], Doubles, Doubles]:
    """Each rating's step as seen from its mean, mirrored where a + b > 0: (a, b, whether mirrored, low, high)."""
    ends = np.concatenate([[-np.inf], cuts.astype(np.float64), [np.inf]])
    low, high = ends[steps], ends[steps.astype(np.int64) + 1]
    a, b = low - means, high - means
    flip = -a < b
    return np.where(flip, -b, a), np.where(flip, -a, b), flip, low, high


def _truncated_mean(a: float, b: float) -> float:
    """(phi(a) - phi(b)) / (Phi(b) - Phi(a)) for a + b <= 0."""
    log_mass = log_cdf(b) + math.log(-math.expm1(log_cdf(a) - log_cdf(b)))
    ratios = [math.exp(-end * end / 2 - log_mass) / math.sqrt(2 * math.pi) for end in (a, b)]
    return ratios[0] - ratios[1]


def _truncated_quantile(a: float, b: float, u: float) -> float:
    """The x in (a, b), a + b <= 0, with (Phi(x) - Phi(a)) / (Phi(b) - Phi(a)) = u, by bisection."""
    below, above = max(a, min(b, 0.0) - 40.0), b
    from_a = math.exp(log_cdf(a) - log_cdf(b))  # Phi(a) / Phi(b)
    wanted = math.log(from_a + u * (1.0 - from_a))
    for _ in range(80):
        middle = (below + above) / 2
        if log_cdf(middle) - log_cdf(b) < wanted:
            below = middle
        else:
            above = middle
    return above


def log_cdf(x: float) -> float:
    """The logarithm of Phi(x); far out from Phi(-y) = phi(y) / (y + 1 / (y + 2 / (y + 3 / ...)))."""
    if x > -20:
        return math.log(0.5 * math.erfc(-x / math.sqrt(2)))
    if x == -math.inf:
        return x
    fraction = -x
    for n in range(30, 0, -1):
        fraction = -x + n / fraction
    return -x * x / 2 - math.log(fraction * math.sqrt(2 * math.pi))


def count_steps(
    means: Floats,
    steps: Steps,
    n_steps: int,
    *,
    low: float,
    width: float,
    n_bins: int,
    n_threads: int = 0,  # noqa: ARG001
) -> NDArray[np.int64]:
    """How many ratings of each step have their mean in each bin, (n_steps, n_bins); the end bins take the rest."""
    with np.errstate(over="ignore"):
        places = (means - np.float32(low)) * (np.float32(1) / np.float32(width))
    bins = np.clip(np.nan_to_num(places, nan=0.0), 0, n_bins - 1).astype(np.int64)
    counts = np.zeros((n_steps, n_bins), np.int64)
    np.add.at(counts, (steps.astype(np.int64), bins), 1)
    return counts


def step_curve(
    scores: Floats,
    cuts: Floats,
    gains: Floats,
    *,
    variances: Floats | None = None,
    base: float = 0.0,
    n_threads: int = 0,  # noqa: ARG001
) -> Doubles:
    """The curve base + sum_k gains_k Phi((score - cut_k) / sqrt(1 + variance)) at each score, (n,)."""
    sigma = np.sqrt(1.0 + (np.zeros(len(scores)) if variances is None else variances.astype(np.float64)))
    out = np.full(len(scores), float(base))
    for cut, gain in zip(cuts.astype(np.float64), gains.astype(np.float64), strict=True):
        out += [gain * 0.5 * math.erfc(-x / math.sqrt(2)) for x in (scores - cut) / sigma]
    return out


def has_repeats(indptr: NDArray[np.int64], indices: Codes, n_columns: int) -> bool:
    """Whether a row of a sparse matrix of n_columns has one of them twice."""
    pairs = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr)) * n_columns + indices
    return len(np.unique(pairs)) < len(pairs)


def compress_rows(
    row_codes: Codes, other_codes: Codes, values: Floats, weights: Floats | None, n_rows: int
) -> tuple[NDArray[np.int64], Codes, Floats, Floats | None]:
    """The ratings grouped by row, in their own order within each: (indptr, indices, values, weights)."""
    order = np.argsort(row_codes, kind="stable")
    indptr = np.searchsorted(row_codes[order], np.arange(n_rows + 1)).astype(np.int64)
    return indptr, other_codes[order], values[order], None if weights is None else weights[order]


def select_top(scores: NDArray[Any], n: int, *, n_threads: int = 0) -> tuple[Codes, Floats]:  # noqa: ARG001
    """The n best columns of each row and their scores, both (rows, n); ties go to the lower column.

    NaN and -inf are never chosen: where too few are left, the code is -1 and the score -inf.
    """
    ranked = np.where(np.isnan(scores), -np.inf, scores)
    codes = np.argsort(-ranked, axis=1, kind="stable")[:, :n].astype(np.int32)
    best = np.take_along_axis(ranked, codes, axis=1).astype(np.float32)
    return np.where(best == -np.inf, np.int32(-1), codes), best


def descend(
    users: Floats,
    items: Floats,
    user_codes: Codes,
    item_codes: Codes,
    values: Floats,
    cells: NDArray[np.int64],
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
    """One epoch of SGD, changing users and items (and AdaGrad's squares) in place; the sum of w error^2 on the way.

    The loss of a rating is w ((f(mean + scale x . z) - r)^2 + weight_decay (|p|^2 + b^2 + |q|^2 + c^2)), where a user's
    row x is [p, zeros, b, 1] and an item's z is [q, zeros, 1, c] ([.., 0, 0] without biases), and f the identity or,
    where low < high, low + (high - low) sigmoid. Strata follow each other at their rates; within one, cells do.
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
            share = 1 / (1 + np.exp(-score))
            predicted = score if low == high else low + (high - low) * share
            slope = scale * (1.0 if low == high else (high - low) * share * (1 - share))
            error = predicted - values[e]
            total += weight * error**2
            x_gradient = 2 * weight * (error * slope * z + weight_decay * x) * learned_x
            z_gradient = 2 * weight * (error * slope * x + weight_decay * z) * learned_z
            n_parameters = max(1, n_factors + bias)
            users[user_codes[e]] -= _rate(lr, x_gradient, user_squares, user_codes[e], n_parameters) * x_gradient
            items[item_codes[e]] -= _rate(lr, z_gradient, item_squares, item_codes[e], n_parameters) * z_gradient
    return total


def _rate(lr: float, gradient: NDArray[np.float64], squares: Floats | None, row: int, n_parameters: int) -> float:
    """The rate of a row: lr, or with AdaGrad lr / sqrt(sum of its mean squared gradients, this one included)."""
    if squares is None:
        return lr
    squares[row] += gradient @ gradient / n_parameters
    return float(lr / (np.sqrt(squares[row]) + 1e-10))
