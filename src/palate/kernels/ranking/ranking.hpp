// Arguments of the kernels that rank a whole catalogue: top_n and rank_targets.
#pragma once
#include <cstdint>

namespace palate {

// The items that may be recommended, in panels of kPanel items side by side: their biases, then factor by factor.
struct Catalogue {
  const float* items;    // (n_items, k) factors, the bias last where there is one
  int k, n_factors;      // k = n_factors + 1 with biases, else n_factors
  const int32_t* codes;  // (n,) the item at each place; null: the items in order
  int64_t n;
  float* panels;  // (n_panels, 1 + n_factors, kPanel); the rest of the last panel scores NaN
};

// A bound on the scores of a panel and all later ones: no score of a user x exceeds |x| length + bias.
struct Reach {
  double length, bias;
};

// The items that each of some users has seen, as a hash table of codes per user. A code stands in the first free slot
// from PALATE_SLOT_OF on, continuing at the start after the end. Free slots are -1; a table that is not empty has one.
// begin null: nothing seen.
struct Seen {
  const int64_t* begin;  // (n_users + 1,)
  const int32_t* slots;
};

// Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4). A macro, since an inline function could be
// compiled for a wide machine and picked by the linker for a narrow one.
#define PALATE_SLOT_OF(code, n_slots) \
  static_cast<int64_t>((static_cast<uint64_t>(static_cast<uint32_t>(code) * 2654435769u) * (n_slots)) >> 32)

// The n best items of each user: codes and scores, (n_users, n).
struct TopQuery {
  const float* users;  // (n_users, k)
  Catalogue catalogue;
  const Reach* reach;      // (n_panels,)
  const float* scores;     // (n_users, catalogue.n) if they are given, else null
  const uint8_t* allowed;  // (catalogue.n,) with `scores`; null: all
  int64_t n;
  int32_t* codes;
  float* best;
};

// The ranks of the targets of each user among all candidates (items allowed and not seen), and the n best of these.
struct RankQuery {
  const float* users;
  Catalogue catalogue;
  const int32_t* places;          // (n_items,) the place of each item in the catalogue, or -1; null: its code
  const Reach* reach;             // as in TopQuery
  const float* scores;            // as in TopQuery
  const uint8_t* allowed;         // as in TopQuery
  int64_t n_allowed;              // number of allowed items
  const int64_t* target_indptr;   // (n_users + 1,)
  const int32_t* targets;         // (n_targets,) codes
  int64_t max_targets, max_seen;  // of one user
  int64_t* ranks;                 // (n_targets,)
  double* middles;                // (n_targets,) the mean rank of all candidates with the same score
  int32_t* n_candidates;          // (n_users,)
  int64_t n;
  int32_t* codes;  // (n_users, n)
};

// Copies panels first .. last of a catalogue.
using PackPanels = void(const Catalogue& catalogue, int64_t first, int64_t last);

// Euclidean lengths of the factors of rows first .. last; infinity where one is not finite.
using Lengths = void(const float* rows, int k, int n_factors, int64_t first, int64_t last, double* out);

// Each ranks for users first .. last; `seen` holds these users alone. The kernels named _of take scores that are given,
// query.scores, instead of factors.
using TopN = void(const TopQuery& query, const Seen& seen, int64_t first, int64_t last, float* scratch);
using TopNScratch = int64_t(const TopQuery& query, int64_t n_users);  // floats
using RankTargets = void(const RankQuery& query, const Seen& seen, int64_t first, int64_t last, float* scratch);
using RankTargetsScratch = int64_t(const RankQuery& query);  // floats

}  // namespace palate
