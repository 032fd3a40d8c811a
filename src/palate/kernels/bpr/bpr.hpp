// Arguments of descend_pairs (Bayesian personalized ranking, a pairwise loss) and descend_softmax (many negatives).
#pragma once
#include <cstdint>

namespace palate {

constexpr int kBprPadding = 16;  // rows of the tables are whole multiples of this many floats, at every level

// The equation stands above `descend_pairs` in bpr.cpp. A row of either table holds its factors, zeros, and in the last
// column 1 for a user and the bias for an item.
struct Pairs {
  float* users;  // (n_users, ld), changed in place
  float* items;  // (n_items, ld), changed in place
  int ld;        // floats in a row
  // The positives (observed pairs) in the order of the steps; and the same by user, to tell what is not a negative.
  const int32_t* user_codes;  // (n,)
  const int32_t* item_codes;  // (n,)
  const int64_t* indptr;      // (n_users + 1,)
  const int32_t* indices;     // (n_observed,) rising in each row
  // The items by block, from which negatives are drawn, with Walker's aliases in each block.
  const int64_t* blocks;       // (n_blocks + 1,) where each block begins in `block_items`
  const int32_t* block_items;  // (n_items,)
  const float* accept;         // (n_items,) probability of the item itself; null: all items are equally likely
  const int32_t* alias;        // (n_items,) the item drawn otherwise
  const float* own;            // (n_blocks,) probability that the negative comes from the block of the positive
  int n_candidates;            // negatives drawn for a step; the one with the highest score is used
  float weight_decay;
  uint64_t seed;
  uint32_t epoch;
};

// A task: two cells, positives first[0] .. last[0] of block[0] and first[1] .. last[1] of block[1], of the same users.
struct PairCells {
  int64_t first[2], last[2];
  int32_t block[2];
};

struct PairSum {
  double loss;    // sum over the steps, each before it changes its rows
  int64_t steps;  // positives for which a negative was found
};

// One pass over two cells of positives, at rate lr.
using DescendPairs = PairSum(const Pairs& pairs, const PairCells& cells, float lr);

constexpr int kBatch = 32;  // positives of a step of descend_softmax, which share their negatives

// The equation stands above `descend_softmax` in softmax.cpp. Of the pairs, what tells how single negatives are drawn
// (accept, alias, own, n_candidates) is not used.
struct SoftmaxPairs {
  Pairs pairs;
  int64_t n_items;
  int n_negatives;    // of a step; all items of the two blocks if these are fewer
  float temperature;  // scores are divided by it
  bool cosine;        // factors have length 1, before and after each step
};

// One pass over two cells of positives, at rate lr. task: the number of the pair of cells within the epoch, for the
// random numbers. items: (3 n_items,), of which the first third is -1 before and after.
using DescendSoftmax = PairSum(const SoftmaxPairs& problem, const PairCells& cells, float lr, uint32_t task,
                               float* scratch, int32_t* items);
using DescendSoftmaxScratch = int64_t(int ld, int n_negatives);  // floats

}  // namespace palate
