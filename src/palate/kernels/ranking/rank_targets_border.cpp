// The Python border of rank_targets and rank_targets_of.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/levels/levels.hpp"
#include "kernels/ranking/catalogue_border.hpp"

using namespace nanobind::literals;

namespace palate {
namespace {

// The targets of all users, and the result arrays.
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
        codes(size_of({n_users, n})) {
    if (n_users == 0) checked<int64_t>(target_indptr, "target_indptr", {1});
    const Lists targets(target_indptr, target_indices, n_users, shapes.n_items, "target_indptr", "target_indices");
    query.allowed = checked_mask(allowed, shapes.n_items);
    query.n_allowed = query.allowed ? std::count_if(query.allowed, query.allowed + shapes.n_items,
                                                    [](uint8_t flag) { return flag != 0; })
                                    : shapes.n_items;
    query.target_indptr = targets.indptr;
    query.targets = targets.codes;
    query.max_targets = targets.longest;
    query.max_seen = seen.longest;
    query.ranks = ranks.data;
    query.middles = middles.data;
    query.n_candidates = n_candidates.data;
    query.n = n;
    query.codes = codes.data;
  }

  nb::tuple arrays() const {
    return nb::make_tuple(ranks.array({n_targets}), middles.array({n_targets}), n_candidates.array({n_users}),
                          codes.array({n_users, n}));
  }
};

constexpr char kDoc[] = R"(The rank of each target of each user among the user's candidates, by the score p . q [+ c].

Candidates are the items that are allowed and that the user has not seen. A candidate comes before a target if its score
is greater, or equal and its code lower; NaN comes after all numbers.

Parameters:
    users (float32 array (n_users, k)): User factors p; with a bias a last column, which changes no rank. k at most 4096.
    items (float32 array (n_items, k)): Item factors q; with a bias the last column is c.
    target_indptr (int64 array (n_users + 1,)): Where each user's targets begin.
    target_indices (int32 array (n_targets,)): The targets, item codes.
    n (int, default 0): How many of the best candidates to return, 0 or more.
    bias (bool, default True): The last columns are biases.
    seen_indptr (int64 array (n_users + 1,), default None): Where each user's seen items begin.
    seen_indices (int32 array, default None): The items each user has seen, in any order; given with seen_indptr.
    allowed (bool or uint8 array (n_items,), default None): The items that may be ranked; None: all.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    (ranks, middles, n_candidates, codes):
    ranks (int64 array (n_targets,)): 1 is the best; 0 if the target is no candidate.
    middles (float64 array (n_targets,)): The mean rank of all candidates with the target's score; 0 likewise.
    n_candidates (int32 array (n_users,)): How many candidates each user has.
    codes (int32 array (n_users, min(n, n_items))): The n best candidates, as from top_n.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: An argument is out of range.
    IndexError: target_indices or seen_indices holds no item.)";

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
  query.allowed = nullptr;  // only allowed items have a place
  const Level& kernels = level();
  const int64_t block = users_at_once(shapes.n_users, shapes.n_items * shapes.k, 1, threads);
  run_users(shapes.n_users, block, kernels.rank_targets_scratch(query), ranking.seen, threads,
            [&](const Seen& here, int64_t first, int64_t last, float* scratch) {
              kernels.rank_targets(query, here, first, last, scratch);
            });
  return ranking.arrays();
}

constexpr char kOfDoc[] =
    R"(The rank of each target of each user among the user's candidates, by given scores; see rank_targets.

Parameters:
    scores (float32 array (n_users, n_items)): The scores.
    target_indptr, target_indices, n, seen_indptr, seen_indices, allowed, n_threads: As in rank_targets.

Returns:
    (ranks, middles, n_candidates, codes): As from rank_targets.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: An argument is out of range.
    IndexError: target_indices or seen_indices holds no item.)";

nb::tuple rank_targets_of(const Array& scores, const Array& target_indptr, const Array& target_indices, int64_t n,
                          const MaybeArray& seen_indptr, const MaybeArray& seen_indices, const MaybeArray& allowed,
                          int n_threads) {
  const Shapes shapes = checked_scores(scores);
  const int threads = checked_threads(n_threads);
  const float* given = checked<float>(scores, "scores", {shapes.n_users, shapes.n_items});
  Ranking ranking(shapes, target_indptr, target_indices, n, seen_indptr, seen_indices, allowed);
  RankQuery& query = ranking.query;
  query.scores = given;
  query.catalogue.n = shapes.n_items;
  const Level& kernels = level();
  const int64_t block = users_at_once(shapes.n_users, shapes.n_items, 1, threads);
  run_users(shapes.n_users, block, kernels.rank_targets_scratch(query), ranking.seen, threads,
            [&](const Seen& here, int64_t first, int64_t last, float* scratch) {
              kernels.rank_targets_of(query, here, first, last, scratch);
            });
  return ranking.arrays();
}

}  // namespace

void add_rank_targets(nb::module_& m) {
  m.def("rank_targets", &rank_targets, "users"_a, "items"_a, "target_indptr"_a, "target_indices"_a, nb::kw_only(),
        "n"_a = 0, "bias"_a = true, "seen_indptr"_a.none() = nb::none(), "seen_indices"_a.none() = nb::none(),
        "allowed"_a.none() = nb::none(), "n_threads"_a = 0, kDoc);
  m.def("rank_targets_of", &rank_targets_of, "scores"_a, "target_indptr"_a, "target_indices"_a, nb::kw_only(),
        "n"_a = 0, "seen_indptr"_a.none() = nb::none(), "seen_indices"_a.none() = nb::none(),
        "allowed"_a.none() = nb::none(), "n_threads"_a = 0, kOfDoc);
}

}  // namespace palate
