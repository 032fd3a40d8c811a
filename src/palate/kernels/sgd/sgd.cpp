// Stochastic gradient descent: matrix factorization one rating at a time, at one rate for all rows or with row-wise
// AdaGrad (Duchi, Hazan & Singer, JMLR 2011). Compiled once for each level.
#include "kernels/sgd/sgd.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/levels/compiler.hpp"

namespace palate {
namespace PALATE_LEVEL {

Descend descend;

namespace {

#include "kernels/levels/vectors.hpp"

constexpr int kGroup = 4;           // ratings worked on at once
constexpr int64_t kAhead = 8;       // rows are prefetched this many ratings ahead
constexpr float kEpsilon = 1e-10f;  // keeps AdaGrad from dividing by zero

// The rows that a group of ratings changes, x = [p, 0, b, 1] of the users and z = [q, 0, 1, c] of the items, and their
// AdaGrad sums.
struct Group {
  float *x[kGroup], *z[kGroup];
  float *x_squares[kGroup], *z_squares[kGroup];  // not set without AdaGrad
};

template <bool adagrad>
inline Group group_of(const Descent& d, int64_t e, int n) {
  Group rows{};
  for (int g = 0; g < kGroup; ++g) {
    const int64_t at = g < n ? e + g : e;  // a smaller group is filled up with its first rating
    const int64_t u = d.user_codes[at], i = d.item_codes[at];
    rows.x[g] = d.users + u * d.ld;
    rows.z[g] = d.items + i * d.ld;
    if (!adagrad) continue;
    rows.x_squares[g] = d.user_squares + u;
    rows.z_squares[g] = d.item_squares + i;
  }
  return rows;
}

inline void prefetch(const Descent& d, int64_t e, int ld) {
  const float* x = d.users + static_cast<int64_t>(d.user_codes[e]) * ld;
  const float* z = d.items + static_cast<int64_t>(d.item_codes[e]) * ld;
  for (int j = 0; j < ld; j += 16) {
    PALATE_PREFETCH_TO_WRITE(x + j);
    PALATE_PREFETCH_TO_WRITE(z + j);
  }
}

inline Four each(const float* const* from, int64_t at) {
  return Four{from[0][at], from[1][at], from[2][at], from[3][at]};
}

inline Four ratings_of(const float* values, int64_t e, int n) {
  Four out;
  for (int g = 0; g < kGroup; ++g) out[g] = values[g < n ? e + g : e];
  return out;
}

// Products of the two whole rows of each rating: x . z, x . x and z . z.
struct Products {
  Four xz, xx, zz;
};

template <bool adagrad>
inline Products products(const Group& rows, int ld) {
  Vec xz[kGroup], xx[kGroup], zz[kGroup];
  PALATE_UNROLL(4)
  for (int g = 0; g < kGroup; ++g) {
    xz[g] = xx[g] = zz[g] = Vec{};
    PALATE_UNROLL(4)
    for (int j = 0; j < ld; j += W) {
      const Vec x = load(rows.x[g] + j), z = load(rows.z[g] + j);
      xz[g] += x * z;
      if (adagrad) {
        xx[g] += x * x;
        zz[g] += z * z;
      }
    }
  }
  if (!adagrad) return {sums(xz[0], xz[1], xz[2], xz[3]), Four{}, Four{}};
  return {sums(xz[0], xz[1], xz[2], xz[3]), sums(xx[0], xx[1], xx[2], xx[3]), sums(zz[0], zz[1], zz[2], zz[3])};
}

struct Prediction {
  Four value, slope;  // slope: its derivative with respect to x . z
};

template <bool sigmoid>
inline Prediction predict(const Descent& d, Four product) {
  const Four score = d.mean + d.scale * product;
  if (!sigmoid) return {score, Four{} + d.scale};
  Four s;
  for (int g = 0; g < kGroup; ++g) s[g] = 1.0f / (1.0f + std::exp(-score[g]));
  return {d.low + (d.high - d.low) * s, d.scale * (d.high - d.low) * s * (1.0f - s)};
}

// The rates of row-wise AdaGrad: lr / sqrt(sum), after the mean of the row's squared gradients (pull other + decay
// own)^2 has been added to its sum. The constant at the end of a row is not a parameter: the caller leaves it, and what
// it is multiplied with, out of the products `own`, `both` and `other`.
inline Four adagrad_rates(const Descent& d, float* const* squares, int n, Four pull, Four decay, Four own, Four both,
                          Four other, float lr) {
  const Four squared = pull * pull * other + 2.0f * pull * decay * both + decay * decay * own;
  Four rate;
  for (int g = 0; g < kGroup; ++g) rate[g] = *squares[g];
  rate += squared * d.over_k;
  for (int g = 0; g < n; ++g) *squares[g] = rate[g];
  for (int g = 0; g < kGroup; ++g) rate[g] = std::sqrt(rate[g]);
  return lr / (rate + kEpsilon);
}

// Moves both rows of one rating: x <- x_keep x - x_pull z and z <- z_keep z - z_pull x, with the old x. The constant at
// the end of each stays.
inline void move(float* to_x, float* to_z, int ld, float x_keep, float x_pull, float z_keep, float z_pull) {
  const int last = ld - W;
  PALATE_UNROLL(4)
  for (int j = 0; j < last; j += W) {
    const Vec x = load(to_x + j), z = load(to_z + j);
    store(to_x + j, x_keep * x - x_pull * z);
    store(to_z + j, z_keep * z - z_pull * x);
  }
  Vec learned_x = broadcast(1.0f), learned_z = learned_x;
  learned_x[W - 1] = learned_z[W - 2] = 0.0f;
  const Vec x = load(to_x + last), z = load(to_z + last);
  store(to_x + last, x + learned_x * ((x_keep - 1.0f) * x - x_pull * z));
  store(to_z + last, z + learned_z * ((z_keep - 1.0f) * z - z_pull * x));
}

// Takes the steps of ratings e .. e + n <= e + kGroup. No two of them share a row, so all products can be computed
// before any row is moved: the result is that of one step after the other. Returns the sum of w (prediction - value)^2.
template <int NV, bool adagrad, bool sigmoid>
PALATE_INLINE double descend_group(const Descent& d, int64_t e, int n, float lr) {
  const int ld = NV ? NV * W : d.ld;
  const Group rows = group_of<adagrad>(d, e, n);
  const Products of = products<adagrad>(rows, ld);
  const Prediction predicted = predict<sigmoid>(d, of.xz);
  const Four weight = d.weights ? ratings_of(d.weights, e, n) : Four{} + 1.0f;
  const Four error = predicted.value - ratings_of(d.values, e, n);
  const Four pull = 2.0f * weight * error * predicted.slope, decay = 2.0f * d.weight_decay * weight;
  Four x_rate = Four{} + lr, z_rate = x_rate;
  if (adagrad) {
    const Four b = each(rows.x, ld - 2), c = each(rows.z, ld - 1);
    x_rate = adagrad_rates(d, rows.x_squares, n, pull, decay, of.xx - d.one, of.xz - c * d.one, of.zz - c * c, lr);
    z_rate = adagrad_rates(d, rows.z_squares, n, pull, decay, of.zz - d.one, of.xz - b * d.one, of.xx - b * b, lr);
  }
  const Four x_pull = x_rate * pull, z_pull = z_rate * pull;
  const Four x_keep = 1.0f - x_rate * decay, z_keep = 1.0f - z_rate * decay;
  PALATE_UNROLL(4)
  for (int g = 0; g < kGroup; ++g)
    if (g < n) move(rows.x[g], rows.z[g], ld, x_keep[g], x_pull[g], z_keep[g], z_pull[g]);
  const Four squared = weight * error * error;
  double loss = 0;
  for (int g = 0; g < n; ++g) loss += squared[g];
  return loss;
}

// How many of the next codes are all different: at most kGroup, and at most `left`.
inline int different(const int32_t* codes, int64_t left) {
  if (left >= kGroup && codes[0] != codes[1] && codes[0] != codes[2] && codes[0] != codes[3] && codes[1] != codes[2] &&
      codes[1] != codes[3] && codes[2] != codes[3])
    return kGroup;
  int n = 1;
  for (; n < kGroup && n < left; ++n)
    for (int before = 0; before < n; ++before)
      if (codes[before] == codes[n]) return n;
  return n;
}

template <int NV, bool adagrad, bool sigmoid>
double descend_rows(const Descent& d, int64_t first, int64_t last, float lr) {
  double loss = 0;
  for (int64_t e = first; e < last;) {
    const int users = different(d.user_codes + e, last - e), items = different(d.item_codes + e, last - e);
    const int n = users < items ? users : items;
    if (n == kGroup) {  // by far the most frequent: compiled with a known n
      loss += descend_group<NV, adagrad, sigmoid>(d, e, kGroup, lr);
    } else {
      loss += descend_group<NV, adagrad, sigmoid>(d, e, n, lr);
    }
    e += n;
  }
  return loss;
}

// Plain SGD on linear scores, one rating after the other: each needs so few operations that the processor overlaps
// several by itself.
template <int NV>
double descend_linear(const Descent& d, int64_t first, int64_t last, float lr) {
  const int ld = NV ? NV * W : d.ld;
  double loss = 0;
  for (int64_t e = first; e < last; ++e) {
    if (e + kAhead < last) prefetch(d, e + kAhead, ld);
    float* const x = d.users + static_cast<int64_t>(d.user_codes[e]) * ld;
    float* const z = d.items + static_cast<int64_t>(d.item_codes[e]) * ld;
    Vec xz{};
    PALATE_UNROLL(4)
    for (int j = 0; j < ld; j += W) xz += load(x + j) * load(z + j);
    const float weight = d.weights ? d.weights[e] : 1.0f;
    const float error = d.mean + d.scale * sum(xz) - d.values[e];
    const float pull = 2.0f * lr * weight * d.scale * error, keep = 1.0f - 2.0f * lr * weight * d.weight_decay;
    move(x, z, ld, keep, pull, keep, pull);
    loss += weight * error * error;
  }
  return loss;
}

template <bool adagrad, bool sigmoid>
double descend_width(const Descent& d, int64_t first, int64_t last, float lr) {
  return by_width(
      d.ld, [&](auto width) { return descend_rows<decltype(width)::value, adagrad, sigmoid>(d, first, last, lr); });
}

double descend_linear_width(const Descent& d, int64_t first, int64_t last, float lr) {
  return by_width(d.ld, [&](auto width) { return descend_linear<decltype(width)::value>(d, first, last, lr); });
}

}  // namespace

// One step for each of the ratings first .. last, in their order, against the gradient of
//
//   w ((f(mean + scale x . z) - r)^2 + weight_decay (|p|^2 + b^2 + |q|^2 + c^2))
//
// with f the identity or, where low < high, low + (high - low) sigmoid. The rate is lr, or with AdaGrad
// lr / sqrt(sum of squared gradients so far, including this one).
double descend(const Descent& d, int64_t first, int64_t last, float lr) {
  const bool adagrad = d.user_squares != nullptr, sigmoid = d.low != d.high;
  if (adagrad)
    return sigmoid ? descend_width<true, true>(d, first, last, lr) : descend_width<true, false>(d, first, last, lr);
  return sigmoid ? descend_width<false, true>(d, first, last, lr) : descend_linear_width(d, first, last, lr);
}

}  // namespace PALATE_LEVEL
}  // namespace palate
