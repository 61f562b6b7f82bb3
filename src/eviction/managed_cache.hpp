// A cache with everything that keeps it within its memory limit: clock thread, memory monitor,
// evictor and eviction thread. The daemon runs one, with its own hooks; kvcache::limited_cache
// wraps one.
//
// Thread-safety: entries(), clock(), status(), runs() and clock_runs() may be called by any thread
// at any time;
//   the others by the thread that made it. monitor() belongs to that thread until start(), to the
//   eviction thread from then on.
// Ownership: owns all of its parts. The hooks must be callable from start() to stop().
// Errors: the constructor and start() throw std::bad_alloc or std::system_error.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "eviction/evictor.hpp"
#include "eviction/periodic_worker.hpp"
#include "kvcache/cache.hpp"
#include "kvcache/coarse_clock.hpp"
#include "kvcache/limited_cache.hpp"
#include "memory/memory_monitor.hpp"

namespace kvcache {

// Callbacks of the owner: see evictor_surroundings. Both are first called by start().
struct managed_cache_hooks {
  std::function<std::uint64_t()> buffer_bytes = {};
  std::function<void()> on_reading = {};
};

class managed_cache {
public:
  // Starts the clock; nothing is limited before start().
  // REQUIRES: !find_fault(options.eviction).
  managed_cache(const limited_cache_options& options, managed_cache_hooks hooks = {});
  ~managed_cache(); // stops
  managed_cache(const managed_cache&) = delete;
  managed_cache& operator=(const managed_cache&) = delete;

  // The monitor's options for these options, before a cache is made.
  static memory_monitor_options monitor_options(const limited_cache_options& options);

  // Takes the first reading and starts the eviction thread. REQUIRES: called once, before any PUT.
  void start();

  // Ends the eviction thread: no hook is called afterwards. REQUIRES: no PUT is running or follows.
  void stop() noexcept;

  cache& entries() noexcept { return cache_; }
  const cache& entries() const noexcept { return cache_; }
  const coarse_clock& clock() const noexcept { return clock_; }
  memory_monitor& monitor() noexcept { return monitor_; }
  eviction_status status() const { return evictor_.status(); }
  // For worker threads: see evictor. Any thread.
  const std::atomic<bool>& wants_help() const noexcept { return evictor_.wants_help(); }
  void help(std::size_t steps) noexcept { evictor_.help(steps); }

  // For snapshots: see evictor. Any thread.
  by_use_and_age<int> eviction_ranks() const noexcept { return evictor_.ranks(); }
  hit_density::experience eviction_experience() const noexcept { return evictor_.experience(); }
  void adopt(const hit_density::experience& earlier) noexcept { evictor_.adopt(earlier); }
  std::uint64_t room_to_mark_bytes() const noexcept { return evictor_.room_to_mark_bytes(); }

  // Completed runs of the eviction thread. REQUIRES: it is between start() and stop().
  std::uint64_t runs() const noexcept;

  // Completed runs of the clock's thread: twenty a second.
  std::uint64_t clock_runs() const noexcept { return clock_thread_.runs(); }

private:
  evictor_surroundings make_surroundings(managed_cache_hooks hooks);

  const unsigned interval_ms_;
  const coarse_clock clock_;
  cache cache_;
  memory_monitor monitor_;
  periodic_worker clock_thread_; // separate: a run of eviction may last longer than a tick
  evictor evictor_;
  std::unique_ptr<periodic_worker> eviction_thread_; // null: not started, or stopped
};

} // namespace kvcache
