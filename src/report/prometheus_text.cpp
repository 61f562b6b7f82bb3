#include "report/prometheus_text.hpp"

#include <chrono>

#include "metrics/metrics_writer.hpp"

namespace kvcache::observe {
namespace {

constexpr std::size_t expected_size =
    std::size_t{24} * 1024; // of the whole body; saves regrowing, no limit

double seconds(std::uint64_t ns) noexcept { return static_cast<double>(ns) / 1e9; }

double seconds(std::chrono::nanoseconds duration) noexcept {
  return std::chrono::duration<double>{duration}.count();
}

// The ordinary results of an operation, including the 404 of an absent key.
bool is_ordinary(std::size_t op, store_access access, std::size_t slot) noexcept {
  if (op == unknown_operation || op == unread_operation) return false;
  if (op == options_operation) return slot == status_slot(204);
  const bool may_be_absent = access == store_access::get || access == store_access::erase;
  return slot == status_slot(200) || (may_be_absent && slot == status_slot(404));
}

double share(unsigned percent) noexcept { return percent / 100.0; }

void write_service(metrics_writer& metrics, const service_snapshot& snapshot) {
  metrics.family(
      "keyvalue_cache_build_info", metric_type::gauge,
      "Always 1; the version that runs and the git revision it was built from are in the "
      "labels.");
  metrics.sample({{"version", snapshot.version}, {"revision", snapshot.revision}}, 1);
  metrics.family("keyvalue_cache_state", metric_type::gauge,
                 "1 for the state the service is in, 0 for the others.");
  for (std::size_t state = 0; state < service_state_names.size(); ++state)
    metrics.sample({{"state", service_state_names[state]}},
                   static_cast<std::size_t>(snapshot.state) == state ? 1 : 0);
  metrics.single("keyvalue_cache_worker_threads", metric_type::gauge,
                 "Threads that serve requests.", snapshot.configuration.threads);
  metrics.single("keyvalue_cache_log_lines_dropped_total", metric_type::counter,
                 "Lines of the log and the access log that were dropped because writing them was "
                 "too slow.",
                 snapshot.log_lines_dropped);
}

// Under the names that all Prometheus clients use.
void write_process(metrics_writer& metrics, const process_facts& process) {
  metrics.single("process_start_time_seconds", metric_type::gauge,
                 "When the process started, in seconds since 1970.", seconds(process.started_at));
  metrics.single("process_cpu_seconds_total", metric_type::counter,
                 "Processor time of all threads, user and system.",
                 seconds(process.processor_time));
  metrics.single("process_resident_memory_bytes", metric_type::gauge,
                 "Memory of the process that is resident.", process.resident_bytes);
  metrics.single("process_open_fds", metric_type::gauge, "File descriptors open now.",
                 process.open_files);
  metrics.single("process_max_fds", metric_type::gauge, "File descriptors the process may have.",
                 process.files_most);
}

void write_store(metrics_writer& metrics, const cache_stats& store,
                 const configuration_facts& configuration) {
  metrics.single("keyvalue_cache_entries", metric_type::gauge,
                 "Entries stored, expired ones that were not collected yet included.",
                 store.entries);
  metrics.single("keyvalue_cache_max_entries", metric_type::gauge,
                 "Entries allowed by --max-entries; 0 means no such limit.",
                 configuration.max_entries);
  metrics.single("keyvalue_cache_index_growths_total", metric_type::counter,
                 "Index tables replaced by larger ones.", store.index_growths);
  metrics.single("keyvalue_cache_index_shrinks_total", metric_type::counter,
                 "Index tables replaced by smaller ones.", store.index_shrinks);
  metrics.single("keyvalue_cache_entries_moved_total", metric_type::counter,
                 "Entries moved so that memory could be given back.", store.entries_moved);
  metrics.single("keyvalue_cache_index_growth_step_max_seconds", metric_type::gauge,
                 "Longest single step of growing the index since the start.",
                 seconds(store.longest_growth_step_ns));
  metrics.single("keyvalue_cache_move_slice_max_seconds", metric_type::gauge,
                 "Longest slice of moving entries since the start.",
                 seconds(store.longest_move_slice_ns));
}

void write_memory(metrics_writer& metrics, const service_snapshot& snapshot) {
  metrics.single("keyvalue_cache_memory_used_bytes", metric_type::gauge,
                 "Memory in use at the limit that is nearest, the container's or the machine's; "
                 "others included.",
                 snapshot.memory.used_bytes);
  metrics.single("keyvalue_cache_memory_limit_bytes", metric_type::gauge,
                 "Memory limit at that place; 0 before the first reading.",
                 snapshot.memory.limit_bytes);
  metrics.family("keyvalue_cache_memory_source_info", metric_type::gauge,
                 "Always 1; where use and limit were read is in the label.");
  metrics.sample({{"source", snapshot.memory.source}}, 1);
  metrics.single("keyvalue_cache_pressure_threshold_ratio", metric_type::gauge,
                 "Share of the limit above which least recently used entries are evicted.",
                 share(snapshot.configuration.pressure_percent));
  metrics.single("keyvalue_cache_emergency_threshold_ratio", metric_type::gauge,
                 "Share of the limit at which room is made at once.",
                 share(snapshot.configuration.emergency_percent));
  metrics.single("keyvalue_cache_held_bytes", metric_type::gauge,
                 "Memory the store holds from the kernel.", snapshot.store.held_bytes);
  metrics.single("keyvalue_cache_hold_limit_bytes", metric_type::gauge,
                 "Memory the store may hold; 0 means unlimited.", snapshot.hold_limit_bytes);
  metrics.family("keyvalue_cache_store_bytes", metric_type::gauge,
                 "What the held memory is used for: live entries, reusable room, the index.");
  metrics.sample({{"use", "live"}}, snapshot.store.live_bytes);
  metrics.sample({{"use", "free"}}, snapshot.store.free_bytes);
  metrics.sample({{"use", "index"}}, snapshot.store.index_bytes);
  metrics.single("keyvalue_cache_connection_buffer_bytes", metric_type::gauge,
                 "Memory that all connections hold, unread replies in the kernel included.",
                 snapshot.buffer_bytes);
  metrics.single("keyvalue_cache_allowance_bytes", metric_type::gauge,
                 "Bytes of live entries and index above which entries are evicted.",
                 snapshot.eviction.allowance_bytes);
}

void write_eviction(metrics_writer& metrics, const service_snapshot& snapshot) {
  metrics.family("keyvalue_cache_memory_tier", metric_type::gauge,
                 "1 for the tier that eviction works in, 0 for the others.");
  for (std::size_t tier = 0; tier < pressure_tier_names.size(); ++tier)
    metrics.sample({{"tier", pressure_tier_names[tier]}},
                   static_cast<std::size_t>(snapshot.eviction.tier) == tier ? 1 : 0);
  metrics.single("keyvalue_cache_memory_tier_changes_total", metric_type::counter,
                 "Changes from one tier to another.", snapshot.eviction.tier_changes);

  const auto& evictions = snapshot.store.evictions;
  metrics.family("keyvalue_cache_evictions_total", metric_type::counter,
                 "Entries evicted or expired, by cause and by the memory tier at that moment.");
  for (std::size_t tier = 0; tier < pressure_tier_names.size(); ++tier)
    for (std::size_t cause = 0; cause < evictions.size(); ++cause)
      metrics.sample({{"cause", eviction_cause_names[cause]}, {"tier", pressure_tier_names[tier]}},
                     snapshot.eviction.evictions[tier][cause]);
  metrics.single("keyvalue_cache_expired_entries_total", metric_type::counter,
                 "Entries collected because their time to live was over.",
                 evictions[static_cast<std::size_t>(eviction_cause::expired)]);
  metrics.single("keyvalue_cache_evictor_runs_total", metric_type::counter,
                 "Times the evictor woke and read the memory.", snapshot.eviction.runs);
  metrics.single("keyvalue_cache_eviction_slice_seconds", metric_type::gauge,
                 "Length of the evictor's latest slice of work.",
                 seconds(snapshot.eviction.last_slice_ns));
  metrics.single("keyvalue_cache_eviction_slice_max_seconds", metric_type::gauge,
                 "Longest slice of the evictor since the start.",
                 seconds(snapshot.eviction.longest_slice_ns));
}

// A series for each pair that has occurred, and from the start those of the ordinary results.
void write_responses(metrics_writer& metrics, const counters_snapshot& counters) {
  metrics.family("keyvalue_cache_requests_total", metric_type::counter,
                 "Final responses, by operation and status; their sum is all that were sent.");
  for (std::size_t op = 0; op < counters.operations.size(); ++op) {
    const auto& [name, access] = counters.operations[op];
    for (std::size_t slot = 0; slot < status_slot_count; ++slot)
      if (const std::uint64_t count = counters.responses[op][slot];
          count != 0 || is_ordinary(op, access, slot))
        metrics.sample({{"operation", name}, {"code", status_name(slot)}}, count);
  }
}

void write_requests(metrics_writer& metrics, const counters_snapshot& counters) {
  write_responses(metrics, counters);
  metrics.family("keyvalue_cache_gets_total", metric_type::counter,
                 "GETs of a key that reached the store, by result.");
  metrics.sample({{"result", "hit"}}, counters.hits());
  metrics.sample({{"result", "miss"}}, counters.misses());
  metrics.family("keyvalue_cache_puts_total", metric_type::counter,
                 "PUTs that reached the store, by result.");
  for (const auto& [outcome, name] : put_outcome_names)
    metrics.sample({{"result", name}}, counters.of(event_of(outcome)));
  metrics.family("keyvalue_cache_deletes_total", metric_type::counter,
                 "Deletes that reached the store, by result.");
  metrics.sample({{"result", "deleted"}}, counters.deletes());
  metrics.sample({{"result", "not_found"}}, counters.deletes_not_found());
  metrics.single("keyvalue_cache_flushes_total", metric_type::counter,
                 "Times the whole cache was emptied by request.", counters.flushes());
  metrics.single("keyvalue_cache_other_requests_total", metric_type::counter,
                 "Answered requests for statistics, health and documentation.",
                 counters.other_requests());
  metrics.family(
      "keyvalue_cache_refused_requests_total", metric_type::counter,
      "Requests answered with an error, by status; missed keys are none. A PUT without room "
      "is one of these and of keyvalue_cache_puts_total.");
  for (std::size_t slot = 0; slot < status_slot_count; ++slot)
    if (is_error_slot(slot))
      metrics.sample({{"status", status_name(slot)}}, counters.refused(slot));
  metrics.single("keyvalue_cache_received_bytes_total", metric_type::counter,
                 "Bytes read from clients.", counters.of(event::bytes_received));
  metrics.single("keyvalue_cache_sent_bytes_total", metric_type::counter,
                 "Bytes written to clients.", counters.of(event::bytes_sent));
}

void write_latencies(metrics_writer& metrics, const counters_report& counters) {
  metrics.family("keyvalue_cache_request_duration_seconds", metric_type::histogram,
                 "Time from reading a request to having its reply sent, by operation; "
                 "of one batch of requests in two, drawn at random, with and without access log.");
  metrics.distribution({"operation", "get"}, counters.since_start.get_latency);
  metrics.distribution({"operation", "put"}, counters.since_start.put_latency);
  metrics.family("keyvalue_cache_request_duration_max_seconds", metric_type::gauge,
                 "Longest of these over the last minute, by operation.");
  metrics.sample({{"operation", "get"}}, seconds(counters.last_minute.get_latency.max_ns()));
  metrics.sample({{"operation", "put"}}, seconds(counters.last_minute.put_latency.max_ns()));
}

void write_connections(metrics_writer& metrics, const counters_snapshot& counters,
                       const configuration_facts& configuration) {
  metrics.single("keyvalue_cache_connections", metric_type::gauge, "Connections open now.",
                 counters.connections_now());
  metrics.single("keyvalue_cache_max_connections", metric_type::gauge,
                 "Connections allowed at the same time.", configuration.max_connections);
  metrics.single("keyvalue_cache_connections_opened_total", metric_type::counter,
                 "Connections accepted.", counters.of(event::connection_opened));
  metrics.single("keyvalue_cache_connections_refused_total", metric_type::counter,
                 "Connections answered with 503 and closed because there were too many.",
                 counters.of(event::connection_refused));
  metrics.single("keyvalue_cache_connections_shed_total", metric_type::counter,
                 "Connections cut because their peer read nothing while buffers were short.",
                 counters.of(event::connection_shed));
  metrics.single("keyvalue_cache_accept_failures_total", metric_type::counter,
                 "Failed attempts to accept a connection (no descriptors left, for one).",
                 counters.of(event::accept_failed));
}

} // namespace

std::string prometheus_text(const service_snapshot& snapshot) {
  std::string body;
  body.reserve(expected_size);
  metrics_writer metrics{body};
  write_service(metrics, snapshot);
  write_process(metrics, snapshot.process);
  write_store(metrics, snapshot.store, snapshot.configuration);
  write_memory(metrics, snapshot);
  write_eviction(metrics, snapshot);
  write_requests(metrics, snapshot.counters.since_start);
  write_latencies(metrics, snapshot.counters);
  write_connections(metrics, snapshot.counters.since_start, snapshot.configuration);
  return body;
}

} // namespace kvcache::observe
