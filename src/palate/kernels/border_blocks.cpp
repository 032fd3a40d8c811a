// The Python border of the kernel that improves rows a block of columns at a time.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "blocks.hpp"
#include "border.hpp"
#include "checks.hpp"
#include "memory.hpp"
#include "rows.hpp"
#include "schedule.hpp"

namespace palate {

using namespace nb::literals;

namespace {

Spread spread(int64_t k, int64_t block) {
  const Level& kernels = level();
  const auto most = static_cast<int>(std::min(block, k));
  const int whole = static_cast<int>(k) / most, rest = static_cast<int>(k) % most, width = kernels.padded(most);
  const int ld = whole * width + kernels.padded(rest);
  return {static_cast<int>(k), most, width, ld, (ld + 15) / 16 * 16 + (ld % 32 > 0 && ld % 32 <= 16 ? 0 : 16)};
}

void spread_row(const float* from, const Spread& columns, float* to) {
  std::fill(to, to + columns.ld, 0.0f);
  for (int i = 0; i < columns.k; i += columns.block)
    std::copy(from + i, from + std::min(i + columns.block, columns.k), to + columns.place(i));
}

// The background in spread columns; columns that are none get one on the diagonal, and nothing else.
void spread_square(const float* from, const Spread& columns, float* to) {
  std::fill(to, to + static_cast<int64_t>(columns.ld) * columns.ld, 0.0f);
  for (int i = 0; i < columns.ld; ++i) to[static_cast<int64_t>(i) * columns.ld + i] = 1.0f;
  const std::vector<float> none(static_cast<size_t>(columns.k), 0.0f);
  for (int64_t i = 0; i < columns.k; ++i)
    spread_row(from ? from + i * columns.k : none.data(), columns, to + int64_t{columns.ld} * columns.place(i));
}

nb::object solve_blocks(const Array& indptr, const Array& indices, const Array& values, const Array& other,
                        const Array& vectors, int64_t block, const MaybeArray& weights, const MaybeArray& ridge,
                        const MaybeArray& background, int n_threads) {
  if (indptr.ndim() != 1 || indptr.shape(0) < 1) throw nb::type_error("indptr must have shape (n_rows + 1,)");
  if (other.ndim() != 2) throw nb::type_error("other must have shape (n_other, k)");
  const auto n_rows = static_cast<int64_t>(indptr.shape(0)) - 1, n = static_cast<int64_t>(values.size());
  const auto n_other = static_cast<int64_t>(other.shape(0)), k = static_cast<int64_t>(other.shape(1));
  if (k < 1 || k > kMaxFactors) throw nb::value_error("other must have between 1 and 4096 columns");
  if (block < 1) throw nb::value_error("block must be 1 or more");
  BlockProblem p{};
  p.rows = {checked<int64_t>(indptr, "indptr", {n_rows + 1}), checked<int32_t>(indices, "indices", {n}),
            checked<float>(values, "values", {n}), checked<float>(weights, "weights", {n})};
  const float* z = checked<float>(other, "other", {n_other, k});
  const float* square = checked<float>(background, "background", {k, k});
  p.start = checked<float>(vectors, "vectors", {n_rows, k});
  p.ridge = checked<float>(ridge, "ridge", {n_rows});
  check_indptr(p.rows.indptr, n_rows, n);
  check_bounds(p.rows.indices, n, n_other, "indices");
  check_not_negative(p.rows.weights, n, "weights");
  check_not_negative(p.ridge, n_rows, "ridge");
  check_finite(square, k * k, "background");
  check_finite(p.start, n_rows * k, "vectors");

  const int all_threads = checked_threads(n_threads);
  p.columns = spread(k, block);
  const int ld = p.columns.ld;
  const int64_t stride = p.columns.stride;
  const AlignedFloats gram(int64_t{ld} * ld);
  const TableFloats table(n_other * stride);
  spread_square(square, p.columns, gram.data);
  constexpr int64_t kRows = 4096;
  run((n_other + kRows - 1) / kRows, all_threads, [&](int64_t task, int) {
    for (int64_t row = task * kRows; row < std::min(n_other, (task + 1) * kRows); ++row)
      spread_row(z + row * k, p.columns, table.data + row * stride);
  });
  p.z = table.data;
  p.background = gram.data;
  const Owned<float> out(n_rows * k);
  p.out = out.data;

  int64_t longest = 0;
  for (int64_t row = 0; row < n_rows; ++row) longest = std::max(longest, p.rows.indptr[row + 1] - p.rows.indptr[row]);
  const Schedule schedule(p.rows.indptr, n_rows, p.columns.k, all_threads);
  const auto threads = static_cast<int>(std::min<int64_t>(all_threads, std::max<int64_t>(schedule.n_tasks(), 1)));
  const Level& kernels = level();
  std::vector<std::unique_ptr<AlignedFloats>> scratch;
  for (int t = 0; t < threads; ++t)
    scratch.push_back(std::make_unique<AlignedFloats>(kernels.block_scratch_floats(ld, p.columns.width, longest)));
  std::vector<int64_t> failed(static_cast<size_t>(threads), -1);
  run(schedule.n_tasks(), threads, [&](int64_t task, int worker) {
    const int64_t first = schedule.task_begin[task], last = schedule.task_begin[task + 1];
    const int64_t bad = kernels.solve_blocks(p, schedule.order.data() + first, last - first, scratch[worker]->data);
    if (bad >= 0) failed[worker] = bad;
  });
  for (const int64_t row : failed)
    if (row >= 0)
      throw nb::value_error(
          ("the matrix of row " + std::to_string(row) + " is not positive definite: give a ridge above 0").c_str());
  return out.array({static_cast<size_t>(n_rows), static_cast<size_t>(k)});
}

}  // namespace

void add_block_kernels(nb::module_& m) {
  m.def("solve_blocks", &solve_blocks, "indptr"_a, "indices"_a, "values"_a, "other"_a, "vectors"_a, nb::kw_only(),
        "block"_a, "weights"_a.none() = nb::none(), "ridge"_a.none() = nb::none(), "background"_a.none() = nb::none(),
        "n_threads"_a = 0);
}

}  // namespace palate
