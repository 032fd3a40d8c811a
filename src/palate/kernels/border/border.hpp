// What all files of the Python border share: checks of arguments, arrays that own their memory, and tasks for the
// threads, run without the GIL. The kernels themselves trust their arguments.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "kernels/border/finishing.hpp"
#include "kernels/border/memory.hpp"
#include "kernels/pool/pool.hpp"

namespace palate {

namespace nb = nanobind;

using Array = nb::ndarray<nb::ro, nb::device::cpu>;
using MaybeArray = std::optional<Array>;
using Mutable = nb::ndarray<nb::device::cpu>;  // NumPy does not pass a read-only array as this
using MaybeMutable = std::optional<Mutable>;

constexpr int64_t kAny = -1;  // any length of an axis
constexpr int kMaxFactors = 4096;

// ---- checks of arguments

template <typename T>
const char* dtype_name();
template <>
inline const char* dtype_name<float>() {
  return "float32";
}
template <>
inline const char* dtype_name<double>() {
  return "float64";
}
template <>
inline const char* dtype_name<uint8_t>() {
  return "uint8";
}
template <>
inline const char* dtype_name<bool>() {
  return "bool";
}
template <>
inline const char* dtype_name<int32_t>() {
  return "int32";
}
template <>
inline const char* dtype_name<int64_t>() {
  return "int64";
}

inline std::string shape_text(std::initializer_list<int64_t> shape) {
  std::string text = "(";
  for (int64_t side : shape) text += (text.size() > 1 ? ", " : "") + (side == kAny ? "any" : std::to_string(side));
  return text + (shape.size() == 1 ? ",)" : ")");
}

// The data of an array. Raises TypeError unless it has exactly this dtype and shape, is C-contiguous and aligned.
template <typename T, typename AnyArray>
const T* checked(const AnyArray& array, const char* name, std::initializer_list<int64_t> shape) {
  bool good = array.dtype() == nb::dtype<T>() && array.ndim() == shape.size();
  size_t axis = 0;
  for (int64_t side : shape) {
    if (!good) break;
    good = side == kAny || array.shape(axis) == static_cast<size_t>(side);
    ++axis;
  }
  int64_t step = 1;
  for (size_t i = good ? array.ndim() : 0; i-- > 0;) {
    good = good && (array.shape(i) <= 1 || array.stride(i) == step || array.size() == 0);
    step *= static_cast<int64_t>(array.shape(i));
  }
  good = good && reinterpret_cast<uintptr_t>(array.data()) % alignof(T) == 0;
  if (good) return static_cast<const T*>(array.data());
  std::string got = "(";
  for (size_t i = 0; i < array.ndim(); ++i) got += (i ? ", " : "") + std::to_string(array.shape(i));
  throw nb::type_error((std::string(name) + " must be a C-contiguous, aligned " + dtype_name<T>() + " array of shape " +
                        shape_text(shape) + ", got shape " + got + (array.ndim() == 1 ? ",)" : ")") +
                        " or another dtype or layout")
                           .c_str());
}

// The same of an array that may be None: then null.
template <typename T, typename AnyArray>
const T* checked(const std::optional<AnyArray>& array, const char* name, std::initializer_list<int64_t> shape) {
  return array ? checked<T>(*array, name, shape) : nullptr;
}

// The same of an array that is changed in place.
template <typename T, typename AnyArray>
T* checked_mutable(const AnyArray& array, const char* name, std::initializer_list<int64_t> shape) {
  return const_cast<T*>(checked<T>(array, name, shape));
}

// The number as a float. Raises ValueError unless it is finite as a float, which the kernels compute in, and above
// `minimum`, or equal to it where `or_equal`.
inline float checked_number(double value, const char* name, double minimum, bool or_equal) {
  const auto number = static_cast<float>(value);
  if (!std::isfinite(number) || number < minimum || (!or_equal && number <= minimum))
    throw nb::value_error((std::string(name) + " is out of range: " + std::to_string(value)).c_str());
  return number;
}

// The a of an overrelaxed draw. Raises ValueError unless it is 0 or more and below 1.
inline float checked_relaxation(double value) {
  const float a = checked_number(value, "relaxation", 0, true);
  if (a >= 1) throw nb::value_error("relaxation must be below 1");
  return a;
}

inline void check_finite(const float* numbers, int64_t n, const char* name) {
  for (int64_t i = 0; numbers && i < n; ++i)
    if (!std::isfinite(numbers[i])) throw nb::value_error((std::string(name) + " holds NaN or infinity").c_str());
}

inline void check_not_negative(const float* numbers, int64_t n, const char* name) {
  for (int64_t i = 0; numbers && i < n; ++i)
    if (!(numbers[i] >= 0) || !std::isfinite(numbers[i]))
      throw nb::value_error((std::string(name) + " must be finite and >= 0").c_str());
}

// Raises IndexError unless all codes lie in 0 .. limit - 1.
template <typename T>
void check_bounds(const T* codes, int64_t n, int64_t limit, const char* name) {
  int32_t low = 0, high = -1;
  for (int64_t i = 0; i < n; ++i) {
    low = std::min<int32_t>(low, codes[i]);
    high = std::max<int32_t>(high, codes[i]);
  }
  if (low < 0 || high >= limit)
    throw nb::index_error((std::string(name) + " holds " + std::to_string(low < 0 ? low : high) + ", outside 0.." +
                           std::to_string(limit - 1))
                              .c_str());
}

// Raises ValueError unless all numbers are finite and each is greater than the one before.
inline void check_rising(const float* numbers, int64_t n, const char* name) {
  check_finite(numbers, n, name);
  for (int64_t i = 1; i < n; ++i)
    if (!(numbers[i - 1] < numbers[i])) throw nb::value_error((std::string(name) + " must rise strictly").c_str());
}

inline void check_indptr(const int64_t* indptr, int64_t n_rows, int64_t n, const char* name = "indptr") {
  bool good = indptr[0] == 0 && indptr[n_rows] == n;
  for (int64_t r = 0; good && r < n_rows; ++r) good = indptr[r] <= indptr[r + 1];
  if (!good)
    throw nb::value_error(
        (std::string(name) + " must rise from 0 to the number of entries, " + std::to_string(n)).c_str());
}

inline int checked_threads(int n_threads) {
  if (n_threads < 0) throw nb::value_error("n_threads must be 0 (all) or more");
  return n_threads == 0 ? hardware_threads() : std::min(n_threads, 256);
}

// ---- results

// A new NumPy array that owns its memory.
template <typename T>
struct Owned {
  T* data;
  nb::capsule owner;
  explicit Owned(int64_t n)
      : data(new T[static_cast<size_t>(std::max<int64_t>(n, 1))]),
        owner(data, [](void* memory) noexcept { delete[] static_cast<T*>(memory); }) {}
  nb::object array(std::initializer_list<int64_t> shape) const {
    const std::vector<size_t> sides(shape.begin(), shape.end());
    return nb::cast(nb::ndarray<nb::numpy, T>(data, sides.size(), sides.data(), owner));
  }
};

// ---- tasks

// Runs task(i, worker) for i in 0 .. n_tasks without the GIL. Raises KeyboardInterrupt after Ctrl-C.
inline void run(int64_t n_tasks, int n_threads, const std::function<void(int64_t task, int worker)>& task) {
  bool finished;
  {
    const Unlocked unlocked;
    finished = run_tasks(n_tasks, n_threads, task, [] {
      const TakingLock taking;
      nb::gil_scoped_acquire acquire;
      return PyErr_CheckSignals() != 0;
    });
  }
  if (!finished) throw nb::python_error();
}

// Runs task(first, last, worker) over 0 .. n in ranges of `size` (the last may be shorter).
template <typename Task>
void run_ranges(int64_t n, int64_t size, int n_threads, Task task) {
  run((n + size - 1) / size, n_threads,
      [&](int64_t at, int worker) { task(at * size, std::min(n, (at + 1) * size), worker); });
}

// How many threads to use for so many tasks: at most one for each task, and at least one.
inline int threads_for(int64_t n_tasks, int n_threads) {
  return static_cast<int>(std::min<int64_t>(n_threads, std::max<int64_t>(n_tasks, 1)));
}

// Runs visit(stratum, at, worker) for all `side` cells of each stratum, one stratum after the other. Cells of a stratum
// share no row that they change, so that any number of threads gives the same bytes. A thread takes the same blocks of
// users in every stratum: their rows stay in its cache.
template <typename Visit>
void run_strata(int64_t n_strata, int64_t side, int n_threads, Visit visit) {
  const int threads = threads_for(side, n_threads);
  for (int64_t s = 0; s < n_strata; ++s)
    run(threads, threads, [&](int64_t first, int worker) {
      for (int64_t at = first; at < side; at += threads) visit(s, at, worker);
    });
}

}  // namespace palate
