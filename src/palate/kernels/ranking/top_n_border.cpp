// The Python border of top_n, top_n_of and select_top.
#include <cstdint>
#include <vector>

#include "kernels/levels/levels.hpp"
#include "kernels/ranking/catalogue_border.hpp"

using namespace nanobind::literals;

namespace palate {
namespace {

// The result arrays: the n best of each user.
struct Answer {
  int64_t n;
  Owned<int32_t> codes;
  Owned<float> best;
  Answer(int64_t n_users, int64_t asked, int64_t n_items)
      : n(checked_count(asked, n_items)), codes(size_of({n_users, n})), best(size_of({n_users, n})) {}

  nb::tuple arrays(int64_t n_users) const {
    return nb::make_tuple(codes.array({n_users, n}), best.array({n_users, n}));
  }
};

constexpr char kTopNDoc[] = R"(The n best items of each user by the score p . q [+ c + b], ties to the lower code.

The bias b of the user is the same for all items: it is added last, and makes no ties. Items that are seen or not
allowed are left out, and so are those whose score is NaN or -inf.

Parameters:
    users (float32 array (n_users, k)): User factors p; with a bias the last column is b. k at most 4096.
    items (float32 array (n_items, k)): Item factors q; with a bias the last column is c.
    n (int): How many, 0 or more.
    bias (bool, default True): The last columns are biases.
    seen_indptr (int64 array (n_users + 1,), default None): Where each user's seen items begin.
    seen_indices (int32 array, default None): The items each user has seen, in any order; given with seen_indptr.
    allowed (bool or uint8 array (n_items,), default None): The items that may be ranked; None: all.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    (int32 array, float32 array), both (n_users, min(n, n_items)): Codes and scores, the best first; where too few items
    are left, -1 and -inf.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: An argument is out of range.
    IndexError: seen_indices holds no item.)";

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
  const Level& kernels = level();
  const int64_t block = users_at_once(n_users, n_items * k, 2 * answer.n + k, threads);
  run_users(n_users, block, kernels.top_n_scratch(query, block), seen, threads,
            [&](const Seen& here, int64_t first, int64_t last, float* scratch) {
              kernels.top_n(query, here, first, last, scratch);
            });
  return answer.arrays(n_users);
}

constexpr char kTopNOfDoc[] = R"(The n best items of each user by given scores, ties to the lower code; see top_n.

Parameters:
    scores (float32 array (n_users, n_items)): The scores.
    n (int): How many, 0 or more.
    seen_indptr, seen_indices, allowed, n_threads: As in top_n.

Returns:
    (int32 array, float32 array), both (n_users, min(n, n_items)): Codes and scores, as from top_n.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: An argument is out of range.
    IndexError: seen_indices holds no item.)";

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
  const Level& kernels = level();
  const int64_t block = users_at_once(n_users, n_items, 2 * answer.n, threads);
  run_users(n_users, block, kernels.top_n_scratch(query, block), seen, threads,
            [&](const Seen& here, int64_t first, int64_t last, float* scratch) {
              kernels.top_n_of(query, here, first, last, scratch);
            });
  return answer.arrays(n_users);
}

constexpr char kSelectTopDoc[] =
    R"(The n best columns of each row of scores, ties to the lower column: top_n_of without masks.

Parameters:
    scores (float32 array (n_rows, n_columns)): The scores.
    n (int): How many, 0 or more.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    (int32 array, float32 array), both (n_rows, min(n, n_columns)): Columns and scores, as from top_n.

Raises:
    TypeError: scores has another dtype, shape or layout.
    ValueError: n is negative.)";

nb::tuple select_top(const Array& scores, int64_t n, int n_threads) {
  return top_n_of(scores, n, {}, {}, {}, n_threads);
}

}  // namespace

void add_top_n(nb::module_& m) {
  m.def("top_n", &top_n, "users"_a, "items"_a, "n"_a, nb::kw_only(), "bias"_a = true,
        "seen_indptr"_a.none() = nb::none(), "seen_indices"_a.none() = nb::none(), "allowed"_a.none() = nb::none(),
        "n_threads"_a = 0, kTopNDoc);
  m.def("top_n_of", &top_n_of, "scores"_a, "n"_a, nb::kw_only(), "seen_indptr"_a.none() = nb::none(),
        "seen_indices"_a.none() = nb::none(), "allowed"_a.none() = nb::none(), "n_threads"_a = 0, kTopNOfDoc);
  m.def("select_top", &select_top, "scores"_a, "n"_a, nb::kw_only(), "n_threads"_a = 0, kSelectTopDoc);
}

}  // namespace palate
