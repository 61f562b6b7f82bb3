// A store and its evictor on a machine in figures: in use is what the store holds and, where a test
// says so, what others do.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>

#include "cache/memory_source.hpp"
#include "eviction/evictor.hpp"
#include "eviction/store_fixture.hpp"

namespace kvcache::test {

struct cache_alone {
  explicit cache_alone(std::uint64_t limit_bytes,
                       const cache_options& options = repeatable_options(),
                       memory_source& memory = system_memory_source())
      : limit(limit_bytes), entries(options, memory) {
    entries.set_room_maker(&evict);
    evict.run();
  }
  cache_alone(const cache_alone&) = delete;
  cache_alone& operator=(const cache_alone&) = delete;
  ~cache_alone() {
    entries.set_room_maker(nullptr);
    EXPECT_EQ(entries.check_invariants(), "");
  }

  std::uint64_t limit;
  std::uint64_t others = 0;
  // May be set: what happens at a reading, before it is taken; and the clocks, which else stand
  // still.
  std::function<void()> at_reading{};
  std::function<std::uint64_t()> cpu_ns{};
  std::function<std::uint64_t()> now_ns{};
  memory_report report;
  store entries;
  evictor evict{entries,
                {},
                {.read_memory = [this](std::uint64_t own) -> const memory_report& {
                   if (at_reading) at_reading();
                   report.levels = {
                       {.used_bytes = others + own, .limit_bytes = limit, .source = "fake"}};
                   return report;
                 },
                 .thread_cpu_ns = [this] { return cpu_ns ? cpu_ns() : 0; },
                 .buffer_bytes = {},
                 .wake = {},
                 .on_tier_change = {},
                 .on_estimate = {},
                 .now_ns = [this] { return now_ns ? now_ns() : 0; }}};
};

} // namespace kvcache::test
