// The extension module palate.kernels._kernels: its functions are added by the border file next to each kernel.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <string>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "kernels/border/finishing.hpp"
#include "kernels/levels/levels.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace palate {

void add_solve_rows(nb::module_& m);     // rows/solve_rows_border.cpp
void add_gram(nb::module_& m);           // rows/gram_border.cpp
void add_predict_pairs(nb::module_& m);  // rows/predict_pairs_border.cpp
void add_compress_rows(nb::module_& m);  // rows/compress_rows.cpp
void add_blocks(nb::module_& m);         // blocks/blocks_border.cpp
void add_multiply_rows(nb::module_& m);  // links/multiply_rows_border.cpp
void add_draw_link(nb::module_& m);      // links/draw_link_border.cpp
void add_latent(nb::module_& m);         // latent/latent_border.cpp
void add_sgd(nb::module_& m);            // sgd/sgd_border.cpp
void add_bpr(nb::module_& m);            // bpr/bpr_border.cpp
void add_softmax(nb::module_& m);        // bpr/softmax_border.cpp
void add_neighbors(nb::module_& m);      // neighbors/neighbors_border.cpp
void add_supports(nb::module_& m);       // supports/supports_border.cpp
void add_events(nb::module_& m);         // events/events_border.cpp
void add_top_n(nb::module_& m);          // ranking/top_n_border.cpp
void add_rank_targets(nb::module_& m);   // ranking/rank_targets_border.cpp
void add_random(nb::module_& m);         // random/random_border.cpp

namespace {

nb::list levels() {
  nb::list names;
  for (const char* const* name = supported_levels(); *name; ++name) names.append(nb::str(*name));
  return names;
}

void set_level(const std::string& name) {
  if (use_level(name.c_str())) return;
  std::string known;
  for (const char* const* each = supported_levels(); *each; ++each)
    known += (known.empty() ? "" : ", ") + std::string(*each);
  throw nb::value_error(("this machine cannot run level " + name + "; it runs " + known).c_str());
}

void release_memory() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace
}  // namespace palate

NB_MODULE(_kernels, m) {
  using namespace palate;
  add_solve_rows(m);
  add_gram(m);
  add_predict_pairs(m);
  add_compress_rows(m);
  add_blocks(m);
  add_multiply_rows(m);
  add_draw_link(m);
  add_latent(m);
  add_sgd(m);
  add_bpr(m);
  add_softmax(m);
  add_neighbors(m);
  add_supports(m);
  add_events(m);
  add_top_n(m);
  add_rank_targets(m);
  add_random(m);
  m.def("begin_to_finish", &begin_to_finish, R"(Have all other threads wait when they come back from a kernel.

Registered with atexit: a thread that took the lock of an interpreter that ends would end the process with an abort.)");
  m.def("release_memory", &release_memory, R"(Give memory that was freed back to the system, where it can be asked to.

The allocator keeps the holes that arrays of many sizes leave. After much of it, and before something large, this makes
the peak smaller.)");
  m.def("levels", &levels, R"(The instruction sets this machine runs, the narrowest first.

Returns:
    list of str: Some of "plain", "v3" (AVX2) and "v4" (AVX-512).)");
  m.def(
      "level", [] { return level().name; },
      R"(The instruction set in use: after import the widest this machine runs.

Returns:
    str: One of levels().)");
  m.def("use_level", &set_level, "name"_a, R"(Use the kernels of another instruction set; for tests.

Parameters:
    name (str): One of levels().

Raises:
    ValueError: This machine cannot run it.)");
}
