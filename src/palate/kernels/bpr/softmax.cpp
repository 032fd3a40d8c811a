// Stochastic gradient descent on a sampled softmax: each choice against many negatives at once. The choices of a step
// share their negatives, so that scores and gradients are products of small matrices that stay in the cache. Compiled
// once for each level.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/bpr/bpr.hpp"
#include "kernels/levels/compiler.hpp"
#include "kernels/random/philox.hpp"

namespace palate {
namespace PALATE_LEVEL {

DescendSoftmaxScratch descend_softmax_scratch;
DescendSoftmax descend_softmax;

namespace {

#include "kernels/levels/vectors.hpp"
#include "kernels/random/lanes.hpp"

constexpr uint32_t kStream = 0x736f6674;  // the last word of the counter, used by no other kernel
constexpr float kNever = -1e30f;          // a score whose exponential is 0

// Scratch of one thread. n is the number of negatives rounded up to whole vectors.
struct Scratch {
  float* x;     // (kBatch, ld) users of the step
  float* z;     // (kBatch, ld) their choices
  float* y;     // (n, ld) negatives
  float* turn;  // (ld, n) negatives, transposed
  float* p;     // (kBatch, n) scores, then weights of the negatives
  float* dx;    // (kBatch, ld) weighted sums of negatives
  float* dy;    // (n, ld) weighted sums of users
};

Scratch split(float* memory, int ld, int n) {
  auto take = [&](int rows, int columns) {
    memory += int64_t{rows} * columns;
    return memory - int64_t{rows} * columns;
  };
  return {take(kBatch, ld), take(kBatch, ld), take(n, ld), take(ld, n), take(kBatch, n), take(kBatch, ld), take(n, ld)};
}

// R rows and C vectors of the product, kept in registers: out_rj = sum_t a_rt b_tj. The element a_rt lies at
// a[r * by_row + t * by_term].
template <int R, int C>
inline void tile(const float* a, int by_row, int by_term, const float* b, int ldb, int n_terms, float* out) {
  Vec sums_of[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) sums_of[r][c] = Vec{};
  for (int t = 0; t < n_terms; ++t)
    for (int c = 0; c < C; ++c) {
      const Vec row = load(b + int64_t{t} * ldb + c * W);
      for (int r = 0; r < R; ++r) sums_of[r][c] += broadcast(a[r * by_row + t * by_term]) * row;
    }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) store(out + int64_t{r} * ldb + c * W, sums_of[r][c]);
}

template <int R>
inline void tile_row(const float* a, int by_row, int by_term, const float* b, int ldb, int n_terms, float* out) {
  constexpr int kWide = W == 16 ? 4 : 2;  // there are 32 registers, or 16
  int j = 0;
  for (; j + kWide * W <= ldb; j += kWide * W) tile<R, kWide>(a, by_row, by_term, b + j, ldb, n_terms, out + j);
  for (; j < ldb; j += W) tile<R, 1>(a, by_row, by_term, b + j, ldb, n_terms, out + j);
}

// out (n_rows, ldb) = a b for b (n_terms, ldb), a as in tile().
void multiply(const float* a, int by_row, int by_term, const float* b, int ldb, int n_rows, int n_terms, float* out) {
  int r = 0;
  for (; r + 4 <= n_rows; r += 4) tile_row<4>(a + r * by_row, by_row, by_term, b, ldb, n_terms, out + int64_t{r} * ldb);
  for (; r < n_rows; ++r) tile_row<1>(a + r * by_row, by_row, by_term, b, ldb, n_terms, out + int64_t{r} * ldb);
}

inline float product(const float* x, const float* z, int ld) {
  Vec xz{};
  for (int j = 0; j < ld; j += W) xz += load(x + j) * load(z + j);
  return sum(xz);
}

// Gives the factors of a row, all but its last number, the length 1; zeros stay zeros.
inline void normalize(float* row, int ld) {
  const float last = row[ld - 1];
  row[ld - 1] = 0;
  const float length = std::sqrt(product(row, row, ld));
  const float factor = length > 0 ? 1 / length : 0;
  for (int j = 0; j < ld; j += W) store(row + j, load(row + j) * factor);
  row[ld - 1] = last;
}

// The items of both blocks in random order. Returns how many there are.
int shuffle_items(const Pairs& d, const PairCells& cells, uint32_t task, int32_t* items) {
  int n = 0;
  for (int c = 0; c < (cells.block[0] == cells.block[1] ? 1 : 2); ++c)
    for (int64_t at = d.blocks[cells.block[c]]; at < d.blocks[cells.block[c] + 1]; ++at) items[n++] = d.block_items[at];
  for (int last = n - 1; last > 0; --last) {
    const Philox4 random = philox4x32({{static_cast<uint32_t>(last), d.epoch, task, kStream}},
                                      static_cast<uint32_t>(d.seed), static_cast<uint32_t>(d.seed >> 32));
    const auto other = static_cast<int>(uint64_t{random.word[0]} * static_cast<uint64_t>(last + 1) >> 32);
    const int32_t item = items[last];
    items[last] = items[other];
    items[other] = item;
  }
  return n;
}

// Turns the scores of a user's negatives into weights, those of items that the user has into 0. Sets `pull` to the sum
// of the weights. Returns the loss; both are 0 if no negative is left.
float weigh(const SoftmaxPairs& s, int32_t user, float score, const int32_t* places, int n, float* scores,
            float* pull) {
  const Pairs& d = s.pairs;
  const int ld = padded(n);
  for (int j = n; j < ld; ++j) scores[j] = kNever;
  int left = n;
  for (int64_t at = d.indptr[user]; at < d.indptr[user + 1]; ++at)
    if (const int32_t place = places[d.indices[at]]; place >= 0) {
      scores[place] = kNever;
      --left;
    }
  float highest = score;
  for (int j = 0; j < ld; ++j) highest = highest < scores[j] ? scores[j] : highest;
  Vec total{};
  for (int j = 0; j < ld; j += W) {
    Floats v;
    std::memcpy(&v, scores + j, sizeof v);
    v = exp_lanes((v - highest) / s.temperature);
    std::memcpy(scores + j, &v, sizeof v);
    total += load(scores + j);
  }
  const auto others = static_cast<float>(s.n_items - (d.indptr[user + 1] - d.indptr[user]));
  const float each = left > 0 ? others / static_cast<float>(left) : 0;  // items that a negative stands for
  const float far = (score - highest) / s.temperature;
  const float all = sum(total) * each, both = std::exp(far) + all;
  for (int j = 0; j < ld; j += W) store(scores + j, load(scores + j) * (each / both));
  *pull = all / both;
  return std::log(both) - far;
}

// The positives of two cells in turn, so that both end together.
struct Turns {
  const PairCells& cells;
  int64_t n[2], done[2] = {0, 0};
  explicit Turns(const PairCells& pair) : cells(pair) {
    for (int c = 0; c < 2; ++c) n[c] = pair.last[c] - pair.first[c];
  }
  int64_t left() const { return n[0] + n[1] - done[0] - done[1]; }
  int64_t next() {
    const int from = done[1] == n[1] || (done[0] < n[0] && done[0] * n[1] <= done[1] * n[0]) ? 0 : 1;
    return cells.first[from] + done[from]++;
  }
};

// What a step reads and changes: m positives and n negatives.
struct Step {
  Scratch own;
  int m, n;
  int32_t users[kBatch], chosen[kBatch], *negatives;
  float pull[kBatch];  // how much of a choice's row goes into the change of its user's
};

void gather_choices(const Pairs& d, Turns& turns, Step& step) {
  const auto bytes = sizeof(float) * static_cast<size_t>(d.ld);
  for (step.m = 0; step.m < kBatch && turns.left() > 0; ++step.m) {
    const int64_t e = turns.next();
    step.users[step.m] = d.user_codes[e];
    step.chosen[step.m] = d.item_codes[e];
    std::memcpy(step.own.x + step.m * d.ld, d.users + int64_t{d.user_codes[e]} * d.ld, bytes);
    std::memcpy(step.own.z + step.m * d.ld, d.items + int64_t{d.item_codes[e]} * d.ld, bytes);
  }
}

void gather_negatives(const Pairs& d, const Step& step, int32_t* places) {
  const int ld = d.ld, n = padded(step.n);
  const Scratch& own = step.own;
  for (int j = 0; j < step.n; ++j) {
    places[step.negatives[j]] = j;
    std::memcpy(own.y + int64_t{j} * ld, d.items + int64_t{step.negatives[j]} * ld,
                sizeof(float) * static_cast<size_t>(ld));
  }
  for (int j = 0; j < n; ++j)
    for (int t = 0; t < ld; ++t) own.turn[int64_t{t} * n + j] = own.y[int64_t{j} * ld + t];
}

// Scores, weights and pulls of the step, and its losses.
PairSum weigh_all(const SoftmaxPairs& s, Step& step, const int32_t* places) {
  const int ld = s.pairs.ld, n = padded(step.n);
  PairSum total{0, 0};
  multiply(step.own.x, ld, 1, step.own.turn, n, step.m, ld, step.own.p);
  for (int r = 0; r < step.m; ++r) {
    const float score = product(step.own.x + r * ld, step.own.z + r * ld, ld);
    const float loss = weigh(s, step.users[r], score, places, step.n, step.own.p + int64_t{r} * n, &step.pull[r]);
    if (step.pull[r] == 0 && loss == 0) continue;
    total.loss += static_cast<double>(loss);
    ++total.steps;
  }
  return total;
}

// Takes the step: users and their choices first, then negatives. A row that comes twice is changed twice.
void change_rows(const SoftmaxPairs& s, const Step& step, float lr) {
  const Pairs& d = s.pairs;
  const Scratch& own = step.own;
  const int ld = d.ld;
  multiply(own.p, padded(step.n), 1, own.y, ld, step.m, step.n, own.dx);
  multiply(own.p, 1, padded(step.n), own.x, ld, step.n, step.m, own.dy);
  const float decay = 2 * lr * d.weight_decay;
  for (int r = 0; r < step.m; ++r) {
    float *x = d.users + int64_t{step.users[r]} * ld, *z = d.items + int64_t{step.chosen[r]} * ld;
    const float one = x[ld - 1], pull = step.pull[r];
    for (int j = 0; j < ld; j += W) {
      store(x + j, (1 - decay) * load(x + j) + lr * (pull * load(own.z + r * ld + j) - load(own.dx + r * ld + j)));
      store(z + j, (1 - decay) * load(z + j) + lr * pull * load(own.x + r * ld + j));
    }
    x[ld - 1] = one;
  }
  const float keep = 1 - decay * static_cast<float>(step.m) / static_cast<float>(step.n);
  for (int j = 0; j < step.n; ++j) {
    float* const y = d.items + int64_t{step.negatives[j]} * ld;
    for (int t = 0; t < ld; t += W) store(y + t, keep * load(y + t) - lr * load(own.dy + int64_t{j} * ld + t));
    if (s.cosine) normalize(y, ld);
  }
  for (int r = 0; s.cosine && r < step.m; ++r) {
    normalize(d.users + int64_t{step.users[r]} * ld, ld);
    normalize(d.items + int64_t{step.chosen[r]} * ld, ld);
  }
}

}  // namespace

int64_t descend_softmax_scratch(int ld, int n_negatives) {
  const int64_t n = padded(n_negatives);
  return 3 * int64_t{kBatch} * ld + 3 * n * ld + kBatch * n;
}

// Steps of kBatch positives i, each against the same negatives j and the gradient of
//
//   -t ln( e^(x_ui / t) / (e^(x_ui / t) + n / m sum_j e^(x_uj / t)) )
//     + weight_decay (|p_u|^2 + |q_i|^2 + b_i^2 + mean_j (|q_j|^2 + b_j^2)),   x_ui = p_u . q_i + b_i,
//
// with t the temperature. The sum is over the m negatives that the user does not have; n is the number of items that
// the user does not have. So n / m times the sum is an estimate of that over all of them. With `cosine` the p and q
// that a step has changed are given the length 1 again. Negatives are the items of both blocks in random order, one
// after the other. Of a positive whose user has all negatives only the weight decay is left. Returns the sum of the
// losses divided by t, without weight decay.
PairSum descend_softmax(const SoftmaxPairs& s, const PairCells& cells, float lr, uint32_t task, float* memory,
                        int32_t* items) {
  int32_t *places = items, *shuffled = places + s.n_items;
  const int n_shuffled = shuffle_items(s.pairs, cells, task, shuffled);
  Step step{};
  step.negatives = shuffled + s.n_items;
  step.n = n_shuffled < s.n_negatives ? n_shuffled : s.n_negatives;
  step.own = split(memory, s.pairs.ld, padded(step.n));
  std::memset(step.own.y, 0, sizeof(float) * static_cast<size_t>(padded(step.n)) * static_cast<size_t>(s.pairs.ld));
  Turns turns(cells);
  PairSum total{0, 0};
  for (int next = 0; turns.left() > 0;) {
    gather_choices(s.pairs, turns, step);
    for (int j = 0; j < step.n; ++j, next = next + 1 == n_shuffled ? 0 : next + 1) step.negatives[j] = shuffled[next];
    gather_negatives(s.pairs, step, places);
    const PairSum here = weigh_all(s, step, places);
    total.loss += here.loss;
    total.steps += here.steps;
    change_rows(s, step, lr);
    for (int j = 0; j < step.n; ++j) places[step.negatives[j]] = -1;
  }
  return total;
}

}  // namespace PALATE_LEVEL
}  // namespace palate
