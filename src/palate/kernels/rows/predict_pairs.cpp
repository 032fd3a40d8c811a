// Predictions of (user, item) pairs from their factors. Compiled once for each level.
#include <cstdint>
#include <cstring>

#include "kernels/levels/compiler.hpp"
#include "kernels/rows/rows.hpp"

namespace palate {
namespace PALATE_LEVEL {

PredictPairs predict_pairs;

namespace {

#include "kernels/levels/vectors.hpp"

constexpr int64_t kAhead = 8;  // rows are prefetched this many pairs ahead

}  // namespace

// out[e] = center + scale * (p . q [+ b + c]), with p, q the factors and b, c the last columns.
void predict_pairs(const float* users, const float* items, int k, bool bias, float center, float scale,
                   const int32_t* user_codes, const int32_t* item_codes, int64_t first, int64_t last, float* out) {
  const int factors = bias ? k - 1 : k;
  for (int64_t e = first; e < last; ++e) {
    if (e + kAhead < last) {
      PALATE_PREFETCH(users + static_cast<int64_t>(user_codes[e + kAhead]) * k);
      PALATE_PREFETCH(items + static_cast<int64_t>(item_codes[e + kAhead]) * k);
    }
    const float* x = users + static_cast<int64_t>(user_codes[e]) * k;
    const float* y = items + static_cast<int64_t>(item_codes[e]) * k;
    Vec dot{};
    int j = 0;
    for (; j + W <= factors; j += W) dot += load(x + j) * load(y + j);
    if (bias && j + W == k) {  // the last vector ends with the bias, not a factor
      Vec end = load(x + j);
      end[W - 1] = 0.0f;
      dot += end * load(y + j);
      j = factors;
    }
    float total = sum(dot);
    for (; j < factors; ++j) total += x[j] * y[j];
    if (bias) total += x[k - 1] + y[k - 1];
    out[e] = center + scale * total;
  }
}

}  // namespace PALATE_LEVEL
}  // namespace palate
