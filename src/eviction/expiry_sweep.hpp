// Collects expired entries in the background, in every tier. It visits all entries slowly, all the
// time, and runs ahead to slabs that are known to hold expired ones, as long as that pays. The
// visit also keeps access stamps valid: an entry not accessed for a quarter of the range of epochs
// is made a little younger, so that its stamp never seems to lie ahead of the clock.
//
// Thread-safety: none; the evictor's thread owns it.
// Ownership: borrows the store, which must outlive it.
#pragma once

#include <array>
#include <cstddef>

#include "cache/store.hpp"
#include "eviction/hand.hpp"

namespace kvcache {

class expiry_sweep {
public:
  explicit expiry_sweep(store& entries) noexcept : store_(entries) {}

  // Visits up to about `max_slots` slots. Returns the number of entries evicted.
  std::size_t advance(std::size_t max_slots) noexcept;

  // A batch of slots from slabs that hold expired entries.
  struct batch {
    std::size_t slots = 0; // 0: none of the next slabs holds any
    std::size_t evicted = 0;
    bool lap_done = false; // nor does any in a whole lap
  };
  batch advance_to_expired() noexcept;

private:
  std::size_t sweep_batch() noexcept;
  std::size_t evict_expired() noexcept;

  store& store_;
  walk_cursor cursor_;
  walk_cursor ahead_;
  std::uint32_t slabs_passed_ = 0; // by `ahead_`, in a row, without expired entries
  candidate_batch expired_;
};

} // namespace kvcache
