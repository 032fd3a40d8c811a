// The order of the ranked items, and the n best so far. The greater score comes first; of equal scores the lower code.
// Included inside a level's namespace, once for each level, after what catalogue.hpp needs.
#pragma once
#include "kernels/ranking/catalogue.hpp"

// The tie rule as one integer, made of a score (not NaN) and a code >= 0: what is ranked first is less.
typedef uint64_t Entry;

inline Entry entry_of(float score, int32_t code) {
  const float number = score + 0.0f;  // -0 becomes 0: they are equal scores
  uint32_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  const uint32_t falling = bits >> 31 ? bits : ~bits ^ (1u << 31);
  return static_cast<Entry>(falling) << 32 | static_cast<uint32_t>(code);
}

inline int32_t code_of(Entry entry) { return static_cast<int32_t>(entry & 0xffffffffu); }

inline float score_of(Entry entry) {
  const auto falling = static_cast<uint32_t>(entry >> 32);
  const uint32_t bits = falling >> 31 ? falling : ~falling ^ (1u << 31);
  float score;
  std::memcpy(&score, &bits, sizeof score);
  return score;
}

// Heaps with the worst entry on top.
inline void rise(Entry* heap, int64_t at, Entry entry) {
  for (; at > 0 && heap[(at - 1) / 2] < entry; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
  heap[at] = entry;
}

inline void sink(Entry* heap, int64_t end, Entry entry) {
  int64_t at = 0;
  for (int64_t below = 1; below < end; below = 2 * at + 1) {
    if (below + 1 < end) below += heap[below] < heap[below + 1];
    if (heap[below] <= entry) break;
    heap[at] = heap[below];
    at = below;
  }
  heap[at] = entry;
}

// Turns a heap into a list, the best first.
inline void unheap(Entry* heap, int64_t n) {
  for (int64_t end = n; end-- > 0;) {
    const Entry worst = heap[0];
    sink(heap, end, heap[end]);
    heap[end] = worst;
  }
}

// The n best items of one user so far.
struct Best {
  Entry* heap;
  int64_t size, n;
  const int32_t* slots;  // the items the user has seen
  int64_t n_slots;

  void take(float score, int32_t code) {
    const Entry entry = entry_of(score, code);
    if ((size == n && entry >= heap[0]) || holds(slots, n_slots, code)) return;
    if (size < n)
      rise(heap, size++, entry);
    else
      sink(heap, n, entry);
  }

  // No score below it can be among the best; -infinity and NaN never are.
  float floor() const { return size < n ? -FLT_MAX : n > 0 ? score_of(heap[0]) : NAN; }

  // Writes the best first, with the bias of the user added. scores may be null.
  void answer(float bias, int32_t* codes, float* scores) {
    unheap(heap, size);
    for (int64_t at = 0; at < n; ++at) {
      const float score = at < size ? score_of(heap[at]) + bias : -INFINITY;
      const bool valid = score > -INFINITY;
      codes[at] = valid ? code_of(heap[at]) : -1;
      if (scores) scores[at] = valid ? score : -INFINITY;
    }
  }
};

// Calls offer(at) for those of n scores that are at least the floor of `best`; offer decides whether to take it.
template <typename Offer>
void select(const float* scores, int64_t n, const Best& best, Offer offer) {
  float floor = best.floor();
  int64_t at = 0;
  for (; at + W <= n; at += W) {
    uint32_t hits = at_least(load(scores + at), broadcast(floor));
    if (!hits) continue;
    for (; hits; hits &= hits - 1) offer(at + first_lane(hits));
    floor = best.floor();
  }
  for (; at < n; ++at)
    if (scores[at] >= best.floor()) offer(at);
}
