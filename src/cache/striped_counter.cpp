#include "cache/striped_counter.hpp"

namespace kvcache::detail {

constinit thread_local unsigned thread_number_plus_one = 0;

unsigned draw_thread_number() noexcept {
  static std::atomic<unsigned> next{0}; // the one process-wide count: threads belong to the process
  const unsigned number = next.fetch_add(1, std::memory_order_relaxed);
  thread_number_plus_one = number + 1;
  return number;
}

} // namespace kvcache::detail
