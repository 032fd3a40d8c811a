"""The compiled kernels. Docstrings stand in the border files, as in rows/solve_rows_border.cpp; help() shows them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Codes = NDArray[np.int32]
Steps = NDArray[np.uint8] | NDArray[np.int32]
Mask = NDArray[np.bool_] | NDArray[np.uint8]

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
    previous: Floats | None = None,
    relaxation: float = 0.0,
    seed: int = 0,
    sweep: int = 0,
    stream: int = 0,
    first_row: int = 0,
    errors: bool = False,
    modes: Floats | None = None,
    n_threads: int = 0,
) -> tuple[Floats, NDArray[np.float64] | None]: ...
def solve_draws(
    indptr: NDArray[np.int64],
    indices: Codes,
    values: Floats,
    others: Floats,
    *,
    precisions: Floats,
    means: Floats,
    alphas: Floats,
    weights: Floats | None = None,
    center: float = 0.0,
    scale: float = 1.0,
    draw: bool = False,
    seed: int = 0,
    stream: int = 0,
    n_threads: int = 0,
) -> Floats: ...
def solve_blocks(
    indptr: NDArray[np.int64],
    indices: Codes,
    values: Floats,
    other: Floats,
    vectors: Floats,
    *,
    block: int,
    weights: Floats | None = None,
    ridge: Floats | None = None,
    background: Floats | None = None,
    n_threads: int = 0,
) -> Floats: ...
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
def descend_pairs(
    users: Floats,
    items: Floats,
    user_codes: Codes,
    item_codes: Codes,
    indptr: NDArray[np.int64],
    indices: Codes,
    cells: NDArray[np.int64],
    strata: Codes,
    rates: Floats,
    *,
    blocks: NDArray[np.int64],
    block_items: Codes,
    own: Floats,
    accept: Floats | None = None,
    alias: Codes | None = None,
    n_candidates: int = 1,
    weight_decay: float = 0.0,
    seed: int = 0,
    epoch: int = 0,
    n_threads: int = 0,
) -> tuple[float, int]: ...
def descend_softmax(
    users: Floats,
    items: Floats,
    user_codes: Codes,
    item_codes: Codes,
    indptr: NDArray[np.int64],
    indices: Codes,
    cells: NDArray[np.int64],
    strata: Codes,
    rates: Floats,
    *,
    blocks: NDArray[np.int64],
    block_items: Codes,
    n_negatives: int,
    temperature: float = 1.0,
    cosine: bool = False,
    weight_decay: float = 0.0,
    seed: int = 0,
    epoch: int = 0,
    n_threads: int = 0,
) -> tuple[float, int]: ...
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
def sparse_gram(
    indptr: NDArray[np.int64],
    indices: Codes,
    values: Floats | None,
    other_indptr: NDArray[np.int64],
    other_indices: Codes,
    other_values: Floats | None,
    *,
    n_threads: int = 0,
) -> tuple[NDArray[np.int64], Codes, Floats]: ...
def solve_supports(
    gram_indptr: NDArray[np.int64],
    gram_indices: Codes,
    gram_values: Floats,
    *,
    diagonal: Floats,
    ridges: Floats,
    indptr: NDArray[np.int64],
    indices: Codes,
    targets: Codes,
    right: Floats | None = None,
    n_threads: int = 0,
) -> Floats: ...
def event_grams(
    indptr: NDArray[np.int64], items: Codes, memory: Floats, *, n_items: int, k: int = 0, n_threads: int = 0
) -> tuple[tuple[NDArray[np.int64], Codes, Floats], Floats, tuple[NDArray[np.int64], Codes, Floats]]: ...
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
    values: Floats | None,
    link: Floats,
    residuals: Floats,
    *,
    row_values: Floats | None = None,
    ridge: Floats,
    factor: Floats,
    relaxation: float = 0.0,
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
def has_repeats(indptr: NDArray[np.int64], indices: Codes, n_columns: int) -> bool: ...
def compress_rows(
    row_codes: Codes, other_codes: Codes, values: Floats, weights: Floats | None, n_rows: int
) -> tuple[NDArray[np.int64], Codes, Floats, Floats | None]: ...
def select_top(scores: NDArray[Any], n: int, *, n_threads: int = 0) -> tuple[Codes, Floats]: ...
def pack_items(
    items: Floats, users: Floats, *, bias: bool = True, n_threads: int = 0
) -> tuple[Codes, Floats, NDArray[np.float64]]: ...
def top_n(
    users: Floats,
    items: Floats,
    n: int,
    *,
    bias: bool = True,
    seen_indptr: NDArray[np.int64] | None = None,
    seen_indices: Codes | None = None,
    allowed: Mask | None = None,
    packed: tuple[Codes, Floats, NDArray[np.float64]] | None = None,
    n_threads: int = 0,
) -> tuple[Codes, Floats]: ...
def top_n_of(
    scores: Floats,
    n: int,
    *,
    seen_indptr: NDArray[np.int64] | None = None,
    seen_indices: Codes | None = None,
    allowed: Mask | None = None,
    n_threads: int = 0,
) -> tuple[Codes, Floats]: ...
def rank_targets(
    users: Floats,
    items: Floats,
    target_indptr: NDArray[np.int64],
    target_indices: Codes,
    *,
    n: int = 0,
    bias: bool = True,
    seen_indptr: NDArray[np.int64] | None = None,
    seen_indices: Codes | None = None,
    allowed: Mask | None = None,
    n_threads: int = 0,
) -> tuple[NDArray[np.int64], NDArray[np.float64], Codes, Codes]: ...
def rank_targets_of(
    scores: Floats,
    target_indptr: NDArray[np.int64],
    target_indices: Codes,
    *,
    n: int = 0,
    seen_indptr: NDArray[np.int64] | None = None,
    seen_indices: Codes | None = None,
    allowed: Mask | None = None,
    n_threads: int = 0,
) -> tuple[NDArray[np.int64], NDArray[np.float64], Codes, Codes]: ...
def release_memory() -> None: ...
def levels() -> list[str]: ...
def level() -> str: ...
def use_level(name: str) -> None: ...
def begin_to_finish() -> None: ...
