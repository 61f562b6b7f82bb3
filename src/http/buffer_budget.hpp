// What all connections together hold in memory, and the cap on it: their own buffers, counted to
// the byte, and the kernel's, as of the last look at them. The store's budget counts these bytes
// too (eviction reads them), so hostile peers cannot push it over the limit. The cap may change at
// any time; what is held above a lower one has to be shed.
//
// Touched only when a buffer grows or shrinks, when a connection comes or goes and at a look, never
// once a request. Thread-safety: full.
#pragma once

#include <atomic>
#include <cstddef>
#include <limits>

namespace kvcache::http {

class buffer_budget {
public:
  // 0: no cap.
  explicit buffer_budget(std::size_t limit_bytes) noexcept
      : limit_bytes_(limit_bytes), limit_bytes_most_(limit_bytes) {}

  // Whether `bytes` more stay under the cap. Two threads that ask at the same time may pass it
  // together by what each of them then takes.
  bool has_room(std::size_t bytes) const noexcept {
    const std::size_t limit = limit_bytes();
    return limit == 0 || used_bytes() + bytes <= limit;
  }

  // For more than this at a time there never will be room, however long one waits: it would make
  // memory short all by itself.
  std::size_t bytes_at_a_time_most() const noexcept {
    const std::size_t most = limit_bytes_most_.load(std::memory_order_relaxed);
    return most == 0 ? std::numeric_limits<std::size_t>::max() : most / 4 * 3;
  }

  // Three quarters of the cap are taken: who holds something for nothing should give it back.
  bool is_short() const noexcept {
    const std::size_t limit = limit_bytes();
    return limit != 0 && used_bytes() > limit / 4 * 3;
  }

  // What the kernel holds is known only when it has been taken, so that the cap can be passed: who
  // holds much of it must give it back at once.
  bool is_over() const noexcept {
    const std::size_t limit = limit_bytes();
    return limit != 0 && used_bytes() > limit;
  }

  std::size_t limit_bytes() const noexcept { return limit_bytes_.load(std::memory_order_relaxed); }

  // `most`: what the cap can become where nothing else needs memory; 0: no more than `bytes`.
  void set_limit_bytes(std::size_t bytes, std::size_t most = 0) noexcept {
    limit_bytes_.store(bytes, std::memory_order_relaxed);
    limit_bytes_most_.store(most == 0 ? bytes : most, std::memory_order_relaxed);
  }

  // Takes over a change of what one owner holds.
  void change(std::size_t from_bytes, std::size_t to_bytes) noexcept {
    used_bytes_.fetch_add(to_bytes - from_bytes,
                          std::memory_order_relaxed); // wraps when it shrinks
  }

  std::size_t used_bytes() const noexcept { return used_bytes_.load(std::memory_order_relaxed); }

private:
  std::atomic<std::size_t> limit_bytes_;
  std::atomic<std::size_t> limit_bytes_most_;
  std::atomic<std::size_t> used_bytes_{0};
};

} // namespace kvcache::http
