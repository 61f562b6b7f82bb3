#include "daemon/fault_watch.hpp"

#include <gtest/gtest.h>

namespace kvcache::daemon {
namespace {

using namespace std::chrono_literals;
using observe::event;

constexpr fault_watch::time_point start{1h};

observe::counters_snapshot counted(event what, std::uint64_t times) {
  observe::counters_snapshot counters;
  counters.events[static_cast<std::size_t>(what)] = times;
  return counters;
}

TEST(fault_watch, is_silent_while_nothing_fails) {
  fault_watch watch;
  EXPECT_TRUE(watch.look({}, 0, start).empty());
  EXPECT_TRUE(watch.look(counted(event::hit, 1000), 0, start).empty());
}

TEST(fault_watch, speaks_of_the_first_fault_at_once) {
  fault_watch watch;
  const auto lines = watch.look(counted(event::put_no_room, 3), 0, start);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0], "PUT refused: no room could be made, 3 times since this was last said");
}

TEST(fault_watch, sums_up_what_follows_until_the_interval_is_over) {
  fault_watch watch;
  watch.look(counted(event::accept_failed, 1), 0, start);
  EXPECT_TRUE(watch.look(counted(event::accept_failed, 5), 0, start + 1s).empty());
  EXPECT_TRUE(
      watch.look(counted(event::accept_failed, 9), 0, start + fault_watch::interval - 1ms).empty());
  const auto lines = watch.look(counted(event::accept_failed, 9), 0, start + fault_watch::interval);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find(", 8 times"), std::string::npos) << lines[0];
  EXPECT_TRUE(watch.look(counted(event::accept_failed, 9), 0, start + 1h).empty());
}

TEST(fault_watch, keeps_kinds_of_faults_apart) {
  fault_watch watch;
  auto counters = counted(event::connection_refused, 1);
  EXPECT_EQ(watch.look(counters, 0, start).size(), 1U);
  counters.events[static_cast<std::size_t>(event::put_out_of_memory)] = 1;
  const auto lines = watch.look(counters, 0, start);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("the kernel gave no memory"), std::string::npos);
}

TEST(fault_watch, tells_what_the_access_log_lost) {
  fault_watch watch;
  const auto lines = watch.look({}, 5, start);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0],
            "a line of the access log gave way to later ones, 5 times since this was last "
            "said");
  EXPECT_TRUE(watch.look({}, 5, start + 1h).empty());
}

} // namespace
} // namespace kvcache::daemon
