// Collects entries that have expired: nobody else comes by while there is no pressure. It passes
// over all entries slowly, all the time, and meanwhile goes ahead to the slabs that the store knows
// to hold some, for as long as that pays. Whoever passes everything can also keep the stamps of
// accesses sound: it makes entries that were not accessed for a quarter of the range of epochs a
// little younger, so that they never seem to lie ahead of the clock.
//
// Not thread-safe: one thread, the evictor's, owns it. Borrows the store.
#pragma once

#include <array>
#include <cstddef>

#include "cache/store.hpp"
#include "eviction/hand.hpp"

namespace kvcache {

class expiry_sweep {
public:
  explicit expiry_sweep(store& entries) noexcept : store_(entries) {}

  // Looks at up to about `max_slots` slots. Returns how many entries it evicted.
  std::size_t advance(std::size_t max_slots) noexcept;

  // A batch of slots from slabs that hold expired entries, and what was evicted of them.
  struct batch {
    std::size_t slots = 0; // 0: there was no such slab among the next ones
    std::size_t evicted = 0;
    bool lap_done = false; // … nor in a whole lap
  };
  batch advance_to_expired() noexcept;

private:
  std::size_t look_at_batch() noexcept;
  std::size_t evict_expired() noexcept;

  store& store_;
  walk_cursor cursor_;
  walk_cursor ahead_;
  std::uint32_t slabs_passed_ = 0; // by the latter, in a row, without any
  picked_victims expired_;
};

} // namespace kvcache
