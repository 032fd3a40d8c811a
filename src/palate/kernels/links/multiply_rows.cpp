// The product of a sparse matrix and a table of vectors. Compiled once for each level.
#include <cstdint>
#include <cstring>

#include "kernels/levels/compiler.hpp"
#include "kernels/links/links.hpp"

namespace palate {
namespace PALATE_LEVEL {

MultiplyRows multiply_rows;

namespace {

#include "kernels/levels/vectors.hpp"

constexpr int64_t kAhead = 16;  // rows of the table are prefetched this many entries ahead

// n vectors of one row of the product; they stay in registers.
template <int n>
void multiply_columns(const Rows& m, const float* table, int ld, int64_t row, float* out) {
  Vec total[n] = {};
  const int64_t last = m.indptr[row + 1];
  for (int64_t e = m.indptr[row]; e < last; ++e) {
    if (e + kAhead < last) {
      const float* later = table + static_cast<int64_t>(m.indices[e + kAhead]) * ld;
      for (int v = 0; v * W < n * W; v += 16 / W) PALATE_PREFETCH(later + v * W);
    }
    const float* from = table + static_cast<int64_t>(m.indices[e]) * ld;
    const Vec value = broadcast(m.values ? m.values[e] : 1.0f);
    for (int v = 0; v < n; ++v) total[v] += value * load(from + v * W);
  }
  for (int v = 0; v < n; ++v) store(out + v * W, total[v]);
}

}  // namespace

// out_r = sum_j values_rj table_j for rows first .. last: (n_rows, ld), where ld is a multiple of W.
void multiply_rows(const Rows& matrix, const float* table, int ld, int64_t first, int64_t last, float* out) {
  for (int64_t row = first; row < last; ++row) {
    float* to = out + row * ld;
    int j = 0;
    for (; j + 4 * W <= ld; j += 4 * W) multiply_columns<4>(matrix, table + j, ld, row, to + j);
    if (j + 2 * W <= ld) {
      multiply_columns<2>(matrix, table + j, ld, row, to + j);
      j += 2 * W;
    }
    if (j < ld) multiply_columns<1>(matrix, table + j, ld, row, to + j);
  }
}

}  // namespace PALATE_LEVEL
}  // namespace palate
