// Stochastic gradient descent on the pairwise loss BPR (Rendle, Freudenthaler, Gantner & Schmidt-Thieme, UAI 2009; the
// best of several negatives: Zhang et al., SIGIR 2013; aliases: Walker 1977). Compiled once for each level.
#include "kernels/bpr/bpr.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/levels/compiler.hpp"
#include "kernels/random/philox.hpp"

namespace palate {
namespace PALATE_LEVEL {

DescendPairs descend_pairs;

namespace {

#include "kernels/levels/vectors.hpp"

constexpr int kTries = 15;              // extra draws, to replace candidates that the user has
constexpr uint32_t kStream = 0x427072;  // the last word of the counter, used by no other kernel
constexpr float kFar = 80.0f;           // larger margins are clipped to it, so that exp stays finite
constexpr double kFull = 1e200;         // a product that exceeds it is added to the loss as its logarithm

// A random word as a number in [0, 1).
inline double share(uint32_t word) { return word * 0x1p-32; }

// The item of draw number `attempt` for the positive at e; -1 if its block is empty.
inline int32_t draw(const Pairs& d, int64_t e, int32_t own, int32_t other, uint32_t attempt) {
  const Philox4 random = philox4x32({{static_cast<uint32_t>(e), d.epoch, attempt, kStream}},
                                    static_cast<uint32_t>(d.seed), static_cast<uint32_t>(d.seed >> 32));
  const int32_t block = share(random.word[0]) < d.own[own] ? own : other;
  const uint64_t n = d.blocks[block + 1] - d.blocks[block];
  if (n == 0) return -1;
  const int64_t at = d.blocks[block] + static_cast<int64_t>(random.word[1] * n >> 32);
  return d.accept && share(random.word[2]) >= d.accept[at] ? d.alias[at] : d.block_items[at];
}

// True if the user has the item: a binary search without branches to mispredict.
inline bool has_item(const Pairs& d, int32_t user, int32_t item) {
  const int32_t* from = d.indices + d.indptr[user];
  int64_t n = d.indptr[user + 1] - d.indptr[user];
  if (n == 0) return false;
  while (n > 1) {
    const int64_t half = n / 2;
    from += from[half] <= item ? half : 0;
    n -= half;
  }
  return *from == item;
}

template <int NV>
inline float product(const float* x, const float* z, int width) {
  const int ld = NV ? NV * W : width;
  Vec xz{};
  PALATE_UNROLL(4)
  for (int j = 0; j < ld; j += W) xz += load(x + j) * load(z + j);
  return sum(xz);
}

// The negative for the positive at e: of n_candidates items that the user does not have, the one with the highest
// score. -1 if none was found.
template <int NV>
inline int32_t negative_of(const Pairs& d, int64_t e, int32_t own, int32_t other) {
  const int32_t user = d.user_codes[e];
  const float* x = d.users + int64_t{user} * d.ld;
  int32_t best = -1;
  float best_score = 0;
  const int tries = d.n_candidates + kTries;
  for (int attempt = 0, found = 0; attempt < tries && found < d.n_candidates; ++attempt) {
    const int32_t item = draw(d, e, own, other, static_cast<uint32_t>(attempt));
    if (item < 0 || has_item(d, user, item)) continue;
    ++found;
    const float score = d.n_candidates == 1 ? 0 : product<NV>(x, d.items + int64_t{item} * d.ld, d.ld);
    if (best >= 0 && !(score > best_score)) continue;
    best = item;
    best_score = score;
  }
  return best;
}

// Takes one step for user x, positive i and negative j. Returns exp(-margin), margin = x . (i - j).
template <int NV>
inline float step(float* x, float* i, float* j, int width, float lr, float decay) {
  const int ld = NV ? NV * W : width;
  Vec products{};
  PALATE_UNROLL(4)
  for (int at = 0; at < ld; at += W) products += load(x + at) * (load(i + at) - load(j + at));
  const float margin = sum(products);
  const float odds = std::exp(margin < -kFar ? kFar : margin > kFar ? -kFar : -margin);
  const float pull = lr * (odds / (1.0f + odds)), keep = 1.0f - 2.0f * lr * decay;
  const float one = x[ld - 1];
  PALATE_UNROLL(4)
  for (int at = 0; at < ld; at += W) {
    const Vec p = load(x + at), q = load(i + at), r = load(j + at);
    store(x + at, keep * p + pull * (q - r));
    store(i + at, keep * q + pull * p);
    store(j + at, keep * r - pull * p);
  }
  x[ld - 1] = one;
  return odds;
}

template <int NV>
PairSum descend_width(const Pairs& d, const PairCells& cells, float lr) {
  const int64_t n0 = cells.last[0] - cells.first[0], n1 = cells.last[1] - cells.first[1];
  PairSum sum{0, 0};
  double odds = 1;
  for (int64_t done0 = 0, done1 = 0; done0 + done1 < n0 + n1;) {
    // Alternate between the two cells so that both end together.
    const int from = done1 == n1 || (done0 < n0 && done0 * n1 <= done1 * n0) ? 0 : 1;
    const int64_t e = cells.first[from] + (from == 0 ? done0++ : done1++);
    const int32_t j = negative_of<NV>(d, e, cells.block[from], cells.block[1 - from]);
    if (j < 0) continue;
    float* const x = d.users + int64_t{d.user_codes[e]} * d.ld;
    odds *= 1.0 + step<NV>(x, d.items + int64_t{d.item_codes[e]} * d.ld, d.items + int64_t{j} * d.ld, d.ld, lr,
                           d.weight_decay);
    ++sum.steps;
    if (odds < kFull) continue;  // NaN goes on, into the sum
    sum.loss += std::log(odds);
    odds = 1;
  }
  sum.loss += std::log(odds);
  return sum;
}

}  // namespace

// One step for each positive i of two cells, with a negative j that its user does not have, against the gradient of
//
//   -ln sigmoid(x_ui - x_uj) + weight_decay (|p_u|^2 + |q_i|^2 + b_i^2 + |q_j|^2 + b_j^2),   x_ui = p_u . q_i + b_i.
//
// The negative comes from the positive's own block of items with probability own[block], otherwise from the block of
// the other cell. Random numbers are a function of (seed, epoch, position, attempt). A positive without a negative is
// skipped.
PairSum descend_pairs(const Pairs& d, const PairCells& cells, float lr) {
  return by_width(d.ld, [&](auto width) { return descend_width<decltype(width)::value>(d, cells, lr); });
}

}  // namespace PALATE_LEVEL
}  // namespace palate
