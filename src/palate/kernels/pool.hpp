// One thread pool for all kernels.
#pragma once
#include <cstdint>
#include <functional>

namespace palate {

// Runs task(i, worker) for i in 0 .. n_tasks on up to n_threads threads, the caller being worker 0. Threads take the
// next task as they become free. `interrupted` is asked by the caller's thread about twenty times a second; once it
// says yes, no new task starts and the result is false.
bool run_tasks(int64_t n_tasks, int n_threads, const std::function<void(int64_t task, int worker)>& task,
               const std::function<bool()>& interrupted);

int hardware_threads();

}  // namespace palate
