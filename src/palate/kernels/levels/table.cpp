// The kernels of one level, collected into its table. Compiled once for each level.
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/levels/compiler.hpp"
#include "kernels/levels/levels.hpp"

#if PALATE_INTRINSICS
#include <immintrin.h>
#endif

namespace palate {
namespace PALATE_LEVEL {
namespace {

#include "kernels/ranking/catalogue.hpp"  // vectors, and the shape of a tile

#define PALATE_NAME_OF(level) #level
#define PALATE_NAME(level) PALATE_NAME_OF(level)

}  // namespace

// rows/solve_rows.cpp, rows/gram.cpp, rows/predict_pairs.cpp
SolveRowsScratch solve_rows_scratch;
SolveRows solve_rows;
GramScratch gram_scratch;
Gram gram;
PredictPairs predict_pairs;

// blocks/blocks.cpp
SolveBlocksScratch solve_blocks_scratch;
SolveBlocks solve_blocks;

// links/multiply_rows.cpp, links/draw_link.cpp
MultiplyRows multiply_rows;
ColorNoise color_noise;
DrawColumns draw_columns;

// latent/latent.cpp
DrawTruncated draw_truncated;
ExpectTruncated expect_truncated;
CountSteps count_steps;
StepCurve step_curve;

// sgd/sgd.cpp, bpr/bpr.cpp, bpr/softmax.cpp
Descend descend;
DescendPairs descend_pairs;
DescendSoftmaxScratch descend_softmax_scratch;
DescendSoftmax descend_softmax;

// ranking/catalogue.cpp, ranking/top_n.cpp, ranking/rank_targets.cpp
PackPanels pack_panels;
Lengths lengths;
TopNScratch top_n_scratch;
TopN top_n, top_n_of;
RankTargetsScratch rank_targets_scratch;
RankTargets rank_targets, rank_targets_of;

// supports/solve_supports.cpp
SolveSupportsScratch solve_supports_scratch;
SolveSupports solve_supports;

// random/normals.cpp
Normals normals;

extern const Level table;
const Level table = {
    PALATE_NAME(PALATE_LEVEL),
    W,
    padded,
    // rows
    solve_rows_scratch,
    solve_rows,
    gram_scratch,
    gram,
    predict_pairs,
    // blocks
    solve_blocks_scratch,
    solve_blocks,
    // links
    multiply_rows,
    color_noise,
    draw_columns,
    // latent
    draw_truncated,
    expect_truncated,
    count_steps,
    step_curve,
    // sgd, bpr
    descend,
    descend_pairs,
    descend_softmax_scratch,
    descend_softmax,
    // ranking
    kPanel,
    kTileUsers,
    pack_panels,
    lengths,
    top_n_scratch,
    top_n,
    top_n_of,
    rank_targets_scratch,
    rank_targets,
    rank_targets_of,
    // supports
    solve_supports_scratch,
    solve_supports,
    // random
    normals,
};

}  // namespace PALATE_LEVEL
}  // namespace palate
