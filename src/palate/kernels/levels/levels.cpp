// Finds out which levels this machine runs, and keeps the one in use.
#include "kernels/levels/levels.hpp"

#include <cstring>

namespace palate {

// `default` is a C++ keyword, so the narrowest level is called `plain`.
namespace plain {
extern const Level table;
}
#if defined(__x86_64__)
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
  const Level* current = nullptr;

  void add(const Level& found) {
    int n = 0;
    while (available[n]) ++n;
    available[n] = current = &found;
    names[n] = found.name;
  }

  Choice() {
    add(plain::table);
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
    if (v3) add(v3::table);
    if (v4) add(v4::table);
#endif
  }
};

Choice& choice() {
  static Choice chosen;
  return chosen;
}

}  // namespace

const Level& level() { return *choice().current; }

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
