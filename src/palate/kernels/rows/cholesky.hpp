// The Cholesky factorization B = U^T U of a small matrix, and the two triangular solves. Works on block rows of W rows.
// Included inside a level's namespace, once for each level, after <cmath> and <cstring>.
#pragma once
#include "kernels/rows/rank_update.hpp"

// Factors the diagonal block at i0 in place, with W pivots: each scales its row and eliminates it from the rows below,
// and from this part of v. Below the diagonal it leaves zeros, so that U can be read in whole vectors. Returns false if
// a pivot is not positive.
inline bool factor_block(float* U, int ld, int i0, float* inverse, float* v) {
  float* block = U + static_cast<int64_t>(i0) * ld + i0;
  Vec rows[W];
  Vec right = load(v + i0);
#pragma GCC unroll 16
  for (int i = 0; i < W; ++i) rows[i] = load(block + i * ld);
#pragma GCC unroll 16
  for (int p = 0; p < W; ++p) {
    const float pivot = rows[p][p];
    if (!(pivot > 0)) return false;
    const float scale = 1.0f / std::sqrt(pivot);
    inverse[i0 + p] = scale;
    rows[p] *= scale;
    v[i0 + p] = right[p] * scale;
    right -= v[i0 + p] * rows[p];
    float* pivot_row = block + p * ld;
    store(pivot_row, rows[p]);
#pragma GCC unroll 16
    for (int i = p + 1; i < W; ++i) rows[i] -= broadcast(pivot_row[i]) * rows[p];
  }
  for (int p = 1; p < W; ++p)
    for (int j = 0; j < p; ++j) block[p * ld + j] = 0.0f;
  return true;
}

// The blocks to the right of the diagonal block: U_ij <- (U_ij - sum_{s < i} U_si U_sj) / U_ii for rows i, s of the
// block row, and v_j <- v_j - sum_i U_ij v_i.
inline void solve_block_row(float* U, int ld, int i0, const float* inverse, float* v) {
  const float* diagonal = U + static_cast<int64_t>(i0) * ld + i0;
  for (int j = i0 + W; j < ld; j += W) {
    float* column = U + static_cast<int64_t>(i0) * ld + j;
    Vec rows[W];
    Vec right = load(v + j);
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) {
      Vec rest = load(column + i * ld);
#pragma GCC unroll 16
      for (int s = 0; s < i; ++s) rest -= broadcast(diagonal[s * ld + i]) * rows[s];
      rows[i] = rest * inverse[i0 + i];
      store(column + i * ld, rows[i]);
      right -= v[i0 + i] * rows[i];
    }
    store(v + j, right);
  }
}

// B = U^T U in place, (ld, ld), and v <- U^-T v. For each block row: subtract the products of the rows above (a rank-n
// update), then factor its diagonal block, then solve for the blocks to its right. `inverse` becomes 1 / U_ii, (ld,);
// `rows` is scratch, (ld,). Returns false if B is not positive definite.
bool cholesky_and_lower(float* U, int ld, float* inverse, float* v, const float** rows) {
  for (int i = 0; i < ld; ++i) rows[i] = U + static_cast<int64_t>(i) * ld;
  for (int i0 = 0; i0 < ld; i0 += W) {
    if (i0 > 0) block_row(rows, i0, ld, i0, -1.0f, U);
    if (!factor_block(U, ld, i0, inverse, v)) return false;
    solve_block_row(U, ld, i0, inverse, v);
  }
  return true;
}

// v <- U^-1 v, from the last block row to the first: subtract the products with the later blocks, then solve column by
// column inside the block.
void solve_upper(const float* U, int ld, const float* inverse, float* v) {
  for (int i0 = ld - W; i0 >= 0; i0 -= W) {
    const float* block = U + static_cast<int64_t>(i0) * ld;
    float x[W];
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) {
      Vec later{};
      for (int j = i0 + W; j < ld; j += W) later += load(block + i * ld + j) * load(v + j);
      x[i] = v[i0 + i] - (i0 + W < ld ? sum(later) : 0.0f);
    }
#pragma GCC unroll 16
    for (int i = W - 1; i >= 0; --i) {
      x[i] *= inverse[i0 + i];
#pragma GCC unroll 16
      for (int s = 0; s < i; ++s) x[s] -= block[s * ld + i0 + i] * x[i];
    }
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) v[i0 + i] = x[i];
  }
}
