// The sizes of blocks in a slab, for the parts of entry_arena.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "cache/size_classes.hpp"
#include "cache/slab_pool.hpp"

namespace kvcache {

struct class_geometry {
  std::uint32_t block_bytes;
  std::uint16_t capacity; // blocks in a slab
};

// A table, so that no slab operation divides.
inline constexpr auto geometry = [] {
  std::array<class_geometry, size_class_count> table{};
  for (size_class c = 0; c < size_class_count; ++c) {
    table[c] = {static_cast<std::uint32_t>(block_bytes_of(c)),
                static_cast<std::uint16_t>(slab_bytes / block_bytes_of(c))};
  }
  return table;
}();

// How many classes above its own an entry may get a block of, with excess::small.
inline constexpr size_class classes_above_small = 4;

// How many slabs of a group of equal fullness are compared.
inline constexpr unsigned candidates_per_group = 8;

} // namespace kvcache
