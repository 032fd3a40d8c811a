// Threads at the end of the interpreter.
#include "kernels/border/finishing.hpp"

#include <atomic>
#include <chrono>
#include <thread>

namespace palate {
namespace {

std::atomic<bool> finishing{false};
std::atomic<std::thread::id> last_thread{};  // the one that ends the interpreter, and may still call kernels

}  // namespace

void begin_to_finish() {
  last_thread = std::this_thread::get_id();
  finishing = true;
}

void wait_if_finishing() {
  while (finishing && last_thread.load() != std::this_thread::get_id())
    std::this_thread::sleep_for(std::chrono::seconds(1));
}

}  // namespace palate
