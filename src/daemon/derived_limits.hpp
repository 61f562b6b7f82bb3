// Limits that follow from others: from the character limits, the limit of open files and the memory
// limit. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/options.hpp"
#include "kvcache/memory_reading.hpp"
#include "server/load_caps.hpp"
#include "server/server_options.hpp"

namespace kvcache::daemon {

// The options with "auto" resolved: `threads` as given, the request limits derived from those of
// key and value. The memory limit stays auto, since its value changes at run time.
config::options resolve_automatic(config::options settings, unsigned threads);

// The options with max_connections lowered so that every connection, those above the limit, and the
// program itself have file descriptors. A server without descriptors could not respond to health
// checks. `open_files`: the limit of this process; 0: unknown.
config::options fit_to_open_files(config::options settings, std::uint64_t open_files);

// Warnings if a request limit is too small for the longest key or value in its longest escaped
// form: 12 bytes per character, in target and body alike.
// REQUIRES, here and below: resolve_automatic() has been applied to `settings`.
std::vector<std::string> find_tight_limits(const config::options& settings);

// The connection limit: as configured, or lower if the lowest memory limit requires it.
std::size_t connections_most(const config::options& settings, std::uint64_t memory_limit_bytes);

// A warning if that is lower than configured.
std::optional<std::string> find_fewer_connections(const config::options& settings,
                                                  std::uint64_t memory_limit_bytes);

// A warning if the longest key and value, in their longest escaped form, need more memory than
// `limit` ever allows for one request: such a PUT gets 413.
std::optional<std::string> find_values_beyond_memory(const config::options& settings,
                                                     const memory_reading& limit);

// "512 MiB (cgroup v2 /cache)"
std::string describe_limit(const memory_reading& limit);

// Current use by connections.
struct load_now {
  std::size_t connections = 0;
  std::size_t buffer_bytes = 0;
};

// The caps in force until the next reading. Connections and their buffers may use only a part of
// the lowest limit, and until the next reading no more than half of the free memory at any level.
// So eviction frees memory as fast as peers take it, however many arrive at once. If other
// processes use all memory, a few connections are still served.
// REQUIRES: `levels` is not empty.
http::load_caps make_load_caps(const config::options& settings,
                               std::span<const memory_reading> levels, const load_now& now);

// The server's options, completed with the limits that follow from the memory limit.
// `memory_limit_bytes`: the lowest limit at start; see make_load_caps().
http::server_options make_server_options(const config::options& settings,
                                         std::uint64_t memory_limit_bytes);

} // namespace kvcache::daemon
