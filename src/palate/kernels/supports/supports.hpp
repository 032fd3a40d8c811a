// Arguments of the support kernels: a sparse Gram matrix, and ridge regressions on a few of its columns each.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/rows/rows.hpp"

namespace palate {

// G = A X below the diagonal, for A (n, m) and X (m, n) whose rows rise; row s holds the columns t < s.
struct GramProblem {
  Rows A, X;
};

// One sparse row as it is summed up: scratch of a thread, all zero between two rows.
class SparseRow {
 public:
  explicit SparseRow(int64_t n) : sums(static_cast<size_t>(n), 0.0f), seen(static_cast<size_t>(n), 0) {}

  void touch(int32_t column) {
    if (!seen[static_cast<size_t>(column)]) touched.push_back(column);
    seen[static_cast<size_t>(column)] = 1;
  }
  void add(int32_t column, float value) {
    touch(column);
    sums[static_cast<size_t>(column)] += value;
  }
  // How many columns were touched. Starts anew.
  int64_t count();
  // The touched columns, all below `end`, rising, and their sums. Starts anew.
  void write(int64_t end, int32_t* columns, float* values);

 private:
  std::vector<float> sums;
  std::vector<uint8_t> seen;
  std::vector<int32_t> touched;
};

// How many entries the row has.
int64_t count_gram_row(const GramProblem& p, int64_t row, SparseRow& scratch);

// Its columns, rising, and values.
void fill_gram_row(const GramProblem& p, int64_t row, SparseRow& scratch, int32_t* columns, float* values);

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
