// Arguments of the support kernels: a sparse Gram matrix, and ridge regressions on a few of its columns each.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/rows/rows.hpp"

namespace palate {

// G = A X below the diagonal, for A (n, m) and X (m, n) whose rows rise; row s holds the columns t < s.
struct GramProblem {
  Rows A, X;
};

// Columns and values of sparse rows, one row after the other.
struct SparseEntries {
  std::vector<int32_t> columns;
  std::vector<float> values;
};

// One sparse row as it is summed up: scratch of a thread, all zero between two rows.
class SparseRow {
 public:
  explicit SparseRow(int64_t n) : sums(static_cast<size_t>(n), 0.0f), seen(static_cast<size_t>(n), 0) {}

  void add(int32_t column, float value) {
    if (!seen[static_cast<size_t>(column)]) touched.push_back(column);
    seen[static_cast<size_t>(column)] = 1;
    sums[static_cast<size_t>(column)] += value;
  }

  // Leaves only the k columns with the largest score(column, sum), of equal ones the lower columns.
  template <typename Score>
  void keep_best(int64_t k, Score score) {
    if (static_cast<int64_t>(touched.size()) <= k) return;
    ranked.clear();
    for (const int32_t column : touched) ranked.emplace_back(-score(column, sums[static_cast<size_t>(column)]), column);
    std::nth_element(ranked.begin(), ranked.begin() + k, ranked.end());
    touched.clear();
    for (int64_t at = 0; at < static_cast<int64_t>(ranked.size()); ++at) {
      const int32_t column = ranked[static_cast<size_t>(at)].second;
      if (at < k)
        touched.push_back(column);
      else
        clear(column);
    }
  }

  // Appends the columns, all below `end`, rising, and their sums. Starts anew.
  void write(int64_t end, SparseEntries& entries);

 private:
  std::vector<float> sums;
  std::vector<uint8_t> seen;
  std::vector<int32_t> touched;
  std::vector<std::pair<float, int32_t>> ranked;

  void clear(int32_t column) {
    sums[static_cast<size_t>(column)] = 0.0f;
    seen[static_cast<size_t>(column)] = 0;
  }
};

// Appends the columns of the row, rising, and values.
void fill_gram_row(const GramProblem& p, int64_t row, SparseRow& scratch, SparseEntries& entries);

// For each ridge and each row j with the support S: b = (G_SS + diag(ridge_S))^-1 G_Sj, or another right-hand side.
struct SupportProblem {
  Rows gram;              // (n, n) below the diagonal, rows rising
  const float* diagonal;  // (n,)
  const float* ridges;    // (n_ridges, n)
  int64_t n_ridges, n;
  Rows supports;           // (n_rows, n), rows rising; only columns count
  int64_t n_entries;       // of supports
  const int32_t* targets;  // (n_rows,) j
  const float* right;      // (n_entries,) in place of G_Sj, or null
  float* out;              // (n_ridges, n_entries)
};

// Solves rows first .. last. places: (n,) zeros, before and after. Returns the first row whose matrix is not positive
// definite, or -1.
using SolveSupports = int64_t(const SupportProblem& problem, int64_t first, int64_t last, float* scratch,
                              int32_t* places);
using SolveSupportsScratch = int64_t(int longest);  // floats, for supports up to this length

}  // namespace palate
