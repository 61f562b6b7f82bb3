#include "daemon/fault_log.hpp"

#include <algorithm>
#include <utility>

namespace kvcache::daemon {

std::vector<std::string> fault_log::new_lines(const observe::counters_snapshot& counters,
                                              std::uint64_t access_lines_dropped, time_point now) {
  std::vector<std::string> lines;
  const auto add = [&](std::string_view message, std::uint64_t count, last_line& last) {
    if (auto line = new_line(message, count, now, last)) lines.push_back(std::move(*line));
  };
  for (logged_event& each : events_) add(each.message, counters.of(each.event), each.last);
  for (logged_status& each : statuses_)
    if (each.slot != slot_503 || !stopping_)
      add(each.message, count_others(each, counters), each.last);
  add("access log line dropped: its reader is too slow or has closed", access_lines_dropped,
      access_lines_dropped_);
  return lines;
}

// Counts only errors up to the previous call: their events, which are counted first, are certainly
// included in the present count. A connection rejected without a response is an event, too, and may
// hide an error; the result never exceeds the true number.
std::uint64_t fault_log::count_others(logged_status& each,
                                      const observe::counters_snapshot& counters) {
  std::uint64_t named = 0;
  for (const auto& event : each.except) named += event ? counters.of(*event) : 0;
  const std::uint64_t previous = std::exchange(each.previous_count, counters.refused(each.slot));
  return std::max(each.last.count, previous > named ? previous - named : 0);
}

std::optional<std::string> fault_log::new_line(std::string_view message, std::uint64_t count,
                                               time_point now, last_line& last) {
  if (count == last.count || (last.at && now - *last.at < interval)) return std::nullopt;
  std::string line{message};
  line.append(", ").append(std::to_string(count - last.count));
  line.append(" times since the last such line");
  last = {count, now};
  return line;
}

} // namespace kvcache::daemon
