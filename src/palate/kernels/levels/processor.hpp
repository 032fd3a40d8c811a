// Which levels the processor runs.
#pragma once
#include <cstdint>
#include <initializer_list>

#include "kernels/levels/compiler.hpp"

#if !PALATE_VECTORS
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif

namespace palate {

struct Processor {
  bool v3, v4;  // it runs x86-64-v3, x86-64-v4
};

#if PALATE_VECTORS

inline Processor this_processor() {
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                  __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  return {v3, v4};
}

#else  // no such functions: the same, asked with the instruction cpuid

struct Registers {
  uint32_t a, b, c, d;
};

inline Registers cpuid(uint32_t leaf) {
#if defined(_MSC_VER)
  int out[4];
  __cpuidex(out, static_cast<int>(leaf), 0);
  return {static_cast<uint32_t>(out[0]), static_cast<uint32_t>(out[1]), static_cast<uint32_t>(out[2]),
          static_cast<uint32_t>(out[3])};
#else
  Registers r{};
  __cpuid_count(leaf, 0, r.a, r.b, r.c, r.d);
  return r;
#endif
}

// XCR0: which registers the system saves when it changes threads.
inline uint64_t saved_registers() {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
#endif
}

inline bool all_set(uint64_t bits, std::initializer_list<int> wanted) {
  for (const int bit : wanted)
    if (!(bits >> bit & 1)) return false;
  return true;
}

// Bits as in the Intel 64 and IA-32 Architectures Software Developer's Manual: CPUID in volume 2A; XCR0 in volume
// 1, 13.3.
inline Processor this_processor() {
  if (cpuid(0).a < 7 || !all_set(cpuid(1).c, {27})) return {false, false};  // 27: programs may read XCR0
  const uint32_t first = cpuid(1).c, seventh = cpuid(7).b;
  const uint64_t saved = saved_registers();
  const bool v3 = all_set(first, {12, 28}) && all_set(seventh, {3, 5, 8}) &&  // FMA, AVX; BMI1, AVX2, BMI2
                  all_set(saved, {1, 2});
  const bool v4 = v3 && all_set(seventh, {16, 17, 28, 30, 31}) &&  // AVX-512 F, DQ, CD, BW, VL
                  all_set(saved, {5, 6, 7});
  return {v3, v4};
}

#endif

}  // namespace palate
