// Everything an operator can set, as plain values. The initial value of each member is the default;
// what a value means, its range and its unit for people stand in option_table.cpp, one row each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "http/http_limits.hpp"
#include "http/server_options.hpp"

namespace kvcache::config {

enum class log_level : std::uint8_t { debug, info, warn, error };
enum class log_format : std::uint8_t { text, json };

struct options {
  // Where it listens.
  std::string bind_address = "127.0.0.1";
  std::uint16_t port = 7171; // 0: the kernel picks a free one
  unsigned threads = 0;      // 0: what worker_count.hpp finds

  // What it stores.
  std::size_t max_key_chars = http::http_limits{}.max_key_chars;
  std::size_t max_value_chars = http::http_limits{}.max_value_chars;
  std::size_t max_entries = 0; // 0: no such limit

  unsigned default_ttl_s = 0; // 0: entries do not expire by themselves

  // How much memory it may use, and when it gives way.
  std::uint64_t memory_limit_bytes = 0; // 0: only what the container and the machine allow
  unsigned pressure_percent = 70;
  unsigned emergency_percent = 95;
  unsigned floor_percent = 5;
  unsigned eviction_interval_ms = 100;

  // What it takes from clients; 0 bytes: as much as the character limits above need.
  std::size_t max_head_bytes = 0;
  std::size_t max_head_fields = http::http_limits{}.head_fields;
  std::size_t max_target_bytes = 0;
  std::size_t max_body_bytes = 0;
  std::size_t max_connections = 10000;
  unsigned head_timeout_ms = http::deadlines{}.head_timeout_ms;
  unsigned body_timeout_ms = http::deadlines{}.body_timeout_ms;
  unsigned idle_timeout_ms = http::deadlines{}.idle_timeout_ms;
  unsigned write_timeout_ms = http::deadlines{}.write_timeout_ms;

  // How it stops.
  unsigned drain_delay_ms = 0;
  unsigned drain_timeout_ms = 8000;

  // Who may do what.
  bool enable_flush = false;
  std::vector<std::string> allowed_hosts; // empty: any Host
  std::string auth_token_file;            // empty: no tokens are asked for

  // What it writes about itself.
  log_level level = log_level::info;
  log_format format = log_format::text;
};

} // namespace kvcache::config
