// What one worker thread counts. A worker owns its block for writing, so counting costs a plain
// addition and shares no cache line with another worker; the registry reads all blocks and adds up.
//
// Thread-safety: one writer (the worker), any readers. Figures read together may differ by what is
// under way at that moment; each of them only rises.
//
// What is counted where:
//   - Each GET of a key that reached the store is one hit or one miss; each PUT one put_… event;
//   each
//     delete one erased or erase_missed.
//   - Each answer with an error status is counted by that status in refuse(), except the two 404
//   that
//     are ordinary results: a missed GET and a delete of an absent key. So a PUT without room is a
//     put_no_room and a refused 503.
//   - Latencies are those of requests that reached the store.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "kvcache/cache.hpp"
#include "observe/counter.hpp"
#include "observe/latency_histogram.hpp"

namespace kvcache::observe {

enum class event : std::uint8_t {
  hit,
  miss,
  // The outcomes of a put, in the order of put_outcome: see event_of(). Not each has an endpoint:
  // put_outcome_names (service_snapshot.hpp) lists those that are shown.
  put_inserted,
  put_replaced,
  put_exists,
  put_mismatch,
  put_no_room,
  put_out_of_memory,
  put_too_large,
  erased,
  erase_missed,
  flush,
  other_request, // answered requests to the other endpoints: statistics, health, documentation
  connection_opened,
  connection_closed,
  connection_refused, // over the connection limit: answered 503 and closed; never opened
  accept_failed,      // accept() gave an error (no descriptors left, …) and backed off
  bytes_received,
  bytes_sent,
  connection_shed // cut because its peer read nothing while memory for buffers was short
};
inline constexpr std::size_t event_count = static_cast<std::size_t>(event::connection_shed) + 1;

constexpr event event_of(put_outcome outcome) noexcept {
  return static_cast<event>(static_cast<std::size_t>(event::put_inserted) +
                            static_cast<std::size_t>(outcome));
}
static_assert(event_of(put_outcome::inserted) == event::put_inserted);
static_assert(event_of(put_outcome::no_room) == event::put_no_room);
static_assert(event_of(put_outcome::too_large) == event::put_too_large);

// The error statuses that the service answers with, each counted by itself; any other one is
// counted in the slot behind the last (shown as "other").
inline constexpr std::array<unsigned, 18> refusal_statuses{
    400, 401, 403, 404, 405, 408, 411, 413, 414, 415, 417, 421, 431, 500, 501, 503, 505, 507};
inline constexpr std::size_t refusal_slot_count = refusal_statuses.size() + 1;

constexpr std::size_t refusal_slot(unsigned status) noexcept {
  for (std::size_t slot = 0; slot < refusal_statuses.size(); ++slot)
    if (refusal_statuses[slot] == status) return slot;
  return refusal_statuses.size();
}

// "404", or "other" for the last slot. REQUIRES: slot < refusal_slot_count.
std::string refusal_name(std::size_t slot);

// A plain copy of one block, or the sum of several.
struct counters_snapshot {
  std::array<std::uint64_t, event_count> events{};
  std::array<std::uint64_t, refusal_slot_count> refusals{};
  latency_snapshot get_latency;
  latency_snapshot put_latency;

  std::uint64_t of(event e) const noexcept { return events[static_cast<std::size_t>(e)]; }
  std::uint64_t gets() const noexcept { return of(event::hit) + of(event::miss); }
  std::uint64_t puts() const noexcept; // those that stored a value: inserted and replaced
  std::uint64_t connections_now() const noexcept;

  // What was counted after `earlier`, a snapshot of the same blocks.
  counters_snapshot since(const counters_snapshot& earlier) const noexcept;
};

inline constexpr std::size_t cache_line_bytes = 64;

class alignas(cache_line_bytes) worker_counters {
public:
  void add(event e, std::uint64_t times = 1) noexcept {
    events_[static_cast<std::size_t>(e)].add(times);
  }
  void refuse(unsigned http_status) noexcept { refusals_[refusal_slot(http_status)].add(); }

  latency_histogram& get_latency() noexcept { return get_latency_; }
  latency_histogram& put_latency() noexcept { return put_latency_; }

  // Adds what has been counted so far to `sum`.
  void add_to(counters_snapshot& sum) const noexcept;

private:
  std::array<counter, event_count> events_;
  std::array<counter, refusal_slot_count> refusals_;
  latency_histogram get_latency_;
  latency_histogram put_latency_;
};

} // namespace kvcache::observe
