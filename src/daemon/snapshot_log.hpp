// Turns the status of snapshots into log lines: one when a load or a save has ended.
//
// Thread-safety: none; one thread owns it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "process/log_format.hpp"
#include "snapshot/status.hpp"

namespace kvcache::daemon {

class snapshot_log {
public:
  struct line {
    config::log_level level;
    std::string text;
  };

  // The lines to log now; usually none.
  std::vector<line> new_lines(const snapshot::status& now);

private:
  bool logged_load_ = false;
  std::uint64_t logged_save_ms_ = 0; // when that began
};

} // namespace kvcache::daemon
