// The Python border of multiply_rows.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/border/border.hpp"
#include "kernels/border/memory.hpp"
#include "kernels/levels/levels.hpp"
#include "kernels/rows/rows_border.hpp"

using namespace nanobind::literals;

namespace palate {
namespace {

constexpr int kWide = 64;  // columns of a block; a whole number of vectors at every level

// A table of shape (n, k).
struct Table {
  const float* data;
  int64_t n, k;
};

// The product with a table too large for the cache, one block of columns after the other. The block is copied together
// and then read many times from L2. Every sum has the same order as without blocks.
void multiply_wide(const Rows& matrix, int64_t n_rows, const Table& table, int n_threads, float* out) {
  constexpr int64_t kRows = 256;
  const int64_t k = table.k, n_blocks = (k + kWide - 1) / kWide;
  const int threads = threads_for(n_blocks, n_threads);
  const ThreadScratch scratch(threads, size_of({table.n + kRows, kWide}));
  const Level& kernels = level();
  run_ranges(k, kWide, threads, [&](int64_t column, int64_t end_column, int worker) {
    const int64_t width = end_column - column;
    float *block = scratch[worker], *product = block + table.n * kWide;
    for (int64_t row = 0; row < table.n; ++row) {
      float* end = std::copy_n(table.data + row * k + column, width, block + row * kWide);
      std::fill(end, block + (row + 1) * kWide, 0.0f);
    }
    for (int64_t row = 0; row < n_rows; row += kRows) {
      const int64_t n = std::min(kRows, n_rows - row);
      const Rows part{matrix.indptr + row, matrix.indices, matrix.values, matrix.weights};
      kernels.multiply_rows(part, block, kWide, 0, n, product);
      for (int64_t r = 0; r < n; ++r) std::copy_n(product + r * kWide, width, out + (row + r) * k + column);
    }
  });
}

// The product with a table of few columns. Tasks are ranges of rows with about the same number of entries.
void multiply_narrow(const Rows& matrix, int64_t n_rows, const Table& table, int n_threads, float* out) {
  const Level& kernels = level();
  const int64_t k = table.k;
  const int ld = kernels.padded(static_cast<int>(k));
  const bool whole = ld == k;  // whole vectors need no copy
  const AlignedFloats padded(whole ? 0 : size_of({table.n, ld})), product(whole ? 0 : size_of({n_rows, ld}));
  if (!whole)
    for (int64_t row = 0; row < table.n; ++row) {
      std::copy(table.data + row * k, table.data + (row + 1) * k, padded.data + row * ld);
      std::fill(padded.data + row * ld + k, padded.data + (row + 1) * ld, 0.0f);
    }
  std::vector<int64_t> begin;
  const int64_t share = std::max<int64_t>((matrix.indptr[n_rows] + n_rows) / 64, 2000);
  for (int64_t row = 0, here = share; row < n_rows; ++row) {
    if (here >= share) begin.push_back(row), here = 0;
    here += matrix.indptr[row + 1] - matrix.indptr[row] + 1;
  }
  begin.push_back(n_rows);
  run(static_cast<int64_t>(begin.size()) - 1, n_threads, [&](int64_t task, int) {
    float* to = whole ? out : product.data;
    kernels.multiply_rows(matrix, whole ? table.data : padded.data, ld, begin[task], begin[task + 1], to);
    if (!whole)
      for (int64_t row = begin[task]; row < begin[task + 1]; ++row)
        std::copy(to + row * ld, to + row * ld + k, out + row * k);
  });
}

constexpr char kDoc[] = R"(A sparse matrix times a table of vectors: out_r = sum_j values_rj table_j.

Parameters:
    indptr (int64 array (n_rows + 1,)): Where each row's entries begin.
    indices (int32 array (n,)): The column of each entry, a row of the table.
    values (float32 array (n,) or None): The values; None: 1.
    table (float32 array (n_columns, k)): k between 1 and 2^31 - 66.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    float32 array (n_rows, k): The product.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: k is out of range, or indptr does not rise from 0 to n.
    IndexError: indices holds no row of the table.)";

nb::object multiply_rows(const Array& indptr, const Array& indices, const MaybeArray& values, const Array& table,
                         int n_threads) {
  const int64_t n_rows = rows_of(indptr);
  if (table.ndim() != 2) throw nb::type_error("table must have shape (n, k)");
  const auto n_other = static_cast<int64_t>(table.shape(0)), k = static_cast<int64_t>(table.shape(1));
  if (k < 1 || k >= INT32_MAX - kWide) throw nb::value_error("table must have between 1 and 2^31 - 66 columns");
  const Table from{checked<float>(table, "table", {n_other, k}), n_other, k};
  const Rows matrix = checked_matrix(indptr, indices, values, n_rows, n_other);
  const Owned<float> out(size_of({n_rows, k}));
  const bool wide = k > 2 * kWide && static_cast<int64_t>(indices.size()) > 2 * n_other;  // otherwise no copy pays
  (wide ? multiply_wide : multiply_narrow)(matrix, n_rows, from, checked_threads(n_threads), out.data);
  return out.array({n_rows, k});
}

}  // namespace

void add_multiply_rows(nb::module_& m) {
  m.def("multiply_rows", &multiply_rows, "indptr"_a, "indices"_a, "values"_a.none(), "table"_a, nb::kw_only(),
        "n_threads"_a = 0, kDoc);
}

}  // namespace palate
