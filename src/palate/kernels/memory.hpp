// Memory for tables that are read at random.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace palate {

// Floats of no value yet that begin at a cache line; from 4 MB on at a large page and, where the system has them, on
// large pages: rows taken from all over a table would else wait for its page numbers more than for themselves.
struct TableFloats {
  static constexpr size_t kLine = 64, kLargePage = size_t{1} << 21;

  explicit TableFloats(int64_t n) {
    const size_t bytes = std::max<size_t>(static_cast<size_t>(n) * sizeof(float), 1);
    const size_t page = bytes >= 2 * kLargePage ? kLargePage : kLine;
    const size_t whole = (bytes + page - 1) / page * page;
    memory.reset(static_cast<float*>(std::aligned_alloc(page, whole)));
    if (!memory) throw std::bad_alloc();
#if defined(__linux__)
    if (page == kLargePage) madvise(memory.get(), whole, MADV_HUGEPAGE);  // a wish: without it all is merely slower
#endif
    data = memory.get();
  }

  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  std::unique_ptr<float, Free> memory;
  float* data;
};

// The same for a while: from 4 MB on the system has them back at once, where free() might keep them for later in the
// heap of each thread that ever asked.
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
