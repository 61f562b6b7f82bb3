// Decides, for one in two, what is looked at closely: at a few instructions a toss, and without the
// regularity of "every second", which any traffic that alternates falls in step with. No secret,
// and the same for the same seed.
//
// xorshift64 (G. Marsaglia, Xorshift RNGs, 2003), the state of which is never zero.
//
// Thread-safety: none, one thread owns it.
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
    return state_ >> 63U == 0; // of all states but zero, one in two and one less
  }

private:
  // Seeds that differ in a bit, as the numbers of workers do, begin with a common run otherwise.
  static constexpr std::uint64_t spread(std::uint64_t seed) noexcept {
    constexpr std::uint64_t odd = 0x9e3779b97f4a7c15U; // 2^64 by the golden ratio
    const std::uint64_t state = (seed + 1) * odd;
    return state == 0 ? odd : state ^ state >> 32U;
  }

  std::uint64_t state_;
};

} // namespace kvcache::http
