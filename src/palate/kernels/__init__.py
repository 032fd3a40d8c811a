"""The compiled kernels: arrays in, arrays out. Their slow twins, written from the formulas, are in palate.reference."""

from palate.kernels._kernels import (
    compress_rows,
    descend,
    draw_link,
    gram,
    level,
    levels,
    multiply_rows,
    normals,
    philox,
    predict_pairs,
    select_top,
    solve_rows,
    use_level,
)

__all__ = [
    "compress_rows",
    "descend",
    "draw_link",
    "gram",
    "level",
    "levels",
    "multiply_rows",
    "normals",
    "philox",
    "predict_pairs",
    "select_top",
    "solve_rows",
    "use_level",
]
