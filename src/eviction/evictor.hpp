// Joins the readings, the control law and the pickers: reads memory every so often, decides, evicts
// in slices, tells the store how much it may hold, and makes room for PUTs that stand at a mark.
//
//   run()        the periodic work, on one thread (periodic_worker calls it): reading → decision →
//                hold limit → eviction → moving survivors → collecting what has expired → status.
//                In an emergency it is a loop: reading → decision → hold limit → (evicting and
//                moving, slab by slab, and shrinking the index), until the worst is over
//   make_room()  called by the threads that PUT: evicts just what is missing, in a bounded number
//   of
//                steps; what has expired first, then the least recently used for bytes, CLOCK for
//                the limit of entries
//   make_room_after_refusal()  the same where the kernel refuses memory (RLIMIT_AS, strict
//                overcommit): what the store held then is its limit, until the evictor probes a
//                higher one seconds later
//   may_evict()  called where slabs have to be cleared for a PUT: spares what lives up to 70 %, and
//                what was accessed lately
//   shed()       called by the same threads while the store holds more than its limit: takes part
//   in
//                a purge under way, or evicts twice what the PUT takes
//
// Thread-safety: the room_maker's members and status() may be called by any thread at any time;
// run() by one thread at a time. Ownership: borrows the store, which must outlive it and must have
// lost it as room_maker (set_room_maker(nullptr), no PUT running) before it goes. Reads no clock
// and no file itself: everything of the outside is injected.
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

// What is wrong with the options, in words for whoever set the flags; nothing if they are sound.
std::optional<std::string> find_fault(const evictor_options& options);

struct tier_change {
  pressure_tier from = pressure_tier::normal;
  pressure_tier to = pressure_tier::normal;
  memory_reading reading; // that caused it
};

// What an evictor needs of the outside.
struct evictor_surroundings {
  // The memory there is; the argument is what the cache holds by its own account. REQUIRED
  std::function<const memory_report&(std::uint64_t own_bytes)> read_memory;
  // Nanoseconds of processor time of the calling thread: how long slices last. REQUIRED
  std::function<std::uint64_t()> thread_cpu_ns;
  // Buffers of connections and the like, which follow load and cannot be evicted.
  std::function<std::uint64_t()> buffer_bytes;
  // Has run() called soon, instead of at the end of the interval. Called by threads that PUT: it
  // must neither throw nor wait.
  std::function<void()> wake;
  // Told on the evictor's thread, after the change. Must not throw.
  std::function<void(const tier_change&)> on_tier_change;
  // Told once, when no reading could be had and an estimate stands for it. Must not throw.
  std::function<void(const memory_reading&)> on_estimate;
  // Blocks the evictor's thread for that long, between a reading in the emergency and the one that
  // confirms it: a spike must not confirm itself. Must not throw. Without it the second reading
  // follows at once.
  std::function<void(std::chrono::milliseconds)> pause = {};
  // Nanoseconds of a clock that never goes back. Without it each run counts as one interval.
  std::function<std::uint64_t()> now_ns = {};
  // Called on the evictor's thread after each reading, with the store's hold limit already set:
  // other limits that follow memory are to be set there, since one run may take many readings. Must
  // not throw.
  std::function<void()> on_reading = {};
};

class evictor final : public room_maker {
public:
  // REQUIRES: !find_fault(options).
  evictor(store& entries, const evictor_options& options, evictor_surroundings surroundings);

  // One run. Call it once before the first PUT, so that the store has its limit.
  void run() noexcept;

  bool make_room(std::size_t wanted_bytes, std::size_t entries_over) noexcept override;
  bool may_evict(std::uint32_t age_epochs, std::size_t wanted_bytes) noexcept override;
  void shed(std::size_t taken_bytes) noexcept override;
  bool make_room_after_refusal(std::size_t wanted_bytes, refused_for what) noexcept override;

  // Set while a purge is under way, in which other threads should take part: help() evicts up to 64
  // entries a step and waits for nobody. Any thread.
  const std::atomic<bool>& wants_help() const noexcept { return wants_help_; }
  void help(std::size_t steps) noexcept;

  eviction_status status() const;

private:
  void obey_law();
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
  bool lives_are_spared(std::size_t wanted_bytes) const noexcept;
  bool can_grow_for(std::size_t wanted_bytes) const noexcept;
  bool grow_into_free_room(std::size_t wanted_bytes) noexcept;
  std::uint64_t level_of_refusal(std::uint64_t ceiling) noexcept;
  void move_survivors() noexcept;
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
  std::atomic<bool> is_hurried_{false};   // the purge: no time is left
  std::atomic<bool> told_of_mark_{false}; // by a PUT, since the last reading
  // What growth_bounds says as of the last reading.
  std::atomic<std::uint64_t> content_unhurt_bytes_{0};
  std::atomic<std::uint64_t> hold_ceiling_bytes_{0};
  // What the store may hold where the kernel has refused more, and since when.
  std::atomic<std::uint64_t> refused_at_bytes_{never_refused};
  std::atomic<tick> refused_at_{0};

  // The evictor's thread only.
  expiry_sweep sweep_;
  std::vector<pressure_history> histories_; // of each level
  bool holds_too_much_ = false;
  std::uint64_t read_at_ns_ = 0; // the last reading; 0: none yet

  mutable std::mutex status_mutex_;
  eviction_status status_; // guarded by status_mutex_; its evictions up to the last change of tier
};

// The clocks of this machine; the rest is to be filled in.
evictor_surroundings system_surroundings(memory_monitor& monitor);

} // namespace kvcache
