#include "daemon/fault_watch.hpp"

#include <gtest/gtest.h>

#include "metrics/sample_operations.hpp"

namespace kvcache::daemon {
namespace {

using namespace std::chrono_literals;
using observe::event;

constexpr fault_watch::time_point start{1h};
constexpr auto of_puts = static_cast<std::size_t>(observe::sample_put);

observe::counters_snapshot counted(event what, std::uint64_t times) {
  observe::counters_snapshot counters;
  counters.events[static_cast<std::size_t>(what)] = times;
  return counters;
}

// With an answer of this status to each.
observe::counters_snapshot refused(unsigned status, std::uint64_t times) {
  observe::counters_snapshot counters;
  counters.responses[of_puts][observe::status_slot(status)] = times;
  return counters;
}

TEST(fault_watch, is_silent_while_nothing_fails) {
  fault_watch watch;
  EXPECT_TRUE(watch.look({}, 0, start).empty());
  EXPECT_TRUE(watch.look(counted(event::put_inserted, 1000), 0, start).empty());
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

TEST(fault_watch, tells_of_connections_that_were_cut_for_their_memory) {
  fault_watch watch;
  const auto lines = watch.look(counted(event::connection_shed, 2), 0, start);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0], "connection cut: its peer read nothing while memory for buffers was short, 2 "
                      "times since this was last said");
}

TEST(fault_watch, tells_at_the_next_look_of_refusals_that_are_no_event) {
  for (const unsigned status : {500U, 503U, 507U}) {
    fault_watch watch;
    EXPECT_TRUE(watch.look(refused(status, 3), 0, start).empty()) << status;
    const auto lines = watch.look(refused(status, 4), 0, start);
    ASSERT_EQ(lines.size(), 1U) << status;
    EXPECT_NE(lines[0].find("request refused with " + std::to_string(status)), std::string::npos)
        << lines[0];
    EXPECT_NE(lines[0].find(", 3 times"), std::string::npos) << lines[0];
    EXPECT_TRUE(watch.look(refused(status, 4), 0, start + 1s).empty()) << status;
    EXPECT_EQ(watch.look(refused(status, 4), 0, start + fault_watch::interval).size(), 1U);
  }
}

TEST(fault_watch, tells_of_a_status_that_has_no_counter_of_its_own) {
  fault_watch watch;
  watch.look(refused(599, 1), 0, start);
  const auto lines = watch.look(refused(599, 1), 0, start);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("a status that is not counted by itself"), std::string::npos);
}

TEST(fault_watch, is_silent_about_what_clients_do_wrong) {
  fault_watch watch;
  for (const unsigned status : observe::response_statuses) {
    if (status == 500 || status == 503 || status == 507) continue;
    watch.look(refused(status, 1000), 0, start);
    EXPECT_TRUE(watch.look(refused(status, 1000), 0, start).empty()) << status;
  }
}

TEST(fault_watch, says_once_what_is_an_event_and_a_refusal) {
  struct both {
    event what;
    unsigned status;
  };
  for (const both each : {both{event::put_no_room, 503}, both{event::connection_refused, 503},
                          both{event::put_out_of_memory, 507}}) {
    fault_watch watch;
    observe::counters_snapshot counters = refused(each.status, 7);
    counters.events[static_cast<std::size_t>(each.what)] = 7;
    EXPECT_EQ(watch.look(counters, 0, start).size(), 1U);
    EXPECT_TRUE(watch.look(counters, 0, start + 1h).empty());
    counters.responses[of_puts][observe::status_slot(each.status)] = 9; // two are none of them
    watch.look(counters, 0, start + 2h);
    const auto lines = watch.look(counters, 0, start + 2h);
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_NE(lines[0].find(", 2 times"), std::string::npos) << lines[0];
  }
}

// Workers go on counting while their counters are read: events first.
TEST(fault_watch, takes_no_event_for_another_refusal_that_was_counted_while_it_looked) {
  fault_watch watch;
  observe::counters_snapshot counters = refused(503, 1);
  EXPECT_TRUE(watch.look(counters, 0, start).empty());
  counters.events[static_cast<std::size_t>(event::put_no_room)] = 1;
  const auto lines = watch.look(counters, 0, start);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(lines[0].starts_with("PUT refused")) << lines[0];
  EXPECT_TRUE(watch.look(counters, 0, start + 1h).empty());
}

// Connections over all limits are closed without an answer.
TEST(fault_watch, is_not_confused_by_connections_that_were_refused_without_an_answer) {
  fault_watch watch;
  observe::counters_snapshot counters = refused(503, 5);
  watch.look(counters, 0, start);
  EXPECT_EQ(watch.look(counters, 0, start).size(), 1U);
  counters.events[static_cast<std::size_t>(event::connection_refused)] = 100;
  const auto lines = watch.look(counters, 0, start + 1h);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(lines[0].starts_with("connection refused")) << lines[0];
  EXPECT_TRUE(watch.look(counters, 0, start + 2h).empty());
}

TEST(fault_watch, takes_503_for_no_fault_while_the_service_stops) {
  fault_watch watch;
  watch.stopping();
  watch.look(refused(503, 3), 0, start);
  EXPECT_TRUE(watch.look(refused(503, 3), 0, start).empty());
  watch.look(refused(507, 3), 0, start);
  EXPECT_EQ(watch.look(refused(507, 3), 0, start).size(), 1U);
}

TEST(fault_watch, tells_what_the_access_log_lost) {
  fault_watch watch;
  const auto lines = watch.look({}, 5, start);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0],
            "access log line dropped: its reader is too slow or gone, 5 times since this was last "
            "said");
  EXPECT_TRUE(watch.look({}, 5, start + 1h).empty());
}

} // namespace
} // namespace kvcache::daemon
