#include "daemon/snapshot_log.hpp"

#include <cerrno>
#include <cstdio>
#include <string_view>
#include <system_error>

namespace kvcache::daemon {

namespace {

using config::log_level;
using snapshot::load_state;
using snapshot::save_state;

std::string in_time(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", seconds);
  return text;
}

snapshot_log::line line_for(const snapshot::load_status& load) {
  const std::string loaded =
      std::to_string(load.entries) + " entries loaded in " + in_time(load.seconds);
  switch (load.state) {
  case load_state::damaged:
    return {log_level::warn, "snapshot: " + loaded +
                                 "; the file is damaged: " + std::to_string(load.skipped_blocks) +
                                 " blocks were skipped, or its end is missing"};
  case load_state::full:
    return {log_level::warn,
            "snapshot: " + loaded + "; more would exceed --pressure-percent of the memory limit"};
  case load_state::flushed:
    return {log_level::info, "snapshot: " + loaded + "; then the cache was flushed"};
  case load_state::stopped:
    return {log_level::warn, "snapshot: " + loaded + "; then the program was stopped"};
  default:
    return {log_level::info, "snapshot: " + loaded};
  }
}

std::string cause_of(int error) {
  switch (error) {
  case ECANCELED:
    return "aborted";
  case EEXIST:
    return "--snapshot-file names something that is not a snapshot; move it away, or change the "
           "option";
  default:
    return std::generic_category().message(error);
  }
}

snapshot_log::line line_for(const snapshot::save_status& save) {
  const std::string saved =
      std::to_string(save.entries) + " entries saved in " + in_time(save.seconds);
  switch (save.state) {
  case save_state::shortened:
    return {log_level::warn, "snapshot: " + saved + ", the hottest: there was no time for all"};
  case save_state::failed:
    return {log_level::warn,
            "snapshot: not saved, the previous file is unchanged: " + cause_of(save.error)};
  default:
    return {log_level::info, "snapshot: " + saved};
  }
}

bool has_ended(const snapshot::load_status& load) noexcept {
  return load.unix_ms != 0 && load.state != load_state::loading &&
         load.state != load_state::refused && load.state != load_state::too_old; // warned of
}

bool has_ended(const snapshot::save_status& save) noexcept {
  return save.unix_ms != 0 && save.state != save_state::saving;
}

} // namespace

std::vector<snapshot_log::line> snapshot_log::new_lines(const snapshot::status& now) {
  std::vector<line> lines;
  if (!logged_load_ && has_ended(now.last_load)) {
    lines.push_back(line_for(now.last_load));
    logged_load_ = true;
  }
  if (now.last_save.unix_ms != logged_save_ms_ && has_ended(now.last_save)) {
    lines.push_back(line_for(now.last_save));
    logged_save_ms_ = now.last_save.unix_ms;
  }
  return lines;
}

} // namespace kvcache::daemon
