// The end of the interpreter. Kernels run without its lock; while it ends, a thread that takes the lock back is killed
// by Python in the middle of C++, which ends the process with an abort. Such a thread waits instead until the process
// is gone.
#pragma once
#include <nanobind/nanobind.h>

namespace palate {

// From now on threads other than the calling one wait instead of taking the lock. Those that are about to take it get
// it first. Python calls it when it begins to end, with the lock.
void begin_to_finish();

// A thread takes the lock for as long as this lives. Never returns in a thread that must not take it any more.
struct TakingLock {
  TakingLock();
  TakingLock(const TakingLock&) = delete;
  TakingLock& operator=(const TakingLock&) = delete;
  ~TakingLock();
};

// Gives the lock away for its lifetime.
struct Unlocked {
  Unlocked() : state(PyEval_SaveThread()) {}
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
  ~Unlocked() {
    const TakingLock taking;
    PyEval_RestoreThread(state);
  }
  PyThreadState* state;
};

}  // namespace palate
