// Rank-n updates A += sum_r z_r z_r^T and h += sum_r t_r z_r of a small matrix and vector: the inner loops of all
// solvers. Included inside a level's namespace, once for each level, after compiler.hpp, <cstdint> and <cstring>.
#pragma once
#include "kernels/levels/vectors.hpp"

constexpr int kPanel = 64;  // vectors z_r of one update: 16 KB at 64 factors, so they stay in L1

// into[i, j] += sign * sum_r rows[r][i] rows[r][j], for MR rows i from i0 on and NR vectors of columns j from j0 on.
// The sums stay in registers.
template <int MR, int NR>
inline void tile(const float* const* rows, int n, int ld, int i0, int j0, float sign, float* into) {
  Vec acc[MR][NR] = {};
  for (int r = 0; r < n; ++r) {
    const float* row = rows[r];
    Vec right[NR];
    PALATE_UNROLL(16)
    for (int j = 0; j < NR; ++j) right[j] = load(row + j0 + j * W);
    PALATE_UNROLL(16)
    for (int i = 0; i < MR; ++i) {
      const Vec left = broadcast(row[i0 + i]);
      PALATE_UNROLL(16)
      for (int j = 0; j < NR; ++j) acc[i][j] += left * right[j];
    }
  }
  PALATE_UNROLL(16)
  for (int i = 0; i < MR; ++i) {
    float* to = into + static_cast<int64_t>(i0 + i) * ld + j0;
    PALATE_UNROLL(16)
    for (int j = 0; j < NR; ++j) store(to + j * W, load(to + j * W) + sign * acc[i][j]);
  }
}

template <int MR, int NR>
inline void strip(const float* const* rows, int n, int ld, int i0, int j0, float sign, float* into) {
  for (int i = 0; i < W; i += MR) tile<MR, NR>(rows, n, ld, i0 + i, j0, sign, into);
}

// into += sign * rows^T rows in the block row i0 .. i0 + W, from the diagonal block to the right end. The tile shapes
// fill the registers: 32 of them with 16 lanes, or 16 with fewer.
void block_row(const float* const* rows, int n, int ld, int i0, float sign, float* into) {
  int j0 = i0;
  for (; ld - j0 > 4 * W; j0 += 3 * W) strip<W == 16 ? 8 : 4, 3>(rows, n, ld, i0, j0, sign, into);
  switch ((ld - j0) / W) {
    case 4:
      if (W == 16) return strip<4, 4>(rows, n, ld, i0, j0, sign, into);
      strip<4, 2>(rows, n, ld, i0, j0, sign, into);
      return strip<4, 2>(rows, n, ld, i0, j0 + 2 * W, sign, into);
    case 3:
      return strip<W == 16 ? 8 : 4, 3>(rows, n, ld, i0, j0, sign, into);
    case 2:
      return strip<W == 16 ? 8 : 4, 2>(rows, n, ld, i0, j0, sign, into);
    default:
      return strip<W == 4 ? 4 : W == 8 ? 8 : 16, 1>(rows, n, ld, i0, j0, sign, into);
  }
}

// A += rows^T rows, (ld, ld): the upper triangle and whole diagonal blocks.
[[maybe_unused]] void rank_update(const float* const* rows, int n, int ld, float* A) {
  for (int i0 = 0; i0 < ld; i0 += W) block_row(rows, n, ld, i0, 1.0f, A);
}

// into += rows^T target, NR vectors of columns from j0 on. Two rows at a time, with a sum each: an addition waits for
// the one before it in the same sum.
template <int NR>
inline void weighted_sum(const float* const* rows, const float* target, int n, int j0, float* into) {
  Vec even[NR] = {}, odd[NR] = {};
  int r = 0;
  for (; r + 1 < n; r += 2) {
    PALATE_UNROLL(4)
    for (int j = 0; j < NR; ++j) {
      even[j] += target[r] * load(rows[r] + j0 + j * W);
      odd[j] += target[r + 1] * load(rows[r + 1] + j0 + j * W);
    }
  }
  PALATE_UNROLL(4)
  for (int j = 0; j < NR; ++j) {
    if (r < n) even[j] += target[r] * load(rows[r] + j0 + j * W);
    store(into + j0 + j * W, load(into + j0 + j * W) + (even[j] + odd[j]));
  }
}

// h += rows^T target, (ld,). gram.cpp does without it.
[[maybe_unused]] void accumulate_targets(const float* const* rows, const float* target, int n, int ld, float* h) {
  int j0 = 0;
  for (; ld - j0 >= 4 * W; j0 += 4 * W) weighted_sum<4>(rows, target, n, j0, h);
  for (; ld - j0 >= 2 * W; j0 += 2 * W) weighted_sum<2>(rows, target, n, j0, h);
  if (ld > j0) weighted_sum<1>(rows, target, n, j0, h);
}
