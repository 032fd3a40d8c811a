// What compilers spell differently, as macros: an inline function could be compiled for a wide machine and picked by
// the linker for a narrow one. Included before any namespace.
//
// GCC and Clang know vectors as types (PALATE_VECTORS is 1). Any other compiler, and a build with -DPALATE_PLAIN=ON,
// takes plain_lanes.hpp instead: the same kernels, in loops over lanes.
#pragma once

#if defined(__GNUC__) && !defined(PALATE_PLAIN)
#define PALATE_VECTORS 1
#else
#define PALATE_VECTORS 0
#endif

// The intrinsics of x86 take vectors as types of the compiler.
#if PALATE_VECTORS && defined(__x86_64__)
#define PALATE_INTRINSICS 1
#else
#define PALATE_INTRINSICS 0
#endif

// True if the level has one instruction for a b + c.
#if defined(__FMA__) || defined(__FP_FAST_FMAF) || (defined(__aarch64__) && defined(__GNUC__))
#define PALATE_FUSED 1
#else
#define PALATE_FUSED 0
#endif

#define PALATE_PRAGMA(text) _Pragma(#text)

#if defined(__GNUC__)
// Always inline: vectors passed between functions would go through memory.
#define PALATE_INLINE inline __attribute__((always_inline))
#define PALATE_INLINE_LAMBDA __attribute__((always_inline))  // after the parameters of a lambda
#define PALATE_PREFETCH(address) __builtin_prefetch(address)
#define PALATE_PREFETCH_TO_WRITE(address) __builtin_prefetch(address, 1)
#elif defined(_MSC_VER)
#pragma fp_contract(off)  // kernels that must round alike, as in ranking/catalogue.hpp, say themselves what is fused
#define PALATE_INLINE __forceinline
#define PALATE_INLINE_LAMBDA
#if defined(_M_X64)
#include <xmmintrin.h>
#define PALATE_PREFETCH(address) _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T0)
#else
#define PALATE_PREFETCH(address) static_cast<void>(address)
#endif
#define PALATE_PREFETCH_TO_WRITE(address) PALATE_PREFETCH(address)
#else
#define PALATE_INLINE inline
#define PALATE_INLINE_LAMBDA
#define PALATE_PREFETCH(address) static_cast<void>(address)
#define PALATE_PREFETCH_TO_WRITE(address) static_cast<void>(address)
#endif

// Before a loop: so many turns of it are compiled as one.
#if defined(__clang__)
#define PALATE_UNROLL(n) PALATE_PRAGMA(clang loop unroll_count(n))
#elif defined(__GNUC__)
#define PALATE_UNROLL(n) PALATE_PRAGMA(GCC unroll n)
#else
#define PALATE_UNROLL(n)
#endif
