// Evicts slab by slab, for emergencies: picking scattered victims returns no pages until survivors
// have been moved, and is too slow for small entries.
//
//   aim()   sets how much is to be evicted, and the age from which entries go
//   step()  takes the next slab in the order of addresses: evicts what is that old or has expired,
//           moves the rest into the gaps that earlier slabs were left with, and returns the slab's
//           pages to the kernel once it is empty
//   end()   puts slabs that are half done back to allocation
//
// The youngest third of the entries is spared, unless the limit is near. So two in three entries of
// a slab are evicted and one is moved, and a slab is returned for every two thirds of one that are
// evicted. Picking only the oldest of all slabs would spare more of the young and move two entries
// for each that is evicted, just when time is short.
//
// Thread-safety: step() may be called by any thread at any time and waits for nobody but for the
// store's own short locks; aim() and end() by one thread at a time. Borrows the store, which must
// outlive it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "cache/store.hpp"
#include "eviction/age_sample.hpp"
#include "eviction/hand.hpp"

namespace kvcache {

class slab_purge {
public:
  // As many hands as threads may call step() at the same time, at least 1.
  slab_purge(store& entries, unsigned hands);

  // Until end(), step() evicts up to about `bytes` of blocks. May be called again before that.
  enum class sparing : std::uint8_t { youngest_third, last_epoch };
  void aim(std::uint64_t bytes, sparing spared) noexcept;

  // Whether there is something left to evict: a cheap question.
  bool under_way() const noexcept { return left_bytes_.load(std::memory_order_relaxed) > 0; }

  // Works on up to hand_batch_slots slots. False: all has been evicted, nothing more can be, or
  // each hand is in use.
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
  unsigned hand_count_;
  std::unique_ptr<hand[]> hands_;
  age_sample sample_; // aim()'s only
  std::atomic<std::int64_t> left_bytes_{0};
  std::atomic<epoch> least_age_{0};
  std::atomic<std::uint32_t> next_slab_{0};
  std::atomic<std::uint32_t> vain_slabs_{0}; // in a row, of which nothing was evicted
};

} // namespace kvcache
