// A store and its evictor on a machine that nobody else uses: all that is in use is what it holds.
#pragma once

#include <cstdint>

#include "eviction/evictor.hpp"
#include "eviction/store_fixture.hpp"

namespace kvcache::test {

struct cache_alone {
  explicit cache_alone(std::uint64_t limit_bytes,
                       const cache_options& options = repeatable_options())
      : limit(limit_bytes), entries(options) {
    entries.set_room_maker(&evict);
    evict.run();
  }
  cache_alone(const cache_alone&) = delete;
  cache_alone& operator=(const cache_alone&) = delete;
  ~cache_alone() { entries.set_room_maker(nullptr); }

  std::uint64_t limit;
  memory_report report;
  store entries;
  evictor evict{entries,
                {},
                {.read_memory = [this](std::uint64_t own) -> const memory_report& {
                   report.levels = {{.used_bytes = own, .limit_bytes = limit, .source = "fake"}};
                   return report;
                 },
                 .thread_cpu_ns = [] { return std::uint64_t{0}; },
                 .buffer_bytes = {},
                 .wake = {},
                 .on_tier_change = {},
                 .on_estimate = {}}};
};

} // namespace kvcache::test
