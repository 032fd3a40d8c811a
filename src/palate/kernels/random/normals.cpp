// Standard normals from a counter. Compiled once for each level.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/levels/compiler.hpp"
#include "kernels/random/random.hpp"

namespace palate {
namespace PALATE_LEVEL {

Normals normals;
RowNormals row_normals;

namespace {

#include "kernels/random/lanes.hpp"

// Box and Muller: (r cos a, r sin a) with r = sqrt(-2 ln u) and a = 2 pi v are two standard normals. The two top bits
// of the angle are the quadrant; the rest lies in [-pi/4, pi/4), where short Taylor series are exact to float
// precision.
inline void box_muller(UInts radius_bits, UInts angle_bits, Floats& first, Floats& second) {
  const Floats u = (to_floats(with_sign(radius_bits >> 8)) + 0.5f) * 0x1p-24f;
  const Floats radius = sqrt_lanes(-2.0f * log_lanes(u));
  const UInts turned = angle_bits + 0x20000000u;
  const Ints inside = with_sign(angle_bits << 2) >> 8;  // signed 24 bits of a quarter turn
  const Floats theta = to_floats(inside) * (0x1p-24f * 1.57079632679f);
  const Floats t2 = theta * theta;
  const Floats sine =
      theta * (1.0f + t2 * (-1.0f / 6 + t2 * (1.0f / 120 + t2 * (-1.0f / 5040 + t2 * (1.0f / 362880)))));
  const Floats cosine = 1.0f + t2 * (-0.5f + t2 * (1.0f / 24 + t2 * (-1.0f / 720 + t2 * (1.0f / 40320))));
  const UInts quadrant = turned >> 30;
  const UInts swap = bits_of((quadrant & 1u) != 0u);
  const UInts s = bits_of(sine), c = bits_of(cosine);
  const UInts sign_first = (((quadrant + 1u) >> 1) & 1u) << 31, sign_second = (quadrant >> 1) << 31;
  first = radius * as_floats(((swap & s) | (~swap & c)) ^ sign_first);
  second = radius * as_floats(((swap & c) | (~swap & s)) ^ sign_second);
}

}  // namespace

// out[r k + 4 b + i] = normal i of counter (b, first_row + rows[r], sweep, stream). Lanes are the blocks of all rows,
// one after the other, so that rows of a few numbers leave no lane idle.
void row_normals(uint64_t seed, const int32_t* rows, int n, uint32_t first_row, uint32_t sweep, uint32_t stream, int k,
                 float* out) {
  const int per_row = (k + 3) / 4, total = n * per_row;
  for (int base = 0; base < total; base += kLanes) {
    const int here = total - base < kLanes ? total - base : kLanes;
    uint32_t blocks[kLanes] = {}, numbers[kLanes] = {};
    for (int lane = 0, row = base / per_row, block = base % per_row; lane < here; ++lane) {
      blocks[lane] = static_cast<uint32_t>(block);
      numbers[lane] = first_row + static_cast<uint32_t>(rows[row]);
      if (++block == per_row) ++row, block = 0;
    }
    UInts c[4];
    std::memcpy(&c[0], blocks, sizeof blocks);
    std::memcpy(&c[1], numbers, sizeof numbers);
    c[2] = UInts{} + sweep;
    c[3] = UInts{} + stream;
    philox_lanes(c, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
    Floats normal[4];
    box_muller(c[0], c[1], normal[0], normal[1]);
    box_muller(c[2], c[3], normal[2], normal[3]);
    for (int lane = 0, row = base / per_row, block = base % per_row; lane < here; ++lane) {
      float* to = out + static_cast<int64_t>(row) * k + 4 * block;
      for (int i = 0; i < 4 && 4 * block + i < k; ++i) to[i] = normal[i][lane];
      if (++block == per_row) ++row, block = 0;
    }
  }
}

void normals(uint64_t seed, uint32_t row, uint32_t sweep, uint32_t stream, int n, float* out) {
  const auto only = static_cast<int32_t>(row);
  row_normals(seed, &only, 1, 0, sweep, stream, n, out);
}

}  // namespace PALATE_LEVEL
}  // namespace palate
