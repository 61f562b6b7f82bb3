#include "daemon/fault_watch.hpp"

namespace kvcache::daemon {

std::vector<std::string> fault_watch::look(const observe::counters_snapshot& counters,
                                           time_point now) {
  std::vector<std::string> lines;
  for (watched& each : faults_) {
    const std::uint64_t count = counters.of(each.fault);
    if (count == each.said || (each.said_at && now - *each.said_at < interval)) continue;
    lines.push_back(std::string{each.message} + ", " + std::to_string(count - each.said) +
                    " times since this was last said");
    each.said = count;
    each.said_at = now;
  }
  return lines;
}

} // namespace kvcache::daemon
