// How long a stage of a drain may take, when all of it has to be over at one absolute time: each
// leaves at least as much to those after it as it takes itself.
//
// Pure; the time is passed in.
#pragma once

#include <algorithm>
#include <chrono>

namespace kvcache::http {

using drain_clock = std::chrono::steady_clock;

// What it wants, or half of what is left.
inline drain_clock::duration drain_stage(drain_clock::duration wanted, drain_clock::time_point now,
                                         drain_clock::time_point end) noexcept {
  return std::clamp((end - now) / 2, drain_clock::duration::zero(), wanted);
}

} // namespace kvcache::http
