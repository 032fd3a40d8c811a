// Draws the link from features to factors, given the factors. Compiled once for each level.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/levels/compiler.hpp"
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
// overrelaxed by a (beta' = mean - a (beta - mean) + sqrt(1 - a^2) noise), and R is updated. Columns of the tables
// depend on each other only through the noise, so each thread takes a block of columns, n vectors wide.
template <int n, typename Values>
inline void draw_with(const LinkProblem& p, int64_t block, Values values) {
  constexpr int64_t width = n * W;
  float* link = p.link + block * p.n_features * width;
  float* residuals = p.residuals + block * p.n_rows * width;
  const float* noise = p.noise + block * p.n_features * width;
  const int32_t* rows = p.features.indices;
  const float relaxation = p.relaxation, kept = std::sqrt(1.0f - relaxation * relaxation);
  for (int64_t f = 0; f < p.n_features; ++f, link += width, noise += width) {
    const int64_t first = p.features.indptr[f], last = p.features.indptr[f + 1];
    Vec even[n] = {}, odd[n] = {}, even_squares{}, odd_squares{};
    auto add = [&](int64_t e, Vec* sum, Vec& squares) {
      const float* residual = residuals + rows[e] * width;
      const Vec value = broadcast(values[e]);
      squares += value * value;
      PALATE_UNROLL(4)
      for (int v = 0; v < n; ++v) sum[v] += value * load(residual + v * W);
    };
    int64_t e = first;
    for (; e + 1 < last; e += 2) {
      const int64_t ahead = e + kAhead < last ? e + kAhead : e;
      PALATE_PREFETCH(residuals + rows[ahead] * width);
      PALATE_PREFETCH(residuals + rows[ahead + 1 < last ? ahead + 1 : ahead] * width);
      add(e, even, even_squares);
      add(e + 1, odd, odd_squares);
    }
    if (e < last) add(e, even, even_squares);
    const Vec squares = even_squares + odd_squares, precision = squares + broadcast(p.ridge[f]);
    const Vec variance = broadcast(1.0f / precision[0]), deviation = broadcast(kept / std::sqrt(precision[0]));
    Vec moved[n];
    PALATE_UNROLL(4)
    for (int v = 0; v < n; ++v) {
      const Vec before = load(link + v * W);
      const Vec mean = (even[v] + odd[v] + squares * before) * variance;
      const Vec after = mean - relaxation * (before - mean) + deviation * load(noise + v * W);
      store(link + v * W, after);
      moved[v] = after - before;
    }
    for (e = first; e < last; ++e) {
      float* residual = residuals + rows[e] * width;
      const Vec value = broadcast(values[e]);
      PALATE_UNROLL(4)
      for (int v = 0; v < n; ++v) store(residual + v * W, load(residual + v * W) - value * moved[v]);
    }
  }
}

template <int n>
void draw_block(const LinkProblem& p, int64_t block) {
  if (p.features.values) return draw_with<n>(p, block, EntryValues{p.features.values});
  draw_with<n>(p, block, RowValues{p.row_values, p.features.indices});
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
  if (p.width == W) return draw_block<1>(p, block);
  draw_block<kLinkColumns / W>(p, block);
}

}  // namespace PALATE_LEVEL
}  // namespace palate
