// Arguments of the row kernels: solve_rows, gram and predict_pairs.
#pragma once
#include <cstdint>

namespace palate {

// Ratings (or the entries of a sparse matrix) grouped by row: row r owns positions indptr[r] .. indptr[r + 1].
struct Rows {
  const int64_t* indptr;   // (n_rows + 1,)
  const int32_t* indices;  // (n_ratings,) rows of the other side
  const float* values;     // (n_ratings,)
  const float* weights;    // (n_ratings,) or null: all 1
};

// Arguments of solve_rows; the equations stand above solve_row in solve_rows.cpp.
struct RowProblem {
  Rows rows;
  const float* row_weights;  // (n_rows,) or null: weights of whole rows, multiplied with those of the ratings
  const float* roots;        // (n_other,) or null: square roots of the weights of the other side's rows
  const float* z;            // (n_other, ld) the side held fixed: [q, 1] or q times its root, padded with zeros
  const float* biases;       // (n_other,) c times its root, or null: t = r - c
  int k;                     // factors, including the bias column if there is one
  float center, scale;       // t = (value - center) / scale
  float alpha;               // precision of the noise
  const float* precision;    // (k, k) Lambda
  const float* mean;         // (k,) or (n_rows, k) m
  bool mean_per_row;         // which of the two shapes
  const float* ridge;        // (n_rows,) added to Lambda's diagonal, or null
  const float* background;   // (k, k) added to A but not to h (a Gram matrix times its weight), or null
  bool draw;                 // draw from the row's posterior, or take its mode
  const float* previous;     // (n_rows, k) the draws before, or null: draw independently of them
  float relaxation;          // a of overrelaxation, where there are draws before
  uint64_t seed;
  uint32_t sweep, stream;
  uint32_t first_row;  // the number of row 0 among all rows, by which random numbers are drawn
  float* out;          // (n_rows, k)
  float* modes;        // (n_rows, k) or null: the modes too, where draws are drawn
  double* errors;      // (n_rows,) sum of w (t - x.z)^2, or null
};

// Solves rows order[0 .. n). Returns the first row whose matrix is not positive definite, or -1.
using SolveRows = int64_t(const RowProblem& problem, const int32_t* order, int64_t n, float* scratch);
using SolveRowsScratch = int64_t(int k);  // floats

// gram += X^T X and sums += column sums, both in double, over the n rows of x: (n, k).
using Gram = void(const float* x, int64_t n, int k, double* gram, double* sums, float* scratch);
using GramScratch = int64_t(int k);  // floats

// out[e] = center + scale * (x . y [+ biases]) for pairs first .. last; users and items: (n, k).
using PredictPairs = void(const float* users, const float* items, int k, bool bias, float center, float scale,
                          const int32_t* user_codes, const int32_t* item_codes, int64_t first, int64_t last,
                          float* out);

}  // namespace palate
