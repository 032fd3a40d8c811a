// The Python border of draw_link.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/border/border.hpp"
#include "kernels/border/memory.hpp"
#include "kernels/levels/levels.hpp"

using namespace nanobind::literals;

namespace palate {
namespace {

// A table of n rows of k floats, as blocks of `width` columns one after the other, padded with zeros: a row is copied
// from a block's first column on.
struct Blocks {
  int64_t n, k, width;
  TableFloats floats;

  Blocks(int64_t n, int64_t k, int64_t width)
      : n(n), k(k), width(width), floats(size_of({(k + width - 1) / width, width, n})) {}

  float* at(int64_t row, int64_t column) const { return floats.data + column * n + row * width; }

  void set(int64_t row, const float* from) const {
    for (int64_t j = 0; j < k; j += width) {
      const int64_t here = std::min(width, k - j);
      std::fill(std::copy_n(from + j, here, at(row, j)), at(row, j) + width, 0.0f);
    }
  }

  void get(int64_t row, float* to) const {
    for (int64_t j = 0; j < k; j += width) std::copy_n(at(row, j), std::min(width, k - j), to + j);
  }
};

void to_blocks(const float* rows, const Blocks& blocks, int n_threads) {
  run_ranges(blocks.n, 1024, n_threads, [&](int64_t first, int64_t last, int) {
    for (int64_t r = first; r < last; ++r) blocks.set(r, rows + r * blocks.k);
  });
}

void from_blocks(const Blocks& blocks, float* rows, int n_threads) {
  run_ranges(blocks.n, 1024, n_threads, [&](int64_t first, int64_t last, int) {
    for (int64_t r = first; r < last; ++r) blocks.get(r, rows + r * blocks.k);
  });
}

// The counter of a draw.
struct Counter {
  uint64_t seed;
  uint32_t sweep, stream;
};

// Draws the noise of each feature, C times normals.
void draw_noise(const float* C, const Counter& counter, int n_threads, const Blocks& noise) {
  const Level& kernels = level();
  const int k = static_cast<int>(noise.k), ld = kernels.padded(k);
  const AlignedFloats columns(size_of({k, ld}));
  for (int i = 0; i < k; ++i)
    for (int j = 0; j < k; ++j) columns.data[i * ld + j] = C[j * k + i];
  run_ranges(noise.n, 256, n_threads, [&](int64_t first, int64_t last, int) {
    std::vector<float> normals(static_cast<size_t>(k)), drawn(static_cast<size_t>(ld));
    for (int64_t f = first; f < last; ++f) {
      kernels.normals(counter.seed, static_cast<uint32_t>(f), counter.sweep, counter.stream, k, normals.data());
      kernels.color_noise(normals.data(), columns.data, k, ld, drawn.data());
      noise.set(f, drawn.data());
    }
  });
}

constexpr char kDoc[] = R"(One Gibbs pass over the rows beta_f of a link, changing it and the residuals in place.

    R = X - m - F beta        v = sum_r F_rf^2 + ridge_f        C C^T = Lambda^-1
    beta_f ~ Normal((sum_r F_rf R_r + sum_r F_rf^2 beta_f) / v, Lambda^-1 / v)

With an overrelaxation a the draw lies on the other side of the mean m_f: m_f - a (beta_f - m_f) + sqrt(1 - a^2) times
the noise of a plain draw. It has the same stationary distribution (Adler 1981).

X are the factors, m their mean and F the features, grouped by feature.

Parameters:
    indptr (int64 array (n_features + 1,)): Where each feature's entries begin.
    indices (int32 array (n,)): The row that each entry belongs to.
    values (float32 array (n,) or None): F_rf of each entry.
    link (float32 array (n_features, k)): beta, changed in place; k between 1 and 4096.
    residuals (float32 array (n_rows, k)): R, changed in place.
    row_values (float32 array (n_rows,), default None): Instead of values: one value for all entries of a row.
    ridge (float32 array (n_features,)): Prior precision of each feature's row, relative to Lambda; above 0.
    factor (float32 array (k, k)): C; zeros take the means instead of draws.
    relaxation (float, default 0): a, 0 or more and below 1.
    seed, sweep, stream (int, default 0): Key and counter of the draw; seed below 2^64, the others below 2^32.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Raises:
    TypeError: An array has another dtype, shape or layout, or both or none of values and row_values are given.
    ValueError: An argument is out of range.
    IndexError: indices holds no row.)";

void draw_link(const Array& indptr, const Array& indices, const MaybeArray& values, const Mutable& link,
               const Mutable& residuals, const MaybeArray& row_values, const Array& ridge, const Array& factor,
               double relaxation, uint64_t seed, uint32_t sweep, uint32_t stream, int n_threads) {
  if (values.has_value() == row_values.has_value()) throw nb::type_error("give either values or row_values");
  if (link.ndim() != 2 || residuals.ndim() != 2) throw nb::type_error("link and residuals must have shape (n, k)");
  const auto d = static_cast<int64_t>(link.shape(0)), k = static_cast<int64_t>(link.shape(1));
  const auto n_rows = static_cast<int64_t>(residuals.shape(0)),
             n = static_cast<int64_t>(values.has_value() ? values->size() : indices.size());
  if (k < 1 || k > kMaxFactors) throw nb::value_error("link must have between 1 and 4096 columns");
  LinkProblem p{};
  p.features = {checked<int64_t>(indptr, "indptr", {d + 1}), checked<int32_t>(indices, "indices", {n}),
                checked<float>(values, "values", {n}), nullptr};
  p.n_features = d;
  p.n_rows = n_rows;
  p.relaxation = checked_relaxation(relaxation);
  p.row_values = checked<float>(row_values, "row_values", {n_rows});
  p.ridge = checked<float>(ridge, "ridge", {d});
  float* beta = checked_mutable<float>(link, "link", {d, k});
  float* R = checked_mutable<float>(residuals, "residuals", {n_rows, k});
  const float* C = checked<float>(factor, "factor", {k, k});
  check_indptr(p.features.indptr, d, n);
  check_bounds(p.features.indices, n, n_rows, "indices");
  check_finite(p.features.values, n, "values");
  check_finite(p.row_values, n_rows, "row_values");
  check_finite(C, k * k, "factor");
  for (int64_t f = 0; f < d; ++f)
    if (!(p.ridge[f] > 0) || !std::isfinite(p.ridge[f])) throw nb::value_error("ridge must be finite and above 0");

  const int threads = checked_threads(n_threads);
  const Level& kernels = level();
  // Wide blocks read each residual's cache line once, unless they would leave threads without any.
  p.width = k > int64_t{kernels.lanes} * threads ? kLinkColumns : kernels.lanes;
  const Blocks noise(d, k, p.width), betas(d, k, p.width), residual_blocks(n_rows, k, p.width);
  draw_noise(C, {seed, sweep, stream}, threads, noise);
  to_blocks(beta, betas, threads);
  to_blocks(R, residual_blocks, threads);
  p.noise = noise.floats.data;
  p.link = betas.floats.data;
  p.residuals = residual_blocks.floats.data;
  run((k + p.width - 1) / p.width, threads, [&](int64_t block, int) { kernels.draw_columns(p, block); });
  from_blocks(betas, beta, threads);
  from_blocks(residual_blocks, R, threads);
}

}  // namespace

void add_draw_link(nb::module_& m) {
  m.def("draw_link", &draw_link, "indptr"_a, "indices"_a, "values"_a.none(), "link"_a.noconvert(),
        "residuals"_a.noconvert(), nb::kw_only(), "row_values"_a.none() = nb::none(), "ridge"_a, "factor"_a,
        "relaxation"_a = 0.0, "seed"_a = 0, "sweep"_a = 0, "stream"_a = 0, "n_threads"_a = 0, kDoc);
}

}  // namespace palate
