// A worker's coarse clock: milliseconds of the steady clock as of the last reading, which is at
// most one interval old unless the thread is late.
//
// Thread-safety: none.
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

namespace kvcache::http {

class sweep_clock {
public:
  explicit sweep_clock(std::chrono::milliseconds interval) noexcept
      : interval_ms_(static_cast<std::uint64_t>(interval.count())), now_ms_(steady_ms()) {}

  void read() noexcept { set(steady_ms()); }

  // Deadlines set since the last reading were counted from that reading. If this one comes late,
  // because the thread or the machine has stood still, they would pass early.
  void set(std::uint64_t now_ms) noexcept {
    const std::uint64_t passed_ms = now_ms - std::exchange(now_ms_, now_ms);
    if (passed_ms > 2 * interval_ms_) late_ms_ += passed_ms - interval_ms_;
  }

  std::uint64_t now_ms() const noexcept { return now_ms_; }

  // The time at which something that starts now and may take `timeout_ms` has certainly taken
  // longer: the clock may be one interval behind.
  std::uint64_t deadline_in_ms(unsigned timeout_ms) const noexcept {
    return now_ms_ + timeout_ms + interval_ms_;
  }

  // Whether so much time has certainly passed since then, likewise.
  bool has_passed(std::uint64_t since_ms, std::uint64_t time_ms) const noexcept {
    return now_ms_ >= since_ms + time_ms + interval_ms_;
  }

  // By how much the readings since the last call were late.
  std::uint64_t take_late_ms() noexcept { return std::exchange(late_ms_, 0); }

private:
  static std::uint64_t steady_ms() noexcept {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  }

  const std::uint64_t interval_ms_;
  std::uint64_t now_ms_;
  std::uint64_t late_ms_ = 0;
};

} // namespace kvcache::http
