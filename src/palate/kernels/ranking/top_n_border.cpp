// The Python border of pack_items, top_n, top_n_of and select_top.
#include <algorithm>
#include <cstdint>
#include <optional>
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

constexpr char kPackDoc[] =
    R"(Pack all items for top_n, which otherwise packs them in each call: for many calls of few users.

Parameters:
    items (float32 array (n_items, k)): Item factors q; with a bias the last column is c.
    users (float32 array (n_users, k)): Typical users, whose lengths put the items in the order of their bounds.
    bias (bool, default True): The last columns are biases.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    (int32 array, float32 array, float64 array): What top_n takes as `packed`: the code at each place, panels of items,
    and the bound of each panel. Panels have the width of the running level.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: k is out of range.)";

nb::tuple pack_items(const Array& items, const Array& users, bool bias, int n_threads) {
  const auto [n_users, n_items, k] = checked_factors(users, items, bias);
  const int threads = checked_threads(n_threads);
  const float* typical = checked<float>(users, "users", {n_users, k});
  Packed packed(checked<float>(items, "items", {n_items, k}), n_items, k, bias, nullptr);
  const std::vector<Reach> reach = order_by_reach(packed, typical, n_users, n_items, threads);
  packed.pack(threads);
  const int64_t width = level().panel_items, n_panels = packed.n_panels, n_factors = packed.catalogue.n_factors;
  const Owned<int32_t> codes(size_of({n_panels, width}));
  const Owned<float> panels(size_of({n_panels, 1 + n_factors, width}));
  const Owned<double> bounds(size_of({n_panels, 2}));
  std::fill(std::copy(packed.codes.begin(), packed.codes.end(), codes.data), codes.data + n_panels * width, 0);
  std::copy_n(packed.panels->data, n_panels * (1 + n_factors) * width, panels.data);
  for (int64_t panel = 0; panel < n_panels; ++panel) {
    bounds.data[2 * panel] = reach[panel].length;
    bounds.data[2 * panel + 1] = reach[panel].bias;
  }
  return nb::make_tuple(codes.array({n_panels * width}), panels.array({n_panels, 1 + n_factors, width}),
                        bounds.array({n_panels, 2}));
}

// The arrays of pack_items, as a catalogue and its bounds.
std::vector<Reach> unpack(const nb::tuple& packed, int64_t n_items, TopQuery& query) {
  if (packed.size() != 3) throw nb::value_error("packed must be what pack_items returns");
  const auto codes = nb::cast<Array>(packed[0]), panels = nb::cast<Array>(packed[1]),
             reach = nb::cast<Array>(packed[2]);
  const int64_t width = level().panel_items, n_panels = (n_items + width - 1) / width;
  query.catalogue.n = n_panels * width;  // the last panel ends with scores that are NaN
  query.catalogue.codes = checked<int32_t>(codes, "packed[0]", {n_panels * width});
  query.catalogue.panels = const_cast<float*>(
      checked<float>(panels, "packed[1]", {n_panels, 1 + int64_t{query.catalogue.n_factors}, width}));
  const double* bounds = checked<double>(reach, "packed[2]", {n_panels, 2});
  check_bounds(query.catalogue.codes, query.catalogue.n, n_items, "packed[0]");
  std::vector<Reach> out(static_cast<size_t>(n_panels));
  for (int64_t panel = 0; panel < n_panels; ++panel) out[panel] = {bounds[2 * panel], bounds[2 * panel + 1]};
  return out;
}

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
    packed (tuple, default None): What pack_items made of these items; without `allowed`. It changes no result.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    (int32 array, float32 array), both (n_users, min(n, n_items)): Codes and scores, the best first; where too few items
    are left, -1 and -inf.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: An argument is out of range.
    IndexError: seen_indices holds no item.)";

nb::tuple top_n(const Array& users, const Array& items, int64_t n, bool bias, const MaybeArray& seen_indptr,
                const MaybeArray& seen_indices, const MaybeArray& allowed, const std::optional<nb::tuple>& packed,
                int n_threads) {
  const auto [n_users, n_items, k] = checked_factors(users, items, bias);
  const int threads = checked_threads(n_threads);
  TopQuery query{};
  query.users = checked<float>(users, "users", {n_users, k});
  const float* rows = checked<float>(items, "items", {n_items, k});
  const Lists seen = seen_lists(seen_indptr, seen_indices, n_users, n_items);
  const uint8_t* mask = checked_mask(allowed, n_items);
  const Answer answer(n_users, n, n_items);
  if (packed && mask) throw nb::value_error("packed goes without allowed: it holds all items");
  if (answer.n == 0 || n_users == 0) return answer.arrays(n_users);
  Packed here(rows, packed ? 0 : n_items, k, bias, mask);
  query.catalogue = here.catalogue;
  std::vector<Reach> reach;
  if (packed) {
    reach = unpack(*packed, n_items, query);
  } else {
    reach = order_by_reach(here, query.users, n_users, n_items, threads);
    here.pack(threads);
    query.catalogue = here.catalogue;
  }
  query.reach = reach.data();
  query.n = answer.n;
  query.codes = answer.codes.data;
  query.best = answer.best.data;
  const Level& kernels = level();
  const int64_t block = users_at_once(n_users, n_items * k, 2 * answer.n + k, threads);
  run_users(n_users, block, kernels.top_n_scratch(query, block), seen, threads,
            [&](const Seen& own, int64_t first, int64_t last, float* scratch) {
              kernels.top_n(query, own, first, last, scratch);
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
        "packed"_a.none() = nb::none(), "n_threads"_a = 0, kTopNDoc);
  m.def("pack_items", &pack_items, "items"_a, "users"_a, nb::kw_only(), "bias"_a = true, "n_threads"_a = 0, kPackDoc);
  m.def("top_n_of", &top_n_of, "scores"_a, "n"_a, nb::kw_only(), "seen_indptr"_a.none() = nb::none(),
        "seen_indices"_a.none() = nb::none(), "allowed"_a.none() = nb::none(), "n_threads"_a = 0, kTopNOfDoc);
  m.def("select_top", &select_top, "scores"_a, "n"_a, nb::kw_only(), "n_threads"_a = 0, kSelectTopDoc);
}

}  // namespace palate
