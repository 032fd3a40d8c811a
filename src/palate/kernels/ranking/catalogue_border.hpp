// What the borders of the ranking kernels share: checks, lists of codes, panels of items, and tasks over users.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/border/border.hpp"
#include "kernels/border/memory.hpp"
#include "kernels/ranking/ranking.hpp"

namespace palate {

// The sizes of a call: factors (n_users, k) and (n_items, k), or scores (n_users, n_items).
struct Shapes {
  int64_t n_users, n_items, k;
};

Shapes checked_factors(const Array& users, const Array& items, bool bias);
Shapes checked_scores(const Array& scores);

// The items that may be ranked, (n_items,); null: all.
const uint8_t* checked_mask(const MaybeArray& allowed, int64_t n_items);

// min(n, n_items). Raises ValueError if n is negative.
int64_t checked_count(int64_t n, int64_t n_items);

// Item codes of each user, as compressed rows.
struct Lists {
  const int64_t* indptr = nullptr;
  const int32_t* codes = nullptr;
  int64_t longest = 0;

  Lists() = default;
  Lists(const Array& begin, const Array& indices, int64_t n_users, int64_t n_items, const char* indptr_name,
        const char* name)
      : indptr(checked<int64_t>(begin, indptr_name, {n_users + 1})), codes(checked<int32_t>(indices, name, {kAny})) {
    check_indptr(indptr, n_users, static_cast<int64_t>(indices.size()), indptr_name);
    check_bounds(codes, static_cast<int64_t>(indices.size()), n_items, name);
    for (int64_t u = 0; u < n_users; ++u) longest = std::max(longest, indptr[u + 1] - indptr[u]);
  }
};

// The items users have seen: both arrays or neither.
Lists seen_lists(const MaybeArray& indptr, const MaybeArray& indices, int64_t n_users, int64_t n_items);

// The hash tables of the items that some users have seen (see Seen). The memory is reused for the next users.
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

// The allowed items, copied into panels.
struct Packed {
  Catalogue catalogue{};
  std::vector<int32_t> codes;
  std::unique_ptr<PassingFloats> panels;
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

  void pack(int n_threads);
};

// Sorts the items by a bound on their scores, the highest first. Returns the bounds, one for each panel.
std::vector<Reach> order_by_reach(Packed& packed, const float* users, int64_t n_users, int64_t n_items, int n_threads);

// How many users make a task: whole tiles, few enough that a task is neither long nor needs much memory.
int64_t users_at_once(int64_t n_users, int64_t work_of_one, int64_t floats_of_one, int n_threads);

// Runs kernel(seen, first, last, scratch) over all users, `block` at a time.
template <typename Kernel>
void run_users(int64_t n_users, int64_t block, int64_t scratch_floats, const Lists& seen, int n_threads,
               Kernel kernel) {
  const int threads = threads_for((n_users + block - 1) / block, n_threads);
  std::vector<SeenTables> tables(static_cast<size_t>(threads));
  const ThreadScratch scratch(threads, scratch_floats);
  run_ranges(n_users, block, threads, [&](int64_t first, int64_t last, int worker) {
    kernel(tables[worker].of(seen, first, last), first, last, scratch[worker]);
  });
}

}  // namespace palate
