// The evictor: reads memory periodically, applies the control law, sets the store's hold limit, and
// evicts in slices; makes room for PUTs that reach a limit.
//
//   run()        periodic, on one thread: reading -> control law -> hold limit -> eviction ->
//                compaction -> collecting expired entries -> status. In an emergency it loops:
//                reading -> control law -> hold limit -> (evict and compact slab by slab, shrink
//                the index), until the purge has reached its target
//   make_room()  evicts what is missing: expired entries first, then the least recently used for
//                bytes, or by CLOCK for the limit of entries
//   make_room_after_refusal()  the same where the kernel refuses memory (RLIMIT_AS, strict
//                overcommit): what the store held then becomes its limit, and a higher one is tried
//                seconds later
//   may_evict()  decides on entries in slabs that are cleared for a PUT: spares living entries
//                up to 70 %, and those accessed lately
//   shed()       runs while the store holds more than its limit: takes part in a purge under
//                way, or evicts twice what the PUT takes
//
// Thread-safety: the room_maker's members, help() and status() may be called by any thread at any
// time and take bounded time; run() by one thread at a time.
// Ownership: borrows the store, which must outlive it. REQUIRES before destruction:
// set_room_maker(nullptr) on the store, and no PUT running. Reads no clock and no file itself; both
// are injected.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "cache/room_maker.hpp"
#include "cache/store.hpp"
#include "cache/thread_annotations.hpp"
#include "eviction/clock_hand.hpp"
#include "eviction/expired_first.hpp"
#include "eviction/expiry_sweep.hpp"
#include "eviction/lru.hpp"
#include "eviction/pressure.hpp"
#include "eviction/slab_purge.hpp"
#include "kvcache/eviction_options.hpp"
#include "kvcache/eviction_status.hpp"
#include "memory/memory_monitor.hpp"

namespace kvcache {

// Describes the first invalid option; nothing if all are valid.
std::optional<std::string> find_fault(const evictor_options& options);

struct tier_change {
  pressure_tier from = pressure_tier::normal;
  pressure_tier to = pressure_tier::normal;
  memory_reading reading; // that caused it
};

// What the evictor requires from its environment. No callback may throw.
struct evictor_surroundings {
  // Reads memory; the argument is what the cache holds by its own accounting. REQUIRED
  std::function<const memory_report&(std::uint64_t own_bytes)> read_memory;
  // Processor time of the calling thread, in nanoseconds. REQUIRED
  std::function<std::uint64_t()> thread_cpu_ns;
  // Bytes of connection buffers and the like, which cannot be evicted.
  std::function<std::uint64_t()> buffer_bytes;
  // Has run() called soon, instead of at the end of the interval. Called inside PUTs: must not
  // wait.
  std::function<void()> wake;
  // Called on the evictor's thread after the tier has changed.
  std::function<void(const tier_change&)> on_tier_change;
  // Called once when no level can be read and an estimate is used instead.
  std::function<void(const memory_reading&)> on_estimate;
  // Blocks the evictor's thread between the first reading of an emergency and the one that confirms
  // it, so that a spike does not confirm itself. Without it the second reading follows at once.
  std::function<void(std::chrono::milliseconds)> pause = {};
  // A monotonic clock, in nanoseconds. Without it each run counts as one interval.
  std::function<std::uint64_t()> now_ns = {};
  // Called on the evictor's thread after each reading, with the hold limit already set: other
  // limits that follow memory are set there, since one run may take many readings.
  std::function<void()> on_reading = {};
};

class evictor final : public room_maker {
public:
  // REQUIRES: !find_fault(options).
  evictor(store& entries, const evictor_options& options, evictor_surroundings surroundings);

  // Call it once before the first PUT, so that the store has its limit.
  void run() noexcept;

  bool make_room(std::size_t wanted_bytes, std::size_t entries_over) noexcept override;
  bool may_evict(std::uint32_t age_epochs, std::size_t wanted_bytes) noexcept override;
  void shed(std::size_t taken_bytes) noexcept override;
  bool make_room_after_refusal(std::size_t wanted_bytes, refused_for what) noexcept override;

  // True while a purge is under way and other threads should take part: help() evicts up to 64
  // entries a step, near the limit more, and waits for no thread.
  const std::atomic<bool>& wants_help() const noexcept { return wants_help_; }
  void help(std::size_t steps) noexcept;

  eviction_status status() const;

  // ---- for snapshots; any thread --------------------------------------------------------
  // See age_limits::ranks().
  by_use_and_age<int> ranks() const noexcept { return lru_.ranks(); }
  // What eviction has learned, and to begin with what another instance had.
  hit_density::experience experience() const noexcept { return lru_.experience(); }
  void adopt(const hit_density::experience& earlier) noexcept { lru_.adopt(earlier); }
  // What can be loaded until entries would be evicted: by the last reading, and what the store
  // holds now.
  std::uint64_t room_to_mark_bytes() const noexcept;

private:
  void apply_control_law();
  std::uint32_t epoch_accesses() const noexcept;
  own_bytes measure_own() const noexcept;
  std::uint64_t over_allowance(const memory_reading& level, const own_bytes& own) const noexcept;
  std::uint64_t content_bytes() const noexcept;
  std::uint64_t part_of_interval_ns(unsigned one_in) const noexcept;
  std::uint64_t blocks_of(std::uint64_t content) const noexcept;
  std::uint64_t elapsed_us() noexcept;
  bool reading_is_older_than(std::uint64_t ns) const noexcept;
  bool is_next_reading_due() const noexcept;
  bool evict(std::uint64_t bytes) noexcept;
  bool purge(std::uint64_t bytes, bool hurried) noexcept;
  std::size_t evict_least_recent() noexcept;
  bool spares_living(std::size_t wanted_bytes) const noexcept;
  bool can_grow_for(std::size_t wanted_bytes) const noexcept;
  bool grow_into_free_room(std::size_t wanted_bytes) noexcept;
  std::uint64_t level_of_refusal(std::uint64_t ceiling) noexcept;
  void size_ghosts() noexcept;
  void compact() noexcept;
  void collect_expired() noexcept;
  void publish(const memory_report& report, const own_bytes& own, const pressure_verdict& verdict);
  bool make_room_for_entries(std::size_t entries_over) noexcept;
  bool make_room_for_bytes(std::size_t wanted_bytes) noexcept;
  tier_cause_counts evictions_by_tier() const noexcept KVCACHE_REQUIRES(status_mutex_);
  template <class Work>
  bool in_slice(Work&& work);
  template <class Work>
  void in_slices(Work&& work);

  static constexpr std::uint64_t never_refused = UINT64_MAX;

  store& store_;
  const evictor_options options_;
  const evictor_surroundings surroundings_;
  expired_first expired_;
  clock_hand clock_;
  lru lru_;
  slab_purge purge_;
  std::atomic<pressure_tier> tier_{pressure_tier::normal};
  std::atomic<bool> wants_help_{false};
  std::atomic<bool> is_hurried_{false};    // the purge: no time is left
  std::atomic<bool> woken_at_mark_{false}; // by a PUT, since the last reading
  // The growth_bounds of the last reading.
  std::atomic<std::uint64_t> spared_content_bytes_{0};
  std::atomic<std::uint64_t> hold_ceiling_bytes_{0};
  // What the store may hold after the kernel refused more, and since when.
  std::atomic<std::uint64_t> refused_at_bytes_{never_refused};
  std::atomic<tick> refused_at_{0};

  // The evictor's thread only.
  expiry_sweep sweep_;
  std::vector<pressure_history> histories_; // of each level
  bool holds_too_much_ = false;
  bool has_room_for_ghosts_ = false;
  std::uint64_t read_at_ns_ = 0; // the last reading; 0: none yet

  mutable std::mutex status_mutex_;
  eviction_status status_; // guarded by status_mutex_; its evictions up to the last change of tier
};

// The monitor and the clocks of this machine; the caller fills in the rest.
evictor_surroundings system_surroundings(memory_monitor& monitor);

} // namespace kvcache
