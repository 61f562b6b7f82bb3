// A sum that many threads add to without sharing a cache line.
//
// Thread-safety: every member may be called by any thread at any time. value() is exact while no
// thread adds; otherwise it may lack the additions under way.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "cache/thread_number.hpp"

namespace kvcache {

class striped_counter {
public:
  explicit striped_counter(unsigned stripes)
      : stripes_(stripes), cells_(std::make_unique<cell[]>(stripes)) {}

  void add(std::int64_t delta) noexcept {
    cells_[this_thread_number() % stripes_].sum.fetch_add(delta, std::memory_order_relaxed);
  }
  std::size_t value() const noexcept {
    std::int64_t sum = 0;
    for (unsigned i = 0; i < stripes_; ++i) sum += cells_[i].sum.load(std::memory_order_relaxed);
    return sum < 0 ? 0 : static_cast<std::size_t>(sum);
  }

private:
  struct alignas(64) cell {
    std::atomic<std::int64_t> sum{0};
  };
  unsigned stripes_;
  std::unique_ptr<cell[]> cells_;
};

} // namespace kvcache
