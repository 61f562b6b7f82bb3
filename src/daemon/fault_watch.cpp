#include "daemon/fault_watch.hpp"

namespace kvcache::daemon {

std::vector<std::string> fault_watch::look(const observe::counters_snapshot& counters,
                                           std::uint64_t access_lines_lost, time_point now) {
  std::vector<std::string> lines;
  for (watched& each : faults_)
    if (auto line = speak(each.message, counters.of(each.fault), now, each.last))
      lines.push_back(std::move(*line));
  if (auto line = speak("a line of the access log gave way to later ones", access_lines_lost, now,
                        access_lines_lost_))
    lines.push_back(std::move(*line));
  return lines;
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
