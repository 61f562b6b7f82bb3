// Evicts slab by slab, for emergencies: picking scattered candidates returns no pages until the
// sparse slabs have been compacted, and is too slow for small entries.
//
//   aim()   sets how many bytes to evict, and the age from which entries are evicted
//   step()  continues with the next slab in the order of addresses: evicts entries of that age and
//           expired ones, moves the others into free blocks of earlier slabs, and returns the
//           slab's pages to the kernel once it is empty
//   end()   returns half-purged slabs to allocation
//
// The youngest third of the entries is spared unless the limit is near. So two of three entries of
// a slab are evicted and one is moved, and a slab is returned for every two thirds of one that are
// evicted. Evicting only the oldest entries of all slabs would spare more of the young ones and
// move two entries for each one evicted, when time is short.
//
// Thread-safety: step() may be called by any thread at any time and waits for no thread except for
// the store's own short locks; aim() and end() by one thread at a time.
// Ownership: borrows the store, which must outlive it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "cache/store.hpp"
#include "eviction/age_sample.hpp"
#include "eviction/hand.hpp"

namespace kvcache {

class slab_purge {
public:
  // `hands`: the number of threads that may call step() at the same time.
  slab_purge(store& entries, unsigned hands);

  // Until end(), step() evicts up to about `bytes` of blocks. May be called again before that.
  enum class sparing : std::uint8_t { youngest_third, last_epoch };
  void aim(std::uint64_t bytes, sparing spared) noexcept;

  // Whether the target has not been reached; one relaxed load.
  bool under_way() const noexcept { return left_bytes_.load(std::memory_order_relaxed) > 0; }

  // Visits up to hand_batch_slots slots. False if the target has been reached, no entry can be
  // evicted, or every hand is in use.
  bool step() noexcept;

  void end() noexcept;

private:
  struct alignas(64) hand {
    spin_lock lock;
    std::uint32_t slab KVCACHE_GUARDED_BY(lock) = 0;
    std::uint32_t slot KVCACHE_GUARDED_BY(lock) = 0;
    bool at_slab KVCACHE_GUARDED_BY(lock) = false;
    bool out_of_allocation KVCACHE_GUARDED_BY(lock) = false; // the slab is
  };

  bool advance(hand& h) noexcept KVCACHE_REQUIRES(h.lock);
  void leave_slab(hand& h) noexcept KVCACHE_REQUIRES(h.lock);

  store& store_;
  hand_set<hand> hands_;
  age_sample sample_; // aim()'s only
  std::atomic<std::int64_t> left_bytes_{0};
  std::atomic<epoch> least_age_{0};
  std::atomic<std::uint32_t> next_slab_{0};
  std::atomic<std::uint32_t> vain_slabs_{0}; // in a row, without an eviction
};

} // namespace kvcache
