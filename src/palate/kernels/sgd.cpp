// The SGD kernel: matrix factorization one rating at a time, with one rate for all or by row-wise AdaGrad (Duchi, Hazan
// & Singer, JMLR 2011). Compiled once for each instruction set, like rows.cpp.
#include "sgd.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>

namespace palate {
namespace PALATE_LEVEL {

double descend(const Descent& d, int64_t first, int64_t last, float lr);

namespace {

#include "vectors.hpp"

constexpr int kGroup = 4;           // ratings worked on at once
constexpr int64_t kAhead = 8;       // so many ratings ahead, rows are asked of the memory
constexpr float kEpsilon = 1e-10f;  // keeps AdaGrad from dividing by zero

// What each of a group's ratings moves: the user's [p, 0, b, 1] and the item's [q, 0, 1, c], and their AdaGrad sums.
struct Rows {
  float *x[kGroup], *z[kGroup];
  float *x_squares[kGroup], *z_squares[kGroup];  // not set without AdaGrad
};

template <bool adagrad>
inline Rows rows_of(const Descent& d, int64_t e, int n) {
  Rows rows{};
  for (int g = 0; g < kGroup; ++g) {
    const int64_t at = g < n ? e + g : e;  // a group of fewer is filled up with its first
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
    __builtin_prefetch(x + j, 1);
    __builtin_prefetch(z + j, 1);
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

// Products of the two whole rows of each rating.
struct Products {
  Four xz, xx, zz;
};

template <bool adagrad>
inline Products products(const Rows& rows, int ld) {
  Vec xz[kGroup], xx[kGroup], zz[kGroup];
#pragma GCC unroll 4
  for (int g = 0; g < kGroup; ++g) {
    xz[g] = xx[g] = zz[g] = Vec{};
#pragma GCC unroll 4
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
  Four value, slope;  // and its derivative by the product
};

template <bool sigmoid>
inline Prediction predict(const Descent& d, Four product) {
  const Four score = d.mean + d.scale * product;
  if (!sigmoid) return {score, Four{} + d.scale};
  Four s;
  for (int g = 0; g < kGroup; ++g) s[g] = 1.0f / (1.0f + std::exp(-score[g]));
  return {d.low + (d.high - d.low) * s, d.scale * (d.high - d.low) * s * (1.0f - s)};
}

// Row-wise AdaGrad: the mean of a row's squared gradients (pull other + decay own)^2 is added to its sum, whose root
// divides the rate. `one` is the constant at the end of the row, which is no parameter: it and what it meets are left
// out of the products.
inline Four slower(const Descent& d, float* const* squares, int n, Four pull, Four decay, Four own, Four both,
                   Four other, float lr) {
  const Four squared = pull * pull * other + 2.0f * pull * decay * both + decay * decay * own;
  Four rate;
  for (int g = 0; g < kGroup; ++g) rate[g] = *squares[g];
  rate += squared * d.over_k;
  for (int g = 0; g < n; ++g) *squares[g] = rate[g];
  for (int g = 0; g < kGroup; ++g) rate[g] = std::sqrt(rate[g]);
  return lr / (rate + kEpsilon);
}

// Both rows of one rating: own <- keep own - rate_pull other, the constant at the end of each left as it is.
inline void move(float* to_x, float* to_z, int ld, float x_keep, float x_pull, float z_keep, float z_pull) {
  const int last = ld - W;
#pragma GCC unroll 4
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

// Ratings e .. e + n <= e + kGroup, each with rows of its own, so that all can be looked at before any is moved: that
// is what they would do one after the other. Returns the sum of w (prediction - value)^2.
template <int NV, bool adagrad, bool sigmoid>
__attribute__((always_inline)) inline double descend_group(const Descent& d, int64_t e, int n, float lr) {
  const int ld = NV ? NV * W : d.ld;
  const Rows rows = rows_of<adagrad>(d, e, n);
  const Products of = products<adagrad>(rows, ld);
  const Prediction predicted = predict<sigmoid>(d, of.xz);
  const Four weight = d.weights ? ratings_of(d.weights, e, n) : Four{} + 1.0f;
  const Four error = predicted.value - ratings_of(d.values, e, n);
  const Four pull = 2.0f * weight * error * predicted.slope, decay = 2.0f * d.weight_decay * weight;
  Four x_rate = Four{} + lr, z_rate = x_rate;
  if (adagrad) {
    const Four b = each(rows.x, ld - 2), c = each(rows.z, ld - 1);
    x_rate = slower(d, rows.x_squares, n, pull, decay, of.xx - d.one, of.xz - c * d.one, of.zz - c * c, lr);
    z_rate = slower(d, rows.z_squares, n, pull, decay, of.zz - d.one, of.xz - b * d.one, of.xx - b * b, lr);
  }
  const Four x_pull = x_rate * pull, z_pull = z_rate * pull;
  const Four x_keep = 1.0f - x_rate * decay, z_keep = 1.0f - z_rate * decay;
#pragma GCC unroll 4
  for (int g = 0; g < kGroup; ++g)
    if (g < n) move(rows.x[g], rows.z[g], ld, x_keep[g], x_pull[g], z_keep[g], z_pull[g]);
  const Four squared = weight * error * error;
  double loss = 0;
  for (int g = 0; g < n; ++g) loss += squared[g];
  return loss;
}

// How many of the codes from here on are all different, at most kGroup and `left`.
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
    if (n == kGroup) {  // by far the most: compiled with their number known
      loss += descend_group<NV, adagrad, sigmoid>(d, e, kGroup, lr);
    } else {
      loss += descend_group<NV, adagrad, sigmoid>(d, e, n, lr);
    }
    e += n;
  }
  return loss;
}

// Plain SGD on linear scores, one rating after the other: the chain of operations of each is so short that the
// processor works on several by itself.
template <int NV>
double descend_linear(const Descent& d, int64_t first, int64_t last, float lr) {
  const int ld = NV ? NV * W : d.ld;
  double loss = 0;
  for (int64_t e = first; e < last; ++e) {
    if (e + kAhead < last) prefetch(d, e + kAhead, ld);
    float* const x = d.users + static_cast<int64_t>(d.user_codes[e]) * ld;
    float* const z = d.items + static_cast<int64_t>(d.item_codes[e]) * ld;
    Vec xz{};
#pragma GCC unroll 4
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

// Ratings first .. last in their order, each a step of its own against the gradient of
//
//   w ((f(mean + scale x . z) - r)^2 + weight_decay (|p|^2 + b^2 + |q|^2 + c^2))
//
// with f the identity or, where low < high, low + (high - low) sigmoid,
// at rate lr, or with AdaGrad at lr / sqrt(sum of squared gradients so far, this one included).
double descend(const Descent& d, int64_t first, int64_t last, float lr) {
  const bool adagrad = d.user_squares != nullptr, sigmoid = d.low != d.high;
  if (adagrad)
    return sigmoid ? descend_width<true, true>(d, first, last, lr) : descend_width<true, false>(d, first, last, lr);
  return sigmoid ? descend_width<false, true>(d, first, last, lr) : descend_linear_width(d, first, last, lr);
}

}  // namespace PALATE_LEVEL
}  // namespace palate
