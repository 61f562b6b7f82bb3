// Turns the counters of faults into log lines. Rooms below only count; this looks once in a while,
// and says of each kind how many there were since it last did, at most once an interval: however
// many faults there are, the log stays readable.
//
// Thread-safety: none, one thread owns it. The time is passed in.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "observe/worker_counters.hpp"

namespace kvcache::daemon {

class fault_watch {
public:
  using time_point = std::chrono::steady_clock::time_point;

  static constexpr std::chrono::seconds interval{10};

  // What is to be said now; mostly nothing.
  std::vector<std::string> look(const observe::counters_snapshot& counters,
                                std::uint64_t access_lines_lost, time_point now);

private:
  struct spoken {
    std::uint64_t count = 0; // the counter when it was last spoken of
    std::optional<time_point> at{};
  };
  struct watched {
    observe::event fault;
    std::string_view message;
    spoken last{};
  };

  static std::optional<std::string> speak(std::string_view message, std::uint64_t count,
                                          time_point now, spoken& last);

  std::array<watched, 4> faults_{{
      {observe::event::accept_failed,
       "accepting a connection failed (are there file descriptors left?)"},
      {observe::event::connection_refused,
       "connection refused: there are as many as --max-connections or the memory limit allow"},
      {observe::event::put_no_room, "PUT refused: no room could be made"},
      {observe::event::put_out_of_memory, "PUT refused: the kernel gave no memory"},
  }};
  spoken access_lines_lost_;
};

} // namespace kvcache::daemon
