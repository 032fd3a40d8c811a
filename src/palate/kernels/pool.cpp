#include "pool.hpp"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace palate {
namespace {

using Clock = std::chrono::steady_clock;

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// One parallel loop: threads take the next task number until none is left.
struct Job {
  int64_t n_tasks;
  const std::function<void(int64_t, int)>* task;
  std::atomic<int64_t> next{0};
  std::atomic<bool> stopped{false};

  void work(int worker) {
    for (int64_t i; !stopped.load(std::memory_order_relaxed) && (i = next.fetch_add(1)) < n_tasks;) (*task)(i, worker);
  }
};

struct Flag {
  explicit Flag(bool& set) : flag(set) { flag = true; }
  ~Flag() { flag = false; }
  bool& flag;
};

// Helpers join the job that stands published when they come by, and are only waited for once they have joined: on a
// busy machine the caller never waits for a helper that the system has not woken yet.
class Pool {
 public:
  bool run(Job& job, int n_threads, const std::function<bool()>& interrupted) {
    // A signal handler, called by `interrupted`, may ask for a kernel of its own: that one runs on this thread alone.
    static thread_local bool inside = false;
    if (inside) {
      job.work(0);
      return true;
    }
    const std::lock_guard<std::mutex> one_job_at_a_time(running_);
    const Flag now_inside(inside);
    if (n_threads > 1) publish(job, n_threads - 1);
    bool stopped = false;
    auto asked = Clock::now();
    for (int64_t i; !stopped && (i = job.next.fetch_add(1)) < job.n_tasks;) {
      (*job.task)(i, 0);
      if (Clock::now() - asked > std::chrono::milliseconds(50)) {
        stopped = interrupted();
        asked = Clock::now();
      }
    }
    if (stopped) job.stopped = true;
    if (n_threads > 1) withdraw();
    return !stopped;
  }

 private:
  void publish(Job& job, int helpers) {
    std::lock_guard<std::mutex> lock(mutex_);
    for (; n_threads_ < helpers; ++n_threads_) std::thread([this, worker = n_threads_ + 1] { serve(worker); }).detach();
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

  // A helper waits for a new generation: a short spin, since sweeps follow each other closely, then asleep.
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

  std::mutex running_, mutex_;
  std::condition_variable awake_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> joined_{0};
  Job* job_ = nullptr;
  int helpers_ = 0, n_threads_ = 0;
};

// Never destroyed: helpers may still wait in it while the process ends. A forked child has none of the parent's
// threads, so it starts with a pool of its own.
Pool* pool = nullptr;
std::once_flag created;

Pool& the_pool() {
  std::call_once(created, [] {
    pool = new Pool;
    pthread_atfork(nullptr, nullptr, [] { pool = new Pool; });
  });
  return *pool;
}

}  // namespace

bool run_tasks(int64_t n_tasks, int n_threads, const std::function<void(int64_t, int)>& task,
               const std::function<bool()>& interrupted) {
  Job job;
  job.n_tasks = n_tasks;
  job.task = &task;
  return the_pool().run(job, n_threads < n_tasks ? n_threads : static_cast<int>(n_tasks < 1 ? 1 : n_tasks),
                        interrupted);
}

int hardware_threads() {
  const unsigned found = std::thread::hardware_concurrency();
  return found ? static_cast<int>(found) : 1;
}

}  // namespace palate
