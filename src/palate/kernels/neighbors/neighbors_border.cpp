// The Python border of the neighbor kernels.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "kernels/border/border.hpp"
#include "kernels/neighbors/neighbors.hpp"
#include "kernels/rows/rows_border.hpp"

using namespace nanobind::literals;

namespace palate {
namespace {

constexpr int64_t kRowsPerTask = 8;

void for_rows(int64_t n_rows, int n_threads, const std::function<void(int64_t row, int worker)>& visit) {
  run_ranges(n_rows, kRowsPerTask, n_threads, [&](int64_t first, int64_t last, int worker) {
    for (int64_t row = first; row < last; ++row) visit(row, worker);
  });
}

int64_t checked_columns(int64_t n_columns) {
  if (n_columns < 0 || n_columns > INT32_MAX) throw nb::value_error("n_columns must lie between 0 and 2^31 - 1");
  return n_columns;
}

constexpr char kSparseDoc[] = R"(The product A T of two sparse matrices, as a dense one.

Parameters:
    indptr (int64 array (n_rows + 1,)): Where each row of A begins.
    indices (int32 array (n,)): Its columns.
    values (float32 array (n,) or None): Its values; None: 1.
    other_indptr, other_indices, other_values: The same of T, (columns of A, n_columns).
    n_columns (int): The columns of T, between 0 and 2^31 - 1.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    float32 array (n_rows, n_columns): A T.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: n_columns is out of range, or an indptr does not rise from 0 to the number of entries.
    IndexError: An index is no column.)";

nb::object multiply_sparse(const Array& indptr, const Array& indices, const MaybeArray& values,
                           const Array& other_indptr, const Array& other_indices, const MaybeArray& other_values,
                           int64_t n_columns, int n_threads) {
  const int64_t n_rows = rows_of(indptr), n_middle = rows_of(other_indptr);
  const Rows A = checked_matrix(indptr, indices, values, n_rows, n_middle);
  const Rows T = checked_matrix(other_indptr, other_indices, other_values, n_middle, checked_columns(n_columns));
  const Owned<float> out(size_of({n_rows, n_columns}));
  for_rows(n_rows, checked_threads(n_threads),
           [&](int64_t row, int) { multiply_sparse_row(A, T, row, n_columns, out.data + row * n_columns); });
  return out.array({n_rows, n_columns});
}

constexpr char kWideDoc[] = R"(The product A T of a sparse matrix and a dense table of many columns.

Parameters:
    indptr (int64 array (n_rows + 1,)): Where each row of A begins.
    indices (int32 array (n,)): Its columns, rows of the table.
    values (float32 array (n,) or None): Its values; None: 1.
    table (float32 array (m, k)): T.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    float32 array (n_rows, k): A T.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: indptr does not rise from 0 to n.
    IndexError: indices holds no row of the table.)";

nb::object multiply_wide(const Array& indptr, const Array& indices, const MaybeArray& values, const Array& table,
                         int n_threads) {
  if (table.ndim() != 2) throw nb::type_error("table must have shape (n, k)");
  const auto n_rows = rows_of(indptr), n = static_cast<int64_t>(table.shape(0)),
             k = static_cast<int64_t>(table.shape(1));
  const Rows A = checked_matrix(indptr, indices, values, n_rows, n);
  const float* from = checked<float>(table, "table", {n, k});
  const Owned<float> out(size_of({n_rows, k}));
  for_rows(n_rows, checked_threads(n_threads),
           [&](int64_t row, int) { multiply_wide_row(A, from, row, k, out.data + row * k); });
  return out.array({n_rows, k});
}

constexpr char kNearestDoc[] = R"(The k nearest others v of each row r, by a similarity shrunk towards 0.

    s_rv = n_rv / (n_rv + shrinkage) * sum_j A_rj T_jv        n_rv: how many columns j they share

Only similarities above 0 count; ties go to the lower code. Without sizes the rows are the others themselves, and a row
is not its own neighbor. With sizes, others that have exactly the same columns as the row are left out.

Parameters:
    indptr, indices, values: The sparse matrix A, (n_rows, m), as for multiply_sparse.
    other_indptr, other_indices, other_values: The sparse matrix T, (m, n_others).
    n_others (int): The columns of T, between 0 and 2^31 - 1.
    k (int): How many, 0 or more.
    shrinkage (float, default 0): 0 or more.
    sizes (int32 array (n_others,), default None): How many entries each other has.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    (int32 array, float32 array), both (n_rows, min(k, n_others)): Codes of the others and similarities, the largest
    first; -1 and 0 where there are fewer.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: An argument is out of range.
    IndexError: An index is no column.)";

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
  if (!sizes && n_rows != n_others) throw nb::value_error("without sizes, there must be as many rows as others");
  const Owned<int32_t> codes(size_of({n_rows, p.k}));
  const Owned<float> similarities(size_of({n_rows, p.k}));
  const int threads = checked_threads(n_threads);
  std::vector<std::unique_ptr<NearestScratch>> scratch(static_cast<size_t>(threads));
  for_rows(n_rows, threads, [&](int64_t row, int worker) {
    auto& own = scratch[static_cast<size_t>(worker)];
    if (!own) own = std::make_unique<NearestScratch>(n_others);
    nearest_row(p, row, *own, codes.data + row * p.k, similarities.data + row * p.k);
  });
  return nb::make_tuple(codes.array({n_rows, p.k}), similarities.array({n_rows, p.k}));
}

}  // namespace

void add_neighbors(nb::module_& m) {
  m.def("multiply_sparse", &multiply_sparse, "indptr"_a, "indices"_a, "values"_a.none(), "other_indptr"_a,
        "other_indices"_a, "other_values"_a.none(), "n_columns"_a, nb::kw_only(), "n_threads"_a = 0, kSparseDoc);
  m.def("multiply_wide", &multiply_wide, "indptr"_a, "indices"_a, "values"_a.none(), "table"_a, nb::kw_only(),
        "n_threads"_a = 0, kWideDoc);
  m.def("nearest_rows", &nearest_rows, "indptr"_a, "indices"_a, "values"_a.none(), "other_indptr"_a, "other_indices"_a,
        "other_values"_a.none(), "n_others"_a, nb::kw_only(), "k"_a, "shrinkage"_a = 0.0, "sizes"_a.none() = nb::none(),
        "n_threads"_a = 0, kNearestDoc);
}

}  // namespace palate
