// The bytes that the store holds from the kernel, and the most it may hold. Entry memory and tables
// charge memory here before they take it, and refund it after they have returned it.
//
// Thread-safety: every member may be called by any thread at any time.
// Invariant: held_bytes() is at least what is held, and exceeds the limit only by what charge()
// took.
#pragma once

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>

namespace kvcache {

class budget {
public:
  explicit budget(std::size_t limit_bytes) noexcept : limit_bytes_(limit_bytes) {}
  budget(const budget&) = delete;
  budget& operator=(const budget&) = delete;

  // Bytes that are being freed for one write and that others may not charge meanwhile: otherwise
  // small writes would take what a large one evicts for. Counts against the limit but not as held.
  class reservation {
  public:
    explicit reservation(budget& of) noexcept : budget_(of) {}
    ~reservation() { set(0); }
    reservation(const reservation&) = delete;
    reservation& operator=(const reservation&) = delete;
    void set(std::size_t bytes) noexcept {
      if (bytes == bytes_) return;
      budget_.reserved_bytes_.fetch_add(bytes - bytes_, std::memory_order_relaxed);
      bytes_ = bytes;
    }
    std::size_t bytes() const noexcept { return bytes_; }

  private:
    budget& budget_;
    std::size_t bytes_ = 0;
  };

  // False, and nothing is charged, if that would exceed the limit. `own_reserved`: the caller's own
  // reservation, which it may use.
  bool try_charge(std::size_t bytes, std::size_t own_reserved = 0) noexcept {
    const std::size_t limit = limit_for(own_reserved);
    std::size_t held = held_bytes_.load(std::memory_order_relaxed);
    do { // a compare-exchange: held_bytes() never exceeds the limit, not even for a moment
      if (limit != unlimited && (held > limit || bytes > limit - held)) return false;
    } while (!held_bytes_.compare_exchange_weak(held, held + bytes, std::memory_order_relaxed));
    return true;
  }
  void charge(std::size_t bytes) noexcept { // for small bookkeeping that cannot be refused
    held_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  }
  void refund(std::size_t bytes) noexcept {
    [[maybe_unused]] const std::size_t held =
        held_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    assert(held >= bytes); // pairs with charge() and try_charge()
  }

  // The bytes that must be refunded before that can be charged.
  std::size_t missing_for(std::size_t bytes, std::size_t own_reserved = 0) const noexcept {
    const std::size_t limit = limit_for(own_reserved);
    const std::size_t held = held_bytes();
    return limit == unlimited || held + bytes <= limit ? 0 : held + bytes - limit;
  }

  // True only after the limit has been lowered, or by the little that charge() took.
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
  static constexpr std::size_t unlimited = SIZE_MAX;

  // The limit without what others have reserved.
  std::size_t limit_for(std::size_t own_reserved) const noexcept {
    const std::size_t limit = limit_bytes();
    if (limit == 0) return unlimited;
    const std::size_t reserved = reserved_bytes_.load(std::memory_order_relaxed);
    const std::size_t others = reserved - std::min(reserved, own_reserved);
    return limit - std::min(limit, others);
  }

  std::atomic<std::size_t> held_bytes_{0};
  std::atomic<std::size_t> limit_bytes_;
  std::atomic<std::size_t> reserved_bytes_{0};
};

} // namespace kvcache
