#include "server/sweep_clock.hpp"

#include <gtest/gtest.h>

namespace kvcache::http {
namespace {

using std::chrono::milliseconds;

TEST(sweep_clock, lets_no_deadline_pass_early_though_it_may_be_an_interval_behind) {
  sweep_clock clock{milliseconds{10}};
  clock.set(1000);
  EXPECT_EQ(clock.deadline_in_ms(100), 1110U);
  clock.set(1010);
  EXPECT_FALSE(clock.has_passed(1000, 5));
  clock.set(1015);
  EXPECT_TRUE(clock.has_passed(1000, 5));
}

TEST(sweep_clock, reports_by_how_much_its_readings_were_late) {
  sweep_clock clock{milliseconds{10}};
  clock.set(1000);
  clock.take_late_ms();
  clock.set(1020);
  EXPECT_EQ(clock.take_late_ms(), 0U); // up to two intervals are on time
  clock.set(1050);
  clock.set(1100);
  EXPECT_EQ(clock.take_late_ms(), 20U + 40U);
  EXPECT_EQ(clock.take_late_ms(), 0U);
}

} // namespace
} // namespace kvcache::http
