// Improves each row a block of columns at a time: solve_rows for many factors, at a fraction of its cost. Compiled once
// for each level.
#include "kernels/blocks/blocks.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/levels/compiler.hpp"

namespace palate {
namespace PALATE_LEVEL {

SolveBlocksScratch solve_blocks_scratch;
SolveBlocks solve_blocks;

namespace {

#include "kernels/rows/cholesky.hpp"

// Scratch of one thread.
struct Scratch {
  float* H;            // (width, width) a block of the row's matrix, the upper triangle, then its Cholesky factor
  float* panel;        // (kPanel, width) sqrt(w) z, where there are weights
  float* residual;     // (kPanel,)      sqrt(w) e
  float* x;            // (ld,)          the row, spread
  float* g;            // (width,)       the gradient in the block, then H^-1 times it
  float* step;         // (width,)       what the last block has moved by
  float* inverse;      // (width,)
  const float** rows;  // (max(kPanel, ld),) the vectors of a rank-n update
  float* errors;       // (longest,)     e of each rating of the row
};

inline int max_rows(int ld) { return ld > kPanel ? ld : kPanel; }

Scratch split(float* memory, int ld, int width) {
  Scratch s{};
  s.H = memory;
  s.panel = s.H + static_cast<int64_t>(width) * width;
  s.residual = s.panel + kPanel * width;
  s.x = s.residual + kPanel;
  s.g = s.x + ld;
  s.step = s.g + width;
  s.inverse = s.step + width;
  s.rows = reinterpret_cast<const float**>(s.inverse + width);
  s.errors = reinterpret_cast<float*>(s.rows + max_rows(ld));
  return s;
}

// Columns from .. from + width of the row have moved by `by`; the errors still lack z . by.
struct Moved {
  int from, width;
  const float* by;
};

// e_r += z_r . by, four ratings at a time.
void add_products(const float* const* rows, int n, const Moved& moved, float* e) {
  int r = 0;
  for (; r + 4 <= n; r += 4) {
    Vec a{}, b{}, c{}, d{};
    for (int j = 0; j < moved.width; j += W) {
      const Vec by = load(moved.by + j);
      a += by * load(rows[r] + moved.from + j);
      b += by * load(rows[r + 1] + moved.from + j);
      c += by * load(rows[r + 2] + moved.from + j);
      d += by * load(rows[r + 3] + moved.from + j);
    }
    const Four total = sums(a, b, c, d);
    for (int i = 0; i < 4; ++i) e[r + i] += total[i];
  }
  for (; r < n; ++r) {
    Vec a{};
    for (int j = 0; j < moved.width; j += W) a += load(moved.by + j) * load(rows[r] + moved.from + j);
    e[r] += sum(a);
  }
}

// Sets `rows` to the vectors z of ratings first .. first + n, and prefetches columns from .. from + width of those
// ahead; `left` ratings remain from `first` on.
void gather_rows(const BlockProblem& p, int64_t first, int n, int64_t left, int from, int width, const float** rows) {
  constexpr int kAhead = 24;
  const int32_t* index = p.rows.indices + first;
  const int64_t stride = p.columns.stride;
  if (width > 0)
    for (int r = 0; r < n; ++r) {
      const float* ahead = p.z + index[r + kAhead < left ? r + kAhead : r] * stride + from;
      for (int j = 0; j < width; j += 16) PALATE_PREFETCH(ahead + j);
    }
  for (int r = 0; r < n; ++r) rows[r] = p.z + index[r] * stride;
}

// Multiplies z (copied to the panel) and e of n ratings by sqrt(w).
void apply_weights(const float* weights, int n, int width, const Scratch& s) {
  for (int r = 0; r < n; ++r) {
    const float root = std::sqrt(weights[r]);
    float* to = s.panel + static_cast<int64_t>(r) * width;
    for (int j = 0; j < width; j += W) store(to + j, load(s.rows[r] + j) * root);
    s.rows[r] = to;
    s.residual[r] *= root;
  }
}

// H += sum w z z^T and g += sum w e z over the row's ratings, in the block at `from`; brings the errors e up to date.
void add_ratings(const BlockProblem& p, int64_t row, int from, int width, const Moved& moved, const Scratch& s) {
  const int64_t begin = p.rows.indptr[row], last = p.rows.indptr[row + 1];
  for (int64_t first = begin; first < last; first += kPanel) {
    const int n = last - first < kPanel ? static_cast<int>(last - first) : kPanel;
    float* e = s.errors + (first - begin);
    gather_rows(p, first, n, last - first, from, from == 0 ? p.columns.ld : width, s.rows);
    add_products(s.rows, n, moved, e);
    std::memcpy(s.residual, e, sizeof(float) * static_cast<size_t>(n));
    for (int r = 0; r < n; ++r) s.rows[r] += from;
    if (p.rows.weights) apply_weights(p.rows.weights + first, n, width, s);
    rank_update(s.rows, n, width, s.H);
    accumulate_targets(s.rows, s.residual, n, width, s.g);
  }
}

// H <- background + ridge I and g <- background x + ridge x, in the block at `from`.
void start_block(const BlockProblem& p, int64_t row, int from, int width, const Scratch& s) {
  const int ld = p.columns.ld;
  for (int i = 0; i < ld; ++i) s.rows[i] = p.background + static_cast<int64_t>(i) * ld + from;
  const float ridge = p.ridge ? p.ridge[row] : 0.0f;
  for (int j = 0; j < width; j += W) store(s.g + j, load(s.x + from + j) * ridge);
  accumulate_targets(s.rows, s.x, ld, width, s.g);
  for (int i = 0; i < width; ++i)
    for (int j = i / W * W; j < width; j += W) store(s.H + i * width + j, load(s.rows[from + i] + j));
  for (int i = 0; ridge > 0 && i < width; ++i) s.H[i * width + i] += ridge;
}

// Moves one row x towards its solution: block after block, each solved exactly while the others are held fixed.
//
//   f(x) = 1/2 x^T (background + ridge I) x + 1/2 sum_j w_j (x.z_j - t_j)^2
//   e_j = x.z_j - t_j       g = (background + ridge I) x + sum_j w_j e_j z_j       (the gradient)
//   H = background + ridge I + sum_j w_j z_j z_j^T                                 (the Hessian)
//   x_b <- x_b - H_bb^-1 g_b       for each block b
//
// This is block Gauss-Seidel on the problem of solve_rows: the subspaces of iALS++ (Rendle et al. 2021, arXiv
// 2110.14044), but all blocks of a row before the next row.
bool step_row(const BlockProblem& p, int64_t row, const Scratch& s) {
  const Spread& c = p.columns;
  const int64_t begin = p.rows.indptr[row], n = p.rows.indptr[row + 1] - begin;
  std::memset(s.x, 0, sizeof(float) * static_cast<size_t>(c.ld));
  for (int i = 0; i < c.k; ++i) s.x[c.place(i)] = p.start[row * c.k + i];
  for (int64_t r = 0; r < n; ++r) s.errors[r] = -p.rows.values[begin + r];
  Moved moved{0, c.ld, s.x};  // from zero to x
  for (int from = 0; from < c.ld; from += c.width) {
    const int width = c.ld - from < c.width ? c.ld - from : c.width;
    start_block(p, row, from, width, s);
    add_ratings(p, row, from, width, moved, s);
    const System system{s.H, s.inverse, s.g};
    if (cholesky_and_lower<1>(&system, width, s.rows) >= 0) return false;
    solve_upper<1>(&system, width);
    for (int j = 0; j < width; j += W) {
      store(s.step + j, -load(s.g + j));
      store(s.x + from + j, load(s.x + from + j) + load(s.step + j));
    }
    moved = {from, width, s.step};
  }
  for (int i = 0; i < c.k; ++i) p.out[row * c.k + i] = s.x[c.place(i)];
  return true;
}

}  // namespace

int64_t solve_blocks_scratch(int ld, int width, int64_t longest) {
  return static_cast<int64_t>(width) * width + kPanel * width + kPanel + ld + 3 * width + 2 * max_rows(ld) + longest;
}

int64_t solve_blocks(const BlockProblem& problem, const int32_t* order, int64_t n, float* memory) {
  const Scratch scratch = split(memory, problem.columns.ld, problem.columns.width);
  for (int64_t i = 0; i < n; ++i)
    if (!step_row(problem, order[i], scratch)) return order[i];
  return -1;
}

}  // namespace PALATE_LEVEL
}  // namespace palate
