// A latency histogram in the manner of HdrHistogram: every value up to 2^40 ns is kept with an
// error under 1 %, in a fixed 33 KiB. One thread records; merge() joins what several threads
// recorded.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace kvcache::bench {

class histogram {
public:
  void record(std::uint64_t ns) noexcept {
    ++counts_[slot_of(std::min(ns, largest_ns))];
    ++count_;
    max_ns_ = std::max(max_ns_, ns);
  }

  void merge(const histogram& other) noexcept {
    for (std::size_t i = 0; i < slots; ++i) {
      counts_[i] += other.counts_[i];
    }
    count_ += other.count_;
    max_ns_ = std::max(max_ns_, other.max_ns_);
  }

  std::uint64_t count() const noexcept { return count_; }
  std::uint64_t max_ns() const noexcept { return max_ns_; } // exact

  // The smallest recorded value that `percent` of all values do not pass (its slot's upper end).
  std::uint64_t percentile_ns(double percent) const noexcept {
    const auto wanted =
        static_cast<std::uint64_t>(std::ceil(static_cast<double>(count_) * percent / 100.0));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < slots; ++i) {
      seen += counts_[i];
      if (seen >= wanted && seen > 0) {
        return std::min(upper_end_of(i), max_ns_);
      }
    }
    return max_ns_;
  }

private:
  // Values under 2^sub_bits have a slot each; above, each power of two is cut into 2^(sub_bits -
  // 1).
  static constexpr unsigned sub_bits = 8;
  static constexpr unsigned value_bits = 40;
  static constexpr std::uint64_t largest_ns = (std::uint64_t{1} << value_bits) - 1;
  static constexpr std::size_t half = std::size_t{1} << (sub_bits - 1);
  static constexpr std::size_t slots = (value_bits - sub_bits + 2) * half;

  static std::size_t slot_of(std::uint64_t ns) noexcept {
    const auto width = static_cast<unsigned>(std::bit_width(ns));
    if (width <= sub_bits) {
      return static_cast<std::size_t>(ns);
    }
    const unsigned shift = width - sub_bits;
    return shift * half + static_cast<std::size_t>(ns >> shift);
  }

  static std::uint64_t upper_end_of(std::size_t slot) noexcept {
    if (slot < 2 * half) {
      return slot;
    }
    const std::size_t shift = slot / half - 1;
    return (static_cast<std::uint64_t>(slot - shift * half + 1) << shift) - 1;
  }

  std::array<std::uint64_t, slots> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ns_ = 0;
};

} // namespace kvcache::bench
