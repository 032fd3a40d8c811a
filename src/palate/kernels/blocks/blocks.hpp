// Arguments of solve_blocks.
#pragma once
#include <cstdint>

#include "kernels/rows/rows.hpp"

namespace palate {

// Where the k columns lie in a padded row: block b begins at b * width and ends with zeros, so that it is whole
// vectors.
struct Spread {
  int k;       // columns
  int block;   // columns of a block; the last may have fewer
  int width;   // block, rounded up to whole vectors
  int ld;      // floats of all blocks together
  int stride;  // floats from row to row of a table: an odd number of cache lines, otherwise the lines of a block would
               // compete for few cache sets

  int place(int column) const { return column / block * width + column % block; }
};

// The equations stand above step_row in blocks.cpp. Tables of ld columns are padded as Spread says.
struct BlockProblem {
  Rows rows;
  Spread columns;
  const float* z;           // (n_other, stride) the side held fixed
  const float* background;  // (ld, ld) symmetric; one on the diagonal of padding
  const float* ridge;       // (n_rows,) or null
  const float* start;       // (n_rows, k) x before the step
  float* out;               // (n_rows, k) x after it
};

// Improves rows order[0 .. n). Returns the first row with a block that is not positive definite, or -1.
using SolveBlocks = int64_t(const BlockProblem& problem, const int32_t* order, int64_t n, float* scratch);
using SolveBlocksScratch = int64_t(int ld, int width, int64_t longest);  // floats; longest: most ratings of a row

}  // namespace palate
