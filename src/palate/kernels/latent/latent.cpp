// Draws and means of the latent variable behind ordered ratings (Albert & Chib, JASA 1993), counts of their steps, and
// the expected rating of a score. Compiled once for each level.
#include "kernels/latent/latent.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/levels/compiler.hpp"

namespace palate {
namespace PALATE_LEVEL {

DrawTruncated draw_truncated;
ExpectTruncated expect_truncated;
CountSteps count_steps;
StepCurve step_curve;

namespace {

#include "kernels/random/lanes.hpp"

constexpr float kFarthest = 1e6f;  // farther out all mass of an interval is at its nearer end, in float
constexpr float kReach = 40.0f;    // beyond this distance from the nearer end an interval has no mass
constexpr float kNarrow = 0.01f;   // draw_narrow draws from narrower intervals
constexpr float kHuge = 1e30f;     // means are clipped to this, so that nothing overflows

inline Floats choose(Ints which, Floats yes, Floats no) {
  return as_floats((bits_of(which) & bits_of(yes)) | (~bits_of(which) & bits_of(no)));
}

// Minimum and maximum; of a NaN and a bound, the NaN.
inline Floats at_most(Floats a, Floats bound) { return choose(bound < a, bound, a); }
inline Floats at_least(Floats a, Floats bound) { return choose(bound > a, bound, a); }

inline bool any(Ints which) {
  int32_t found = 0;
  for (int lane = 0; lane < kLanes; ++lane) found |= which[lane];
  return found != 0;
}

inline Floats load(const float* from) {
  Floats lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

// E(y) = e^(y^2 / 2) Phi(-y) for y >= 0, with a relative error below 3e-7 for any y: a polynomial in
// v = (4 - y) / (4 + y), fitted to minimize the largest relative error, times 4 / (4 + y).
PALATE_INLINE Floats scaled_tail(Floats y) {
  const Floats w = 4.0f / (4.0f + y);
  const Floats v = w + w - 1.0f;
  const Floats low = 0.18882128f + v * (0.151974095f + v * (0.0967844769f + v * (0.0466318242f + v * 0.0150983055f)));
  const Floats high =
      0.00187729324f + v * (-0.000868090878f + v * (-0.000389641368f + v * (3.18036637e-05f + v * 3.86367815e-05f)));
  const Floats v2 = v * v;
  return w * (low + v2 * v2 * v * high);
}

// Phi(x), with a relative error of 1e-6 in the left tail.
inline Floats normal_cdf(Floats x) {
  const Floats y = choose(x < 0.0f, -x, x);
  const Floats tail = exp_lanes(y * y * -0.5f) * scaled_tail(y);
  return choose(x < 0.0f, tail, 1.0f - tail);
}

// The y <= 0 with Phi(y) = S e^(-base^2 / 2) <= 1/2: Hastings' approximation (Abramowitz & Stegun 26.2.23, error 5e-4),
// then one Newton step on log Phi. Even in the farthest tail no terms cancel and none underflows.
PALATE_INLINE Floats quantile(Floats S, Floats base) {
  const Floats r = sqrt_lanes(base * base - 2.0f * log_lanes(S));
  const Floats above = 2.515517f + r * (0.802853f + r * 0.010328f);
  const Floats below = 1.0f + r * (1.432788f + r * (0.189269f + r * 0.001308f));
  const Floats y = above / below - r;
  const Floats E = scaled_tail(-y);
  const Floats error = 0.5f * (base - y) * (base + y) + log_lanes(E / S);  // log Phi(y) - log of the target
  return y - error * E * 2.50662827463f;                                   // Phi / phi = E sqrt(2 pi)
}

// The step of a rating relative to its mean: (a, b), mirrored where it lies to the right, so that a < b and a + b <= 0.
struct Interval {
  Floats mean, low, high, a, b;
  Ints flip;
  Floats width() const { return high - low; }
  Floats rate() const { return -0.5f * (a + b); }  // in the middle the density falls as e^(-rate t) from b
  Floats latent(Floats x) const { return clip(mean + choose(flip, -x, x)); }
  Floats from_b(Floats t) const { return clip(choose(flip, low + t, high - t)); }
  Floats clip(Floats latent) const { return at_most(at_least(latent, low), high); }
};

PALATE_INLINE Interval interval(Floats any_mean, Floats low, Floats high) {
  const Floats mean = at_most(at_least(any_mean, Floats{} - kHuge), Floats{} + kHuge);
  const Floats below = low - mean, above = high - mean;
  const Ints flip = below + above > 0.0f;
  return {mean, low, high, choose(flip, -above, below), choose(flip, -below, above), flip};
}

// The mass of a Normal in (a, b) in units of e^(-base^2 / 2), base = min(b, 0), from Phi(-y) = e^(-y^2 / 2) E(y). In
// these units nothing underflows, however far the tail.
struct Mass {
  Floats base, end;              // end = b, but no farther than kFarthest
  Floats density_a, density_b;   // phi(a), phi(b), times sqrt(2 pi)
  Floats below_a, to_b, over_b;  // Phi(a), Phi(b), and 1 - Phi(b) where b > 0
  Floats between() const { return to_b - below_a; }
};

PALATE_INLINE Mass mass_of(const Interval& step) {
  Mass m;
  m.end = at_least(step.b, Floats{} - kFarthest);
  m.base = at_most(m.end, Floats{});
  const Floats start = at_least(step.a, m.base - kReach);
  const Floats E = scaled_tail(choose(m.end < 0.0f, -m.end, m.end));
  m.density_a = exp_lanes(0.5f * (m.base - start) * (m.base + start));
  m.density_b = choose(m.end > 0.0f, exp_lanes(m.end * m.end * -0.5f), Floats{} + 1.0f);
  m.below_a = m.density_a * scaled_tail(-start);
  m.over_b = m.density_b * E;
  m.to_b = choose(m.end > 0.0f, 1.0f - m.over_b, E);
  return m;
}

// x ~ Normal(0, 1) in (a, b) by inverse CDF, from u in (0, 1]: Phi(x) = Phi(a) + u (Phi(b) - Phi(a)).
PALATE_INLINE Floats draw_wide(const Interval& step, Floats u) {
  const Mass m = mass_of(step);
  const Floats P = m.below_a + u * m.between();
  const Ints right = (m.end > 0.0f) & (P > 0.5f);  // then computed from the other side, where less cancels
  const Floats x = quantile(choose(right, m.over_b + (1.0f - u) * m.between(), P), m.base);
  return step.latent(choose(right, -x, x));
}

// The same in steps so narrow that the density is e^(-rate t) at distance t from b, up to 1e-5:
// t = -log(1 - (1 - u) (1 - e^(-rate width))) / rate, or its series where rate * width is small.
inline Floats draw_narrow(const Interval& step, Floats u) {
  const Floats s = step.rate() * step.width(), v = 1.0f - u;
  const Floats series = v - 0.5f * s * v * u;
  const Floats whole = -log_lanes(1.0f - v * (1.0f - exp_lanes(-s))) / s;
  return step.from_b(step.width() * choose(s < 0.03f, series, whole));
}

// Draws latent ~ Normal(mean, 1) in its step, from random bits.
PALATE_INLINE Floats draw(const Interval& step, UInts bits) {
  const Floats u = (to_floats(with_sign(bits >> 1)) + 0.5f) * 0x1p-31f;
  const Floats wide = draw_wide(step, u);
  const Ints narrow = step.width() < kNarrow;
  return any(narrow) ? choose(narrow, draw_narrow(step, u), wide) : wide;
}

// The mean of such draws: mean + (phi(a) - phi(b)) / (Phi(b) - Phi(a)). In narrow steps, where the density is
// e^(-rate t), it lies 1 / rate - width / (e^(rate width) - 1) from b.
PALATE_INLINE Floats expected(const Interval& step) {
  const Mass m = mass_of(step);
  const Floats wide = step.latent((m.density_a - m.density_b) / (m.between() * 2.50662827463f));
  const Ints narrow = step.width() < 5 * kNarrow;
  if (!any(narrow)) return wide;
  const Floats s = step.rate() * step.width(), e = exp_lanes(-s);
  const Floats part = choose(s < 0.1f, 0.5f - s * (1.0f / 12), 1.0f / s - e / (1.0f - e));
  return choose(narrow, step.from_b(step.width() * part), wide);
}

// The random words of kDrawn ratings from `base` on, a multiple of kDrawn: word (e % 64) / 16 of the Philox block
// 16 (e / 64) + e % 16 for rating e, whose counter is (lower half of the block's number, upper half, sweep, stream).
void draw_words(const Latents& p, int64_t base, uint32_t* words) {
  constexpr int kBlocks = static_cast<int>(kDrawn) / 4;
  for (int at = 0; at < kBlocks; at += kLanes) {
    UInts block[4];
    count_from(static_cast<uint64_t>(base / 4 + at), block[0], block[1]);
    block[2] = UInts{} + p.sweep;
    block[3] = UInts{} + p.stream;
    philox_lanes(block, static_cast<uint32_t>(p.seed), static_cast<uint32_t>(p.seed >> 32));
    for (int word = 0; word < 4; ++word) std::memcpy(words + word * kBlocks + at, &block[word], sizeof block[word]);
  }
}

// Stores compute(step, base) for each vector of ratings from `base` on, given their intervals. The last vector may have
// lanes without a rating, which are not stored.
template <typename Compute>
inline void each_vector(const Latents& p, int64_t first, int64_t last, Compute compute) {
  auto store_results = [&](int64_t base, int n) PALATE_INLINE_LAMBDA {
    float mean[kLanes] = {}, low[kLanes] = {}, high[kLanes] = {};
    std::memcpy(mean, p.means + base, sizeof(float) * static_cast<size_t>(n));
    for (int e = 0; e < n; ++e) {
      const int32_t step = p.steps[base + e];
      low[e] = p.low[step];
      high[e] = p.high[step];
    }
    const Floats out = compute(interval(load(mean), load(low), load(high)), base);
    std::memcpy(p.out + base, &out, sizeof(float) * static_cast<size_t>(n));
  };
  int64_t base = first;
  for (; base + kLanes <= last; base += kLanes) store_results(base, kLanes);  // a constant: copies without calls
  if (base < last) store_results(base, static_cast<int>(last - base));
}

}  // namespace

void draw_truncated(const Latents& p, int64_t first, int64_t last) {
  uint32_t words[kDrawn] = {};
  each_vector(p, first, last, [&](const Interval& step, int64_t base) {
    if ((base - first) % kDrawn == 0) draw_words(p, base, words);
    UInts bits;
    std::memcpy(&bits, words + (base - first) % kDrawn, sizeof bits);
    return draw(step, bits);
  });
}

void expect_truncated(const Latents& p, int64_t first, int64_t last) {
  each_vector(p, first, last, [](const Interval& step, int64_t) { return expected(step); });
}

void count_steps(const Counting& p, int64_t first, int64_t last, int64_t* counts) {
  const auto last_bin = static_cast<float>(p.n_bins - 1);
  for (int64_t e = first; e < last; ++e) {
    const float at = (p.means[e] - p.low) * p.per_bin;
    const float bin = at > 0 ? (at < last_bin ? at : last_bin) : 0.0f;  // NaN counts in the first bin
    ++counts[p.steps[e] * p.n_bins + static_cast<int32_t>(bin)];
  }
}

// out = base + sum_k gains[k] Phi((score - cuts[k]) / sqrt(1 + variance))
void step_curve(const Curve& p, int64_t first, int64_t last) {
  float score[kLanes] = {}, variance[kLanes] = {};
  for (int64_t base = first; base < last; base += kLanes) {
    const auto bytes = sizeof(float) * static_cast<size_t>(last - base < kLanes ? last - base : kLanes);
    std::memcpy(score, p.scores + base, bytes);
    if (p.variances) std::memcpy(variance, p.variances + base, bytes);
    const Floats s = load(score), per_sigma = 1.0f / sqrt_lanes(1.0f + load(variance));
    Floats total = Floats{} + p.base;
    for (int k = 0; k < p.n_cuts; ++k) total += p.gains[k] * normal_cdf((s - p.cuts[k]) * per_sigma);
    std::memcpy(p.out + base, &total, bytes);
  }
}

}  // namespace PALATE_LEVEL
}  // namespace palate
