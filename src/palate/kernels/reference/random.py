"""Reference implementation of the random generator: Philox words and standard normals of a counter."""

from __future__ import annotations

import numpy as np

from palate.kernels.reference.arrays import Doubles, Words

WORD = np.uint64(0xFFFFFFFF)


def normals(seed: int, row: int, sweep: int, stream: int, n: int) -> Doubles:
    """The first n standard normals of counter (block, row, sweep, stream), (n,), by Box and Muller.

    Block b gives four words; (w0, w1) and (w2, w3) each make (r cos a, r sin a) with r = sqrt(-2 ln u). u is the upper
    24 bits of the first word plus one half, in float32, over 2^24; a is the upper 26 bits of the second over 2^26, as
    a share of a full turn.
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

    A round multiplies two words and mixes the upper halves of the products with the other two words and the key. The
    key grows by the golden ratio and by sqrt(3) - 1 each round.
    """
    c0, c1, c2, c3 = counter
    for round_number in range(10):
        k0 = np.uint64((key0 + round_number * 0x9E3779B9) & 0xFFFFFFFF)
        k1 = np.uint64((key1 + round_number * 0xBB67AE85) & 0xFFFFFFFF)
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (p1 >> np.uint64(32)) ^ c1 ^ k0, p1 & WORD, (p0 >> np.uint64(32)) ^ c3 ^ k1, p0 & WORD
    return [c0, c1, c2, c3]
