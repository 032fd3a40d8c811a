// One thread pool for all kernels.
#pragma once
#include <cstdint>
#include <functional>

namespace palate {

// Runs task(i, worker) for i in 0 .. n_tasks on at most n_threads threads. The caller is worker 0; a thread takes the
// next task when it is free. The caller asks interrupted() about twenty times a second: once it returns true, no new
// task starts, and run_tasks returns false.
bool run_tasks(int64_t n_tasks, int n_threads, const std::function<void(int64_t task, int worker)>& task,
               const std::function<bool()>& interrupted);

int hardware_threads();

}  // namespace palate
