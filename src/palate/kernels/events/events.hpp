// Arguments of the event kernel: what comes before what in the histories of users.
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/supports/supports.hpp"

namespace palate {

// Events of users, each user's oldest first, and how much an event counts when k + 1 events have followed: memory[k].
//
// With s the past of an event, s_i = the sum of memory over the earlier events of item i, and e the item of the event:
//
//   gram S'S = sum_events s s'        transitions S'T = sum_events s e'
struct EventProblem {
  int64_t n_users, n_items, n_events;
  const int64_t* indptr;      // (n_users + 1,)
  const int32_t* items;       // (n_events,)
  const float* memory;        // (length,)
  int64_t length;             // events that a past reaches back
  const float* overlaps;      // (length, length + 1): overlaps[d][m] = sum_{r < m} memory[r] memory[r + d]
  const int64_t* item_begin;  // (n_items + 1,)
  const int64_t* events;      // (n_events,) the positions of each item's events, rising
  const int32_t* users;       // (n_events,) the user of each event
};

// The sums overlaps of a memory, (length, length + 1).
std::vector<float> overlaps_of(const float* memory, int64_t length);

// Appends row `item` of the gram, columns before the item, and writes its diagonal.
void fill_past_row(const EventProblem& p, int64_t item, SparseRow& scratch, SparseEntries& entries, float* diagonal);

// Appends row `item` of the transposed transitions: the items that came before events of this one. Where there are more
// than k, those that came before it most, for how much they are in any past: the largest T_ij^2 / diagonal_i.
void fill_before_row(const EventProblem& p, int64_t item, int64_t k, const float* diagonal, SparseRow& scratch,
                     SparseEntries& entries);

}  // namespace palate
