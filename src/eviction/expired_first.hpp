// Finds expired entries before a living one is evicted. They count as content until they are
// collected, so threads that need room search for them first.
//
// The store knows when the first entry of each slab expires, so slabs without expired entries are
// skipped with one load each. After a lap without any, no search runs until the clock has advanced.
// A call is bounded: where expired entries are sparse it may find none, and the next continues
// there.
//
// Thread-safety: evict_one() may be called by any thread at any time, and waits for none.
// Ownership: borrows the store, which must outlive it.
#pragma once

#include <atomic>
#include <cstdint>

#include "cache/store.hpp"
#include "eviction/hand.hpp"

namespace kvcache {

class expired_first {
public:
  // `hands`: the number of threads that may evict at the same time.
  expired_first(store& entries, unsigned hands);

  // Evicts one expired entry. No bytes if a bounded search finds none.
  evicted_entry evict_one() noexcept;

  // An estimate of the part of entries that have expired: 0 once a lap at this tick of the store's
  // clock found none. Too high rather than too low, since slabs without expired entries are
  // skipped.
  double expired_share() const noexcept;

private:
  struct alignas(64) hand {
    spin_lock lock;
    walk_cursor cursor KVCACHE_GUARDED_BY(lock);
    candidate_batch picked KVCACHE_GUARDED_BY(lock);
    std::uint32_t slabs_passed KVCACHE_GUARDED_BY(lock) = 0; // in a row, without expired entries
    tick lap_began KVCACHE_GUARDED_BY(lock) = never;
    std::size_t visited KVCACHE_GUARDED_BY(lock) = 0; // slots, lately
    std::size_t found KVCACHE_GUARDED_BY(lock) = 0;   // of them
  };

  evicted_entry advance(hand& h) noexcept KVCACHE_REQUIRES(h.lock);
  bool pick_next(hand& h) noexcept KVCACHE_REQUIRES(h.lock);
  evicted_entry evict(const candidate& c) noexcept;

  store& store_;
  hand_set<hand> hands_;
  // The tick, plus 1, at which a whole lap found none.
  std::atomic<std::uint64_t> none_at_{0};
  std::atomic<double> found_share_{1};
};

} // namespace kvcache
