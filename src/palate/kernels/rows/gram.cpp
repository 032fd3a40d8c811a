// The Gram matrix X^T X and the column sums of a table. Compiled once for each level.
#include <cstdint>
#include <cstring>

#include "kernels/levels/compiler.hpp"
#include "kernels/rows/rows.hpp"

namespace palate {
namespace PALATE_LEVEL {

GramScratch gram_scratch;
Gram gram;

namespace {

#include "kernels/rows/rank_update.hpp"

}  // namespace

int64_t gram_scratch(int k) {
  const int64_t ld = padded(k);
  return ld * ld + kPanel * ld + 2 * kPanel;
}

// Panels of 64 rows are added up in float, and the panels in double.
void gram(const float* x, int64_t n, int k, double* into, double* sums, float* scratch) {
  const int ld = padded(k);
  float* const A = scratch;                                                         // (ld, ld)
  float* const panel = A + ld * ld;                                                 // (kPanel, ld)
  const float** const rows = reinterpret_cast<const float**>(panel + kPanel * ld);  // (kPanel,)
  for (int64_t first = 0; first < n; first += kPanel) {
    const int here = n - first < kPanel ? static_cast<int>(n - first) : kPanel;
    for (int r = 0; r < here; ++r) {
      const float* row = x + (first + r) * k;
      float* to = panel + static_cast<int64_t>(r) * ld;
      rows[r] = to;
      std::memcpy(to, row, sizeof(float) * k);
      std::memset(to + k, 0, sizeof(float) * (ld - k));
      for (int j = 0; j < k; ++j) sums[j] += row[j];
    }
    std::memset(A, 0, sizeof(float) * ld * ld);
    rank_update(rows, here, ld, A);
    for (int i = 0; i < k; ++i)
      for (int j = i; j < k; ++j) into[static_cast<int64_t>(i) * k + j] += A[static_cast<int64_t>(i) * ld + j];
  }
}

}  // namespace PALATE_LEVEL
}  // namespace palate
