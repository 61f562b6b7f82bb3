// How the store requests room without knowing the eviction policy: an interface that the layer
// above implements (evictor), so that includes keep pointing downwards.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvcache {

class room_maker {
public:
  virtual ~room_maker() = default;

  // Called by the thread whose PUT does not fit, outside all locks of the store. Makes about
  // `wanted_bytes` of room (or one entry fewer, when `entries_over` > 0) in a bounded number of
  // steps and never waits for another thread. Returns false when nothing could be made: the PUT is
  // then refused with put_outcome::no_room.
  virtual bool make_room(std::size_t wanted_bytes, std::size_t entries_over) noexcept = 0;

  // The following refine it; a maker that evicts whatever it meets needs none of them.

  // Whether a living entry, last accessed so many epochs ago, may be evicted because it stands in
  // the way of a PUT that misses `wanted_bytes`. Called under the lock of the entry's bucket: must
  // be short and must not call the cache.
  virtual bool may_evict(std::uint32_t /*age_epochs*/, std::size_t /*wanted_bytes*/) noexcept {
    return true;
  }

  // Called by the thread whose PUT is about to take a block of `taken_bytes` while the cache holds
  // more than its limit, outside all locks of the store: the limit has fallen, and the block would
  // be taken from what eviction has just freed. Evicts in a bounded number of steps, or nothing.
  virtual void shed(std::size_t /*taken_bytes*/) noexcept {}

  // Like make_room(), where it is the kernel that refuses memory. What it was asked for:
  enum class refused_for : std::uint8_t { entries, index };
  virtual bool make_room_after_refusal(std::size_t /*wanted_bytes*/, refused_for) noexcept {
    return false;
  }
};

} // namespace kvcache
