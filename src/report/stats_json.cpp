#include "report/stats_json.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <chrono>
#include <ctime>
#include <string>
#include <tuple>

#include "report/figures.hpp"

namespace kvcache::observe {
namespace {

using nlohmann::ordered_json;

template <class Enum>
constexpr std::size_t index_of(Enum value) noexcept {
  return static_cast<std::size_t>(value);
}

// To the millisecond: more digits would only be noise.
double seconds(std::chrono::nanoseconds duration) noexcept {
  return static_cast<double>(duration / std::chrono::milliseconds{1}) / 1e3;
}

double microseconds(std::uint64_t ns) noexcept { return static_cast<double>(ns) / 1e3; }

ordered_json ratio(double part, std::uint64_t whole) {
  return whole == 0 ? ordered_json{} : ordered_json(part / static_cast<double>(whole));
}

ordered_json value_json(const figure& shown) {
  if (shown.is_in_seconds()) return seconds(std::chrono::nanoseconds{shown.value});
  if (shown.is_in_microseconds()) return microseconds(shown.value);
  return shown.value;
}

ordered_json causes_json(const std::array<std::uint64_t, eviction_cause_count>& evictions) {
  ordered_json causes;
  for (std::size_t cause = 0; cause < evictions.size(); ++cause)
    causes[std::string{eviction_cause_names[cause]}] = evictions[cause];
  return causes;
}

ordered_json latency_json(const latency_snapshot& latency) {
  return {{"p50", microseconds(latency.quantile_ns(0.5))},
          {"p90", microseconds(latency.quantile_ns(0.9))},
          {"p99", microseconds(latency.quantile_ns(0.99))},
          {"p999", microseconds(latency.quantile_ns(0.999))},
          {"max", microseconds(latency.max_ns())}};
}

// A name that jq takes without quotes: "status_404", "status_other".
std::string status_member(std::size_t slot) { return "status_" + status_name(slot); }

ordered_json counters_json(std::chrono::nanoseconds length, const counters_snapshot& counters) {
  ordered_json outcomes;
  for (const auto& [outcome, name] : put_outcome_names)
    outcomes[std::string{name}] = counters.of(event_of(outcome));
  // By status, and by operation and status: those that occurred.
  ordered_json refused = ordered_json::object();
  ordered_json responses = ordered_json::object();
  for (std::size_t slot = 0; slot < status_slot_count; ++slot) {
    if (is_error_slot(slot) && counters.refused(slot) != 0)
      refused[status_member(slot)] = counters.refused(slot);
    for (std::size_t op = 0; op < counters.operations.size(); ++op)
      if (const std::uint64_t count = counters.responses[op][slot]; count != 0)
        responses[std::string{counters.operations[op].name}][status_member(slot)] = count;
  }
  return {{"seconds", seconds(length)},
          {"gets", counters.gets()},
          {"hits", counters.hits()},
          {"misses", counters.misses()},
          {"hit_ratio", ratio(static_cast<double>(counters.hits()), counters.gets())},
          {"puts", counters.puts()},
          {"put_outcomes", std::move(outcomes)},
          {"deletes", counters.deletes()},
          {"deletes_not_found", counters.deletes_not_found()},
          {"flushes", counters.flushes()},
          {"other_requests", counters.other_requests()},
          {"refused", std::move(refused)},
          {"responses", std::move(responses)},
          {"received_bytes", counters.of(event::bytes_received)},
          {"sent_bytes", counters.of(event::bytes_sent)},
          {"get_latency_us", latency_json(counters.get_latency)},
          {"put_latency_us", latency_json(counters.put_latency)}};
}

// "2026-11-30T17:00:00.123Z"; null for 0.
ordered_json time_json(std::uint64_t unix_ms) {
  if (unix_ms == 0) return {};
  const auto whole = static_cast<std::time_t>(unix_ms / 1000);
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  std::array<char, 32> text;
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  const std::string ms = std::to_string(1000 + unix_ms % 1000).substr(1);
  return std::string{text.data()} + "." + ms + "Z";
}

ordered_json snapshot_json(const snapshot::status& now) {
  const auto& [load, save] = std::tie(now.last_load, now.last_save);
  return {{"last_load",
           {{"result", snapshot::load_state_names[index_of(load.state)]},
            {"entries", load.entries},
            {"bytes", load.bytes},
            {"seconds", load.seconds},
            {"skipped_blocks", load.skipped_blocks},
            {"time", time_json(load.unix_ms)}}},
          {"last_save",
           {{"result", snapshot::save_state_names[index_of(save.state)]},
            {"entries", save.entries},
            {"bytes", save.bytes},
            {"seconds", save.seconds},
            {"skipped_blocks", 0}, // for the same form as above: none is skipped in writing
            {"time", time_json(save.unix_ms)}}},
          {"failed_saves", now.failed_saves},
          {"file_age_s", now.file_age_ms ? ordered_json(static_cast<double>(*now.file_age_ms) / 1e3)
                                         : ordered_json{}}};
}

} // namespace

std::string stats_json(const service_snapshot& snapshot) {
  const memory_reading& reading = snapshot.eviction.reading;
  ordered_json evictions = causes_json(snapshot.store.evictions);
  evictions.erase(std::string{eviction_cause_names[index_of(eviction_cause::expired)]});
  ordered_json by_tier;
  for (std::size_t tier = 0; tier < pressure_tier_names.size(); ++tier)
    by_tier[std::string{pressure_tier_names[tier]}] =
        causes_json(snapshot.eviction.evictions[tier]);
  ordered_json stats{
      {"version", snapshot.version},
      {"revision", snapshot.revision},
      {"state", service_state_names[index_of(snapshot.state)]},
      {"uptime_s", seconds(snapshot.counters.uptime)},
      {"memory",
       {{"use_percent", ratio(100 * static_cast<double>(reading.used_bytes), reading.limit_bytes)},
        {"source", reading.source},
        {"live_bytes", snapshot.store.live_bytes},
        {"free_bytes", snapshot.store.free_bytes},
        {"index_bytes", snapshot.store.index_bytes}}},
      {"eviction",
       {{"tier", pressure_tier_names[index_of(snapshot.eviction.tier)]},
        {"evictions", std::move(evictions)},
        {"evictions_by_tier", std::move(by_tier)}}},
      {"snapshot", snapshot_json(snapshot.snapshots)},
      {"since_start", counters_json(snapshot.counters.uptime, snapshot.counters.since_start)},
      {"last_minute", counters_json(snapshot.counters.window, snapshot.counters.last_minute)},
      {"configuration", snapshot.configuration},
      {"changed_defaults", snapshot.changed_defaults}};
  for (const figure& each : shared_figures(snapshot)) {
    ordered_json& object = each.object.empty() ? stats : stats[std::string{each.object}];
    object[std::string{each.member}] = value_json(each);
  }
  // Escaped, since the source of the memory limit is a path of any bytes.
  return stats.dump(-1, ' ', true, ordered_json::error_handler_t::replace);
}

} // namespace kvcache::observe
