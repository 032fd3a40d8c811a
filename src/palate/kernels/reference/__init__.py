"""Reference implementations: every kernel once more in plain NumPy, written from its equation in float64.

They have the names and arguments of `palate.kernels`. They are slow, check nothing and ignore `n_threads`; the tests
compare the kernels with them.
"""

from palate.kernels.reference.blocks import solve_blocks
from palate.kernels.reference.bpr import descend_pairs, descend_softmax
from palate.kernels.reference.events import event_grams
from palate.kernels.reference.latent import count_steps, draw_truncated, expect_truncated, log_cdf, step_curve
from palate.kernels.reference.links import draw_link, multiply_rows
from palate.kernels.reference.neighbors import multiply_sparse, multiply_wide, nearest_rows
from palate.kernels.reference.random import normals, philox, philox_words
from palate.kernels.reference.ranking import rank_targets, rank_targets_of, select_top, top_n, top_n_of
from palate.kernels.reference.rows import (
    compress_rows,
    gram,
    has_repeats,
    predict_pairs,
    solve_draws,
    solve_rows,
    targets_of,
)
from palate.kernels.reference.sgd import descend
from palate.kernels.reference.supports import solve_supports, sparse_gram

__all__ = [
    "compress_rows",
    "count_steps",
    "descend",
    "descend_pairs",
    "descend_softmax",
    "draw_link",
    "draw_truncated",
    "event_grams",
    "expect_truncated",
    "gram",
    "has_repeats",
    "log_cdf",
    "multiply_rows",
    "multiply_sparse",
    "multiply_wide",
    "nearest_rows",
    "normals",
    "philox",
    "philox_words",
    "predict_pairs",
    "rank_targets",
    "rank_targets_of",
    "select_top",
    "solve_blocks",
    "solve_draws",
    "solve_rows",
    "solve_supports",
    "sparse_gram",
    "step_curve",
    "targets_of",
    "top_n",
    "top_n_of",
]
