// The end of the interpreter. Kernels run without its lock; while it ends, a thread that takes the lock back is killed
// by Python in the middle of C++, which ends the process with an abort. Such a thread waits instead until the process
// is gone.
#pragma once
#include <nanobind/nanobind.h>

namespace palate {

// From now on threads other than the calling one wait in wait_if_finishing(). Python calls it when it begins to end.
void begin_to_finish();

// Never returns in a thread that must not take the lock any more.
void wait_if_finishing();

// Gives the lock away for its lifetime.
struct Unlocked {
  Unlocked() : state(PyEval_SaveThread()) {}
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
  ~Unlocked() {
    wait_if_finishing();
    PyEval_RestoreThread(state);
  }
  PyThreadState* state;
};

}  // namespace palate
