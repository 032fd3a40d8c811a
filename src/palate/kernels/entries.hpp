// The best of many scores: heaps of entries, and who is to be left out. Included inside a level's namespace.
#pragma once

inline bool holds(const int32_t* slots, int64_t n_slots, int32_t code) {
  if (n_slots == 0) return false;
  int64_t at = PALATE_SLOT_OF(code, static_cast<uint64_t>(n_slots));
  while (slots[at] != code && slots[at] != -1) at = at + 1 < n_slots ? at + 1 : 0;
  return slots[at] == code;
}

struct Entry {
  float score;
  int32_t code;
};

inline bool before(Entry a, Entry b) { return a.score > b.score || (a.score == b.score && a.code < b.code); }

// Heaps with the worst entry on top.
inline void rise(Entry* heap, int64_t at, Entry entry) {
  for (; at > 0 && before(heap[(at - 1) / 2], entry); at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
  heap[at] = entry;
}

inline void sink(Entry* heap, int64_t end, Entry entry) {
  int64_t at = 0;
  for (int64_t below = 1; below < end; below = 2 * at + 1) {
    if (below + 1 < end && before(heap[below], heap[below + 1])) ++below;
    if (!before(entry, heap[below])) break;
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
