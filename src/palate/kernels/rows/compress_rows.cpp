// Grouping ratings by row, and looking for repeated entries: one pass in memory order, no arithmetic, no threads.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/border/border.hpp"
#include "kernels/rows/rows_border.hpp"

using namespace nanobind::literals;

namespace palate {
namespace {

constexpr char kCompressRowsDoc[] = R"(Group ratings by row; within a row they keep their order.

Parameters:
    row_codes (int32 array (n,)): The row of each rating, below n_rows.
    other_codes (int32 array (n,)): Its code on the other side.
    values (float32 array (n,)): Its value.
    weights (float32 array (n,) or None): Its weight.
    n_rows (int): The number of rows, between 0 and 2^31 - 1.

Returns:
    (int64 array (n_rows + 1,), int32 array (n,), float32 array (n,), float32 array (n,) or None):
    indptr, indices, values, weights: row r owns positions indptr[r] .. indptr[r + 1] of the other three.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: n_rows is out of range.
    IndexError: row_codes holds no row.)";

// A counting sort.
nb::tuple compress_rows(const Array& row_codes, const Array& other_codes, const Array& values,
                        const MaybeArray& weights, int64_t n_rows) {
  const auto n = static_cast<int64_t>(values.size());
  if (n_rows < 0 || n_rows > INT32_MAX) throw nb::value_error("n_rows must be >= 0 and below 2^31");
  const int32_t* row = checked<int32_t>(row_codes, "row_codes", {n});
  const int32_t* other = checked<int32_t>(other_codes, "other_codes", {n});
  const float* value = checked<float>(values, "values", {n});
  const float* weight = checked<float>(weights, "weights", {n});
  check_bounds(row, n, n_rows, "row_codes");
  const Owned<int64_t> indptr(n_rows + 1);
  const Owned<int32_t> indices(n);
  const Owned<float> out_values(n), out_weights(weight ? n : 0);
  {
    const Unlocked unlocked;
    std::fill(indptr.data, indptr.data + n_rows + 1, 0);
    for (int64_t e = 0; e < n; ++e) ++indptr.data[row[e] + 1];
    for (int64_t r = 0; r < n_rows; ++r) indptr.data[r + 1] += indptr.data[r];
    std::vector<int64_t> next(indptr.data, indptr.data + n_rows);
    for (int64_t e = 0; e < n; ++e) {
      const int64_t to = next[row[e]]++;
      indices.data[to] = other[e];
      out_values.data[to] = value[e];
      if (weight) out_weights.data[to] = weight[e];
    }
  }
  return nb::make_tuple(indptr.array({n_rows + 1}), indices.array({n}), out_values.array({n}),
                        weight ? out_weights.array({n}) : nb::none());
}

constexpr char kHasRepeatsDoc[] = R"(True if a row of a sparse matrix has an entry twice in the same column.

Parameters:
    indptr (int64 array (n_rows + 1,)): Where each row's entries begin.
    indices (int32 array (n,)): The column of each entry.
    n_columns (int): The number of columns, between 0 and 2^31 - 1.

Returns:
    bool

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: n_columns is out of range, or indptr does not rise from 0 to n.
    IndexError: indices holds no column.)";

bool has_repeats(const Array& indptr, const Array& indices, int64_t n_columns) {
  const int64_t n_rows = rows_of(indptr);
  if (n_columns < 0 || n_columns > INT32_MAX) throw nb::value_error("n_columns must be >= 0 and below 2^31");
  const Rows matrix = checked_matrix(indptr, indices, {}, n_rows, n_columns);
  const Unlocked unlocked;
  std::vector<int64_t> last(static_cast<size_t>(n_columns), -1);  // the last row with an entry in each column
  for (int64_t row = 0; row < n_rows; ++row)
    for (int64_t e = matrix.indptr[row]; e < matrix.indptr[row + 1]; ++e) {
      if (last[matrix.indices[e]] == row) return true;
      last[matrix.indices[e]] = row;
    }
  return false;
}

}  // namespace

void add_compress_rows(nb::module_& m) {
  m.def("compress_rows", &compress_rows, "row_codes"_a, "other_codes"_a, "values"_a, "weights"_a.none(), "n_rows"_a,
        kCompressRowsDoc);
  m.def("has_repeats", &has_repeats, "indptr"_a, "indices"_a, "n_columns"_a, kHasRepeatsDoc);
}

}  // namespace palate
