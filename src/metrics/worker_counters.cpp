#include "metrics/worker_counters.hpp"

#include <numeric>

namespace kvcache::observe {

std::string status_name(std::size_t slot) {
  return slot < response_statuses.size() ? std::to_string(response_statuses[slot]) : "other";
}

std::uint64_t counters_snapshot::of(store_access access, unsigned status) const noexcept {
  std::uint64_t sum = 0;
  for (std::size_t op = 0; op < operations.size(); ++op)
    if (operations[op].access == access) sum += responses[op][status_slot(status)];
  return sum;
}

std::uint64_t counters_snapshot::other_requests() const noexcept {
  std::uint64_t sum = 0;
  for (std::size_t op = 0; op < operations.size(); ++op)
    for (std::size_t slot = 0; slot < status_slot_count; ++slot)
      if (operations[op].access == store_access::none && !is_error_slot(slot))
        sum += responses[op][slot];
  return sum;
}

std::uint64_t counters_snapshot::refused(std::size_t slot) const noexcept {
  std::uint64_t sum = 0;
  for (const auto& of_operation : responses) sum += of_operation[slot];
  if (slot != status_slot(404)) return sum;
  return sum - of(store_access::get, 404) - of(store_access::erase, 404) -
         of(store_access::update, 404);
}

std::uint64_t counters_snapshot::responses_sent() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& of_operation : responses)
    sum = std::accumulate(of_operation.begin(), of_operation.end(), sum);
  return sum;
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
  difference.operations = operations;
  for (std::size_t i = 0; i < events.size(); ++i)
    difference.events[i] = events[i] - earlier.events[i];
  for (std::size_t op = 0; op < operations_most; ++op)
    for (std::size_t slot = 0; slot < status_slot_count; ++slot)
      difference.responses[op][slot] = responses[op][slot] - earlier.responses[op][slot];
  difference.get_latency = get_latency.since(earlier.get_latency);
  difference.put_latency = put_latency.since(earlier.put_latency);
  for (std::size_t op = 0; op < batch_operations.size(); ++op)
    for (std::size_t slot = 0; slot < status_slot_count; ++slot)
      difference.batch_operations[op][slot] =
          batch_operations[op][slot] - earlier.batch_operations[op][slot];
  for (std::size_t i = 0; i < batch_sizes.size(); ++i)
    difference.batch_sizes[i] = batch_sizes[i] - earlier.batch_sizes[i];
  return difference;
}

void worker_counters::count_batch(std::size_t operations) noexcept {
  std::size_t bound = 0;
  while (bound + 1 < batch_size_bounds.size() && operations > batch_size_bounds[bound]) ++bound;
  batch_sizes_[bound].add();
}

void worker_counters::add_to(counters_snapshot& sum) const noexcept {
  for (std::size_t i = 0; i < events_.size(); ++i) sum.events[i] += events_[i].value();
  const auto add_event = [&sum](event of, std::uint64_t times) {
    sum.events[static_cast<std::size_t>(of)] += times;
  };
  for (std::size_t op = 0; op < operations_most; ++op) {
    const std::uint64_t replaced = responses_[op][replaced_slot].value();
    sum.responses[op][status_slot(200)] += replaced;
    add_event(event::put_replaced, replaced);
    for (std::size_t slot = 0; slot < status_slot_count; ++slot) {
      const std::uint64_t count = responses_[op][slot].value();
      sum.responses[op][slot] += count;
      if (op >= sum.operations.size() || sum.operations[op].access != store_access::put) continue;
      if (slot == status_slot(200) || slot == status_slot(201))
        add_event(event::put_inserted, count);
      else if (slot == status_slot(204))
        add_event(event::put_replaced, count);
    }
  }
  get_latency_.add_to(sum.get_latency);
  put_latency_.add_to(sum.put_latency);
  for (std::size_t op = 0; op < batch_operations_.size(); ++op)
    for (std::size_t slot = 0; slot < status_slot_count; ++slot)
      sum.batch_operations[op][slot] += batch_operations_[op][slot].value();
  for (std::size_t i = 0; i < batch_sizes_.size(); ++i)
    sum.batch_sizes[i] += batch_sizes_[i].value();
}

} // namespace kvcache::observe
