// Solves each row of one side given the other: the inner step of ALS, and of the Gibbs sampler. Compiled once for each
// level.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/random/random.hpp"
#include "kernels/rows/rows.hpp"

namespace palate {
namespace PALATE_LEVEL {

SolveRowsScratch solve_rows_scratch;
SolveRows solve_rows;
RowNormals row_normals;  // random/normals.cpp

namespace {

#include "kernels/rows/cholesky.hpp"

constexpr int kDrawn = 16;  // rows whose random numbers are drawn together

// Scratch of one thread. ld is k rounded up to whole vectors; the padding is zero, but one on the diagonal of Lambda.
struct Scratch {
  float* Lambda;       // (ld, ld)     prior precision and background
  float* prior;        // (ld,)        Lambda m, where m is shared
  const float** rows;  // (max(kPanel, ld),) the vectors of a rank-n update
  float* panel;        // (kPanel, ld) sqrt(w) z, where there are weights
  float* target;       // (kPanel,)    sqrt(w) t
  float* A;            // (ld, ld)     sum of w z z^T, the upper triangle and whole diagonal blocks
  float* U;            // (ld, ld)     B = U^T U, the upper triangle
  float* h;            // (ld,)        sum of w t z
  float* v;            // (ld,)
  float* inverse;      // (ld,)        1 / U_ii
  float* noise;        // (ld,)
  float* drawn;        // (kDrawn, k)  normals of the next rows
};

Scratch split(float* memory, int ld) {
  Scratch s{};
  s.Lambda = memory;
  s.A = s.Lambda + ld * ld;
  s.U = s.A + ld * ld;
  s.panel = s.U + ld * ld;
  s.target = s.panel + kPanel * ld;
  s.prior = s.target + kPanel;
  s.h = s.prior + ld;
  s.v = s.h + ld;
  s.inverse = s.v + ld;
  s.noise = s.inverse + ld;
  s.drawn = s.noise + ld;
  s.rows = reinterpret_cast<const float**>(s.drawn + kDrawn * ld);
  return s;
}

// Sets s.rows to the vectors z and s.target to t of ratings first .. first + n. With weights: sqrt(w) z, copied to the
// panel, and sqrt(w) t. `left` ratings of the row remain from `first` on; those ahead are prefetched.
void gather(const RowProblem& p, int64_t row, int64_t first, int n, int64_t left, int ld, const Scratch& s) {
  constexpr int kAhead = 24;
  const int32_t* index = p.rows.indices + first;
  const float* value = p.rows.values + first;
  const float* z = p.z;
  const float* biases = p.biases;
  const float center = p.center, over_scale = 1.0f / p.scale;
  for (int r = 0; r < n; ++r) {
    const float* ahead = z + static_cast<int64_t>(index[r + kAhead < left ? r + kAhead : r]) * ld;
    for (int j = 0; j < ld; j += 16) __builtin_prefetch(ahead + j);
    s.rows[r] = z + static_cast<int64_t>(index[r]) * ld;
    s.target[r] = (value[r] - center) * over_scale - (biases ? biases[index[r]] : 0.0f);
  }
  if (!p.rows.weights && !p.row_weights && !p.other_weights) return;
  const float of_row = p.row_weights ? p.row_weights[row] : 1.0f;
  for (int r = 0; r < n; ++r) {
    const float shared = p.other_weights ? of_row * p.other_weights[index[r]] : of_row;
    const float root = std::sqrt(p.rows.weights ? shared * p.rows.weights[first + r] : shared);
    float* to = s.panel + static_cast<int64_t>(r) * ld;
    for (int j = 0; j < ld; j += W) store(to + j, load(s.rows[r] + j) * root);
    s.rows[r] = to;
    s.target[r] *= root;
  }
}

// to = Lambda m + ridge m, with Lambda as the caller gave it: the background does not pull towards m.
void prior_term(const RowProblem& p, const float* m, float ridge, int ld, float* to) {
  for (int i = 0; i < ld; ++i) to[i] = i < p.k ? ridge * m[i] : 0.0f;
  for (int i = 0; i < p.k; ++i) {
    const float* lambda = p.precision + static_cast<int64_t>(i) * p.k;  // symmetric: row i is column i
    for (int j = 0; j < p.k; ++j) to[j] += m[i] * lambda[j];
  }
}

// What all rows of a task share: Lambda + background, padded to whole vectors, and Lambda m where m is shared.
void prepare(const RowProblem& p, int ld, const Scratch& s) {
  std::memset(s.Lambda, 0, sizeof(float) * static_cast<size_t>(ld) * static_cast<size_t>(ld));
  for (int i = 0; i < ld; ++i) {
    float* to = s.Lambda + static_cast<int64_t>(i) * ld;
    if (i >= p.k) to[i] = 1.0f;
    for (int j = 0; i < p.k && j < p.k; ++j) {
      const int64_t at = static_cast<int64_t>(i) * p.k + j;
      to[j] = p.precision[at] + (p.background ? p.background[at] : 0.0f);
    }
  }
  if (!p.mean_per_row) prior_term(p, p.mean, 0.0f, ld, s.prior);
}

// U <- B = Lambda + ridge I + background + alpha A, v <- Lambda m + ridge m + alpha h.
void normal_equations(const RowProblem& p, int64_t row, int ld, const Scratch& s) {
  for (int i0 = 0; i0 < ld; i0 += W)
    for (int i = i0; i < i0 + W; ++i)
      for (int64_t j = static_cast<int64_t>(i) * ld + i0; j < static_cast<int64_t>(i + 1) * ld; j += W)
        store(s.U + j, load(s.Lambda + j) + p.alpha * load(s.A + j));
  const float ridge = p.ridge ? p.ridge[row] : 0.0f;
  for (int i = 0; ridge > 0 && i < p.k; ++i) s.U[static_cast<int64_t>(i) * ld + i] += ridge;
  const float* prior = s.prior;
  if (p.mean_per_row) {
    prior_term(p, p.mean + row * p.k, ridge, ld, s.noise);
    prior = s.noise;
  } else if (ridge > 0) {
    for (int i = 0; i < ld; ++i) s.noise[i] = s.prior[i] + (i < p.k ? ridge * p.mean[i] : 0.0f);
    prior = s.noise;
  }
  for (int j = 0; j < ld; j += W) store(s.v + j, load(prior + j) + p.alpha * load(s.h + j));
}

// sum of w (t - x.z)^2 = sum of w t^2 - 2 x.h + x^T A x
double squared_error(double squares, const float* x, int ld, const Scratch& s) {
  Vec quadratic{}, linear{};
  for (int i0 = 0; i0 < ld; i0 += W) {
    linear += load(x + i0) * load(s.h + i0);
    for (int i = i0; i < i0 + W; ++i) {
      const float* row = s.A + static_cast<int64_t>(i) * ld;
      Vec right{};
      for (int j = i0 + W; j < ld; j += W) right += load(row + j) * load(x + j);
      quadratic += x[i] * (load(row + i0) * load(x + i0) + 2.0f * right);
    }
  }
  const double error = squares - 2.0 * static_cast<double>(sum(linear)) + static_cast<double>(sum(quadratic));
  return error > 0 ? error : 0;
}

// Solves one row x given the other side, a linear-Gaussian problem:
//
//   A = sum_j w_j z_j z_j^T        h = sum_j w_j t_j z_j
//   B = Lambda + ridge I + background + alpha A = U^T U
//   mode  x = B^-1 (Lambda m + ridge m + alpha h)        draw  x = mode + U^-1 eps,  eps ~ N(0, I)
bool solve_row(const RowProblem& p, int64_t row, const float* eps, int ld, const Scratch& s) {
  std::memset(s.A, 0, sizeof(float) * static_cast<size_t>(ld) * static_cast<size_t>(ld));
  std::memset(s.h, 0, sizeof(float) * static_cast<size_t>(ld));
  double squares = 0;
  const int64_t last = p.rows.indptr[row + 1];
  for (int64_t first = p.rows.indptr[row]; first < last; first += kPanel) {
    const int n = last - first < kPanel ? static_cast<int>(last - first) : kPanel;
    gather(p, row, first, n, last - first, ld, s);
    rank_update(s.rows, n, ld, s.A);
    accumulate_targets(s.rows, s.target, n, ld, s.h);
    float here = 0;
    for (int r = 0; r < n; ++r) here += s.target[r] * s.target[r];
    squares += here;
  }
  normal_equations(p, row, ld, s);
  if (!cholesky_and_lower(s.U, ld, s.inverse, s.v, s.rows)) return false;
  if (p.modes) {
    float* mode = s.panel;  // free by now
    std::memcpy(mode, s.v, sizeof(float) * static_cast<size_t>(ld));
    solve_upper(s.U, ld, s.inverse, mode);
    std::memcpy(p.modes + row * p.k, mode, sizeof(float) * static_cast<size_t>(p.k));
  }
  if (p.draw)
    for (int i = 0; i < p.k; ++i) s.v[i] += eps[i];
  solve_upper(s.U, ld, s.inverse, s.v);
  std::memcpy(p.out + row * p.k, s.v, sizeof(float) * static_cast<size_t>(p.k));
  if (p.errors) p.errors[row] = squared_error(squares, s.v, ld, s);
  return true;
}

}  // namespace

int64_t solve_rows_scratch(int k) {
  const int64_t ld = padded(k);
  return 3 * ld * ld + kPanel * ld + kPanel + (5 + kDrawn) * ld + 2 * (ld > kPanel ? ld : kPanel);
}

int64_t solve_rows(const RowProblem& problem, const int32_t* order, int64_t n, float* memory) {
  const int ld = padded(problem.k);
  const Scratch scratch = split(memory, ld);
  prepare(problem, ld, scratch);
  for (int64_t first = 0; first < n; first += kDrawn) {
    const int here = n - first < kDrawn ? static_cast<int>(n - first) : kDrawn;
    if (problem.draw)
      row_normals(problem.seed, order + first, here, problem.sweep, problem.stream, problem.k, scratch.drawn);
    for (int r = 0; r < here; ++r)
      if (!solve_row(problem, order[first + r], scratch.drawn + r * problem.k, ld, scratch)) return order[first + r];
  }
  return -1;
}

}  // namespace PALATE_LEVEL
}  // namespace palate
