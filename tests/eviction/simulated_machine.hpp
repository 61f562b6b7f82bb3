// A machine in figures: a limit, others that use some of it, and a cache that obeys the control law
// tick by tick. It stands for the store in tests of the law: PUTs at the hold limit evict as much
// as they add, evicted bytes become free room, and free room goes back to the kernel a share at a
// time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "eviction/pressure.hpp"

namespace kvcache::test {

struct simulated_machine {
  std::uint64_t limit = 0;
  std::uint64_t others = 0;
  std::uint64_t content = 0;
  std::uint64_t free_room = 0;
  pressure_options options{};

  pressure_decision last{};
  std::uint64_t evicted_by_ticks = 0;
  std::uint64_t evicted_by_puts = 0;
  unsigned tier_changes = 0;
  unsigned purges = 0;

  std::uint64_t held() const { return content + free_room; }
  std::uint64_t use() const { return others + held(); }
  double use_percent() const {
    return 100.0 * static_cast<double>(use()) / static_cast<double>(limit);
  }
  double effective_percent() const {
    return 100.0 * static_cast<double>(others + content) / static_cast<double>(limit);
  }

  // Reads `seen_use` (which may be late or noisy) and, where that is to be confirmed,
  // `confirming_use`; decides, evicts, gives a part of the free room back, then takes PUTs of
  // `put_bytes` in all.
  void tick(std::uint64_t seen_use, std::uint64_t confirming_use, std::uint64_t put_bytes) {
    const pressure_tier before = last.tier;
    memory_reading seen{.used_bytes = seen_use, .limit_bytes = limit, .source = "simulated"};
    do {
      if (last.confirm) seen.used_bytes = confirming_use;
      last = decide(seen, {.held = held(), .content = content}, options, last.history);
      evict(last.evict_bytes);
      evicted_by_ticks += last.evict_bytes;
      purges += last.purge ? 1 : 0;
    } while (last.confirm);
    tier_changes += before == last.tier ? 0 : 1;
    free_room -= free_room / 4;
    const std::vector<memory_reading> levels{seen};
    put(put_bytes,
        hold_limit_bytes(levels, {.held = held(), .content = content}, last.tier, options));
  }
  void tick(std::uint64_t seen_use, std::uint64_t put_bytes) {
    tick(seen_use, seen_use, put_bytes);
  }
  void tick(std::uint64_t put_bytes) { tick(use(), put_bytes); }

private:
  void evict(std::uint64_t bytes) {
    content -= bytes;
    free_room += bytes;
  }
  void put(std::uint64_t bytes, std::uint64_t hold_limit) {
    const std::uint64_t reused = std::min(bytes, free_room);
    free_room -= reused;
    content += reused;
    bytes -= reused;
    const std::uint64_t grown = std::min(bytes, hold_limit > held() ? hold_limit - held() : 0);
    content += grown;
    evicted_by_puts += bytes - grown; // the rest: one in, one out
  }
};

} // namespace kvcache::test
