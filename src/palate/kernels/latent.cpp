// The kernels of ordered ratings (Albert & Chib, JASA 1993). Compiled once for each instruction set, like rows.cpp.
#include "latent.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>

namespace palate {
namespace PALATE_LEVEL {

void draw_truncated(const Latents& latents, int64_t first, int64_t last);
void expect_truncated(const Latents& latents, int64_t first, int64_t last);
void count_steps(const Counting& counting, int64_t first, int64_t last, int64_t* counts);
void step_curve(const Curve& curve, int64_t first, int64_t last);

namespace {

#include "lanes.hpp"

// Whole vectors passed between functions would go through memory.
#define PALATE_INLINE inline __attribute__((always_inline))

constexpr float kFarthest = 1e6f;  // from here on the end of the interval is all there is in float
constexpr float kReach = 40.0f;    // what lies so much farther out than the nearer end has no mass
constexpr float kNarrow = 0.01f;   // narrower intervals are drawn from by draw_narrow
constexpr float kHuge = 1e30f;     // means are taken as no larger, so that nothing overflows

inline Floats choose(Ints which, Floats yes, Floats no) {
  return as_floats((reinterpret_cast<UInts>(which) & reinterpret_cast<UInts>(yes)) |
                   (~reinterpret_cast<UInts>(which) & reinterpret_cast<UInts>(no)));
}

// Of a NaN and a bound, the NaN.
inline Floats least(Floats a, Floats bound) { return choose(bound < a, bound, a); }
inline Floats greatest(Floats a, Floats bound) { return choose(bound > a, bound, a); }

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

// E(y) = e^(y^2 / 2) Phi(-y) for y >= 0, to 3e-7 of itself however large y is: a polynomial in v = (4 - y) / (4 + y),
// fitted for the least relative error, times 4 / (4 + y).
PALATE_INLINE Floats scaled_tail(Floats y) {
  const Floats w = 4.0f / (4.0f + y);
  const Floats v = w + w - 1.0f;
  const Floats low = 0.18882128f + v * (0.151974095f + v * (0.0967844769f + v * (0.0466318242f + v * 0.0150983055f)));
  const Floats high =
      0.00187729324f + v * (-0.000868090878f + v * (-0.000389641368f + v * (3.18036637e-05f + v * 3.86367815e-05f)));
  const Floats v2 = v * v;
  return w * (low + v2 * v2 * v * high);
}

// Phi(x), of a relative accuracy of 1e-6 in the left tail.
inline Floats normal_cdf(Floats x) {
  const Floats y = choose(x < 0.0f, -x, x);
  const Floats tail = exp_lanes(y * y * -0.5f) * scaled_tail(y);
  return choose(x < 0.0f, tail, 1.0f - tail);
}

// y <= 0 with Phi(y) = S e^(-base^2 / 2) <= 1/2: Hastings' approximation (Abramowitz & Stegun 26.2.23, off by 5e-4),
// then a step of Newton on log Phi. No term cancels, and none is a small number, in the farthest tail.
PALATE_INLINE Floats quantile(Floats S, Floats base) {
  const Floats r = sqrt_lanes(base * base - 2.0f * log_lanes(S));
  const Floats above = 2.515517f + r * (0.802853f + r * 0.010328f);
  const Floats below = 1.0f + r * (1.432788f + r * (0.189269f + r * 0.001308f));
  const Floats y = above / below - r;
  const Floats E = scaled_tail(-y);
  const Floats off = 0.5f * (base - y) * (base + y) + log_lanes(E / S);  // log Phi(y) - log Phi(wanted)
  return y - off * E * 2.50662827463f;                                   // Phi / phi = E sqrt(2 pi)
}

// The step of a rating as seen from its mean, mirrored where it lies to the right: then a < b and a + b <= 0.
struct Seen {
  Floats mean, low, high, a, b;
  Ints flip;
  Floats width() const { return high - low; }
  Floats rate() const { return -0.5f * (a + b); }  // of the density in the middle: it falls as e^(-rate t) from b
  Floats latent(Floats x) const { return within(mean + choose(flip, -x, x)); }
  Floats from_b(Floats t) const { return within(choose(flip, low + t, high - t)); }
  Floats within(Floats latent) const { return least(greatest(latent, low), high); }
};

PALATE_INLINE Seen seen(Floats any_mean, Floats low, Floats high) {
  const Floats mean = least(greatest(any_mean, Floats{} - kHuge), Floats{} + kHuge);
  const Floats below = low - mean, above = high - mean;
  const Ints flip = below + above > 0.0f;
  return {mean, low, high, choose(flip, -above, below), choose(flip, -below, above), flip};
}

// What a Normal has in (a, b), in units of e^(-base^2 / 2), base = min(b, 0), with Phi(-y) = e^(-y^2 / 2) E(y): no tail
// is too far.
struct Mass {
  Floats base, end;              // end = b, but not endlessly far
  Floats density_a, density_b;   // phi(a), phi(b), times sqrt(2 pi)
  Floats below_a, to_b, over_b;  // Phi(a), Phi(b), and 1 - Phi(b) where b > 0
  Floats between() const { return to_b - below_a; }
};

PALATE_INLINE Mass mass_of(const Seen& step) {
  Mass m;
  m.end = greatest(step.b, Floats{} - kFarthest);
  m.base = least(m.end, Floats{});
  const Floats start = greatest(step.a, m.base - kReach);
  const Floats E = scaled_tail(choose(m.end < 0.0f, -m.end, m.end));
  m.density_a = exp_lanes(0.5f * (m.base - start) * (m.base + start));
  m.density_b = choose(m.end > 0.0f, exp_lanes(m.end * m.end * -0.5f), Floats{} + 1.0f);
  m.below_a = m.density_a * scaled_tail(-start);
  m.over_b = m.density_b * E;
  m.to_b = choose(m.end > 0.0f, 1.0f - m.over_b, E);
  return m;
}

// x ~ Normal(0, 1) in (a, b) by inverse CDF, from u in (0, 1]: Phi(x) = Phi(a) + u (Phi(b) - Phi(a)).
PALATE_INLINE Floats draw_wide(const Seen& step, Floats u) {
  const Mass m = mass_of(step);
  const Floats P = m.below_a + u * m.between();
  const Ints right = (m.end > 0.0f) & (P > 0.5f);  // then from the other side, where less cancels
  const Floats x = quantile(choose(right, m.over_b + (1.0f - u) * m.between(), P), m.base);
  return step.latent(choose(right, -x, x));
}

// The same in steps so narrow that the density there is e^(-rate t), t from b, to 1e-5: u = 1 where t = 0, and
// t = -log(1 - (1 - u) (1 - e^(-rate width))) / rate, or its series where rate width is small.
inline Floats draw_narrow(const Seen& step, Floats u) {
  const Floats s = step.rate() * step.width(), v = 1.0f - u;
  const Floats series = v - 0.5f * s * v * u;
  const Floats whole = -log_lanes(1.0f - v * (1.0f - exp_lanes(-s))) / s;
  return step.from_b(step.width() * choose(s < 0.03f, series, whole));
}

// latent ~ Normal(mean, 1) in its step, from random bits.
PALATE_INLINE Floats draw(const Seen& step, UInts bits) {
  const Floats u = (__builtin_convertvector(reinterpret_cast<Ints>(bits >> 1), Floats) + 0.5f) * 0x1p-31f;
  const Floats wide = draw_wide(step, u);
  const Ints narrow = step.width() < kNarrow;
  return any(narrow) ? choose(narrow, draw_narrow(step, u), wide) : wide;
}

// The mean of such draws: mean + (phi(a) - phi(b)) / (Phi(b) - Phi(a)); where the density is e^(-rate t), a distance of
// 1 / rate - width / (e^(rate width) - 1) from b.
PALATE_INLINE Floats expected(const Seen& step) {
  const Mass m = mass_of(step);
  const Floats wide = step.latent((m.density_a - m.density_b) / (m.between() * 2.50662827463f));
  const Ints narrow = step.width() < 5 * kNarrow;
  if (!any(narrow)) return wide;
  const Floats s = step.rate() * step.width(), e = exp_lanes(-s);
  const Floats part = choose(s < 0.1f, 0.5f - s * (1.0f / 12), 1.0f / s - e / (1.0f - e));
  return choose(narrow, step.from_b(step.width() * part), wide);
}

// compute(first of 64 ratings, their steps as seen from their means, in four vectors, and four vectors of answers)
template <typename Compute>
inline void each_group(const Latents& p, int64_t first, int64_t last, Compute compute) {
  float mean[kDrawn] = {}, low[kDrawn] = {}, high[kDrawn] = {};
  for (int64_t base = first; base < last; base += kDrawn) {
    const int here = last - base < kDrawn ? static_cast<int>(last - base) : static_cast<int>(kDrawn);
    const size_t bytes = sizeof(float) * static_cast<size_t>(here);
    std::memcpy(mean, p.means + base, bytes);
    for (int e = 0; e < here; ++e) {
      const int32_t step = p.steps[base + e];
      low[e] = p.low[step];
      high[e] = p.high[step];
    }
    Seen steps[4];
    Floats out[4];
    for (int part = 0; part < 4; ++part)
      steps[part] = seen(load(mean + part * kLanes), load(low + part * kLanes), load(high + part * kLanes));
    compute(base, steps, out);
    std::memcpy(p.out + base, out, bytes);
  }
}

}  // namespace

// Rating e takes word (e % 64) / 16 of the Philox block 16 (e / 64) + e % 16, whose counter is (block's lower half, its
// upper half, sweep, stream).
void draw_truncated(const Latents& p, int64_t first, int64_t last) {
  each_group(p, first, last, [&](int64_t base, const Seen* steps, Floats* out) {
    UInts words[4];
    for (int lane = 0; lane < kLanes; ++lane) {
      const auto block = static_cast<uint64_t>(base / 4 + lane);
      words[0][lane] = static_cast<uint32_t>(block);
      words[1][lane] = static_cast<uint32_t>(block >> 32);
    }
    words[2] = UInts{} + p.sweep;
    words[3] = UInts{} + p.stream;
    philox_lanes(words, static_cast<uint32_t>(p.seed), static_cast<uint32_t>(p.seed >> 32));
    for (int part = 0; part < 4; ++part) out[part] = draw(steps[part], words[part]);
  });
}

void expect_truncated(const Latents& p, int64_t first, int64_t last) {
  each_group(p, first, last, [](int64_t, const Seen* steps, Floats* out) {
    for (int part = 0; part < 4; ++part) out[part] = expected(steps[part]);
  });
}

void count_steps(const Counting& p, int64_t first, int64_t last, int64_t* counts) {
  const auto most = static_cast<float>(p.n_bins - 1);
  for (int64_t e = first; e < last; ++e) {
    const float at = (p.means[e] - p.low) * p.per_bin;
    const float bin = at > 0 ? (at < most ? at : most) : 0.0f;  // NaN falls into the first
    ++counts[p.steps[e] * p.n_bins + static_cast<int32_t>(bin)];
  }
}

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
