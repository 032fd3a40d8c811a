// Arguments of the neighbor kernels: products of sparse matrices, and the nearest rows by such a product.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/rows/rows.hpp"

namespace palate {

// out = sum_j A_rj T_j for one row r: T sparse, out (n_columns,).
void multiply_sparse_row(const Rows& A, const Rows& T, int64_t row, int64_t n_columns, float* out);

// The same with a dense T, (n, n_columns).
void multiply_wide_row(const Rows& A, const float* T, int64_t row, int64_t n_columns, float* out);

struct NearestProblem {
  Rows A;  // (n_rows, m) the rows whose neighbors are looked for
  Rows T;  // (m, n_others): the others, by the columns of A
  int64_t n_others;
  const int32_t* sizes;  // (n_others,) entries of each other row; null: A holds the others themselves, in order
  int64_t k;
  float shrinkage;
};

// Scratch of one thread; all zero between two rows.
struct NearestScratch {
  explicit NearestScratch(int64_t n_others)
      : products(static_cast<size_t>(n_others), 0.0f), common(static_cast<size_t>(n_others), 0) {}
  std::vector<float> products;
  std::vector<int32_t> common;
  std::vector<int32_t> touched;
  std::vector<std::pair<float, int32_t>> found;
};

// The codes and similarities, (k,) each, of the k others with the largest similarity above 0. The largest comes first,
// of equal ones the lower code. Where there are fewer than k: -1 and 0.
void nearest_row(const NearestProblem& p, int64_t row, NearestScratch& scratch, int32_t* codes, float* similarities);

}  // namespace palate
