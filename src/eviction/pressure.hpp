// The control law: computes how much to evict from memory use and what the cache holds. Pure: no
// I/O, no clock, no state; history is passed in.
//
//   L  the limit of a level
//   U  the use at that level
//   H  what the store holds from the kernel: content and free blocks
//   C  its content: live entries and index
//   B  other buffers of this process, which follow load (connections)
//   O  = U − H − B, what others use
//
//   0                                          70 %   72 %            95 %  L
//   |------ others O ------|- B -|-- content C --|······|---- band ----|-----|
//                                |<---- A ------>|      mark        emergency
//
// Content may have A = 70 %·L − O − B, and is never evicted below a floor (5 % of L). Free blocks
// are reusable and do not count as use: the law compares effective use, E = O + B + C, with the
// marks. Evicting lowers C and E, not U; compaction returns pages to the kernel, and until then the
// next PUTs reuse them.
//
//   normal     E ≤ 70 %       no entry is evicted
//   pressure   E > 70 %       C shrinks towards A, in 100 ms by at most a share of the band from 70
//                             to 95 % that grows with the square of the way through it;
//                             left again when E is below 68 % and U not above 70 %
//   emergency  U or E ≥ 95 %  confirmed by a second reading, C shrinks to A at once, and the next
//                             purge needs two new readings; left again below 93 %
//
// How much is evicted depends on the time since the last reading and not on the number of readings,
// so the interval between readings does not change the rate.
//
// An emergency nears the limit when U is more than half of the way from the emergency mark to L, or
// will be in 100 ms at the rate at which it rose since the last reading of the same emergency. The
// jump that began it may be a spike, and predicts nothing.
//
// A is the byte target in every tier, so eviction cannot overshoot: evicted bytes leave C at once,
// whether or not U has fallen. If others hold the memory, A falls below the floor; content stays at
// the floor, and no more is evicted however high U is.
//
// Between two readings the store is bounded by its hold limit: 72 % of L minus what others use. A
// PUT that reaches it evicts as much as it takes, so under sustained PUTs use settles near 72 %.
// Free blocks of unused sizes may stretch that mark a little (to 75 % in the normal tier, 73 % in
// the others) until they have been returned. While E is at most 70 % no entry may be evicted for
// them, so they stretch the mark as far as necessary, up to 90 %. Nothing may grow beyond 95 %.
//
// This is computed for every level, each with its own history, and the strictest outcome applies:
// 30 % of a small container can be fewer bytes than 20 % of its host, and the level with the
// highest U may be full of the cache's own free blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvcache/eviction_options.hpp"
#include "kvcache/eviction_status.hpp"
#include "kvcache/memory_reading.hpp"

namespace kvcache {

// Describes the first invalid option; nothing if all are valid.
std::optional<std::string> find_fault(const pressure_options& options);

struct own_bytes {
  std::uint64_t held = 0;    // H
  std::uint64_t content = 0; // C; the rest of `held` is free blocks
  std::uint64_t buffers = 0; // B
};

// The law's state from one reading to the next.
struct pressure_history {
  pressure_tier tier = pressure_tier::normal;
  unsigned emergency_readings = 0; // in a row, and since the last purge
  std::uint64_t used_bytes = 0;    // U of the last reading
};

struct pressure_decision {
  pressure_tier tier = pressure_tier::normal;
  std::uint64_t evict_bytes = 0; // to evict before the next reading; 0 means none
  bool purge = false;            // evict_bytes is an emergency purge
  bool confirm = false;          // read again shortly: one more such reading is a purge
  bool nears_limit = false;      // see above
  pressure_history history;      // for the next call at the same level
};

// The time for which one decision evicts at most, however long ago the last reading was: after a
// pause (a stopped process, a starved thread) eviction stays gradual.
inline constexpr std::uint64_t longest_elapsed_us = 1'000'000;

// The time for which the shares of the band are given.
inline constexpr std::uint64_t usual_elapsed_us = 100'000;

// `elapsed_us`: since the last decision at this level.
// REQUIRES: reading.limit_bytes > 0 and !find_fault(options).
pressure_decision decide(const memory_reading& reading, const own_bytes& own,
                         const pressure_options& options, const pressure_history& history,
                         std::uint64_t elapsed_us = usual_elapsed_us) noexcept;

// The outcome for all levels together.
struct pressure_verdict {
  pressure_decision decision; // the severest tier, the most that any level wants; no history
  std::size_t decisive = 0;   // index of the level that decides
};

// decide() for each level, with and into the history of each; their number may change from one
// call to the next, and then all begin anew.
// REQUIRES: levels is not empty, and what decide() requires.
pressure_verdict decide_for_all(std::span<const memory_reading> levels, const own_bytes& own,
                                const pressure_options& options,
                                std::vector<pressure_history>& histories,
                                std::uint64_t elapsed_us = usual_elapsed_us);

// The hold limit of the store that follows from all levels: the lowest of their marks. Never 0
// (which would mean no limit).
std::uint64_t hold_limit_bytes(std::span<const memory_reading> levels, const own_bytes& own,
                               pressure_tier tier, const pressure_options& options) noexcept;

// How far the store may grow between two readings before anything is evicted, over all levels.
struct growth_bounds {
  std::uint64_t content = 0; // up to here E is at most 70 % (or content at its floor) …
  std::uint64_t held = 0;    // … and the hold limit may be raised up to here
  bool holds_too_much =
      false; // use is above 75 %, and a notable part of it the store's free blocks
};
// REQUIRES: levels is not empty.
growth_bounds bounds_of_growth(std::span<const memory_reading> levels, const own_bytes& own,
                               const pressure_options& options) noexcept;

// The bytes that content may have at a level, given what others hold there: A, or the floor.
std::uint64_t allowance_bytes(const memory_reading& reading, const own_bytes& own,
                              const pressure_options& options) noexcept;

// Index of the level to report. In the normal tier it is the one with the fewest bytes left up to
// its pressure mark, so that an empty cache in a small container reports the container's limit
// however full its host is. In the others it is the decisive one. REQUIRES: decisive <
// levels.size().
std::size_t level_to_show(std::span<const memory_reading> levels, std::size_t decisive,
                          pressure_tier tier, const pressure_options& options) noexcept;

// The content at a level that is never evicted for bytes.
std::uint64_t floor_bytes(std::uint64_t limit_bytes, const pressure_options& options) noexcept;

// Describes the first limit whose emergency mark the empty process already reaches: it could never
// hold an entry. Nothing if there is none.
std::optional<std::string> find_limit_too_small(std::span<const memory_reading> levels,
                                                std::uint64_t resident_bytes,
                                                const pressure_options& options);

} // namespace kvcache
