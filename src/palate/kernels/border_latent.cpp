// The Python border of the kernels of ordered ratings.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "border.hpp"
#include "checks.hpp"
#include "latent.hpp"
#include "rows.hpp"

namespace palate {

using namespace nb::literals;

namespace {

// The steps of n ratings, uint8 or int32, each below n_steps.
Steps checked_steps(const Array& steps, int64_t n, int64_t n_steps) {
  Steps out{};
  if (steps.dtype() == nb::dtype<uint8_t>()) {
    out.bytes = checked<uint8_t>(steps, "steps", {n});
    check_bounds(out.bytes, n, n_steps, "steps");
  } else {
    out.longer = checked<int32_t>(steps, "steps", {n});
    check_bounds(out.longer, n, n_steps, "steps");
  }
  return out;
}

constexpr int64_t kLatentBlock = 8192;  // ratings of a task, a multiple of kDrawn

// Ratings with the least and the greatest latent of each step.
struct Checked {
  Latents latents{};
  std::vector<float> low{-INFINITY}, high;
  int64_t n;

  Checked(const Array& means, const Array& steps, const Array& cuts) : n(static_cast<int64_t>(means.size())) {
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

  nb::object each(void (*kernel)(const Latents&, int64_t, int64_t), int n_threads) {
    const Owned<float> out(n);
    latents.out = out.data;
    run((n + kLatentBlock - 1) / kLatentBlock, checked_threads(n_threads),
        [&](int64_t task, int) { kernel(latents, task * kLatentBlock, std::min(n, (task + 1) * kLatentBlock)); });
    return out.array({static_cast<size_t>(n)});
  }
};

nb::object draw_truncated(const Array& means, const Array& steps, const Array& cuts, uint64_t seed, uint32_t sweep,
                          uint32_t stream, int n_threads) {
  Checked ratings(means, steps, cuts);
  ratings.latents.seed = seed;
  ratings.latents.sweep = sweep;
  ratings.latents.stream = stream;
  return ratings.each(level().draw_truncated, n_threads);
}

nb::object expect_truncated(const Array& means, const Array& steps, const Array& cuts, int n_threads) {
  return Checked(means, steps, cuts).each(level().expect_truncated, n_threads);
}

// Every thread counts for itself; counts are whole numbers, so that any number of threads gives the same sums.
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
  const int64_t n_tasks = (n + kLatentBlock - 1) / kLatentBlock, size = n_steps * n_bins;
  const int threads = static_cast<int>(std::min<int64_t>(checked_threads(n_threads), std::max<int64_t>(n_tasks, 1)));
  std::vector<std::vector<int64_t>> parts(static_cast<size_t>(threads), std::vector<int64_t>(size, 0));
  const Level& kernels = level();
  run(n_tasks, threads, [&](int64_t task, int worker) {
    kernels.count_steps(p, task * kLatentBlock, std::min(n, (task + 1) * kLatentBlock), parts[worker].data());
  });
  const Owned<int64_t> total(size);
  std::fill(total.data, total.data + size, 0);
  for (const auto& part : parts)
    for (int64_t e = 0; e < size; ++e) total.data[e] += part[e];
  return total.array({static_cast<size_t>(n_steps), static_cast<size_t>(n_bins)});
}

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
  run((n + kLatentBlock - 1) / kLatentBlock, checked_threads(n_threads),
      [&](int64_t task, int) { kernels.step_curve(p, task * kLatentBlock, std::min(n, (task + 1) * kLatentBlock)); });
  return out.array({static_cast<size_t>(n)});
}

}  // namespace

void add_latent_kernels(nb::module_& m) {
  m.def("draw_truncated", &draw_truncated, "means"_a, "steps"_a, "cuts"_a, nb::kw_only(), "seed"_a, "sweep"_a,
        "stream"_a, "n_threads"_a = 0);
  m.def("expect_truncated", &expect_truncated, "means"_a, "steps"_a, "cuts"_a, nb::kw_only(), "n_threads"_a = 0);
  m.def("count_steps", &count_steps, "means"_a, "steps"_a, "n_steps"_a, nb::kw_only(), "low"_a, "width"_a, "n_bins"_a,
        "n_threads"_a = 0);
  m.def("step_curve", &step_curve, "scores"_a, "cuts"_a, "gains"_a, nb::kw_only(), "variances"_a.none() = nb::none(),
        "base"_a = 0.0, "n_threads"_a = 0);
}

}  // namespace palate
