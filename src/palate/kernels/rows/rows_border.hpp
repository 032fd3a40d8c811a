// What the borders of kernels over compressed rows share: checks, and the order in which threads take the rows.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/border/border.hpp"
#include "kernels/border/memory.hpp"
#include "kernels/rows/rows.hpp"

namespace palate {

// The number of rows that an indptr array describes.
inline int64_t rows_of(const Array& indptr) {
  if (indptr.ndim() != 1 || indptr.shape(0) < 1) throw nb::type_error("indptr must have shape (n_rows + 1,)");
  if (indptr.shape(0) > static_cast<size_t>(INT32_MAX)) throw nb::value_error("there must be fewer than 2^31 rows");
  return static_cast<int64_t>(indptr.shape(0)) - 1;
}

// A sparse matrix of shape (n_rows, n_columns); without values all entries are 1.
inline Rows checked_matrix(const Array& indptr, const Array& indices, const MaybeArray& values, int64_t n_rows,
                           int64_t n_columns) {
  const auto n = static_cast<int64_t>(indices.size());
  const Rows matrix{checked<int64_t>(indptr, "indptr", {n_rows + 1}), checked<int32_t>(indices, "indices", {n}),
                    checked<float>(values, "values", {n}), nullptr};
  check_indptr(matrix.indptr, n_rows, n);
  check_bounds(matrix.indices, n, n_columns, "indices");
  return matrix;
}

// The number of columns of a table of factors, a bias column included.
inline int64_t checked_width(const Array& table, const char* name) {
  if (table.ndim() != 2) throw nb::type_error((std::string(name) + " must have shape (n, k)").c_str());
  const auto k = static_cast<int64_t>(table.shape(1));
  if (k < 1 || k > kMaxFactors)
    throw nb::value_error((std::string(name) + " must have between 1 and 4096 columns").c_str());
  return k;
}

// The rows in the order in which they are solved, cut into tasks. Rows with most ratings come first (by powers of two),
// so that no thread is left with a long row at the end. Of many ratings, which may lie in a mapped file, this holds
// within groups of consecutive rows only: the file is then read about in order.
struct Schedule {
  static constexpr int64_t kMany = 10'000'000;  // ratings from which there are groups,
  static constexpr int64_t kGroups = 256;       // about so many, of equally many ratings

  std::vector<int32_t> order;
  std::vector<int64_t> task_begin;

  int64_t n_tasks() const { return static_cast<int64_t>(task_begin.size()) - 1; }

  Schedule(const int64_t* indptr, int64_t n_rows, int k, int n_threads) : order(static_cast<size_t>(n_rows)) {
    const int64_t of_group = indptr[n_rows] >= kMany ? indptr[n_rows] / kGroups : INT64_MAX;
    for (int64_t first = 0, last = 0; first < n_rows; first = last) {
      for (++last; last < n_rows && indptr[last] - indptr[first] < of_group;) ++last;
      order_group(indptr, first, last);
    }
    const int64_t per_row = k;  // the cost of the Cholesky factorization, in ratings
    const int64_t work = indptr[n_rows] + per_row * n_rows;
    // Many tasks per thread, so that none waits long for another. None so small that handing it out costs more than
    // doing it, and none so large that Ctrl-C waits long for it.
    const int64_t longest = std::max<int64_t>(3'000'000'000 / (int64_t{k} * k + 64), 64);
    const int64_t share = std::min(std::max<int64_t>(work / (n_threads * 32), 1000), longest);
    int64_t here = share;
    for (int64_t i = 0; i < n_rows; ++i) {
      if (here >= share) {
        task_begin.push_back(i);
        here = 0;
      }
      here += indptr[order[i] + 1] - indptr[order[i]] + per_row;
    }
    task_begin.push_back(n_rows);
  }

  // Fills order[first .. last) with rows first .. last, those with most ratings first.
  void order_group(const int64_t* indptr, int64_t first, int64_t last) {
    std::vector<int64_t> begin(66, 0);
    auto bucket = [&](int64_t r) { return 64 - bits(indptr[r + 1] - indptr[r]); };
    for (int64_t r = first; r < last; ++r) ++begin[bucket(r) + 1];
    begin[0] = first;
    for (size_t b = 1; b < begin.size(); ++b) begin[b] += begin[b - 1];
    for (int64_t r = first; r < last; ++r) order[begin[bucket(r)]++] = static_cast<int32_t>(r);
  }

  static int bits(int64_t count) {
    int n = 0;
    for (; count > 0; count >>= 1) ++n;
    return n;
  }
};

// Runs solve(order, n, scratch) over all rows. `solve` returns the first row whose matrix is not positive definite, or
// -1; then a ValueError names the row, counted from first_row, and ends with `advice`.
template <typename Solve>
void solve_all(const Rows& rows, int64_t n_rows, int k, int n_threads, int64_t scratch_floats, const char* advice,
               Solve solve, int64_t first_row = 0) {
  const Schedule schedule(rows.indptr, n_rows, k, n_threads);
  const int threads = threads_for(schedule.n_tasks(), n_threads);
  const ThreadScratch scratch(threads, scratch_floats);
  std::vector<int64_t> failed(static_cast<size_t>(threads), -1);
  run(schedule.n_tasks(), threads, [&](int64_t task, int worker) {
    const int64_t first = schedule.task_begin[task], last = schedule.task_begin[task + 1];
    const int64_t bad = solve(schedule.order.data() + first, last - first, scratch[worker]);
    if (bad >= 0) failed[worker] = bad;
  });
  for (const int64_t row : failed)
    if (row >= 0)
      throw nb::value_error(
          ("the matrix of row " + std::to_string(first_row + row) + " is not positive definite: " + advice).c_str());
}

}  // namespace palate
