// Ranking a whole catalogue: what the kernels of catalogue.cpp, topn.cpp and ranks.cpp are asked.
#pragma once
#include <cstdint>

namespace palate {

// The items that may be recommended, in panels of `width` side by side: their biases, then factor by factor.
struct Catalogue {
  const float* items;    // (n_items, k) factors, the bias last where there is one
  int k, n_factors;      // k = n_factors + 1 with biases, else n_factors
  const int32_t* codes;  // (n,) the item at each place
  int64_t n;
  float* panels;  // (n_panels, 1 + n_factors, width); what stands behind the last place scores NaN
};

// Of the items of this panel and of all behind it: no score of a user x is above |x| length + bias.
struct Reach {
  double length, bias;
};

// Which items some users have seen, a hash table of codes for each. A code stands in the first free slot from
// PALATE_SLOT_OF on, round the end; free slots are -1, and there is one unless there are none at all. begin null:
// nothing seen.
struct Seen {
  const int64_t* begin;  // (n_users + 1,)
  const int32_t* slots;
};

// Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4). A macro: an inline function could be compiled for
// a wide machine and picked by the linker for a narrow one.
#define PALATE_SLOT_OF(code, n_slots) \
  static_cast<int64_t>((static_cast<uint64_t>(static_cast<uint32_t>(code) * 2654435769u) * (n_slots)) >> 32)

// The n best of each user: codes and scores (n_users, n).
struct TopQuery {
  const float* users;  // (n_users, k)
  Catalogue catalogue;
  const Reach* reach;      // (n_panels,)
  const float* scores;     // (n_users, catalogue.n) where they are known already, else null
  const uint8_t* allowed;  // (catalogue.n,) with `scores`, or null: all
  int64_t n;
  int32_t* codes;
  float* best;
};

// Where the targets of each user stand among all items he may get, and the n best of these.
struct RankQuery {
  const float* users;
  Catalogue catalogue;
  const int32_t* places;            // (n_items,) the place of each item in the catalogue, -1 for none; null: its code
  const Reach* reach;               // as in TopQuery
  const float* scores;              // as in TopQuery
  const uint8_t* allowed;           // as in TopQuery
  int64_t n_allowed;                // how many items are
  const int64_t* target_indptr;     // (n_users + 1,)
  const int32_t* targets;           // (n_targets,) codes
  int64_t most_targets, most_seen;  // of one user
  int64_t* ranks;                   // (n_targets,)
  double* middles;                  // (n_targets,) the mean rank of all that score the same
  int32_t* n_candidates;            // (n_users,)
  int64_t n;
  int32_t* codes;  // (n_users, n)
};

// One table for each instruction set, as in rows.hpp. `seen` is of the users first .. last alone.
struct RankingLevel {
  int width;       // items of a panel
  int tile_users;  // users whose scores are made together
  // Panels first .. last of a catalogue.
  void (*pack)(const Catalogue& catalogue, int64_t first, int64_t last);
  // Euclidean lengths of the factors of rows first .. last; infinity where one is no number.
  void (*lengths)(const float* rows, int k, int n_factors, int64_t first, int64_t last, double* out);
  int64_t (*top_scratch)(const TopQuery& query, int64_t n_users);  // floats
  void (*top)(const TopQuery& query, const Seen& seen, int64_t first, int64_t last, float* scratch);
  void (*top_of)(const TopQuery& query, const Seen& seen, int64_t first, int64_t last, float* scratch);
  int64_t (*rank_scratch)(const RankQuery& query);  // floats
  void (*rank)(const RankQuery& query, const Seen& seen, int64_t first, int64_t last, float* scratch);
  void (*rank_of)(const RankQuery& query, const Seen& seen, int64_t first, int64_t last, float* scratch);
};

}  // namespace palate
