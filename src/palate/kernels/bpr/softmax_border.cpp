// The Python border of descend_softmax.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/bpr/pairs_border.hpp"
#include "kernels/levels/levels.hpp"

using namespace nanobind::literals;

namespace palate {
namespace {

constexpr char kDoc[] =
    R"(One epoch of stochastic gradient descent on a sampled softmax, changing users and items in place.

A user's row x is [p, zeros, 1] and an item's row z is [q, zeros, b]. A step takes 32 positives, which share their
negatives, and goes against the gradient of the sum over the positives i of

    -t ln( e^(x . z_i / t) / (e^(x . z_i / t) + n / m sum_j e^(x . z_j / t)) )
        + weight_decay (|p|^2 + |z_i|^2 + mean_j |z_j|^2)

with t the temperature, j the m negatives that the user does not have, and n the number of items that the user does not
have. With cosine, p and q have length 1: what a step changes is given it again. Of a positive whose user has all negatives only the weight decay is left.

Positives lie in cells, and pairs of cells in strata, as for descend_pairs. Negatives are the items of both blocks of a
pair, in a random order, one after the other and from the start again.

Parameters:
    users (float32 array (n_users, ld)): Rows x, changed in place; ld a multiple of 16.
    items (float32 array (n_items, ld)): Rows z, changed in place.
    user_codes, item_codes (int32 array (n,)): The positives, cell by cell; n below 2^32.
    indptr (int64 array (n_users + 1,)), indices (int32 array): The items each user has, rising in each row.
    cells (int64 array (n_cells + 1,)): Where each cell's positives begin.
    strata (int32 array (n_strata, side, 2)): The pairs of cells of each stratum.
    rates (float32 array (n_strata,)): The rate lr of each stratum, 0 or more.
    blocks (int64 array (n_blocks + 1,)): Where each block of items begins in block_items.
    block_items (int32 array (n_items,)): The items, block by block, each once.
    n_negatives (int): Negatives of a step, between 1 and 4096; all items of both blocks if these are fewer.
    temperature (float, default 1): Above 0.
    cosine (bool, default False): Keep p and q at length 1.
    weight_decay (float, default 0): 0 or more.
    seed (int, default 0), epoch (int, default 0): Key and counter of the random order, below 2^64 and 2^32.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    (float, int): The sum of the losses divided by t, without weight decay and each before its step, and the number of
        positives with a negative.

Raises:
    TypeError: An array has another dtype, shape or layout, or is read-only where it is changed.
    ValueError: An argument is out of range.
    IndexError: A code, or a cell of strata, is out of bounds.)";

constexpr int kMaxNegatives = 4096;

void check_each_once(const int32_t* block_items, int64_t n_items) {
  std::vector<bool> seen(static_cast<size_t>(n_items), false);
  for (int64_t at = 0; at < n_items; ++at) {
    if (seen[static_cast<size_t>(block_items[at])]) throw nb::value_error("block_items must hold each item once");
    seen[static_cast<size_t>(block_items[at])] = true;
  }
}

nb::tuple descend_softmax(const Mutable& users, const Mutable& items, const Array& user_codes, const Array& item_codes,
                          const Array& indptr, const Array& indices, const Array& cells, const Array& strata,
                          const Array& rates, const Array& blocks, const Array& block_items, int n_negatives,
                          double temperature, bool cosine, double weight_decay, uint64_t seed, uint32_t epoch,
                          int n_threads) {
  if (n_negatives < 1 || n_negatives > kMaxNegatives) throw nb::value_error("n_negatives must be between 1 and 4096");
  SoftmaxPairs s{};
  s.pairs = checked_pairs(users, items, user_codes, item_codes, indptr, indices, weight_decay, seed, epoch);
  s.n_items = static_cast<int64_t>(items.shape(0));
  s.temperature = checked_number(temperature, "temperature", 0, false);
  s.cosine = cosine;
  const int64_t n_blocks = check_item_blocks(s.pairs, s.n_items, blocks, block_items);
  check_positives(s.pairs, users, items, user_codes, indices);
  check_each_once(s.pairs.block_items, s.n_items);
  s.n_negatives = static_cast<int>(std::min<int64_t>(n_negatives, std::max<int64_t>(s.n_items, 1)));
  const PairStrata grid = checked_strata(cells, strata, rates, n_blocks, user_codes.size());

  const Level& kernels = level();
  const int threads = threads_for(grid.side, checked_threads(n_threads));
  const ThreadScratch scratch(threads, kernels.descend_softmax_scratch(s.pairs.ld, s.n_negatives));
  std::vector<std::vector<int32_t>> places(static_cast<size_t>(threads));
  for (auto& own : places) own.resize(static_cast<size_t>(size_of({3, s.n_items})), -1);
  return run_pairs(grid, threads, [&](const PairCells& cells_of, float lr, int64_t number, int worker) {
    return kernels.descend_softmax(s, cells_of, lr, static_cast<uint32_t>(number), scratch[worker],
                                   places[static_cast<size_t>(worker)].data());
  });
}

}  // namespace

void add_softmax(nb::module_& m) {
  m.def("descend_softmax", &descend_softmax, "users"_a.noconvert(), "items"_a.noconvert(), "user_codes"_a,
        "item_codes"_a, "indptr"_a, "indices"_a, "cells"_a, "strata"_a, "rates"_a, nb::kw_only(), "blocks"_a,
        "block_items"_a, "n_negatives"_a, "temperature"_a = 1.0, "cosine"_a = false, "weight_decay"_a = 0.0,
        "seed"_a = 0, "epoch"_a = 0, "n_threads"_a = 0, kDoc);
}

}  // namespace palate
