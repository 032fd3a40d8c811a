"""The compiled kernels: arrays in, arrays out. Their slow twins, written from the formulas, are in palate.reference."""

from palate.kernels._kernels import (
    compress_rows,
    count_steps,
    descend,
    draw_truncated,
    expect_truncated,
    gram,
    level,
    levels,
    normals,
    philox,
    predict_pairs,
    select_top,
    solve_rows,
    step_curve,
    use_level,
)

__all__ = [
    "compress_rows",
    "count_steps",
    "descend",
    "draw_truncated",
    "expect_truncated",
    "gram",
    "level",
    "levels",
    "normals",
    "philox",
    "predict_pairs",
    "select_top",
    "solve_rows",
    "step_curve",
    "use_level",
]
