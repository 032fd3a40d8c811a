// The row kernels. This file is compiled once for each instruction set (PALATE_LEVEL is its name); everything in it is
// local to its level, so that no function built for a wide machine can be picked by the linker for a narrow one.
#include "rows.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>

namespace palate {
namespace PALATE_LEVEL {
namespace {

#if defined(__AVX512F__)
constexpr int W = 16;  // floats in a vector register
#elif defined(__AVX2__)
constexpr int W = 8;
#else
constexpr int W = 4;
#endif

typedef float Vec __attribute__((vector_size(W * 4), aligned(4), may_alias));

inline Vec load(const float* from) { return *reinterpret_cast<const Vec*>(from); }
inline void store(float* to, Vec value) { *reinterpret_cast<Vec*>(to) = value; }
inline Vec broadcast(float value) { return Vec{} + value; }

inline float sum(Vec v) {
  float total = 0;
  for (int lane = 0; lane < W; ++lane) total += v[lane];
  return total;
}

inline int padded(int k) { return (k + W - 1) / W * W; }

constexpr int kPanel = 128;  // rows of the other side packed together: 32 KB at 64 factors, so they stay in L1

// Scratch of one thread. ld = k rounded up to whole vectors; the padding is zero (one on the diagonal of U).
struct Scratch {
  float* panel;    // (kPanel, ld) sqrt(w) z
  float* target;   // (kPanel,)    sqrt(w) t
  float* A;        // (ld, ld)     sum of w z z^T, the upper triangle
  float* U;        // (ld, ld)     B = U^T U, the upper triangle
  float* h;        // (ld,)        sum of w t z
  float* v;        // (ld,)
  float* noise;    // (ld + 4,)
  float* inverse;  // (ld,)        1 / U_ii
};

Scratch split(float* memory, int ld) {
  Scratch s;
  s.panel = memory;
  s.A = s.panel + kPanel * ld;
  s.U = s.A + ld * ld;
  s.target = s.U + ld * ld;
  s.h = s.target + kPanel;
  s.v = s.h + ld;
  s.inverse = s.v + ld;
  s.noise = s.inverse + ld;
  return s;
}

int64_t scratch_floats(int k) {
  const int64_t ld = padded(k);
  return kPanel * ld + 2 * ld * ld + kPanel + 4 * ld + 16;
}

// ---- rank-n update: the inner loop of everything --------------------------------------------------------------------

// into[i, j] += sign * sum_r panel[r, i] panel[r, j]  for MR rows i from i0 and NR vectors j from j0, held in
// registers.
template <int MR, int NR>
inline void tile(const float* panel, int n, int ld, int i0, int j0, float sign, float* into) {
  Vec acc[MR][NR] = {};
  for (int r = 0; r < n; ++r) {
    const float* row = panel + static_cast<int64_t>(r) * ld;
    Vec right[NR];
    for (int j = 0; j < NR; ++j) right[j] = load(row + j0 + j * W);
    for (int i = 0; i < MR; ++i) {
      const Vec left = broadcast(row[i0 + i]);
      for (int j = 0; j < NR; ++j) acc[i][j] += left * right[j];
    }
  }
  for (int i = 0; i < MR; ++i) {
    float* to = into + static_cast<int64_t>(i0 + i) * ld + j0;
    for (int j = 0; j < NR; ++j) store(to + j * W, load(to + j * W) + sign * acc[i][j]);
  }
}

template <int MR, int NR>
inline void strip(const float* panel, int n, int ld, int i0, int j0, float sign, float* into) {
  for (int i = 0; i < W; i += MR) tile<MR, NR>(panel, n, ld, i0 + i, j0, sign, into);
}

// into += sign * panel^T panel in block row i0 .. i0 + W, from the diagonal block to the right end.
// The tile shapes fill the registers: 32 of 16 lanes, or 16 of the narrower kinds.
void block_row(const float* panel, int n, int ld, int i0, float sign, float* into) {
  int j0 = i0;
  for (; ld - j0 > 4 * W; j0 += 3 * W) strip<W == 16 ? 8 : 4, 3>(panel, n, ld, i0, j0, sign, into);
  switch ((ld - j0) / W) {
    case 4:
      if (W == 16) return strip<4, 4>(panel, n, ld, i0, j0, sign, into);
      strip<4, 2>(panel, n, ld, i0, j0, sign, into);
      return strip<4, 2>(panel, n, ld, i0, j0 + 2 * W, sign, into);
    case 3:
      return strip<W == 16 ? 8 : 4, 3>(panel, n, ld, i0, j0, sign, into);
    case 2:
      return strip<W == 16 ? 8 : 4, 2>(panel, n, ld, i0, j0, sign, into);
    default:
      return strip<W == 4 ? 4 : W == 8 ? 8 : 16, 1>(panel, n, ld, i0, j0, sign, into);
  }
}

void rank_update(const float* panel, int n, int ld, float* A) {
  for (int i0 = 0; i0 < ld; i0 += W) block_row(panel, n, ld, i0, 1.0f, A);
}

// ---- Cholesky
// --------------------------------------------------------------------------------------------------------

// B = U^T U in place, upper triangle, a block row of W at a time: the block row less what the rows above explain (the
// rank-n update again), then its own W pivots. Below the diagonal its blocks are set to zero, so that whole vectors of
// U can be used. False when a pivot is not positive.
bool cholesky(float* U, int ld, float* inverse) {
  for (int i0 = 0; i0 < ld; i0 += W) {
    if (i0 > 0) block_row(U, i0, ld, i0, -1.0f, U);
    for (int p = i0; p < i0 + W; ++p) {
      float* pivot_row = U + static_cast<int64_t>(p) * ld;
      const float pivot = pivot_row[p];
      if (!(pivot > 0)) return false;
      inverse[p] = 1.0f / std::sqrt(pivot);
      for (int j = i0; j < p; ++j) pivot_row[j] = 0.0f;
      for (int j = i0; j < ld; j += W) store(pivot_row + j, load(pivot_row + j) * inverse[p]);
      for (int i = p + 1; i < i0 + W; ++i) {
        float* row = U + static_cast<int64_t>(i) * ld;
        const Vec factor = broadcast(pivot_row[i]);
        for (int j = i0; j < ld; j += W) store(row + j, load(row + j) - factor * load(pivot_row + j));
      }
    }
  }
  return true;
}

// v <- U^-T v
void solve_lower(const float* U, int ld, const float* inverse, float* v) {
  for (int i = 0; i < ld; ++i) {
    const float* row = U + static_cast<int64_t>(i) * ld;
    const float value = v[i] * inverse[i];
    const int j0 = i / W * W;
    for (int j = j0; j < ld; j += W) store(v + j, load(v + j) - value * load(row + j));
    v[i] = value;
  }
}

// v <- U^-1 v
void solve_upper(const float* U, int ld, const float* inverse, float* v) {
  for (int i = ld - 1; i >= 0; --i) {
    const float* row = U + static_cast<int64_t>(i) * ld;
    const int next = (i / W + 1) * W;
    Vec dot{};
    for (int j = next; j < ld; j += W) dot += load(row + j) * load(v + j);
    float rest = sum(dot);
    for (int j = i + 1; j < next; ++j) rest += row[j] * v[j];
    v[i] = (v[i] - rest) * inverse[i];
  }
}

// ---- random normals
// --------------------------------------------------------------------------------------------------

constexpr int kLanes = 16;
typedef uint32_t UInts __attribute__((vector_size(kLanes * 4)));
typedef int32_t Ints __attribute__((vector_size(kLanes * 4)));
typedef uint64_t Longs __attribute__((vector_size(kLanes * 8)));
typedef float Floats __attribute__((vector_size(kLanes * 4)));

inline Floats as_floats(UInts bits) { return reinterpret_cast<Floats>(bits); }

// Philox4x32-10 (philox.hpp) in every lane.
inline void philox_lanes(UInts c[4], uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const Longs product0 = __builtin_convertvector(c[0], Longs) * uint64_t{0xD2511F53};
    const Longs product1 = __builtin_convertvector(c[2], Longs) * uint64_t{0xCD9E8D57};
    const UInts high0 = __builtin_convertvector(product0 >> 32, UInts);
    const UInts high1 = __builtin_convertvector(product1 >> 32, UInts);
    c[0] = high1 ^ c[1] ^ key0;
    c[2] = high0 ^ c[3] ^ key1;
    c[1] = __builtin_convertvector(product1, UInts);
    c[3] = __builtin_convertvector(product0, UInts);
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
}

// ln(u) for u in (0, 1): u = m 2^e with m near 1, ln m = 2 artanh(s), s = (m - 1) / (m + 1), |s| < 0.18.
inline Floats log_lanes(Floats u) {
  const UInts bits = reinterpret_cast<UInts>(u);
  const Ints exponent = reinterpret_cast<Ints>((bits - 0x3F3504F3u)) >> 23;  // 0x3F3504F3 is sqrt(1/2)
  const Floats m = as_floats(bits - (reinterpret_cast<UInts>(exponent) << 23));
  const Floats s = (m - 1.0f) / (m + 1.0f);
  const Floats s2 = s * s;
  const Floats series = 1.0f + s2 * (1.0f / 3 + s2 * (1.0f / 5 + s2 * (1.0f / 7 + s2 * (1.0f / 9))));
  return 2.0f * s * series + __builtin_convertvector(exponent, Floats) * 0.69314718056f;
}

inline Floats sqrt_lanes(Floats v) {
  Floats root;
  for (int lane = 0; lane < kLanes; ++lane) root[lane] = __builtin_sqrtf(v[lane]);
  return root;
}

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

// Packs sqrt(w) z and sqrt(w) t of ratings first .. first + n into the panel.
void gather(const Problem& p, int64_t first, int n, int ld, const Scratch& s) {
  constexpr int kAhead = 12;
  const int32_t* index = p.rows.indices + first;
  for (int r = 0; r < n; ++r) {
    if (r + kAhead < n) {
      const float* ahead = p.other + static_cast<int64_t>(index[r + kAhead]) * p.k;
      for (int j = 0; j < p.k; j += 16) __builtin_prefetch(ahead + j);
    }
    const float* z = p.other + static_cast<int64_t>(index[r]) * p.k;
    float* to = s.panel + static_cast<int64_t>(r) * ld;
    float t = (p.rows.values[first + r] - p.center) / p.scale;
    if (ld == p.k) {
      for (int j = 0; j < ld; j += W) store(to + j, load(z + j));
    } else {
      std::memcpy(to, z, sizeof(float) * p.k);
      std::memset(to + p.k, 0, sizeof(float) * (ld - p.k));
    }
    if (p.bias) {
      t -= z[p.k - 1];
      to[p.k - 1] = 1.0f;
    }
    if (p.rows.weights) {
      const float root = std::sqrt(p.rows.weights[first + r]);
      for (int j = 0; j < ld; j += W) store(to + j, load(to + j) * root);
      t *= root;
    }
    s.target[r] = t;
  }
}

// B = Lambda + ridge I + background + alpha A into U; rhs = Lambda m + ridge m + alpha h into v.
void normal_equations(const Problem& p, int64_t row, int ld, const Scratch& s) {
  const float ridge = p.ridge ? p.ridge[row] : 0.0f;
  const float* m = p.mean_per_row ? p.mean + row * p.k : p.mean;
  for (int i = 0; i < ld; ++i) {
    float* to = s.U + static_cast<int64_t>(i) * ld;
    const float* a = s.A + static_cast<int64_t>(i) * ld;
    for (int j = i / W * W; j < ld; j += W) store(to + j, p.alpha * load(a + j));
    if (i >= p.k) {
      to[i] = 1.0f;
      s.v[i] = 0.0f;
      continue;
    }
    const float* lambda = p.precision + static_cast<int64_t>(i) * p.k;
    float prior = ridge * m[i];
    for (int j = 0; j < p.k; ++j) prior += lambda[j] * m[j];
    for (int j = i; j < p.k; ++j) to[j] += lambda[j];
    if (p.background) {
      const float* background = p.background + static_cast<int64_t>(i) * p.k;
      for (int j = i; j < p.k; ++j) to[j] += background[j];
    }
    to[i] += ridge;
    s.v[i] = prior + p.alpha * s.h[i];
  }
}

// sum of w (t - x.z)^2 = sum of w t^2 - 2 x.h + x^T A x
double squared_error(double squares, const float* x, int ld, const Scratch& s) {
  double error = squares;
  for (int i = 0; i < ld; ++i) {
    const float* row = s.A + static_cast<int64_t>(i) * ld;
    float right = 0.5f * row[i] * x[i];
    for (int j = i + 1; j < ld; ++j) right += row[j] * x[j];
    error += 2.0 * x[i] * (static_cast<double>(right) - s.h[i]);
  }
  return error > 0 ? error : 0;
}

// One row x given the other side, a linear-Gaussian problem:
//
//   A = sum_j w_j z_j z_j^T        h = sum_j w_j t_j z_j
//   B = Lambda + ridge I + background + alpha A = U^T U
//   mode  x = B^-1 (Lambda m + ridge m + alpha h)        draw  x = mode + U^-1 eps,  eps ~ N(0, I)
bool solve_row(const Problem& p, int64_t row, int ld, const Scratch& s) {
  std::memset(s.A, 0, sizeof(float) * ld * ld);
  std::memset(s.h, 0, sizeof(float) * ld);
  double squares = 0;
  const int64_t last = p.rows.indptr[row + 1];
  for (int64_t first = p.rows.indptr[row]; first < last; first += kPanel) {
    const int n = last - first < kPanel ? static_cast<int>(last - first) : kPanel;
    gather(p, first, n, ld, s);
    rank_update(s.panel, n, ld, s.A);
    for (int r = 0; r < n; ++r) {
      const float* z = s.panel + static_cast<int64_t>(r) * ld;
      for (int j = 0; j < ld; j += W) store(s.h + j, load(s.h + j) + s.target[r] * load(z + j));
      squares += static_cast<double>(s.target[r]) * s.target[r];
    }
  }
  normal_equations(p, row, ld, s);
  if (!cholesky(s.U, ld, s.inverse)) return false;
  solve_lower(s.U, ld, s.inverse, s.v);
  if (p.draw) {
    normals(p.seed, static_cast<uint32_t>(row), p.sweep, p.stream, p.k, s.noise);
    for (int i = 0; i < p.k; ++i) s.v[i] += s.noise[i];
  }
  solve_upper(s.U, ld, s.inverse, s.v);
  std::memcpy(p.out + row * p.k, s.v, sizeof(float) * p.k);
  if (p.errors) p.errors[row] = squared_error(squares, s.v, ld, s);
  return true;
}

int64_t solve(const Problem& problem, const int32_t* order, int64_t n, float* memory) {
  const int ld = padded(problem.k);
  const Scratch scratch = split(memory, ld);
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
      std::memcpy(to, row, sizeof(float) * k);
      std::memset(to + k, 0, sizeof(float) * (ld - k));
      for (int j = 0; j < k; ++j) sums[j] += row[j];
    }
    std::memset(s.A, 0, sizeof(float) * ld * ld);
    rank_update(s.panel, here, ld, s.A);
    for (int i = 0; i < k; ++i)
      for (int j = i; j < k; ++j) into[static_cast<int64_t>(i) * k + j] += s.A[static_cast<int64_t>(i) * ld + j];
  }
}

#define PALATE_NAME_OF(level) #level
#define PALATE_NAME(level) PALATE_NAME_OF(level)

}  // namespace

extern const Level table;
const Level table = {PALATE_NAME(PALATE_LEVEL), scratch_floats, solve, predict, gram, normals};

}  // namespace PALATE_LEVEL
}  // namespace palate
