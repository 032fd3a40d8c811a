// The Python border of descend_pairs.
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/border/border.hpp"
#include "kernels/levels/levels.hpp"

using namespace nanobind::literals;

namespace palate {
namespace {

void check_rows_rise(const int64_t* indptr, const int32_t* indices, int64_t n_rows) {
  for (int64_t r = 0; r < n_rows; ++r)
    for (int64_t e = indptr[r] + 1; e < indptr[r + 1]; ++e)
      if (indices[e - 1] >= indices[e])
        throw nb::value_error(("indices must rise in each row; row " + std::to_string(r) + " does not").c_str());
}

void check_probabilities(const float* numbers, int64_t n, const char* name) {
  for (int64_t i = 0; numbers && i < n; ++i)
    if (!(numbers[i] >= 0 && numbers[i] <= 1))
      throw nb::value_error((std::string(name) + " must lie between 0 and 1").c_str());
}

// The blocks that negatives are drawn from. Returns how many there are.
int64_t check_blocks(Pairs& d, int64_t n_items, const Array& blocks, const Array& block_items, const Array& own,
                     const MaybeArray& accept, const MaybeArray& alias) {
  const int64_t n_blocks = blocks.ndim() == 1 ? static_cast<int64_t>(blocks.shape(0)) - 1 : -1;
  if (n_blocks < 1) throw nb::type_error("blocks must have shape (n_blocks + 1,)");
  if (accept.has_value() != alias.has_value()) throw nb::type_error("give both accept and alias, or neither");
  d.blocks = checked<int64_t>(blocks, "blocks", {n_blocks + 1});
  d.block_items = checked<int32_t>(block_items, "block_items", {n_items});
  d.accept = checked<float>(accept, "accept", {n_items});
  d.alias = checked<int32_t>(alias, "alias", {n_items});
  d.own = checked<float>(own, "own", {n_blocks});
  check_indptr(d.blocks, n_blocks, n_items, "blocks");
  check_bounds(d.block_items, n_items, n_items, "block_items");
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
  if (users.ndim() != 2 || items.ndim() != 2) throw nb::type_error("users and items must have shape (n, ld)");
  const auto n_users = static_cast<int64_t>(users.shape(0)), n_items = static_cast<int64_t>(items.shape(0));
  const auto ld = static_cast<int64_t>(users.shape(1)), n = static_cast<int64_t>(user_codes.size());
  if (ld < 1 || ld % kBprPadding != 0 || ld > kMaxFactors + kBprPadding)
    throw nb::value_error("users must have a multiple of 16 columns");
  if (n > UINT32_MAX) throw nb::value_error("there must be fewer than 2^32 positives");
  if (n_candidates < 1 || n_candidates > 1024) throw nb::value_error("n_candidates must be between 1 and 1024");
  const int64_t n_cells = cells.ndim() == 1 ? static_cast<int64_t>(cells.shape(0)) - 1 : -1;
  if (n_cells < 0) throw nb::type_error("cells must have shape (n_cells + 1,)");
  const auto n_strata = static_cast<int64_t>(rates.size()), n_observed = static_cast<int64_t>(indices.size());
  const int64_t side = strata.ndim() == 3 ? static_cast<int64_t>(strata.shape(1)) : 0;

  Pairs d{};
  d.users = checked_mutable<float>(users, "users", {kAny, ld});
  d.items = checked_mutable<float>(items, "items", {kAny, ld});
  d.ld = static_cast<int>(ld);
  d.user_codes = checked<int32_t>(user_codes, "user_codes", {n});
  d.item_codes = checked<int32_t>(item_codes, "item_codes", {n});
  d.indptr = checked<int64_t>(indptr, "indptr", {n_users + 1});
  d.indices = checked<int32_t>(indices, "indices", {n_observed});
  d.n_candidates = n_candidates;
  d.weight_decay = checked_number(weight_decay, "weight_decay", 0, true);
  d.seed = seed;
  d.epoch = epoch;
  const int64_t n_blocks = check_blocks(d, n_items, blocks, block_items, own, accept, alias);
  const int64_t* begin = checked<int64_t>(cells, "cells", {n_cells + 1});
  const int32_t* cell_of = checked<int32_t>(strata, "strata", {n_strata, side, 2});
  const float* lr = checked<float>(rates, "rates", {n_strata});
  check_indptr(begin, n_cells, n, "cells");
  check_indptr(d.indptr, n_users, n_observed);
  check_bounds(cell_of, n_strata * side * 2, n_cells, "strata");
  check_bounds(d.user_codes, n, n_users, "user_codes");
  check_bounds(d.item_codes, n, n_items, "item_codes");
  check_bounds(d.indices, n_observed, n_items, "indices");
  check_rows_rise(d.indptr, d.indices, n_users);
  check_not_negative(lr, n_strata, "rates");

  std::vector<PairSum> sums(static_cast<size_t>(n_strata * side), PairSum{0, 0});
  const Level& kernels = level();
  run_strata(n_strata, side, checked_threads(n_threads), [&](int64_t s, int64_t at) {
    PairCells pair{};
    for (int c = 0; c < 2; ++c) {
      const int32_t cell = cell_of[(s * side + at) * 2 + c];
      pair.first[c] = begin[cell];
      pair.last[c] = begin[cell + 1];
      pair.block[c] = static_cast<int32_t>(cell % n_blocks);
    }
    sums[s * side + at] = kernels.descend_pairs(d, pair, lr[s]);
  });
  PairSum total{0, 0};
  for (const PairSum& here : sums) {
    total.loss += here.loss;
    total.steps += here.steps;
  }
  return nb::make_tuple(total.loss, total.steps);
}

}  // namespace

void add_bpr(nb::module_& m) {
  m.def("descend_pairs", &descend_pairs, "users"_a.noconvert(), "items"_a.noconvert(), "user_codes"_a, "item_codes"_a,
        "indptr"_a, "indices"_a, "cells"_a, "strata"_a, "rates"_a, nb::kw_only(), "blocks"_a, "block_items"_a, "own"_a,
        "accept"_a.none() = nb::none(), "alias"_a.none() = nb::none(), "n_candidates"_a = 1, "weight_decay"_a = 0.0,
        "seed"_a = 0, "epoch"_a = 0, "n_threads"_a = 0, kDoc);
}

}  // namespace palate
