// The memory that all connections together hold, and the cap on it: their buffers, counted to the
// byte, and the kernel's, as of the last reading. Eviction counts these bytes, too, so hostile
// peers cannot push the process over its limit. The cap may change at any time; load shedding then
// frees what exceeds it.
//
// The connections' own blocks count like buffers, but cannot be freed while they are open: whether
// memory is short depends on the rest.
//
// Changes when a buffer grows or shrinks, when a connection opens or closes, and at readings; never
// per request. Thread-safety: full.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace kvcache::http {

class buffer_budget {
public:
  // 0: no cap.
  explicit buffer_budget(std::size_t limit_bytes) noexcept
      : limit_bytes_(limit_bytes), limit_bytes_most_(limit_bytes) {}

  // Whether `bytes` more stay under the cap. Two threads that ask concurrently may exceed it
  // together.
  bool has_room(std::size_t bytes) const noexcept {
    const std::size_t limit = limit_bytes();
    return limit == 0 || used_bytes() + bytes <= limit;
  }

  // More than this at a time never fits: it would make memory short by itself.
  std::size_t bytes_at_a_time_most() const noexcept {
    const std::size_t most = limit_bytes_most_.load(std::memory_order_relaxed);
    return most == 0 ? std::numeric_limits<std::size_t>::max() : most / 4 * 3;
  }

  // Three quarters of the cap, less the connections' blocks, are used: fewer requests are handled
  // at a time, and connections that make no use of their memory may be closed.
  bool is_short() const noexcept {
    const std::size_t limit = limit_bytes();
    if (limit == 0) return false;
    const std::size_t blocks = block_bytes_.load(std::memory_order_relaxed);
    const std::size_t for_buffers = limit > blocks ? limit - blocks : 0;
    return used_bytes() > blocks + for_buffers / 4 * 3;
  }

  // The kernel's memory is known only afterwards, so the cap can be exceeded: a peer is sent more
  // only when it has acknowledged everything.
  bool is_over() const noexcept {
    const std::size_t limit = limit_bytes();
    return limit != 0 && used_bytes() > limit;
  }

  // So far above the cap that the memory limit is in danger: connections must be closed at once.
  // Short responses, which never wait, are part of the estimated cost of a connection.
  bool is_far_over() const noexcept {
    const std::size_t limit = limit_bytes();
    if (limit == 0 || used_bytes() <= limit) return false;
    const std::size_t most = limit_bytes_most_.load(std::memory_order_relaxed);
    const std::size_t blocks = block_bytes_.load(std::memory_order_relaxed);
    const std::size_t overshoot = std::max(limit / 2, most / 8) + std::min(blocks, limit / 2) +
                                  spare_bytes_.load(std::memory_order_relaxed);
    return used_bytes() - limit > overshoot;
  }

  std::size_t limit_bytes() const noexcept { return limit_bytes_.load(std::memory_order_relaxed); }

  // `most`: the highest cap, while nothing else needs memory; 0: no more than `bytes`.
  void set_limit_bytes(std::size_t bytes, std::size_t most = 0) noexcept {
    limit_bytes_.store(bytes, std::memory_order_relaxed);
    limit_bytes_most_.store(most == 0 ? bytes : most, std::memory_order_relaxed);
  }

  // Accounts for a change of what one owner holds.
  void change(std::size_t from_bytes, std::size_t to_bytes) noexcept {
    used_bytes_.fetch_add(to_bytes - from_bytes,
                          std::memory_order_relaxed); // wraps when it shrinks
  }

  // The same of connections' blocks.
  void change_blocks(std::size_t from_bytes, std::size_t to_bytes) noexcept {
    block_bytes_.fetch_add(to_bytes - from_bytes, std::memory_order_relaxed);
    change(from_bytes, to_bytes);
  }

  std::size_t used_bytes() const noexcept { return used_bytes_.load(std::memory_order_relaxed); }

  // One response at a time may exceed the cap, so that each that fits into memory can be sent,
  // whatever the cap is. True: the caller has the spare until it gives it back.
  // REQUIRES: bytes > 0.
  bool take_spare(std::size_t bytes) noexcept {
    std::size_t nobody = 0;
    return spare_bytes_.compare_exchange_strong(nobody, bytes, std::memory_order_relaxed);
  }
  void give_spare_back() noexcept { spare_bytes_.store(0, std::memory_order_relaxed); }

  // Workers with responses that wait for memory. If there are several, none of them may use all
  // that it frees for its own.
  void change_waiting_workers(int by) noexcept {
    waiting_workers_.fetch_add(by, std::memory_order_relaxed);
  }
  int waiting_workers() const noexcept { return waiting_workers_.load(std::memory_order_relaxed); }

  // The last admission of a response that had waited, by any worker: milliseconds of the steady
  // clock.
  std::uint64_t last_admission_ms() const noexcept {
    return last_admission_ms_.load(std::memory_order_relaxed);
  }
  void note_admission(std::uint64_t now_ms) noexcept {
    last_admission_ms_.store(now_ms, std::memory_order_relaxed);
  }

private:
  std::atomic<std::size_t> limit_bytes_;
  std::atomic<std::size_t> limit_bytes_most_;
  std::atomic<std::size_t> used_bytes_{0};
  std::atomic<std::size_t> block_bytes_{0}; // included in used_bytes_
  std::atomic<int> waiting_workers_{0};
  std::atomic<std::uint64_t> last_admission_ms_{0};
  std::atomic<std::size_t> spare_bytes_{0}; // of the response that has the spare
};

} // namespace kvcache::http
