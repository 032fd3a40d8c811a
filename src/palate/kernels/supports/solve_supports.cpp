// One small ridge regression for each row: of a column of a Gram matrix on a few others, its support. Compiled once for
// each level.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/levels/compiler.hpp"
#include "kernels/supports/supports.hpp"

namespace palate {
namespace PALATE_LEVEL {

SolveSupportsScratch solve_supports_scratch;
SolveSupports solve_supports;

namespace {

#include "kernels/rows/cholesky.hpp"

constexpr int kScan = 32;  // reading so many entries costs as much as looking for one

// Scratch of one thread. ld is the length of the support rounded up to whole vectors.
struct Scratch {
  System system;
  float* right;     // (ld,) G_Sj
  float* gathered;  // (ld, ld) G_SS without its diagonal
  const float** rows;
  float* line;      // (2 + ld,) a row of G at the places of its columns, from 1; what has no place goes to 0
  int32_t* places;  // (n,) where a column stands in the support, from 1; 0: nowhere
};

Scratch split(float* memory, int ld, int32_t* places) {
  const int64_t square = static_cast<int64_t>(ld) * ld;
  auto take = [&](int64_t floats) {
    memory += floats;
    return memory - floats;
  };
  Scratch s{};
  s.system = {take(square), take(ld), take(ld)};
  s.right = take(ld);
  s.gathered = take(square);
  s.rows = reinterpret_cast<const float**>(take(2 * ld));
  s.line = take(2 + ld);
  s.places = places;
  return s;
}

// The first position in from .. last whose column is `column` or more. Looks near `from` first: what is looked for next
// is seldom far.
int64_t at_least(const int32_t* columns, int64_t from, int64_t last, int32_t column) {
  int64_t step = 1, low = from;
  while (low + step < last && columns[low + step] < column) low += step, step *= 2;
  int64_t high = low + step < last ? low + step : last;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (columns[middle] < column)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

// Sets the line to the entries of row s of the Gram matrix in the first n columns of a support, and at n_all + 1 to
// that of the target. A short row is read from end to end, with the places of its columns looked up; in a long one the
// columns are looked for.
void read_line(const Rows& gram, int32_t s, const int32_t* support, int n, int n_all, int32_t target,
               const Scratch& scratch) {
  const auto& [system, right, gathered, rows, line, places] = scratch;
  std::memset(line, 0, sizeof(float) * static_cast<size_t>(n_all + 2));
  int64_t at = gram.indptr[s];
  const int64_t last = gram.indptr[s + 1];
  if (last - at < int64_t{kScan} * (n + 1)) {
    for (; at < last; ++at) line[places[gram.indices[at]]] = gram.values[at];
    return;
  }
  const int64_t found = at_least(gram.indices, at, last, target);
  if (found < last && gram.indices[found] == target) line[n_all + 1] = gram.values[found];
  for (int i = 0; i < n && at < last; ++i) {
    at = at_least(gram.indices, at, last, support[i]);
    if (at < last && gram.indices[at] == support[i]) line[i + 1] = gram.values[at++];
  }
}

// Asks for the beginning of a row, which is read next; the processor finds the rest by itself.
void fetch_row(const Rows& gram, int32_t row) {
  constexpr int64_t kLine = 16, kLines = 4;  // entries
  const int64_t first = gram.indptr[row];
  for (int64_t at = first; at < gram.indptr[row + 1] && at < first + kLines * kLine; at += kLine) {
    PALATE_PREFETCH(gram.indices + at);
    PALATE_PREFETCH(gram.values + at);
  }
}

// G_SS without its diagonal, padded with zeros, and v = G_Sj.
void gather(const SupportProblem& p, const int32_t* support, int n, int32_t target, int ld, const Scratch& scratch) {
  const auto& [system, right, gathered, rows, line, places] = scratch;
  float* U = gathered;
  int before = 0;  // how many of the support come before the target
  while (before < n && support[before] < target) ++before;
  for (int i = 0; i < n; ++i) places[support[i]] = i + 1;
  if (!p.right) places[target] = n + 1;  // with a right-hand side of its own, a target may be in its support
  read_line(p.gram, target, support, before, n, target, scratch);
  for (int i = 0; i < ld; ++i) right[i] = i < n ? line[i + 1] : 0.0f;
  for (int i = 0; i < n; ++i) {
    if (i + 1 < n) fetch_row(p.gram, support[i + 1]);
    read_line(p.gram, support[i], support, i, n, target, scratch);
    std::memcpy(U + static_cast<int64_t>(i) * ld, line + 1, sizeof(float) * static_cast<size_t>(i));
    if (i >= before) right[i] = line[n + 1];
  }
  for (int i = 0; i < n; ++i) places[support[i]] = 0;
  places[target] = 0;
  for (int i = 0; i < ld; ++i)
    for (int j = i + 1; j < ld; ++j)
      U[static_cast<int64_t>(i) * ld + j] = j < n ? U[static_cast<int64_t>(j) * ld + i] : 0.0f;
  for (int i = n; i < ld; ++i)
    std::memset(U + static_cast<int64_t>(i) * ld, 0, sizeof(float) * static_cast<size_t>(ld));
}

// B = G_SS + diag(ridge_S), padded with ones on the diagonal, and v.
void normal_equations(const SupportProblem& p, const float* ridge, const int32_t* support, int n, int ld,
                      const Scratch& scratch) {
  const System& system = scratch.system;
  std::memcpy(system.U, scratch.gathered, sizeof(float) * static_cast<size_t>(ld) * static_cast<size_t>(ld));
  std::memcpy(system.v, scratch.right, sizeof(float) * static_cast<size_t>(ld));
  for (int i = 0; i < ld; ++i)
    system.U[static_cast<int64_t>(i) * ld + i] = i < n ? p.diagonal[support[i]] + ridge[support[i]] : 1.0f;
}

}  // namespace

int64_t solve_supports_scratch(int longest) {
  const int64_t ld = padded(longest);
  return 2 * ld * ld + 6 * ld + 2;
}

int64_t solve_supports(const SupportProblem& p, int64_t first_row, int64_t last_row, float* memory, int32_t* places) {
  for (int64_t row = first_row; row < last_row; ++row) {
    const int64_t first = p.supports.indptr[row];
    const int size = static_cast<int>(p.supports.indptr[row + 1] - first), ld = padded(size);
    if (size == 0) continue;
    const Scratch scratch = split(memory, ld, places);
    const int32_t* support = p.supports.indices + first;
    gather(p, support, size, p.targets[row], ld, scratch);
    if (p.right) std::memcpy(scratch.right, p.right + first, sizeof(float) * static_cast<size_t>(size));
    for (int64_t r = 0; r < p.n_ridges; ++r) {
      normal_equations(p, p.ridges + r * p.n, support, size, ld, scratch);
      if (cholesky_and_lower<1>(&scratch.system, ld, scratch.rows) >= 0) return row;
      solve_upper<1>(&scratch.system, ld);
      std::memcpy(p.out + r * p.n_entries + first, scratch.system.v, sizeof(float) * static_cast<size_t>(size));
    }
  }
  return -1;
}

}  // namespace PALATE_LEVEL
}  // namespace palate
