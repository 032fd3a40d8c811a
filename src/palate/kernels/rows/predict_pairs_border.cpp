// The Python border of predict_pairs.
#include <cmath>
#include <cstdint>

#include "kernels/border/border.hpp"
#include "kernels/levels/levels.hpp"

using namespace nanobind::literals;

namespace palate {
namespace {

constexpr char kDoc[] = R"(The predictions of (user, item) pairs: center + scale * (p . q [+ b + c]).

Parameters:
    users (float32 array (n_users, k)): User factors p; with a bias the last column is the bias b. k at most 4096.
    items (float32 array (n_items, k)): Item factors q; with a bias the last column is the bias c.
    user_codes, item_codes (int32 array (n,)): The pairs.
    bias (bool, default False): The last columns are biases.
    center (float, default 0), scale (float above 0, default 1): Of the ratings.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    float32 array (n,): One prediction for each pair.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: An argument is out of range.
    IndexError: A code is no row of its table.)";

nb::object predict_pairs(const Array& users, const Array& items, const Array& user_codes, const Array& item_codes,
                         bool bias, double center, double scale, int n_threads) {
  if (users.ndim() != 2 || items.ndim() != 2) throw nb::type_error("users and items must have shape (n, k)");
  const auto k = static_cast<int64_t>(users.shape(1));
  const auto n = static_cast<int64_t>(user_codes.size());
  if (k < (bias ? 1 : 0) || k > kMaxFactors) throw nb::value_error("users must have between 1 and 4096 columns");
  const float* x = checked<float>(users, "users", {kAny, k});
  const float* y = checked<float>(items, "items", {kAny, k});
  const int32_t* u = checked<int32_t>(user_codes, "user_codes", {n});
  const int32_t* i = checked<int32_t>(item_codes, "item_codes", {n});
  check_bounds(u, n, static_cast<int64_t>(users.shape(0)), "user_codes");
  check_bounds(i, n, static_cast<int64_t>(items.shape(0)), "item_codes");
  const float to_center = checked_number(center, "center", -INFINITY, true);
  const float to_scale = checked_number(scale, "scale", 0, false);
  const Owned<float> out(n);
  const Level& kernels = level();
  run_ranges(n, 8192, checked_threads(n_threads), [&](int64_t first, int64_t last, int) {
    kernels.predict_pairs(x, y, static_cast<int>(k), bias, to_center, to_scale, u, i, first, last, out.data);
  });
  return out.array({n});
}

}  // namespace

void add_predict_pairs(nb::module_& m) {
  m.def("predict_pairs", &predict_pairs, "users"_a, "items"_a, "user_codes"_a, "item_codes"_a, nb::kw_only(),
        "bias"_a = false, "center"_a = 0.0, "scale"_a = 1.0, "n_threads"_a = 0, kDoc);
}

}  // namespace palate
