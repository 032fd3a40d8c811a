from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Codes = NDArray[np.int32]
Steps = NDArray[np.uint8] | NDArray[np.int32]

def solve_rows(
    indptr: NDArray[np.int64],
    indices: Codes,
    values: Floats,
    other: Floats,
    *,
    precision: Floats,
    mean: Floats,
    weights: Floats | None = None,
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
    n_threads: int = 0,
) -> tuple[Floats, NDArray[np.float64] | None]: ...
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
    n_threads: int = 0,
) -> float: ...
def predict_pairs(
    users: Floats,
    items: Floats,
    user_codes: Codes,
    item_codes: Codes,
    *,
    bias: bool = False,
    center: float = 0.0,
    scale: float = 1.0,
    n_threads: int = 0,
) -> Floats: ...
def draw_truncated(
    means: Floats, steps: Steps, cuts: Floats, *, seed: int, sweep: int, stream: int, n_threads: int = 0
) -> Floats: ...
def expect_truncated(means: Floats, steps: Steps, cuts: Floats, *, n_threads: int = 0) -> Floats: ...
def count_steps(
    means: Floats, steps: Steps, n_steps: int, *, low: float, width: float, n_bins: int, n_threads: int = 0
) -> NDArray[np.int64]: ...
def step_curve(
    scores: Floats,
    cuts: Floats,
    gains: Floats,
    *,
    variances: Floats | None = None,
    base: float = 0.0,
    n_threads: int = 0,
) -> Floats: ...
def gram(x: Floats, *, n_threads: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
def draw_link(
    indptr: NDArray[np.int64],
    indices: Codes,
    values: Floats,
    link: Floats,
    residuals: Floats,
    *,
    ridge: Floats,
    factor: Floats,
    seed: int = 0,
    sweep: int = 0,
    stream: int = 0,
    n_threads: int = 0,
) -> None: ...
def multiply_rows(
    indptr: NDArray[np.int64], indices: Codes, values: Floats | None, table: Floats, *, n_threads: int = 0
) -> Floats: ...
def multiply_sparse(
    indptr: NDArray[np.int64],
    indices: Codes,
    values: Floats | None,
    other_indptr: NDArray[np.int64],
    other_indices: Codes,
    other_values: Floats | None,
    n_columns: int,
    *,
    n_threads: int = 0,
) -> Floats: ...
def multiply_wide(
    indptr: NDArray[np.int64], indices: Codes, values: Floats | None, table: Floats, *, n_threads: int = 0
) -> Floats: ...
def nearest_rows(
    indptr: NDArray[np.int64],
    indices: Codes,
    values: Floats | None,
    other_indptr: NDArray[np.int64],
    other_indices: Codes,
    other_values: Floats | None,
    n_others: int,
    *,
    k: int,
    shrinkage: float = 0.0,
    sizes: Codes | None = None,
    n_threads: int = 0,
) -> tuple[Codes, Floats]: ...
def normals(seed: int, row: int, sweep: int, stream: int, n: int) -> Floats: ...
def philox(c0: int, c1: int, c2: int, c3: int, k0: int, k1: int) -> tuple[int, int, int, int]: ...
def compress_rows(
    row_codes: Codes, other_codes: Codes, values: Floats, weights: Floats | None, n_rows: int
) -> tuple[NDArray[np.int64], Codes, Floats, Floats | None]: ...
def select_top(scores: NDArray[Any], n: int, *, n_threads: int = 0) -> tuple[Codes, Floats]: ...
def levels() -> list[str]: ...
def level() -> str: ...
def use_level(name: str) -> None: ...
