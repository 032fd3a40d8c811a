// The link kernel: features to factors. Compiled once for each instruction set, like rows.cpp.
#include "links.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>

namespace palate {
namespace PALATE_LEVEL {

void color(const float* normals, const float* factor, int k, int ld, float* out);
void draw_columns(const LinkProblem& problem, int64_t block);

namespace {

#include "vectors.hpp"

constexpr int64_t kAhead = 16;  // so many entries ahead, residuals are asked of the memory

// The values F_rf of the entries, one by one or one for all entries of a row.
struct EntryValues {
  const float* values;
  float operator[](int64_t e) const { return values[e]; }
};

struct RowValues {
  const float* values;
  const int32_t* rows;
  float operator[](int64_t e) const { return values[rows[e]]; }
};

}  // namespace

// out = factor normals, where column i of the (k, k) factor stands at factor + i ld: (ld,).
void color(const float* normals, const float* factor, int k, int ld, float* out) {
  for (int j = 0; j < ld; j += W) {
    Vec total{};
    for (int i = 0; i < k; ++i) total += broadcast(normals[i]) * load(factor + i * ld + j);
    store(out + j, total);
  }
}

namespace {

// One Gibbs pass over the features: each row beta_f of the link drawn given all others. With R = X - m - F beta,
//
//   s = sum_r F_rf R_r + |F_f|^2 beta_f        beta_f ~ Normal(s / (|F_f|^2 + l_f), Lambda^-1 / (|F_f|^2 + l_f))
//
// and R follows. Columns of the tables need each other only through the noise, so that threads take blocks of them.
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

void draw_columns(const LinkProblem& p, int64_t block) {
  if (p.features.values) return draw_with(p, block, EntryValues{p.features.values});
  draw_with(p, block, RowValues{p.row_values, p.features.indices});
}

}  // namespace PALATE_LEVEL
}  // namespace palate
