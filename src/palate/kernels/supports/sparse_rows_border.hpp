// Sparse rows whose lengths are not known before: counted first, then filled.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <vector>

#include "kernels/border/border.hpp"
#include "kernels/supports/supports.hpp"

namespace palate {

constexpr int64_t kSparseRowsPerTask = 16;

// Compressed rows (indptr, indices, values) from count(row, scratch) and fill(row, scratch, columns, values).
template <typename Count, typename Fill>
nb::tuple sparse_rows(int64_t n_rows, int64_t n_columns, int threads, Count count, Fill fill) {
  std::vector<std::unique_ptr<SparseRow>> scratch(static_cast<size_t>(threads));
  const auto for_rows = [&](const std::function<void(int64_t row, SparseRow& own)>& visit) {
    run_ranges(n_rows, kSparseRowsPerTask, threads, [&](int64_t first, int64_t last, int worker) {
      auto& own = scratch[static_cast<size_t>(worker)];
      if (!own) own = std::make_unique<SparseRow>(n_columns);
      for (int64_t row = first; row < last; ++row) visit(row, *own);
    });
  };
  const Owned<int64_t> begin(size_of({n_rows + 1}));
  begin.data[0] = 0;
  for_rows([&](int64_t row, SparseRow& own) { begin.data[row + 1] = count(row, own); });
  std::partial_sum(begin.data, begin.data + n_rows + 1, begin.data);
  const int64_t n_entries = begin.data[n_rows];
  const Owned<int32_t> columns(size_of({n_entries}));
  const Owned<float> values(size_of({n_entries}));
  for_rows([&](int64_t row, SparseRow& own) {
    fill(row, own, columns.data + begin.data[row], values.data + begin.data[row]);
  });
  return nb::make_tuple(begin.array({n_rows + 1}), columns.array({n_entries}), values.array({n_entries}));
}

}  // namespace palate
