// Turns counters of faults into log lines. The layers below only count. This class reads the
// counters periodically and logs each kind of fault at most once per interval, with its number
// since then, so that the log stays readable however many faults occur. It reports faults that an
// operator can fix or should report; errors of clients are in the metrics.
//
// Thread-safety: none; one thread owns it. The time is passed in.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/worker_counters.hpp"

namespace kvcache::daemon {

class fault_log {
public:
  using time_point = std::chrono::steady_clock::time_point;

  static constexpr std::chrono::seconds interval{10};

  // The lines to log now; usually none.
  std::vector<std::string> new_lines(const observe::counters_snapshot& counters,
                                     std::uint64_t access_lines_dropped, time_point now);

  // From now on /readyz returns 503, which is counted like a fault but is none.
  void on_stopping() noexcept { stopping_ = true; }

private:
  static constexpr std::size_t slot_503 = observe::status_slot(503);

  struct last_line {
    std::uint64_t count = 0; // the counter at that time
    std::optional<time_point> at{};
  };
  struct logged_event {
    observe::event event;
    std::string_view message;
    last_line last{};
  };
  // Error responses by status, except those that are logged as events.
  struct logged_status {
    std::size_t slot; // of observe::counters_snapshot::responses
    std::array<std::optional<observe::event>, 2> except;
    std::string_view message;
    std::uint64_t previous_count = 0; // at the last call of new_lines()
    last_line last{};
  };

  static std::optional<std::string> new_line(std::string_view message, std::uint64_t count,
                                             time_point now, last_line& last);
  static std::uint64_t count_others(logged_status& each,
                                    const observe::counters_snapshot& counters);

  std::array<logged_event, 5> events_{{
      {observe::event::accept_failed,
       "accepting a connection failed; check the limit of open files (ulimit -n)"},
      {observe::event::connection_refused,
       "connection rejected: the limit of --max-connections or of the memory limit is reached"},
      {observe::event::connection_shed,
       "connection closed: its peer did not read while buffer memory was short"},
      {observe::event::put_no_room, "PUT refused with 503: eviction could not free enough memory"},
      {observe::event::put_out_of_memory, "PUT refused with 507: the kernel refuses memory"},
  }};
  std::array<logged_status, 4> statuses_{{
      {observe::status_slot(500), {}, "request refused with 500: the server failed to handle it"},
      {slot_503,
       {observe::event::put_no_room, observe::event::connection_refused},
       "request refused with 503: no memory for connection buffers"},
      {observe::status_slot(507),
       {observe::event::put_out_of_memory},
       "request refused with 507: no memory for its response"},
      {observe::status_slot(0), {}, "request refused with a status that has no counter of its own"},
  }};
  last_line access_lines_dropped_;
  bool stopping_ = false;
};

} // namespace kvcache::daemon
