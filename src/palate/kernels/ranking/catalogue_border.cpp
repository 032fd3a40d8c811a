// Checks the arguments of the ranking kernels, packs the catalogue, and sorts it by a bound on the scores.
#include "kernels/ranking/catalogue_border.hpp"

#include <cmath>

#include "kernels/levels/levels.hpp"

namespace palate {

const uint8_t* checked_mask(const MaybeArray& allowed, int64_t n_items) {
  if (allowed && allowed->dtype() == nb::dtype<bool>())
    return reinterpret_cast<const uint8_t*>(checked<bool>(allowed, "allowed", {n_items}));
  return checked<uint8_t>(allowed, "allowed", {n_items});
}

Shapes checked_factors(const Array& users, const Array& items, bool bias) {
  if (users.ndim() != 2 || items.ndim() != 2) throw nb::type_error("users and items must have shape (n, k)");
  const auto k = static_cast<int64_t>(users.shape(1));
  if (k < (bias ? 1 : 0) || k > kMaxFactors) throw nb::value_error("users must have between 1 and 4096 columns");
  const Shapes shapes{static_cast<int64_t>(users.shape(0)), static_cast<int64_t>(items.shape(0)), k};
  if (shapes.n_items > INT32_MAX) throw nb::value_error("items must have fewer than 2^31 rows");
  return shapes;
}

Shapes checked_scores(const Array& scores) {
  if (scores.ndim() != 2) throw nb::type_error("scores must have shape (rows, columns)");
  const Shapes shapes{static_cast<int64_t>(scores.shape(0)), static_cast<int64_t>(scores.shape(1)), 0};
  if (shapes.n_items > INT32_MAX) throw nb::value_error("scores must have fewer than 2^31 columns");
  return shapes;
}

int64_t checked_count(int64_t n, int64_t n_items) {
  if (n < 0) throw nb::value_error("n must be >= 0");
  return std::min(n, n_items);
}

Lists seen_lists(const MaybeArray& indptr, const MaybeArray& indices, int64_t n_users, int64_t n_items) {
  if (indptr.has_value() != indices.has_value())
    throw nb::type_error("give both seen_indptr and seen_indices, or neither");
  return indptr ? Lists(*indptr, *indices, n_users, n_items, "seen_indptr", "seen_indices") : Lists();
}

void Packed::pack(int n_threads) {
  const Level& kernels = level();
  n_panels = (catalogue.n + kernels.panel_items - 1) / kernels.panel_items;
  panels = std::make_unique<PassingFloats>(size_of({n_panels, 1 + catalogue.n_factors, kernels.panel_items}));
  catalogue.panels = panels->data;
  run_ranges(n_panels, 32, n_threads,
             [&](int64_t first, int64_t last, int) { kernels.pack_panels(catalogue, first, last); });
}

namespace {

// Lengths of the factors of all rows.
std::vector<double> lengths_of(const float* rows, int64_t n, const Catalogue& c, int n_threads) {
  std::vector<double> out(static_cast<size_t>(n));
  run_ranges(n, 4096, n_threads, [&](int64_t first, int64_t last, int) {
    level().lengths(rows, c.k, c.n_factors, first, last, out.data());
  });
  return out;
}

}  // namespace

// By Cauchy and Schwarz p . q + b <= |p| |q| + b. The items are sorted by this bound, for a user of mean length: then
// the floors of users rise early, and a user is done as soon as no later item can reach the floor. The order changes no
// result.
std::vector<Reach> order_by_reach(Packed& packed, const float* users, int64_t n_users, int64_t n_items, int n_threads) {
  const Catalogue& c = packed.catalogue;
  const std::vector<double> of_users = lengths_of(users, std::min<int64_t>(n_users, 1000), c, n_threads);
  const std::vector<double> of_items = lengths_of(c.items, n_items, c, n_threads);
  double mean_length = 0;
  for (const double length : of_users)
    if (std::isfinite(length)) mean_length += length / static_cast<double>(of_users.size());
  auto bias = [&](int32_t code) {
    const float b = c.k > c.n_factors ? c.items[static_cast<int64_t>(code) * c.k + c.n_factors] : 0.0f;
    return std::isnan(b) ? INFINITY : b;
  };
  std::vector<double> bound(of_items);
  for (const int32_t code : packed.codes) {
    bound[code] = mean_length * of_items[code] + static_cast<double>(bias(code));
    if (std::isnan(bound[code])) bound[code] = INFINITY;
  }
  std::sort(packed.codes.begin(), packed.codes.end(),
            [&](int32_t a, int32_t b) { return bound[a] > bound[b] || (bound[a] == bound[b] && a < b); });

  // The rounding error of a sum of k products is below (k + 2) 2^-24 (|p| |q| + |b|), to first order. We allow for
  // twice that.
  const double slack = (c.n_factors + 8) * std::ldexp(1.0, -23);
  const int panel_items = level().panel_items;
  std::vector<Reach> reach(static_cast<size_t>((c.n + panel_items - 1) / panel_items), Reach{0, -INFINITY});
  for (int64_t place = c.n; place-- > 0;) {
    Reach& here = reach[place / panel_items];
    if (place % panel_items == panel_items - 1 && place + 1 < c.n) here = reach[place / panel_items + 1];
    const auto b = static_cast<double>(bias(packed.codes[place]));
    here.length = std::max(here.length, of_items[packed.codes[place]] * (1 + slack));
    here.bias = std::max(here.bias, b + slack * std::abs(b) + 1e-30);
  }
  return reach;
}

int64_t users_at_once(int64_t n_users, int64_t work_of_one, int64_t floats_of_one, int n_threads) {
  const int64_t tile = level().tile_users;
  const int64_t fair = (n_users + n_threads - 1) / n_threads;
  const int64_t limit = std::min({int64_t{3'000'000'000} / std::max<int64_t>(work_of_one, 1),
                                  int64_t{4'000'000} / std::max<int64_t>(floats_of_one, 1), fair, int64_t{96}});
  return std::max<int64_t>(1, (limit + tile - 1) / tile) * tile;
}

}  // namespace palate
