// What the kernels that rank a catalogue share at the Python border: lists of codes, panels of items, blocks of users.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "border.hpp"
#include "checks.hpp"
#include "memory.hpp"
#include "ranking.hpp"

namespace palate {

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

// Both arrays or neither.
Lists seen_lists(const MaybeArray& indptr, const MaybeArray& indices, int64_t n_users, int64_t n_items);

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

// Puts the items in the order in which they reach far, and says how far.
std::vector<Reach> order_by_reach(Packed& packed, const float* users, int64_t n_users, int64_t n_items, int n_threads);

// Users, a whole number of tiles of them, so many at a time that a task is neither long nor hungry.
int64_t users_at_once(int64_t n_users, int64_t work_of_one, int64_t floats_of_one, int n_threads);

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

}  // namespace palate
