// How many bytes the store holds from the kernel, and how many it may. Shared by entry memory and
// the tables: whoever takes memory charges it here first, and refunds it after giving it back.
//
// Thread-safety: every member may be called by any thread at any time. Invariant: held_bytes() is
// at least what is really held, and passes the limit only by what charge() took regardless of it.
#pragma once

#include <atomic>
#include <cstddef>

namespace kvcache {

class budget {
public:
  explicit budget(std::size_t limit_bytes) noexcept : limit_bytes_(limit_bytes) {}
  budget(const budget&) = delete;
  budget& operator=(const budget&) = delete;

  // False, and nothing is charged, if that would pass the limit.
  bool try_charge(std::size_t bytes) noexcept {
    const std::size_t limit = limit_bytes_.load(std::memory_order_relaxed);
    std::size_t held = held_bytes_.load(std::memory_order_relaxed);
    do { // never above the limit, not even for a moment
      if (limit != 0 && (held > limit || bytes > limit - held)) return false;
    } while (!held_bytes_.compare_exchange_weak(held, held + bytes, std::memory_order_relaxed));
    return true;
  }
  void charge(std::size_t bytes) noexcept { // what cannot be refused: bookkeeping of a few bytes
    held_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  }
  void refund(std::size_t bytes) noexcept {
    held_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  }

  // How much must be given back before that can be charged.
  std::size_t missing_for(std::size_t bytes) const noexcept {
    const std::size_t limit = limit_bytes();
    const std::size_t held = held_bytes();
    return limit == 0 || held + bytes <= limit ? 0 : held + bytes - limit;
  }

  // Only after the limit has been lowered, and by the little that charge() took.
  bool over_limit() const noexcept {
    const std::size_t limit = limit_bytes();
    return limit != 0 && held_bytes() > limit;
  }

  std::size_t held_bytes() const noexcept { return held_bytes_.load(std::memory_order_relaxed); }
  std::size_t limit_bytes() const noexcept { return limit_bytes_.load(std::memory_order_relaxed); }
  void set_limit_bytes(std::size_t bytes) noexcept { // 0 = unlimited
    limit_bytes_.store(bytes, std::memory_order_relaxed);
  }
  void exchange_limit_bytes(std::size_t from, std::size_t to) noexcept { // if it still is `from`
    limit_bytes_.compare_exchange_strong(from, to, std::memory_order_relaxed);
  }

private:
  std::atomic<std::size_t> held_bytes_{0};
  std::atomic<std::size_t> limit_bytes_;
};

} // namespace kvcache
