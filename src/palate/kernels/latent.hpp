// Ordered ratings: what the kernels of the latent variable behind them are asked.
#pragma once
#include <cstdint>

namespace palate {

constexpr int kMaxSteps = 256;
constexpr int64_t kDrawn = 64;  // ratings drawn together: the four words of sixteen Philox blocks

// The step of each rating, as bytes or as 32-bit integers; the other pointer is null.
struct Steps {
  const uint8_t* bytes;   // (n,)
  const int32_t* longer;  // (n,)
  int32_t operator[](int64_t e) const { return bytes ? bytes[e] : longer[e]; }
};

// latent = mean + N(0, 1) given its step; the mathematics stands above `draw` in latent.cpp.
struct Latents {
  const float* means;  // (n,)
  Steps steps;
  const float* low;   // (n_steps,) the least latent of each step: the float after the cut below it
  const float* high;  // (n_steps,) the greatest: the cut above it
  uint64_t seed;
  uint32_t sweep, stream;
  float* out;  // (n,)
};

// counts[k, b]: ratings of step k whose mean lies in [low + b width, low + (b + 1) width); the end bins take the rest.
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

}  // namespace palate
