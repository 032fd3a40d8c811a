// The Python border of the kernels that rank a whole catalogue.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <vector>

#include "border.hpp"
#include "border_catalogue.hpp"
#include "checks.hpp"
#include "ranking.hpp"
#include "rows.hpp"

namespace palate {

using namespace nb::literals;

namespace {

// Which items may be ranked: null for all.
const uint8_t* checked_mask(const MaybeArray& allowed, int64_t n_items) {
  if (allowed && allowed->dtype() == nb::dtype<bool>())
    return reinterpret_cast<const uint8_t*>(checked<bool>(allowed, "allowed", {n_items}));
  return checked<uint8_t>(allowed, "allowed", {n_items});
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

int64_t checked_count(int64_t n, int64_t n_items) {
  if (n < 0) throw nb::value_error("n must be >= 0");
  return std::min(n, n_items);
}

// The n best of each user, an answer being made.
struct Answer {
  int64_t n;
  Owned<int32_t> codes;
  Owned<float> best;
  Answer(int64_t n_users, int64_t asked, int64_t n_items)
      : n(checked_count(asked, n_items)), codes(n_users * n), best(n_users * n) {}

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
  Owned<double> middles;
  Owned<int32_t> n_candidates;
  Lists seen;
  int64_t n_users, n_targets, n;
  Owned<int32_t> codes;

  Ranking(const Shapes& shapes, const Array& target_indptr, const Array& target_indices, int64_t asked,
          const MaybeArray& seen_indptr, const MaybeArray& seen_indices, const MaybeArray& allowed)
      : ranks(static_cast<int64_t>(target_indices.size())),
        middles(static_cast<int64_t>(target_indices.size())),
        n_candidates(shapes.n_users),
        seen(seen_lists(seen_indptr, seen_indices, shapes.n_users, shapes.n_items)),
        n_users(shapes.n_users),
        n_targets(static_cast<int64_t>(target_indices.size())),
        n(checked_count(asked, shapes.n_items)),
        codes(n_users * n) {
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
    query.middles = middles.data;
    query.n_candidates = n_candidates.data;
    query.n = n;
    query.codes = codes.data;
  }

  nb::tuple arrays() const {
    const auto targets = static_cast<size_t>(n_targets), height = static_cast<size_t>(n_users);
    return nb::make_tuple(ranks.array({targets}), middles.array({targets}), n_candidates.array({height}),
                          codes.array({height, static_cast<size_t>(n)}));
  }
};

nb::tuple rank_targets(const Array& users, const Array& items, const Array& target_indptr, const Array& target_indices,
                       int64_t n, bool bias, const MaybeArray& seen_indptr, const MaybeArray& seen_indices,
                       const MaybeArray& allowed, int n_threads) {
  const Shapes shapes = checked_factors(users, items, bias);
  const int threads = checked_threads(n_threads);
  const float* x = checked<float>(users, "users", {shapes.n_users, shapes.k});
  const float* y = checked<float>(items, "items", {shapes.n_items, shapes.k});
  Ranking ranking(shapes, target_indptr, target_indices, n, seen_indptr, seen_indices, allowed);
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

nb::tuple rank_targets_of(const Array& scores, const Array& target_indptr, const Array& target_indices, int64_t n,
                          const MaybeArray& seen_indptr, const MaybeArray& seen_indices, const MaybeArray& allowed,
                          int n_threads) {
  const Shapes shapes = checked_scores(scores);
  const int threads = checked_threads(n_threads);
  const float* block_scores = checked<float>(scores, "scores", {shapes.n_users, shapes.n_items});
  Ranking ranking(shapes, target_indptr, target_indices, n, seen_indptr, seen_indices, allowed);
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
        "n"_a = 0, "bias"_a = true, "seen_indptr"_a.none() = nb::none(), "seen_indices"_a.none() = nb::none(),
        "allowed"_a.none() = nb::none(), "n_threads"_a = 0);
  m.def("rank_targets_of", &rank_targets_of, "scores"_a, "target_indptr"_a, "target_indices"_a, nb::kw_only(),
        "n"_a = 0, "seen_indptr"_a.none() = nb::none(), "seen_indices"_a.none() = nb::none(),
        "allowed"_a.none() = nb::none(), "n_threads"_a = 0);
}

}  // namespace palate
