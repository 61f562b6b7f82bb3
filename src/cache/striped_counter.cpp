#include "cache/striped_counter.hpp"

namespace kvcache {

unsigned this_thread_number() noexcept {
  static std::atomic<unsigned> next{0}; // the one process-wide count: threads belong to the process
  thread_local const unsigned number = next.fetch_add(1, std::memory_order_relaxed);
  return number;
}

} // namespace kvcache
