// Numbers side by side, as many as a register of the level holds: random words (Philox) and ln, sqrt, exp without calls
// to the library. Included inside a level's namespace, once for each level, after compiler.hpp, <cmath>, <cstdint> and
// <cstring>.
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

#if PALATE_VECTORS
typedef uint32_t UInts __attribute__((vector_size(kLanes * 4)));
typedef int32_t Ints __attribute__((vector_size(kLanes * 4)));
typedef float Floats __attribute__((vector_size(kLanes * 4)));

// The bits of the lanes, read as floats, as numbers without a sign, and as numbers with one.
PALATE_INLINE Floats as_floats(UInts bits) { return reinterpret_cast<Floats>(bits); }
PALATE_INLINE UInts bits_of(Floats numbers) { return reinterpret_cast<UInts>(numbers); }
PALATE_INLINE UInts bits_of(Ints numbers) { return reinterpret_cast<UInts>(numbers); }
PALATE_INLINE Ints with_sign(UInts bits) { return reinterpret_cast<Ints>(bits); }

// The numbers of the lanes as another type; to_integers() drops what is behind the point.
PALATE_INLINE Floats to_floats(Ints numbers) { return __builtin_convertvector(numbers, Floats); }
PALATE_INLINE Ints to_integers(Floats numbers) { return __builtin_convertvector(numbers, Ints); }
#else
#include "kernels/levels/plain_lanes.hpp"

typedef Lanes<uint32_t, kLanes> UInts;
typedef Lanes<int32_t, kLanes> Ints;
typedef Lanes<float, kLanes> Floats;

PALATE_INLINE Floats as_floats(const UInts& bits) { return same_bytes<Floats>(bits); }
PALATE_INLINE UInts bits_of(const Floats& numbers) { return same_bytes<UInts>(numbers); }
PALATE_INLINE UInts bits_of(const Ints& numbers) { return same_bytes<UInts>(numbers); }
PALATE_INLINE Ints with_sign(const UInts& bits) { return same_bytes<Ints>(bits); }
PALATE_INLINE Floats to_floats(const Ints& numbers) { return converted<Floats>(numbers); }
PALATE_INLINE Ints to_integers(const Floats& numbers) { return converted<Ints>(numbers); }
#endif

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
  const UInts bits = bits_of(u);
  const Ints exponent = with_sign(bits - 0x3F3504F3u) >> 23;  // 0x3F3504F3 is sqrt(1/2)
  const Floats m = as_floats(bits - (bits_of(exponent) << 23));
  const Floats s = (m - 1.0f) / (m + 1.0f);
  const Floats s2 = s * s;
  const Floats series = 1.0f + s2 * (1.0f / 3 + s2 * (1.0f / 5 + s2 * (1.0f / 7 + s2 * (1.0f / 9))));
  return 2.0f * s * series + to_floats(exponent) * 0.69314718056f;
}

inline Floats sqrt_lanes(Floats v) {
  Floats root;
  for (int lane = 0; lane < kLanes; ++lane) root[lane] = std::sqrt(v[lane]);
  return root;
}

// e^v for v <= 0, and 0 where that is below the smallest float: v = n ln 2 + f, |f| < 0.35, e^f by its Taylor series.
inline Floats exp_lanes(Floats v) {
  const Floats lowest = Floats{} - 87.0f;
  const UInts there = bits_of(v > lowest);
  const Floats x = as_floats((there & bits_of(v)) | (~there & bits_of(lowest)));
  const Ints n = to_integers(x * 1.44269504089f - 0.5f);  // rounds to the nearest, as x <= 0
  const Floats whole = to_floats(n);
  const Floats f = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;  // ln 2 in two parts
  const Floats later = 1.0f / 24 + f * (1.0f / 120 + f * (1.0f / 720 + f * (1.0f / 5040)));
  const Floats series = 1.0f + f * (1.0f + f * (1.0f / 2 + f * (1.0f / 6 + f * later)));
  const Floats power = as_floats(bits_of(n + 127) << 23);
  return as_floats(there & bits_of(series * power));
}
