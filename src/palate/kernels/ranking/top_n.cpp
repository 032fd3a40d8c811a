// The n best items of each user. Compiled once for each level.
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

TopNScratch top_n_scratch;
TopN top_n, top_n_of;
Lengths lengths;  // ranking/catalogue.cpp

namespace {

#include "kernels/ranking/top_n_tie_rule.hpp"

void begin_best(Best* best, const TopQuery& query, const Seen& seen, int64_t n_users, Entry* heaps) {
  for (int64_t u = 0; u < n_users; ++u) {
    const int64_t begin = seen.begin ? seen.begin[u] : 0, end = seen.begin ? seen.begin[u + 1] : 0;
    best[u] = {heaps + u * query.n, 0, query.n, seen.slots + begin, end - begin};
  }
}

// A tile of users on its way through the catalogue.
struct Tile {
  const float* users;
  float* floors;    // (kTileUsers,) NaN where the tile has no user
  double* lengths;  // (kTileUsers,)
  Best* best;
};

// Takes the scores of a tile that reach the floor of their user into the best of that user.
void take_tile(const Tile& tile, const Vec (&s)[kTileUsers][kVectors], const int32_t* codes) {
  for (int u = 0; u < kTileUsers; ++u)
    for (int v = 0; v < kVectors; ++v) {
      uint32_t hits = at_least(s[u][v], broadcast(tile.floors[u]));
      if (!hits) continue;
      float scores[W];
      store(scores, s[u][v]);
      for (; hits; hits &= hits - 1) {
        const int lane = first_lane(hits);
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

// Takes the best of the given scores of one user.
void take_row(const float* scores, int64_t n, const uint8_t* allowed, Best& best) {
  select(scores, n, best, [&](int64_t code) {
    if (!allowed || allowed[code]) best.take(scores[code], static_cast<int32_t>(code));
  });
}

}  // namespace

int64_t top_n_scratch(const TopQuery& query, int64_t n_users) {
  const int64_t tiles = n_tiles(n_users), rows = tiles * kTileUsers;
  return Arena::floats<Best>(rows) + Arena::floats<Entry>(rows * query.n) + Arena::floats<Tile>(tiles) +
         tiles * (Arena::floats<float>(kTileUsers) + Arena::floats<double>(kTileUsers) +
                  Arena::floats<float>(static_cast<int64_t>(kTileUsers) * query.catalogue.n_factors));
}

// A panel of items stays in L1 while all tiles of users visit it. A tile whose lists no later item can change drops
// out.
void top_n(const TopQuery& query, const Seen& seen, int64_t first, int64_t last, float* scratch) {
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
    for (int u = 0; u < kTileUsers; ++u) tile[t].floors[u] = row + u < last ? -FLT_MAX : NAN, tile[t].lengths[u] = 0;
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

// The same for given scores.
void top_n_of(const TopQuery& query, const Seen& seen, int64_t first, int64_t last, float* scratch) {
  const int64_t n_users = last - first, n = query.catalogue.n;
  Arena arena{scratch};
  Best* best = arena.take<Best>(n_users);
  begin_best(best, query, seen, n_users, arena.take<Entry>(n_users * query.n));
  for (int64_t u = 0; u < n_users; ++u) {
    const int64_t row = first + u;
    take_row(query.scores + row * n, n, query.allowed, best[u]);
    best[u].answer(0.0f, query.codes + row * query.n, query.best + row * query.n);
  }
}

}  // namespace PALATE_LEVEL
}  // namespace palate
