// The interface through which the store requests evictions without depending on the eviction
// policy. The layer above implements it (evictor).
//
// Thread-safety: implementations must accept calls from any thread at any time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvcache {

class room_maker {
public:
  virtual ~room_maker() = default;

  // Called by the thread whose PUT does not fit, outside all locks of the store. Frees about
  // `wanted_bytes`, or evicts an entry if `entries_over` > 0, in a bounded number of steps and
  // without waiting for another thread. False if nothing was freed: the PUT is then refused with
  // put_outcome::no_room.
  virtual bool make_room(std::size_t wanted_bytes, std::size_t entries_over) noexcept = 0;

  // The following are optional refinements.

  // Whether a living entry, last accessed so many epochs ago, may be evicted from a slab that is
  // cleared for a PUT that needs `wanted_bytes`. Called under the lock of the entry's bucket: must
  // be short, and may read the store's figures but run no operation.
  virtual bool may_evict(std::uint32_t /*age_epochs*/, std::size_t /*wanted_bytes*/) noexcept {
    return true;
  }

  // Called by a thread whose PUT is about to take a block of `taken_bytes` while the cache exceeds
  // its limit, outside all locks of the store: the limit has fallen, and the block would be one
  // that eviction has just freed. Evicts in a bounded number of steps, or nothing.
  virtual void shed(std::size_t /*taken_bytes*/) noexcept {}

  // Like make_room(), if the kernel refused memory, for entries or for a table of the index.
  enum class refused_for : std::uint8_t { entries, index };
  virtual bool make_room_after_refusal(std::size_t /*wanted_bytes*/, refused_for) noexcept {
    return false;
  }
};

} // namespace kvcache
