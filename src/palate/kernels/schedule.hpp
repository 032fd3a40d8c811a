// In which order, and in what portions, threads take the rows of solve_rows.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

namespace palate {

// Row numbers, the heaviest first (by powers of two), and where each task begins in them.
struct Schedule {
  std::vector<int32_t> order;
  std::vector<int64_t> task_begin;

  int64_t n_tasks() const { return static_cast<int64_t>(task_begin.size()) - 1; }

  Schedule(const int64_t* indptr, int64_t n_rows, int k, int n_threads) : order(static_cast<size_t>(n_rows)) {
    std::vector<int64_t> begin(66, 0);
    auto bucket = [&](int64_t r) { return 64 - bits(indptr[r + 1] - indptr[r]); };
    for (int64_t r = 0; r < n_rows; ++r) ++begin[bucket(r) + 1];
    for (size_t b = 1; b < begin.size(); ++b) begin[b] += begin[b - 1];
    for (int64_t r = 0; r < n_rows; ++r) order[begin[bucket(r)]++] = static_cast<int32_t>(r);
    const int64_t per_row = k;  // the Cholesky factorization, in ratings
    const int64_t work = indptr[n_rows] + per_row * n_rows;
    // Many tasks per thread, so that none waits long for another; none so small that handing it out costs more than it,
    // and none so large that Ctrl-C would have to wait for it.
    const int64_t longest = std::max<int64_t>(3'000'000'000 / (int64_t{k} * k + 64), 64);
    const int64_t share = std::min(std::max<int64_t>(work / (n_threads * 32), 1000), longest);
    int64_t here = share;
    for (int64_t i = 0; i < n_rows; ++i) {
      if (here >= share) {
        task_begin.push_back(i);
        here = 0;
      }
      here += indptr[order[i] + 1] - indptr[order[i]] + per_row;
    }
    task_begin.push_back(n_rows);
  }

  static int bits(int64_t count) {
    int n = 0;
    for (; count > 0; count >>= 1) ++n;
    return n;
  }
};

}  // namespace palate
