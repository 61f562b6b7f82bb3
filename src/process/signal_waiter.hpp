// The signals this program reacts to, taken out of the air and handed to one thread that asks.
//
// Construct it before any other thread: every thread inherits the blocked mask, so that a signal
// interrupts nobody. wait() is for one thread; wake() may be called from any.
#pragma once

#include <chrono>
#include <cstdint>

namespace kvcache::config {

class signal_waiter {
public:
  enum class event : std::uint8_t {
    stop,   // SIGTERM or SIGINT
    reload, // SIGHUP
    woken,  // somebody called wake()
    nothing // the time has passed
  };

  signal_waiter(); // throws std::system_error
  ~signal_waiter();
  signal_waiter(const signal_waiter&) = delete;
  signal_waiter& operator=(const signal_waiter&) = delete;

  // The next event, at most one a call; what happened before the call counts.
  event wait(std::chrono::milliseconds at_most);

  void wake() noexcept;

private:
  int signals_ = -1;
  int wakes_ = -1;
};

} // namespace kvcache::config
