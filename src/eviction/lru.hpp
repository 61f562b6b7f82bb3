// Least recently used, for memory pressure. Every entry carries the epoch of its last access (the
// logical clock of the store, epochs of at most 1/64 of a turnover). In a dozen lines:
//
//   now and then (each 1/128 of a turnover): sample the ages of entries all over the cache, a few
//     with each victim; the threshold is the age that only the oldest 1/32 of them
//     reach
//   to evict one: look at the entries in the order of their addresses, from where the hand stands
//     expired                    → it goes
//     at least threshold old     → it goes
//     younger                    → go on
//   and the hand stays behind it
//
// So victims are among the oldest thirty-second of the cache, at about 16 entries looked at for
// each, with no list to keep, nothing written by the search and no scan of everything. A list
// through the entries would be exact, and would cost 8 to 16 bytes each and a write to two
// neighbours on every access; picking the oldest of a few at random needs as many looks, each of
// them a cache miss.
//
// Thread-safety: every member may be called by any thread at any time. No call waits for another
// thread but for the store's own short locks. Borrows the store, which must outlive it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "cache/store.hpp"
#include "eviction/age_sample.hpp"
#include "eviction/hand.hpp"

namespace kvcache {

class lru {
public:
  // As many hands as threads may evict at the same time, at least 1.
  lru(store& entries, unsigned hands);

  // Evicts one entry, counted under `cause`, or as expired if it was. No bytes if none was found in
  // a bounded number of steps.
  evicted_entry evict_one(eviction_cause cause) noexcept;

private:
  struct alignas(64) hand {
    spin_lock lock;
    walk_cursor cursor KVCACHE_GUARDED_BY(lock);
    picked_victims picked KVCACHE_GUARDED_BY(lock);
    epoch threshold_age KVCACHE_GUARDED_BY(lock) = 0;
    bool has_threshold KVCACHE_GUARDED_BY(lock) = false;
    bool sampling KVCACHE_GUARDED_BY(lock) = false;
    std::size_t victims_until_sample KVCACHE_GUARDED_BY(lock) = 0;
    age_sample sample KVCACHE_GUARDED_BY(lock);
  };

  std::optional<victim> choose() noexcept;
  std::optional<victim> advance(hand& h) noexcept KVCACHE_REQUIRES(h.lock);
  void pass_batch(walk_cursor& cursor, epoch threshold_age, picked_victims& picked,
                  std::optional<victim>& oldest) noexcept;
  void follow_ages(hand& h) noexcept KVCACHE_REQUIRES(h.lock);
  void guess_threshold(hand& h) noexcept KVCACHE_REQUIRES(h.lock);

  store& store_;
  unsigned hand_count_;
  std::unique_ptr<hand[]> hands_;
};

// How many accesses an epoch of the store should last with so many entries: 1/96 of a turnover.
// Finer would tell ages no better that matter, and let more GETs write a stamp.
constexpr std::uint32_t epoch_accesses_for(std::size_t entries) noexcept {
  constexpr std::size_t epochs_per_turnover = 96;
  return static_cast<std::uint32_t>(
      std::clamp<std::size_t>(entries / epochs_per_turnover, 1, UINT32_MAX));
}

} // namespace kvcache
