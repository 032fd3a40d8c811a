// What the files of the Python border share: arrays that own their memory, and tasks without the GIL.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <vector>

#include "pool.hpp"

namespace palate {

namespace nb = nanobind;

// A new NumPy array that owns its memory.
template <typename T>
struct Owned {
  T* data;
  nb::capsule owner;
  explicit Owned(int64_t n)
      : data(new T[static_cast<size_t>(std::max<int64_t>(n, 1))]),
        owner(data, [](void* memory) noexcept { delete[] static_cast<T*>(memory); }) {}
  nb::object array(std::initializer_list<size_t> shape) const {
    return nb::cast(nb::ndarray<nb::numpy, T>(data, shape, owner));
  }
};

// Floats that begin at a cache line.
struct AlignedFloats {
  explicit AlignedFloats(int64_t n) : memory(static_cast<size_t>(n) + 16) {
    const auto address = reinterpret_cast<uintptr_t>(memory.data());
    data = memory.data() + (64 - address % 64) % 64 / sizeof(float);
  }
  std::vector<float> memory;
  float* data;
};

// run_tasks without the GIL; Ctrl-C surfaces as KeyboardInterrupt.
inline void run(int64_t n_tasks, int n_threads, const std::function<void(int64_t, int)>& task) {
  bool finished;
  {
    nb::gil_scoped_release release;
    finished = run_tasks(n_tasks, n_threads, task, [] {
      nb::gil_scoped_acquire acquire;
      return PyErr_CheckSignals() != 0;
    });
  }
  if (!finished) throw nb::python_error();
}

void add_link_kernels(nb::module_& m);      // border_links.cpp
void add_latent_kernels(nb::module_& m);    // border_latent.cpp
void add_ranking_kernels(nb::module_& m);   // border_ranking.cpp
void add_bpr_kernels(nb::module_& m);       // border_bpr.cpp
void add_block_kernels(nb::module_& m);     // border_blocks.cpp
void add_neighbor_kernels(nb::module_& m);  // border_neighbors.cpp

}  // namespace palate
