// Blocks the signals this program handles, and delivers them to one thread that waits for them.
//
// Thread-safety: one thread calls wait(); any thread may call wake(). REQUIRES: constructed before
// any other thread, so that every thread inherits the blocked mask.
#pragma once

#include <chrono>
#include <cstdint>

#include "server/unique_fd.hpp"

namespace kvcache::config {

class signal_waiter {
public:
  enum class event : std::uint8_t {
    stop,   // SIGTERM or SIGINT
    reload, // SIGHUP
    woken,  // wake() was called
    nothing // timeout
  };

  signal_waiter(); // throws std::system_error

  // The next event, at most one per call, including events from before the call.
  event wait(std::chrono::milliseconds at_most);

  void wake() noexcept;

private:
  const http::unique_fd signals_;
  const http::unique_fd wakes_;
};

} // namespace kvcache::config
