// Finds out which levels this machine runs, and keeps the one in use.
#include "kernels/levels/levels.hpp"

#include <atomic>
#include <cstring>

#if defined(PALATE_LEVELS_OF_X86)  // CMakeLists.txt: v3 and v4 are compiled too
#include "kernels/levels/processor.hpp"
#endif

namespace palate {

// `default` is a C++ keyword, so the narrowest level is called `plain`.
namespace plain {
extern const Level table;
}
#if defined(PALATE_LEVELS_OF_X86)
namespace v3 {
extern const Level table;
}
namespace v4 {
extern const Level table;
}
#endif

namespace {

constexpr int kMaxLevels = 3;

struct Choice {
  const Level* available[kMaxLevels] = {};
  const char* names[kMaxLevels + 1] = {};
  std::atomic<const Level*> current{nullptr};

  void add(const Level& found) {
    int n = 0;
    while (available[n]) ++n;
    available[n] = &found;
    current = &found;
    names[n] = found.name;
  }

  Choice() {
    add(plain::table);
#if defined(PALATE_LEVELS_OF_X86)
    const Processor here = this_processor();
    if (here.v3) add(v3::table);
    if (here.v4) add(v4::table);
#endif
  }
};

Choice& choice() {
  static Choice chosen;
  return chosen;
}

}  // namespace

const Level& level() { return *choice().current.load(std::memory_order_relaxed); }

const char* const* supported_levels() { return choice().names; }

bool use_level(const char* name) {
  for (const Level* found : choice().available) {
    if (found && std::strcmp(found->name, name) == 0) {
      choice().current = found;
      return true;
    }
  }
  return false;
}

}  // namespace palate
