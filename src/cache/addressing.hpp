// How far references to entries reach: a handle has 32 bits and counts units of 8, 16 or 32 bytes
// from the start of the arena. The unit is fixed when a cache is made, by the memory limit that it
// must be able to use; blocks are multiples of it, so a small cache has the smallest.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>

#include "cache/size_classes.hpp"
#include "cache/slab_pool.hpp"

namespace kvcache {

struct addressing {
  unsigned unit_shift = std::countr_zero(fine_step_bytes); // of the unit in bytes

  constexpr std::size_t unit_bytes() const noexcept { return std::size_t{1} << unit_shift; }
  // What the handles name, if the kernel reserves as much.
  constexpr std::size_t range_bytes() const noexcept { return unit_bytes() << 32; }

  static constexpr addressing for_limit(std::size_t limit_bytes) noexcept;
};

// The widest unit: all larger steps between block sizes are multiples of it.
inline constexpr unsigned most_unit_shift = 5;

// Nothing is evicted below 70 % of the limit; one per cent is for slabs that are filled in part.
inline constexpr std::size_t filled_percent = 71;

// The highest limit of one cache. With a higher one, the index would have too few places for the
// smallest entries.
inline constexpr std::size_t most_limit_bytes = std::size_t{80} << 30;

// The memory limit up to which a range suffices for every mix of entry sizes. The worst blocks have
// 64 KiB and a byte: 17 pages of memory on two slabs of addresses.
constexpr std::size_t limit_addressable_with(std::size_t range_bytes) noexcept {
  constexpr std::size_t worst_block_bytes = slab_bytes + (std::size_t{4} << 10);
  const std::size_t filled = range_bytes / (2 * slab_bytes) * worst_block_bytes;
  return std::min(most_limit_bytes, filled / filled_percent * 100);
}

constexpr addressing addressing::for_limit(std::size_t limit_bytes) noexcept {
  addressing made;
  while (made.unit_shift < most_unit_shift &&
         limit_addressable_with(made.range_bytes()) < limit_bytes) {
    ++made.unit_shift;
  }
  return made;
}

} // namespace kvcache
