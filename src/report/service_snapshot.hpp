// All figures that the service reports, at one moment, as plain values. The daemon fills it in;
// stats_json and prometheus_text turn it into text and read nothing else.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "eviction/pressure.hpp"
#include "kvcache/cache_stats.hpp"
#include "kvcache/memory_reading.hpp"
#include "metrics/registry.hpp"

namespace kvcache::observe {

enum class service_state : std::uint8_t { ready, draining };

// The names of the states above, and of those of the store, in every report.
inline constexpr std::array<std::string_view, 2> service_state_names{"ready", "draining"};
inline constexpr std::array<std::string_view, pressure_tier_count> pressure_tier_names{
    "normal", "pressure", "emergency"};
inline constexpr std::array<std::string_view, eviction_cause_count> eviction_cause_names{
    "clock", "lru", "emergency", "expired", "max_entries"};
// The outcomes of POST /put that are reported. The others cannot occur: two belong to conditional
// writes, which no endpoint offers, and an entry too large for the store exceeds every request
// limit.
struct put_outcome_name {
  put_outcome outcome;
  std::string_view name;
};
inline constexpr std::array<put_outcome_name, 4> put_outcome_names{
    {{put_outcome::inserted, "inserted"},
     {put_outcome::replaced, "replaced"},
     {put_outcome::no_room, "no_room"},
     {put_outcome::out_of_memory, "out_of_memory"}}};

// The options that explain the figures.
struct configuration_facts {
  std::string bind_address;
  std::uint16_t port = 0; // the port in use, also if 0 was configured
  std::size_t threads = 0;
  std::size_t max_key_chars = 0;
  std::size_t max_value_chars = 0;
  std::size_t max_entries = 0;     // 0: unlimited
  std::size_t max_connections = 0; // in force: as configured, or lower by the memory limit
  unsigned default_ttl_s = 0;      // 0: entries do not expire by themselves
  std::optional<std::uint64_t> memory_limit_bytes; // as configured; nothing: auto
  unsigned pressure_percent = 0;
  unsigned emergency_percent = 0;
  unsigned floor_percent = 0;
  unsigned eviction_interval_ms = 0;
  std::size_t max_head_bytes = 0; // these three in force, auto resolved
  std::size_t max_target_bytes = 0;
  std::size_t max_body_bytes = 0;
  std::size_t max_head_fields = 0;
  unsigned head_timeout_ms = 0;
  unsigned body_timeout_ms = 0;
  unsigned idle_timeout_ms = 0;
  unsigned write_timeout_ms = 0;
  unsigned drain_delay_ms = 0;
  unsigned drain_timeout_ms = 0;
  bool tokens = false; // required
  bool enable_flush = false;
  std::size_t allowed_hosts = 0; // their number; 0: any. The names are not for every reader
  bool access_log = false;
  unsigned access_log_sample = 0;
};

struct eviction_facts {
  pressure_tier tier = pressure_tier::normal;
  std::uint64_t tier_changes = 0;
  std::uint64_t runs = 0;             // runs of the evictor
  std::uint64_t allowance_bytes = 0;  // live and index bytes above which it evicts
  tier_cause_counts evictions{};      // by tier and cause
  std::uint64_t last_slice_ns = 0;    // length of the evictor's latest slice of work
  std::uint64_t longest_slice_ns = 0; // … and of its longest one so far
};

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
  configuration_facts configuration;
  process_facts process;
  cache_stats store;
  std::uint64_t hold_limit_bytes = 0; // what the store may hold from the kernel; 0: unlimited
  std::uint64_t buffer_bytes = 0;     // of all connections, including the kernel's buffers
  memory_reading memory;              // limit_bytes 0: not read yet
  eviction_facts eviction;
  std::uint64_t log_lines_dropped = 0; // of the log and the access log
  counters_report counters;
};

} // namespace kvcache::observe
