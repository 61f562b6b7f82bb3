// Every option, as plain values. The initial value of each member is the default, taken from the
// layer that uses it. Meaning, range and unit are defined in option_table.cpp, one row per option.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "eviction/evictor.hpp"
#include "eviction/pressure.hpp"
#include "http/http_limits.hpp"
#include "kvcache/cache_options.hpp"
#include "process/log_format.hpp"
#include "server/server_options.hpp"

namespace kvcache::config {

struct options {
  // Network.
  std::string bind_address = http::server_options{}.bind_address;
  std::uint16_t port = 7171; // 0: the kernel selects a free one
  unsigned threads = 0;      // 0: determined by worker_count.hpp

  // Content.
  std::size_t max_key_chars = http::http_limits{}.max_key_chars;
  std::size_t max_value_chars = http::http_limits{}.max_value_chars;
  std::size_t max_entries = cache_options{}.max_entries;              // 0: unlimited
  std::uint32_t default_ttl_s = http::server_options{}.default_ttl_s; // 0: they do not expire

  // Memory.
  std::uint64_t memory_limit_bytes = 0; // 0: only the limits of container and machine
  unsigned pressure_percent = pressure_options{}.pressure_percent;
  unsigned emergency_percent = pressure_options{}.emergency_percent;
  unsigned floor_percent = pressure_options{}.floor_percent;
  unsigned eviction_interval_ms = evictor_options{}.interval_ms;

  // Requests and connections; 0 bytes: derived from the character limits above.
  std::size_t max_head_bytes = 0;
  std::size_t max_head_fields = http::http_limits{}.head_fields;
  std::size_t max_target_bytes = 0;
  std::size_t max_body_bytes = 0;
  std::size_t max_connections = http::server_options{}.max_connections;
  unsigned head_timeout_ms = http::deadlines{}.head_timeout_ms;
  unsigned body_timeout_ms = http::deadlines{}.body_timeout_ms;
  unsigned idle_timeout_ms = http::deadlines{}.idle_timeout_ms;
  unsigned write_timeout_ms = http::deadlines{}.write_timeout_ms;

  // Stopping.
  unsigned drain_delay_ms = http::server_options{}.drain_delay_ms;
  unsigned drain_timeout_ms = http::server_options{}.drain_timeout_ms;

  // Access.
  bool enable_flush = http::server_options{}.enable_flush;
  std::vector<std::string> allowed_hosts; // empty: any Host
  std::string auth_token_file;            // empty: no tokens are required

  // Logging.
  log_level level = log_level::info;
  log_format format = log_format::text;
  bool access_log = false;
  unsigned access_log_sample = http::server_options{}.access_log_sample;
};

} // namespace kvcache::config
