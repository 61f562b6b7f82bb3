// Finds entries that have expired before a living one has to go. They count as content until they
// are collected, so whoever needs room asks here first.
//
// The store knows of each slab when its first entry expires, so that slabs without any that has are
// passed with one look; once a lap found none, no further look is taken until the clock has moved
// on. What is left to a call is bounded: where the expired lie thinly among others it may come back
// empty-handed, and the next goes on from there.
//
// Thread-safety: evict_one() may be called by any thread at any time, and waits for nobody: each
// takes the first hand that no other uses. Borrows the store, which must outlive it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "cache/store.hpp"
#include "eviction/hand.hpp"

namespace kvcache {

class expired_first {
public:
  // As many hands as threads may evict at the same time, at least 1.
  expired_first(store& entries, unsigned hands);

  // Evicts one expired entry. No bytes if none was found in a bounded number of steps.
  evicted_entry evict_one() noexcept;

  // Which part of the entries may have expired, as far as the last looks tell: 0 once a lap at this
  // tick of the store's clock found none. It is rather too high, since slabs without any expired
  // entry are not looked into.
  double expired_share() const noexcept;

private:
  struct alignas(64) hand {
    spin_lock lock;
    walk_cursor cursor KVCACHE_GUARDED_BY(lock);
    picked_victims picked KVCACHE_GUARDED_BY(lock);
    std::uint32_t slabs_passed KVCACHE_GUARDED_BY(lock) = 0; // in a row, without any
    tick lap_began KVCACHE_GUARDED_BY(lock) = never;
    std::size_t looked_at KVCACHE_GUARDED_BY(lock) = 0; // slots, lately
    std::size_t found KVCACHE_GUARDED_BY(lock) = 0;     // of them
  };

  evicted_entry advance(hand& h) noexcept KVCACHE_REQUIRES(h.lock);
  bool look_on(hand& h) noexcept KVCACHE_REQUIRES(h.lock);
  evicted_entry evict(const victim& v) noexcept;

  store& store_;
  unsigned hand_count_;
  std::unique_ptr<hand[]> hands_;
  // The tick, and 1, at which a whole lap found none: nothing expires until the next.
  std::atomic<std::uint64_t> none_at_{0};
  std::atomic<double> found_share_{1};
};

} // namespace kvcache
