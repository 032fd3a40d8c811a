// Memory for floats: aligned to cache lines, on large pages where that pays, and scratch for each thread.
#pragma once
#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace palate {

// The product of sizes of an allocation, each 0 or more. Throws std::bad_alloc, which Python sees as MemoryError, where
// it is more than there can be: no allocation multiplies in any other way.
inline int64_t size_of(std::initializer_list<int64_t> sides) {
  constexpr int64_t kMost = INT64_MAX / 64;  // of elements: their bytes and some padding still have 64 bits
  if (std::find(sides.begin(), sides.end(), 0) != sides.end()) return 0;
  int64_t size = 1;
  for (const int64_t side : sides) {
    if (side < 0 || size > kMost / side) throw std::bad_alloc();
    size *= side;
  }
  return size;
}

// Zeros, aligned to a cache line.
struct AlignedFloats {
  explicit AlignedFloats(int64_t n) : memory(static_cast<size_t>(n) + 16) {
    const auto address = reinterpret_cast<uintptr_t>(memory.data());
    data = memory.data() + (64 - address % 64) % 64 / sizeof(float);
  }
  std::vector<float> memory;
  float* data;
};

// Scratch of `floats` floats for each of some threads.
struct ThreadScratch {
  ThreadScratch(int n_threads, int64_t floats) {
    for (int t = 0; t < n_threads; ++t) pieces.push_back(std::make_unique<AlignedFloats>(floats));
  }
  float* operator[](int worker) const { return pieces[static_cast<size_t>(worker)]->data; }
  std::vector<std::unique_ptr<AlignedFloats>> pieces;
};

// Uninitialized floats for a table whose rows are read in random order. From 4 MB on they lie on large pages, where the
// system has them: otherwise reading a row would wait longer for the page table than for the row.
struct TableFloats {
  static constexpr size_t kLine = 64, kLargePage = size_t{1} << 21;

  explicit TableFloats(int64_t n) {
    const size_t bytes = std::max<size_t>(static_cast<size_t>(n) * sizeof(float), 1);
    const size_t page = bytes >= 2 * kLargePage ? kLargePage : kLine;
    const size_t whole = (bytes + page - 1) / page * page;
    memory = {static_cast<float*>(::operator new(whole, std::align_val_t{page})), Free{page}};
#if defined(__linux__)
    if (page == kLargePage) madvise(memory.get(), whole, MADV_HUGEPAGE);  // may fail: then it is slower, not wrong
#endif
    data = memory.get();
  }

  struct Free {
    size_t page;
    void operator()(float* memory) const { ::operator delete(memory, std::align_val_t{page}); }
  };
  std::unique_ptr<float, Free> memory{nullptr, Free{kLine}};
  float* data;
};

// The same for a short time. From 4 MB on the system gets them back at once; free() might keep them in the heap of
// every thread that ever asked for some.
struct PassingFloats {
  explicit PassingFloats(int64_t n) : bytes(static_cast<size_t>(n) * sizeof(float)) {
#if defined(__linux__)
    if (bytes >= 2 * TableFloats::kLargePage) {
      mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (mapped == MAP_FAILED) throw std::bad_alloc();
      madvise(mapped, bytes, MADV_HUGEPAGE);
      data = static_cast<float*>(mapped);
      return;
    }
#endif
    kept = std::make_unique<TableFloats>(n);
    data = kept->data;
  }
  PassingFloats(const PassingFloats&) = delete;
  PassingFloats& operator=(const PassingFloats&) = delete;
  ~PassingFloats() {
#if defined(__linux__)
    if (mapped) munmap(mapped, bytes);
#endif
  }

  size_t bytes;
  void* mapped = nullptr;
  std::unique_ptr<TableFloats> kept;
  float* data;
};

}  // namespace palate
