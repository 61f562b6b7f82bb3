#include "config/option_table.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

namespace kvcache::config {
namespace {

TEST(option_table, contains_each_name_once) {
  std::set<std::string_view> names;
  for (const option_row& row : option_table())
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
}

TEST(option_table, derives_flag_and_variable_from_the_name) {
  const option_row row{"max-key-chars", "", "", "", {}};
  EXPECT_EQ(row.flag(), "--max-key-chars");
  EXPECT_EQ(row.environment_variable(), "KVCACHE_MAX_KEY_CHARS");
}

TEST(option_table, parses_each_default_that_it_writes) {
  for (const option_row& row : option_table()) {
    const std::string preset = row.value.write(options{});
    if (preset.empty()) continue; // texts and lists that are not set
    options settings;
    EXPECT_EQ(row.value.read(settings, preset), std::nullopt) << row.name;
    EXPECT_EQ(row.value.write(settings), preset) << row.name;
  }
}

TEST(option_table, leaves_the_options_unchanged_after_an_invalid_value) {
  for (const option_row& row : option_table()) {
    options settings;
    const std::string before = row.value.write(settings);
    if (row.value.read(settings, "\x01 no value of any option,") != std::nullopt) {
      EXPECT_EQ(row.value.write(settings), before) << row.name;
    }
  }
}

TEST(option_table, finds_no_contradiction_in_the_defaults) {
  EXPECT_EQ(find_contradiction(options{}), std::nullopt);
}

TEST(option_table, rejects_thresholds_out_of_order) {
  options settings;
  settings.cache.eviction.pressure.emergency_percent =
      settings.cache.eviction.pressure.pressure_percent;
  const auto fault = find_contradiction(settings);
  ASSERT_TRUE(fault);
  EXPECT_NE(fault->find("--pressure-percent"), std::string::npos);
  EXPECT_NE(fault->find("--emergency-percent"), std::string::npos);

  settings = options{};
  settings.cache.eviction.pressure.floor_percent =
      settings.cache.eviction.pressure.pressure_percent;
  EXPECT_TRUE(find_contradiction(settings));
}

TEST(option_table, rejects_a_drain_delay_that_leaves_no_time_to_drain) {
  options settings;
  settings.server.drain_delay_ms = 8'000; // as long as "auto" is
  EXPECT_TRUE(find_contradiction(settings));
  settings.server.drain_delay_ms = 5'000;
  EXPECT_FALSE(find_contradiction(settings));
  settings.snapshots.file = "/snapshot"; // then it is 4,000
  EXPECT_TRUE(find_contradiction(settings));
  settings.server.drain_timeout_ms = 5'001;
  EXPECT_FALSE(find_contradiction(settings));
}

} // namespace
} // namespace kvcache::config
