#include "daemon/tier_watch.hpp"

#include <algorithm>

#include "report/service_snapshot.hpp"

namespace kvcache::daemon {

namespace {

std::string in_words(const memory_reading& reading) {
  const std::uint64_t limit = std::max<std::uint64_t>(reading.limit_bytes, 1);
  return std::to_string(reading.used_bytes * 100 / limit) + " % of " +
         std::to_string(reading.limit_bytes >> 20U) + " MiB in use, " + reading.source;
}

} // namespace

std::vector<std::string> tier_watch::look(const eviction_status& status, time_point now) {
  std::vector<std::string> lines;
  if (status.estimated && !said_estimated_) {
    lines.push_back("memory use cannot be read, neither from /proc/meminfo nor from a control "
                    "group: going by an estimate, " +
                    in_words(status.reading) + "; make /proc readable or set --memory-limit");
    said_estimated_ = true;
  }
  const std::uint64_t changes = status.tier_changes - said_changes_;
  if (changes == 0 || (said_at_ && now - *said_at_ < interval)) return lines;
  const auto tier = observe::pressure_tier_names[static_cast<std::size_t>(status.tier)];
  std::string line = "memory tier is now " + std::string{tier} + ": " + in_words(status.reading);
  if (changes > 1) line += " (" + std::to_string(changes) + " changes since this was last said)";
  lines.push_back(std::move(line));
  said_changes_ = status.tier_changes;
  said_at_ = now;
  return lines;
}

} // namespace kvcache::daemon
