// Sparse rows whose lengths are not known before they are filled.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <vector>

#include "kernels/border/border.hpp"
#include "kernels/supports/supports.hpp"

namespace palate {

constexpr int64_t kSparseRowsPerTask = 16;

// Compressed rows (indptr, indices, values) from fill(row, scratch, entries), which appends those of a row. Each task
// keeps its rows until all lengths are known, and gives them back as they are copied.
template <typename Fill>
nb::tuple sparse_rows(int64_t n_rows, int64_t n_columns, int threads, Fill fill) {
  std::vector<std::unique_ptr<SparseRow>> scratch(static_cast<size_t>(threads));
  std::vector<SparseEntries> parts(static_cast<size_t>((n_rows + kSparseRowsPerTask - 1) / kSparseRowsPerTask));
  const Owned<int64_t> begin(size_of({n_rows + 1}));
  begin.data[0] = 0;
  run_ranges(n_rows, kSparseRowsPerTask, threads, [&](int64_t first, int64_t last, int worker) {
    auto& own = scratch[static_cast<size_t>(worker)];
    if (!own) own = std::make_unique<SparseRow>(n_columns);
    SparseEntries& entries = parts[static_cast<size_t>(first / kSparseRowsPerTask)];
    for (int64_t row = first; row < last; ++row) {
      const auto before = static_cast<int64_t>(entries.columns.size());
      fill(row, *own, entries);
      begin.data[row + 1] = static_cast<int64_t>(entries.columns.size()) - before;
    }
  });
  std::partial_sum(begin.data, begin.data + n_rows + 1, begin.data);
  const int64_t n_entries = begin.data[n_rows];
  const Owned<int32_t> columns(size_of({n_entries}));
  const Owned<float> values(size_of({n_entries}));
  run_ranges(n_rows, kSparseRowsPerTask, threads, [&](int64_t first, int64_t, int) {
    SparseEntries& entries = parts[static_cast<size_t>(first / kSparseRowsPerTask)];
    std::copy(entries.columns.begin(), entries.columns.end(), columns.data + begin.data[first]);
    std::copy(entries.values.begin(), entries.values.end(), values.data + begin.data[first]);
    entries = SparseEntries();
  });
  return nb::make_tuple(begin.array({n_rows + 1}), columns.array({n_entries}), values.array({n_entries}));
}

}  // namespace palate
