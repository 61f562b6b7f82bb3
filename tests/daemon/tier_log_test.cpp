#include "daemon/tier_log.hpp"

#include <gtest/gtest.h>

namespace kvcache::daemon {
namespace {

using namespace std::chrono_literals;

constexpr tier_log::time_point start{1h};
constexpr std::uint64_t mib = std::uint64_t{1} << 20;

eviction_status status(pressure_tier tier, std::uint64_t changes) {
  eviction_status made;
  made.tier = tier;
  made.tier_changes = changes;
  made.reading = {.used_bytes = 384 * mib, .limit_bytes = 512 * mib, .source = "somewhere"};
  return made;
}

TEST(tier_log, is_empty_while_the_tier_is_unchanged) {
  tier_log log;
  EXPECT_TRUE(log.new_lines(status(pressure_tier::normal, 0), start).empty());
  EXPECT_TRUE(log.new_lines(status(pressure_tier::normal, 0), start + 1h).empty());
}

TEST(tier_log, logs_a_change_immediately_with_its_reading) {
  tier_log log;
  const auto lines = log.new_lines(status(pressure_tier::pressure, 1), start);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0], "memory tier is now pressure: 75 % of 512 MiB in use, somewhere");
}

TEST(tier_log, logs_at_most_once_a_second_and_counts_omitted_changes) {
  tier_log log;
  log.new_lines(status(pressure_tier::pressure, 1), start);
  EXPECT_TRUE(log.new_lines(status(pressure_tier::emergency, 2), start + 999ms).empty());
  const auto lines = log.new_lines(status(pressure_tier::normal, 4), start + 1s);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0], "memory tier is now normal: 75 % of 512 MiB in use, somewhere "
                      "(3 changes since the last such line)");
  EXPECT_TRUE(log.new_lines(status(pressure_tier::normal, 4), start + 1h).empty());
}

TEST(tier_log, logs_once_that_memory_use_is_estimated) {
  tier_log log;
  auto estimated = status(pressure_tier::normal, 0);
  estimated.estimated = true;
  const auto lines = log.new_lines(estimated, start);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("cannot be read"), std::string::npos);
  EXPECT_TRUE(log.new_lines(estimated, start + 1h).empty());
}

} // namespace
} // namespace kvcache::daemon
