#include "report/figures.hpp"

namespace kvcache::observe {

namespace {

std::uint64_t as_ns(std::chrono::nanoseconds duration) {
  return static_cast<std::uint64_t>(duration.count());
}

} // namespace

std::vector<figure> shared_figures(const service_snapshot& s) {
  const counters_snapshot& counters = s.counters.since_start;
  return {
      {"", "entries", "keyvalue_cache_entries",
       "Stored entries, including expired ones that are not yet deleted.", s.store.entries},
      {"", "log_lines_dropped", "keyvalue_cache_log_lines_dropped_total",
       "Lines of the log and the access log dropped because writing was too slow.",
       s.log_lines_dropped},

      // Prometheus clients for every language export these five under these names.
      {"process", "started_at_s", "process_start_time_seconds",
       "Start time of the process, in seconds since 1970.", as_ns(s.process.started_at)},
      {"process", "cpu_s", "process_cpu_seconds_total",
       "Processor time of all threads, user and system.", as_ns(s.process.processor_time)},
      {"process", "resident_bytes", "process_resident_memory_bytes",
       "Resident memory of the process.", s.process.resident_bytes},
      {"process", "open_files", "process_open_fds", "Open file descriptors.", s.process.open_files},
      {"process", "max_open_files", "process_max_fds", "Limit of open file descriptors.",
       s.process.files_most},

      {"memory", "used_bytes", "keyvalue_cache_memory_used_bytes",
       "Memory in use at the memory limit in force, including use by other processes.",
       s.eviction.reading.used_bytes},
      {"memory", "limit_bytes", "keyvalue_cache_memory_limit_bytes",
       "Memory limit in force; 0 before the first reading.", s.eviction.reading.limit_bytes},
      {"memory", "held_bytes", "keyvalue_cache_held_bytes",
       "Memory that the store has allocated from the kernel.", s.store.held_bytes},
      {"memory", "hold_limit_bytes", "keyvalue_cache_hold_limit_bytes",
       "Limit of the store's memory; 0 means unlimited.", s.hold_limit_bytes},
      {"memory", "buffer_bytes", "keyvalue_cache_connection_buffer_bytes",
       "Memory of all connections, including unread responses in the kernel.", s.buffer_bytes},
      {"memory", "index_growths", "keyvalue_cache_index_growths_total",
       "Index tables replaced by larger ones.", s.store.index_growths},
      {"memory", "index_shrinks", "keyvalue_cache_index_shrinks_total",
       "Index tables replaced by smaller ones.", s.store.index_shrinks},
      {"memory", "entries_moved", "keyvalue_cache_entries_moved_total",
       "Entries moved by compaction.", s.store.entries_moved},
      {"memory", "longest_growth_step_us", "keyvalue_cache_index_growth_step_max_seconds",
       "Longest step of index growth since the start.", s.store.longest_growth_step_ns},
      {"memory", "longest_move_slice_us", "keyvalue_cache_move_slice_max_seconds",
       "Longest slice of compaction since the start.", s.store.longest_move_slice_ns},

      {"eviction", "tier_changes", "keyvalue_cache_memory_tier_changes_total",
       "Changes of the memory tier.", s.eviction.tier_changes},
      {"eviction", "allowance_bytes", "keyvalue_cache_allowance_bytes",
       "Bytes of live entries and index above which entries are evicted.",
       s.eviction.allowance_bytes},
      {"eviction", "expired", "keyvalue_cache_expired_entries_total",
       "Entries deleted because their time to live had ended.",
       s.store.evictions[static_cast<std::size_t>(eviction_cause::expired)]},
      {"eviction", "runs", "keyvalue_cache_evictor_runs_total",
       "Runs of the evictor, each with a memory reading.", s.evictor_runs},
      {"eviction", "last_slice_us", "keyvalue_cache_eviction_slice_seconds",
       "Duration of the evictor's latest slice.", s.eviction.last_slice_ns},
      {"eviction", "longest_slice_us", "keyvalue_cache_eviction_slice_max_seconds",
       "Longest slice of the evictor since the start.", s.eviction.longest_slice_ns},

      {"connections", "now", "keyvalue_cache_connections", "Open connections.",
       counters.connections_now()},
      {"connections", "total", "keyvalue_cache_connections_opened_total", "Accepted connections.",
       counters.of(event::connection_opened)},
      {"connections", "refused", "keyvalue_cache_connections_refused_total",
       "Connections rejected with 503 because the connection limit was reached.",
       counters.of(event::connection_refused)},
      {"connections", "shed", "keyvalue_cache_connections_shed_total",
       "Connections closed because their peer did not read, or read slowly, while buffer memory "
       "was short.",
       counters.of(event::connection_shed)},
      {"connections", "accept_failures", "keyvalue_cache_accept_failures_total",
       "Failed attempts to accept a connection, for example without free file descriptors.",
       counters.of(event::accept_failed)},
  };
}

} // namespace kvcache::observe
