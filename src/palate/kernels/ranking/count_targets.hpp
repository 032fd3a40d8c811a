// Counts, for each target, how many scores are greater and how many are equal. Included inside a level's namespace, as
// catalogue.hpp is.
#pragma once
#include "kernels/ranking/catalogue.hpp"

// Adds the lanes where a > b, and where a >= b, to their counts.
PALATE_INLINE void count(Vec a, Vec b, Counts& above, Counts& from) {
#if PALATE_INTRINSICS && defined(__AVX512F__)
  const __m512 x = reinterpret_cast<__m512>(a), y = reinterpret_cast<__m512>(b);
  const __m512i one = _mm512_set1_epi32(1), m = reinterpret_cast<__m512i>(above), n = reinterpret_cast<__m512i>(from);
  above = reinterpret_cast<Counts>(_mm512_mask_add_epi32(m, _mm512_cmp_ps_mask(x, y, _CMP_GT_OQ), m, one));
  from = reinterpret_cast<Counts>(_mm512_mask_add_epi32(n, _mm512_cmp_ps_mask(x, y, _CMP_GE_OQ), n, one));
#else
  above -= a > b;
  from -= a >= b;
#endif
}

inline int64_t total(Counts lanes) {
  int64_t sum = 0;
  for (int lane = 0; lane < W; ++lane) sum += lanes[lane];
  return sum;
}

constexpr int kTogether = 4;  // targets counted in one pass

// A target of a user, and the candidates counted for it so far.
struct Target {
  float score;
  int32_t code, place;
  int64_t at;                    // its position among the targets of all users
  int64_t above, level, before;  // of greater score; of equal score, itself included; of equal score and lower code
};

// n places of the catalogue from `first` on, with the scores of one user; items that are not candidates have NaN.
struct Stretch {
  const float* scores;  // padded with NaN to whole vectors
  int64_t first, n;
  const RankQuery* query;
  const int32_t* slots;
  int64_t n_slots;

  int32_t code(int64_t at) const {
    return query->catalogue.codes ? query->catalogue.codes[first + at] : static_cast<int32_t>(first + at);
  }

  bool candidate(int64_t at) const {
    return !(query->allowed && !query->allowed[first + at]) && !holds(slots, n_slots, code(at));
  }

  // How many candidates below a code have the same score; NaN counts as equal to NaN.
  int64_t level_with(float score, int64_t below) const {
    int64_t found = 0;
    for (int64_t at = 0; at < n; ++at)
      found += (score == score ? scores[at] == score : scores[at] != scores[at] && candidate(at)) && code(at) < below;
    return found;
  }

  void count_level(Target& target, int64_t level) const {
    const bool alone = level == 1 && target.place >= first && target.place < first + n;
    target.level += level;
    if (level > 0 && !alone) target.before += level_with(target.score, target.code);
  }
};

// Counts the scores > and >= each of m <= kTogether targets.
inline void count_group(const float* scores, int64_t n, const Target* targets, int m, int64_t* above, int64_t* from) {
  Vec score[kTogether];
  Counts greater[kTogether] = {}, equal_or_greater[kTogether] = {};
  for (int j = 0; j < kTogether; ++j) score[j] = broadcast(targets[j < m ? j : 0].score);
  for (int64_t at = 0; at < n; at += W) {
    const Vec s = load(scores + at);
    for (int j = 0; j < kTogether; ++j) count(s, score[j], greater[j], equal_or_greater[j]);
  }
  for (int j = 0; j < kTogether; ++j) above[j] = total(greater[j]), from[j] = total(equal_or_greater[j]);
}

inline void pad(float* scores, int64_t n) {
  for (int64_t at = n; at % W != 0; ++at) scores[at] = NAN;
}

// Copies the scores >= `minimum` together into `to`, which may be `scores`. Returns how many.
inline int64_t keep(const float* scores, int64_t n, float minimum, float* to) {
  int64_t kept = 0;
  for (int64_t at = 0; at < n; at += W) {
    const Vec s = load(scores + at);
    uint32_t hits = at_least(s, broadcast(minimum));
#if PALATE_INTRINSICS && defined(__AVX512F__)
    const __m512 front = _mm512_maskz_compress_ps(static_cast<__mmask16>(hits), reinterpret_cast<__m512>(s));
    store(to + kept, reinterpret_cast<Vec>(front));
    kept += __builtin_popcount(hits);
#else
    float lanes[W];
    store(lanes, s);
    for (; hits; hits &= hits - 1) to[kept++] = lanes[first_lane(hits)];
#endif
  }
  pad(to, kept);
  return kept;
}

// Counts for a few targets at a time, the lowest first; then drops scores that are below all remaining targets.
inline void count_targets(const Stretch& here, Target* targets, int64_t n_targets, float* kept) {
  const float* scores = here.scores;
  int64_t n = here.n;
  for (int64_t t = 0; t < n_targets; t += kTogether) {
    const int m = n_targets - t < kTogether ? static_cast<int>(n_targets - t) : kTogether;
    int64_t above[kTogether], from[kTogether];
    count_group(scores, n, targets + t, m, above, from);
    for (int j = 0; j < m; ++j) {
      Target& target = targets[t + j];
      target.above += above[j];
      here.count_level(target,
                       target.score == target.score ? from[j] - above[j] : here.level_with(target.score, INT64_MAX));
    }
    if (t + m == n_targets || 2 * from[m - 1] > n) continue;
    n = keep(scores, n, targets[t + m].score, kept);
    scores = kept;
  }
}
