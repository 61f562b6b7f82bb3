#include "report/stats_json.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

#include "metrics/json_writer.hpp"

namespace kvcache::observe {
namespace {

constexpr std::size_t expected_size = 4096; // of the whole body; saves regrowing, no limit

template <class Enum>
constexpr std::size_t index_of(Enum value) noexcept {
  return static_cast<std::size_t>(value);
}

double seconds(std::chrono::nanoseconds duration) noexcept {
  // To the millisecond: more digits would only be noise.
  return static_cast<double>(duration / std::chrono::milliseconds{1}) / 1e3;
}

double microseconds(std::uint64_t ns) noexcept { return static_cast<double>(ns) / 1e3; }

std::optional<double> ratio(std::uint64_t part, std::uint64_t whole) noexcept {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

void write_configuration(json_writer& json, const configuration_facts& facts) {
  json.begin_object("configuration");
  json.member("bind", facts.bind_address);
  json.member("port", facts.port);
  json.member("threads", facts.threads);
  json.member("max_key_chars", facts.max_key_chars);
  json.member("max_value_chars", facts.max_value_chars);
  json.member("max_entries", facts.max_entries);
  json.member("max_connections", facts.max_connections);
  json.member("default_ttl_s", facts.default_ttl_s);
  json.integer_or_null("memory_limit_bytes", facts.memory_limit_bytes);
  json.member("pressure_percent", facts.pressure_percent);
  json.member("emergency_percent", facts.emergency_percent);
  json.member("floor_percent", facts.floor_percent);
  json.member("eviction_interval_ms", facts.eviction_interval_ms);
  json.member("max_head_bytes", facts.max_head_bytes);
  json.member("max_head_fields", facts.max_head_fields);
  json.member("max_target_bytes", facts.max_target_bytes);
  json.member("max_body_bytes", facts.max_body_bytes);
  json.member("head_timeout_ms", facts.head_timeout_ms);
  json.member("body_timeout_ms", facts.body_timeout_ms);
  json.member("idle_timeout_ms", facts.idle_timeout_ms);
  json.member("write_timeout_ms", facts.write_timeout_ms);
  json.member("drain_delay_ms", facts.drain_delay_ms);
  json.member("drain_timeout_ms", facts.drain_timeout_ms);
  json.member("tokens", facts.tokens);
  json.member("enable_flush", facts.enable_flush);
  json.member("allowed_hosts", facts.allowed_hosts);
  json.member("access_log", facts.access_log);
  json.member("access_log_sample", facts.access_log_sample);
  json.end_object();
}

void write_process(json_writer& json, const process_facts& facts) {
  json.begin_object("process");
  json.member("started_at_s", seconds(facts.started_at));
  json.member("cpu_s", seconds(facts.processor_time));
  json.member("resident_bytes", facts.resident_bytes);
  json.member("open_files", facts.open_files);
  json.member("max_open_files", facts.files_most);
  json.end_object();
}

void write_memory(json_writer& json, const service_snapshot& snapshot) {
  const std::optional<double> use = ratio(snapshot.memory.used_bytes, snapshot.memory.limit_bytes);
  json.begin_object("memory");
  json.member("used_bytes", snapshot.memory.used_bytes);
  json.member("limit_bytes", snapshot.memory.limit_bytes);
  json.member("use_percent", use ? std::optional{*use * 100} : std::nullopt);
  json.member("source", snapshot.memory.source);
  json.member("live_bytes", snapshot.store.live_bytes);
  json.member("free_bytes", snapshot.store.free_bytes);
  json.member("index_bytes", snapshot.store.index_bytes);
  json.member("held_bytes", snapshot.store.held_bytes);
  json.member("hold_limit_bytes", snapshot.hold_limit_bytes);
  json.member("buffer_bytes", snapshot.buffer_bytes);
  json.member("index_growths", snapshot.store.index_growths);
  json.member("index_shrinks", snapshot.store.index_shrinks);
  json.member("entries_moved", snapshot.store.entries_moved);
  json.member("longest_growth_step_us", microseconds(snapshot.store.longest_growth_step_ns));
  json.member("longest_move_slice_us", microseconds(snapshot.store.longest_move_slice_ns));
  json.end_object();
}

void write_eviction(json_writer& json, const service_snapshot& snapshot) {
  const auto& evictions = snapshot.store.evictions;
  json.begin_object("eviction");
  json.member("tier", pressure_tier_names[index_of(snapshot.eviction.tier)]);
  json.member("tier_changes", snapshot.eviction.tier_changes);
  json.member("allowance_bytes", snapshot.eviction.allowance_bytes);
  json.begin_object("evictions");
  for (std::size_t cause = 0; cause < evictions.size(); ++cause)
    if (cause != index_of(eviction_cause::expired))
      json.member(eviction_cause_names[cause], evictions[cause]);
  json.end_object();
  json.begin_object("evictions_by_tier");
  for (std::size_t tier = 0; tier < pressure_tier_names.size(); ++tier) {
    json.begin_object(pressure_tier_names[tier]);
    for (std::size_t cause = 0; cause < evictions.size(); ++cause)
      json.member(eviction_cause_names[cause], snapshot.eviction.evictions[tier][cause]);
    json.end_object();
  }
  json.end_object();
  json.member("expired", evictions[index_of(eviction_cause::expired)]);
  json.member("runs", snapshot.eviction.runs);
  json.member("last_slice_us", microseconds(snapshot.eviction.last_slice_ns));
  json.member("longest_slice_us", microseconds(snapshot.eviction.longest_slice_ns));
  json.end_object();
}

void write_connections(json_writer& json, const counters_snapshot& counters) {
  json.begin_object("connections");
  json.member("now", counters.connections_now());
  json.member("total", counters.of(event::connection_opened));
  json.member("refused", counters.of(event::connection_refused));
  json.member("shed", counters.of(event::connection_shed));
  json.member("accept_failures", counters.of(event::accept_failed));
  json.end_object();
}

void write_latency(json_writer& json, std::string_view name, const latency_snapshot& latency) {
  json.begin_object(name);
  json.member("p50", microseconds(latency.quantile_ns(0.5)));
  json.member("p90", microseconds(latency.quantile_ns(0.9)));
  json.member("p99", microseconds(latency.quantile_ns(0.99)));
  json.member("p99.9", microseconds(latency.quantile_ns(0.999)));
  json.member("max", microseconds(latency.max_ns()));
  json.end_object();
}

// By operation and status, those that occurred.
void write_responses(json_writer& json, const counters_snapshot& counters) {
  json.begin_object("responses");
  for (std::size_t op = 0; op < counters.operations.size(); ++op) {
    const auto& of_operation = counters.responses[op];
    if (std::all_of(of_operation.begin(), of_operation.end(), [](auto n) { return n == 0; }))
      continue;
    json.begin_object(counters.operations[op].name);
    for (std::size_t slot = 0; slot < status_slot_count; ++slot)
      if (of_operation[slot] != 0) json.member(status_name(slot), of_operation[slot]);
    json.end_object();
  }
  json.end_object();
}

void write_counters(json_writer& json, std::string_view name, std::chrono::nanoseconds length,
                    const counters_snapshot& counters) {
  json.begin_object(name);
  json.member("seconds", seconds(length));
  json.member("gets", counters.gets());
  json.member("hits", counters.hits());
  json.member("misses", counters.misses());
  json.member("hit_ratio", ratio(counters.hits(), counters.gets()));
  json.member("puts", counters.puts());
  json.begin_object("put_outcomes");
  for (const auto& [outcome, outcome_name] : put_outcome_names)
    json.member(outcome_name, counters.of(event_of(outcome)));
  json.end_object();
  json.member("deletes", counters.deletes());
  json.member("deletes_not_found", counters.deletes_not_found());
  json.member("flushes", counters.flushes());
  json.member("other_requests", counters.other_requests());
  json.begin_object("refused"); // by status, those that occurred
  for (std::size_t slot = 0; slot < status_slot_count; ++slot)
    if (is_error_slot(slot) && counters.refused(slot) != 0)
      json.member(status_name(slot), counters.refused(slot));
  json.end_object();
  write_responses(json, counters);
  json.member("received_bytes", counters.of(event::bytes_received));
  json.member("sent_bytes", counters.of(event::bytes_sent));
  write_latency(json, "get_latency_us", counters.get_latency);
  write_latency(json, "put_latency_us", counters.put_latency);
  json.end_object();
}

} // namespace

std::string stats_json(const service_snapshot& snapshot) {
  std::string body;
  body.reserve(expected_size);
  json_writer json{body};
  json.begin_object();
  json.member("version", snapshot.version);
  json.member("revision", snapshot.revision);
  json.member("state", service_state_names[index_of(snapshot.state)]);
  json.member("uptime_s", seconds(snapshot.counters.uptime));
  json.member("entries", snapshot.store.entries);
  json.member("log_lines_dropped", snapshot.log_lines_dropped);
  write_process(json, snapshot.process);
  write_memory(json, snapshot);
  write_eviction(json, snapshot);
  write_connections(json, snapshot.counters.since_start);
  write_counters(json, "since_start", snapshot.counters.uptime, snapshot.counters.since_start);
  write_counters(json, "last_minute", snapshot.counters.window, snapshot.counters.last_minute);
  write_configuration(json, snapshot.configuration);
  json.end_object();
  return body;
}

} // namespace kvcache::observe
