#include "daemon/fault_watch.hpp"

#include <algorithm>
#include <utility>

namespace kvcache::daemon {

std::vector<std::string> fault_watch::look(const observe::counters_snapshot& counters,
                                           std::uint64_t access_lines_lost, time_point now) {
  std::vector<std::string> lines;
  const auto say = [&](std::string_view message, std::uint64_t count, spoken& last) {
    if (auto line = speak(message, count, now, last)) lines.push_back(std::move(*line));
  };
  for (watched_event& each : events_) say(each.message, counters.of(each.fault), each.last);
  for (watched_refusal& each : refusals_)
    if (each.slot != slot_503 || !stopping_) say(each.message, others(each, counters), each.last);
  say("access log line dropped: its reader is too slow or gone", access_lines_lost,
      access_lines_lost_);
  return lines;
}

// Only errors up to the last check: their events, which are counted first, are then certainly
// included in the present count. A connection rejected without a response is an event, too, and may
// hide an error; the result never exceeds the true number.
std::uint64_t fault_watch::others(watched_refusal& each,
                                  const observe::counters_snapshot& counters) {
  std::uint64_t named = 0;
  for (const auto& event : each.but_for) named += event ? counters.of(*event) : 0;
  const std::uint64_t seen = std::exchange(each.seen, counters.refused(each.slot));
  return std::max(each.last.count, seen > named ? seen - named : 0);
}

std::optional<std::string> fault_watch::speak(std::string_view message, std::uint64_t count,
                                              time_point now, spoken& last) {
  if (count == last.count || (last.at && now - *last.at < interval)) return std::nullopt;
  std::string line{message};
  line.append(", ").append(std::to_string(count - last.count));
  line.append(" times since this was last said");
  last = {count, now};
  return line;
}

} // namespace kvcache::daemon
