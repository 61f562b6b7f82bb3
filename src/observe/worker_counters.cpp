#include "observe/worker_counters.hpp"

namespace kvcache::observe {

std::string refusal_name(std::size_t slot) {
  return slot < refusal_statuses.size() ? std::to_string(refusal_statuses[slot]) : "other";
}

std::uint64_t counters_snapshot::puts() const noexcept {
  return of(event::put_inserted) + of(event::put_replaced);
}

std::uint64_t counters_snapshot::connections_now() const noexcept {
  // A connection may be seen closed before the reader sees it opened.
  const std::uint64_t opened = of(event::connection_opened);
  const std::uint64_t closed = of(event::connection_closed);
  return opened > closed ? opened - closed : 0;
}

counters_snapshot counters_snapshot::since(const counters_snapshot& earlier) const noexcept {
  counters_snapshot difference;
  for (std::size_t i = 0; i < events.size(); ++i)
    difference.events[i] = events[i] - earlier.events[i];
  for (std::size_t i = 0; i < refusals.size(); ++i)
    difference.refusals[i] = refusals[i] - earlier.refusals[i];
  difference.get_latency = get_latency.since(earlier.get_latency);
  difference.put_latency = put_latency.since(earlier.put_latency);
  return difference;
}

void worker_counters::add_to(counters_snapshot& sum) const noexcept {
  for (std::size_t i = 0; i < events_.size(); ++i) sum.events[i] += events_[i].value();
  for (std::size_t i = 0; i < refusals_.size(); ++i) sum.refusals[i] += refusals_[i].value();
  get_latency_.add_to(sum.get_latency);
  put_latency_.add_to(sum.put_latency);
}

} // namespace kvcache::observe
