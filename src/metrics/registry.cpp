#include "metrics/registry.hpp"

#include <algorithm>

namespace kvcache::observe {

registry::registry(std::size_t worker_count, std::span<const operation_info> operations)
    : worker_count_(std::max<std::size_t>(worker_count, 1)),
      operations_(operations),
      workers_(std::make_unique<worker_counters[]>(worker_count_)) {}

counters_snapshot registry::totals() const noexcept {
  counters_snapshot sum;
  sum.operations = operations_;
  for (std::size_t i = 0; i < worker_count_; ++i) workers_[i].add_to(sum);
  return sum;
}

void registry::tick(std::chrono::nanoseconds since_start) noexcept {
  const std::scoped_lock lock{mutex_};
  if (since_start - ring_[(kept_ - 1) % ring_size].taken_at < snapshot_interval) return;
  ring_[kept_ % ring_size] = {since_start, totals()};
  ++kept_;
}

const registry::kept_snapshot&
registry::window_start(std::chrono::nanoseconds since_start) const noexcept {
  const std::size_t oldest = kept_ > ring_size ? kept_ - ring_size : 0;
  std::size_t candidate = kept_ - 1;
  while (candidate > oldest && since_start - ring_[candidate % ring_size].taken_at < window)
    --candidate;
  return ring_[candidate % ring_size];
}

counters_report registry::report(std::chrono::nanoseconds since_start) const noexcept {
  counters_report result;
  kept_snapshot start;
  {
    const std::scoped_lock lock{mutex_};
    start = window_start(since_start);
  }
  // After the snapshot was copied, so that it cannot be younger than the totals.
  result.since_start = totals();
  result.uptime = since_start;
  result.window = since_start - start.taken_at;
  result.last_minute = result.since_start.since(start.counters);
  return result;
}

} // namespace kvcache::observe
