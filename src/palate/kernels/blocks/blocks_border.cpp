// The Python border of solve_blocks.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/blocks/blocks.hpp"
#include "kernels/border/border.hpp"
#include "kernels/border/memory.hpp"
#include "kernels/levels/levels.hpp"
#include "kernels/rows/rows_border.hpp"

using namespace nanobind::literals;

namespace palate {
namespace {

Spread spread(int64_t k, int64_t block) {
  const Level& kernels = level();
  const auto size = static_cast<int>(std::min(block, k));
  const int whole = static_cast<int>(k) / size, rest = static_cast<int>(k) % size, width = kernels.padded(size);
  const int ld = whole * width + kernels.padded(rest);
  return {static_cast<int>(k), size, width, ld, (ld + 15) / 16 * 16 + (ld % 32 > 0 && ld % 32 <= 16 ? 0 : 16)};
}

void spread_row(const float* from, const Spread& columns, float* to) {
  std::fill(to, to + columns.ld, 0.0f);
  for (int i = 0; i < columns.k; i += columns.block)
    std::copy(from + i, from + std::min(i + columns.block, columns.k), to + columns.place(i));
}

// The background, padded: in padding, one on the diagonal and zeros elsewhere.
void spread_square(const float* from, const Spread& columns, float* to) {
  std::fill(to, to + static_cast<int64_t>(columns.ld) * columns.ld, 0.0f);
  for (int i = 0; i < columns.ld; ++i) to[static_cast<int64_t>(i) * columns.ld + i] = 1.0f;
  const std::vector<float> zeros(static_cast<size_t>(columns.k), 0.0f);
  for (int64_t i = 0; i < columns.k; ++i)
    spread_row(from ? from + i * columns.k : zeros.data(), columns, to + int64_t{columns.ld} * columns.place(i));
}

constexpr char kDoc[] = R"(Move every row x of one side towards its solution, a block of columns at a time.

    B = ridge I + background + sum_j w_j z_j z_j^T        h = sum_j w_j t_j z_j
    x_b <- x_b - B_bb^-1 (B x - h)_b        for each block b of columns in turn

One pass of block Gauss-Seidel over B x = h, the equations of solve_rows with precision and mean 0: the subspaces of
iALS++ (Rendle et al. 2021, arXiv 2110.14044). The loss of a row never rises. A single block is the exact solution.

Parameters:
    indptr (int64 array (n_rows + 1,)): Where each row's ratings begin.
    indices (int32 array (n_ratings,)): The row z of `other` that each rating belongs to.
    values (float32 array (n_ratings,)): The ratings t.
    other (float32 array (n_other, k)): The side held fixed, k between 1 and 4096.
    vectors (float32 array (n_rows, k)): x before the pass; not changed.
    block (int): Columns of a block, 1 or more; the last block may have fewer.
    weights (float32 array (n_ratings,), default None): Weights w, 0 or more; None: 1.
    ridge (float32 array (n_rows,), default None): Added to the diagonal, 0 or more.
    background (float32 array (k, k), default None): A weighted Gram matrix of unobserved ratings; symmetric.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    float32 array (n_rows, k): x after the pass.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: An argument is out of range, or a block B_bb is not positive definite.
    IndexError: indices holds no row of `other`.)";

nb::object solve_blocks(const Array& indptr, const Array& indices, const Array& values, const Array& other,
                        const Array& vectors, int64_t block, const MaybeArray& weights, const MaybeArray& ridge,
                        const MaybeArray& background, int n_threads) {
  const int64_t n_rows = rows_of(indptr), n = static_cast<int64_t>(values.size());
  const int64_t k = checked_width(other, "other"), n_other = static_cast<int64_t>(other.shape(0));
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

  const int threads = checked_threads(n_threads);
  p.columns = spread(k, block);
  const int ld = p.columns.ld;
  const AlignedFloats padded_square(size_of({ld, ld}));
  const TableFloats table(size_of({n_other, p.columns.stride}));
  spread_square(square, p.columns, padded_square.data);
  run_ranges(n_other, 4096, threads, [&](int64_t first, int64_t last, int) {
    for (int64_t row = first; row < last; ++row)
      spread_row(z + row * k, p.columns, table.data + row * p.columns.stride);
  });
  p.z = table.data;
  p.background = padded_square.data;
  const Owned<float> out(size_of({n_rows, k}));
  p.out = out.data;
  int64_t longest = 0;
  for (int64_t row = 0; row < n_rows; ++row) longest = std::max(longest, p.rows.indptr[row + 1] - p.rows.indptr[row]);
  const Level& kernels = level();
  solve_all(p.rows, n_rows, p.columns.k, threads, kernels.solve_blocks_scratch(ld, p.columns.width, longest),
            "give a ridge above 0", [&](const int32_t* order, int64_t n_here, float* scratch) {
              return kernels.solve_blocks(p, order, n_here, scratch);
            });
  return out.array({n_rows, k});
}

}  // namespace

void add_blocks(nb::module_& m) {
  m.def("solve_blocks", &solve_blocks, "indptr"_a, "indices"_a, "values"_a, "other"_a, "vectors"_a, nb::kw_only(),
        "block"_a, "weights"_a.none() = nb::none(), "ridge"_a.none() = nb::none(), "background"_a.none() = nb::none(),
        "n_threads"_a = 0, kDoc);
}

}  // namespace palate
