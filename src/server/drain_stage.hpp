// The duration of a stage of a drain that must end at an absolute time: each stage leaves at least
// as much time to the later ones as it takes itself. Pure; the time is a parameter.
#pragma once

#include <algorithm>
#include <chrono>

namespace kvcache::http {

using drain_clock = std::chrono::steady_clock;

// The wanted duration, or half of the remaining time if that is shorter.
inline drain_clock::duration drain_stage(drain_clock::duration wanted, drain_clock::time_point now,
                                         drain_clock::time_point end) noexcept {
  return std::clamp((end - now) / 2, drain_clock::duration::zero(), wanted);
}

} // namespace kvcache::http
