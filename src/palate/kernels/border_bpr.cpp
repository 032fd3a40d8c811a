// The Python border of the BPR kernel.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <vector>

#include "border.hpp"
#include "bpr.hpp"
#include "checks.hpp"
#include "rows.hpp"

namespace palate {

using namespace nb::literals;

namespace {

void check_rows_rise(const int64_t* indptr, const int32_t* indices, int64_t n_rows) {
  for (int64_t r = 0; r < n_rows; ++r)
    for (int64_t e = indptr[r] + 1; e < indptr[r + 1]; ++e)
      if (indices[e - 1] >= indices[e])
        throw nb::value_error(("indices must rise in each row; row " + std::to_string(r) + " does not").c_str());
}

void check_chances(const float* chances, int64_t n, const char* name) {
  for (int64_t i = 0; chances && i < n; ++i)
    if (!(chances[i] >= 0 && chances[i] <= 1))
      throw nb::value_error((std::string(name) + " must lie between 0 and 1").c_str());
}

// One epoch of BPR over a grid of cells (a, b), number a * n_blocks + b: a block of users, a block of items. A stratum
// is a set of pairs of cells that share no user and no item with another pair; its pairs are the tasks of the threads,
// and one stratum follows the other, so that any number of threads gives the same bytes.
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
  if (n > UINT32_MAX) throw nb::value_error("an epoch has at most 2^32 - 1 steps");
  if (accept.has_value() != alias.has_value()) throw nb::type_error("give both accept and alias, or neither");
  if (n_candidates < 1 || n_candidates > 1024) throw nb::value_error("n_candidates must be between 1 and 1024");
  const int64_t n_cells = cells.ndim() == 1 ? static_cast<int64_t>(cells.shape(0)) - 1 : -1;
  if (n_cells < 0) throw nb::type_error("cells must have shape (n_cells + 1,)");
  const int64_t n_blocks = blocks.ndim() == 1 ? static_cast<int64_t>(blocks.shape(0)) - 1 : -1;
  if (n_blocks < 1) throw nb::type_error("blocks must have shape (n_blocks + 1,)");
  const auto n_strata = static_cast<int64_t>(rates.size());
  const int64_t side = strata.ndim() == 3 ? static_cast<int64_t>(strata.shape(1)) : 0;
  const auto n_known = static_cast<int64_t>(indices.size());

  Pairs d{};
  d.users = checked_mutable<float>(users, "users", {kAny, ld});
  d.items = checked_mutable<float>(items, "items", {kAny, ld});
  d.ld = static_cast<int>(ld);
  d.user_codes = checked<int32_t>(user_codes, "user_codes", {n});
  d.item_codes = checked<int32_t>(item_codes, "item_codes", {n});
  d.indptr = checked<int64_t>(indptr, "indptr", {n_users + 1});
  d.indices = checked<int32_t>(indices, "indices", {n_known});
  d.blocks = checked<int64_t>(blocks, "blocks", {n_blocks + 1});
  d.block_items = checked<int32_t>(block_items, "block_items", {n_items});
  d.accept = checked<float>(accept, "accept", {n_items});
  d.alias = checked<int32_t>(alias, "alias", {n_items});
  d.own = checked<float>(own, "own", {n_blocks});
  d.n_candidates = n_candidates;
  d.weight_decay = checked_number(weight_decay, "weight_decay", 0, true);
  d.seed = seed;
  d.epoch = epoch;
  const int64_t* begin = checked<int64_t>(cells, "cells", {n_cells + 1});
  const int32_t* cell_of = checked<int32_t>(strata, "strata", {n_strata, side, 2});
  const float* lr = checked<float>(rates, "rates", {n_strata});
  check_indptr(begin, n_cells, n);
  check_indptr(d.indptr, n_users, n_known);
  check_indptr(d.blocks, n_blocks, n_items);
  check_bounds(cell_of, n_strata * side * 2, n_cells, "strata");
  check_bounds(d.user_codes, n, n_users, "user_codes");
  check_bounds(d.item_codes, n, n_items, "item_codes");
  check_bounds(d.indices, n_known, n_items, "indices");
  check_bounds(d.block_items, n_items, n_items, "block_items");
  if (d.alias) check_bounds(d.alias, n_items, n_items, "alias");
  check_rows_rise(d.indptr, d.indices, n_users);
  check_chances(d.own, n_blocks, "own");
  check_chances(d.accept, n_items, "accept");
  check_not_negative(lr, n_strata, "rates");

  std::vector<PairSum> sums(static_cast<size_t>(n_strata * side), PairSum{0, 0});
  const Level& kernels = level();
  // A thread takes the same blocks of users in every stratum, whose rows then stay in its cache.
  const int64_t threads = std::max<int64_t>(1, std::min<int64_t>(checked_threads(n_threads), side));
  for (int64_t s = 0; s < n_strata; ++s)
    run(threads, static_cast<int>(threads), [&](int64_t first, int) {
      for (int64_t at = first; at < side; at += threads) {
        PairCells pair{};
        for (int c = 0; c < 2; ++c) {
          const int32_t cell = cell_of[(s * side + at) * 2 + c];
          pair.first[c] = begin[cell];
          pair.last[c] = begin[cell + 1];
          pair.block[c] = static_cast<int32_t>(cell % n_blocks);
        }
        sums[s * side + at] = kernels.descend_pairs(d, pair, lr[s]);
      }
    });
  PairSum total{0, 0};
  for (const PairSum& here : sums) {
    total.loss += here.loss;
    total.steps += here.steps;
  }
  return nb::make_tuple(total.loss, total.steps);
}

}  // namespace

void add_bpr_kernels(nb::module_& m) {
  m.def("descend_pairs", &descend_pairs, "users"_a.noconvert(), "items"_a.noconvert(), "user_codes"_a, "item_codes"_a,
        "indptr"_a, "indices"_a, "cells"_a, "strata"_a, "rates"_a, nb::kw_only(), "blocks"_a, "block_items"_a, "own"_a,
        "accept"_a.none() = nb::none(), "alias"_a.none() = nb::none(), "n_candidates"_a = 1, "weight_decay"_a = 0.0,
        "seed"_a = 0, "epoch"_a = 0, "n_threads"_a = 0);
}

}  // namespace palate
