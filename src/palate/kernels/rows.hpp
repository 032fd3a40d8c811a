// The row kernels' interface: plain structs of pointers, and one table of functions for each instruction set.
#pragma once
#include <cstdint>

namespace palate {

// Ratings grouped by row: row r owns positions indptr[r] .. indptr[r + 1].
struct Rows {
  const int64_t* indptr;   // (n_rows + 1,)
  const int32_t* indices;  // (n_ratings,) rows of the other side
  const float* values;     // (n_ratings,)
  const float* weights;    // (n_ratings,) or null: all 1
};

// What solve_rows is asked; the mathematics stands above solve_row in rows.cpp.
struct Problem {
  Rows rows;
  const float* row_weights;    // (n_rows,) or null: the weights of a row's ratings, times their own
  const float* other_weights;  // (n_other,) or null: the same by what they are of
  const float* z;              // (n_other, ld) the side held fixed: [q, 1] or q, padded with zeros to whole vectors
  const float* biases;         // (n_other,) c, or null: t = r - c
  int k;                       // factors, the bias column included where there is one
  float center, scale;         // t = (value - center) / scale
  float alpha;                 // precision of the noise
  const float* precision;      // (k, k) Lambda
  const float* mean;           // (k,) or (n_rows, k) m
  bool mean_per_row;           // which of the two
  const float* ridge;          // (n_rows,) added to Lambda's diagonal, or null
  const float* background;     // (k, k) added to A and not to h (a Gram matrix times its weight), or null
  bool draw;                   // a draw from the posterior of the row, or its mode
  uint64_t seed;
  uint32_t sweep, stream;
  float* out;      // (n_rows, k)
  double* errors;  // (n_rows,) sum of w (t - x.z)^2, or null
};

struct Descent;       // sgd.hpp
struct LinkProblem;   // links.hpp
struct Latents;       // latent.hpp
struct Counting;      // latent.hpp
struct Curve;         // latent.hpp
struct RankingLevel;  // ranking.hpp
struct Pairs;         // bpr.hpp
struct PairCells;     // bpr.hpp
struct PairSum;       // bpr.hpp
struct BlockProblem;  // blocks.hpp

struct Level {
  const char* name;
  int lanes;             // floats in a vector
  int (*padded)(int k);  // ld: k rounded up to whole vectors
  int64_t (*scratch_floats)(int k);
  // Solves rows order[0 .. n); returns the first row whose matrix is not positive definite, or -1.
  int64_t (*solve)(const Problem& problem, const int32_t* order, int64_t n, float* scratch);
  // out[e] = center + scale * (x . y [+ biases]) of pairs first .. last.
  void (*predict)(const float* users, const float* items, int k, bool bias, float center, float scale,
                  const int32_t* user_codes, const int32_t* item_codes, int64_t first, int64_t last, float* out);
  // gram += X^T X and sums += column sums of the n rows of x, in double.
  void (*gram)(const float* x, int64_t n, int k, double* gram, double* sums, float* scratch);
  // One pass of SGD over ratings first .. last in their order, at rate lr; returns the sum of w error^2.
  double (*descend)(const Descent& descent, int64_t first, int64_t last, float lr);
  // Rows first .. last of a sparse matrix times a table (n, ld); values null: all 1.
  void (*multiply)(const Rows& matrix, const float* table, int ld, int64_t first, int64_t last, float* out);
  // A (k, k) factor, its columns ld apart, times k normals: (ld,).
  void (*color)(const float* normals, const float* factor, int k, int ld, float* out);
  // One Gibbs pass over the features of a link, for one block of its columns.
  void (*draw_columns)(const LinkProblem& problem, int64_t block);
  // n standard normals of counter (row, sweep, stream).
  void (*normals)(uint64_t seed, uint32_t row, uint32_t sweep, uint32_t stream, int n, float* out);
  // A draw of the latent variable behind each of the ratings first .. last; first is a multiple of 64.
  void (*draw_truncated)(const Latents& latents, int64_t first, int64_t last);
  // The mean of such draws.
  void (*expect_truncated)(const Latents& latents, int64_t first, int64_t last);
  // counts[step, bin] += the ratings first .. last.
  void (*count_steps)(const Counting& counting, int64_t first, int64_t last, int64_t* counts);
  // The sum of the steps below each of the scores first .. last.
  void (*step_curve)(const Curve& curve, int64_t first, int64_t last);
  // Ranking whole catalogues.
  const RankingLevel* ranking;
  // One pass of BPR over two cells of positives, at rate lr.
  PairSum (*descend_pairs)(const Pairs& pairs, const PairCells& cells, float lr);
  // What solve_blocks needs of memory where the longest row has so many ratings.
  int64_t (*block_scratch_floats)(int ld, int width, int64_t longest);
  // Steps rows order[0 .. n); returns the first row with a block that is not positive definite, or -1.
  int64_t (*solve_blocks)(const BlockProblem& problem, const int32_t* order, int64_t n, float* scratch);
};

const Level& level();                   // the one in use: the widest this machine runs
bool use_level(const char* name);       // for tests; false when this machine cannot
const char* const* supported_levels();  // null-terminated

}  // namespace palate
