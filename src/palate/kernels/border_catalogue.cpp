// Catalogues at the Python border: packed, and put into the order in which they are looked through.
#include "border_catalogue.hpp"

#include <cmath>

#include "rows.hpp"

namespace palate {

Lists seen_lists(const MaybeArray& indptr, const MaybeArray& indices, int64_t n_users, int64_t n_items) {
  if (indptr.has_value() != indices.has_value())
    throw nb::type_error("give both seen_indptr and seen_indices, or neither");
  return indptr ? Lists(*indptr, *indices, n_users, n_items, "seen_indptr", "seen_indices") : Lists();
}

void Packed::pack(int n_threads) {
  const RankingLevel& kernels = *level().ranking;
  n_panels = (catalogue.n + kernels.width - 1) / kernels.width;
  panels = std::make_unique<PassingFloats>(n_panels * (1 + catalogue.n_factors) * kernels.width);
  catalogue.panels = panels->data;
  constexpr int64_t kPanels = 32;
  run((n_panels + kPanels - 1) / kPanels, n_threads,
      [&](int64_t task, int) { kernels.pack(catalogue, task * kPanels, std::min(n_panels, (task + 1) * kPanels)); });
}

namespace {

// Lengths of the factors of all rows.
std::vector<double> lengths_of(const float* rows, int64_t n, const Catalogue& c, int n_threads) {
  std::vector<double> out(static_cast<size_t>(n));
  constexpr int64_t kRows = 4096;
  run((n + kRows - 1) / kRows, n_threads, [&](int64_t task, int) {
    level().ranking->lengths(rows, c.k, c.n_factors, task * kRows, std::min(n, (task + 1) * kRows), out.data());
  });
  return out;
}

}  // namespace

// By Cauchy and Schwarz p . q + b <= |p| |q| + b, so that the items come in the order of this bound for a user of
// middling length: floors rise early, and a user is done where no later item can reach his. The order changes no
// result.
std::vector<Reach> order_by_reach(Packed& packed, const float* users, int64_t n_users, int64_t n_items, int n_threads) {
  const Catalogue& c = packed.catalogue;
  const std::vector<double> of_users = lengths_of(users, std::min<int64_t>(n_users, 1000), c, n_threads);
  const std::vector<double> of_items = lengths_of(c.items, n_items, c, n_threads);
  double middling = 0;
  for (const double length : of_users)
    if (std::isfinite(length)) middling += length / static_cast<double>(of_users.size());
  auto bias = [&](int32_t code) {
    const float b = c.k > c.n_factors ? c.items[static_cast<int64_t>(code) * c.k + c.n_factors] : 0.0f;
    return std::isnan(b) ? INFINITY : b;
  };
  std::vector<double> bound(of_items);
  for (const int32_t code : packed.codes) {
    bound[code] = middling * of_items[code] + static_cast<double>(bias(code));
    if (std::isnan(bound[code])) bound[code] = INFINITY;
  }
  std::sort(packed.codes.begin(), packed.codes.end(),
            [&](int32_t a, int32_t b) { return bound[a] > bound[b] || (bound[a] == bound[b] && a < b); });

  // The rounding of a sum of k products is below (k + 2) 2^-24 (|p| |q| + |b|), to first order; twice that is above it.
  const double slack = (c.n_factors + 8) * std::ldexp(1.0, -23);
  const int width = level().ranking->width;
  std::vector<Reach> reach(static_cast<size_t>((c.n + width - 1) / width), Reach{0, -INFINITY});
  for (int64_t place = c.n; place-- > 0;) {
    Reach& here = reach[place / width];
    if (place % width == width - 1 && place + 1 < c.n) here = reach[place / width + 1];
    const auto b = static_cast<double>(bias(packed.codes[place]));
    here.length = std::max(here.length, of_items[packed.codes[place]] * (1 + slack));
    here.bias = std::max(here.bias, b + slack * std::abs(b) + 1e-30);
  }
  return reach;
}

int64_t users_at_once(int64_t n_users, int64_t work_of_one, int64_t floats_of_one, int n_threads) {
  const int64_t tile = level().ranking->tile_users;
  const int64_t fair = (n_users + n_threads - 1) / n_threads;
  const int64_t most = std::min({int64_t{3'000'000'000} / std::max<int64_t>(work_of_one, 1),
                                 int64_t{4'000'000} / std::max<int64_t>(floats_of_one, 1), fair, int64_t{96}});
  return std::max<int64_t>(1, (most + tile - 1) / tile) * tile;
}

}  // namespace palate
