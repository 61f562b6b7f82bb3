// The block sizes of the arena: steps of 8 bytes up to 512, then sixteen steps per doubling (at
// most 6 % unused, 3 % on average) up to 32 KiB. Larger entries get whole pages.
#pragma once

#include <bit>
#include <cstddef>

namespace kvcache {

using size_class = std::size_t;

inline constexpr std::size_t fine_step_bytes = 8;
inline constexpr std::size_t max_fine_block_bytes = 512;
inline constexpr std::size_t max_small_block_bytes = std::size_t{32} << 10;
inline constexpr std::size_t fine_classes = max_fine_block_bytes / fine_step_bytes;
inline constexpr std::size_t steps_per_doubling = 16;
inline constexpr std::size_t size_class_count =
    fine_classes + steps_per_doubling * (std::bit_width(max_small_block_bytes) -
                                         std::bit_width(max_fine_block_bytes));

// REQUIRES: 0 < bytes <= max_small_block_bytes
constexpr size_class size_class_of(std::size_t bytes) noexcept {
  if (bytes <= max_fine_block_bytes) return (bytes - 1) / fine_step_bytes;
  const auto octave = static_cast<std::size_t>(std::bit_width(bytes - 1) - 1);
  const std::size_t doubling =
      octave - static_cast<std::size_t>(std::bit_width(max_fine_block_bytes) - 1);
  const std::size_t step_shift = octave - (std::bit_width(steps_per_doubling) - 1);
  const std::size_t step = (bytes - 1 - (std::size_t{1} << octave)) >> step_shift;
  return fine_classes + doubling * steps_per_doubling + step;
}

constexpr std::size_t block_bytes_of(size_class c) noexcept {
  if (c < fine_classes) return (c + 1) * fine_step_bytes;
  const std::size_t doubling = (c - fine_classes) / steps_per_doubling;
  const std::size_t step = (c - fine_classes) % steps_per_doubling;
  const std::size_t base = max_fine_block_bytes << doubling;
  return base + (step + 1) * (base / steps_per_doubling);
}

} // namespace kvcache
