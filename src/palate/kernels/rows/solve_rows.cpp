// Solves each row of one side given the other: the inner step of ALS, and of the Gibbs sampler. Compiled once for each
// level.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/levels/compiler.hpp"
#include "kernels/random/random.hpp"
#include "kernels/rows/rows.hpp"

namespace palate {
namespace PALATE_LEVEL {

SolveRowsScratch solve_rows_scratch;
SolveRows solve_rows;
RowNormals row_normals;  // random/normals.cpp

namespace {

#include "kernels/rows/cholesky.hpp"

constexpr int kDrawn = 16;    // rows whose random numbers are drawn together
constexpr int kTogether = 2;  // rows whose matrices are factored side by side,
constexpr int kNarrow = 32;   // up to this width; wider ones would push each other out of the first-level cache

// One row that is being solved.
struct Row {
  int64_t number;
  float* A;        // (ld, ld) sum of w z z^T, the upper triangle and whole diagonal blocks
  float* h;        // (ld,)    sum of w t z
  double squares;  // sum of w t^2
  float* spare;    // (ld,)    the prior's term, then the mode
  System system;   // B and its right side
};

// Scratch of one thread. ld is k rounded up to whole vectors; the padding is zero, but one on the diagonal of Lambda.
struct Scratch {
  float* Lambda;       // (ld, ld)     prior precision and background
  float* prior;        // (ld,)        Lambda m, where m is shared
  const float** rows;  // (max(kPanel, ld),) the vectors of a rank-n update
  float* panel;        // (kPanel, ld) sqrt(w) z, where ratings have weights
  float* target;       // (kPanel,)    sqrt(w) t
  float* drawn;        // (kDrawn, k)  normals of the next rows
  Row together[kTogether];
};

Scratch split(float* memory, int ld) {
  auto take = [&](int64_t floats) {
    memory += floats;
    return memory - floats;
  };
  const int64_t square = static_cast<int64_t>(ld) * ld;
  Scratch s{};
  s.Lambda = take(square);
  s.panel = take(kPanel * ld);
  s.target = take(kPanel);
  s.prior = take(ld);
  s.drawn = take(kDrawn * ld);
  for (Row& row : s.together) {
    row.A = take(square);
    row.h = take(ld);
    row.spare = take(ld);
    row.system.U = take(square);
    row.system.inverse = take(ld);
    row.system.v = take(ld);
  }
  s.rows = reinterpret_cast<const float**>(memory);
  return s;
}

// Sets s.rows to the vectors z and s.target to t of ratings first .. first + n. With weights of ratings: sqrt(w) z,
// copied to the panel, and sqrt(w) t. `left` ratings of the row remain from `first` on; those ahead are prefetched.
void gather(const RowProblem& p, int64_t first, int n, int64_t left, int ld, const Scratch& s) {
  constexpr int kAhead = 24;
  const int32_t* index = p.rows.indices + first;
  const float* value = p.rows.values + first;
  const float* z = p.z;
  const float center = p.center, over_scale = 1.0f / p.scale;
  for (int r = 0; r < n; ++r) {
    const float* ahead = z + static_cast<int64_t>(index[r + kAhead < left ? r + kAhead : r]) * ld;
    for (int j = 0; j < ld; j += 16) PALATE_PREFETCH(ahead + j);
    s.rows[r] = z + static_cast<int64_t>(index[r]) * ld;
    s.target[r] = (value[r] - center) * over_scale;
  }
  for (int r = 0; p.roots && r < n; ++r) s.target[r] *= p.roots[index[r]];
  for (int r = 0; p.biases && r < n; ++r) s.target[r] -= p.biases[index[r]];
  for (int r = 0; p.rows.weights && r < n; ++r) {
    const float root = std::sqrt(p.rows.weights[first + r]);
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

// A, h and the sum of squares over the ratings of the row.
void add_ratings(const RowProblem& p, int ld, const Scratch& s, Row& row) {
  std::memset(row.A, 0, sizeof(float) * static_cast<size_t>(ld) * static_cast<size_t>(ld));
  std::memset(row.h, 0, sizeof(float) * static_cast<size_t>(ld));
  row.squares = 0;
  const int64_t last = p.rows.indptr[row.number + 1];
  for (int64_t first = p.rows.indptr[row.number]; first < last; first += kPanel) {
    const int n = last - first < kPanel ? static_cast<int>(last - first) : kPanel;
    gather(p, first, n, last - first, ld, s);
    rank_update(s.rows, n, ld, row.A);
    accumulate_targets(s.rows, s.target, n, ld, row.h);
    float here = 0;
    for (int r = 0; r < n; ++r) here += s.target[r] * s.target[r];
    row.squares += here;
  }
}

// The system B = Lambda + ridge I + background + alpha A, v = Lambda m + ridge m + alpha h. The weight of a whole row
// multiplies alpha.
void normal_equations(const RowProblem& p, int ld, const Scratch& s, const Row& row) {
  const auto [U, inverse, v] = row.system;
  const float alpha = p.row_weights ? p.alpha * p.row_weights[row.number] : p.alpha;
  for (int i0 = 0; i0 < ld; i0 += W)
    for (int i = i0; i < i0 + W; ++i)
      for (int64_t j = static_cast<int64_t>(i) * ld + i0; j < static_cast<int64_t>(i + 1) * ld; j += W)
        store(U + j, load(s.Lambda + j) + alpha * load(row.A + j));
  const float ridge = p.ridge ? p.ridge[row.number] : 0.0f;
  for (int i = 0; ridge > 0 && i < p.k; ++i) U[static_cast<int64_t>(i) * ld + i] += ridge;
  const float* prior = s.prior;
  if (p.mean_per_row) {
    prior_term(p, p.mean + row.number * p.k, ridge, ld, row.spare);
    prior = row.spare;
  } else if (ridge > 0) {
    for (int i = 0; i < ld; ++i) row.spare[i] = s.prior[i] + (i < p.k ? ridge * p.mean[i] : 0.0f);
    prior = row.spare;
  }
  for (int j = 0; j < ld; j += W) store(v + j, load(prior + j) + alpha * load(row.h + j));
}

// sum of w (t - x.z)^2 = sum of w t^2 - 2 x.h + x^T A x, times the weight of the whole row
double squared_error(const RowProblem& p, int ld, const Row& row) {
  const float* x = row.system.v;
  Vec quadratic{}, linear{};
  for (int i0 = 0; i0 < ld; i0 += W) {
    linear += load(x + i0) * load(row.h + i0);
    for (int i = i0; i < i0 + W; ++i) {
      const float* A = row.A + static_cast<int64_t>(i) * ld;
      Vec right{};
      for (int j = i0 + W; j < ld; j += W) right += load(A + j) * load(x + j);
      quadratic += x[i] * (load(A + i0) * load(x + i0) + 2.0f * right);
    }
  }
  const double error = row.squares - 2.0 * static_cast<double>(sum(linear)) + static_cast<double>(sum(quadratic));
  const double weight = p.row_weights ? static_cast<double>(p.row_weights[row.number]) : 1.0;
  return error > 0 ? weight * error : 0;
}

// Writes the modes of rows whose matrices are factored. Their right sides stay as they are.
template <int N>
void modes_of(const RowProblem& p, const System* systems, int ld, const Scratch& s) {
  System copies[N];
  for (int n = 0; n < N; ++n) {
    copies[n] = systems[n];
    copies[n].v = s.together[n].spare;
    std::memcpy(copies[n].v, systems[n].v, sizeof(float) * static_cast<size_t>(ld));
  }
  solve_upper<N>(copies, ld);
  for (int n = 0; n < N; ++n)
    std::memcpy(p.modes + s.together[n].number * p.k, copies[n].v, sizeof(float) * static_cast<size_t>(p.k));
}

// Solves N rows x given the other side, each a linear-Gaussian problem:
//
//   A = sum_j w_j z_j z_j^T        h = sum_j w_j t_j z_j
//   B = Lambda + ridge I + background + alpha A = U^T U
//   mode  x = B^-1 (Lambda m + ridge m + alpha h)        draw  x = mode + U^-1 eps,  eps ~ N(0, I)
//
// A draw overrelaxed by a, given the one before, is mode - a (before - mode) + sqrt(1 - a^2) U^-1 eps.
//
// eps: (N, k). Returns the first row whose matrix is not positive definite, or -1.
template <int N>
int64_t solve_together(const RowProblem& p, const int32_t* numbers, const float* eps, int ld, Scratch& s) {
  System systems[N];
  for (int n = 0; n < N; ++n) {
    Row& row = s.together[n];
    row.number = numbers[n];
    add_ratings(p, ld, s, row);
    normal_equations(p, ld, s, row);
    systems[n] = row.system;
  }
  const int failed = cholesky_and_lower<N>(systems, ld, s.rows);
  if (failed >= 0) return numbers[failed];
  if (p.modes) modes_of<N>(p, systems, ld, s);
  const float a = p.relaxation, kept = std::sqrt(1.0f - a * a);
  for (int n = 0; p.draw && n < N; ++n)
    for (int i = 0; i < p.k; ++i) systems[n].v[i] = (1.0f + a) * systems[n].v[i] + kept * eps[n * p.k + i];
  solve_upper<N>(systems, ld);
  for (int n = 0; p.previous && n < N; ++n)
    for (int i = 0; i < p.k; ++i) systems[n].v[i] -= a * p.previous[s.together[n].number * p.k + i];
  for (int n = 0; n < N; ++n) {
    const Row& row = s.together[n];
    std::memcpy(p.out + row.number * p.k, row.system.v, sizeof(float) * static_cast<size_t>(p.k));
    if (p.errors) p.errors[row.number] = squared_error(p, ld, row);
  }
  return -1;
}

}  // namespace

int64_t solve_rows_scratch(int k) {
  const int64_t ld = padded(k);
  const int64_t row = 2 * ld * ld + 4 * ld;
  return ld * ld + kPanel * ld + kPanel + (1 + kDrawn) * ld + kTogether * row + 2 * (ld > kPanel ? ld : kPanel);
}

int64_t solve_rows(const RowProblem& p, const int32_t* order, int64_t n, float* memory) {
  const int ld = padded(p.k);
  Scratch scratch = split(memory, ld);
  prepare(p, ld, scratch);
  int64_t failed = -1;
  for (int64_t first = 0; failed < 0 && first < n; first += kDrawn) {
    const int here = n - first < kDrawn ? static_cast<int>(n - first) : kDrawn;
    const int32_t* numbers = order + first;
    const float* eps = scratch.drawn;
    if (p.draw) row_normals(p.seed, numbers, here, p.first_row, p.sweep, p.stream, p.k, scratch.drawn);
    int i = 0;
    for (; ld <= kNarrow && failed < 0 && i + kTogether <= here; i += kTogether)
      failed = solve_together<kTogether>(p, numbers + i, eps + i * p.k, ld, scratch);
    for (; failed < 0 && i < here; ++i) failed = solve_together<1>(p, numbers + i, eps + i * p.k, ld, scratch);
  }
  return failed;
}

}  // namespace PALATE_LEVEL
}  // namespace palate
