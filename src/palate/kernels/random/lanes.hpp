// Numbers side by side, as many as a register of the level holds: random words (Philox) and ln, sqrt, exp without calls
// to the library. Included inside a level's namespace, once for each level.
//
// Not more than a register holds: GCC compares the lanes of wider vectors one by one.
#pragma once

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
typedef uint32_t UInts __attribute__((vector_size(kLanes * 4)));
typedef int32_t Ints __attribute__((vector_size(kLanes * 4)));
typedef float Floats __attribute__((vector_size(kLanes * 4)));

inline Floats as_floats(UInts bits) { return reinterpret_cast<Floats>(bits); }

// The upper and the lower halves of the products a b. The loop is compiled to multiplications of 32 by 32 bits; those
// of whole vectors of 64 bits take three of them.
inline void multiply_words(UInts a, uint32_t b, UInts& high, UInts& low) {
  uint32_t from[kLanes], upper[kLanes], lower[kLanes];
  std::memcpy(from, &a, sizeof from);
  for (int lane = 0; lane < kLanes; ++lane) {
    const uint64_t product = uint64_t{from[lane]} * b;
    upper[lane] = static_cast<uint32_t>(product >> 32);
    lower[lane] = static_cast<uint32_t>(product);
  }
  std::memcpy(&high, upper, sizeof high);
  std::memcpy(&low, lower, sizeof low);
}

// The numbers first .. first + kLanes: their lower and their upper halves.
inline void count_from(uint64_t first, UInts& lower, UInts& upper) {
  uint32_t low[kLanes], high[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) {
    low[lane] = static_cast<uint32_t>(first + static_cast<uint64_t>(lane));
    high[lane] = static_cast<uint32_t>((first + static_cast<uint64_t>(lane)) >> 32);
  }
  std::memcpy(&lower, low, sizeof lower);
  std::memcpy(&upper, high, sizeof upper);
}

// Philox4x32-10 in every lane; philox.hpp says what it is.
inline void philox_lanes(UInts c[4], uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    UInts high0, low0, high1, low1;
    multiply_words(c[0], 0xD2511F53, high0, low0);
    multiply_words(c[2], 0xCD9E8D57, high1, low1);
    c[0] = high1 ^ c[1] ^ key0;
    c[2] = high0 ^ c[3] ^ key1;
    c[1] = low1;
    c[3] = low0;
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
}

// ln(u) for u in (0, 1): u = m 2^e with m near 1, ln m = 2 artanh(s), s = (m - 1) / (m + 1), |s| < 0.18.
inline Floats log_lanes(Floats u) {
  const UInts bits = reinterpret_cast<UInts>(u);
  const Ints exponent = reinterpret_cast<Ints>((bits - 0x3F3504F3u)) >> 23;  // 0x3F3504F3 is sqrt(1/2)
  const Floats m = as_floats(bits - (reinterpret_cast<UInts>(exponent) << 23));
  const Floats s = (m - 1.0f) / (m + 1.0f);
  const Floats s2 = s * s;
  const Floats series = 1.0f + s2 * (1.0f / 3 + s2 * (1.0f / 5 + s2 * (1.0f / 7 + s2 * (1.0f / 9))));
  return 2.0f * s * series + __builtin_convertvector(exponent, Floats) * 0.69314718056f;
}

inline Floats sqrt_lanes(Floats v) {
  Floats root;
  for (int lane = 0; lane < kLanes; ++lane) root[lane] = __builtin_sqrtf(v[lane]);
  return root;
}

// e^v for v <= 0, and 0 where that is below the smallest float: v = n ln 2 + f, |f| < 0.35, e^f by its Taylor series.
inline Floats exp_lanes(Floats v) {
  const Floats lowest = Floats{} - 87.0f;
  const UInts there = reinterpret_cast<UInts>(v > lowest);
  const Floats x = as_floats((there & reinterpret_cast<UInts>(v)) | (~there & reinterpret_cast<UInts>(lowest)));
  const Ints n = __builtin_convertvector(x * 1.44269504089f - 0.5f, Ints);  // rounds to the nearest, as x <= 0
  const Floats whole = __builtin_convertvector(n, Floats);
  const Floats f = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;  // ln 2 in two parts
  const Floats later = 1.0f / 24 + f * (1.0f / 120 + f * (1.0f / 720 + f * (1.0f / 5040)));
  const Floats series = 1.0f + f * (1.0f + f * (1.0f / 2 + f * (1.0f / 6 + f * later)));
  const Floats power = as_floats(reinterpret_cast<UInts>(n + 127) << 23);
  return as_floats(there & reinterpret_cast<UInts>(series * power));
}
