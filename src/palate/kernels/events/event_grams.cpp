// The gram of pasts and their transitions, an item at a time: from each of its events, the events around it are
// visited. Compiled once for all levels: the loops wait for memory, not for arithmetic.
#include <algorithm>

#include "kernels/events/events.hpp"

namespace palate {
namespace {

// Visits the pairs of the item's events with others of their users, at most length - 1 events apart, and each event
// with itself: visit(the other's item, how much both count in later pasts, summed).
template <typename Visit>
void for_pairs(const EventProblem& p, int64_t item, Visit visit) {
  for (int64_t e = p.item_begin[item]; e < p.item_begin[item + 1]; ++e) {
    const int64_t at = p.events[e], first = p.indptr[p.users[at]], end = p.indptr[p.users[at] + 1];
    const auto both = [&](int64_t other, int64_t apart, int64_t later) {
      const int64_t m = std::min(end - 1 - later, p.length - apart);  // events that have both in their past
      if (m > 0) visit(p.items[other], p.overlaps[apart * (p.length + 1) + m]);
    };
    for (int64_t other = std::max(first, at - p.length + 1); other < at; ++other) both(other, at - other, at);
    both(at, 0, at);
    for (int64_t other = at + 1; other < std::min(end, at + p.length); ++other) both(other, other - at, other);
  }
}

// Visits the events before those of the item: visit(the other's item, how much it counts there).
template <typename Visit>
void for_past(const EventProblem& p, int64_t item, Visit visit) {
  for (int64_t e = p.item_begin[item]; e < p.item_begin[item + 1]; ++e) {
    const int64_t at = p.events[e], first = p.indptr[p.users[at]];
    for (int64_t other = std::max(first, at - p.length); other < at; ++other)
      visit(p.items[other], p.memory[at - other - 1]);
  }
}

}  // namespace

std::vector<float> overlaps_of(const float* memory, int64_t length) {
  std::vector<float> overlaps(static_cast<size_t>(length * (length + 1)), 0.0f);
  for (int64_t d = 0; d < length; ++d) {
    double sum = 0;
    for (int64_t m = 1; m <= length - d; ++m) {
      sum += static_cast<double>(memory[m - 1]) * static_cast<double>(memory[m - 1 + d]);
      overlaps[static_cast<size_t>(d * (length + 1) + m)] = static_cast<float>(sum);
    }
  }
  return overlaps;
}

void fill_past_row(const EventProblem& p, int64_t item, SparseRow& scratch, SparseEntries& entries, float* diagonal) {
  float own = 0.0f;
  for_pairs(p, item, [&](int32_t other, float value) {
    if (other < item)
      scratch.add(other, value);
    else if (other == item)
      own += value;
  });
  *diagonal = own;
  scratch.write(item, entries);
}

void fill_before_row(const EventProblem& p, int64_t item, int64_t k, const float* diagonal, SparseRow& scratch,
                     SparseEntries& entries) {
  for_past(p, item, [&](int32_t other, float value) { scratch.add(other, value); });
  scratch.keep_best(
      k, [&](int32_t other, float value) { return diagonal[other] > 0 ? value * value / diagonal[other] : 0.0f; });
  scratch.write(p.n_items, entries);
}

}  // namespace palate
