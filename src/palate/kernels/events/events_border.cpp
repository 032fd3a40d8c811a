// The Python border of the event kernel.
#include <cstdint>
#include <numeric>
#include <vector>

#include "kernels/border/border.hpp"
#include "kernels/events/events.hpp"
#include "kernels/rows/rows_border.hpp"
#include "kernels/supports/sparse_rows_border.hpp"

using namespace nanobind::literals;

namespace palate {
namespace {

constexpr int64_t kLongest = 1024;  // events that a past reaches back: the overlaps are of its square

// The positions of each item's events, and the user of each event.
struct Places {
  std::vector<int64_t> begin, events;
  std::vector<int32_t> users;

  Places(const Rows& rows, int64_t n_users, int64_t n_items)
      : begin(static_cast<size_t>(n_items + 1), 0),
        events(static_cast<size_t>(rows.indptr[n_users])),
        users(static_cast<size_t>(rows.indptr[n_users])) {
    const int64_t n = rows.indptr[n_users];
    for (int64_t e = 0; e < n; ++e) ++begin[static_cast<size_t>(rows.indices[e]) + 1];
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    std::vector<int64_t> next(begin.begin(), begin.end() - 1);
    for (int64_t e = 0; e < n; ++e) events[static_cast<size_t>(next[static_cast<size_t>(rows.indices[e])]++)] = e;
    for (int64_t user = 0; user < n_users; ++user)
      for (int64_t e = rows.indptr[user]; e < rows.indptr[user + 1]; ++e)
        users[static_cast<size_t>(e)] = static_cast<int32_t>(user);
  }
};

constexpr char kDoc[] = R"(What comes before what: the Gram matrix of the pasts of events, and their transitions.

The past s of an event holds, for each item, the sum of memory[k] over the user's earlier events of the item, k being
the number of events in between. With e the item of the event as an indicator,

    G = sum_events s s'        T = sum_events s e'

Parameters:
    indptr (int64 array (n_users + 1,)): Where the events of each user begin.
    items (int32 array (n_events,)): The item of each event, each user's oldest first.
    memory (float32 array (length,)): What an event counts when it is the last, the last but one, ...; 1 to 1024 long.
    n_items (int): More than every item.
    k (int, default 0): How many entries a row of T' may have; 0: any number. The ones with the largest T_ij^2 / G_ii,
        of equal ones the lower items.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    tuple: G below its diagonal as compressed rows, (int64 array (n_items + 1,), int32 array, float32 array); its
        diagonal, float32 (n_items,); and T', whose row j holds what came before j, as compressed rows too.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: An indptr does not rise from 0 to the number of entries, memory is empty, too long or not finite, or k < 0.
    IndexError: An item is out of range.)";

nb::tuple event_grams(const Array& indptr, const Array& items, const Array& memory, int64_t n_items, int64_t k,
                      int n_threads) {
  const int64_t n_users = rows_of(indptr), length = static_cast<int64_t>(memory.size());
  if (n_items < 1 || n_items > INT32_MAX) throw nb::value_error("n_items must be between 1 and 2^31 - 1");
  const Rows rows = checked_matrix(indptr, items, {}, n_users, n_items);
  const float* weights = checked<float>(memory, "memory", {length});
  if (length < 1 || length > kLongest) throw nb::value_error("memory must hold between 1 and 1024 numbers");
  check_not_negative(weights, length, "memory");
  if (k < 0) throw nb::value_error("k must be 0 (all) or more");
  const int threads = checked_threads(n_threads);
  const std::vector<float> overlaps = overlaps_of(weights, length);
  const Places places(rows, n_users, n_items);
  const EventProblem p{
      n_users, n_items,         rows.indptr[n_users], rows.indptr,          rows.indices,       weights,
      length,  overlaps.data(), places.begin.data(),  places.events.data(), places.users.data()};
  const Owned<float> diagonal(n_items);
  const nb::tuple below = sparse_rows(n_items, n_items, threads, [&](int64_t item, SparseRow& own, SparseEntries& to) {
    fill_past_row(p, item, own, to, diagonal.data + item);
  });
  const nb::tuple before = sparse_rows(n_items, n_items, threads, [&](int64_t item, SparseRow& own, SparseEntries& to) {
    fill_before_row(p, item, k == 0 ? n_items : k, diagonal.data, own, to);
  });
  return nb::make_tuple(below, diagonal.array({n_items}), before);
}

}  // namespace

void add_events(nb::module_& m) {
  m.def("event_grams", &event_grams, "indptr"_a, "items"_a, "memory"_a, nb::kw_only(), "n_items"_a, "k"_a = 0,
        "n_threads"_a = 0, kDoc);
}

}  // namespace palate
