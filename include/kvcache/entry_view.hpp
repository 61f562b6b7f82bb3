// What a visitor or a precondition sees of an entry, and how a large value outlives its entry.
//
// Thread-safety: an entry_view is used on the thread that was given it, during the call. A
//   pinned_value may be moved to another thread and destroyed there.
// Ownership: a pinned_value owns a hold on its block. It must be destroyed before the cache.
// Errors: none. Complexity: constant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace kvcache {

class store;

// The coarse clock: ticks of 100 ms since the cache was made; 2^32 of them last 13.6 years.
using tick = std::uint32_t;
inline constexpr tick ticks_per_second = 10;
inline constexpr tick never = 0; // as an expiry: the entry does not expire

// One version of a large value. Its bytes stay readable and unchanged, whatever happens to the
// entry: it may be overwritten, erased or evicted meanwhile.
class pinned_value {
public:
  pinned_value() noexcept = default; // none
  pinned_value(pinned_value&& other) noexcept
      : store_(std::exchange(other.store_, nullptr)), block_(other.block_), bytes_(other.bytes_) {}
  pinned_value& operator=(pinned_value&& other) noexcept {
    if (this == &other) return *this;
    if (store_ != nullptr) release();
    store_ = std::exchange(other.store_, nullptr);
    block_ = other.block_;
    bytes_ = other.bytes_;
    return *this;
  }
  ~pinned_value() {
    if (store_ != nullptr) release();
  }

  explicit operator bool() const noexcept { return store_ != nullptr; }
  std::string_view bytes() const noexcept { return bytes_; }

  // The memory that this pin keeps from being freed: its share of the block, if the entry is gone.
  // 0 while the entry is in the cache, which then accounts for the block.
  std::size_t detached_bytes() const noexcept;

private:
  friend class store;
  pinned_value(store* of, std::uint32_t block, std::string_view bytes) noexcept
      : store_(of), block_(block), bytes_(bytes) {}
  void release() noexcept;

  store* store_ = nullptr;
  std::uint32_t block_ = 0;
  std::string_view bytes_;
};

class entry_view {
public:
  // Values longer than this can be pinned.
  static constexpr std::size_t pinnable_above_bytes = std::size_t{32} << 10;

  std::string_view value() const noexcept { return value_; }
  unsigned mark() const noexcept { return mark_; } // see new_value
  tick expires_at() const noexcept { return expires_at_; }

  bool can_pin() const noexcept { return value_.size() > pinnable_above_bytes; }
  pinned_value pin() const noexcept; // REQUIRES: can_pin()

private:
  friend class store;
  entry_view(store* of, std::uint32_t block, std::string_view value, unsigned mark,
             tick expires_at) noexcept
      : store_(of), value_(value), block_(block), expires_at_(expires_at), mark_(mark) {}

  store* store_;
  std::string_view value_;
  std::uint32_t block_;
  tick expires_at_;
  unsigned mark_;
};

// What a write stores: the bytes, followed by the suffix, as one value. So a caller can append to a
// value without joining both first.
struct new_value {
  std::string_view bytes;
  std::string_view suffix{};
  std::uint8_t mark = 0; // 0 to 3: kept with the entry, of no meaning to the cache
};

} // namespace kvcache
