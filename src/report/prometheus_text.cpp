#include "report/prometheus_text.hpp"

#include "metrics/metrics_writer.hpp"
#include "report/figures.hpp"

namespace kvcache::observe {
namespace {

constexpr std::size_t expected_size =
    std::size_t{24} * 1024; // of the whole body; avoids regrowing, no limit

double seconds(std::uint64_t ns) noexcept { return static_cast<double>(ns) / 1e9; }

// The ordinary results of an operation, including the 404 of an absent key.
bool is_ordinary(std::size_t op, store_access access, std::size_t slot) noexcept {
  if (op == unknown_operation || op == unread_operation) return false;
  if (op == options_operation) return slot == status_slot(204);
  const bool may_be_absent = access == store_access::get || access == store_access::erase ||
                             access == store_access::update;
  return slot == status_slot(200) || (may_be_absent && slot == status_slot(404));
}

// A sample for each state: 1 for the present one, 0 for the others.
void write_states(metrics_writer& metrics, std::string_view label,
                  std::span<const std::string_view> names, std::size_t present) {
  for (std::size_t state = 0; state < names.size(); ++state)
    metrics.sample({{label, names[state]}}, state == present ? 1 : 0);
}

void write_figures(metrics_writer& metrics, const service_snapshot& snapshot) {
  for (const figure& each : shared_figures(snapshot))
    if (each.is_in_seconds() || each.is_in_microseconds())
      metrics.single(each.metric, each.help, seconds(each.value));
    else
      metrics.single(each.metric, each.help, each.value);
}

void write_service(metrics_writer& metrics, const service_snapshot& snapshot) {
  metrics.family("keyvalue_cache_build_info",
                 "Always 1; the labels are the version and the git revision of the sources.");
  metrics.sample({{"version", snapshot.version}, {"revision", snapshot.revision}}, 1);
  metrics.family("keyvalue_cache_state", "1 for the state of the service, 0 for the others.");
  write_states(metrics, "state", service_state_names, static_cast<std::size_t>(snapshot.state));
  metrics.single("keyvalue_cache_worker_threads", "Threads that serve requests.",
                 snapshot.options.eviction.threads);
  metrics.single("keyvalue_cache_max_entries", "Limit of entries (--max-entries); 0 means none.",
                 snapshot.options.max_entries);
  metrics.single("keyvalue_cache_max_connections", "Connection limit in force.",
                 snapshot.max_connections);
}

void write_memory(metrics_writer& metrics, const service_snapshot& snapshot) {
  const pressure_options& pressure = snapshot.options.eviction.pressure;
  metrics.family("keyvalue_cache_memory_source_info",
                 "Always 1; the label is the source of memory use and limit.");
  metrics.sample({{"source", snapshot.eviction.reading.source}}, 1);
  metrics.single("keyvalue_cache_pressure_threshold_ratio",
                 "Share of the memory limit above which entries are evicted gradually.",
                 pressure.pressure_percent / 100.0);
  metrics.single("keyvalue_cache_emergency_threshold_ratio",
                 "Share of the memory limit from which entries are evicted immediately.",
                 pressure.emergency_percent / 100.0);
  metrics.family("keyvalue_cache_store_bytes",
                 "Use of the store's memory: live entries, free space, index.");
  metrics.sample({{"use", "live"}}, snapshot.store.live_bytes);
  metrics.sample({{"use", "free"}}, snapshot.store.free_bytes);
  metrics.sample({{"use", "index"}}, snapshot.store.index_bytes);
  metrics.family("keyvalue_cache_memory_tier", "1 for the present memory tier, 0 for the others.");
  write_states(metrics, "tier", pressure_tier_names,
               static_cast<std::size_t>(snapshot.eviction.tier));
  metrics.family("keyvalue_cache_evictions_total",
                 "Evicted or expired entries, by cause and by the memory tier at that time.");
  for (std::size_t tier = 0; tier < pressure_tier_names.size(); ++tier)
    for (std::size_t cause = 0; cause < eviction_cause_names.size(); ++cause)
      metrics.sample({{"cause", eviction_cause_names[cause]}, {"tier", pressure_tier_names[tier]}},
                     snapshot.eviction.evictions[tier][cause]);
}

// The families of the last load and of the last save. The writer keeps views of the names.
struct transfer_names {
  struct family {
    std::string_view name;
    std::string_view help;
  };
  family result, entries, bytes, duration, timestamp;
};
constexpr transfer_names load_names{
    {"keyvalue_cache_snapshot_last_load_result",
     "1 for the result of the last load of a snapshot, 0 for the others."},
    {"keyvalue_cache_snapshot_last_load_entries", "Entries loaded from the snapshot at the start."},
    {"keyvalue_cache_snapshot_last_load_bytes", "Bytes read from the snapshot at the start."},
    {"keyvalue_cache_snapshot_last_load_duration_seconds", "Duration of the last load."},
    {"keyvalue_cache_snapshot_last_load_timestamp_seconds",
     "Time of the last load, since 1970; 0 if there was none."}};
constexpr transfer_names save_names{
    {"keyvalue_cache_snapshot_last_save_result",
     "1 for the result of the last save of a snapshot, 0 for the others."},
    {"keyvalue_cache_snapshot_last_save_entries", "Entries in the snapshot that was saved last."},
    {"keyvalue_cache_snapshot_last_save_bytes", "Bytes of the snapshot that was saved last."},
    {"keyvalue_cache_snapshot_last_save_duration_seconds", "Duration of the last save."},
    {"keyvalue_cache_snapshot_last_save_timestamp_seconds",
     "Time of the last save, since 1970; 0 if there was none."}};

template <class Status>
void write_transfer(metrics_writer& metrics, const transfer_names& names, const Status& last,
                    std::span<const std::string_view> results) {
  metrics.family(names.result.name, names.result.help);
  write_states(metrics, "result", results, static_cast<std::size_t>(last.state));
  metrics.single(names.entries.name, names.entries.help, last.entries);
  metrics.single(names.bytes.name, names.bytes.help, last.bytes);
  metrics.single(names.duration.name, names.duration.help, last.seconds);
  metrics.single(names.timestamp.name, names.timestamp.help, seconds(last.unix_ms * 1'000'000));
}

void write_snapshots(metrics_writer& metrics, const snapshot::status& snapshots) {
  write_transfer(metrics, load_names, snapshots.last_load, snapshot::load_state_names);
  metrics.single("keyvalue_cache_snapshot_last_load_skipped_blocks",
                 "Damaged blocks that the last load of a snapshot skipped.",
                 snapshots.last_load.skipped_blocks);
  write_transfer(metrics, save_names, snapshots.last_save, snapshot::save_state_names);
  metrics.single("keyvalue_cache_snapshot_failed_saves_total",
                 "Snapshots that could not be written.", snapshots.failed_saves);
  metrics.family("keyvalue_cache_snapshot_file_age_seconds",
                 "Age of the snapshot file; without a sample while there is none.");
  if (snapshots.file_age_ms) metrics.sample({}, seconds(*snapshots.file_age_ms * 1'000'000));
}

// A series for each pair that has occurred, and from the start those of the ordinary results.
void write_responses(metrics_writer& metrics, const counters_snapshot& counters) {
  metrics.family("keyvalue_cache_requests_total",
                 "Final responses, by operation and status. Their sum is the number of all.");
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
  metrics.family("keyvalue_cache_gets_total",
                 "GETs of a key that reached the store, those in batches included, by result.");
  metrics.sample({{"result", "hit"}}, counters.hits());
  metrics.sample({{"result", "miss"}}, counters.misses());
  metrics.family("keyvalue_cache_puts_total",
                 "PUTs that reached the store, those in batches included, by result.");
  for (const auto& [outcome, name] : put_outcome_names)
    metrics.sample({{"result", name}}, counters.of(event_of(outcome)));
  metrics.family("keyvalue_cache_deletes_total",
                 "DELETEs that reached the store, those in batches included, by result.");
  metrics.sample({{"result", "deleted"}}, counters.deletes());
  metrics.sample({{"result", "not_found"}}, counters.deletes_not_found());
  metrics.single("keyvalue_cache_flushes_total", "Flushes of the whole cache by request.",
                 counters.flushes());
  metrics.single("keyvalue_cache_other_requests_total",
                 "Successful requests for statistics, health and documentation, and batches.",
                 counters.other_requests());
  metrics.family("keyvalue_cache_refused_requests_total",
                 "Error responses, by status, except the 404 of an absent key. A PUT that finds "
                 "no room counts here and in keyvalue_cache_puts_total.");
  for (std::size_t slot = 0; slot < status_slot_count; ++slot)
    if (is_error_slot(slot))
      metrics.sample({{"status", status_name(slot)}}, counters.refused(slot));
  metrics.single("keyvalue_cache_received_bytes_total", "Bytes received from clients.",
                 counters.of(event::bytes_received));
  metrics.single("keyvalue_cache_sent_bytes_total", "Bytes sent to clients.",
                 counters.of(event::bytes_sent));
}

// A series for each pair that has occurred, and from the start those of success.
void write_batches(metrics_writer& metrics, const counters_snapshot& counters) {
  metrics.family("keyvalue_cache_batch_operations_total",
                 "Operations in batches, by operation and code of the result.");
  std::uint64_t operations = 0;
  for (std::size_t op = 0; op < batch_operation_names.size(); ++op) {
    for (std::size_t slot = 0; slot < status_slot_count; ++slot) {
      const std::uint64_t count = counters.batch_operations[op][slot];
      operations += count;
      if (count != 0 || slot == status_slot(200))
        metrics.sample({{"operation", batch_operation_names[op]}, {"code", status_name(slot)}},
                       count);
    }
  }
  metrics.histogram("keyvalue_cache_batch_size_operations", "Operations in a batch.");
  metrics.distribution(batch_size_bounds, counters.batch_sizes, operations);
}

void write_latencies(metrics_writer& metrics, const counters_report& counters) {
  metrics.histogram("keyvalue_cache_request_duration_seconds",
                    "Time from receiving a request to sending its response, by operation, of a "
                    "random half of all pipeline batches.");
  metrics.distribution({"operation", "get"}, counters.since_start.get_latency);
  metrics.distribution({"operation", "put"}, counters.since_start.put_latency);
  metrics.family("keyvalue_cache_request_duration_max_seconds",
                 "Longest of these over the last minute, by operation.");
  metrics.sample({{"operation", "get"}}, seconds(counters.last_minute.get_latency.max_ns()));
  metrics.sample({{"operation", "put"}}, seconds(counters.last_minute.put_latency.max_ns()));
}

} // namespace

std::string prometheus_text(const service_snapshot& snapshot) {
  std::string body;
  body.reserve(expected_size);
  metrics_writer metrics{body};
  write_figures(metrics, snapshot);
  write_service(metrics, snapshot);
  write_memory(metrics, snapshot);
  write_snapshots(metrics, snapshot.snapshots);
  write_requests(metrics, snapshot.counters.since_start);
  write_batches(metrics, snapshot.counters.since_start);
  write_latencies(metrics, snapshot.counters);
  return body;
}

} // namespace kvcache::observe
