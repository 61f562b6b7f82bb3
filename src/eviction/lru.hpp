// Least recently used in four classes by number of uses, for memory pressure. Every entry carries
// the epoch of its last access (the store's logical clock; an epoch is 1/24 of a turnover, longer
// in a small cache) and how often it was used, up to 3.
//
//   age_limits: for each class, the age from which its entries are the least worth keeping
//   to evict one: visit entries in the order of addresses, from the hand on
//     expired, or at least as old as the limit of its class   -> evict it, remember it as a ghost
//     younger                                                 -> go on
//
// So within a class the oldest are evicted first, and where the number of uses predicts nothing,
// the limits of all classes are equal: least recently used. About 6 entries are visited for each
// candidate, without a list, without writes during the search and without a full scan.
//
// Rejected: a list through the entries (exact, but 8 to 16 bytes an entry and a write to two
// neighbours on every access); the oldest of a few random entries (as many visits, each of them a
// cache miss); queues as in S3-FIFO (an order in memory of its own, and fewer hits:
// bench/hit_ratio).
//
// Thread-safety: every member may be called by any thread at any time. No call waits for another
// thread except for the store's own short locks.
// Ownership: borrows the store, which must outlive it.
#pragma once

#include <cstddef>
#include <optional>

#include "cache/store.hpp"
#include "eviction/age_limits.hpp"
#include "eviction/hand.hpp"

namespace kvcache {

class lru {
public:
  // `hands`: the number of threads that may evict at the same time.
  lru(store& entries, unsigned hands);

  // Evicts one entry, counted under `cause`, or as expired if it was. No bytes if a bounded search
  // finds none.
  evicted_entry evict_one(eviction_cause cause) noexcept;

  // See age_limits::ranks().
  by_use_and_age<int> ranks() const noexcept { return limits_.ranks(); }

  hit_density::experience experience() const noexcept { return limits_.experience(); }
  void adopt(const hit_density::experience& earlier) noexcept { limits_.adopt(earlier); }

  // Nothing is evicted at present: see age_limits::skip_interval().
  void pause() noexcept { limits_.skip_interval(); }

private:
  struct alignas(64) hand {
    spin_lock lock;
    walk_cursor cursor KVCACHE_GUARDED_BY(lock);
    candidate_batch picked KVCACHE_GUARDED_BY(lock);
    std::size_t picks KVCACHE_GUARDED_BY(lock) = 0; // since it last followed the limits
    std::size_t picks_between_steps KVCACHE_GUARDED_BY(lock) = 1;
  };

  std::optional<candidate> advance(hand& h) noexcept KVCACHE_REQUIRES(h.lock);
  void pass_batch(walk_cursor& cursor, candidate_batch& picked,
                  std::optional<candidate>& oldest) noexcept;
  void follow_limits(hand& h) noexcept KVCACHE_REQUIRES(h.lock);

  store& store_;
  age_limits limits_;
  hand_set<hand> hands_;
};

} // namespace kvcache
