#include "cache/thread_number.hpp"

#include <array>
#include <atomic>

#include "cache/thread_exit_hook.hpp"

namespace kvcache::detail {
namespace {

// As many as a server may have workers.
constexpr unsigned numbers = 1024;

// The one process-wide state here: threads belong to the process.
constinit std::array<std::atomic<bool>, numbers> taken{};

void give_back(void* number) noexcept {
  static_cast<std::atomic<bool>*>(number)->store(false, std::memory_order_relaxed);
}

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
    static const thread_exit_hook when_a_thread_ends{give_back};
    when_a_thread_ends.arm(&taken[number]); // if this fails, the number stays taken
  }
  return number;
}

} // namespace kvcache::detail
