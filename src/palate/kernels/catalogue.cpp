// The items that may be ranked, in panels, and the table of all that ranks them. Compiled once for each instruction
// set, like rows.cpp.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "ranking.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace palate {
namespace PALATE_LEVEL {

void lengths(const float* rows, int k, int n_factors, int64_t first, int64_t last, double* out);

// topn.cpp
int64_t top_scratch(const TopQuery& query, int64_t n_users);
void top(const TopQuery& query, const Seen& seen, int64_t first, int64_t last, float* scratch);
void top_of(const TopQuery& query, const Seen& seen, int64_t first, int64_t last, float* scratch);

// ranks.cpp
int64_t rank_scratch(const RankQuery& query);
void rank(const RankQuery& query, const Seen& seen, int64_t first, int64_t last, float* scratch);
void rank_of(const RankQuery& query, const Seen& seen, int64_t first, int64_t last, float* scratch);

namespace {

#include "catalogue.hpp"

// One panel of the items with these codes.
void pack_panel(const Catalogue& c, const int32_t* codes, int64_t n, float* panel) {
  for (int at = 0; at < kPanel; ++at) {
    const float* item = at < n ? c.items + static_cast<int64_t>(codes[at]) * c.k : nullptr;
    panel[at] = !item ? NAN : c.k > c.n_factors ? item[c.n_factors] : 0.0f;
    for (int f = 0; f < c.n_factors; ++f) panel[(1 + f) * kPanel + at] = item ? item[f] : 0.0f;
  }
}

void pack(const Catalogue& c, int64_t first, int64_t last) {
  for (int64_t panel = first; panel < last; ++panel)
    pack_panel(c, c.codes + panel * kPanel, c.n - panel * kPanel, c.panels + panel * panel_floats(c));
}

}  // namespace

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

extern const RankingLevel ranking_table;
const RankingLevel ranking_table = {kPanel, kTileUsers, pack,         lengths, top_scratch,
                                    top,    top_of,     rank_scratch, rank,    rank_of};

}  // namespace PALATE_LEVEL
}  // namespace palate
