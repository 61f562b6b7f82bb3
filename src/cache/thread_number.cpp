#include "cache/thread_number.hpp"

#include <array>
#include <atomic>

namespace kvcache::detail {
namespace {

// As many as a server may have workers.
constexpr unsigned numbers = 1024;

// The one process-wide state here: threads belong to the process.
constinit std::array<std::atomic<bool>, numbers> taken{};

// Returns a thread's number when the thread ends.
class departure {
public:
  explicit departure(unsigned number) noexcept : number_(number) {}
  ~departure() { taken[number_].store(false, std::memory_order_relaxed); }
  departure(const departure&) = delete;
  departure& operator=(const departure&) = delete;

private:
  unsigned number_;
};

} // namespace

constinit thread_local unsigned thread_number_plus_one = 0;

unsigned draw_thread_number() noexcept {
  unsigned number = 0;
  while (number < numbers && (taken[number].load(std::memory_order_relaxed) ||
                              taken[number].exchange(true, std::memory_order_relaxed))) {
    ++number;
  }
  thread_number_plus_one = number + 1;
  if (number < numbers) {
    thread_local const departure when_the_thread_ends{number};
  }
  return number;
}

} // namespace kvcache::detail
