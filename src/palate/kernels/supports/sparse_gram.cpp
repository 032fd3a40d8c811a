// A sparse Gram matrix below its diagonal, a row at a time (Gustavson 1978). Compiled once for all levels: the loops
// wait for memory, not for arithmetic.
#include <algorithm>

#include "kernels/supports/supports.hpp"

namespace palate {
namespace {

// Visits the entries of A X in the columns before the row: visit(column, product).
template <typename Visit>
void for_products(const GramProblem& p, int64_t row, Visit visit) {
  for (int64_t e = p.A.indptr[row]; e < p.A.indptr[row + 1]; ++e) {
    const int64_t user = p.A.indices[e];
    const float value = p.A.values ? p.A.values[e] : 1.0f;
    for (int64_t f = p.X.indptr[user]; f < p.X.indptr[user + 1] && p.X.indices[f] < row; ++f)
      visit(p.X.indices[f], p.X.values ? value * p.X.values[f] : value);
  }
}

}  // namespace

void SparseRow::write(int64_t end, SparseEntries& entries) {
  constexpr int64_t kDense = 16;  // a row with more than this share of the columns is read off instead of sorted
  if (kDense * static_cast<int64_t>(touched.size()) > end) {
    touched.clear();
    for (int64_t column = 0; column < end; ++column)
      if (seen[static_cast<size_t>(column)]) touched.push_back(static_cast<int32_t>(column));
  } else {
    std::sort(touched.begin(), touched.end());
  }
  for (const int32_t column : touched) {
    entries.columns.push_back(column);
    entries.values.push_back(sums[static_cast<size_t>(column)]);
    clear(column);
  }
  touched.clear();
}

void fill_gram_row(const GramProblem& p, int64_t row, SparseRow& scratch, SparseEntries& entries) {
  for_products(p, row, [&](int32_t column, float product) { scratch.add(column, product); });
  scratch.write(row, entries);
}

}  // namespace palate
