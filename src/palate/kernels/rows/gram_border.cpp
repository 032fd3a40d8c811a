// The Python border of gram.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/border/border.hpp"
#include "kernels/border/memory.hpp"
#include "kernels/levels/levels.hpp"
#include "kernels/rows/rows_border.hpp"

using namespace nanobind::literals;

namespace palate {
namespace {

constexpr char kDoc[] = R"(The Gram matrix X^T X and the column sums of a table.

Parameters:
    x (float32 array (n, k)): The table, k between 1 and 4096.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    (float64 array (k, k), float64 array (k,)): X^T X, and the column sums.

Raises:
    TypeError: x has another dtype, shape or layout.
    ValueError: x has no column or too many.)";

// The number of blocks depends on n and k alone, and their results are added in order: the result has the same bytes on
// any number of threads.
nb::tuple gram(const Array& x, int n_threads) {
  const int64_t k = checked_width(x, "x"), n = static_cast<int64_t>(x.shape(0));
  const float* data = checked<float>(x, "x", {n, k});
  const int64_t max_blocks = std::max<int64_t>(1, std::min<int64_t>(64, (int64_t{1} << 24) / (k * k)));
  const int64_t block = std::max<int64_t>(512, (n + max_blocks - 1) / max_blocks);
  const int64_t n_blocks = (n + block - 1) / block;
  const int64_t stride = k * k + k;
  std::vector<double> parts(static_cast<size_t>(size_of({n_blocks, stride})), 0.0);
  const int threads = threads_for(n_blocks, checked_threads(n_threads));
  const Level& kernels = level();
  const ThreadScratch scratch(threads, kernels.gram_scratch(static_cast<int>(k)));
  run_ranges(n, block, threads, [&](int64_t first, int64_t last, int worker) {
    double* part = parts.data() + first / block * stride;
    kernels.gram(data + first * k, last - first, static_cast<int>(k), part, part + k * k, scratch[worker]);
  });
  const Owned<double> total(k * k), sums(k);
  std::fill(total.data, total.data + k * k, 0.0);
  std::fill(sums.data, sums.data + k, 0.0);
  for (int64_t b = 0; b < n_blocks; ++b) {
    for (int64_t e = 0; e < k * k; ++e) total.data[e] += parts[b * stride + e];
    for (int64_t e = 0; e < k; ++e) sums.data[e] += parts[b * stride + k * k + e];
  }
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < i; ++j) total.data[i * k + j] = total.data[j * k + i];
  return nb::make_tuple(total.array({k, k}), sums.array({k}));
}

}  // namespace

void add_gram(nb::module_& m) { m.def("gram", &gram, "x"_a, nb::kw_only(), "n_threads"_a = 0, kDoc); }

}  // namespace palate
