// CLOCK with two bits, for the limit of entries. In a dozen lines:
//
//   an entry starts with 0 references; an access raises them (at most to 3, and once in an epoch)
//   to evict one: look at the entries in the order of their addresses, from where the hand stands
//     expired          → it goes
//     references > 0   → lower them by one, go on
//     references = 0   → it goes
//   and the hand stays behind it
//
// So the hand ages entries by demand, as it looks for victims, never by wall time. It looks at a
// batch of entries at a time and keeps those that it need not evict yet for the next call; an entry
// accessed meanwhile is spared. If a bounded number of entries are all referenced, the least
// referenced of them goes: no PUT waits for a lap around a cache in which everything is hot.
//
// Thread-safety: every member may be called by any thread at any time. No call waits for another
// thread but for the store's own short locks. Borrows the store, which must outlive it.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "cache/store.hpp"
#include "eviction/hand.hpp"

namespace kvcache {

class clock_hand {
public:
  // As many hands as threads may evict at the same time, at least 1.
  clock_hand(store& entries, unsigned hands);

  // Evicts one entry, counted under `cause`, or as expired if it was. No bytes if none was found in
  // a bounded number of steps.
  evicted_entry evict_one(eviction_cause cause) noexcept;

private:
  struct alignas(64) hand {
    spin_lock lock;
    walk_cursor cursor KVCACHE_GUARDED_BY(lock);
    picked_victims picked KVCACHE_GUARDED_BY(lock);
  };
  struct choice {
    victim chosen;
    bool forced = false; // it goes whatever its references
  };

  std::optional<choice> choose() noexcept;
  std::optional<choice> advance(hand& h) noexcept KVCACHE_REQUIRES(h.lock);
  std::optional<victim> pass_entries(walk_cursor& cursor, picked_victims& picked) noexcept;

  store& store_;
  unsigned hand_count_;
  std::unique_ptr<hand[]> hands_;
};

} // namespace kvcache
