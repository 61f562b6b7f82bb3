// Passes over all entries slowly, all the time, and collects those that have expired: nobody else
// comes by while there is no pressure. Whoever passes everything can also keep the stamps of
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

private:
  std::size_t look_at_batch() noexcept;

  store& store_;
  walk_cursor cursor_;
  picked_victims expired_;
};

} // namespace kvcache
