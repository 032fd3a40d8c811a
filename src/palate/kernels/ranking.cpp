// The kernels that rank a whole catalogue. Compiled once for each instruction set, like rows.cpp.
#include "ranking.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "rows.hpp"

namespace palate {
namespace PALATE_LEVEL {
namespace {

#include "vectors.hpp"

// Whole vectors passed between functions would go through memory.
#define PALATE_INLINE inline __attribute__((always_inline))

typedef int32_t Counts __attribute__((vector_size(W * 4)));

// A tile of scores, kTileUsers x kPanel items, stays in registers.
constexpr int kVectors = 2, kPanel = kVectors * W;
constexpr int kTileUsers = W == 16 ? 12 : 6;
constexpr int kChunk = 64 * kPanel;  // places whose scores are kept at once while targets are counted

constexpr double kOverflow = 3e38;  // from here on a sum of floats may come out as infinity

// Which lanes of a are at least b, as bits; never those of NaN.
PALATE_INLINE uint32_t at_least(Vec a, Vec b) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), _CMP_GE_OQ);
#elif defined(__AVX2__)
  return static_cast<uint32_t>(
      _mm256_movemask_ps(_mm256_cmp_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), _CMP_GE_OQ)));
#elif defined(__x86_64__)
  return static_cast<uint32_t>(_mm_movemask_ps(_mm_cmpge_ps(reinterpret_cast<__m128>(a), reinterpret_cast<__m128>(b))));
#else
  const Counts which = a >= b;
  uint32_t bits = 0;
  for (int lane = 0; lane < W; ++lane) bits |= static_cast<uint32_t>(which[lane] & 1) << lane;
  return bits;
#endif
}

// The scores of a tile of users and the items of a panel: b + sum_f p_f q_f, always in this order.
PALATE_INLINE void product(const float* users, const float* panel, int n_factors, Vec (&s)[kTileUsers][kVectors]) {
  for (int u = 0; u < kTileUsers; ++u)
    for (int v = 0; v < kVectors; ++v) s[u][v] = load(panel + v * W);
  for (int f = 0; f < n_factors; ++f) {
    panel += kPanel;
    Vec q[kVectors];
    for (int v = 0; v < kVectors; ++v) q[v] = load(panel + v * W);
    for (int u = 0; u < kTileUsers; ++u) {
      const Vec p = broadcast(users[u]);
      for (int v = 0; v < kVectors; ++v) s[u][v] += p * q[v];
    }
    users += kTileUsers;
  }
}

// One panel of the items with these codes.
void pack_panel(const Catalogue& c, const int32_t* codes, int64_t n, float* panel) {
  for (int at = 0; at < kPanel; ++at) {
    const float* item = at < n ? c.items + static_cast<int64_t>(codes[at]) * c.k : nullptr;
    panel[at] = !item ? NAN : c.k > c.n_factors ? item[c.n_factors] : 0.0f;
    for (int f = 0; f < c.n_factors; ++f) panel[(1 + f) * kPanel + at] = item ? item[f] : 0.0f;
  }
}

inline int64_t panel_floats(const Catalogue& c) { return static_cast<int64_t>(1 + c.n_factors) * kPanel; }

// Users as the columns of a tile, zeros where there are fewer.
void pack_tile(const float* users, const Catalogue& c, int64_t n, float* tile) {
  for (int u = 0; u < kTileUsers; ++u)
    for (int f = 0; f < c.n_factors; ++f) tile[f * kTileUsers + u] = u < n ? users[u * c.k + f] : 0.0f;
}

// ---- selection

bool holds(const int32_t* slots, int64_t n_slots, int32_t code) {
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
void rise(Entry* heap, int64_t at, Entry entry) {
  for (; at > 0 && before(heap[(at - 1) / 2], entry); at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
  heap[at] = entry;
}

void sink(Entry* heap, int64_t end, Entry entry) {
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
void unheap(Entry* heap, int64_t n) {
  for (int64_t end = n; end-- > 0;) {
    const Entry worst = heap[0];
    sink(heap, end, heap[end]);
    heap[end] = worst;
  }
}

// The n best so far of one user.
struct Best {
  Entry* heap;
  int64_t size, n;
  const int32_t* slots;  // what he has seen
  int64_t n_slots;

  void take(float score, int32_t code) {
    const Entry entry{score, code};
    if ((size == n && !before(entry, heap[0])) || holds(slots, n_slots, code)) return;
    if (size < n)
      rise(heap, size++, entry);
    else
      sink(heap, n, entry);
  }

  // No score below it is among the best; -infinity and NaN never are.
  float floor() const { return size == n ? heap[0].score : -__FLT_MAX__; }

  // Best first, and the bias of the user added.
  void answer(float bias, int32_t* codes, float* best) {
    unheap(heap, size);
    for (int64_t at = 0; at < n; ++at) {
      const float score = at < size ? heap[at].score + bias : -INFINITY;
      const bool there = score > -INFINITY;
      codes[at] = there ? heap[at].code : -1;
      best[at] = there ? score : -INFINITY;
    }
  }
};

void begin_best(Best* best, const TopQuery& query, const Seen& seen, int64_t n_users, Entry* heaps) {
  for (int64_t u = 0; u < n_users; ++u) {
    const int64_t begin = seen.begin ? seen.begin[u] : 0, end = seen.begin ? seen.begin[u + 1] : 0;
    best[u] = {heaps + u * query.n, 0, query.n, seen.slots + begin, end - begin};
  }
}

// A tile of users on the way through the catalogue.
struct Tile {
  const float* users;
  float* floors;    // (kTileUsers,) NaN where there is nobody
  double* lengths;  // (kTileUsers,)
  Best* best;
};

// Whether an item of this panel or a later one can still score as much as a user's floor: NaN where there is nobody.
inline bool reaches(double length, const Reach& reach, float floor) {
  const double bound = length * reach.length + reach.bias;
  const bool below = bound < static_cast<double>(floor) && bound < kOverflow;
  return !below && floor == floor;
}

inline bool any_reaches(const double* lengths, const Reach& reach, const float* floors) {
  bool any = false;
  for (int u = 0; u < kTileUsers; ++u) any |= reaches(lengths[u], reach, floors[u]);
  return any;
}

// The lanes of a tile of scores that come up to the floor of their user, into his best.
void take_tile(const Tile& tile, const Vec (&s)[kTileUsers][kVectors], const int32_t* codes) {
  for (int u = 0; u < kTileUsers; ++u)
    for (int v = 0; v < kVectors; ++v) {
      uint32_t hits = at_least(s[u][v], broadcast(tile.floors[u]));
      if (!hits) continue;
      float scores[W];
      store(scores, s[u][v]);
      for (; hits; hits &= hits - 1) {
        const int lane = __builtin_ctz(hits);
        tile.best[u].take(scores[lane], codes[v * W + lane]);
      }
      tile.floors[u] = tile.best[u].floor();
    }
}

void visit(const Tile& tile, const float* panel, int n_factors, const int32_t* codes) {
  Vec s[kTileUsers][kVectors];
  product(tile.users, panel, n_factors, s);
  uint32_t hits = 0;
  for (int u = 0; u < kTileUsers; ++u)
    for (int v = 0; v < kVectors; ++v) hits |= at_least(s[u][v], broadcast(tile.floors[u]));
  if (hits) take_tile(tile, s, codes);
}

inline int64_t n_tiles(int64_t n_users) { return (n_users + kTileUsers - 1) / kTileUsers; }

// Memory of one thread, handed out piece by piece at cache lines.
struct Arena {
  float* next;
  template <typename T>
  T* take(int64_t n) {
    T* piece = reinterpret_cast<T*>(next);
    next += floats<T>(n);
    return piece;
  }
  template <typename T>
  static int64_t floats(int64_t n) {
    return (n * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 16;
  }
};

int64_t top_scratch(const TopQuery& query, int64_t n_users) {
  const int64_t tiles = n_tiles(n_users), rows = tiles * kTileUsers;
  return Arena::floats<Best>(rows) + Arena::floats<Entry>(rows * query.n) + Arena::floats<Tile>(tiles) +
         tiles * (Arena::floats<float>(kTileUsers) + Arena::floats<double>(kTileUsers) +
                  Arena::floats<float>(static_cast<int64_t>(kTileUsers) * query.catalogue.n_factors));
}

void pack(const Catalogue& c, int64_t first, int64_t last) {
  for (int64_t panel = first; panel < last; ++panel)
    pack_panel(c, c.codes + panel * kPanel, c.n - panel * kPanel, c.panels + panel * panel_floats(c));
}

void lengths(const float* rows, int k, int n_factors, int64_t first, int64_t last, double* out) {
  for (int64_t row = first; row < last; ++row) {
    double squares[4] = {};
    for (int f = 0; f < n_factors; ++f) {
      const double x = static_cast<double>(rows[row * k + f]);
      squares[f % 4] += x * x;
    }
    const double square = (squares[0] + squares[1]) + (squares[2] + squares[3]);
    out[row] = square < INFINITY ? std::sqrt(square) : INFINITY;
  }
}

// A panel of items stays in L1 while all tiles of users pass; a tile that nothing can better any more passes no more.
void top(const TopQuery& query, const Seen& seen, int64_t first, int64_t last, float* scratch) {
  const Catalogue& c = query.catalogue;
  const int64_t n_users = last - first, stride = panel_floats(c);
  int64_t tiles = n_tiles(n_users);
  Arena arena{scratch};
  Best* best = arena.take<Best>(tiles * kTileUsers);
  begin_best(best, query, seen, n_users, arena.take<Entry>(tiles * kTileUsers * query.n));
  Tile* tile = arena.take<Tile>(tiles);
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t row = first + t * kTileUsers;
    float* packed = arena.take<float>(static_cast<int64_t>(kTileUsers) * c.n_factors);
    tile[t] = {packed, arena.take<float>(kTileUsers), arena.take<double>(kTileUsers), best + t * kTileUsers};
    pack_tile(query.users + row * c.k, c, last - row, packed);
    for (int u = 0; u < kTileUsers; ++u)
      tile[t].floors[u] = row + u < last ? -__FLT_MAX__ : NAN, tile[t].lengths[u] = 0;
    lengths(query.users + row * c.k, c.k, c.n_factors, 0, last - row < kTileUsers ? last - row : kTileUsers,
            tile[t].lengths);
  }
  for (int64_t panel = 0; panel * kPanel < c.n && tiles > 0; ++panel)
    for (int64_t t = 0; t < tiles;) {
      if (!any_reaches(tile[t].lengths, query.reach[panel], tile[t].floors)) {
        tile[t] = tile[--tiles];
        continue;
      }
      visit(tile[t++], c.panels + panel * stride, c.n_factors, c.codes + panel * kPanel);
    }
  for (int64_t u = 0; u < n_users; ++u) {
    const float bias = c.k > c.n_factors ? query.users[(first + u) * c.k + c.n_factors] : 0.0f;
    best[u].answer(bias, query.codes + (first + u) * query.n, query.best + (first + u) * query.n);
  }
}

// The same of scores that are there already.
void select(const float* scores, int64_t n, const uint8_t* allowed, Best& best) {
  auto offer = [&](int64_t code) {
    if (!allowed || allowed[code]) best.take(scores[code], static_cast<int32_t>(code));
  };
  float floor = best.floor();
  int64_t code = 0;
  for (; code + W <= n; code += W) {
    uint32_t hits = at_least(load(scores + code), broadcast(floor));
    if (!hits) continue;
    for (; hits; hits &= hits - 1) offer(code + __builtin_ctz(hits));
    floor = best.floor();
  }
  for (; code < n; ++code)
    if (scores[code] >= best.floor()) offer(code);
}

void top_of(const TopQuery& query, const Seen& seen, int64_t first, int64_t last, float* scratch) {
  const int64_t n_users = last - first, n = query.catalogue.n;
  Arena arena{scratch};
  Best* best = arena.take<Best>(n_users);
  begin_best(best, query, seen, n_users, arena.take<Entry>(n_users * query.n));
  for (int64_t u = 0; u < n_users; ++u) {
    const int64_t row = first + u;
    select(query.scores + row * n, n, query.allowed, best[u]);
    best[u].answer(0.0f, query.codes + row * query.n, query.best + row * query.n);
  }
}

// ---- counting

// How many lanes of a are above b, and at least b, each added to its own count.
PALATE_INLINE void count(Vec a, Vec b, Counts& above, Counts& from) {
#if defined(__AVX512F__)
  const __m512 x = reinterpret_cast<__m512>(a), y = reinterpret_cast<__m512>(b);
  const __m512i one = _mm512_set1_epi32(1), m = reinterpret_cast<__m512i>(above), n = reinterpret_cast<__m512i>(from);
  above = reinterpret_cast<Counts>(_mm512_mask_add_epi32(m, _mm512_cmp_ps_mask(x, y, _CMP_GT_OQ), m, one));
  from = reinterpret_cast<Counts>(_mm512_mask_add_epi32(n, _mm512_cmp_ps_mask(x, y, _CMP_GE_OQ), n, one));
#else
  above -= a > b;
  from -= a >= b;
#endif
}

inline int64_t total(Counts lanes) {
  int64_t sum = 0;
  for (int lane = 0; lane < W; ++lane) sum += lanes[lane];
  return sum;
}

constexpr int kTogether = 4;  // targets counted in one pass

// A target of a user, and what has been counted of the candidates so far.
struct Target {
  float score;
  int32_t code, place;
  int64_t at;                    // where it stands among all targets
  int64_t above, level, before;  // score greater; equal, itself included; equal and of a lower code
};

// `n` places of the catalogue from `first` on, with the scores of one user; what he may not get is NaN.
struct Stretch {
  const float* scores;  // whole vectors, NaN behind
  int64_t first, n;
  const RankQuery* query;
  const int32_t* slots;
  int64_t n_slots;

  int32_t code(int64_t at) const {
    return query->catalogue.codes ? query->catalogue.codes[first + at] : static_cast<int32_t>(first + at);
  }

  bool candidate(int64_t at) const {
    return !(query->allowed && !query->allowed[first + at]) && !holds(slots, n_slots, code(at));
  }

  // How many candidates below a code score the same; NaN is the same as NaN.
  int64_t level_with(float score, int64_t below) const {
    int64_t found = 0;
    for (int64_t at = 0; at < n; ++at)
      found += (score == score ? scores[at] == score : scores[at] != scores[at] && candidate(at)) && code(at) < below;
    return found;
  }

  void count_level(Target& target, int64_t level) const {
    const bool alone = level == 1 && target.place >= first && target.place < first + n;
    target.level += level;
    if (level > 0 && !alone) target.before += level_with(target.score, target.code);
  }
};

// How many scores are above each of m <= kTogether targets, and how many at least as high.
void count_group(const float* scores, int64_t n, const Target* targets, int m, int64_t* above, int64_t* from) {
  Vec score[kTogether];
  Counts more[kTogether] = {}, least[kTogether] = {};
  for (int j = 0; j < kTogether; ++j) score[j] = broadcast(targets[j < m ? j : 0].score);
  for (int64_t at = 0; at < n; at += W) {
    const Vec s = load(scores + at);
    for (int j = 0; j < kTogether; ++j) count(s, score[j], more[j], least[j]);
  }
  for (int j = 0; j < kTogether; ++j) above[j] = total(more[j]), from[j] = total(least[j]);
}

void pad(float* scores, int64_t n) {
  for (int64_t at = n; at % W != 0; ++at) scores[at] = NAN;
}

// The scores that are at least `least`, moved together, into `to`, which may be `scores`; how many.
int64_t keep(const float* scores, int64_t n, float least, float* to) {
  int64_t kept = 0;
  for (int64_t at = 0; at < n; at += W) {
    const Vec s = load(scores + at);
    uint32_t hits = at_least(s, broadcast(least));
#if defined(__AVX512F__)
    const __m512 front = _mm512_maskz_compress_ps(static_cast<__mmask16>(hits), reinterpret_cast<__m512>(s));
    store(to + kept, reinterpret_cast<Vec>(front));
    kept += __builtin_popcount(hits);
#else
    float lanes[W];
    store(lanes, s);
    for (; hits; hits &= hits - 1) to[kept++] = lanes[__builtin_ctz(hits)];
#endif
  }
  pad(to, kept);
  return kept;
}

// A few targets at a time, the lowest first; then only scores that the others do not all surpass are looked at.
void count_targets(const Stretch& here, Target* targets, int64_t n_targets, float* kept) {
  const float* scores = here.scores;
  int64_t n = here.n;
  for (int64_t t = 0; t < n_targets; t += kTogether) {
    const int m = n_targets - t < kTogether ? static_cast<int>(n_targets - t) : kTogether;
    int64_t above[kTogether], from[kTogether];
    count_group(scores, n, targets + t, m, above, from);
    for (int j = 0; j < m; ++j) {
      Target& target = targets[t + j];
      target.above += above[j];
      here.count_level(target,
                       target.score == target.score ? from[j] - above[j] : here.level_with(target.score, INT64_MAX));
    }
    if (t + m == n_targets || 2 * from[m - 1] > n) continue;
    n = keep(scores, n, targets[t + m].score, kept);
    scores = kept;
  }
}

// The place of an item in the catalogue, -1 where it is none of it.
inline int32_t place_of(const RankQuery& query, int32_t code) {
  const int32_t place = query.places ? query.places[code] : code;
  return place >= 0 && query.allowed && !query.allowed[place] ? -1 : place;
}

// The places of the items a user has seen; returns how many.
int64_t seen_places(const RankQuery& query, const int32_t* slots, int64_t n_slots, int32_t* places) {
  int64_t n = 0;
  for (int64_t at = 0; at < n_slots; ++at) {
    places[n] = slots[at] < 0 ? -1 : place_of(query, slots[at]);
    n += places[n] >= 0;
  }
  return n;
}

void mask(float* scores, int64_t first, int64_t n, const int32_t* places, int64_t n_places) {
  for (int64_t i = 0; i < n_places; ++i)
    if (places[i] >= first && places[i] < first + n) scores[places[i] - first] = NAN;
}

// Everything about one user of a tile.
struct Counted {
  Target* targets;  // by rising score, NaN last
  int64_t n_targets;
  int32_t* seen;  // places
  int64_t n_seen;
  const int32_t* slots;
  int64_t n_slots;
};

// The targets of a user that he may get, in the order in which they are counted. scores: of all his targets; order: as
// many entries.
void sort_targets(const RankQuery& query, int64_t user, const float* scores, Entry* order, Counted& who) {
  const int64_t begin = query.target_indptr[user], n = query.target_indptr[user + 1] - begin;
  int64_t numbers = 0, rest = n;
  for (int64_t t = 0; t < n; ++t) {
    const int32_t code = query.targets[begin + t];
    query.ranks[begin + t] = query.ties[begin + t] = 0;
    if (place_of(query, code) < 0 || holds(who.slots, who.n_slots, code)) continue;
    const Entry entry{-scores[t], static_cast<int32_t>(t)};
    if (scores[t] == scores[t])
      rise(order, numbers++, entry);
    else
      order[--rest] = entry;
  }
  unheap(order, numbers);
  who.n_targets = numbers + n - rest;
  for (int64_t i = 0; i < who.n_targets; ++i) {
    const int32_t t = order[i < numbers ? i : rest + i - numbers].code, code = query.targets[begin + t];
    who.targets[i] = {scores[t], code, place_of(query, code), begin + t, 0, 0, 0};
  }
}

// Below it no score counts; NaN where there are no targets.
float lowest(const Counted& who) {
  if (who.n_targets == 0) return NAN;
  const float last = who.targets[who.n_targets - 1].score;
  return last == last ? who.targets[0].score : -INFINITY;
}

void end_targets(const RankQuery& query, int64_t user, const Counted& who) {
  const int64_t candidates = query.n_allowed - who.n_seen;
  query.n_candidates[user] = static_cast<int32_t>(candidates);
  for (int64_t i = 0; i < who.n_targets; ++i) {
    const Target& target = who.targets[i];
    const int64_t above = target.score == target.score ? target.above : candidates - target.level;
    query.ranks[target.at] = 1 + above + target.before;
    query.ties[target.at] = static_cast<int32_t>(target.level - 1);
  }
}

void count_stretch(const RankQuery& query, Counted& who, float* scores, int64_t first, int64_t n, float* kept) {
  pad(scores, n);
  mask(scores, first, n, who.seen, who.n_seen);
  count_targets({scores, first, n, &query, who.slots, who.n_slots}, who.targets, who.n_targets, kept);
}

// a b + c, rounded as the lanes of product() are.
inline float multiplied(float a, float b, float c) {
#if defined(__FMA__) || defined(__FP_FAST_FMAF) || defined(__aarch64__)
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

// The scores of n items for one user, each the same sum in the same order as in a tile.
void score_items(const Catalogue& c, const float* user, const int32_t* codes, int64_t n, float* scores) {
  constexpr int kSums = 4;  // that do not wait for each other
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

// Memory of one thread.
struct Counter {
  float *rows, *kept;  // (kTileUsers, kChunk) and (kChunk,)
  float* tile;
  float* scores;  // of the targets of one user
  Entry* order;
  float floors[kTileUsers];    // the lowest target of each user
  double lengths[kTileUsers];  // of their factors
  Counted who[kTileUsers];

  Counter(const RankQuery& query, float* scratch) {
    Arena arena{scratch};
    rows = arena.take<float>(static_cast<int64_t>(kTileUsers) * kChunk);
    kept = arena.take<float>(kChunk + W);
    tile = arena.take<float>(static_cast<int64_t>(kTileUsers) * query.catalogue.n_factors);
    scores = arena.take<float>(query.most_targets);
    order = arena.take<Entry>(query.most_targets);
    for (Counted& one : who) {
      one.targets = arena.take<Target>(query.most_targets);
      one.seen = arena.take<int32_t>(query.most_seen + 1);
    }
  }
};

int64_t rank_scratch(const RankQuery& query) {
  return Arena::floats<float>(static_cast<int64_t>(kTileUsers) * kChunk) + Arena::floats<float>(kChunk + W) +
         Arena::floats<float>(static_cast<int64_t>(kTileUsers) * query.catalogue.n_factors) +
         Arena::floats<float>(query.most_targets) + Arena::floats<Entry>(query.most_targets) +
         kTileUsers * (Arena::floats<Target>(query.most_targets) + Arena::floats<int32_t>(query.most_seen + 1));
}

// at: the place of the user in `seen`.
void begin_counting(const RankQuery& query, const Seen& seen, int64_t at, Counted& who) {
  who.slots = seen.begin ? seen.slots + seen.begin[at] : nullptr;
  who.n_slots = seen.begin ? seen.begin[at + 1] - seen.begin[at] : 0;
  who.n_seen = seen_places(query, who.slots, who.n_slots, who.seen);
}

// Scores of a tile of users and the places first .. last, as long as one of them can reach somebody's lowest target.
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

// The targets of user u of a tile.
void begin_user(const RankQuery& query, const Seen& seen, int64_t user, int64_t at, int u, Counter& memory) {
  const int64_t begin = query.target_indptr[user], n = query.target_indptr[user + 1] - begin;
  const Catalogue& c = query.catalogue;
  begin_counting(query, seen, at, memory.who[u]);
  score_items(c, query.users + user * c.k, query.targets + begin, n, memory.scores);
  sort_targets(query, user, memory.scores, memory.order, memory.who[u]);
  memory.floors[u] = lowest(memory.who[u]);
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
    for (int u = 0; u < n_users; ++u)
      if (reaches(memory.lengths[u], query.reach[place / kPanel], memory.floors[u]))
        count_stretch(query, memory.who[u], memory.rows + u * kChunk, place, n, memory.kept);
  }
  for (int u = 0; u < n_users; ++u) end_targets(query, first + u, memory.who[u]);
}

void rank(const RankQuery& query, const Seen& seen, int64_t first, int64_t last, float* scratch) {
  Counter memory(query, scratch);
  for (int64_t user = first; user < last; user += kTileUsers)
    rank_tile(query, seen, user, static_cast<int>(last - user < kTileUsers ? last - user : kTileUsers), user - first,
              memory);
}

void copy_allowed(const float* scores, const uint8_t* allowed, int64_t n, float* to) {
  for (int64_t at = 0; at < n; ++at) to[at] = !allowed || allowed[at] ? scores[at] : NAN;
}

void rank_row(const RankQuery& query, const Seen& seen, int64_t user, int64_t at, Counter& memory) {
  const int64_t n_items = query.catalogue.n;
  Counted& who = memory.who[0];
  begin_counting(query, seen, at, who);
  const float* scores = query.scores + user * n_items;
  const int32_t* codes = query.targets + query.target_indptr[user];
  for (int64_t t = 0; t < query.target_indptr[user + 1] - query.target_indptr[user]; ++t)
    memory.scores[t] = scores[codes[t]];
  sort_targets(query, user, memory.scores, memory.order, who);
  for (int64_t place = 0; place < n_items; place += kChunk) {
    const int64_t n = n_items - place < kChunk ? n_items - place : kChunk;
    copy_allowed(scores + place, query.allowed ? query.allowed + place : nullptr, n, memory.rows);
    count_stretch(query, who, memory.rows, place, n, memory.kept);
  }
  end_targets(query, user, who);
}

// The same of scores that are there already.
void rank_of(const RankQuery& query, const Seen& seen, int64_t first, int64_t last, float* scratch) {
  Counter memory(query, scratch);
  for (int64_t user = first; user < last; ++user) rank_row(query, seen, user, user - first, memory);
}

}  // namespace

extern const RankingLevel ranking_table;
const RankingLevel ranking_table = {kPanel, kTileUsers, pack,         lengths, top_scratch,
                                    top,    top_of,     rank_scratch, rank,    rank_of};

}  // namespace PALATE_LEVEL
}  // namespace palate
