// One thread pool for all kernels. Helper threads spin for a moment before they sleep, because a sweep starts many
// short loops one after the other. After a fork the child starts a pool of its own.
#include "kernels/pool/pool.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#if !defined(_WIN32)
#include <pthread.h>
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <emmintrin.h>
#endif

namespace palate {
namespace {

using Clock = std::chrono::steady_clock;

inline void relax() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#endif
}

// One parallel loop: threads take the next task number until none is left or a task has failed.
struct Job {
  int64_t n_tasks;
  const std::function<void(int64_t, int)>* task;
  const std::function<bool()>* interrupted;
  std::atomic<int64_t> next{0};
  std::atomic<bool> stopped{false};
  std::mutex failing;
  std::exception_ptr failure;  // the first exception of a task, for the caller

  void work(int worker) {
    try {
      for (int64_t i; !stopped.load(std::memory_order_relaxed) && (i = next.fetch_add(1)) < n_tasks;)
        (*task)(i, worker);
    } catch (...) {
      fail(std::current_exception());
    }
  }

  // The caller's share of the work. Returns false once interrupted() has returned true.
  bool work_and_ask() {
    auto asked = Clock::now();
    bool go_on = true;
    try {
      for (int64_t i; go_on && !stopped.load(std::memory_order_relaxed) && (i = next.fetch_add(1)) < n_tasks;) {
        (*task)(i, 0);
        if (Clock::now() - asked > std::chrono::milliseconds(50)) {
          go_on = !(*interrupted)();
          asked = Clock::now();
        }
      }
    } catch (...) {
      fail(std::current_exception());
    }
    if (!go_on) stopped = true;
    return go_on;
  }

  void fail(std::exception_ptr thrown) {
    const std::lock_guard<std::mutex> lock(failing);
    if (!failure) failure = thrown;
    stopped = true;
  }
};

// Helpers join the published job when they wake up. The caller waits only for helpers that have joined: on a busy
// machine it never waits for a thread that the system has not woken yet.
class Pool {
 public:
  bool run(Job& job, int n_threads) {
    // The helpers may be busy with another loop: of another Python thread, or of this one, interrupted by a signal
    // handler that calls a kernel. Then this loop runs on its own thread alone. It does not wait and can be
    // interrupted.
    const bool alone = n_threads < 2 || taken_.exchange(true);
    if (!alone) publish(job, n_threads - 1);
    const bool finished = job.work_and_ask();
    if (!alone) {
      withdraw();
      taken_ = false;
    }
    if (job.failure) std::rethrow_exception(job.failure);
    return finished;
  }

 private:
  void publish(Job& job, int helpers) {
    std::lock_guard<std::mutex> lock(mutex_);
    try {
      for (; n_threads_ < helpers; ++n_threads_)
        std::thread([this, worker = n_threads_ + 1] { serve(worker); }).detach();
    } catch (const std::system_error&) {
      // The system grants no more threads: go on with those there are.
    }
    job_ = &job;
    helpers_ = helpers;
    ++generation_;
    awake_.notify_all();
  }

  void withdraw() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = nullptr;
    }
    for (int spin = 0; joined_.load(std::memory_order_acquire) > 0; ++spin)
      spin < 1000 ? relax() : std::this_thread::yield();
  }

  // A helper waits for a new generation: it spins shortly, since loops follow each other closely, then sleeps.
  void serve(int worker) {
    for (uint64_t seen = 0;;) {
      for (int spin = 0; spin < 1000 && generation_.load(std::memory_order_acquire) == seen; ++spin) relax();
      Job* job = nullptr;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        awake_.wait(lock, [&] { return generation_.load() != seen; });
        seen = generation_;
        if (job_ && worker <= helpers_) {
          job = job_;
          ++joined_;
        }
      }
      if (!job) continue;
      job->work(worker);
      joined_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::mutex mutex_;
  std::atomic<bool> taken_{false};
  std::condition_variable awake_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> joined_{0};
  Job* job_ = nullptr;
  int helpers_ = 0, n_threads_ = 0;
};

// Never destroyed: helpers may still wait in it while the process ends. A forked child has none of its parent's
// threads, so it starts with a new pool.
Pool* pool = nullptr;
std::once_flag created;

Pool& the_pool() {
  std::call_once(created, [] {
    pool = new Pool;
#if !defined(_WIN32)  // which does not fork
    pthread_atfork(nullptr, nullptr, [] { pool = new Pool; });
#endif
  });
  return *pool;
}

}  // namespace

bool run_tasks(int64_t n_tasks, int n_threads, const std::function<void(int64_t, int)>& task,
               const std::function<bool()>& interrupted) {
  Job job;
  job.n_tasks = n_tasks;
  job.task = &task;
  job.interrupted = &interrupted;
  return the_pool().run(job, n_threads < n_tasks ? n_threads : static_cast<int>(n_tasks < 1 ? 1 : n_tasks));
}

int hardware_threads() {
  static const unsigned found = std::thread::hardware_concurrency();  // it reads a file: longer than a small kernel
  return found ? static_cast<int>(found) : 1;
}

}  // namespace palate
