// Arguments of multiply_rows and draw_link: features, and the link from features to factors.
#pragma once
#include <cstdint>

#include "kernels/rows/rows.hpp"

namespace palate {

// Rows first .. last of a sparse matrix times a table (n, ld); values null: all 1.
using MultiplyRows = void(const Rows& matrix, const float* table, int ld, int64_t first, int64_t last, float* out);

constexpr int kLinkColumns = 16;  // columns of a wide block of draw_link: a cache line

// Arguments of draw_link; the equations stand above draw_with in draw_link.cpp. Tables are stored in blocks of columns,
// one block after the other: (n_blocks, n, width).
struct LinkProblem {
  Rows features;            // grouped by feature: the rows that have it, and their values or null; weights unused
  const float* row_values;  // (n_rows,) the value of all entries of a row, where features.values is null
  int64_t n_features;
  int64_t width;       // of a block: the lanes of a vector, or kLinkColumns
  const float* ridge;  // (n_features,) l
  const float* noise;  // (n_blocks, n_features, width) from Normal(0, Lambda^-1)
  float relaxation;    // a of overrelaxation; 0 draws independently of beta before
  float* link;         // (n_blocks, n_features, width) beta, changed in place
  float* residuals;    // (n_blocks, n_rows, width) R = X - m - F beta, changed in place
  int64_t n_rows;
};

// One Gibbs pass over the features, for one block of columns.
using DrawColumns = void(const LinkProblem& problem, int64_t block);

// out = factor normals, (ld,): column i of the (k, k) factor stands at factor + i ld.
using ColorNoise = void(const float* normals, const float* factor, int k, int ld, float* out);

}  // namespace palate
