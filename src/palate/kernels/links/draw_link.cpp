// Draws the link from features to factors, given the factors. Compiled once for each level.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/links/links.hpp"

namespace palate {
namespace PALATE_LEVEL {

ColorNoise color_noise;
DrawColumns draw_columns;

namespace {

#include "kernels/levels/vectors.hpp"

constexpr int64_t kAhead = 16;  // residuals are prefetched this many entries ahead

// The values F_rf: one for each entry, or one for all entries of a row.
struct EntryValues {
  const float* values;
  float operator[](int64_t e) const { return values[e]; }
};

struct RowValues {
  const float* values;
  const int32_t* rows;
  float operator[](int64_t e) const { return values[rows[e]]; }
};

// One Gibbs pass over the features: draws each row beta_f of the link given all others. With R = X - m - F beta,
//
//   s = sum_r F_rf R_r + |F_f|^2 beta_f        beta_f ~ Normal(s / (|F_f|^2 + l_f), Lambda^-1 / (|F_f|^2 + l_f))
//
// and R is updated. Columns of the tables depend on each other only through the noise, so each thread takes a block of
// columns.
template <typename Values>
inline void draw_with(const LinkProblem& p, int64_t block, Values values) {
  float* link = p.link + block * p.n_features * W;
  float* residuals = p.residuals + block * p.n_rows * W;
  const float* noise = p.noise + block * p.n_features * W;
  const int32_t* rows = p.features.indices;
  for (int64_t f = 0; f < p.n_features; ++f) {
    const int64_t first = p.features.indptr[f], last = p.features.indptr[f + 1];
    Vec even{}, odd{};
    int64_t e = first;
    for (; e + 1 < last; e += 2) {
      if (e + kAhead < last) {
        __builtin_prefetch(residuals + static_cast<int64_t>(rows[e + kAhead]) * W);
        __builtin_prefetch(residuals + static_cast<int64_t>(rows[e + kAhead - 1]) * W);
      }
      even += broadcast(values[e]) * load(residuals + static_cast<int64_t>(rows[e]) * W);
      odd += broadcast(values[e + 1]) * load(residuals + static_cast<int64_t>(rows[e + 1]) * W);
    }
    if (e < last) even += broadcast(values[e]) * load(residuals + static_cast<int64_t>(rows[e]) * W);
    const float precision = p.squares[f] + p.ridge[f];
    const Vec before = load(link + f * W);
    const Vec mean = (even + odd + broadcast(p.squares[f]) * before) * broadcast(1.0f / precision);
    const Vec after = mean + broadcast(1.0f / std::sqrt(precision)) * load(noise + f * W);
    store(link + f * W, after);
    const Vec moved = after - before;
    for (e = first; e < last; ++e) {
      float* residual = residuals + static_cast<int64_t>(rows[e]) * W;
      store(residual, load(residual) - broadcast(values[e]) * moved);
    }
  }
}

}  // namespace

// out = factor normals, (ld,).
void color_noise(const float* normals, const float* factor, int k, int ld, float* out) {
  for (int j = 0; j < ld; j += W) {
    Vec total{};
    for (int i = 0; i < k; ++i) total += broadcast(normals[i]) * load(factor + i * ld + j);
    store(out + j, total);
  }
}

void draw_columns(const LinkProblem& p, int64_t block) {
  if (p.features.values) return draw_with(p, block, EntryValues{p.features.values});
  draw_with(p, block, RowValues{p.row_values, p.features.indices});
}

}  // namespace PALATE_LEVEL
}  // namespace palate
