#include "kvcache/limited_cache.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>

namespace kvcache {
namespace {

TEST(limited_cache, evicts_entries_to_stay_below_its_limit) {
  constexpr std::uint64_t limit = std::uint64_t{192} << 20;
  constexpr std::size_t value_bytes = std::size_t{16} << 10;
  limited_cache limited{{.memory_limit_bytes = limit}};
  const std::string value(value_bytes, 'v');
  for (std::size_t i = 0; i < 2 * limit / value_bytes; ++i) {
    const put_outcome outcome = limited.entries().put(std::to_string(i), value);
    ASSERT_NE(outcome, put_outcome::out_of_memory);
    ASSERT_LT(limited.entries().stats().held_bytes, limit);
  }
  const cache_stats stats = limited.entries().stats();
  EXPECT_GT(stats.entries, 0U);
  EXPECT_GT(std::accumulate(stats.evictions.begin(), stats.evictions.end(), std::uint64_t{0}), 0U);
  EXPECT_NE(limited.status().reading.limit_bytes, 0U);
}

TEST(limited_cache, limits_the_cache_before_the_first_put) {
  limited_cache limited{{.memory_limit_bytes = std::uint64_t{256} << 20}};
  EXPECT_GT(limited.entries().hold_limit_bytes(), 0U);
  EXPECT_LT(limited.entries().hold_limit_bytes(), std::size_t{256} << 20);
}

TEST(limited_cache, expires_entries_by_itself) {
  limited_cache limited;
  cache& entries = limited.entries();
  ASSERT_EQ(entries.put("key", "value", limited.clock().now() + 2), put_outcome::inserted);
  while (entries.peek("key", [](std::string_view) {})) std::this_thread::yield(); // CTest's timeout
}

TEST(limited_cache, holds_no_more_entries_than_its_options_allow) {
  limited_cache limited{{.max_entries = 10}};
  for (int i = 0; i < 100; ++i) limited.entries().put(std::to_string(i), "value");
  EXPECT_EQ(limited.entries().size(), 10U);
}

TEST(limited_cache, refuses_an_option_that_is_out_of_its_range) {
  limited_cache_options options;
  options.eviction.interval_ms = eviction_interval_most_ms + 1;
  EXPECT_THROW(limited_cache{options}, std::invalid_argument);
  options = {};
  options.eviction.pressure.pressure_percent = 100;
  EXPECT_THROW(limited_cache{options}, std::invalid_argument);
}

} // namespace
} // namespace kvcache
