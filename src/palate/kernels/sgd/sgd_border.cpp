// The Python border of descend.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/border/border.hpp"
#include "kernels/levels/levels.hpp"

using namespace nanobind::literals;

namespace palate {
namespace {

constexpr char kDoc[] = R"(One epoch of stochastic gradient descent, changing users and items in place.

A step goes against the gradient of one rating's

    w ((f(mean + scale x . z) - r)^2 + weight_decay (|p|^2 + b^2 + |q|^2 + c^2))

A user's row x is [p, zeros, b, 1] and an item's row z is [q, zeros, 1, c]; without biases they end with [0, 0]. f is
the identity or, if low < high, low + (high - low) sigmoid. With squares the rate of a row is AdaGrad's,
lr / sqrt(sum of its mean squared gradients, including this one).

Ratings lie in cells, blocks of users by blocks of items. A stratum is a set of cells that share no user and no item.
Strata follow each other; the cells of a stratum are shared out among the threads.

Parameters:
    users (float32 array (n_users, ld)): Rows x, changed in place; ld a multiple of 16, n_factors + 2 or more.
    items (float32 array (n_items, ld)): Rows z, changed in place.
    user_codes, item_codes (int32 array (n,)): The ratings' users and items, cell by cell.
    values (float32 array (n,)): The ratings r.
    cells (int64 array (n_cells + 1,)): Where each cell's ratings begin.
    strata (int32 array (n_strata, side)): The cells of each stratum.
    rates (float32 array (n_strata,)): The rate lr of each stratum, 0 or more.
    weights (float32 array (n,), default None): Weights w; None: 1.
    user_squares (float32 array (n_users,), default None): AdaGrad's sums, changed in place; None: plain SGD.
    item_squares (float32 array (n_items,), default None): The same of the items; given with user_squares.
    n_factors (int): The length of p and q.
    bias (bool, default True): The rows have biases.
    mean (float, default 0), scale (float above 0, default 1): The score is mean + scale x . z.
    low, high (float, default 0): The range of the sigmoid; equal: no sigmoid.
    weight_decay (float, default 0): 0 or more.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    float: The sum of w error^2, each error before its step.

Raises:
    TypeError: An array has another dtype, shape or layout, or is read-only where it is changed.
    ValueError: An argument is out of range.
    IndexError: A code, or a cell of strata, is out of bounds.)";

double descend(const Mutable& users, const Mutable& items, const Array& user_codes, const Array& item_codes,
               const Array& values, const Array& cells, const Array& strata, const Array& rates,
               const MaybeArray& weights, const MaybeMutable& user_squares, const MaybeMutable& item_squares,
               int n_factors, bool bias, double mean, double scale, double low, double high, double weight_decay,
               int n_threads) {
  if (users.ndim() != 2 || items.ndim() != 2) throw nb::type_error("users and items must have shape (n, ld)");
  const auto n_users = static_cast<int64_t>(users.shape(0)), n_items = static_cast<int64_t>(items.shape(0));
  const auto ld = static_cast<int64_t>(users.shape(1)), n = static_cast<int64_t>(values.size());
  if (n_factors < 0 || n_factors + 2 > ld || ld % kSgdPadding != 0 || ld > kMaxFactors + kSgdPadding)
    throw nb::value_error("users must have a multiple of 16 columns, n_factors + 2 or more");
  if (user_squares.has_value() != item_squares.has_value())
    throw nb::type_error("give both user_squares and item_squares, or neither");
  const auto n_strata = static_cast<int64_t>(rates.size());
  const int64_t side = strata.ndim() == 2 ? static_cast<int64_t>(strata.shape(1)) : 0;
  const int64_t n_cells = cells.ndim() == 1 ? static_cast<int64_t>(cells.shape(0)) - 1 : -1;
  if (n_cells < 0) throw nb::type_error("cells must have shape (n_cells + 1,)");
  Descent d{};
  d.users = checked_mutable<float>(users, "users", {kAny, ld});
  d.items = checked_mutable<float>(items, "items", {kAny, ld});
  d.user_squares = checked_mutable<float>(user_squares, "user_squares", {n_users});
  d.item_squares = checked_mutable<float>(item_squares, "item_squares", {n_items});
  d.ld = static_cast<int>(ld);
  d.one = bias ? 1.0f : 0.0f;
  d.over_k = 1.0f / static_cast<float>(std::max(1, n_factors + (bias ? 1 : 0)));
  d.user_codes = checked<int32_t>(user_codes, "user_codes", {n});
  d.item_codes = checked<int32_t>(item_codes, "item_codes", {n});
  d.values = checked<float>(values, "values", {n});
  d.weights = checked<float>(weights, "weights", {n});
  d.mean = checked_number(mean, "mean", -INFINITY, true);
  d.scale = checked_number(scale, "scale", 0, false);
  d.low = checked_number(low, "low", -INFINITY, true);
  d.high = checked_number(high, "high", d.low, true);
  d.weight_decay = checked_number(weight_decay, "weight_decay", 0, true);
  const int64_t* begin = checked<int64_t>(cells, "cells", {n_cells + 1});
  const int32_t* cell_of = checked<int32_t>(strata, "strata", {n_strata, side});
  const float* lr = checked<float>(rates, "rates", {n_strata});
  check_indptr(begin, n_cells, n, "cells");
  check_bounds(cell_of, n_strata * side, n_cells, "strata");
  check_not_negative(lr, n_strata, "rates");
  check_bounds(d.user_codes, n, n_users, "user_codes");
  check_bounds(d.item_codes, n, n_items, "item_codes");

  std::vector<double> losses(static_cast<size_t>(size_of({n_strata, side})), 0.0);
  const Level& kernels = level();
  run_strata(n_strata, side, checked_threads(n_threads), [&](int64_t s, int64_t at, int) {
    const int32_t cell = cell_of[s * side + at];
    losses[s * side + at] = kernels.descend(d, begin[cell], begin[cell + 1], lr[s]);
  });
  double loss = 0;
  for (const double here : losses) loss += here;
  return loss;
}

}  // namespace

void add_sgd(nb::module_& m) {
  m.def("descend", &descend, "users"_a.noconvert(), "items"_a.noconvert(), "user_codes"_a, "item_codes"_a, "values"_a,
        "cells"_a, "strata"_a, "rates"_a, nb::kw_only(), "weights"_a.none() = nb::none(),
        "user_squares"_a.noconvert().none() = nb::none(), "item_squares"_a.noconvert().none() = nb::none(),
        "n_factors"_a, "bias"_a = true, "mean"_a = 0.0, "scale"_a = 1.0, "low"_a = 0.0, "high"_a = 0.0,
        "weight_decay"_a = 0.0, "n_threads"_a = 0, kDoc);
}

}  // namespace palate
