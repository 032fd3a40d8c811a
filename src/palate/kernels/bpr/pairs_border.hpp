// What the borders of descend_pairs and descend_softmax share: checks of positives, cells and blocks, and the loop over
// pairs of cells.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/border/border.hpp"
#include "kernels/bpr/bpr.hpp"

namespace palate {

inline void check_rows_rise(const int64_t* indptr, const int32_t* indices, int64_t n_rows) {
  for (int64_t r = 0; r < n_rows; ++r)
    for (int64_t e = indptr[r] + 1; e < indptr[r + 1]; ++e)
      if (indices[e - 1] >= indices[e])
        throw nb::value_error(("indices must rise in each row; row " + std::to_string(r) + " does not").c_str());
}

// The tables, the positives and what each user has; check_positives() looks at their values.
inline Pairs checked_pairs(const Mutable& users, const Mutable& items, const Array& user_codes, const Array& item_codes,
                           const Array& indptr, const Array& indices, double weight_decay, uint64_t seed,
                           uint32_t epoch) {
  if (users.ndim() != 2 || items.ndim() != 2) throw nb::type_error("users and items must have shape (n, ld)");
  const auto n_users = static_cast<int64_t>(users.shape(0));
  const auto ld = static_cast<int64_t>(users.shape(1)), n = static_cast<int64_t>(user_codes.size());
  const auto n_observed = static_cast<int64_t>(indices.size());
  if (ld < 1 || ld % kBprPadding != 0 || ld > kMaxFactors + kBprPadding)
    throw nb::value_error("users must have a multiple of 16 columns");
  if (n > UINT32_MAX) throw nb::value_error("there must be fewer than 2^32 positives");
  Pairs d{};
  d.users = checked_mutable<float>(users, "users", {kAny, ld});
  d.items = checked_mutable<float>(items, "items", {kAny, ld});
  d.ld = static_cast<int>(ld);
  d.user_codes = checked<int32_t>(user_codes, "user_codes", {n});
  d.item_codes = checked<int32_t>(item_codes, "item_codes", {n});
  d.indptr = checked<int64_t>(indptr, "indptr", {n_users + 1});
  d.indices = checked<int32_t>(indices, "indices", {n_observed});
  d.weight_decay = checked_number(weight_decay, "weight_decay", 0, true);
  d.seed = seed;
  d.epoch = epoch;
  return d;
}

inline void check_positives(const Pairs& d, const Mutable& users, const Mutable& items, const Array& user_codes,
                            const Array& indices) {
  const auto n_users = static_cast<int64_t>(users.shape(0)), n_items = static_cast<int64_t>(items.shape(0));
  const auto n = static_cast<int64_t>(user_codes.size()), n_observed = static_cast<int64_t>(indices.size());
  check_indptr(d.indptr, n_users, n_observed);
  check_bounds(d.user_codes, n, n_users, "user_codes");
  check_bounds(d.item_codes, n, n_items, "item_codes");
  check_bounds(d.indices, n_observed, n_items, "indices");
  check_rows_rise(d.indptr, d.indices, n_users);
}

// The blocks of items. Returns how many there are.
inline int64_t check_item_blocks(Pairs& d, int64_t n_items, const Array& blocks, const Array& block_items) {
  const int64_t n_blocks = blocks.ndim() == 1 ? static_cast<int64_t>(blocks.shape(0)) - 1 : -1;
  if (n_blocks < 1) throw nb::type_error("blocks must have shape (n_blocks + 1,)");
  d.blocks = checked<int64_t>(blocks, "blocks", {n_blocks + 1});
  d.block_items = checked<int32_t>(block_items, "block_items", {n_items});
  check_indptr(d.blocks, n_blocks, n_items, "blocks");
  check_bounds(d.block_items, n_items, n_items, "block_items");
  return n_blocks;
}

// The cells, and the order in which they are visited.
struct PairStrata {
  const int64_t* begin;    // (n_cells + 1,)
  const int32_t* cell_of;  // (n_strata, side, 2)
  const float* rates;      // (n_strata,)
  int64_t n_strata, side, n_blocks;
};

inline PairStrata checked_strata(const Array& cells, const Array& strata, const Array& rates, int64_t n_blocks,
                                 size_t n_positives) {
  const int64_t n_cells = cells.ndim() == 1 ? static_cast<int64_t>(cells.shape(0)) - 1 : -1;
  if (n_cells < 0) throw nb::type_error("cells must have shape (n_cells + 1,)");
  PairStrata grid{};
  grid.n_blocks = n_blocks;
  grid.n_strata = static_cast<int64_t>(rates.size());
  grid.side = strata.ndim() == 3 ? static_cast<int64_t>(strata.shape(1)) : 0;
  grid.begin = checked<int64_t>(cells, "cells", {n_cells + 1});
  grid.cell_of = checked<int32_t>(strata, "strata", {grid.n_strata, grid.side, 2});
  grid.rates = checked<float>(rates, "rates", {grid.n_strata});
  check_indptr(grid.begin, n_cells, static_cast<int64_t>(n_positives), "cells");
  check_bounds(grid.cell_of, grid.n_strata * grid.side * 2, n_cells, "strata");
  check_not_negative(grid.rates, grid.n_strata, "rates");
  return grid;
}

// Runs descend(cells, rate, number of the pair, worker) for all pairs of cells. Returns the sum of what it gives.
template <typename Descend>
nb::tuple run_pairs(const PairStrata& grid, int n_threads, Descend descend) {
  std::vector<PairSum> sums(static_cast<size_t>(grid.n_strata * grid.side), PairSum{0, 0});
  run_strata(grid.n_strata, grid.side, n_threads, [&](int64_t s, int64_t at, int worker) {
    const int64_t number = s * grid.side + at;
    PairCells pair{};
    for (int c = 0; c < 2; ++c) {
      const int32_t cell = grid.cell_of[number * 2 + c];
      pair.first[c] = grid.begin[cell];
      pair.last[c] = grid.begin[cell + 1];
      pair.block[c] = static_cast<int32_t>(cell % grid.n_blocks);
    }
    sums[static_cast<size_t>(number)] = descend(pair, grid.rates[s], number, worker);
  });
  PairSum total{0, 0};
  for (const PairSum& here : sums) {
    total.loss += here.loss;
    total.steps += here.steps;
  }
  return nb::make_tuple(total.loss, total.steps);
}

}  // namespace palate
