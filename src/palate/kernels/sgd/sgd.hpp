// Arguments of descend: stochastic gradient descent.
#pragma once
#include <cstdint>

namespace palate {

constexpr int kSgdPadding = 16;  // rows of the tables are whole multiples of this many floats, at every level

// The equation stands above `descend` in sgd.cpp. A row of either table holds its factors, zeros, and in the last two
// columns [bias, 1] for a user and [1, bias] for an item; without biases [0, 0] for both.
struct Descent {
  float* users;               // (n_users, ld), changed in place
  float* items;               // (n_items, ld), changed in place
  float* user_squares;        // (n_users,) AdaGrad's sums of squared gradients, changed in place; null: plain SGD
  float* item_squares;        // (n_items,)
  int ld;                     // floats in a row
  float one;                  // the constant of the rows, 0 without biases
  float over_k;               // 1 / parameters in a row
  const int32_t* user_codes;  // (n_ratings,)
  const int32_t* item_codes;  // (n_ratings,)
  const float* values;        // (n_ratings,)
  const float* weights;       // (n_ratings,) or null: all 1
  float mean, scale;          // score = mean + scale x . z
  float low, high;            // the range of the sigmoid; low == high: linear
  float weight_decay;
};

// One pass over ratings first .. last in their order, at rate lr. Returns the sum of w error^2.
using Descend = double(const Descent& descent, int64_t first, int64_t last, float lr);

}  // namespace palate
