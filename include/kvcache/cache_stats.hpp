// A snapshot of what a cache holds and of what it has evicted.
//
// Thread-safety: plain values, read without stopping any thread; figures of one snapshot may differ
//   by the operations under way. Counters only rise.
// Ownership: none.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace kvcache {

// Why an entry was evicted.
enum class eviction_cause : std::uint8_t { clock, lru, emergency, expired, max_entries };
inline constexpr std::size_t eviction_cause_count = 5;

struct cache_stats {
  std::size_t entries = 0;

  // Bytes, exact. held = live + free + index + (slack of pages not yet carved up).
  std::size_t live_bytes = 0;  // blocks of live entries, as allocated
  std::size_t free_bytes = 0;  // freed blocks that the next PUT can reuse
  std::size_t index_bytes = 0; // the hash tables, and ghosts: what remains of evicted keys
  std::size_t held_bytes = 0;  // everything the store has from the kernel

  std::array<std::uint64_t, eviction_cause_count> evictions{}; // by eviction_cause
  std::uint64_t index_growths = 0;                             // tables replaced by larger ones
  std::uint64_t index_shrinks = 0;                             // … by smaller ones
  std::uint64_t entries_moved = 0;                             // by compaction
  std::uint64_t longest_growth_step_ns = 0;                    // thread CPU time of one growth step
  std::uint64_t longest_move_slice_ns = 0;                     // … of one slice of compaction
};

} // namespace kvcache
