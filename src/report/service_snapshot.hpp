// All figures that the service reports, at one moment, as plain values. The daemon fills it in;
// stats_json and prometheus_text turn it into text and read nothing else.
#pragma once

#include <nlohmann/json.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kvcache/cache_stats.hpp"
#include "kvcache/eviction_status.hpp"
#include "kvcache/limited_cache.hpp"
#include "metrics/registry.hpp"
#include "snapshot/status.hpp"

namespace kvcache::observe {

enum class service_state : std::uint8_t { ready, loading, draining };

// The names of the states above, and of those of the store, in every report.
inline constexpr std::array<std::string_view, 3> service_state_names{"ready", "loading",
                                                                     "draining"};
inline constexpr std::array<std::string_view, pressure_tier_count> pressure_tier_names{
    "normal", "pressure", "emergency"};
inline constexpr std::array<std::string_view, eviction_cause_count> eviction_cause_names{
    "clock", "lru", "emergency", "expired", "max_entries"};
// The outcomes of PUTs that are reported. The other cannot occur: an entry too large for the store
// exceeds every request limit.
struct put_outcome_name {
  put_outcome outcome;
  std::string_view name;
};
inline constexpr std::array<put_outcome_name, 5> put_outcome_names{
    {{put_outcome::inserted, "inserted"},
     {put_outcome::replaced, "replaced"},
     {put_outcome::precondition_failed, "precondition_failed"},
     {put_outcome::no_room, "no_room"},
     {put_outcome::out_of_memory, "out_of_memory"}}};

// The kernel's figures about the process; 0 for what it does not report.
struct process_facts {
  std::chrono::nanoseconds started_at{};     // since 1970
  std::chrono::nanoseconds processor_time{}; // of all threads since the start
  std::uint64_t resident_bytes = 0;
  std::uint64_t open_files = 0;
  std::uint64_t files_most = 0;
};

struct service_snapshot {
  std::string_view version;
  std::string_view revision; // of the sources; "unknown" for a tarball
  service_state state = service_state::ready;
  nlohmann::ordered_json configuration =
      nlohmann::ordered_json::object(); // the member of /stats: the options in force
  nlohmann::ordered_json changed_defaults =
      nlohmann::ordered_json::object(); // likewise: the defaults that are not in force
  limited_cache_options options;        // of the cache; the number of threads is that of workers
  std::size_t max_connections = 0;      // in force: as configured, or lower by the memory limit
  process_facts process;
  cache_stats store;
  std::uint64_t hold_limit_bytes = 0; // what the store may hold from the kernel; 0: unlimited
  std::uint64_t buffer_bytes = 0;     // of all connections, including the kernel's buffers
  eviction_status eviction;           // reading.limit_bytes 0: not read yet
  std::uint64_t evictor_runs = 0;
  snapshot::status snapshots;
  std::uint64_t log_lines_dropped = 0; // of the log and the access log
  counters_report counters;
};

} // namespace kvcache::observe
