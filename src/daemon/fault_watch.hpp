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

class fault_watch {
public:
  using time_point = std::chrono::steady_clock::time_point;

  static constexpr std::chrono::seconds interval{10};

  // The lines to log now; usually none.
  std::vector<std::string> look(const observe::counters_snapshot& counters,
                                std::uint64_t access_lines_lost, time_point now);

  // From now on /readyz returns 503. It is counted like a fault but is none.
  void stopping() noexcept { stopping_ = true; }

private:
  static constexpr std::size_t slot_503 = observe::status_slot(503);

  struct spoken {
    std::uint64_t count = 0; // the counter when it was last logged
    std::optional<time_point> at{};
  };
  struct watched_event {
    observe::event fault;
    std::string_view message;
    spoken last{};
  };
  // Error responses by status, except those that are logged as events.
  struct watched_refusal {
    std::size_t slot; // of observe::counters_snapshot::responses
    std::array<std::optional<observe::event>, 2> but_for;
    std::string_view message;
    std::uint64_t seen = 0; // the count at the last check
    spoken last{};
  };

  static std::optional<std::string> speak(std::string_view message, std::uint64_t count,
                                          time_point now, spoken& last);
  static std::uint64_t others(watched_refusal& each, const observe::counters_snapshot& counters);

  std::array<watched_event, 5> events_{{
      {observe::event::accept_failed,
       "accepting a connection failed (are there file descriptors left?)"},
      {observe::event::connection_refused,
       "connection refused: there are as many as --max-connections or the memory limit allow"},
      {observe::event::connection_shed,
       "connection cut: its peer read nothing while memory for buffers was short"},
      {observe::event::put_no_room, "PUT refused: no room could be made"},
      {observe::event::put_out_of_memory, "PUT refused: the kernel gave no memory"},
  }};
  std::array<watched_refusal, 4> refusals_{{
      {observe::status_slot(500), {}, "request refused with 500: the server failed to handle it"},
      {slot_503,
       {observe::event::put_no_room, observe::event::connection_refused},
       "request refused with 503: no memory for the buffers of connections"},
      {observe::status_slot(507),
       {observe::event::put_out_of_memory},
       "request refused with 507: no memory for answering it"},
      {observe::status_slot(0), {}, "request refused with a status that is not counted by itself"},
  }};
  spoken access_lines_lost_;
  bool stopping_ = false;
};

} // namespace kvcache::daemon
