// The kernels of ordered ratings (Albert & Chib, JASA 1993). Compiled once for each instruction set, like rows.cpp.
#include "latent.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>

namespace palate {
namespace PALATE_LEVEL {

void truncated(const Latents& latents, int64_t first, int64_t last);
void count_steps(const Counting& counting, int64_t first, int64_t last, int64_t* counts);
void step_curve(const Curve& curve, int64_t first, int64_t last);

namespace {

#include "lanes.hpp"

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
inline Floats scaled_tail(Floats y) {
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
inline Floats quantile(Floats S, Floats base) {
  const Floats r = sqrt_lanes(base * base - 2.0f * log_lanes(S));
  const Floats above = 2.515517f + r * (0.802853f + r * 0.010328f);
  const Floats below = 1.0f + r * (1.432788f + r * (0.189269f + r * 0.001308f));
  const Floats y = above / below - r;
  const Floats E = scaled_tail(-y);
  const Floats off = 0.5f * (base - y) * (base + y) + log_lanes(E / S);  // log Phi(y) - log Phi(wanted)
  return y - off * E * 2.50662827463f;                                   // Phi / phi = E sqrt(2 pi)
}

// x ~ Normal(0, 1) in (a, b), which lies to the left: a < b, a + b <= 0. By inverse CDF from u in (0, 1]:
//
//   Phi(x) = Phi(a) + u (Phi(b) - Phi(a))
//
// everything in units of e^(-base^2 / 2), base = min(b, 0), with Phi(-y) = e^(-y^2 / 2) E(y): no tail is too far.
inline Floats draw_left(Floats a, Floats b, Floats u) {
  const Floats end = greatest(b, Floats{} - kFarthest);
  const Floats base = least(end, Floats{});
  const Floats start = greatest(a, base - kReach);
  const Floats E = scaled_tail(choose(end < 0.0f, -end, end));
  const Floats above = exp_lanes(end * end * -0.5f) * E;  // where b > 0: 1 - Phi(b)
  const Floats to = choose(end > 0.0f, 1.0f - above, E);
  const Floats from = exp_lanes(0.5f * (base - start) * (base + start)) * scaled_tail(-start);
  const Floats mass = to - from;
  const Floats P = from + u * mass;
  const Ints right = (end > 0.0f) & (P > 0.5f);  // seen from the other side, where less cancels
  const Floats x = quantile(choose(right, above + (1.0f - u) * mass, P), base);
  return choose(right, -x, x);
}

// How far x lies from the nearer end of an interval so narrow that the density on it is e^(-rate t), to 1e-5:
// t = -log(1 - u (1 - e^(-rate width))) / rate, or its series where rate width is small.
inline Floats draw_narrow(Floats rate, Floats width, Floats u) {
  const Floats s = rate * width;
  const Floats series = u - 0.5f * s * u * (1.0f - u);
  const Floats whole = -log_lanes(1.0f - u * (1.0f - exp_lanes(-s))) / s;
  return width * choose(s < 0.03f, series, whole);
}

// latent ~ Normal(mean, 1) in [low, high], from random bits; the interval is mirrored where it lies to the right.
inline Floats draw(Floats any_mean, Floats low, Floats high, UInts bits) {
  const Floats mean = least(greatest(any_mean, Floats{} - kHuge), Floats{} + kHuge);
  const Floats u = (__builtin_convertvector(reinterpret_cast<Ints>(bits >> 1), Floats) + 0.5f) * 0x1p-31f;
  const Floats below = low - mean, above = high - mean;
  const Ints flip = below + above > 0.0f;
  const Floats a = choose(flip, -above, below), b = choose(flip, -below, above);
  const Floats x = draw_left(a, b, u);
  Floats latent = mean + choose(flip, -x, x);
  const Floats width = high - low;
  if (any(width < kNarrow)) {
    const Floats t = draw_narrow(-0.5f * (a + b), width, 1.0f - u);
    latent = choose(width < kNarrow, choose(flip, low + t, high - t), latent);
  }
  return least(greatest(latent, low), high);
}

}  // namespace

// Rating e takes word (e % 64) / 16 of the Philox block 16 (e / 64) + e % 16, whose counter is (block's lower half, its
// upper half, sweep, stream).
void truncated(const Latents& p, int64_t first, int64_t last) {
  float mean[kDrawn] = {}, low[kDrawn] = {}, high[kDrawn] = {}, out[kDrawn];
  for (int64_t base = first; base < last; base += kDrawn) {
    const int here = last - base < kDrawn ? static_cast<int>(last - base) : static_cast<int>(kDrawn);
    std::memcpy(mean, p.means + base, sizeof(float) * static_cast<size_t>(here));
    for (int e = 0; e < here; ++e) {
      const int32_t step = p.steps[base + e];
      low[e] = p.low[step];
      high[e] = p.high[step];
    }
    UInts words[4];
    for (int lane = 0; lane < kLanes; ++lane) {
      const auto block = static_cast<uint64_t>(base / 4 + lane);
      words[0][lane] = static_cast<uint32_t>(block);
      words[1][lane] = static_cast<uint32_t>(block >> 32);
    }
    words[2] = UInts{} + p.sweep;
    words[3] = UInts{} + p.stream;
    philox_lanes(words, static_cast<uint32_t>(p.seed), static_cast<uint32_t>(p.seed >> 32));
    for (int part = 0; part < 4; ++part) {
      const int at = part * kLanes;
      const Floats latent = draw(load(mean + at), load(low + at), load(high + at), words[part]);
      std::memcpy(out + at, &latent, sizeof latent);
    }
    std::memcpy(p.out + base, out, sizeof(float) * static_cast<size_t>(here));
  }
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
