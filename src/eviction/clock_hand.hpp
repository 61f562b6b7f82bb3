// CLOCK with two reference bits, for the limit of entries, and for memory where LRU finds no
// candidate:
//
//   an entry starts with 0 references; an access raises them (at most to 3, and once in an epoch)
//   to evict one: visit entries in the order of addresses, from the hand on
//     expired          -> evict it
//     references > 0   -> lower them by one, go on
//     references = 0   -> evict it
//
// So entries age by demand, as the hand searches, and never by wall time. The hand visits a batch
// of entries at a time and keeps further candidates for the next call; one that is accessed
// meanwhile is spared. If a bounded number of entries are all referenced, the least referenced one
// is evicted: no PUT waits for a lap around a cache in which every entry is hot.
//
// Thread-safety: every member may be called by any thread at any time. No call waits for another
// thread except for the store's own short locks.
// Ownership: borrows the store, which must outlive it.
#pragma once

#include <optional>

#include "cache/store.hpp"
#include "eviction/hand.hpp"

namespace kvcache {

class clock_hand {
public:
  // `hands`: the number of threads that may evict at the same time.
  clock_hand(store& entries, unsigned hands);

  // Evicts one entry, counted under `cause`, or as expired if it was. No bytes if a bounded search
  // finds none.
  evicted_entry evict_one(eviction_cause cause) noexcept;

private:
  struct alignas(64) hand {
    spin_lock lock;
    walk_cursor cursor KVCACHE_GUARDED_BY(lock);
    candidate_batch picked KVCACHE_GUARDED_BY(lock);
  };

  std::optional<candidate> advance(hand& h) noexcept KVCACHE_REQUIRES(h.lock);
  std::optional<candidate> pass_entries(walk_cursor& cursor, candidate_batch& picked) noexcept;

  store& store_;
  hand_set<hand> hands_;
};

} // namespace kvcache
