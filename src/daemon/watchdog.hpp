// Decides when the service manager's watchdog is fed: only if every monitored thread has made
// progress since it was fed last. A thread that hangs is thus noticed after the timeout at the
// latest: the manager then ends the process and starts it anew.
//
// Progress, of
// - a worker: its sweeps, several a second. A handler that takes long yields between its turns, so
//   only a worker that serves nobody has none.
// - the evictor: its runs and its readings of memory. In an emergency, one run may take seconds,
//   but it reads memory every few milliseconds.
// - the clock: its runs, twenty a second.
// The threads of logs, flushes and the token file are not monitored: a stalled reader or file
// system may block them for any time, and requests are served meanwhile.
//
// Pure: progress and time are parameters. Thread-safety: none. Errors: only the constructor throws
// (std::bad_alloc).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kvcache::daemon {

class watchdog {
public:
  using clock = std::chrono::steady_clock;

  struct decision {
    bool feed = false;
    std::optional<std::size_t> stalled; // the first thread without progress; once per stall
  };

  // `timeout`: within which the manager expects to be fed. `progress`: of each thread, a number
  // that changes whenever the thread completes a piece of work.
  watchdog(std::chrono::microseconds timeout, std::span<const std::uint64_t> progress,
           clock::time_point now);

  // Feeds at half of the timeout, so that a message may be late. A thread whose work takes longer
  // than that has until the timeout; from three quarters of it on, it is reported as stalled.
  // REQUIRES: called several times within each half; `progress` is of as many threads as before.
  decision decide(std::span<const std::uint64_t> progress, clock::time_point now) noexcept;

private:
  const std::chrono::microseconds timeout_;
  std::vector<std::uint64_t> progress_; // when it was fed last
  clock::time_point fed_at_;
  bool is_reported_ = false;
};

// A warning if threads that work may miss this timeout; else nothing.
std::optional<std::string> find_timeout_too_short(std::chrono::microseconds timeout,
                                                  std::chrono::milliseconds eviction_interval);

// Names a stalled thread for the log. The threads are the workers, the evictor and the clock, in
// this order.
std::string explain_stall(std::size_t thread, std::size_t workers,
                          std::chrono::microseconds timeout);

} // namespace kvcache::daemon
