// The Python border: checks every array (dtype, shape, contiguity, index bounds), releases the GIL, hands out tasks.
#include "border.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "checks.hpp"
#include "memory.hpp"
#include "philox.hpp"
#include "pool.hpp"
#include "rows.hpp"
#include "schedule.hpp"
#include "sgd.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace palate {
namespace {

// One vector [q, c] as its partner sees it: [q, 1], zeros behind, and c apart; without a bias, q and zeros.
void as_partner(const float* from, int k, int ld, float* to, float* bias) {
  std::copy(from, from + k, to);
  std::fill(to + k, to + ld, 0.0f);
  if (!bias) return;
  *bias = to[k - 1];
  to[k - 1] = 1.0f;
}

nb::tuple solve_rows(const Array& indptr, const Array& indices, const Array& values, const Array& other,
                     const Array& precision, const Array& mean, const MaybeArray& weights,
                     const MaybeArray& row_weights, const MaybeArray& other_weights, const MaybeArray& ridge,
                     const MaybeArray& background, bool bias, double center, double scale, double alpha, bool draw,
                     uint64_t seed, uint32_t sweep, uint32_t stream, bool errors, int n_threads) {
  if (indptr.ndim() != 1 || indptr.shape(0) < 1) throw nb::type_error("indptr must have shape (n_rows + 1,)");
  if (other.ndim() != 2) throw nb::type_error("other must have shape (n_other, k)");
  const auto n_rows = static_cast<int64_t>(indptr.shape(0)) - 1;
  const auto n = static_cast<int64_t>(values.size());
  const auto k = static_cast<int64_t>(other.shape(1));
  if (k < 1 || k > kMaxFactors) throw nb::value_error("other must have between 1 and 4096 columns");

  Problem p{};
  p.rows = {checked<int64_t>(indptr, "indptr", {n_rows + 1}), checked<int32_t>(indices, "indices", {n}),
            checked<float>(values, "values", {n}), checked<float>(weights, "weights", {n})};
  const float* q = checked<float>(other, "other", {kAny, k});
  p.precision = checked<float>(precision, "precision", {k, k});
  p.mean_per_row = mean.ndim() == 2;
  p.mean = p.mean_per_row ? checked<float>(mean, "mean", {n_rows, k}) : checked<float>(mean, "mean", {k});
  p.row_weights = checked<float>(row_weights, "row_weights", {n_rows});
  p.other_weights = checked<float>(other_weights, "other_weights", {static_cast<int64_t>(other.shape(0))});
  p.ridge = checked<float>(ridge, "ridge", {n_rows});
  p.background = checked<float>(background, "background", {k, k});
  check_indptr(p.rows.indptr, n_rows, n);
  check_bounds(p.rows.indices, n, static_cast<int64_t>(other.shape(0)), "indices");
  check_not_negative(p.rows.weights, n, "weights");
  check_not_negative(p.row_weights, n_rows, "row_weights");
  check_not_negative(p.other_weights, static_cast<int64_t>(other.shape(0)), "other_weights");
  check_not_negative(p.ridge, n_rows, "ridge");
  check_finite(p.precision, k * k, "precision");
  check_finite(p.background, k * k, "background");
  check_finite(p.mean, p.mean_per_row ? n_rows * k : k, "mean");
  p.k = static_cast<int>(k);
  p.center = checked_number(center, "center", -INFINITY, true);
  p.scale = checked_number(scale, "scale", 0, false);
  p.alpha = checked_number(alpha, "alpha", 0, true);
  p.draw = draw;
  p.seed = seed;
  p.sweep = sweep;
  p.stream = stream;

  const Owned<float> out(n_rows * k);
  const Owned<double> row_errors(errors ? n_rows : 0);
  p.out = out.data;
  p.errors = errors ? row_errors.data : nullptr;

  const auto n_other = static_cast<int64_t>(other.shape(0));
  const int ld = level().padded(p.k);
  const TableFloats z(n_other * ld);
  const AlignedFloats biases(bias ? n_other : 0);
  p.z = z.data;
  p.biases = bias ? biases.data : nullptr;
  constexpr int64_t kBlock = 4096;
  run((n_other + kBlock - 1) / kBlock, checked_threads(n_threads), [&](int64_t task, int) {
    for (int64_t row = task * kBlock; row < std::min(n_other, (task + 1) * kBlock); ++row)
      as_partner(q + row * k, p.k, ld, z.data + row * ld, bias ? biases.data + row : nullptr);
  });

  const Schedule schedule(p.rows.indptr, n_rows, p.k, checked_threads(n_threads));
  const int threads =
      static_cast<int>(std::min<int64_t>(checked_threads(n_threads), std::max<int64_t>(schedule.n_tasks(), 1)));
  const Level& kernels = level();
  std::vector<std::unique_ptr<AlignedFloats>> scratch;
  for (int t = 0; t < threads; ++t) scratch.push_back(std::make_unique<AlignedFloats>(kernels.scratch_floats(p.k)));
  std::vector<int64_t> failed(static_cast<size_t>(threads), -1);
  run(schedule.n_tasks(), threads, [&](int64_t task, int worker) {
    const int64_t first = schedule.task_begin[task], last = schedule.task_begin[task + 1];
    const int64_t bad = kernels.solve(p, schedule.order.data() + first, last - first, scratch[worker]->data);
    if (bad >= 0) failed[worker] = bad;
  });
  for (int64_t row : failed)
    if (row >= 0)
      throw nb::value_error(
          ("the matrix of row " + std::to_string(row) + " is not positive definite: give a prior precision that is")
              .c_str());
  nb::object error_array = errors ? row_errors.array({static_cast<size_t>(n_rows)}) : nb::none();
  return nb::make_tuple(out.array({static_cast<size_t>(n_rows), static_cast<size_t>(k)}), error_array);
}

// One epoch of SGD over a grid of cells. A stratum is a set of cells that share no user and no item; its cells are the
// tasks of the threads, and one stratum follows the other, so that any number of threads gives the same bytes.
double descend(const Mutable& users, const Mutable& items, const Array& user_codes, const Array& item_codes,
               const Array& values, const Array& cells, const Array& strata, const Array& rates,
               const MaybeArray& weights, const MaybeMutable& user_squares, const MaybeMutable& item_squares,
               int n_factors, bool bias, double mean, double scale, double low, double high, double weight_decay,
               int n_threads) {
  if (users.ndim() != 2 || items.ndim() != 2) throw nb::type_error("users and items must have shape (n, ld)");
  const auto n_users = static_cast<int64_t>(users.shape(0)), n_items = static_cast<int64_t>(items.shape(0));
  const auto ld = static_cast<int64_t>(users.shape(1)), n = static_cast<int64_t>(values.size());
  if (n_factors < 0 || n_factors + 2 > ld || ld % kSgdPadding != 0 || ld > kMaxFactors + kSgdPadding)
    throw nb::value_error("users must have a multiple of 16 columns, n_factors + 2 or more");
  if (user_squares.has_value() != item_squares.has_value())
    throw nb::type_error("give both user_squares and item_squares, or neither");
  const auto n_strata = static_cast<int64_t>(rates.size());
  const int64_t side = strata.ndim() == 2 ? static_cast<int64_t>(strata.shape(1)) : 0;
  const int64_t n_cells = cells.ndim() == 1 ? static_cast<int64_t>(cells.shape(0)) - 1 : -1;
  if (n_cells < 0) throw nb::type_error("cells must have shape (n_cells + 1,)");
  Descent d{};
  d.users = checked_mutable<float>(users, "users", {kAny, ld});
  d.items = checked_mutable<float>(items, "items", {kAny, ld});
  d.user_squares = checked_mutable<float>(user_squares, "user_squares", {n_users});
  d.item_squares = checked_mutable<float>(item_squares, "item_squares", {n_items});
  d.ld = static_cast<int>(ld);
  d.one = bias ? 1.0f : 0.0f;
  d.over_k = 1.0f / static_cast<float>(std::max(1, n_factors + (bias ? 1 : 0)));
  d.user_codes = checked<int32_t>(user_codes, "user_codes", {n});
  d.item_codes = checked<int32_t>(item_codes, "item_codes", {n});
  d.values = checked<float>(values, "values", {n});
  d.weights = checked<float>(weights, "weights", {n});
  d.mean = checked_number(mean, "mean", -INFINITY, true);
  d.scale = checked_number(scale, "scale", 0, false);
  d.low = checked_number(low, "low", -INFINITY, true);
  d.high = checked_number(high, "high", d.low, true);
  d.weight_decay = checked_number(weight_decay, "weight_decay", 0, true);
  const int64_t* begin = checked<int64_t>(cells, "cells", {n_cells + 1});
  const int32_t* cell_of = checked<int32_t>(strata, "strata", {n_strata, side});
  const float* lr = checked<float>(rates, "rates", {n_strata});
  check_indptr(begin, n_cells, n);
  check_bounds(cell_of, n_strata * side, n_cells, "strata");
  check_not_negative(lr, n_strata, "rates");
  check_bounds(d.user_codes, n, n_users, "user_codes");
  check_bounds(d.item_codes, n, n_items, "item_codes");

  std::vector<double> losses(static_cast<size_t>(n_strata * side), 0.0);
  const Level& kernels = level();
  // A thread takes the same blocks of users in every stratum, whose rows then stay in its cache.
  const int64_t threads = std::max<int64_t>(1, std::min<int64_t>(checked_threads(n_threads), side));
  for (int64_t s = 0; s < n_strata; ++s)
    run(threads, static_cast<int>(threads), [&](int64_t first, int) {
      for (int64_t at = first; at < side; at += threads) {
        const int32_t cell = cell_of[s * side + at];
        losses[s * side + at] = kernels.descend(d, begin[cell], begin[cell + 1], lr[s]);
      }
    });
  double loss = 0;
  for (const double here : losses) loss += here;
  return loss;
}

nb::object predict_pairs(const Array& users, const Array& items, const Array& user_codes, const Array& item_codes,
                         bool bias, double center, double scale, int n_threads) {
  if (users.ndim() != 2 || items.ndim() != 2) throw nb::type_error("users and items must have shape (n, k)");
  const auto k = static_cast<int64_t>(users.shape(1));
  const auto n = static_cast<int64_t>(user_codes.size());
  if (k < (bias ? 1 : 0) || k > kMaxFactors) throw nb::value_error("users must have between 1 and 4096 columns");
  const float* x = checked<float>(users, "users", {kAny, k});
  const float* y = checked<float>(items, "items", {kAny, k});
  const int32_t* u = checked<int32_t>(user_codes, "user_codes", {n});
  const int32_t* i = checked<int32_t>(item_codes, "item_codes", {n});
  check_bounds(u, n, static_cast<int64_t>(users.shape(0)), "user_codes");
  check_bounds(i, n, static_cast<int64_t>(items.shape(0)), "item_codes");
  const float middle = checked_number(center, "center", -INFINITY, true);
  const float unit = checked_number(scale, "scale", 0, false);
  const Owned<float> out(n);
  constexpr int64_t kBlock = 8192;
  const Level& kernels = level();
  run((n + kBlock - 1) / kBlock, checked_threads(n_threads), [&](int64_t task, int) {
    kernels.predict(x, y, static_cast<int>(k), bias, middle, unit, u, i, task * kBlock,
                    std::min(n, (task + 1) * kBlock), out.data);
  });
  return out.array({static_cast<size_t>(n)});
}

// Blocks are bounded by the number of rows alone and added in order, so that any number of threads gives the same
// bytes.
nb::tuple gram(const Array& x, int n_threads) {
  if (x.ndim() != 2) throw nb::type_error("x must have shape (n, k)");
  const auto n = static_cast<int64_t>(x.shape(0)), k = static_cast<int64_t>(x.shape(1));
  if (k < 1 || k > kMaxFactors) throw nb::value_error("x must have between 1 and 4096 columns");
  const float* data = checked<float>(x, "x", {n, k});
  const int64_t most_blocks = std::max<int64_t>(1, std::min<int64_t>(64, (int64_t{1} << 24) / (k * k)));
  const int64_t block = std::max<int64_t>(512, (n + most_blocks - 1) / most_blocks);
  const int64_t n_blocks = (n + block - 1) / block;
  const int64_t stride = k * k + k;
  std::vector<double> parts(static_cast<size_t>(n_blocks * stride), 0.0);
  const int threads = static_cast<int>(std::min<int64_t>(checked_threads(n_threads), std::max<int64_t>(n_blocks, 1)));
  const Level& kernels = level();
  std::vector<std::unique_ptr<AlignedFloats>> scratch;
  for (int t = 0; t < threads; ++t)
    scratch.push_back(std::make_unique<AlignedFloats>(kernels.scratch_floats(static_cast<int>(k))));
  run(n_blocks, threads, [&](int64_t task, int worker) {
    double* part = parts.data() + task * stride;
    kernels.gram(data + task * block * k, std::min(block, n - task * block), static_cast<int>(k), part, part + k * k,
                 scratch[worker]->data);
  });
  const Owned<double> total(k * k), sums(k);
  std::fill(total.data, total.data + k * k, 0.0);
  std::fill(sums.data, sums.data + k, 0.0);
  for (int64_t b = 0; b < n_blocks; ++b) {
    for (int64_t e = 0; e < k * k; ++e) total.data[e] += parts[b * stride + e];
    for (int64_t e = 0; e < k; ++e) sums.data[e] += parts[b * stride + k * k + e];
  }
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < i; ++j) total.data[i * k + j] = total.data[j * k + i];
  const auto side = static_cast<size_t>(k);
  return nb::make_tuple(total.array({side, side}), sums.array({side}));
}

nb::object normals(uint64_t seed, uint32_t row, uint32_t sweep, uint32_t stream, int n) {
  if (n < 0) throw nb::value_error("n must be >= 0");
  const Owned<float> out(n);
  level().normals(seed, row, sweep, stream, n, out.data);
  return out.array({static_cast<size_t>(n)});
}

nb::tuple philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0, uint32_t k1) {
  const Philox4 out = philox4x32({{c0, c1, c2, c3}}, k0, k1);
  return nb::make_tuple(out.word[0], out.word[1], out.word[2], out.word[3]);
}

// Counting sort by row; within a row the original order stays.
nb::tuple compress_rows(const Array& row_codes, const Array& other_codes, const Array& values,
                        const MaybeArray& weights, int64_t n_rows) {
  const auto n = static_cast<int64_t>(values.size());
  if (n_rows < 0 || n_rows > INT32_MAX) throw nb::value_error("n_rows must be >= 0 and below 2^31");
  const int32_t* row = checked<int32_t>(row_codes, "row_codes", {n});
  const int32_t* other = checked<int32_t>(other_codes, "other_codes", {n});
  const float* value = checked<float>(values, "values", {n});
  const float* weight = checked<float>(weights, "weights", {n});
  check_bounds(row, n, n_rows, "row_codes");
  const Owned<int64_t> indptr(n_rows + 1);
  const Owned<int32_t> indices(n);
  const Owned<float> out_values(n), out_weights(weight ? n : 0);
  {
    nb::gil_scoped_release release;
    std::fill(indptr.data, indptr.data + n_rows + 1, 0);
    for (int64_t e = 0; e < n; ++e) ++indptr.data[row[e] + 1];
    for (int64_t r = 0; r < n_rows; ++r) indptr.data[r + 1] += indptr.data[r];
    std::vector<int64_t> next(indptr.data, indptr.data + n_rows);
    for (int64_t e = 0; e < n; ++e) {
      const int64_t to = next[row[e]]++;
      indices.data[to] = other[e];
      out_values.data[to] = value[e];
      if (weight) out_weights.data[to] = weight[e];
    }
  }
  const auto size = static_cast<size_t>(n);
  nb::object weight_array = weight ? out_weights.array({size}) : nb::none();
  return nb::make_tuple(indptr.array({static_cast<size_t>(n_rows + 1)}), indices.array({size}),
                        out_values.array({size}), weight_array);
}

// Whether a row of a sparse matrix has a column twice.
bool has_repeats(const Array& indptr, const Array& indices, int64_t n_columns) {
  if (indptr.ndim() != 1 || indptr.shape(0) < 1) throw nb::type_error("indptr must have shape (n_rows + 1,)");
  const auto n_rows = static_cast<int64_t>(indptr.shape(0)) - 1, n = static_cast<int64_t>(indices.size());
  if (n_columns < 0 || n_columns > INT32_MAX) throw nb::value_error("n_columns must be >= 0 and below 2^31");
  const int64_t* begin = checked<int64_t>(indptr, "indptr", {n_rows + 1});
  const int32_t* column = checked<int32_t>(indices, "indices", {n});
  check_indptr(begin, n_rows, n);
  check_bounds(column, n, n_columns, "indices");
  nb::gil_scoped_release release;
  std::vector<int64_t> last(static_cast<size_t>(n_columns), -1);  // the row that had each column last
  for (int64_t row = 0; row < n_rows; ++row)
    for (int64_t e = begin[row]; e < begin[row + 1]; ++e) {
      if (last[column[e]] == row) return true;
      last[column[e]] = row;
    }
  return false;
}

nb::list levels() {
  nb::list names;
  for (const char* const* name = supported_levels(); *name; ++name) names.append(nb::str(*name));
  return names;
}

void set_level(const std::string& name) {
  if (!use_level(name.c_str())) throw nb::value_error(("this machine cannot run level " + name).c_str());
}

}  // namespace
}  // namespace palate

NB_MODULE(_kernels, m) {
  using namespace palate;
  m.def("solve_rows", &solve_rows, "indptr"_a, "indices"_a, "values"_a, "other"_a, nb::kw_only(), "precision"_a,
        "mean"_a, "weights"_a.none() = nb::none(), "row_weights"_a.none() = nb::none(),
        "other_weights"_a.none() = nb::none(), "ridge"_a.none() = nb::none(), "background"_a.none() = nb::none(),
        "bias"_a = false, "center"_a = 0.0, "scale"_a = 1.0, "alpha"_a = 1.0, "draw"_a = false, "seed"_a = 0,
        "sweep"_a = 0, "stream"_a = 0, "errors"_a = false, "n_threads"_a = 0);
  m.def("descend", &descend, "users"_a.noconvert(), "items"_a.noconvert(), "user_codes"_a, "item_codes"_a, "values"_a,
        "cells"_a, "strata"_a, "rates"_a, nb::kw_only(), "weights"_a.none() = nb::none(),
        "user_squares"_a.noconvert().none() = nb::none(), "item_squares"_a.noconvert().none() = nb::none(),
        "n_factors"_a, "bias"_a = true, "mean"_a = 0.0, "scale"_a = 1.0, "low"_a = 0.0, "high"_a = 0.0,
        "weight_decay"_a = 0.0, "n_threads"_a = 0);
  m.def("predict_pairs", &predict_pairs, "users"_a, "items"_a, "user_codes"_a, "item_codes"_a, nb::kw_only(),
        "bias"_a = false, "center"_a = 0.0, "scale"_a = 1.0, "n_threads"_a = 0);
  add_link_kernels(m);
  add_latent_kernels(m);
  add_ranking_kernels(m);
  add_bpr_kernels(m);
  add_block_kernels(m);
  add_neighbor_kernels(m);
  m.def("gram", &gram, "x"_a, nb::kw_only(), "n_threads"_a = 0);
  m.def("normals", &normals, "seed"_a, "row"_a, "sweep"_a, "stream"_a, "n"_a);
  m.def("philox", &philox, "c0"_a, "c1"_a, "c2"_a, "c3"_a, "k0"_a, "k1"_a);
  m.def("compress_rows", &compress_rows, "row_codes"_a, "other_codes"_a, "values"_a, "weights"_a.none(), "n_rows"_a);
  m.def("has_repeats", &has_repeats, "indptr"_a, "indices"_a, "n_columns"_a);
  m.def("levels", &levels);
  m.def("level", [] { return level().name; });
  m.def("use_level", &set_level, "name"_a);
}
