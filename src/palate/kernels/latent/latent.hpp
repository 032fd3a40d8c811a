// Arguments of the kernels for ordered ratings: a latent Normal variable lies behind each rating.
#pragma once
#include <cstdint>

namespace palate {

constexpr int kMaxSteps = 256;
constexpr int64_t kDrawn = 64;  // ratings drawn together: they use the four words of sixteen Philox blocks

// The scale step of each rating, as bytes or as 32-bit integers; the other pointer is null.
struct Steps {
  const uint8_t* bytes;  // (n,)
  const int32_t* ints;   // (n,)
  int32_t operator[](int64_t e) const { return bytes ? bytes[e] : ints[e]; }
};

// latent ~ Normal(mean, 1) given that it lies in the step of its rating.
struct Latents {
  const float* means;  // (n,)
  Steps steps;
  const float* low;   // (n_steps,) the smallest latent of each step: the float after the cut below it
  const float* high;  // (n_steps,) the largest: the cut above it
  uint64_t seed;
  uint32_t sweep, stream;
  float* out;  // (n,)
};

// counts[k, b]: ratings of step k whose mean lies in [low + b width, low + (b + 1) width). Means outside all bins count
// in the first or the last.
struct Counting {
  const float* means;  // (n,)
  Steps steps;
  float low, per_bin;  // per_bin = 1 / width
  int64_t n_bins;
};

// out = base + sum_k gains[k] Phi((score - cuts[k]) / sqrt(1 + variance))
struct Curve {
  const float* scores;     // (n,)
  const float* variances;  // (n,) or null: 0
  const float* cuts;       // (n_cuts,)
  const float* gains;      // (n_cuts,)
  int n_cuts;
  float base;
  float* out;  // (n,)
};

// Each works on ratings first .. last.
using DrawTruncated = void(const Latents& latents, int64_t first, int64_t last);  // first is a multiple of kDrawn
using ExpectTruncated = void(const Latents& latents, int64_t first, int64_t last);
using CountSteps = void(const Counting& counting, int64_t first, int64_t last, int64_t* counts);  // adds to counts
using StepCurve = void(const Curve& curve, int64_t first, int64_t last);

}  // namespace palate
