// The best of many scores: heaps of entries, and who is to be left out. Included inside a level's namespace, after
// <cstdint> and <cstring>.
#pragma once

inline bool holds(const int32_t* slots, int64_t n_slots, int32_t code) {
  if (n_slots == 0) return false;
  int64_t at = PALATE_SLOT_OF(code, static_cast<uint64_t>(n_slots));
  while (slots[at] != code && slots[at] != -1) at = at + 1 < n_slots ? at + 1 : 0;
  return slots[at] == code;
}

// A score that is a number, and a code >= 0, in one number: the greater score is less, of equal scores the lower code.
typedef uint64_t Entry;

inline Entry entry_of(float score, int32_t code) {
  const float number = score + 0.0f;  // there is one zero
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

// A heap becomes a list, the best first.
inline void unheap(Entry* heap, int64_t n) {
  for (int64_t end = n; end-- > 0;) {
    const Entry worst = heap[0];
    sink(heap, end, heap[end]);
    heap[end] = worst;
  }
}
