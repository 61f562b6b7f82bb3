// Least recently used, for memory pressure. Every entry carries the epoch of its last access (the
// store's logical clock; an epoch is about 1/96 of a turnover, longer in a small cache).
//
//   in intervals of 1/128 of a turnover: sample the ages of entries all over the cache, a few with
//     each pick; the threshold is the age that only the oldest 1/32 of them reach
//   to evict one: visit entries in the order of addresses, from the hand on
//     expired, or at least as old as the threshold   -> evict it
//     younger                                        -> go on
//
// So candidates are among the oldest thirty-second of the cache, at about 16 entries visited for
// each, without a list, without writes during the search and without a full scan.
//
// Rejected: a list through the entries (exact, but 8 to 16 bytes an entry and a write to two
// neighbours on every access); the oldest of a few random entries (as many visits, each of them a
// cache miss).
//
// Thread-safety: every member may be called by any thread at any time. No call waits for another
// thread except for the store's own short locks.
// Ownership: borrows the store, which must outlive it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "cache/store.hpp"
#include "eviction/age_sample.hpp"
#include "eviction/hand.hpp"

namespace kvcache {

class lru {
public:
  // `hands`: the number of threads that may evict at the same time.
  lru(store& entries, unsigned hands);

  // Evicts one entry, counted under `cause`, or as expired if it was. No bytes if a bounded search
  // finds none.
  evicted_entry evict_one(eviction_cause cause) noexcept;

private:
  struct alignas(64) hand {
    spin_lock lock;
    walk_cursor cursor KVCACHE_GUARDED_BY(lock);
    candidate_batch picked KVCACHE_GUARDED_BY(lock);
    epoch threshold_age KVCACHE_GUARDED_BY(lock) = 0;
    bool has_threshold KVCACHE_GUARDED_BY(lock) = false;
    bool sampling KVCACHE_GUARDED_BY(lock) = false;
    std::size_t picks_until_sample KVCACHE_GUARDED_BY(lock) = 0;
    age_sample sample KVCACHE_GUARDED_BY(lock);
  };

  std::optional<candidate> advance(hand& h) noexcept KVCACHE_REQUIRES(h.lock);
  void pass_batch(walk_cursor& cursor, epoch threshold_age, candidate_batch& picked,
                  std::optional<candidate>& oldest) noexcept;
  void follow_ages(hand& h) noexcept KVCACHE_REQUIRES(h.lock);
  void guess_threshold(hand& h) noexcept KVCACHE_REQUIRES(h.lock);

  store& store_;
  hand_set<hand> hands_;
};

// The length of an epoch, in accesses, for so many entries: 1/96 of a turnover. A shorter one would
// make more GETs write a stamp and pick no better candidates.
constexpr std::uint32_t epoch_accesses_for(std::size_t entries) noexcept {
  constexpr std::size_t epochs_per_turnover = 96;
  return static_cast<std::uint32_t>(
      std::clamp<std::size_t>(entries / epochs_per_turnover, 1, UINT32_MAX));
}

} // namespace kvcache
