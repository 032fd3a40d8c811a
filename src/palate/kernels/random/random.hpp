// The random numbers of all kernels: functions of a key (the seed) and a counter, without state (philox.hpp).
#pragma once
#include <cstdint>

namespace palate {

// out = n standard normals of counter (row, sweep, stream) under key seed.
using Normals = void(uint64_t seed, uint32_t row, uint32_t sweep, uint32_t stream, int n, float* out);

// The same of n rows, k normals each: out (n, k). `first_row` is added to the number of each row.
using RowNormals = void(uint64_t seed, const int32_t* rows, int n, uint32_t first_row, uint32_t sweep, uint32_t stream,
                        int k, float* out);

}  // namespace palate
