// What eviction has read, decided and done.
//
// Thread-safety: plain values. Ownership: each owns what it shows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kvcache/cache_stats.hpp"
#include "kvcache/memory_reading.hpp"

namespace kvcache {

enum class pressure_tier : std::uint8_t { normal, pressure, emergency };
inline constexpr std::size_t pressure_tier_count = 3;

// Evictions by the tier there was, and by cause: [pressure_tier][eviction_cause].
using tier_cause_counts =
    std::array<std::array<std::uint64_t, eviction_cause_count>, pressure_tier_count>;

// A consistent snapshot of the last run.
struct eviction_status {
  pressure_tier tier = pressure_tier::normal;
  std::uint64_t tier_changes = 0;
  memory_reading reading;            // of the level that decides, with its source
  bool estimated = false;            // the reading is an estimate from the cache's own bytes
  std::uint64_t allowance_bytes = 0; // what content may have at that level
  std::uint64_t hold_limit_bytes = 0;
  std::uint64_t purges = 0;
  std::uint64_t failed_readings = 0;
  std::uint64_t last_slice_ns = 0; // processor time
  std::uint64_t longest_slice_ns = 0;
  tier_cause_counts evictions{};
};

} // namespace kvcache
