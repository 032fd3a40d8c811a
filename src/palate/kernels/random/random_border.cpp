// The Python border of the random generator.
#include <cstdint>

#include "kernels/border/border.hpp"
#include "kernels/levels/levels.hpp"
#include "kernels/random/philox.hpp"

using namespace nanobind::literals;

namespace palate {
namespace {

constexpr char kNormalsDoc[] = R"(Standard normals of a counter: the same arguments always give the same numbers.

(w0, w1) and (w2, w3) of each Philox block give (r cos a, r sin a), r = sqrt(-2 ln u): Box and Muller.

Parameters:
    seed (int): The key, below 2^64.
    row, sweep, stream (int): The counter, each below 2^32.
    n (int): How many, 0 or more.

Returns:
    float32 array (n,): The first n normals of this counter.

Raises:
    ValueError: n is negative.)";

nb::object normals(uint64_t seed, uint32_t row, uint32_t sweep, uint32_t stream, int n) {
  if (n < 0) throw nb::value_error("n must be >= 0");
  const Owned<float> out(n);
  level().normals(seed, row, sweep, stream, n, out.data);
  return out.array({n});
}

constexpr char kPhiloxDoc[] = R"(Four random words of a counter, by Philox4x32-10 (Salmon et al., SC 2011).

Parameters:
    c0, c1, c2, c3 (int): The counter, each below 2^32.
    k0, k1 (int): The key, each below 2^32.

Returns:
    tuple of 4 int: The words, each below 2^32.)";

nb::tuple philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0, uint32_t k1) {
  const Philox4 out = philox4x32({{c0, c1, c2, c3}}, k0, k1);
  return nb::make_tuple(out.word[0], out.word[1], out.word[2], out.word[3]);
}

}  // namespace

void add_random(nb::module_& m) {
  m.def("normals", &normals, "seed"_a, "row"_a, "sweep"_a, "stream"_a, "n"_a, kNormalsDoc);
  m.def("philox", &philox, "c0"_a, "c1"_a, "c2"_a, "c3"_a, "k0"_a, "k1"_a, kPhiloxDoc);
}

}  // namespace palate
