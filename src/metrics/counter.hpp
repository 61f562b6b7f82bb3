// A counter that one thread writes and any thread reads.
//
// Because there is one writer, adding is a plain load, add and store without a locked instruction.
// Readers see a recent value; it orders no other memory access. It wraps at 2^64; the difference of
// two readings is correct across the wrap.
#pragma once

#include <atomic>
#include <cstdint>

namespace kvcache::observe {

class counter {
public:
  // REQUIRES: only the owning thread calls these two.
  void add(std::uint64_t amount = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  void raise_to(std::uint64_t candidate) noexcept {
    if (candidate > value()) value_.store(candidate, std::memory_order_relaxed);
  }

  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
  std::atomic<std::uint64_t> value_{0};
};

} // namespace kvcache::observe
