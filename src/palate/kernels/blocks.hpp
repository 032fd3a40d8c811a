// Rows improved a block of columns at a time: what the kernel is asked.
#pragma once
#include <cstdint>

#include "rows.hpp"

namespace palate {

// Columns spread out: block b of the k columns begins at b * width and ends with zeros, so that it is whole vectors.
struct Spread {
  int k;       // columns
  int block;   // in a block; the last may have fewer
  int width;   // block, rounded up to whole vectors
  int ld;      // of all blocks together
  int stride;  // from row to row of a table: an odd number of cache lines, or a block's lines would share few cache
               // sets

  int place(int column) const { return column / block * width + column % block; }
};

// The mathematics stands above step_row in blocks.cpp. Tables of ld columns are spread.
struct BlockProblem {
  Rows rows;
  Spread columns;
  const float* z;           // (n_other, stride) the side held fixed
  const float* background;  // (ld, ld) symmetric, one on the diagonal of columns that are none
  const float* ridge;       // (n_rows,) or null
  const float* start;       // (n_rows, k) x before the step
  float* out;               // (n_rows, k) x after it
};

}  // namespace palate
