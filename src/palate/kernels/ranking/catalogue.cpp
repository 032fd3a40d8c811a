// Packs the items that may be ranked into panels, and computes lengths of factors. Compiled once for each level.
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

PackPanels pack_panels;
Lengths lengths;

namespace {

#include "kernels/ranking/catalogue.hpp"

// Copies the items with these codes into one panel.
void pack_panel(const Catalogue& c, const int32_t* codes, int64_t n, float* panel) {
  for (int at = 0; at < kPanel; ++at) {
    const float* item = at < n ? c.items + static_cast<int64_t>(codes[at]) * c.k : nullptr;
    panel[at] = !item ? NAN : c.k > c.n_factors ? item[c.n_factors] : 0.0f;
    for (int f = 0; f < c.n_factors; ++f) panel[(1 + f) * kPanel + at] = item ? item[f] : 0.0f;
  }
}

}  // namespace

void pack_panels(const Catalogue& c, int64_t first, int64_t last) {
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

}  // namespace PALATE_LEVEL
}  // namespace palate
