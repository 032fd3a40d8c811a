// Products of a sparse matrix with a sparse or dense one, a row at a time (Gustavson 1978), and the nearest neighbors
// by such a product. Compiled once for all levels: the loops wait for memory, not for arithmetic.
#include "kernels/neighbors/neighbors.hpp"

#include <algorithm>

namespace palate {
namespace {

constexpr int64_t kTile = 4096;  // columns of a dense product that stay in the cache

float value_of(const Rows& matrix, int64_t entry) { return matrix.values ? matrix.values[entry] : 1.0f; }

}  // namespace

void multiply_sparse_row(const Rows& A, const Rows& T, int64_t row, int64_t n_columns, float* out) {
  std::fill(out, out + n_columns, 0.0f);
  for (int64_t e = A.indptr[row]; e < A.indptr[row + 1]; ++e) {
    const int64_t j = A.indices[e];
    const float weight = value_of(A, e);
    if (T.values)
      for (int64_t f = T.indptr[j]; f < T.indptr[j + 1]; ++f) out[T.indices[f]] += weight * T.values[f];
    else
      for (int64_t f = T.indptr[j]; f < T.indptr[j + 1]; ++f) out[T.indices[f]] += weight;
  }
}

void multiply_wide_row(const Rows& A, const float* T, int64_t row, int64_t n_columns, float* out) {
  std::fill(out, out + n_columns, 0.0f);
  for (int64_t first = 0; first < n_columns; first += kTile) {
    const int64_t last = std::min(n_columns, first + kTile);
    for (int64_t e = A.indptr[row]; e < A.indptr[row + 1]; ++e) {
      const float weight = value_of(A, e);
      const float* from = T + A.indices[e] * n_columns;
      for (int64_t i = first; i < last; ++i) out[i] += weight * from[i];
    }
  }
}

// s_rv = n_rv / (n_rv + shrinkage) * sum_j A_rj T_jv, where n_rv counts the columns that r and v share.
void nearest_row(const NearestProblem& p, int64_t row, NearestScratch& scratch, int32_t* codes, float* similarities) {
  auto& [products, common, touched, found] = scratch;
  for (int64_t e = p.A.indptr[row]; e < p.A.indptr[row + 1]; ++e) {
    const int64_t j = p.A.indices[e];
    const float value = value_of(p.A, e);
    for (int64_t f = p.T.indptr[j]; f < p.T.indptr[j + 1]; ++f) {
      const int32_t v = p.T.indices[f];
      if (common[v]++ == 0) touched.push_back(v);
      products[v] += value * value_of(p.T, f);
    }
  }
  const int64_t size = p.A.indptr[row + 1] - p.A.indptr[row];
  for (const int32_t v : touched) {
    const auto n = static_cast<float>(common[v]);
    const float similarity = products[v] * (n / (n + p.shrinkage));
    const bool itself = p.sizes ? common[v] == size && p.sizes[v] == size : v == row;
    products[v] = 0.0f;
    common[v] = 0;
    if (!itself && similarity > 0) found.emplace_back(similarity, v);
  }
  touched.clear();
  const auto nearer = [](const auto& one, const auto& other) {  // ties go to the lower code
    return one.first > other.first || (one.first == other.first && one.second < other.second);
  };
  const auto n = std::min<int64_t>(p.k, static_cast<int64_t>(found.size()));
  std::partial_sort(found.begin(), found.begin() + n, found.end(), nearer);
  for (int64_t i = 0; i < p.k; ++i) {
    codes[i] = i < n ? found[i].second : -1;
    similarities[i] = i < n ? found[i].first : 0.0f;
  }
  found.clear();
}

}  // namespace palate
