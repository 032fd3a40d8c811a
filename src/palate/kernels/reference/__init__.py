"""Reference implementations: every kernel once more in plain NumPy, written from its formula and slow."""

from palate.kernels.reference.blocks import solve_blocks
from palate.kernels.reference.bpr import descend_pairs
from palate.kernels.reference.neighbors import multiply_sparse, multiply_wide, nearest_rows
from palate.kernels.reference.ranking import rank_targets, rank_targets_of, top_n, top_n_of
from palate.kernels.reference.rows import (
    compress_rows,
    count_steps,
    descend,
    draw_link,
    draw_truncated,
    expect_truncated,
    gram,
    has_repeats,
    log_cdf,
    multiply_rows,
    normals,
    philox,
    philox_words,
    predict_pairs,
    select_top,
    solve_rows,
    step_curve,
    targets_of,
)

__all__ = [
    "compress_rows",
    "count_steps",
    "descend",
    "descend_pairs",
    "draw_link",
    "draw_truncated",
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
    "solve_rows",
    "step_curve",
    "targets_of",
    "top_n",
    "top_n_of",
]
