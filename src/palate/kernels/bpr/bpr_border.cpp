// The Python border of descend_pairs.
#include <cstdint>
#include <string>

#include "kernels/bpr/pairs_border.hpp"
#include "kernels/levels/levels.hpp"

using namespace nanobind::literals;

namespace palate {
namespace {

void check_probabilities(const float* numbers, int64_t n, const char* name) {
  for (int64_t i = 0; numbers && i < n; ++i)
    if (!(numbers[i] >= 0 && numbers[i] <= 1))
      throw nb::value_error((std::string(name) + " must lie between 0 and 1").c_str());
}

// The blocks that negatives are drawn from, and how. Returns how many there are.
int64_t check_blocks(Pairs& d, int64_t n_items, const Array& blocks, const Array& block_items, const Array& own,
                     const MaybeArray& accept, const MaybeArray& alias) {
  if (accept.has_value() != alias.has_value()) throw nb::type_error("give both accept and alias, or neither");
  const int64_t n_blocks = check_item_blocks(d, n_items, blocks, block_items);
  d.accept = checked<float>(accept, "accept", {n_items});
  d.alias = checked<int32_t>(alias, "alias", {n_items});
  d.own = checked<float>(own, "own", {n_blocks});
  if (d.alias) check_bounds(d.alias, n_items, n_items, "alias");
  check_probabilities(d.own, n_blocks, "own");
  check_probabilities(d.accept, n_items, "accept");
  return n_blocks;
}

constexpr char kDoc[] =
    R"(One epoch of BPR, stochastic gradient descent on a pairwise loss, changing users and items in place.

A user's row x is [p, zeros, 1] and an item's row z is [q, zeros, b]. A step goes against the gradient of

    -ln sigmoid(x . z_i - x . z_j) + weight_decay (|p|^2 + |z_i|^2 + |z_j|^2)

with i a positive and j a negative: of n_candidates items drawn that the user does not have, the one with the highest
score. A positive is skipped if n_candidates + 15 draws find none.

Positives lie in cells, number a * n_blocks + b: block a of users, block b of items. A stratum is a set of pairs of
cells that share no user and no item with another pair. Strata follow each other; their pairs are shared out among the
threads. A negative comes from the block of its positive with probability own[block], otherwise from the block of the
other cell of the pair.

Parameters:
    users (float32 array (n_users, ld)): Rows x, changed in place; ld a multiple of 16.
    items (float32 array (n_items, ld)): Rows z, changed in place.
    user_codes, item_codes (int32 array (n,)): The positives, cell by cell; n below 2^32.
    indptr (int64 array (n_users + 1,)), indices (int32 array): The items each user has, rising in each row.
    cells (int64 array (n_cells + 1,)): Where each cell's positives begin.
    strata (int32 array (n_strata, side, 2)): The pairs of cells of each stratum.
    rates (float32 array (n_strata,)): The rate lr of each stratum, 0 or more.
    blocks (int64 array (n_blocks + 1,)): Where each block of items begins in block_items.
    block_items (int32 array (n_items,)): The items, block by block.
    own (float32 array (n_blocks,)): Probabilities.
    accept (float32 array (n_items,), default None): Walker's probabilities of drawing the item itself, by its place in
        block_items; None: all items of a block are equally likely.
    alias (int32 array (n_items,), default None): The item drawn otherwise; given with accept.
    n_candidates (int, default 1): Between 1 and 1024.
    weight_decay (float, default 0): 0 or more.
    seed (int, default 0), epoch (int, default 0): Key and counter of the draws, below 2^64 and 2^32.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    (float, int): The sum of -ln sigmoid(x . z_i - x . z_j), each before its step, and the number of steps.

Raises:
    TypeError: An array has another dtype, shape or layout, or is read-only where it is changed.
    ValueError: An argument is out of range.
    IndexError: A code, or a cell of strata, is out of bounds.)";

nb::tuple descend_pairs(const Mutable& users, const Mutable& items, const Array& user_codes, const Array& item_codes,
                        const Array& indptr, const Array& indices, const Array& cells, const Array& strata,
                        const Array& rates, const Array& blocks, const Array& block_items, const Array& own,
                        const MaybeArray& accept, const MaybeArray& alias, int n_candidates, double weight_decay,
                        uint64_t seed, uint32_t epoch, int n_threads) {
  if (n_candidates < 1 || n_candidates > 1024) throw nb::value_error("n_candidates must be between 1 and 1024");
  Pairs d = checked_pairs(users, items, user_codes, item_codes, indptr, indices, weight_decay, seed, epoch);
  d.n_candidates = n_candidates;
  const int64_t n_blocks = check_blocks(d, items.shape(0), blocks, block_items, own, accept, alias);
  check_positives(d, users, items, user_codes, indices);
  const PairStrata grid = checked_strata(cells, strata, rates, n_blocks, user_codes.size());
  const Level& kernels = level();
  return run_pairs(grid, checked_threads(n_threads), [&](const PairCells& cells_of, float lr, int64_t, int) {
    return kernels.descend_pairs(d, cells_of, lr);
  });
}

}  // namespace

void add_bpr(nb::module_& m) {
  m.def("descend_pairs", &descend_pairs, "users"_a.noconvert(), "items"_a.noconvert(), "user_codes"_a, "item_codes"_a,
        "indptr"_a, "indices"_a, "cells"_a, "strata"_a, "rates"_a, nb::kw_only(), "blocks"_a, "block_items"_a, "own"_a,
        "accept"_a.none() = nb::none(), "alias"_a.none() = nb::none(), "n_candidates"_a = 1, "weight_decay"_a = 0.0,
        "seed"_a = 0, "epoch"_a = 0, "n_threads"_a = 0, kDoc);
}

}  // namespace palate
