// The Python border of the products of sparse matrices and of nearest neighbours.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "border.hpp"
#include "checks.hpp"
#include "neighbors.hpp"

namespace palate {

using namespace nb::literals;

namespace {

constexpr int64_t kRowsPerTask = 8;

int64_t rows_of(const Array& indptr) {
  if (indptr.ndim() != 1 || indptr.shape(0) < 1) throw nb::type_error("indptr must have shape (n_rows + 1,)");
  return static_cast<int64_t>(indptr.shape(0)) - 1;
}

Rows checked_matrix(const Array& indptr, const Array& indices, const MaybeArray& values, int64_t n_rows,
                    int64_t n_columns) {
  const auto n = static_cast<int64_t>(indices.size());
  const Rows matrix{checked<int64_t>(indptr, "indptr", {n_rows + 1}), checked<int32_t>(indices, "indices", {n}),
                    checked<float>(values, "values", {n}), nullptr};
  check_indptr(matrix.indptr, n_rows, n);
  check_bounds(matrix.indices, n, n_columns, "indices");
  return matrix;
}

void for_rows(int64_t n_rows, int n_threads, const std::function<void(int64_t, int)>& row) {
  run((n_rows + kRowsPerTask - 1) / kRowsPerTask, n_threads, [&](int64_t task, int worker) {
    const int64_t last = std::min(n_rows, (task + 1) * kRowsPerTask);
    for (int64_t r = task * kRowsPerTask; r < last; ++r) row(r, worker);
  });
}

int64_t checked_columns(int64_t n_columns) {
  if (n_columns < 0 || n_columns > INT32_MAX) throw nb::value_error("n_columns must lie between 0 and 2^31 - 1");
  return n_columns;
}

nb::object multiply_sparse(const Array& indptr, const Array& indices, const MaybeArray& values,
                           const Array& other_indptr, const Array& other_indices, const MaybeArray& other_values,
                           int64_t n_columns, int n_threads) {
  const int64_t n_rows = rows_of(indptr), n_middle = rows_of(other_indptr);
  const Rows A = checked_matrix(indptr, indices, values, n_rows, n_middle);
  const Rows T = checked_matrix(other_indptr, other_indices, other_values, n_middle, checked_columns(n_columns));
  const Owned<float> out(n_rows * n_columns);
  for_rows(n_rows, checked_threads(n_threads),
           [&](int64_t row, int) { multiply_sparse_row(A, T, row, n_columns, out.data + row * n_columns); });
  return out.array({static_cast<size_t>(n_rows), static_cast<size_t>(n_columns)});
}

nb::object multiply_wide(const Array& indptr, const Array& indices, const MaybeArray& values, const Array& table,
                         int n_threads) {
  if (table.ndim() != 2) throw nb::type_error("table must have shape (n, k)");
  const auto n_rows = rows_of(indptr), n = static_cast<int64_t>(table.shape(0)),
             k = static_cast<int64_t>(table.shape(1));
  const Rows A = checked_matrix(indptr, indices, values, n_rows, n);
  const float* from = checked<float>(table, "table", {n, k});
  const Owned<float> out(n_rows * k);
  for_rows(n_rows, checked_threads(n_threads),
           [&](int64_t row, int) { multiply_wide_row(A, from, row, k, out.data + row * k); });
  return out.array({static_cast<size_t>(n_rows), static_cast<size_t>(k)});
}

nb::tuple nearest_rows(const Array& indptr, const Array& indices, const MaybeArray& values, const Array& other_indptr,
                       const Array& other_indices, const MaybeArray& other_values, int64_t n_others, int64_t k,
                       double shrinkage, const MaybeArray& sizes, int n_threads) {
  const int64_t n_rows = rows_of(indptr), n_middle = rows_of(other_indptr);
  NearestProblem p{};
  p.A = checked_matrix(indptr, indices, values, n_rows, n_middle);
  p.T = checked_matrix(other_indptr, other_indices, other_values, n_middle, checked_columns(n_others));
  p.n_others = n_others;
  p.sizes = checked<int32_t>(sizes, "sizes", {n_others});
  p.k = std::min(k, n_others);
  p.shrinkage = checked_number(shrinkage, "shrinkage", 0, true);
  if (k < 0) throw nb::value_error("k must be >= 0");
  if (!sizes && n_rows != n_others) throw nb::value_error("without sizes, the rows must be the others themselves");
  const Owned<int32_t> codes(n_rows * p.k);
  const Owned<float> similarities(n_rows * p.k);
  const int threads = checked_threads(n_threads);
  std::vector<std::unique_ptr<NearestScratch>> scratch(static_cast<size_t>(threads));
  for_rows(n_rows, threads, [&](int64_t row, int worker) {
    auto& own = scratch[static_cast<size_t>(worker)];
    if (!own) own = std::make_unique<NearestScratch>(n_others);
    nearest_row(p, row, *own, codes.data + row * p.k, similarities.data + row * p.k);
  });
  const auto height = static_cast<size_t>(n_rows), width = static_cast<size_t>(p.k);
  return nb::make_tuple(codes.array({height, width}), similarities.array({height, width}));
}

}  // namespace

void add_neighbor_kernels(nb::module_& m) {
  m.def("multiply_sparse", &multiply_sparse, "indptr"_a, "indices"_a, "values"_a.none(), "other_indptr"_a,
        "other_indices"_a, "other_values"_a.none(), "n_columns"_a, nb::kw_only(), "n_threads"_a = 0);
  m.def("multiply_wide", &multiply_wide, "indptr"_a, "indices"_a, "values"_a.none(), "table"_a, nb::kw_only(),
        "n_threads"_a = 0);
  m.def("nearest_rows", &nearest_rows, "indptr"_a, "indices"_a, "values"_a.none(), "other_indptr"_a, "other_indices"_a,
        "other_values"_a.none(), "n_others"_a, nb::kw_only(), "k"_a, "shrinkage"_a = 0.0, "sizes"_a.none() = nb::none(),
        "n_threads"_a = 0);
}

}  // namespace palate
