// Turns time into the ticks in which a cache counts expiry. A limited_cache has one.
//
//   kvcache::coarse_clock clock;
//   cache.put("key", "value", clock.after(std::chrono::seconds{5}));
//   …                                    // and, on any thread, about once a tick:
//   cache.advance_clock(clock.now());
//
// No entry expires early, however late advance_clock() is called: after() reads the clock itself
// and rounds up, and the cache's clock is never ahead of time. An entry expires late by less than a
// tick, plus the delay of the cache's clock.
//
// Thread-safety: immutable; any thread at any time, if `now_ns` may be called so.
// Ownership: owns its copy of `now_ns`. Errors: only the constructor may throw (std::bad_alloc).
// Complexity: each member that returns a time reads the clock once, unless it is given a reading.
#pragma once

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>

#include "kvcache/cache.hpp"

namespace kvcache {

// Nanoseconds of a monotonic clock that includes the time during which the machine is suspended, so
// that times to live continue meanwhile.
inline std::uint64_t boot_time_now_ns() noexcept {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now); // cannot fail on Linux
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

class coarse_clock {
public:
  // Begins at tick 0. `now_ns` must be monotonic and must not throw.
  explicit coarse_clock(std::function<std::uint64_t()> now_ns = boot_time_now_ns)
      : now_ns_(std::move(now_ns)), began_ns_(now_ns_()) {}

  // The ticks that have passed, whole ones only.
  tick now() const noexcept { return to_tick(passed_ns() / ns_per_tick); }

  // The first tick that begins when `time` has passed; later times are clamped to the clock's end,
  // years away. REQUIRES: time > 0, since tick 0 is never.
  tick after(std::chrono::seconds time) const noexcept { return after(time, passed_ns()); }

  // The same from an earlier passed_ns(): one reading of the clock for many entries.
  tick after(std::chrono::seconds time, std::uint64_t from_ns) const noexcept {
    const std::uint64_t begun = (from_ns + ns_per_tick - 1) / ns_per_tick;
    const auto seconds = static_cast<std::uint64_t>(time.count());
    return seconds > last_tick / ticks_per_second ? to_tick(last_tick)
                                                  : to_tick(begun + seconds * ticks_per_second);
  }

  // Nanoseconds since it began.
  std::uint64_t passed_ns() const noexcept { return now_ns_() - began_ns_; }

private:
  static constexpr std::uint64_t ns_per_tick = 1'000'000'000 / ticks_per_second;
  static constexpr std::uint64_t last_tick = std::numeric_limits<tick>::max();

  static tick to_tick(std::uint64_t ticks) noexcept {
    return static_cast<tick>(std::min(ticks, last_tick));
  }

  const std::function<std::uint64_t()> now_ns_;
  const std::uint64_t began_ns_;
};

} // namespace kvcache
