#include "daemon/tier_log.hpp"

#include <algorithm>

#include "report/service_snapshot.hpp"

namespace kvcache::daemon {

namespace {

std::string use_text(const memory_reading& reading) {
  const std::uint64_t limit = std::max<std::uint64_t>(reading.limit_bytes, 1);
  return std::to_string(reading.used_bytes * 100 / limit) + " % of " +
         std::to_string(reading.limit_bytes >> 20U) + " MiB in use, " + reading.source;
}

} // namespace

std::vector<std::string> tier_log::new_lines(const eviction_status& status, time_point now) {
  std::vector<std::string> lines;
  if (status.estimated && !logged_estimate_) {
    lines.push_back(
        "memory use cannot be read from /proc/meminfo or a cgroup; using an estimate, " +
        use_text(status.reading) + "; make /proc readable or set --memory-limit");
    logged_estimate_ = true;
  }
  const std::uint64_t changes = status.tier_changes - logged_changes_;
  if (changes == 0 || (logged_at_ && now - *logged_at_ < interval)) return lines;
  const auto tier = observe::pressure_tier_names[static_cast<std::size_t>(status.tier)];
  std::string line = "memory tier is now " + std::string{tier} + ": " + use_text(status.reading);
  if (changes > 1) line += " (" + std::to_string(changes) + " changes since the last such line)";
  lines.push_back(std::move(line));
  logged_changes_ = status.tier_changes;
  logged_at_ = now;
  return lines;
}

} // namespace kvcache::daemon
