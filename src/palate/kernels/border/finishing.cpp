// Threads at the end of the interpreter.
#include "kernels/border/finishing.hpp"

#include <atomic>
#include <chrono>
#include <thread>

namespace palate {
namespace {

std::atomic<bool> finishing{false};
std::atomic<std::thread::id> last_thread{};  // the one that ends the interpreter, and may still call kernels
constexpr int kMostWaits = 1000;             // of a millisecond
std::atomic<int> n_taking{0};                // threads that may be taking the lock now

bool must_wait() { return finishing && last_thread.load() != std::this_thread::get_id(); }

}  // namespace

void begin_to_finish() {
  last_thread = std::this_thread::get_id();
  finishing = true;
  // A thread counts itself before it looks at `finishing`, so none is overlooked. Of a process that was forked, threads
  // that it has no more may be counted: so not for ever.
  for (int waited = 0; n_taking > 0 && waited < kMostWaits; ++waited) {
    PyThreadState* state = PyEval_SaveThread();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    PyEval_RestoreThread(state);
  }
}

TakingLock::TakingLock() {
  ++n_taking;
  if (!must_wait()) return;
  --n_taking;
  while (true) std::this_thread::sleep_for(std::chrono::seconds(1));
}

TakingLock::~TakingLock() { --n_taking; }

}  // namespace palate
