"""The compiled kernels: arrays in, arrays out.

A folder holds one story: rows (solving users given items, Gram matrices, predictions), blocks (the same for many
factors), links (features), latent (ordered ratings), sgd, bpr, neighbors, supports (regressions on a few items each),
ranking (top-n lists, ranks of targets) and random. In it x.cpp computes and x_border.cpp checks the arguments from
Python and carries the docstring. levels, border and pool hold what all share: instruction sets, checks, threads. The
same functions in plain NumPy stand in palate.kernels.reference.

Kernels run without Python's lock. Do not change arrays in another thread before the call returns: codes that were in
range when they were checked may no longer be, and then the process may crash.
"""

import atexit

from palate.kernels._kernels import (
    begin_to_finish,
    compress_rows,
    count_steps,
    descend,
    descend_pairs,
    descend_softmax,
    draw_link,
    draw_truncated,
    event_grams,
    expect_truncated,
    gram,
    has_repeats,
    level,
    levels,
    multiply_rows,
    multiply_sparse,
    multiply_wide,
    nearest_rows,
    normals,
    pack_items,
    philox,
    predict_pairs,
    rank_targets,
    rank_targets_of,
    release_memory,
    select_top,
    solve_blocks,
    solve_draws,
    solve_rows,
    solve_supports,
    sparse_gram,
    step_curve,
    top_n,
    top_n_of,
    use_level,
)

atexit.register(begin_to_finish)

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
    "level",
    "levels",
    "multiply_rows",
    "multiply_sparse",
    "multiply_wide",
    "nearest_rows",
    "normals",
    "pack_items",
    "philox",
    "predict_pairs",
    "rank_targets",
    "rank_targets_of",
    "release_memory",
    "select_top",
    "solve_blocks",
    "solve_draws",
    "solve_rows",
    "solve_supports",
    "sparse_gram",
    "step_curve",
    "top_n",
    "top_n_of",
    "use_level",
]
