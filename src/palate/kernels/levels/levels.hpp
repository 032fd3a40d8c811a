// The instruction sets ("levels") the kernels are compiled for, and which of them is in use.
//
// Every file named in CMakeLists.txt under level_sources is compiled once for each level, in a namespace named after
// it (PALATE_LEVEL). A kernel is declared by the type of its function, next to its arguments in the header of its
// folder: `SolveRows solve_rows;` declares the function that levels/table.cpp puts into the table of its level.
#pragma once
#include "kernels/blocks/blocks.hpp"
#include "kernels/bpr/bpr.hpp"
#include "kernels/latent/latent.hpp"
#include "kernels/links/links.hpp"
#include "kernels/random/random.hpp"
#include "kernels/ranking/ranking.hpp"
#include "kernels/rows/rows.hpp"
#include "kernels/sgd/sgd.hpp"
#include "kernels/supports/supports.hpp"

namespace palate {

struct Level {
  const char* name;
  int lanes;             // floats in a vector register
  int (*padded)(int k);  // ld: k rounded up to whole vectors
  // rows
  SolveRowsScratch* solve_rows_scratch;
  SolveRows* solve_rows;
  GramScratch* gram_scratch;
  Gram* gram;
  PredictPairs* predict_pairs;
  // blocks
  SolveBlocksScratch* solve_blocks_scratch;
  SolveBlocks* solve_blocks;
  // links
  MultiplyRows* multiply_rows;
  ColorNoise* color_noise;
  DrawColumns* draw_columns;
  // latent
  DrawTruncated* draw_truncated;
  ExpectTruncated* expect_truncated;
  CountSteps* count_steps;
  StepCurve* step_curve;
  // sgd, bpr
  Descend* descend;
  DescendPairs* descend_pairs;
  DescendSoftmaxScratch* descend_softmax_scratch;
  DescendSoftmax* descend_softmax;
  // ranking
  int panel_items;  // items of a panel
  int tile_users;   // users whose scores are computed together
  PackPanels* pack_panels;
  Lengths* lengths;
  TopNScratch* top_n_scratch;
  TopN* top_n;
  TopN* top_n_of;
  RankTargetsScratch* rank_targets_scratch;
  RankTargets* rank_targets;
  RankTargets* rank_targets_of;
  // supports
  SolveSupportsScratch* solve_supports_scratch;
  SolveSupports* solve_supports;
  // random
  Normals* normals;
};

const Level& level();                   // the level in use: at first the widest this machine runs
bool use_level(const char* name);       // for tests; false if this machine cannot run it
const char* const* supported_levels();  // null-terminated

}  // namespace palate
