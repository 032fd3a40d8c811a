// The Python border of the kernels that rank a whole catalogue.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <vector>

#include "border.hpp"
#include "checks.hpp"
#include "ranking.hpp"
#include "rows.hpp"

namespace palate {

using namespace nb::literals;

namespace {

// Compressed rows of item codes of each user.
struct Lists {
  const int64_t* indptr = nullptr;
  const int32_t* codes = nullptr;
  int64_t longest = 0;

  Lists() = default;
  Lists(const Array& begin, const Array& indices, int64_t n_users, int64_t n_items, const char* indptr_name,
        const char* name)
      : indptr(checked<int64_t>(begin, indptr_name, {n_users + 1})), codes(checked<int32_t>(indices, name, {kAny})) {
    check_indptr(indptr, n_users, static_cast<int64_t>(indices.size()));
    check_bounds(codes, static_cast<int64_t>(indices.size()), n_items, name);
    for (int64_t u = 0; u < n_users; ++u) longest = std::max(longest, indptr[u + 1] - indptr[u]);
  }
};

Lists seen_lists(const MaybeArray& indptr, const MaybeArray& indices, int64_t n_users, int64_t n_items) {
  if (indptr.has_value() != indices.has_value())
    throw nb::type_error("give both seen_indptr and seen_indices, or neither");
  return indptr ? Lists(*indptr, *indices, n_users, n_items, "seen_indptr", "seen_indices") : Lists();
}

// Which items may be ranked: null for all.
const uint8_t* checked_mask(const MaybeArray& allowed, int64_t n_items) {
  if (allowed && allowed->dtype() == nb::dtype<bool>())
    return reinterpret_cast<const uint8_t*>(checked<bool>(allowed, "allowed", {n_items}));
  return checked<uint8_t>(allowed, "allowed", {n_items});
}

// The hash tables of what some users have seen; the memory is used again for the next ones.
struct SeenTables {
  std::vector<int64_t> begin;
  std::vector<int32_t> slots;

  Seen of(const Lists& seen, int64_t first, int64_t last) {
    if (!seen.indptr) return {nullptr, nullptr};
    begin.assign(1, 0);
    for (int64_t u = first; u < last; ++u) begin.push_back(begin.back() + 2 * (seen.indptr[u + 1] - seen.indptr[u]));
    slots.assign(static_cast<size_t>(begin.back()) + 1, -1);
    for (int64_t u = first; u < last; ++u)
      for (int64_t e = seen.indptr[u]; e < seen.indptr[u + 1]; ++e) add(u - first, seen.codes[e]);
    return {begin.data(), slots.data()};
  }

  void add(int64_t user, int32_t code) {
    int32_t* table = slots.data() + begin[user];
    const int64_t n = begin[user + 1] - begin[user];
    int64_t at = PALATE_SLOT_OF(code, static_cast<uint64_t>(n));
    while (table[at] != code && table[at] != -1) at = at + 1 < n ? at + 1 : 0;
    table[at] = code;
  }
};

// The allowed items, in panels of whole vectors.
struct Packed {
  Catalogue catalogue{};
  std::vector<int32_t> codes;
  std::unique_ptr<AlignedFloats> panels;
  int64_t n_panels = 0;

  Packed(const float* items, int64_t n_items, int64_t k, bool bias, const uint8_t* allowed) {
    for (int64_t code = 0; code < n_items; ++code)
      if (!allowed || allowed[code]) codes.push_back(static_cast<int32_t>(code));
    catalogue.items = items;
    catalogue.k = static_cast<int>(k);
    catalogue.n_factors = static_cast<int>(k - bias);
    catalogue.codes = codes.data();
    catalogue.n = static_cast<int64_t>(codes.size());
  }

  void pack(int n_threads) {
    const RankingLevel& kernels = *level().ranking;
    n_panels = (catalogue.n + kernels.width - 1) / kernels.width;
    panels = std::make_unique<AlignedFloats>(n_panels * (1 + catalogue.n_factors) * kernels.width);
    catalogue.panels = panels->data;
    constexpr int64_t kPanels = 32;
    run((n_panels + kPanels - 1) / kPanels, n_threads,
        [&](int64_t task, int) { kernels.pack(catalogue, task * kPanels, std::min(n_panels, (task + 1) * kPanels)); });
  }
};

// Lengths of the factors of all rows.
std::vector<double> lengths_of(const float* rows, int64_t n, const Catalogue& c, int n_threads) {
  std::vector<double> out(static_cast<size_t>(n));
  constexpr int64_t kRows = 4096;
  run((n + kRows - 1) / kRows, n_threads, [&](int64_t task, int) {
    level().ranking->lengths(rows, c.k, c.n_factors, task * kRows, std::min(n, (task + 1) * kRows), out.data());
  });
  return out;
}

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

// Users, n_users wide blocks, so many at a time that a task is neither long nor hungry.
int64_t users_at_once(int64_t n_users, int64_t work_of_one, int64_t floats_of_one, int n_threads) {
  const int64_t tile = level().ranking->tile_users;
  const int64_t fair = (n_users + n_threads - 1) / n_threads;
  const int64_t most = std::min({int64_t{3'000'000'000} / std::max<int64_t>(work_of_one, 1),
                                 int64_t{4'000'000} / std::max<int64_t>(floats_of_one, 1), fair, int64_t{96}});
  return std::max<int64_t>(1, (most + tile - 1) / tile) * tile;
}

// Blocks of users over the threads, each with its tables of what is seen and its scratch.
template <typename Kernel>
void run_blocks(int64_t n_users, int64_t block, int64_t scratch_floats, const Lists& seen, int n_threads,
                Kernel kernel) {
  const int64_t n_tasks = (n_users + block - 1) / block;
  const int threads = static_cast<int>(std::min<int64_t>(n_threads, std::max<int64_t>(n_tasks, 1)));
  std::vector<SeenTables> tables(static_cast<size_t>(threads));
  std::vector<std::unique_ptr<AlignedFloats>> scratch;
  for (int t = 0; t < threads; ++t) scratch.push_back(std::make_unique<AlignedFloats>(scratch_floats));
  run(n_tasks, threads, [&](int64_t task, int worker) {
    const int64_t first = task * block, last = std::min(n_users, first + block);
    kernel(tables[worker].of(seen, first, last), first, last, scratch[worker]->data);
  });
}

struct Shapes {
  int64_t n_users, n_items, k;
};

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

// The n best of each user, an answer being made.
struct Answer {
  int64_t n;
  Owned<int32_t> codes;
  Owned<float> best;
  Answer(int64_t n_users, int64_t asked, int64_t n_items)
      : n(checked_count(asked, n_items)), codes(n_users * n), best(n_users * n) {}

  static int64_t checked_count(int64_t n, int64_t n_items) {
    if (n < 0) throw nb::value_error("n must be >= 0");
    return std::min(n, n_items);
  }

  nb::tuple arrays(int64_t n_users) const {
    const auto height = static_cast<size_t>(n_users), width = static_cast<size_t>(n);
    return nb::make_tuple(codes.array({height, width}), best.array({height, width}));
  }
};

nb::tuple top_n(const Array& users, const Array& items, int64_t n, bool bias, const MaybeArray& seen_indptr,
                const MaybeArray& seen_indices, const MaybeArray& allowed, int n_threads) {
  const auto [n_users, n_items, k] = checked_factors(users, items, bias);
  const int threads = checked_threads(n_threads);
  TopQuery query{};
  query.users = checked<float>(users, "users", {n_users, k});
  const float* rows = checked<float>(items, "items", {n_items, k});
  const Lists seen = seen_lists(seen_indptr, seen_indices, n_users, n_items);
  const uint8_t* mask = checked_mask(allowed, n_items);
  const Answer answer(n_users, n, n_items);
  if (answer.n == 0 || n_users == 0) return answer.arrays(n_users);
  Packed packed(rows, n_items, k, bias, mask);
  const std::vector<Reach> reach = order_by_reach(packed, query.users, n_users, n_items, threads);
  packed.pack(threads);
  query.catalogue = packed.catalogue;
  query.reach = reach.data();
  query.n = answer.n;
  query.codes = answer.codes.data;
  query.best = answer.best.data;
  const RankingLevel& kernels = *level().ranking;
  const int64_t block = users_at_once(n_users, n_items * k, 2 * answer.n + k, threads);
  run_blocks(n_users, block, kernels.top_scratch(query, block), seen, threads,
             [&](const Seen& here, int64_t first, int64_t last, float* scratch) {
               kernels.top(query, here, first, last, scratch);
             });
  return answer.arrays(n_users);
}

nb::tuple top_n_of(const Array& scores, int64_t n, const MaybeArray& seen_indptr, const MaybeArray& seen_indices,
                   const MaybeArray& allowed, int n_threads) {
  const auto [n_users, n_items, k] = checked_scores(scores);
  const int threads = checked_threads(n_threads);
  TopQuery query{};
  query.scores = checked<float>(scores, "scores", {n_users, n_items});
  const Lists seen = seen_lists(seen_indptr, seen_indices, n_users, n_items);
  query.allowed = checked_mask(allowed, n_items);
  const Answer answer(n_users, n, n_items);
  if (answer.n == 0) return answer.arrays(n_users);
  query.catalogue.n = n_items;
  query.n = answer.n;
  query.codes = answer.codes.data;
  query.best = answer.best.data;
  const RankingLevel& kernels = *level().ranking;
  const int64_t block = users_at_once(n_users, n_items, 2 * answer.n, threads);
  run_blocks(n_users, block, kernels.top_scratch(query, block), seen, threads,
             [&](const Seen& here, int64_t first, int64_t last, float* scratch) {
               kernels.top_of(query, here, first, last, scratch);
             });
  return answer.arrays(n_users);
}

nb::tuple select_top(const Array& scores, int64_t n, int n_threads) {
  return top_n_of(scores, n, {}, {}, {}, n_threads);
}

// The targets of all users, and the arrays of what is counted of them.
struct Ranking {
  RankQuery query{};
  Owned<int64_t> ranks;
  Owned<int32_t> ties, n_candidates;
  Lists seen;
  int64_t n_users, n_targets;

  Ranking(const Shapes& shapes, const Array& target_indptr, const Array& target_indices, const MaybeArray& seen_indptr,
          const MaybeArray& seen_indices, const MaybeArray& allowed)
      : ranks(static_cast<int64_t>(target_indices.size())),
        ties(static_cast<int64_t>(target_indices.size())),
        n_candidates(shapes.n_users),
        seen(seen_lists(seen_indptr, seen_indices, shapes.n_users, shapes.n_items)),
        n_users(shapes.n_users),
        n_targets(static_cast<int64_t>(target_indices.size())) {
    if (n_users == 0) checked<int64_t>(target_indptr, "target_indptr", {1});
    const Lists targets(target_indptr, target_indices, n_users, shapes.n_items, "target_indptr", "target_indices");
    query.allowed = checked_mask(allowed, shapes.n_items);
    query.n_allowed = query.allowed ? std::count_if(query.allowed, query.allowed + shapes.n_items,
                                                    [](uint8_t yes) { return yes != 0; })
                                    : shapes.n_items;
    query.target_indptr = targets.indptr;
    query.targets = targets.codes;
    query.most_targets = targets.longest;
    query.most_seen = seen.longest;
    query.ranks = ranks.data;
    query.ties = ties.data;
    query.n_candidates = n_candidates.data;
  }

  nb::tuple arrays() const {
    const auto n = static_cast<size_t>(n_targets);
    return nb::make_tuple(ranks.array({n}), ties.array({n}), n_candidates.array({static_cast<size_t>(n_users)}));
  }
};

nb::tuple rank_targets(const Array& users, const Array& items, const Array& target_indptr, const Array& target_indices,
                       bool bias, const MaybeArray& seen_indptr, const MaybeArray& seen_indices,
                       const MaybeArray& allowed, int n_threads) {
  const Shapes shapes = checked_factors(users, items, bias);
  const int threads = checked_threads(n_threads);
  const float* x = checked<float>(users, "users", {shapes.n_users, shapes.k});
  const float* y = checked<float>(items, "items", {shapes.n_items, shapes.k});
  Ranking ranking(shapes, target_indptr, target_indices, seen_indptr, seen_indices, allowed);
  RankQuery& query = ranking.query;
  Packed packed(y, shapes.n_items, shapes.k, bias, query.allowed);
  const std::vector<Reach> reach = order_by_reach(packed, x, shapes.n_users, shapes.n_items, threads);
  packed.pack(threads);
  std::vector<int32_t> places(static_cast<size_t>(shapes.n_items), -1);
  for (size_t place = 0; place < packed.codes.size(); ++place)
    places[packed.codes[place]] = static_cast<int32_t>(place);
  query.users = x;
  query.catalogue = packed.catalogue;
  query.places = places.data();
  query.reach = reach.data();
  query.allowed = nullptr;  // only what is allowed has a place
  const RankingLevel& kernels = *level().ranking;
  const int64_t block = users_at_once(shapes.n_users, shapes.n_items * shapes.k, 1, threads);
  run_blocks(shapes.n_users, block, kernels.rank_scratch(query), ranking.seen, threads,
             [&](const Seen& here, int64_t first, int64_t last, float* scratch) {
               kernels.rank(query, here, first, last, scratch);
             });
  return ranking.arrays();
}

nb::tuple rank_targets_of(const Array& scores, const Array& target_indptr, const Array& target_indices,
                          const MaybeArray& seen_indptr, const MaybeArray& seen_indices, const MaybeArray& allowed,
                          int n_threads) {
  const Shapes shapes = checked_scores(scores);
  const int threads = checked_threads(n_threads);
  const float* block_scores = checked<float>(scores, "scores", {shapes.n_users, shapes.n_items});
  Ranking ranking(shapes, target_indptr, target_indices, seen_indptr, seen_indices, allowed);
  RankQuery& query = ranking.query;
  query.scores = block_scores;
  query.catalogue.n = shapes.n_items;
  const RankingLevel& kernels = *level().ranking;
  const int64_t block = users_at_once(shapes.n_users, shapes.n_items, 1, threads);
  run_blocks(shapes.n_users, block, kernels.rank_scratch(query), ranking.seen, threads,
             [&](const Seen& here, int64_t first, int64_t last, float* scratch) {
               kernels.rank_of(query, here, first, last, scratch);
             });
  return ranking.arrays();
}

}  // namespace

void add_ranking_kernels(nb::module_& m) {
  m.def("top_n", &top_n, "users"_a, "items"_a, "n"_a, nb::kw_only(), "bias"_a = true,
        "seen_indptr"_a.none() = nb::none(), "seen_indices"_a.none() = nb::none(), "allowed"_a.none() = nb::none(),
        "n_threads"_a = 0);
  m.def("top_n_of", &top_n_of, "scores"_a, "n"_a, nb::kw_only(), "seen_indptr"_a.none() = nb::none(),
        "seen_indices"_a.none() = nb::none(), "allowed"_a.none() = nb::none(), "n_threads"_a = 0);
  m.def("select_top", &select_top, "scores"_a, "n"_a, nb::kw_only(), "n_threads"_a = 0);
  m.def("rank_targets", &rank_targets, "users"_a, "items"_a, "target_indptr"_a, "target_indices"_a, nb::kw_only(),
        "bias"_a = true, "seen_indptr"_a.none() = nb::none(), "seen_indices"_a.none() = nb::none(),
        "allowed"_a.none() = nb::none(), "n_threads"_a = 0);
  m.def("rank_targets_of", &rank_targets_of, "scores"_a, "target_indptr"_a, "target_indices"_a, nb::kw_only(),
        "seen_indptr"_a.none() = nb::none(), "seen_indices"_a.none() = nb::none(), "allowed"_a.none() = nb::none(),
        "n_threads"_a = 0);
}

}  // namespace palate
