// A catalogue in panels: tiles of scores, bounds on scores, and their memory. Included inside a level's namespace, once
// for each level, after compiler.hpp, <cfloat>, <cmath>, <cstdint>, <cstring> and ranking.hpp, and on x86
// <immintrin.h>.
#pragma once
#include "kernels/levels/vectors.hpp"

#if PALATE_VECTORS
typedef int32_t Counts __attribute__((vector_size(W * 4)));
#else
typedef Lanes<int32_t, W> Counts;
#endif

// A tile of scores, kTileUsers users by kPanel items, stays in registers.
constexpr int kVectors = 2, kPanel = kVectors * W;
constexpr int kTileUsers = W == 16 ? 12 : 6;

constexpr double kOverflow = 3e38;  // above it a sum of floats may be infinite

// The lanes where a >= b, as bits; never those with NaN.
PALATE_INLINE uint32_t at_least(Vec a, Vec b) {
#if PALATE_INTRINSICS && defined(__AVX512F__)
  return _mm512_cmp_ps_mask(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), _CMP_GE_OQ);
#elif PALATE_INTRINSICS && defined(__AVX2__)
  return static_cast<uint32_t>(
      _mm256_movemask_ps(_mm256_cmp_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), _CMP_GE_OQ)));
#elif PALATE_INTRINSICS
  return static_cast<uint32_t>(_mm_movemask_ps(_mm_cmpge_ps(reinterpret_cast<__m128>(a), reinterpret_cast<__m128>(b))));
#else
  const Counts which = a >= b;
  uint32_t bits = 0;
  for (int lane = 0; lane < W; ++lane) bits |= static_cast<uint32_t>(which[lane] & 1) << lane;
  return bits;
#endif
}

// The first lane of at_least(); there is one.
PALATE_INLINE int first_lane(uint32_t bits) {
#if PALATE_VECTORS
  return __builtin_ctz(bits);
#else
  int at = 0;
  while (!(bits >> at & 1u)) ++at;
  return at;
#endif
}

// a b + c, rounded as in the lanes of multiply_add().
PALATE_INLINE float multiplied(float a, float b, float c) {
#if PALATE_FUSED
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

PALATE_INLINE Vec multiply_add(Vec a, Vec b, Vec c) {
#if PALATE_VECTORS
  return c + a * b;
#else
  for (int lane = 0; lane < W; ++lane) c[lane] = multiplied(a[lane], b[lane], c[lane]);
  return c;
#endif
}

// The scores of a tile of users and a panel of items: b + sum_f p_f q_f, always added in this order.
PALATE_INLINE void product(const float* users, const float* panel, int n_factors, Vec (&s)[kTileUsers][kVectors]) {
  for (int u = 0; u < kTileUsers; ++u)
    for (int v = 0; v < kVectors; ++v) s[u][v] = load(panel + v * W);
  for (int f = 0; f < n_factors; ++f) {
    panel += kPanel;
    Vec q[kVectors];
    for (int v = 0; v < kVectors; ++v) q[v] = load(panel + v * W);
    for (int u = 0; u < kTileUsers; ++u) {
      const Vec p = broadcast(users[u]);
      for (int v = 0; v < kVectors; ++v) s[u][v] = multiply_add(p, q[v], s[u][v]);
    }
    users += kTileUsers;
  }
}

// True if a hash table of seen items holds the code; see Seen.
inline bool holds(const int32_t* slots, int64_t n_slots, int32_t code) {
  if (n_slots == 0) return false;
  int64_t at = PALATE_SLOT_OF(code, static_cast<uint64_t>(n_slots));
  while (slots[at] != code && slots[at] != -1) at = at + 1 < n_slots ? at + 1 : 0;
  return slots[at] == code;
}

inline int64_t panel_floats(const Catalogue& c) { return static_cast<int64_t>(1 + c.n_factors) * kPanel; }

// Copies n users into the columns of a tile; zeros where n is smaller.
inline void pack_tile(const float* users, const Catalogue& c, int64_t n, float* tile) {
  for (int u = 0; u < kTileUsers; ++u)
    for (int f = 0; f < c.n_factors; ++f) tile[f * kTileUsers + u] = u < n ? users[u * c.k + f] : 0.0f;
}

// True if an item of this panel or a later one can still reach the user's floor. A floor of NaN: no user here, or none
// of the scores counts.
inline bool reaches(double length, const Reach& reach, float floor) {
  const double bound = length * reach.length + reach.bias;
  const bool below = bound < static_cast<double>(floor) && bound < kOverflow;
  return !below && floor == floor;
}

inline bool any_reaches(const double* lengths, const Reach& reach, const float* floors) {
  bool any = false;
  for (int u = 0; u < kTileUsers; ++u) any |= reaches(lengths[u], reach, floors[u]);
  return any;
}

// Memory of one thread, handed out in pieces aligned to cache lines.
struct Arena {
  float* next;
  template <typename T>
  T* take(int64_t n) {
    T* piece = reinterpret_cast<T*>(next);
    next += floats<T>(n);
    return piece;
  }
  template <typename T>
  static int64_t floats(int64_t n) {
    return (n * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 16;
  }
};
