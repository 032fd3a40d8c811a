// Vectors as wide as the registers of the level. Included inside a level's namespace, once for each level, after
// compiler.hpp, <cstdint> and <cstring>: inline functions outside could be compiled for a wide machine and picked by
// the linker for a narrow one.
#pragma once

#if defined(__AVX512F__)
constexpr int W = 16;  // floats in a vector register
#elif defined(__AVX2__)
constexpr int W = 8;
#else
constexpr int W = 4;
#endif

// ld: k rounded up to whole vectors.
inline int padded(int k) { return (k + W - 1) / W * W; }

#if PALATE_VECTORS
typedef float Vec __attribute__((vector_size(W * 4)));
typedef float Four __attribute__((vector_size(16)));
typedef float Eight __attribute__((vector_size(32)));

// A Vec among floats, where it may lie anywhere. For load and store only: a template would forget that it may.
typedef float VecAmongFloats __attribute__((vector_size(W * 4), aligned(4), may_alias));

inline Vec load(const float* from) { return *reinterpret_cast<const VecAmongFloats*>(from); }
inline void store(float* to, Vec value) { *reinterpret_cast<VecAmongFloats*>(to) = value; }
inline Vec broadcast(float value) { return value - Vec{}; }  // x - 0 is x: the compiler drops the subtraction
#else
#include "kernels/levels/plain_lanes.hpp"

typedef Lanes<float, W> Vec;
typedef Lanes<float, 4> Four;
typedef Lanes<float, 8> Eight;

PALATE_INLINE Vec load(const float* from) {
  Vec value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
PALATE_INLINE void store(float* to, const Vec& value) { std::memcpy(to, &value, sizeof value); }
PALATE_INLINE Vec broadcast(float value) { return Vec::all(value); }
#endif

// Sums of lanes are always added in this order: the upper half onto the lower half, until one number is left. Written
// with halves so that they stay in registers.
template <typename Half>
inline Half halved(const void* lanes) {
  Half low, high;
  std::memcpy(&low, lanes, sizeof(Half));
  std::memcpy(&high, static_cast<const char*>(lanes) + sizeof(Half), sizeof(Half));
  return low + high;
}

inline Four fourths(Vec v) {
  if constexpr (W == 16) {
    const Eight eight = halved<Eight>(&v);
    return halved<Four>(&eight);
  } else if constexpr (W == 8) {
    return halved<Four>(&v);
  } else {
    Four four;
    std::memcpy(&four, &v, sizeof four);
    return four;
  }
}

inline float sum(Vec v) {
  const Four four = fourths(v);
  return (four[0] + four[2]) + (four[1] + four[3]);
}

// The sums of four vectors, the lanes of each added in the same order as by sum().
inline Four sums(Vec a, Vec b, Vec c, Vec d) {
  const Four w = fourths(a), x = fourths(b), y = fourths(c), z = fourths(d);
  const Four wx = Four{w[0], x[0], w[1], x[1]} + Four{w[2], x[2], w[3], x[3]};
  const Four yz = Four{y[0], z[0], y[1], z[1]} + Four{y[2], z[2], y[3], z[3]};
  return Four{wx[0], wx[1], yz[0], yz[1]} + Four{wx[2], wx[3], yz[2], yz[3]};
}

template <int n>
struct Constant {
  static constexpr int value = n;
};

// Calls f(Constant<n>{}) for rows of n vectors, so that common widths are compiled with unrolled loops. n is 0 for any
// other width.
template <typename F>
inline auto by_width(int ld, F f) {
  switch (ld / W) {
    case 1:
      return f(Constant<1>{});
    case 2:
      return f(Constant<2>{});
    case 4:
      return f(Constant<4>{});
    default:
      return f(Constant<0>{});
  }
}
