// The n best of the scores of one user. Included inside a level's namespace, as catalogue.hpp is, after <cmath>.
#pragma once
#include "catalogue.hpp"
#include "entries.hpp"

// Those so far.
struct Best {
  Entry* heap;
  int64_t size, n;
  const int32_t* slots;  // what he has seen
  int64_t n_slots;

  void take(float score, int32_t code) {
    const Entry entry = entry_of(score, code);
    if ((size == n && entry >= heap[0]) || holds(slots, n_slots, code)) return;
    if (size < n)
      rise(heap, size++, entry);
    else
      sink(heap, n, entry);
  }

  // No score below it is among the best; -infinity and NaN never are.
  float floor() const { return size < n ? -__FLT_MAX__ : n > 0 ? score_of(heap[0]) : NAN; }

  // Best first, and the bias of the user added. scores null: not asked for.
  void answer(float bias, int32_t* codes, float* scores) {
    unheap(heap, size);
    for (int64_t at = 0; at < n; ++at) {
      const float score = at < size ? score_of(heap[at]) + bias : -INFINITY;
      const bool there = score > -INFINITY;
      codes[at] = there ? code_of(heap[at]) : -1;
      if (scores) scores[at] = there ? score : -INFINITY;
    }
  }
};

// Offers those of n scores that come up to the floor: offer(at) takes one into the best, or not.
template <typename Offer>
void select(const float* scores, int64_t n, const Best& best, Offer offer) {
  float floor = best.floor();
  int64_t at = 0;
  for (; at + W <= n; at += W) {
    uint32_t hits = at_least(load(scores + at), broadcast(floor));
    if (!hits) continue;
    for (; hits; hits &= hits - 1) offer(at + __builtin_ctz(hits));
    floor = best.floor();
  }
  for (; at < n; ++at)
    if (scores[at] >= best.floor()) offer(at);
}
