// The logical clock that stamps accesses: it advances by one epoch per given number of accesses. It
// counts accesses, hits included, and not evictions or time: a long run of hits must still order
// accesses, and an idle hour must not age any entry.
//
// Thread-safety: every member may be called by any thread at any time. Each thread counts on its
// own cache line (up to twice as many threads as stripes) and adds its count to the shared one in
// batches, so an access writes no line that others read. Counts lost to threads that share a line,
// or to a race at the end of an epoch, only make the clock a little slow.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "cache/entry_meta.hpp"
#include "cache/thread_number.hpp"

namespace kvcache {

class access_clock {
public:
  explicit access_clock(unsigned stripes)
      : mask_(2 * std::bit_ceil(std::max(stripes, 1U)) - 1),
        cells_(std::make_unique<cell[]>(mask_ + 1)) {
    set_epoch_accesses(default_epoch_accesses);
  }
  access_clock(const access_clock&) = delete;
  access_clock& operator=(const access_clock&) = delete;

  // Wraps around: compare stamps with entry_meta::age().
  epoch now() const noexcept { return epoch_.load(std::memory_order_relaxed); }

  void count_access() noexcept {
    cell& mine = cells_[this_thread_number() & mask_];
    const std::uint32_t pending = mine.pending.load(std::memory_order_relaxed) + 1;
    if (pending < batch_.load(std::memory_order_relaxed)) {
      mine.pending.store(pending, std::memory_order_relaxed);
      return;
    }
    mine.pending.store(0, std::memory_order_relaxed);
    add(pending);
  }

  void advance() noexcept { epoch_.fetch_add(1, std::memory_order_relaxed); }

  // The length of an epoch in accesses, at least 1. A shorter one resolves ages better and makes
  // more accesses write a new stamp.
  void set_epoch_accesses(std::uint32_t accesses) noexcept {
    const std::uint32_t length = std::max(accesses, 1U);
    length_.store(length, std::memory_order_relaxed);
    batch_.store(std::clamp(length / (2 * (mask_ + 1)), 1U, max_batch), std::memory_order_relaxed);
  }

private:
  // Used until eviction sets the length.
  static constexpr std::uint32_t default_epoch_accesses = 65'536;
  static constexpr std::uint32_t max_batch = 64;
  static constexpr std::size_t line_bytes = 64;

  struct alignas(64) cell {
    std::atomic<std::uint32_t> pending{0};
  };

  void add(std::uint32_t accesses) noexcept {
    const std::uint32_t total = in_epoch_.fetch_add(accesses, std::memory_order_relaxed) + accesses;
    if (total < length_.load(std::memory_order_relaxed)) return;
    in_epoch_.store(0, std::memory_order_relaxed);
    advance();
  }

  // Separates what each access reads from what is written once per batch. By padding and not by
  // alignas: a store may live on the stack, where gcc with AddressSanitizer supports no alignment
  // above 32.
  unsigned mask_;
  std::unique_ptr<cell[]> cells_;
  [[maybe_unused]] std::array<std::byte, line_bytes> apart_before_{};
  std::atomic<std::uint32_t> in_epoch_{0};
  [[maybe_unused]] std::array<std::byte, line_bytes> apart_after_{};
  std::atomic<epoch> epoch_{0}; // seldom written
  std::atomic<std::uint32_t> length_{default_epoch_accesses};
  std::atomic<std::uint32_t> batch_{1};
};

} // namespace kvcache
