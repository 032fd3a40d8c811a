// The link from features to factors: what its kernel is asked.
#pragma once
#include <cstdint>

#include "rows.hpp"

namespace palate {

// The mathematics stands above draw_columns in links.cpp. Tables are in blocks of as many columns as a vector has
// lanes, one block after the other: (n_blocks, n, lanes).
struct LinkProblem {
  Rows features;  // grouped by feature: for each the rows that have it, and their values or null; weights unused
  const float* row_values;  // (n_rows,) the value of every entry of a row, where features.values is null
  int64_t n_features;
  const float* ridge;    // (n_features,) l
  const float* squares;  // (n_features,) sum of the squared values
  const float* noise;    // (n_blocks, n_features, lanes) from Normal(0, Lambda^-1)
  float* link;           // (n_blocks, n_features, lanes) beta, changed in place
  float* residuals;      // (n_blocks, n_rows, lanes) R = X - m - F beta, changed in place
  int64_t n_rows;
};

}  // namespace palate
