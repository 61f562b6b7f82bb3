// The counters of one worker thread. Only the worker writes to its block, so counting is a plain
// addition and shares no cache line with another worker. The registry reads and sums all blocks.
//
// Thread-safety: one writer (the worker), any readers. Counters read together may be inconsistent
// by the requests in progress; each of them only rises.
//
// Rules of counting:
//   - Each final response is counted exactly once, by operation and status, in count_response().
//     All counters of requests are sums of these, so they add up to the responses sent.
//   - A stored PUT counts in the slot of 200 or 201 if it inserted its key, and in replaced_slot or
//     that of 204 if it replaced a value. Any other outcome of a PUT is one put_… event in addition
//     to its response: a PUT that finds no memory is a put_no_room and a response 503.
//   - Latencies are those of requests that reached the store.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kvcache/cache.hpp"
#include "metrics/counter.hpp"
#include "metrics/latency_histogram.hpp"
#include "metrics/operation.hpp"

namespace kvcache::observe {

enum class event : std::uint8_t {
  // The outcomes of a put, in the order of put_outcome: see event_of(). Not each has an endpoint:
  // put_outcome_names (service_snapshot.hpp) lists those that are shown.
  put_inserted,
  put_replaced,
  put_precondition_failed,
  put_no_room,
  put_out_of_memory,
  put_too_large,
  connection_opened,
  connection_closed,
  connection_refused, // over the connection limit: rejected with 503; never opened
  accept_failed,      // accept() failed (no descriptors left, …) and is retried later
  bytes_received,
  bytes_sent,
  connection_shed // closed because its peer read nothing while buffer memory was short
};
inline constexpr std::size_t event_count = static_cast<std::size_t>(event::connection_shed) + 1;

constexpr event event_of(put_outcome outcome) noexcept {
  return static_cast<event>(static_cast<std::size_t>(event::put_inserted) +
                            static_cast<std::size_t>(outcome));
}
static_assert(event_of(put_outcome::inserted) == event::put_inserted);
static_assert(event_of(put_outcome::no_room) == event::put_no_room);
static_assert(event_of(put_outcome::too_large) == event::put_too_large);

// The statuses that the service responds with, each counted separately; any other one is counted in
// the slot behind the last (shown as "other").
inline constexpr std::array<unsigned, 24> response_statuses{200, 201, 204, 304, 400, 401, 403, 404,
                                                            405, 408, 409, 411, 412, 413, 414, 415,
                                                            417, 421, 431, 500, 501, 503, 505, 507};
inline constexpr std::size_t status_slot_count = response_statuses.size() + 1;

namespace detail {
inline constexpr std::size_t status_end = 600;
constexpr std::array<std::uint8_t, status_end> make_status_slots() {
  std::array<std::uint8_t, status_end> slots{};
  slots.fill(static_cast<std::uint8_t>(response_statuses.size()));
  for (std::size_t slot = 0; slot < response_statuses.size(); ++slot)
    slots[response_statuses[slot]] = static_cast<std::uint8_t>(slot);
  return slots;
}
inline constexpr std::array<std::uint8_t, status_end> status_slots = make_status_slots();
} // namespace detail

constexpr std::size_t status_slot(unsigned status) noexcept {
  return status < detail::status_end ? detail::status_slots[status] : response_statuses.size();
}

// "404", or "other" for the last slot. REQUIRES: slot < status_slot_count.
std::string status_name(std::size_t slot);

// Whether the slot holds errors; "other" does.
constexpr bool is_error_slot(std::size_t slot) noexcept {
  constexpr unsigned lowest_error = 400;
  return slot >= response_statuses.size() || response_statuses[slot] >= lowest_error;
}

// In a worker's block only: a 200 that replaced a value. One counter thus holds both the status and
// the outcome.
inline constexpr std::size_t replaced_slot = status_slot_count;

// Of each operation, by status slot.
template <class Count, std::size_t slots>
using response_counts = std::array<std::array<Count, slots>, operations_most>;

// The sizes of batches, in operations: how many had at most so many. Larger ones are in the last.
inline constexpr std::array<std::size_t, 13> batch_size_bounds{0,   1,   2,   5,    10,   20,    50,
                                                               100, 200, 500, 1000, 5000, 10'000};

// Of each kind of operation in a batch, by status slot.
template <class Count>
using batch_operation_counts =
    std::array<std::array<Count, status_slot_count>, batch_operation_names.size()>;

// A plain copy of one block, or the sum of several.
struct counters_snapshot {
  std::span<const operation_info> operations = common_operations;
  std::array<std::uint64_t, event_count> events{};
  response_counts<std::uint64_t, status_slot_count> responses{};
  latency_snapshot get_latency;
  latency_snapshot put_latency;
  batch_operation_counts<std::uint64_t> batch_operations{};
  std::array<std::uint64_t, batch_size_bounds.size()> batch_sizes{}; // not added up

  std::uint64_t of(event e) const noexcept { return events[static_cast<std::size_t>(e)]; }
  std::uint64_t of(operation_id op, unsigned status) const noexcept {
    return responses[op][status_slot(status)];
  }
  std::uint64_t of_batches(std::size_t operation, unsigned status) const noexcept {
    return batch_operations[operation][status_slot(status)];
  }
  // The sum over all operations with this access.
  std::uint64_t of(store_access access, unsigned status) const noexcept;

  // Sums of `responses`, and of the operations in batches. The 404 of an absent key is an ordinary
  // result of get and delete.
  std::uint64_t hits() const noexcept {
    return of(store_access::get, 200) + of(store_access::get, 304) + of_batches(batch_get, 200);
  }
  std::uint64_t misses() const noexcept {
    return of(store_access::get, 404) + of_batches(batch_get, 404);
  }
  std::uint64_t gets() const noexcept { return hits() + misses(); }
  std::uint64_t deletes() const noexcept {
    return of(store_access::erase, 200) + of(store_access::erase, 204) +
           of_batches(batch_delete, 200);
  }
  std::uint64_t deletes_not_found() const noexcept {
    return of(store_access::erase, 404) + of_batches(batch_delete, 404);
  }
  std::uint64_t flushes() const noexcept { return of(store_access::flush, 200); }
  std::uint64_t other_requests() const noexcept; // without access to the store, and not refused
  std::uint64_t refused(std::size_t slot) const noexcept; // REQUIRES: is_error_slot(slot)
  std::uint64_t responses_sent() const noexcept;          // all of them

  std::uint64_t puts() const noexcept; // those that stored a value: inserted and replaced
  std::uint64_t connections_now() const noexcept;

  // The counts after `earlier`, a snapshot of the same blocks.
  counters_snapshot since(const counters_snapshot& earlier) const noexcept;
};

inline constexpr std::size_t cache_line_bytes = 64;

class alignas(cache_line_bytes) worker_counters {
public:
  void add(event e, std::uint64_t times = 1) noexcept {
    events_[static_cast<std::size_t>(e)].add(times);
  }
  void count_response(operation_id op, unsigned status) noexcept {
    count_response_in(op, status_slot(status));
  }
  // REQUIRES: slot < status_slot_count, or replaced_slot for a put.
  void count_response_in(operation_id op, std::size_t slot) noexcept { responses_[op][slot].add(); }

  void count_batch(std::size_t operations) noexcept;
  // REQUIRES: operation < batch_operation_names.size().
  void count_batch_operation(std::size_t operation, unsigned status) noexcept {
    batch_operations_[operation][status_slot(status)].add();
  }

  latency_histogram& get_latency() noexcept { return get_latency_; }
  latency_histogram& put_latency() noexcept { return put_latency_; }

  // Adds the counts so far to `sum`, whose operations are those of the service.
  void add_to(counters_snapshot& sum) const noexcept;

private:
  std::array<counter, event_count> events_;
  response_counts<counter, status_slot_count + 1> responses_;
  latency_histogram get_latency_;
  latency_histogram put_latency_;
  batch_operation_counts<counter> batch_operations_;
  std::array<counter, batch_size_bounds.size()> batch_sizes_;
};

} // namespace kvcache::observe
