// The ranks of given items (targets) among all candidates of a user. Compiled once for each level.
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/levels/compiler.hpp"
#include "kernels/ranking/ranking.hpp"

#if PALATE_INTRINSICS
#include <immintrin.h>
#endif

namespace palate {
namespace PALATE_LEVEL {

RankTargetsScratch rank_targets_scratch;
RankTargets rank_targets, rank_targets_of;
Lengths lengths;  // ranking/catalogue.cpp

namespace {

#include "kernels/ranking/count_targets.hpp"
#include "kernels/ranking/top_n_tie_rule.hpp"

constexpr int kChunk = 64 * kPanel;  // places whose scores are kept at once for counting

// The place of an item in the catalogue; -1 if it is not allowed.
inline int32_t place_of(const RankQuery& query, int32_t code) {
  const int32_t place = query.places ? query.places[code] : code;
  return place >= 0 && query.allowed && !query.allowed[place] ? -1 : place;
}

// The places of the items a user has seen. Returns how many are in the catalogue.
int64_t seen_places(const RankQuery& query, const int32_t* slots, int64_t n_slots, int32_t* places) {
  int64_t n = 0;
  for (int64_t at = 0; at < n_slots; ++at) {
    places[n] = slots[at] < 0 ? -1 : place_of(query, slots[at]);
    n += places[n] >= 0;
  }
  return n;
}

// Sets the scores of these places to NaN.
void mask(float* scores, int64_t first, int64_t n, const int32_t* places, int64_t n_places) {
  for (int64_t i = 0; i < n_places; ++i)
    if (places[i] >= first && places[i] < first + n) scores[places[i] - first] = NAN;
}

// The state of one user of a tile.
struct UserState {
  Target* targets;  // by rising score, NaN last
  int64_t n_targets;
  int32_t* seen;  // places
  int64_t n_seen;
  const int32_t* slots;
  int64_t n_slots;
  Best best;  // of scores that are NaN for seen items
};

// Sets the targets of a user that are candidates, in the order in which they are counted. scores: of all targets of the
// user; order: scratch for as many entries.
void sort_targets(const RankQuery& query, int64_t user, const float* scores, Entry* order, UserState& state) {
  const int64_t begin = query.target_indptr[user], n = query.target_indptr[user + 1] - begin;
  int64_t numbers = 0, rest = n;
  for (int64_t t = 0; t < n; ++t) {
    const int32_t code = query.targets[begin + t];
    query.ranks[begin + t] = 0, query.middles[begin + t] = 0;
    if (place_of(query, code) < 0 || holds(state.slots, state.n_slots, code)) continue;
    const Entry entry = entry_of(-scores[t], static_cast<int32_t>(t));
    if (scores[t] == scores[t])
      rise(order, numbers++, entry);
    else
      order[--rest] = entry;
  }
  unheap(order, numbers);
  state.n_targets = numbers + n - rest;
  for (int64_t i = 0; i < state.n_targets; ++i) {
    const int32_t t = code_of(order[i < numbers ? i : rest + i - numbers]), code = query.targets[begin + t];
    state.targets[i] = {scores[t], code, place_of(query, code), begin + t, 0, 0, 0};
  }
}

// Scores below it change nothing; NaN if none can.
float lowest(const UserState& state) {
  const float floor = state.best.floor();
  if (state.n_targets == 0) return floor;
  const float first = state.targets[0].score, last = state.targets[state.n_targets - 1].score;
  if (last != last) return -INFINITY;
  return floor < first ? floor : first;
}

void end_user(const RankQuery& query, int64_t user, float bias, UserState& state) {
  state.best.answer(bias, query.codes + user * query.n, nullptr);
  const int64_t candidates = query.n_allowed - state.n_seen;
  query.n_candidates[user] = static_cast<int32_t>(candidates);
  for (int64_t i = 0; i < state.n_targets; ++i) {
    const Target& target = state.targets[i];
    const int64_t above = target.score == target.score ? target.above : candidates - target.level;
    query.ranks[target.at] = 1 + above + target.before;
    query.middles[target.at] = static_cast<double>(1 + above) + static_cast<double>(target.level - 1) / 2;
  }
}

void count_stretch(const RankQuery& query, UserState& state, float* scores, int64_t first, int64_t n, float* kept) {
  pad(scores, n);
  mask(scores, first, n, state.seen, state.n_seen);
  const Stretch here{scores, first, n, &query, state.slots, state.n_slots};
  select(scores, n, state.best, [&](int64_t at) { state.best.take(scores[at], here.code(at)); });
  count_targets(here, state.targets, state.n_targets, kept);
}

// The scores of n items for one user, each added in the same order as in a tile.
void score_items(const Catalogue& c, const float* user, const int32_t* codes, int64_t n, float* scores) {
  constexpr int kSums = 4;  // at once: they do not wait for each other
  for (int64_t t = 0; t < n; t += kSums) {
    const float* item[kSums];
    float sum[kSums];
    for (int j = 0; j < kSums; ++j) {
      item[j] = c.items + static_cast<int64_t>(codes[t + j < n ? t + j : t]) * c.k;
      sum[j] = c.k > c.n_factors ? item[j][c.n_factors] : 0.0f;
    }
    for (int f = 0; f < c.n_factors; ++f)
      for (int j = 0; j < kSums; ++j) sum[j] = multiplied(user[f], item[j][f], sum[j]);
    for (int j = 0; j < kSums && t + j < n; ++j) scores[t + j] = sum[j];
  }
}

// Scratch of one thread.
struct Counter {
  float *rows, *kept;  // (kTileUsers, kChunk) and (kChunk,)
  float* tile;
  float* scores;  // of the targets of one user
  Entry* order;
  float floors[kTileUsers];    // the lowest target of each user
  double lengths[kTileUsers];  // of their factors
  UserState states[kTileUsers];

  Counter(const RankQuery& query, float* scratch) {
    Arena arena{scratch};
    rows = arena.take<float>(static_cast<int64_t>(kTileUsers) * kChunk);
    kept = arena.take<float>(kChunk + W);
    tile = arena.take<float>(static_cast<int64_t>(kTileUsers) * query.catalogue.n_factors);
    scores = arena.take<float>(query.max_targets);
    order = arena.take<Entry>(query.max_targets);
    for (UserState& one : states) {
      one.targets = arena.take<Target>(query.max_targets);
      one.seen = arena.take<int32_t>(query.max_seen + 1);
      one.best = {arena.take<Entry>(query.n), 0, query.n, nullptr, 0};
    }
  }
};

// Starts counting for a user; at: the position of the user in `seen`.
void begin_counting(const RankQuery& query, const Seen& seen, int64_t at, UserState& state) {
  state.slots = seen.begin ? seen.slots + seen.begin[at] : nullptr;
  state.n_slots = seen.begin ? seen.begin[at + 1] - seen.begin[at] : 0;
  state.n_seen = seen_places(query, state.slots, state.n_slots, state.seen);
  state.best.size = 0;
}

// Computes the scores of a tile of users at places first .. last, as long as one can reach the lowest target of a user.
// Returns the number of places done.
int64_t score_chunk(const RankQuery& query, int64_t first, int64_t last, const Counter& memory) {
  const Catalogue& c = query.catalogue;
  for (int64_t place = first; place < last; place += kPanel) {
    if (!any_reaches(memory.lengths, query.reach[place / kPanel], memory.floors)) return place - first;
    Vec s[kTileUsers][kVectors];
    product(memory.tile, c.panels + place / kPanel * panel_floats(c), c.n_factors, s);
    for (int u = 0; u < kTileUsers; ++u)
      for (int v = 0; v < kVectors; ++v) store(memory.rows + u * kChunk + place - first + v * W, s[u][v]);
  }
  return last - first;
}

// Starts user u of a tile.
void begin_user(const RankQuery& query, const Seen& seen, int64_t user, int64_t at, int u, Counter& memory) {
  const int64_t begin = query.target_indptr[user], n = query.target_indptr[user + 1] - begin;
  const Catalogue& c = query.catalogue;
  begin_counting(query, seen, at, memory.states[u]);
  score_items(c, query.users + user * c.k, query.targets + begin, n, memory.scores);
  sort_targets(query, user, memory.scores, memory.order, memory.states[u]);
  memory.floors[u] = lowest(memory.states[u]);
}

void rank_tile(const RankQuery& query, const Seen& seen, int64_t first, int n_users, int64_t at, Counter& memory) {
  const Catalogue& c = query.catalogue;
  pack_tile(query.users + first * c.k, c, n_users, memory.tile);
  for (int u = 0; u < kTileUsers; ++u) memory.floors[u] = NAN, memory.lengths[u] = 0;
  lengths(query.users + first * c.k, c.k, c.n_factors, 0, n_users, memory.lengths);
  for (int u = 0; u < n_users; ++u) begin_user(query, seen, first + u, at + u, u, memory);
  for (int64_t place = 0; place < c.n; place += kChunk) {
    const int64_t n = score_chunk(query, place, c.n - place < kChunk ? c.n : place + kChunk, memory);
    if (n == 0) break;
    for (int u = 0; u < n_users; ++u) {
      if (!reaches(memory.lengths[u], query.reach[place / kPanel], memory.floors[u])) continue;
      count_stretch(query, memory.states[u], memory.rows + u * kChunk, place, n, memory.kept);
      memory.floors[u] = lowest(memory.states[u]);
    }
  }
  for (int u = 0; u < n_users; ++u) {
    const int64_t user = first + u;
    end_user(query, user, c.k > c.n_factors ? query.users[user * c.k + c.n_factors] : 0.0f, memory.states[u]);
  }
}

void copy_allowed(const float* scores, const uint8_t* allowed, int64_t n, float* to) {
  for (int64_t at = 0; at < n; ++at) to[at] = !allowed || allowed[at] ? scores[at] : NAN;
}

void rank_row(const RankQuery& query, const Seen& seen, int64_t user, int64_t at, Counter& memory) {
  const int64_t n_items = query.catalogue.n;
  UserState& state = memory.states[0];
  begin_counting(query, seen, at, state);
  const float* scores = query.scores + user * n_items;
  const int32_t* codes = query.targets + query.target_indptr[user];
  for (int64_t t = 0; t < query.target_indptr[user + 1] - query.target_indptr[user]; ++t)
    memory.scores[t] = scores[codes[t]];
  sort_targets(query, user, memory.scores, memory.order, state);
  for (int64_t place = 0; place < n_items; place += kChunk) {
    const int64_t n = n_items - place < kChunk ? n_items - place : kChunk;
    copy_allowed(scores + place, query.allowed ? query.allowed + place : nullptr, n, memory.rows);
    count_stretch(query, state, memory.rows, place, n, memory.kept);
  }
  end_user(query, user, 0.0f, state);
}

}  // namespace

int64_t rank_targets_scratch(const RankQuery& query) {
  return Arena::floats<float>(static_cast<int64_t>(kTileUsers) * kChunk) + Arena::floats<float>(kChunk + W) +
         Arena::floats<float>(static_cast<int64_t>(kTileUsers) * query.catalogue.n_factors) +
         Arena::floats<float>(query.max_targets) + Arena::floats<Entry>(query.max_targets) +
         kTileUsers * (Arena::floats<Target>(query.max_targets) + Arena::floats<int32_t>(query.max_seen + 1) +
                       Arena::floats<Entry>(query.n));
}

void rank_targets(const RankQuery& query, const Seen& seen, int64_t first, int64_t last, float* scratch) {
  Counter memory(query, scratch);
  for (int64_t user = first; user < last; user += kTileUsers)
    rank_tile(query, seen, user, static_cast<int>(last - user < kTileUsers ? last - user : kTileUsers), user - first,
              memory);
}

// The same for given scores.
void rank_targets_of(const RankQuery& query, const Seen& seen, int64_t first, int64_t last, float* scratch) {
  Counter memory(query, scratch);
  for (int64_t user = first; user < last; ++user) rank_row(query, seen, user, user - first, memory);
}

}  // namespace PALATE_LEVEL
}  // namespace palate
