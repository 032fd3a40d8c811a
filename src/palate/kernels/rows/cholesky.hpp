// The Cholesky factorization B = U^T U of a small matrix, and the two triangular solves. Works on block rows of W rows.
// Included inside a level's namespace, once for each level, after compiler.hpp, <cmath>, <cstdint> and <cstring>.
//
// A pivot waits for the one before it: for its square root, its division, its row. So N matrices are factored side by
// side, step by step, and the steps of one fill the waiting of the other.
#pragma once
#include "kernels/rows/rank_update.hpp"

// One matrix to factor and its right side.
struct System {
  float* U;        // (ld, ld)
  float* inverse;  // (ld,) becomes 1 / U_ii
  float* v;        // (ld,)
};

// Factors the diagonal block at i0 in place, with W pivots: each scales its row and eliminates it from the rows below,
// and from this part of v. Below the diagonal it leaves zeros, so that U can be read in whole vectors. Returns the
// first system with a pivot that is not positive, or -1.
template <int N>
inline int factor_block(const System* systems, int ld, int i0) {
  Vec rows[N][W], right[N];
  PALATE_UNROLL(2)
  for (int n = 0; n < N; ++n) {
    right[n] = load(systems[n].v + i0);
    PALATE_UNROLL(16)
    for (int i = 0; i < W; ++i) rows[n][i] = load(systems[n].U + static_cast<int64_t>(i0 + i) * ld + i0);
  }
  PALATE_UNROLL(16)
  for (int p = 0; p < W; ++p) {
    PALATE_UNROLL(2)
    for (int n = 0; n < N; ++n) {
      const float pivot = rows[n][p][p];
      if (!(pivot > 0)) return n;
      const float scale = 1.0f / std::sqrt(pivot);
      systems[n].inverse[i0 + p] = scale;
      rows[n][p] *= scale;
      const float solved = right[n][p] * scale;
      systems[n].v[i0 + p] = solved;
      right[n] -= solved * rows[n][p];
      float* pivot_row = systems[n].U + static_cast<int64_t>(i0 + p) * ld + i0;
      store(pivot_row, rows[n][p]);
      PALATE_UNROLL(16)
      for (int i = p + 1; i < W; ++i) rows[n][i] -= broadcast(pivot_row[i]) * rows[n][p];
    }
  }
  for (int n = 0; n < N; ++n)
    for (int p = 1; p < W; ++p)
      for (int j = 0; j < p; ++j) systems[n].U[static_cast<int64_t>(i0 + p) * ld + i0 + j] = 0.0f;
  return -1;
}

// The blocks to the right of the diagonal block: U_ij <- (U_ij - sum_{s < i} U_si U_sj) / U_ii for rows i, s of the
// block row, and v_j <- v_j - sum_i U_ij v_i.
template <int N>
inline void solve_block_row(const System* systems, int ld, int i0) {
  for (int j = i0 + W; j < ld; j += W) {
    PALATE_UNROLL(2)
    for (int n = 0; n < N; ++n) {
      const System& system = systems[n];
      const float* diagonal = system.U + static_cast<int64_t>(i0) * ld + i0;
      float* column = system.U + static_cast<int64_t>(i0) * ld + j;
      Vec rows[W];
      Vec right = load(system.v + j);
      PALATE_UNROLL(16)
      for (int i = 0; i < W; ++i) {
        Vec rest = load(column + i * ld);
        PALATE_UNROLL(16)
        for (int s = 0; s < i; ++s) rest -= broadcast(diagonal[s * ld + i]) * rows[s];
        rows[i] = rest * system.inverse[i0 + i];
        store(column + i * ld, rows[i]);
        right -= system.v[i0 + i] * rows[i];
      }
      store(system.v + j, right);
    }
  }
}

// B = U^T U in place, and v <- U^-T v, of N systems. For each block row: subtract the products of the rows above (a
// rank-n update), then factor its diagonal block, then solve for the blocks to its right. `rows` is scratch, (ld,).
// Returns the first system whose B is not positive definite, or -1.
template <int N>
int cholesky_and_lower(const System* systems, int ld, const float** rows) {
  for (int i0 = 0; i0 < ld; i0 += W) {
    for (int n = 0; i0 > 0 && n < N; ++n) {
      for (int i = 0; i < i0; ++i) rows[i] = systems[n].U + static_cast<int64_t>(i) * ld;
      block_row(rows, i0, ld, i0, -1.0f, systems[n].U);
    }
    const int failed = factor_block<N>(systems, ld, i0);
    if (failed >= 0) return failed;
    solve_block_row<N>(systems, ld, i0);
  }
  return -1;
}

// v <- U^-1 v, from the last block row to the first: subtract the products with the later blocks, then solve column by
// column inside the block.
template <int N>
void solve_upper(const System* systems, int ld) {
  for (int i0 = ld - W; i0 >= 0; i0 -= W) {
    PALATE_UNROLL(2)
    for (int n = 0; n < N; ++n) {
      const float* block = systems[n].U + static_cast<int64_t>(i0) * ld;
      float* v = systems[n].v;
      float x[W];
      PALATE_UNROLL(16)
      for (int i = 0; i < W; ++i) {
        Vec later{};
        for (int j = i0 + W; j < ld; j += W) later += load(block + i * ld + j) * load(v + j);
        x[i] = v[i0 + i] - (i0 + W < ld ? sum(later) : 0.0f);
      }
      PALATE_UNROLL(16)
      for (int i = W - 1; i >= 0; --i) {
        x[i] *= systems[n].inverse[i0 + i];
        PALATE_UNROLL(16)
        for (int s = 0; s < i; ++s) x[s] -= block[s * ld + i0 + i] * x[i];
      }
      PALATE_UNROLL(16)
      for (int i = 0; i < W; ++i) v[i0 + i] = x[i];
    }
  }
}
