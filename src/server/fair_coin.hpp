// A random bit at the cost of a few instructions, for sampling one in two. "Every second one" would
// select only one kind of alternating traffic. Not secret; equal seeds give equal sequences.
//
// xorshift64 (G. Marsaglia, Xorshift RNGs, 2003), whose state is never zero.
//
// Thread-safety: none.
#pragma once

#include <cstdint>

namespace kvcache::http {

class fair_coin {
public:
  explicit fair_coin(std::uint64_t seed) noexcept : state_(spread(seed)) {}

  // In the long run, true at most as often as false.
  bool toss() noexcept {
    state_ ^= state_ << 13U;
    state_ ^= state_ >> 7U;
    state_ ^= state_ << 17U;
    return state_ >> 63U == 0; // half of all states, less the zero
  }

private:
  // Without this, seeds that differ in a bit, as the numbers of workers do, begin alike.
  static constexpr std::uint64_t spread(std::uint64_t seed) noexcept {
    constexpr std::uint64_t odd = 0x9e3779b97f4a7c15U; // 2^64 by the golden ratio
    const std::uint64_t state = (seed + 1) * odd;
    return state == 0 ? odd : state ^ state >> 32U;
  }

  std::uint64_t state_;
};

} // namespace kvcache::http
