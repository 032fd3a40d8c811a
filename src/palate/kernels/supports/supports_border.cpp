// The Python border of the support kernels.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/border/border.hpp"
#include "kernels/levels/levels.hpp"
#include "kernels/rows/rows_border.hpp"
#include "kernels/supports/sparse_rows_border.hpp"
#include "kernels/supports/supports.hpp"

using namespace nanobind::literals;

namespace palate {
namespace {

constexpr int64_t kRowsPerTask = 16;

// Raises ValueError unless the columns of each row rise.
void check_rows_rise(const Rows& rows, int64_t n_rows, const char* name) {
  for (int64_t row = 0; row < n_rows; ++row)
    for (int64_t e = rows.indptr[row] + 1; e < rows.indptr[row + 1]; ++e)
      if (rows.indices[e - 1] >= rows.indices[e])
        throw nb::value_error((std::string("the columns of each row of ") + name + " must rise").c_str());
}

constexpr char kGramDoc[] = R"(The sparse product A X below its diagonal: row s holds the columns t < s.

With A = X' diag(w) it is the Gram matrix of the columns of X, whose upper half is the lower one's mirror image.

Parameters:
    indptr, indices, values: The sparse matrix A, (n, m), as for multiply_sparse.
    other_indptr, other_indices, other_values: The sparse matrix X, (m, n); the columns of each row rise.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    (int64 array (n + 1,), int32 array, float32 array): Compressed rows; the columns of each rise.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: An indptr does not rise from 0 to the number of entries, or the columns of a row of X do not rise.
    IndexError: An index is no column.)";

nb::tuple sparse_gram(const Array& indptr, const Array& indices, const MaybeArray& values, const Array& other_indptr,
                      const Array& other_indices, const MaybeArray& other_values, int n_threads) {
  const int64_t n = rows_of(indptr), n_middle = rows_of(other_indptr);
  const GramProblem p{checked_matrix(indptr, indices, values, n, n_middle),
                      checked_matrix(other_indptr, other_indices, other_values, n_middle, n)};
  check_rows_rise(p.X, n_middle, "X");
  const int threads = checked_threads(n_threads);
  return sparse_rows(n, n, threads,
                     [&](int64_t row, SparseRow& own, SparseEntries& entries) { fill_gram_row(p, row, own, entries); });
}

constexpr char kSolveDoc[] = R"(Ridge regressions of columns of a Gram matrix G, each on a few others: its support S.

    b = (G_SS + diag(ridge_S))^-1 G_Sj        for each ridge, and each row of supports with its target j

Parameters:
    gram_indptr, gram_indices, gram_values: G below the diagonal, (n, n), as sparse_gram returns it.
    diagonal (float32 array (n,)): The diagonal of G.
    ridges (float32 array (n_ridges, n)): Each is added to the diagonal, 0 or more. G_SS is gathered once for all.
    indptr (int64 array (n_rows + 1,)): Where the support of each row begins.
    indices (int32 array (n_entries,)): The columns of supports, rising, at most 4096 a row, without the target.
    targets (int32 array (n_rows,)): The column j of each row.
    right (float32 array (n_entries,), default None): In place of G_Sj. A support may then hold its target.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    float32 array (n_ridges, n_entries): The weights b.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: A number is out of range, columns do not rise, or a matrix is not positive definite.
    IndexError: An index is no column.)";

nb::object solve_supports(const Array& gram_indptr, const Array& gram_indices, const Array& gram_values,
                          const Array& diagonal, const Array& ridges, const Array& indptr, const Array& indices,
                          const Array& targets, const MaybeArray& right, int n_threads) {
  const int64_t n = rows_of(gram_indptr), n_rows = rows_of(indptr);
  SupportProblem p{};
  p.gram = checked_matrix(gram_indptr, gram_indices, gram_values, n, n);
  p.diagonal = checked<float>(diagonal, "diagonal", {n});
  if (ridges.ndim() != 2) throw nb::type_error("ridges must have shape (n_ridges, n)");
  p.n = n;
  p.n_ridges = static_cast<int64_t>(ridges.shape(0));
  p.ridges = checked<float>(ridges, "ridges", {p.n_ridges, n});
  p.supports = checked_matrix(indptr, indices, {}, n_rows, n);
  p.targets = checked<int32_t>(targets, "targets", {n_rows});
  check_rows_rise(p.gram, n, "the Gram matrix");
  check_rows_rise(p.supports, n_rows, "supports");
  check_not_negative(p.ridges, size_of({p.n_ridges, n}), "ridges");
  check_finite(p.diagonal, n, "diagonal");
  check_bounds(p.targets, n_rows, n, "targets");
  int64_t longest = 0;
  for (int64_t row = 0; row < n_rows; ++row) {
    const int32_t *first = p.supports.indices + p.supports.indptr[row],
                  *last = p.supports.indices + p.supports.indptr[row + 1];
    longest = std::max<int64_t>(longest, last - first);
    if (!right && std::binary_search(first, last, p.targets[row]))
      throw nb::value_error("a support holds its own target");
  }
  if (longest > kMaxFactors) throw nb::value_error("a support may have 4096 columns at most");
  p.n_entries = p.supports.indptr[n_rows];
  p.right = checked<float>(right, "right", {p.n_entries});
  check_finite(p.right, p.n_entries, "right");
  const Owned<float> out(size_of({p.n_ridges, p.n_entries}));
  p.out = out.data;
  const int threads = checked_threads(n_threads);
  const Level& kernels = level();
  const ThreadScratch scratch(threads, kernels.solve_supports_scratch(static_cast<int>(longest)));
  std::vector<std::vector<int32_t>> places(static_cast<size_t>(threads));
  std::vector<int64_t> failed(static_cast<size_t>(threads), -1);
  run_ranges(n_rows, kRowsPerTask, threads, [&](int64_t first, int64_t last, int worker) {
    auto& own = places[static_cast<size_t>(worker)];
    own.resize(static_cast<size_t>(n), 0);
    const int64_t bad = kernels.solve_supports(p, first, last, scratch[worker], own.data());
    if (bad >= 0) failed[static_cast<size_t>(worker)] = bad;
  });
  for (const int64_t row : failed)
    if (row >= 0)
      throw nb::value_error(
          ("the matrix of row " + std::to_string(row) + " is not positive definite: raise the ridges").c_str());
  return out.array({p.n_ridges, p.n_entries});
}

}  // namespace

void add_supports(nb::module_& m) {
  m.def("sparse_gram", &sparse_gram, "indptr"_a, "indices"_a, "values"_a.none(), "other_indptr"_a, "other_indices"_a,
        "other_values"_a.none(), nb::kw_only(), "n_threads"_a = 0, kGramDoc);
  m.def("solve_supports", &solve_supports, "gram_indptr"_a, "gram_indices"_a, "gram_values"_a, nb::kw_only(),
        "diagonal"_a, "ridges"_a, "indptr"_a, "indices"_a, "targets"_a, "right"_a = nb::none(), "n_threads"_a = 0,
        kSolveDoc);
}

}  // namespace palate
