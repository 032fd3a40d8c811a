// The Python border of the kernels of features: products with sparse matrices, and the link to the factors.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "border.hpp"
#include "checks.hpp"
#include "links.hpp"
#include "rows.hpp"

namespace palate {

using namespace nb::literals;

namespace {

// Rows first .. last of a matrix as a matrix of their own.
Rows part_of(const Rows& matrix, int64_t first) {
  return {matrix.indptr + first, matrix.indices, matrix.values, matrix.weights};
}

constexpr int kWide = 64;  // columns of a block; a whole number of vectors at every level

// The product with a table too large for the cache, a block of columns after the other: this block of the table, copied
// together, is read many times from L2. Every sum has the order that it has without blocks.
void multiply_wide(const Rows& matrix, int64_t n_rows, const float* table, int64_t n_other, int64_t k, int n_threads,
                   float* out) {
  constexpr int64_t kRows = 256;
  const int64_t n_blocks = (k + kWide - 1) / kWide;
  const int threads = static_cast<int>(std::min<int64_t>(n_threads, n_blocks));
  std::vector<std::unique_ptr<AlignedFloats>> scratch;
  for (int t = 0; t < threads; ++t) scratch.push_back(std::make_unique<AlignedFloats>((n_other + kRows) * kWide));
  const Level& kernels = level();
  run(n_blocks, threads, [&](int64_t task, int worker) {
    const int64_t column = task * kWide, width = std::min<int64_t>(kWide, k - column);
    float *block = scratch[worker]->data, *product = block + n_other * kWide;
    for (int64_t row = 0; row < n_other; ++row) {
      float* end = std::copy_n(table + row * k + column, width, block + row * kWide);
      std::fill(end, block + (row + 1) * kWide, 0.0f);
    }
    for (int64_t row = 0; row < n_rows; row += kRows) {
      const int64_t n = std::min(kRows, n_rows - row);
      kernels.multiply(part_of(matrix, row), block, kWide, 0, n, product);
      for (int64_t r = 0; r < n; ++r) std::copy_n(product + r * kWide, width, out + (row + r) * k + column);
    }
  });
}

// The product with a table of few columns. Tasks are blocks of rows with about the same number of entries.
void multiply_narrow(const Rows& matrix, int64_t n_rows, const float* from, int64_t n_other, int64_t k, int n_threads,
                     float* out) {
  const Level& kernels = level();
  const int ld = kernels.padded(static_cast<int>(k));
  const bool whole = ld == k;  // whole vectors need no copy
  const AlignedFloats padded(whole ? 0 : n_other * ld), product(whole ? 0 : n_rows * ld);
  if (!whole)
    for (int64_t row = 0; row < n_other; ++row) {
      std::copy(from + row * k, from + (row + 1) * k, padded.data + row * ld);
      std::fill(padded.data + row * ld + k, padded.data + (row + 1) * ld, 0.0f);
    }
  std::vector<int64_t> begin;
  const int64_t share = std::max<int64_t>((matrix.indptr[n_rows] + n_rows) / 64, 2000);
  for (int64_t row = 0, here = share; row < n_rows; ++row) {
    if (here >= share) begin.push_back(row), here = 0;
    here += matrix.indptr[row + 1] - matrix.indptr[row] + 1;
  }
  begin.push_back(n_rows);
  run(static_cast<int64_t>(begin.size()) - 1, n_threads, [&](int64_t task, int) {
    float* to = whole ? out : product.data;
    kernels.multiply(matrix, whole ? from : padded.data, ld, begin[task], begin[task + 1], to);
    if (!whole)
      for (int64_t row = begin[task]; row < begin[task + 1]; ++row)
        std::copy(to + row * ld, to + row * ld + k, out + row * k);
  });
}

// A sparse matrix times a table of vectors.
nb::object multiply_rows(const Array& indptr, const Array& indices, const MaybeArray& values, const Array& table,
                         int n_threads) {
  if (indptr.ndim() != 1 || indptr.shape(0) < 1) throw nb::type_error("indptr must have shape (n_rows + 1,)");
  if (table.ndim() != 2) throw nb::type_error("table must have shape (n, k)");
  const auto n_rows = static_cast<int64_t>(indptr.shape(0)) - 1, n = static_cast<int64_t>(indices.size());
  const auto n_other = static_cast<int64_t>(table.shape(0)), k = static_cast<int64_t>(table.shape(1));
  if (k < 1 || k >= INT32_MAX - kWide) throw nb::value_error("table must have between 1 and 2^31 - 66 columns");
  const Rows matrix{checked<int64_t>(indptr, "indptr", {n_rows + 1}), checked<int32_t>(indices, "indices", {n}),
                    checked<float>(values, "values", {n}), nullptr};
  const float* from = checked<float>(table, "table", {n_other, k});
  check_indptr(matrix.indptr, n_rows, n);
  check_bounds(matrix.indices, n, n_other, "indices");
  const Owned<float> out(n_rows * k);
  const bool wide = k > 2 * kWide && n > 2 * n_other;  // otherwise the copy is not worth it
  (wide ? multiply_wide : multiply_narrow)(matrix, n_rows, from, n_other, k, checked_threads(n_threads), out.data);
  return out.array({static_cast<size_t>(n_rows), static_cast<size_t>(k)});
}

// Rows of k floats as blocks of `lanes` columns, one block after the other, zeros behind; and back.
void to_blocks(const float* rows, int64_t n, int64_t k, int64_t lanes, float* blocks) {
  for (int64_t at = 0; at < k; at += lanes, blocks += n * lanes)
    for (int64_t r = 0; r < n; ++r)
      for (int64_t j = 0; j < lanes; ++j) blocks[r * lanes + j] = at + j < k ? rows[r * k + at + j] : 0.0f;
}

void from_blocks(const float* blocks, int64_t n, int64_t k, int64_t lanes, float* rows) {
  for (int64_t at = 0; at < k; at += lanes, blocks += n * lanes)
    for (int64_t r = 0; r < n; ++r)
      for (int64_t j = 0; j < std::min(lanes, k - at); ++j) rows[r * k + at + j] = blocks[r * lanes + j];
}

void draw_link(const Array& indptr, const Array& indices, const MaybeArray& values, const Mutable& link,
               const Mutable& residuals, const MaybeArray& row_values, const Array& ridge, const Array& factor,
               uint64_t seed, uint32_t sweep, uint32_t stream, int n_threads) {
  if (values.has_value() == row_values.has_value()) throw nb::type_error("give values or row_values, one of them");
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

  const Level& kernels = level();
  const int lanes = kernels.lanes, ld = kernels.padded(static_cast<int>(k));
  const int64_t n_blocks = (k + lanes - 1) / lanes;
  const AlignedFloats columns(k * ld), noise(n_blocks * d * lanes), blocked(n_blocks * d * lanes),
      left(n_blocks * n_rows * lanes);
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < ld; ++j) columns.data[i * ld + j] = j < k ? C[j * k + i] : 0.0f;
  std::vector<float> squares(static_cast<size_t>(d), 0.0f);
  constexpr int64_t kColumns = 256;
  run((d + kColumns - 1) / kColumns, checked_threads(n_threads), [&](int64_t task, int) {
    std::vector<float> normals(static_cast<size_t>(k)), drawn(static_cast<size_t>(ld));
    for (int64_t f = task * kColumns; f < std::min(d, (task + 1) * kColumns); ++f) {
      kernels.normals(seed, static_cast<uint32_t>(f), sweep, stream, static_cast<int>(k), normals.data());
      kernels.color(normals.data(), columns.data, static_cast<int>(k), ld, drawn.data());
      for (int64_t b = 0; b < n_blocks; ++b)
        std::copy(drawn.data() + b * lanes, drawn.data() + (b + 1) * lanes, noise.data + (b * d + f) * lanes);
      for (int64_t e = p.features.indptr[f]; e < p.features.indptr[f + 1]; ++e) {
        const float value = p.row_values ? p.row_values[p.features.indices[e]] : p.features.values[e];
        squares[f] += value * value;
      }
    }
  });
  to_blocks(beta, d, k, lanes, blocked.data);
  to_blocks(R, n_rows, k, lanes, left.data);
  p.squares = squares.data();
  p.noise = noise.data;
  p.link = blocked.data;
  p.residuals = left.data;
  run(n_blocks, checked_threads(n_threads), [&](int64_t block, int) { kernels.draw_columns(p, block); });
  from_blocks(blocked.data, d, k, lanes, beta);
  from_blocks(left.data, n_rows, k, lanes, R);
}

}  // namespace

void add_link_kernels(nb::module_& m) {
  m.def("multiply_rows", &multiply_rows, "indptr"_a, "indices"_a, "values"_a.none(), "table"_a, nb::kw_only(),
        "n_threads"_a = 0);
  m.def("draw_link", &draw_link, "indptr"_a, "indices"_a, "values"_a.none(), "link"_a.noconvert(),
        "residuals"_a.noconvert(), nb::kw_only(), "row_values"_a.none() = nb::none(), "ridge"_a, "factor"_a,
        "seed"_a = 0, "sweep"_a = 0, "stream"_a = 0, "n_threads"_a = 0);
}

}  // namespace palate
