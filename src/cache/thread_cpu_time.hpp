// The processor time of the calling thread, for measuring steps without the time spent waiting for
// a processor. A reading takes about 0.2 µs: too long for every request.
#pragma once

#include <atomic>
#include <cstdint>
#include <ctime>

namespace kvcache {

inline std::uint64_t thread_cpu_ns() noexcept {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(t.tv_nsec);
}

// Measures its own lifetime and records it if it is the longest.
class longest_step {
public:
  explicit longest_step(std::atomic<std::uint64_t>& longest_ns) noexcept
      : longest_ns_(longest_ns), start_ns_(thread_cpu_ns()) {}
  ~longest_step() {
    const std::uint64_t took = thread_cpu_ns() - start_ns_;
    std::uint64_t before = longest_ns_.load(std::memory_order_relaxed);
    while (took > before &&
           !longest_ns_.compare_exchange_weak(before, took, std::memory_order_relaxed)) {
    }
  }
  longest_step(const longest_step&) = delete;
  longest_step& operator=(const longest_step&) = delete;

private:
  std::atomic<std::uint64_t>& longest_ns_;
  std::uint64_t start_ns_;
};

} // namespace kvcache
