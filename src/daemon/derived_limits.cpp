#include "daemon/derived_limits.hpp"

#include <algorithm>

#include "server/buffer_budget.hpp"
#include "server/connection_phase.hpp"

namespace kvcache::daemon {

namespace {

// The cost of one idle connection, including the kernel's part: at most 6 KiB of this process and
// as much for the socket. In a container of 64 MiB that allows 5,461 connections.
constexpr std::uint64_t bytes_per_connection = std::uint64_t{12} << 10;

// The divisor of the memory limit that yields the cap on all buffers. Under a small limit the cap
// is lower, so that the program and a few large entries fit below the pressure mark.
constexpr std::uint64_t limit_per_buffer_byte = 4;
constexpr std::uint64_t default_pressure_percent = 70;
constexpr std::uint64_t bytes_outside_buffers = std::uint64_t{9} << 20;

// The divisors that yield the kernel's buffers of one connection, of which it uses twice as much:
// large enough for one send of a pipeline batch, and so small a part of the limit that hundreds of
// peers that pipeline and read stay below the cap on all buffers.
constexpr std::uint64_t limit_per_send_byte = 2048;
constexpr std::uint64_t limit_per_receive_byte = 4096;
constexpr std::uint64_t min_socket_buffer_bytes = std::uint64_t{4} << 10;
constexpr std::uint64_t max_socket_buffer_bytes = std::uint64_t{256} << 10;

// The part of each cap that is granted however little memory is free.
constexpr std::uint64_t cap_per_minimum = 16;

// Connections and buffers may each use this part of the free memory until the next reading:
// together half of it, since a connection's own buffers count on both sides.
constexpr std::uint64_t free_per_grant = 4;

// Descriptors of the listener, the workers, the readings and the log.
constexpr std::uint64_t own_files = 64;

// Connections over the limit that are rejected at the same time: a minimum, and one per this many
// others.
constexpr std::size_t min_refused_connections = 16;
constexpr std::size_t connections_per_refused = 16;

// The shortest frames around key and value: `/get?key=`, `{"key":"","value":""}`; and the head of a
// plain client without the target.
constexpr std::size_t shortest_target_bytes = 9;
constexpr std::size_t shortest_body_bytes = 21;
constexpr std::size_t typical_fields_bytes = 512;

// Bytes that remain until one of the levels reaches the emergency mark.
std::uint64_t free_bytes(std::span<const memory_reading> levels, unsigned emergency_percent) {
  std::uint64_t least = UINT64_MAX;
  for (const memory_reading& level : levels) {
    const std::uint64_t mark = level.limit_bytes / 100 * emergency_percent;
    least = std::min(least, mark > level.used_bytes ? mark - level.used_bytes : 0);
  }
  return least;
}

std::uint64_t buffer_bytes_most(std::uint64_t memory_limit_bytes) {
  const std::uint64_t share = memory_limit_bytes / limit_per_buffer_byte;
  const std::uint64_t below_mark = memory_limit_bytes / 100 * default_pressure_percent;
  const std::uint64_t left =
      below_mark > bytes_outside_buffers ? below_mark - bytes_outside_buffers : 0;
  return std::clamp(left, share / 4, share);
}

std::size_t socket_buffer_bytes(std::uint64_t memory_limit_bytes, std::uint64_t limit_per_byte) {
  return std::clamp(memory_limit_bytes / limit_per_byte, min_socket_buffer_bytes,
                    max_socket_buffer_bytes);
}

// Of the longest key and value, in their longest escaped form.
std::size_t longest_body_bytes(const http::http_limits& limits) {
  return shortest_body_bytes +
         (limits.max_key_chars + limits.max_value_chars) * http::body_bytes_per_char;
}

// "--max-key-chars (256)"
std::string named(const char* option, std::size_t value) {
  return std::string{option} + " (" + std::to_string(value) + ")";
}

} // namespace

config::options resolve_automatic(config::options settings, unsigned threads) {
  http::server_options& server = settings.server;
  http::http_limits& limits = server.limits;
  http::http_limits derived;
  derived.max_key_chars = limits.max_key_chars;
  derived.max_value_chars = limits.max_value_chars;
  derived = derived.raised_for_characters();
  if (server.threads == 0) server.threads = threads;
  settings.cache.eviction.threads = server.threads;
  if (limits.target_bytes == 0) limits.target_bytes = derived.target_bytes;
  if (limits.head_bytes == 0) // of the target in force: that limit may have been set
    limits.head_bytes =
        std::max(http::http_limits{}.head_bytes, limits.target_bytes + http::head_frame_bytes);
  if (limits.body_bytes == 0) limits.body_bytes = derived.body_bytes;
  server.drain_timeout_ms = config::drain_timeout_ms(settings);
  return settings;
}

config::options fit_to_open_files(config::options settings, std::uint64_t open_files) {
  if (open_files == 0) return settings;
  const std::uint64_t others =
      own_files + http::server_options{}.health_connections + min_refused_connections;
  const std::uint64_t left = open_files > others ? open_files - others : 1;
  const std::uint64_t most = left - left / (connections_per_refused + 1);
  settings.server.max_connections = std::min<std::uint64_t>(settings.server.max_connections, most);
  return settings;
}

std::vector<std::string> find_tight_limits(const config::options& settings) {
  const http::http_limits& limits = settings.server.limits;
  const std::size_t target =
      shortest_target_bytes + limits.max_key_chars * http::target_bytes_per_char;
  const std::size_t body = longest_body_bytes(limits);
  const std::string key = named("--max-key-chars", limits.max_key_chars);
  std::vector<std::string> warnings;
  const auto warn_of_get = [&](const char* name, std::size_t limit, std::size_t needed) {
    if (limit >= needed) return;
    warnings.push_back(named(name, limit) + " is too small for the longest escaped key that " +
                       key + " allows: GET cannot read every stored key; set at least " +
                       std::to_string(needed));
  };
  warn_of_get("--max-target-bytes", limits.target_bytes, target);
  warn_of_get("--max-head-bytes", limits.head_bytes, target + typical_fields_bytes);
  if (limits.body_bytes < body)
    warnings.push_back(named("--max-body-bytes", limits.body_bytes) +
                       " is too small for the longest escaped key and value that " + key + " and " +
                       named("--max-value-chars", limits.max_value_chars) +
                       " allow: such a PUT is refused; set at least " + std::to_string(body));
  return warnings;
}

std::size_t connections_most(const config::options& settings, std::uint64_t memory_limit_bytes) {
  return std::min<std::uint64_t>(settings.server.max_connections,
                                 memory_limit_bytes / bytes_per_connection);
}

std::optional<std::string> find_fewer_connections(const config::options& settings,
                                                  std::uint64_t memory_limit_bytes) {
  const std::size_t most = connections_most(settings, memory_limit_bytes);
  if (most == settings.server.max_connections) return std::nullopt;
  return "the memory limit allows only " + std::to_string(most) + " connections, fewer than " +
         named("--max-connections", settings.server.max_connections);
}

std::optional<std::string> find_values_beyond_memory(const config::options& settings,
                                                     const memory_reading& limit) {
  const http::http_limits& limits = settings.server.limits;
  const std::size_t body = std::min(longest_body_bytes(limits), limits.body_bytes);
  const http::buffer_budget buffers{buffer_bytes_most(limit.limit_bytes)};
  const std::size_t most = buffers.bytes_at_a_time_most();
  if (limits.max_value_bytes > most)
    return "the memory limit, " + describe_limit(limit) + ", is too small for a value of " +
           named("--max-value-bytes", limits.max_value_bytes) + ": a PUT of more than " +
           std::to_string(most) + " bytes gets 413; raise the limit or lower it";
  if (limits.max_batch_bytes > most)
    return "the memory limit, " + describe_limit(limit) + ", is too small for a batch of " +
           named("--max-batch-bytes", limits.max_batch_bytes) + ": one of more than " +
           std::to_string(most) + " bytes gets 413; raise the limit or lower it";
  if (body <= most) return std::nullopt;
  return "the memory limit, " + describe_limit(limit) + ", is too small for a body of " +
         std::to_string(body) + " bytes, which " + named("--max-key-chars", limits.max_key_chars) +
         " and " + named("--max-value-chars", limits.max_value_chars) +
         " allow: such a PUT gets 413; raise the limit or lower them";
}

std::string describe_limit(const memory_reading& limit) {
  return std::to_string(limit.limit_bytes >> 20U) + " MiB (" + limit.source + ")";
}

http::load_caps make_load_caps(const config::options& settings,
                               std::span<const memory_reading> levels, const load_now& now) {
  const std::uint64_t lowest_limit =
      std::ranges::min_element(levels, {}, &memory_reading::limit_bytes)->limit_bytes;
  const std::uint64_t grant =
      free_bytes(levels, settings.cache.eviction.pressure.emergency_percent) / free_per_grant;
  const auto paced = [](std::uint64_t held, std::uint64_t more, std::uint64_t most) {
    return std::clamp(held + more, most / cap_per_minimum, most);
  };
  http::load_caps caps;
  caps.connections_most = connections_most(settings, lowest_limit);
  caps.connections_now =
      paced(now.connections, grant / bytes_per_connection, caps.connections_most);
  caps.buffer_bytes_most = buffer_bytes_most(lowest_limit);
  caps.buffer_bytes = paced(now.buffer_bytes, grant, caps.buffer_bytes_most);
  return caps;
}

http::server_options make_server_options(const config::options& settings,
                                         std::uint64_t memory_limit_bytes) {
  http::server_options made = settings.server;
  made.max_connections = connections_most(settings, memory_limit_bytes);
  made.refused_connections = std::clamp(made.max_connections / connections_per_refused,
                                        min_refused_connections, made.refused_connections);
  made.max_buffer_bytes = buffer_bytes_most(memory_limit_bytes);
  made.send_buffer_bytes = socket_buffer_bytes(memory_limit_bytes, limit_per_send_byte);
  made.receive_buffer_bytes = socket_buffer_bytes(memory_limit_bytes, limit_per_receive_byte);
  made.limits.chunk_overhead_bytes = http::chunk_overhead_for(made.limits.body_bytes);
  // A rejected body may take as long as one that is read.
  made.timeouts.linger_total_ms =
      std::max(made.timeouts.linger_total_ms,
               made.timeouts.body_timeout_ms +
                   static_cast<unsigned>(http::body_time_ms(made.limits.max_value_bytes)));
  return made;
}

} // namespace kvcache::daemon
