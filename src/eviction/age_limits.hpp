// The ages from which entries are evicted under memory pressure, one for each class of uses, such
// that they meet the entries least worth keeping (hit_density.hpp).
//
//   every 1/32 of the cache evicted: sample 1,024 entries, and 32 buckets of ghosts
//     the limits become the least ages that the least worth 1/16 of the sample have
//     what was sampled counts as exposure for the epochs since the last sample
//   every other sample: the hits since the last time are added, and all is rated anew
//
// An entry that was accessed in this epoch is never beyond its limit.
//
// Thread-safety: every member may be called by any thread at any time. No call waits for another
// thread except for the store's own short locks: of several that follow at once, one does the work.
// Ownership: borrows the store, which must outlive it.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "cache/spin_lock.hpp"
#include "cache/store.hpp"
#include "eviction/entry_sampler.hpp"
#include "eviction/hit_density.hpp"

namespace kvcache {

class age_limits {
public:
  // For each class of uses. At first 1: all but those accessed in this epoch.
  using limits = std::array<epoch, use_class_count>;

  explicit age_limits(store& entries);

  limits now() const noexcept;
  bool known() const noexcept { return known_.load(std::memory_order_relaxed); }

  // The order of eviction: the lower, the longer an entry of such uses and age is kept. May wait
  // for a sample to be learned from: some 20 us.
  by_use_and_age<int> ranks() const noexcept;

  // For a snapshot; likewise.
  hit_density::experience experience() const noexcept;
  void adopt(const hit_density::experience& earlier) noexcept;

  // So many were evicted by the caller since its last call; goes on with a sample if one is due.
  void follow(std::size_t evicted) noexcept;
  // How many the caller should evict between two calls.
  std::size_t evictions_between_steps() const noexcept;

  // The accesses from the last sample to the next are not learned from: the population meanwhile is
  // not known.
  void skip_interval() noexcept { skips_interval_.store(true, std::memory_order_relaxed); }

  // Takes a small sample at once, in some 30 us: no limits are known, or no entry reaches them.
  void guess() noexcept;

private:
  void begin_sample(std::size_t entries) noexcept KVCACHE_REQUIRES(lock_);
  bool gather(std::size_t slots) noexcept KVCACHE_REQUIRES(lock_);
  void finish_sample() noexcept KVCACHE_REQUIRES(lock_);
  int rank_of_least_worth(std::size_t sampled) const noexcept KVCACHE_REQUIRES(lock_);
  void set_limits(std::size_t sampled) noexcept KVCACHE_REQUIRES(lock_);
  void note_exposure(std::size_t sampled, float epochs) noexcept KVCACHE_REQUIRES(lock_);
  void follow_ghosts(float epochs, std::size_t evictions) noexcept KVCACHE_REQUIRES(lock_);
  void add_hits() noexcept KVCACHE_REQUIRES(lock_);
  void count_hits() noexcept KVCACHE_REQUIRES(lock_);
  epoch age_of_ghost(unsigned uses, unsigned place) const noexcept KVCACHE_REQUIRES(lock_);

  store& store_;
  std::array<std::atomic<epoch>, use_class_count> limits_;
  std::atomic<bool> known_{false};
  std::atomic<bool> skips_interval_{true};

  mutable spin_lock lock_;
  hit_density density_ KVCACHE_GUARDED_BY(lock_);
  entry_sampler sampler_ KVCACHE_GUARDED_BY(lock_);
  by_use_and_age<std::uint32_t> population_ KVCACHE_GUARDED_BY(lock_){};
  bool sampling_ KVCACHE_GUARDED_BY(lock_) = false;
  std::size_t evictions_until_sample_ KVCACHE_GUARDED_BY(lock_) = 0;
  std::size_t evictions_since_sample_ KVCACHE_GUARDED_BY(lock_) = 0;
  std::uint64_t samples_ KVCACHE_GUARDED_BY(lock_) = 0;
  epoch sampled_at_ KVCACHE_GUARDED_BY(lock_) = 0;
  float ghost_epochs_ KVCACHE_GUARDED_BY(lock_); // for which a ghost stays in its bucket
  by_use_and_age<std::uint32_t> counted_uses_ KVCACHE_GUARDED_BY(lock_){};
  ghost_table::by_use_and_place<std::uint32_t> counted_ghosts_ KVCACHE_GUARDED_BY(lock_){};
};

// The length of an epoch, in accesses, for so many entries: 1/24 of a turnover. A shorter one would
// make more GETs write a stamp and pick no better candidates.
inline constexpr std::size_t epochs_per_turnover = 24;
constexpr std::uint32_t epoch_accesses_for(std::size_t entries) noexcept {
  return static_cast<std::uint32_t>(
      std::clamp<std::size_t>(entries / epochs_per_turnover, 1, UINT32_MAX));
}

} // namespace kvcache
