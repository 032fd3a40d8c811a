// The row kernels. This file is compiled once for each instruction set (PALATE_LEVEL is its name); everything in it is
// local to its level, so that no function built for a wide machine can be picked by the linker for a narrow one.
#include "rows.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>

namespace palate {
namespace PALATE_LEVEL {
namespace {

#include "cholesky.hpp"
#include "lanes.hpp"

// Scratch of one thread. ld = k rounded up to whole vectors; the padding is zero (one on the diagonal of Lambda).
struct Scratch {
  float* Lambda;       // (ld, ld)     prior precision and background
  float* prior;        // (ld,)        Lambda m, where m is shared
  const float** rows;  // (max(kPanel, ld),) the vectors a rank-n update is made of
  float* panel;        // (kPanel, ld) sqrt(w) z, where there are weights
  float* target;       // (kPanel,)    sqrt(w) t
  float* A;            // (ld, ld)     sum of w z z^T, the upper triangle and whole diagonal blocks
  float* U;            // (ld, ld)     B = U^T U, the upper triangle
  float* h;            // (ld,)        sum of w t z
  float* v;            // (ld,)
  float* inverse;      // (ld,)        1 / U_ii
  float* noise;        // (ld,)
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
  s.rows = reinterpret_cast<const float**>(s.noise + ld);
  return s;
}

int64_t scratch_floats(int k) {
  const int64_t ld = padded(k);
  return 3 * ld * ld + kPanel * ld + kPanel + 5 * ld + 2 * (ld > kPanel ? ld : kPanel);
}

// ---- random normals
// --------------------------------------------------------------------------------------------------

// Box-Muller: radius sqrt(-2 ln u), angle 2 pi v. The angle's two top bits are the quadrant, the rest lies in
// [-pi/4, pi/4), where the Taylor series of sine and cosine are exact to float precision.
inline void box_muller(UInts radius_bits, UInts angle_bits, Floats& first, Floats& second) {
  const Floats u = (__builtin_convertvector(reinterpret_cast<Ints>(radius_bits >> 8), Floats) + 0.5f) * 0x1p-24f;
  const Floats radius = sqrt_lanes(-2.0f * log_lanes(u));
  const UInts turned = angle_bits + 0x20000000u;
  const Ints inside = reinterpret_cast<Ints>(angle_bits << 2) >> 8;  // signed 24 bits of a quarter turn
  const Floats theta = __builtin_convertvector(inside, Floats) * (0x1p-24f * 1.57079632679f);
  const Floats t2 = theta * theta;
  const Floats sine =
      theta * (1.0f + t2 * (-1.0f / 6 + t2 * (1.0f / 120 + t2 * (-1.0f / 5040 + t2 * (1.0f / 362880)))));
  const Floats cosine = 1.0f + t2 * (-0.5f + t2 * (1.0f / 24 + t2 * (-1.0f / 720 + t2 * (1.0f / 40320))));
  const UInts quadrant = turned >> 30;
  const UInts swap = reinterpret_cast<UInts>((quadrant & 1u) != 0u);
  const UInts s = reinterpret_cast<UInts>(sine), c = reinterpret_cast<UInts>(cosine);
  const UInts sign_first = (((quadrant + 1u) >> 1) & 1u) << 31, sign_second = (quadrant >> 1) << 31;
  first = radius * as_floats(((swap & s) | (~swap & c)) ^ sign_first);
  second = radius * as_floats(((swap & c) | (~swap & s)) ^ sign_second);
}

// out[4 b + i] = i-th normal of counter (b, row, sweep, stream). Lanes are the blocks b.
void normals(uint64_t seed, uint32_t row, uint32_t sweep, uint32_t stream, int n, float* out) {
  for (int base = 0; base < n; base += 4 * kLanes) {
    UInts c[4];
    for (int lane = 0; lane < kLanes; ++lane) c[0][lane] = static_cast<uint32_t>(base / 4 + lane);
    c[1] = UInts{} + row;
    c[2] = UInts{} + sweep;
    c[3] = UInts{} + stream;
    philox_lanes(c, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
    Floats normal[4];
    box_muller(c[0], c[1], normal[0], normal[1]);
    box_muller(c[2], c[3], normal[2], normal[3]);
    const int here = n - base < 4 * kLanes ? n - base : 4 * kLanes;
    for (int e = 0; e < here; ++e) out[base + e] = normal[e & 3][e >> 2];
  }
}

// ---- one row
// ---------------------------------------------------------------------------------------------------------

// Points at z and computes t of ratings first .. first + n; where there are weights, packs sqrt(w) z and sqrt(w) t.
// `left` ratings of the row remain from first: those ahead are asked of the memory.
void gather(const Problem& p, int64_t row, int64_t first, int n, int64_t left, int ld, const Scratch& s) {
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

// Lambda m into `to`, with Lambda as the caller gave it (the background has no say in the prior mean).
void prior_term(const Problem& p, const float* m, float ridge, int ld, float* to) {
  for (int i = 0; i < ld; ++i) to[i] = i < p.k ? ridge * m[i] : 0.0f;
  for (int i = 0; i < p.k; ++i) {
    const float* lambda = p.precision + static_cast<int64_t>(i) * p.k;  // symmetric: row i is column i
    for (int j = 0; j < p.k; ++j) to[j] += m[i] * lambda[j];
  }
}

// What all rows of a task share: Lambda + background padded to whole vectors, and Lambda m where m is shared.
void prepare(const Problem& p, int ld, const Scratch& s) {
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
void normal_equations(const Problem& p, int64_t row, int ld, const Scratch& s) {
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

// One row x given the other side, a linear-Gaussian problem:
//
//   A = sum_j w_j z_j z_j^T        h = sum_j w_j t_j z_j
//   B = Lambda + ridge I + background + alpha A = U^T U
//   mode  x = B^-1 (Lambda m + ridge m + alpha h)        draw  x = mode + U^-1 eps,  eps ~ N(0, I)
bool solve_row(const Problem& p, int64_t row, int ld, const Scratch& s) {
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
  if (p.draw) {
    normals(p.seed, static_cast<uint32_t>(row), p.sweep, p.stream, p.k, s.noise);
    for (int i = 0; i < p.k; ++i) s.v[i] += s.noise[i];
  }
  solve_upper(s.U, ld, s.inverse, s.v);
  std::memcpy(p.out + row * p.k, s.v, sizeof(float) * static_cast<size_t>(p.k));
  if (p.errors) p.errors[row] = squared_error(squares, s.v, ld, s);
  return true;
}

int64_t solve(const Problem& problem, const int32_t* order, int64_t n, float* memory) {
  const int ld = padded(problem.k);
  const Scratch scratch = split(memory, ld);
  prepare(problem, ld, scratch);
  for (int64_t i = 0; i < n; ++i)
    if (!solve_row(problem, order[i], ld, scratch)) return order[i];
  return -1;
}

// ---- pairs and Gram
// ----------------------------------------------------------------------------------------------------

void predict(const float* users, const float* items, int k, bool bias, float center, float scale,
             const int32_t* user_codes, const int32_t* item_codes, int64_t first, int64_t last, float* out) {
  constexpr int kAhead = 8;
  const int factors = bias ? k - 1 : k;
  for (int64_t e = first; e < last; ++e) {
    if (e + kAhead < last) {
      __builtin_prefetch(users + static_cast<int64_t>(user_codes[e + kAhead]) * k);
      __builtin_prefetch(items + static_cast<int64_t>(item_codes[e + kAhead]) * k);
    }
    const float* x = users + static_cast<int64_t>(user_codes[e]) * k;
    const float* y = items + static_cast<int64_t>(item_codes[e]) * k;
    Vec dot{};
    int j = 0;
    for (; j + W <= factors; j += W) dot += load(x + j) * load(y + j);
    if (bias && j + W == k) {  // the last vector ends with the bias, which is no factor
      Vec end = load(x + j);
      end[W - 1] = 0.0f;
      dot += end * load(y + j);
      j = factors;
    }
    float total = sum(dot);
    for (; j < factors; ++j) total += x[j] * y[j];
    if (bias) total += x[k - 1] + y[k - 1];
    out[e] = center + scale * total;
  }
}

void gram(const float* x, int64_t n, int k, double* into, double* sums, float* memory) {
  const int ld = padded(k);
  const Scratch s = split(memory, ld);
  for (int64_t first = 0; first < n; first += kPanel) {
    const int here = n - first < kPanel ? static_cast<int>(n - first) : kPanel;
    for (int r = 0; r < here; ++r) {
      const float* row = x + (first + r) * k;
      float* to = s.panel + static_cast<int64_t>(r) * ld;
      s.rows[r] = to;
      std::memcpy(to, row, sizeof(float) * k);
      std::memset(to + k, 0, sizeof(float) * (ld - k));
      for (int j = 0; j < k; ++j) sums[j] += row[j];
    }
    std::memset(s.A, 0, sizeof(float) * ld * ld);
    rank_update(s.rows, here, ld, s.A);
    for (int i = 0; i < k; ++i)
      for (int j = i; j < k; ++j) into[static_cast<int64_t>(i) * k + j] += s.A[static_cast<int64_t>(i) * ld + j];
  }
}

#define PALATE_NAME_OF(level) #level
#define PALATE_NAME(level) PALATE_NAME_OF(level)

}  // namespace

double descend(const Descent& descent, int64_t first, int64_t last, float lr);                           // sgd.cpp
void color(const float* normals, const float* factor, int k, int ld, float* out);                        // links.cpp
void draw_columns(const LinkProblem& problem, int64_t block);                                            // links.cpp
void multiply(const Rows& matrix, const float* table, int ld, int64_t first, int64_t last, float* out);  // products.cpp
void draw_truncated(const Latents& latents, int64_t first, int64_t last);                                // latent.cpp
void expect_truncated(const Latents& latents, int64_t first, int64_t last);                              // latent.cpp
void count_steps(const Counting& counting, int64_t first, int64_t last, int64_t* counts);                // latent.cpp
void step_curve(const Curve& curve, int64_t first, int64_t last);                                        // latent.cpp
PairSum descend_pairs(const Pairs& pairs, const PairCells& cells, float lr);                             // bpr.cpp

extern const RankingLevel ranking_table;                                                            // catalogue.cpp
int64_t block_scratch_floats(int ld, int width, int64_t longest);                                   // blocks.cpp
int64_t solve_blocks(const BlockProblem& problem, const int32_t* order, int64_t n, float* memory);  // blocks.cpp

extern const Level table;
const Level table = {PALATE_NAME(PALATE_LEVEL),
                     W,
                     padded,
                     scratch_floats,
                     solve,
                     predict,
                     gram,
                     descend,
                     multiply,
                     color,
                     draw_columns,
                     normals,
                     draw_truncated,
                     expect_truncated,
                     count_steps,
                     step_curve,
                     &ranking_table,
                     descend_pairs,
                     block_scratch_floats,
                     solve_blocks};

}  // namespace PALATE_LEVEL
}  // namespace palate
