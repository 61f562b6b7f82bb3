#include "daemon/watchdog.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace kvcache::daemon {

using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

// Half of the timeout must exceed the longest interval at which a thread makes progress.
constexpr milliseconds shortest_timeout{1000};
constexpr int intervals_per_timeout = 4;

// "1500 ms"
std::string text_of(microseconds time) {
  return std::to_string(std::chrono::ceil<milliseconds>(time).count()) + " ms";
}

} // namespace

watchdog::watchdog(std::chrono::microseconds timeout, std::span<const std::uint64_t> progress,
                   clock::time_point now)
    : timeout_(timeout), progress_(progress.begin(), progress.end()), fed_at_(now) {}

watchdog::decision watchdog::decide(std::span<const std::uint64_t> progress,
                                    clock::time_point now) noexcept {
  const clock::duration since = now - fed_at_;
  if (since < timeout_ / 2) return {};
  const auto unchanged = std::ranges::mismatch(progress_, progress, std::not_equal_to{}).in1;
  if (unchanged != progress_.end()) {
    if (since < timeout_ * 3 / 4 || std::exchange(is_reported_, true)) return {};
    return {false, static_cast<std::size_t>(unchanged - progress_.begin())};
  }
  std::ranges::copy(progress, progress_.begin());
  fed_at_ = now;
  is_reported_ = false;
  return {true, std::nullopt};
}

std::optional<std::string> find_timeout_too_short(microseconds timeout,
                                                  milliseconds eviction_interval) {
  const milliseconds least = std::max(shortest_timeout, intervals_per_timeout * eviction_interval);
  if (timeout >= least) return std::nullopt;
  return "the watchdog's timeout of " + text_of(timeout) +
         " is too short: a service that works may be ended; set WatchdogSec= to at least " +
         text_of(least) + " (--eviction-interval-ms is " +
         std::to_string(eviction_interval.count()) + ")";
}

std::string explain_stall(std::size_t thread, std::size_t workers, microseconds timeout) {
  const std::string name = thread < workers    ? "worker " + std::to_string(thread + 1)
                           : thread == workers ? "evictor"
                                               : "clock";
  return "the thread of " + name + " makes no progress: the watchdog is not fed, and after " +
         text_of(timeout) + " without it the service manager ends the service";
}

} // namespace kvcache::daemon
