#include "daemon/tier_watch.hpp"

#include <gtest/gtest.h>

namespace kvcache::daemon {
namespace {

using namespace std::chrono_literals;

constexpr tier_watch::time_point start{1h};
constexpr std::uint64_t mib = std::uint64_t{1} << 20;

eviction_status status(pressure_tier tier, std::uint64_t changes) {
  eviction_status made;
  made.tier = tier;
  made.tier_changes = changes;
  made.reading = {.used_bytes = 384 * mib, .limit_bytes = 512 * mib, .source = "somewhere"};
  return made;
}

TEST(tier_watch, is_silent_while_the_tier_stays) {
  tier_watch watch;
  EXPECT_TRUE(watch.look(status(pressure_tier::normal, 0), start).empty());
  EXPECT_TRUE(watch.look(status(pressure_tier::normal, 0), start + 1h).empty());
}

TEST(tier_watch, tells_a_change_at_once_with_the_reading_behind_it) {
  tier_watch watch;
  const auto lines = watch.look(status(pressure_tier::pressure, 1), start);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0], "memory tier is now pressure: 75 % of 512 MiB in use, somewhere");
}

TEST(tier_watch, speaks_at_most_once_a_second_and_counts_what_it_kept_back) {
  tier_watch watch;
  watch.look(status(pressure_tier::pressure, 1), start);
  EXPECT_TRUE(watch.look(status(pressure_tier::emergency, 2), start + 999ms).empty());
  const auto lines = watch.look(status(pressure_tier::normal, 4), start + 1s);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0], "memory tier is now normal: 75 % of 512 MiB in use, somewhere "
                      "(3 changes since this was last said)");
  EXPECT_TRUE(watch.look(status(pressure_tier::normal, 4), start + 1h).empty());
}

TEST(tier_watch, says_once_that_it_goes_by_an_estimate) {
  tier_watch watch;
  auto estimated = status(pressure_tier::normal, 0);
  estimated.estimated = true;
  const auto lines = watch.look(estimated, start);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("cannot be read"), std::string::npos);
  EXPECT_TRUE(watch.look(estimated, start + 1h).empty());
}

} // namespace
} // namespace kvcache::daemon
