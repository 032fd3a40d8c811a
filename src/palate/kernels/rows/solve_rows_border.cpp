// The Python border of solve_rows and solve_draws.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/border/border.hpp"
#include "kernels/border/memory.hpp"
#include "kernels/levels/levels.hpp"
#include "kernels/rows/rows_border.hpp"

using namespace nanobind::literals;

namespace palate {
namespace {

// The other side as solve_rows reads it: each row [q, c] becomes [q, 1] padded with zeros, and c goes into `biases`.
// Without a bias column, q padded with zeros. With weights, all of a row times the square root of its weight.
struct OtherSide {
  TableFloats z;         // (n, ld)
  AlignedFloats biases;  // (n,), or empty
  AlignedFloats roots;   // (n,), or empty

  OtherSide(const float* rows, const float* weights, int64_t n, int k, bool bias, int n_threads)
      : z(size_of({n, level().padded(k)})), biases(bias ? n : 0), roots(weights ? n : 0) {
    const int ld = level().padded(k);
    run_ranges(n, 4096, n_threads, [&](int64_t first, int64_t last, int) {
      for (int64_t row = first; row < last; ++row) {
        float* to = z.data + row * ld;
        const float root = weights ? std::sqrt(weights[row]) : 1.0f;
        if (weights) roots.data[row] = root;
        for (int j = 0; j < k; ++j) to[j] = root * rows[row * k + j];
        std::fill(to + k, to + ld, 0.0f);
        if (!bias) continue;
        biases.data[row] = to[k - 1];
        to[k - 1] = root;
      }
    });
  }
};

// The prior precision and mean, and what is added to them.
void check_prior(RowProblem& p, const Array& precision, const Array& mean, const MaybeArray& ridge,
                 const MaybeArray& background, int64_t n_rows) {
  const int64_t k = p.k;
  p.precision = checked<float>(precision, "precision", {k, k});
  p.mean_per_row = mean.ndim() == 2;
  p.mean = p.mean_per_row ? checked<float>(mean, "mean", {n_rows, k}) : checked<float>(mean, "mean", {k});
  p.ridge = checked<float>(ridge, "ridge", {n_rows});
  p.background = checked<float>(background, "background", {k, k});
  check_finite(p.precision, k * k, "precision");
  check_finite(p.mean, p.mean_per_row ? n_rows * k : k, "mean");
  check_not_negative(p.ridge, n_rows, "ridge");
  check_finite(p.background, k * k, "background");
}

// The number of the first of n_rows rows that are a slice; int32 numbers all rows.
uint32_t checked_first_row(int64_t first_row, int64_t n_rows) {
  if (first_row < 0 || first_row > INT32_MAX - n_rows)
    throw nb::value_error("first_row must be 0 or more, and all rows below 2^31");
  return static_cast<uint32_t>(first_row);
}

constexpr char kDoc[] = R"(Solve every row x of one side given the other side: the mode of its posterior, or a draw.

    A = sum_j w_j z_j z_j^T        h = sum_j w_j t_j z_j
    B = Lambda + ridge I + background + alpha A
    mode  x = B^-1 (Lambda m + ridge m + alpha h)        draw  x ~ Normal(mode, B^-1)

The sums are over the ratings of the row. With z = other[j] and t = (value - center) / scale. With a bias the last
column of `other` is the bias c: z = [q, 1] and t = (value - center) / scale - c. w_j is the product of the weights of
the rating, of its row and of the row of the other side.

Parameters:
    indptr (int64 array (n_rows + 1,)): Where each row's ratings begin.
    indices (int32 array (n_ratings,)): The row of `other` that each rating belongs to.
    values (float32 array (n_ratings,)): The ratings.
    other (float32 array (n_other, k)): The side held fixed, k between 1 and 4096.
    precision (float32 array (k, k)): Lambda, the prior precision; symmetric, positive definite with what is added.
    mean (float32 array (k,) or (n_rows, k)): m, the prior mean, of all rows or of each.
    weights (float32 array (n_ratings,), default None): Weights of the ratings, 0 or more; None: 1.
    row_weights (float32 array (n_rows,), default None): Weights of whole rows.
    other_weights (float32 array (n_other,), default None): Weights of the rows of the other side.
    ridge (float32 array (n_rows,), default None): Added to the diagonal of Lambda, 0 or more.
    background (float32 array (k, k), default None): Added to B alone: a weighted Gram matrix of unobserved ratings.
    bias (bool, default False): The last column of `other` and of the result is a bias.
    center (float, default 0), scale (float above 0, default 1): t = (value - center) / scale.
    alpha (float, default 1): Precision of the noise, 0 or more.
    draw (bool, default False): Draw from the posterior.
    previous (float32 array (n_rows, k), default None): The draws before; a draw is overrelaxed given these: it is
        mode - a (previous - mode) + sqrt(1 - a^2) B^-1/2 eps, with the same stationary distribution (Adler 1981).
    relaxation (float, default 0): a, 0 or more and below 1.
    seed, sweep, stream (int, default 0): Key and counter of the draw; seed below 2^64, the others below 2^32.
    first_row (int, default 0): The number of row 0 among all rows. The rows of a slice then get the bytes that they
        get among all rows; its indptr begins with 0.
    errors (bool, default False): Also return the errors.
    modes (float32 array (n_rows, k), default None): Set to the modes, which a draw returns no other way.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    (float32 array (n_rows, k), float64 array (n_rows,) or None): x, and each row's sum of w (t - x.z)^2.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: An argument is out of range, or B is not positive definite.
    IndexError: indices holds no row of `other`.)";

nb::tuple solve_rows(const Array& indptr, const Array& indices, const Array& values, const Array& other,
                     const Array& precision, const Array& mean, const MaybeArray& weights,
                     const MaybeArray& row_weights, const MaybeArray& other_weights, const MaybeArray& ridge,
                     const MaybeArray& background, bool bias, double center, double scale, double alpha, bool draw,
                     const MaybeArray& previous, double relaxation, uint64_t seed, uint32_t sweep, uint32_t stream,
                     int64_t first_row, bool errors, const MaybeMutable& modes, int n_threads) {
  const int64_t n_rows = rows_of(indptr), n = static_cast<int64_t>(values.size());
  const int64_t k = checked_width(other, "other"), n_other = static_cast<int64_t>(other.shape(0));
  RowProblem p{};
  p.k = static_cast<int>(k);
  p.rows = {checked<int64_t>(indptr, "indptr", {n_rows + 1}), checked<int32_t>(indices, "indices", {n}),
            checked<float>(values, "values", {n}), checked<float>(weights, "weights", {n})};
  const float* q = checked<float>(other, "other", {n_other, k});
  p.row_weights = checked<float>(row_weights, "row_weights", {n_rows});
  const float* weights_of_others = checked<float>(other_weights, "other_weights", {n_other});
  check_indptr(p.rows.indptr, n_rows, n);
  check_bounds(p.rows.indices, n, n_other, "indices");
  check_not_negative(p.rows.weights, n, "weights");
  check_not_negative(p.row_weights, n_rows, "row_weights");
  check_not_negative(weights_of_others, n_other, "other_weights");
  check_prior(p, precision, mean, ridge, background, n_rows);
  p.center = checked_number(center, "center", -INFINITY, true);
  p.scale = checked_number(scale, "scale", 0, false);
  p.alpha = checked_number(alpha, "alpha", 0, true);
  p.draw = draw;
  const float* before = checked<float>(previous, "previous", {n_rows, k});
  check_finite(before, n_rows * k, "previous");
  p.previous = draw ? before : nullptr;
  p.relaxation = checked_relaxation(p.previous ? relaxation : 0);
  p.seed = seed;
  p.sweep = sweep;
  p.stream = stream;
  p.first_row = checked_first_row(first_row, n_rows);

  const int threads = checked_threads(n_threads);
  const OtherSide side(q, weights_of_others, n_other, p.k, bias, threads);
  p.z = side.z.data;
  p.biases = bias ? side.biases.data : nullptr;
  p.roots = weights_of_others ? side.roots.data : nullptr;
  const Owned<float> out(size_of({n_rows, k}));
  const Owned<double> row_errors(errors ? n_rows : 0);
  p.out = out.data;
  p.errors = errors ? row_errors.data : nullptr;
  p.modes = checked_mutable<float>(modes, "modes", {n_rows, k});
  const Level& kernels = level();
  solve_all(
      p.rows, n_rows, p.k, threads, kernels.solve_rows_scratch(p.k), "give a prior precision that is",
      [&](const int32_t* order, int64_t n_here, float* scratch) {
        return kernels.solve_rows(p, order, n_here, scratch);
      },
      first_row);
  return nb::make_tuple(out.array({n_rows, k}), errors ? row_errors.array({n_rows}) : nb::none());
}

constexpr char kDrawsDoc[] = R"(Solve rows as solve_rows does, with a bias, given each of S draws of the other side.

Parameters:
    indptr (int64 array (n_rows + 1,)), indices (int32 array (n,)), values (float32 array (n,)): As in solve_rows.
    others (float32 array (S, n_other, k)): The draws of the side held fixed.
    precisions (float32 array (S, k, k)): The prior precision under each draw.
    means (float32 array (S, k) or (S, n_rows, k)): The prior mean under each draw, of all rows or of each.
    alphas (float32 array (S,)): The precision of the noise under each draw.
    weights (float32 array (n,), default None): Weights of the ratings, 0 or more; None: 1.
    center, scale, draw, seed, stream, n_threads: As in solve_rows. The sweep is the number of the draw.

Returns:
    float32 array (S, n_rows, k): x under each draw, with the bytes that solve_rows gives.

Raises:
    TypeError, ValueError, IndexError: As solve_rows.)";

nb::object solve_draws(const Array& indptr, const Array& indices, const Array& values, const Array& others,
                       const Array& precisions, const Array& means, const Array& alphas, const MaybeArray& weights,
                       double center, double scale, bool draw, uint64_t seed, uint32_t stream, int n_threads) {
  const int64_t n_rows = rows_of(indptr), n = static_cast<int64_t>(values.size());
  if (others.ndim() != 3) throw nb::type_error("others must have shape (S, n_other, k)");
  const auto n_draws = static_cast<int64_t>(others.shape(0)), n_other = static_cast<int64_t>(others.shape(1));
  const auto k = static_cast<int64_t>(others.shape(2));
  if (k < 1 || k > kMaxFactors) throw nb::value_error("others must have between 1 and 4096 columns");
  RowProblem p{};
  p.k = static_cast<int>(k);
  p.rows = {checked<int64_t>(indptr, "indptr", {n_rows + 1}), checked<int32_t>(indices, "indices", {n}),
            checked<float>(values, "values", {n}), checked<float>(weights, "weights", {n})};
  check_indptr(p.rows.indptr, n_rows, n);
  check_bounds(p.rows.indices, n, n_other, "indices");
  check_not_negative(p.rows.weights, n, "weights");
  const float* q = checked<float>(others, "others", {n_draws, n_other, k});
  const float* lambda = checked<float>(precisions, "precisions", {n_draws, k, k});
  p.mean_per_row = means.ndim() == 3;
  const float* m = p.mean_per_row ? checked<float>(means, "means", {n_draws, n_rows, k})
                                  : checked<float>(means, "means", {n_draws, k});
  const int64_t mean_floats = p.mean_per_row ? n_rows * k : k;
  const float* alpha = checked<float>(alphas, "alphas", {n_draws});
  check_finite(lambda, n_draws * k * k, "precisions");
  check_finite(m, n_draws * mean_floats, "means");
  check_not_negative(alpha, n_draws, "alphas");
  p.center = checked_number(center, "center", -INFINITY, true);
  p.scale = checked_number(scale, "scale", 0, false);
  p.draw = draw;
  p.seed = seed;
  p.stream = stream;
  const int threads = checked_threads(n_threads);
  const Owned<float> out(size_of({n_draws, n_rows, k}));
  const Level& kernels = level();
  for (int64_t s = 0; s < n_draws; ++s) {
    const OtherSide side(q + s * n_other * k, nullptr, n_other, p.k, true, threads);
    p.z = side.z.data;
    p.biases = side.biases.data;
    p.precision = lambda + s * k * k;
    p.mean = m + s * mean_floats;
    p.alpha = alpha[s];
    p.sweep = static_cast<uint32_t>(s);
    p.out = out.data + s * n_rows * k;
    solve_all(p.rows, n_rows, p.k, threads, kernels.solve_rows_scratch(p.k), "give a prior precision that is",
              [&](const int32_t* order, int64_t n_here, float* scratch) {
                return kernels.solve_rows(p, order, n_here, scratch);
              });
  }
  return out.array({n_draws, n_rows, k});
}

}  // namespace

void add_solve_rows(nb::module_& m) {
  m.def("solve_rows", &solve_rows, "indptr"_a, "indices"_a, "values"_a, "other"_a, nb::kw_only(), "precision"_a,
        "mean"_a, "weights"_a.none() = nb::none(), "row_weights"_a.none() = nb::none(),
        "other_weights"_a.none() = nb::none(), "ridge"_a.none() = nb::none(), "background"_a.none() = nb::none(),
        "bias"_a = false, "center"_a = 0.0, "scale"_a = 1.0, "alpha"_a = 1.0, "draw"_a = false,
        "previous"_a.none() = nb::none(), "relaxation"_a = 0.0, "seed"_a = 0, "sweep"_a = 0, "stream"_a = 0,
        "first_row"_a = 0, "errors"_a = false, "modes"_a.noconvert().none() = nb::none(), "n_threads"_a = 0, kDoc);
  m.def("solve_draws", &solve_draws, "indptr"_a, "indices"_a, "values"_a, "others"_a, nb::kw_only(), "precisions"_a,
        "means"_a, "alphas"_a, "weights"_a.none() = nb::none(), "center"_a = 0.0, "scale"_a = 1.0, "draw"_a = false,
        "seed"_a = 0, "stream"_a = 0, "n_threads"_a = 0, kDrawsDoc);
}

}  // namespace palate
