// Blocks the signals this program handles, and delivers them to one thread that waits for them.
//
// Thread-safety: one thread calls wait(); any thread may call wake(). REQUIRES: constructed before
// any other thread, so that every thread inherits the blocked mask.
#pragma once

#include <chrono>
#include <cstdint>

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
  ~signal_waiter();
  signal_waiter(const signal_waiter&) = delete;
  signal_waiter& operator=(const signal_waiter&) = delete;

  // The next event, at most one per call, including events from before the call.
  event wait(std::chrono::milliseconds at_most);

  void wake() noexcept;

private:
  int signals_ = -1;
  int wakes_ = -1;
};

} // namespace kvcache::config
