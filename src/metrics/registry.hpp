// Owns the counters of all workers and sums them: since the start, and over the last minute.
//
// Thread-safety: one thread writes to worker(i). tick() and report() may be called by any thread at
// any time. They read the workers' blocks without a lock, so a worker never waits. A mutex guards
// the ring of past snapshots; only tick() and report() acquire it, for the microseconds of copying
// or summing one snapshot (some KiB).
//
// Time is passed in, as the monotonic time since the registry's owner started.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>

#include "metrics/worker_counters.hpp"

namespace kvcache::observe {

// The result of report(). The window reaches back to the youngest kept snapshot that is at least a
// minute old, so it is 60 to 65 s long once the service is a minute old, and its whole life before
// that. It is longer if tick() was not called for a while.
struct counters_report {
  std::chrono::nanoseconds uptime{};
  counters_snapshot since_start;

  std::chrono::nanoseconds window{};
  counters_snapshot last_minute;
};

class registry {
public:
  static constexpr std::chrono::seconds snapshot_interval{5};
  static constexpr std::chrono::seconds window{60};

  // Blocks for `worker_count` threads (at least 1), all zero. `operations`: all of the service,
  // which must outlive this. Throws std::bad_alloc.
  explicit registry(std::size_t worker_count,
                    std::span<const operation_info> operations = common_operations);

  std::size_t worker_count() const noexcept { return worker_count_; }

  // REQUIRES: index < worker_count(). The reference is valid for the lifetime of the registry.
  worker_counters& worker(std::size_t index) noexcept { return workers_[index]; }

  // The sum over all workers at this moment.
  counters_snapshot totals() const noexcept;

  // Keeps a snapshot if the last one is snapshot_interval old; else does nothing, so it may be
  // called as often as is convenient. A time before the last one is ignored.
  void tick(std::chrono::nanoseconds since_start) noexcept;

  counters_report report(std::chrono::nanoseconds since_start) const noexcept;

private:
  struct kept_snapshot {
    std::chrono::nanoseconds taken_at{};
    counters_snapshot counters;
  };
  // One more than fit into the window, so that one is always old enough.
  static constexpr std::size_t ring_size = window / snapshot_interval + 1;

  // The start of the window that ends at `since_start`. REQUIRES: mutex_ is held.
  const kept_snapshot& window_start(std::chrono::nanoseconds since_start) const noexcept;

  const std::size_t worker_count_;
  const std::span<const operation_info> operations_;
  const std::unique_ptr<worker_counters[]> workers_;

  // Guarded by mutex_. The snapshots kept_ - 1, kept_ - 2, … (modulo ring_size) are the youngest
  // first; the one taken at the start, all zero, is number 0.
  mutable std::mutex mutex_;
  std::array<kept_snapshot, ring_size> ring_{};
  std::size_t kept_ = 1;
};

} // namespace kvcache::observe
