// Turns the evictor's status into log lines: one at each change of tier, at most one per second,
// and one when memory use cannot be read and is estimated.
//
// Thread-safety: none; one thread owns it. The time is passed in.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "eviction/evictor.hpp"

namespace kvcache::daemon {

class tier_log {
public:
  using time_point = std::chrono::steady_clock::time_point;

  static constexpr std::chrono::seconds interval{1};

  // The lines to log now; usually none.
  std::vector<std::string> new_lines(const eviction_status& status, time_point now);

private:
  std::uint64_t logged_changes_ = 0;
  std::optional<time_point> logged_at_;
  bool logged_estimate_ = false;
};

} // namespace kvcache::daemon
