// The Python border of the kernels for ordered ratings.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/border/border.hpp"
#include "kernels/latent/latent.hpp"
#include "kernels/levels/levels.hpp"

using namespace nanobind::literals;

namespace palate {
namespace {

// The steps of n ratings, uint8 or int32, each below n_steps.
Steps checked_steps(const Array& steps, int64_t n, int64_t n_steps) {
  Steps out{};
  if (steps.dtype() == nb::dtype<uint8_t>()) {
    out.bytes = checked<uint8_t>(steps, "steps", {n});
    check_bounds(out.bytes, n, n_steps, "steps");
  } else {
    out.ints = checked<int32_t>(steps, "steps", {n});
    check_bounds(out.ints, n, n_steps, "steps");
  }
  return out;
}

constexpr int64_t kLatentBlock = 8192;  // ratings of a task, a multiple of kDrawn

// Ratings, with the smallest and the largest latent of each step.
struct CheckedRatings {
  Latents latents{};
  std::vector<float> low{-INFINITY}, high;
  int64_t n;

  CheckedRatings(const Array& means, const Array& steps, const Array& cuts) : n(static_cast<int64_t>(means.size())) {
    const auto n_cuts = static_cast<int64_t>(cuts.size());
    if (n_cuts < 1 || n_cuts >= kMaxSteps) throw nb::value_error("cuts must be between 1 and 255 numbers");
    const float* cut = checked<float>(cuts, "cuts", {n_cuts});
    check_rising(cut, n_cuts, "cuts");
    for (int64_t k = 0; k < n_cuts; ++k) low.push_back(std::nextafter(cut[k], INFINITY));
    high.assign(cut, cut + n_cuts);
    high.push_back(INFINITY);
    latents.means = checked<float>(means, "means", {n});
    latents.steps = checked_steps(steps, n, n_cuts + 1);
    latents.low = low.data();
    latents.high = high.data();
  }

  nb::object run_kernel(void (*kernel)(const Latents&, int64_t, int64_t), int n_threads) {
    const Owned<float> out(n);
    latents.out = out.data;
    run_ranges(n, kLatentBlock, checked_threads(n_threads),
               [&](int64_t first, int64_t last, int) { kernel(latents, first, last); });
    return out.array({n});
  }
};

constexpr char kDrawDoc[] = R"(Draw from Normal(mean, 1) between the cuts around each rating's step, by inverse CDF.

Step k lies in (cuts[k - 1], cuts[k]], the outer steps without end. The draw of a rating depends on its position, its
arguments, seed, sweep and stream, and on nothing else.

Parameters:
    means (float32 array (n,)): Means of the latent variable.
    steps (uint8 or int32 array (n,)): The scale step of each rating, at most n_cuts.
    cuts (float32 array (n_cuts,)): The cuts between the steps, rising; between 1 and 255 of them.
    seed, sweep, stream (int): Key and counter; seed below 2^64, the others below 2^32.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    float32 array (n,): The draws; NaN where the mean is NaN.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: cuts do not rise, or are too few or too many.
    IndexError: steps holds no step.)";

nb::object draw_truncated(const Array& means, const Array& steps, const Array& cuts, uint64_t seed, uint32_t sweep,
                          uint32_t stream, int n_threads) {
  CheckedRatings ratings(means, steps, cuts);
  ratings.latents.seed = seed;
  ratings.latents.sweep = sweep;
  ratings.latents.stream = stream;
  return ratings.run_kernel(level().draw_truncated, n_threads);
}

constexpr char kExpectDoc[] = R"(The mean of Normal(mean, 1) between the cuts around each rating's step.

    mean + (phi(a) - phi(b)) / (Phi(b) - Phi(a))        (a, b): the step minus the mean

Parameters:
    means (float32 array (n,)): Means of the latent variable.
    steps (uint8 or int32 array (n,)): The scale step of each rating, at most n_cuts.
    cuts (float32 array (n_cuts,)): The cuts between the steps, rising; between 1 and 255 of them.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    float32 array (n,): The means of the truncated Normals.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: cuts do not rise, or are too few or too many.
    IndexError: steps holds no step.)";

nb::object expect_truncated(const Array& means, const Array& steps, const Array& cuts, int n_threads) {
  return CheckedRatings(means, steps, cuts).run_kernel(level().expect_truncated, n_threads);
}

constexpr char kCountDoc[] = R"(Count the ratings of each step by the bin that their mean lies in.

Bin b is [low + b width, low + (b + 1) width). Means outside all bins count in the first or the last, NaN in the first.

Parameters:
    means (float32 array (n,)): Means of the latent variable.
    steps (uint8 or int32 array (n,)): The scale step of each rating.
    n_steps (int): The number of steps, between 1 and 256.
    low (float): Where the first bin begins.
    width (float above 0): The width of a bin.
    n_bins (int): The number of bins, between 1 and 65536.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    int64 array (n_steps, n_bins): The counts.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: An argument is out of range.
    IndexError: steps holds no step.)";

// Each thread has its own counts. They are whole numbers, so their sum is the same on any number of threads.
nb::object count_steps(const Array& means, const Array& steps, int64_t n_steps, double low, double width,
                       int64_t n_bins, int n_threads) {
  const auto n = static_cast<int64_t>(means.size());
  if (n_steps < 1 || n_steps > kMaxSteps) throw nb::value_error("n_steps must be between 1 and 256");
  if (n_bins < 1 || n_bins > 65536) throw nb::value_error("n_bins must be between 1 and 65536");
  Counting p{};
  p.means = checked<float>(means, "means", {n});
  p.steps = checked_steps(steps, n, n_steps);
  p.low = checked_number(low, "low", -INFINITY, true);
  p.per_bin = 1.0f / checked_number(width, "width", 0, false);
  p.n_bins = n_bins;
  const int64_t size = n_steps * n_bins;
  // Many steps and bins: as few threads as keep all counts within 256 MB.
  const int64_t most = std::max<int64_t>(1, (int64_t{1} << 25) / size);
  const int threads = threads_for(std::min((n + kLatentBlock - 1) / kLatentBlock, most), checked_threads(n_threads));
  std::vector<std::vector<int64_t>> parts(static_cast<size_t>(threads), std::vector<int64_t>(size, 0));
  const Level& kernels = level();
  run_ranges(n, kLatentBlock, threads, [&](int64_t first, int64_t last, int worker) {
    kernels.count_steps(p, first, last, parts[worker].data());
  });
  const Owned<int64_t> total(size);
  std::fill(total.data, total.data + size, 0);
  for (const auto& part : parts)
    for (int64_t e = 0; e < size; ++e) total.data[e] += part[e];
  return total.array({n_steps, n_bins});
}

constexpr char kCurveDoc[] =
    R"(The expected rating of each score: base + sum_k gains_k Phi((score - cut_k) / sqrt(1 + variance)).

Parameters:
    scores (float32 array (n,)): Means of the latent variable.
    cuts (float32 array (n_cuts,)): The cuts between the steps, at most 255.
    gains (float32 array (n_cuts,)): What the rating rises by at each cut.
    variances (float32 array (n,), default None): Variances of the scores, 0 or more; None: 0.
    base (float, default 0): The rating below the first cut.
    n_threads (int, default 0): Threads, 0 for all. The result does not depend on it.

Returns:
    float32 array (n,): The expected ratings; NaN where the score is NaN.

Raises:
    TypeError: An array has another dtype, shape or layout.
    ValueError: An argument is out of range.)";

nb::object step_curve(const Array& scores, const Array& cuts, const Array& gains, const MaybeArray& variances,
                      double base, int n_threads) {
  const auto n = static_cast<int64_t>(scores.size()), n_cuts = static_cast<int64_t>(cuts.size());
  if (n_cuts >= kMaxSteps) throw nb::value_error("cuts must be at most 255 numbers");
  Curve p{};
  p.scores = checked<float>(scores, "scores", {n});
  p.cuts = checked<float>(cuts, "cuts", {n_cuts});
  p.gains = checked<float>(gains, "gains", {n_cuts});
  p.variances = checked<float>(variances, "variances", {n});
  p.n_cuts = static_cast<int>(n_cuts);
  check_not_negative(p.variances, n, "variances");
  check_finite(p.cuts, n_cuts, "cuts");
  check_finite(p.gains, n_cuts, "gains");
  p.base = checked_number(base, "base", -INFINITY, true);
  const Owned<float> out(n);
  p.out = out.data;
  const Level& kernels = level();
  run_ranges(n, kLatentBlock, checked_threads(n_threads),
             [&](int64_t first, int64_t last, int) { kernels.step_curve(p, first, last); });
  return out.array({n});
}

}  // namespace

void add_latent(nb::module_& m) {
  m.def("draw_truncated", &draw_truncated, "means"_a, "steps"_a, "cuts"_a, nb::kw_only(), "seed"_a, "sweep"_a,
        "stream"_a, "n_threads"_a = 0, kDrawDoc);
  m.def("expect_truncated", &expect_truncated, "means"_a, "steps"_a, "cuts"_a, nb::kw_only(), "n_threads"_a = 0,
        kExpectDoc);
  m.def("count_steps", &count_steps, "means"_a, "steps"_a, "n_steps"_a, nb::kw_only(), "low"_a, "width"_a, "n_bins"_a,
        "n_threads"_a = 0, kCountDoc);
  m.def("step_curve", &step_curve, "scores"_a, "cuts"_a, "gains"_a, nb::kw_only(), "variances"_a.none() = nb::none(),
        "base"_a = 0.0, "n_threads"_a = 0, kCurveDoc);
}

}  // namespace palate
