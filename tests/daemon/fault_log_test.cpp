#include "daemon/fault_log.hpp"

#include <gtest/gtest.h>

#include "metrics/sample_operations.hpp"

namespace kvcache::daemon {
namespace {

using namespace std::chrono_literals;
using observe::event;

constexpr fault_log::time_point start{1h};
constexpr auto of_puts = static_cast<std::size_t>(observe::sample_put);

observe::counters_snapshot counted(event what, std::uint64_t times) {
  observe::counters_snapshot counters;
  counters.events[static_cast<std::size_t>(what)] = times;
  return counters;
}

// With a response of this status to each request.
observe::counters_snapshot refused(unsigned status, std::uint64_t times) {
  observe::counters_snapshot counters;
  counters.responses[of_puts][observe::status_slot(status)] = times;
  return counters;
}

TEST(fault_log, is_empty_without_faults) {
  fault_log log;
  EXPECT_TRUE(log.new_lines({}, 0, start).empty());
  EXPECT_TRUE(log.new_lines(counted(event::put_inserted, 1000), 0, start).empty());
}

TEST(fault_log, logs_the_first_fault_immediately) {
  fault_log log;
  const auto lines = log.new_lines(counted(event::put_no_room, 3), 0, start);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0], "PUT refused with 503: eviction could not free enough memory, 3 times since "
                      "the last such line");
}

TEST(fault_log, counts_further_faults_until_the_interval_ends) {
  fault_log log;
  log.new_lines(counted(event::accept_failed, 1), 0, start);
  EXPECT_TRUE(log.new_lines(counted(event::accept_failed, 5), 0, start + 1s).empty());
  EXPECT_TRUE(log.new_lines(counted(event::accept_failed, 9), 0, start + fault_log::interval - 1ms)
                  .empty());
  const auto lines =
      log.new_lines(counted(event::accept_failed, 9), 0, start + fault_log::interval);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find(", 8 times"), std::string::npos) << lines[0];
  EXPECT_TRUE(log.new_lines(counted(event::accept_failed, 9), 0, start + 1h).empty());
}

TEST(fault_log, logs_each_kind_of_fault_separately) {
  fault_log log;
  auto counters = counted(event::connection_refused, 1);
  EXPECT_EQ(log.new_lines(counters, 0, start).size(), 1U);
  counters.events[static_cast<std::size_t>(event::put_out_of_memory)] = 1;
  const auto lines = log.new_lines(counters, 0, start);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("the kernel refuses memory"), std::string::npos);
}

TEST(fault_log, logs_connections_closed_by_load_shedding) {
  fault_log log;
  const auto lines = log.new_lines(counted(event::connection_shed, 2), 0, start);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0],
            "connection closed: its peer did not read while buffer memory was short, 2 times "
            "since the last such line");
}

TEST(fault_log, logs_error_responses_without_an_event_at_the_next_call) {
  for (const unsigned status : {500U, 503U, 507U}) {
    fault_log log;
    EXPECT_TRUE(log.new_lines(refused(status, 3), 0, start).empty()) << status;
    const auto lines = log.new_lines(refused(status, 4), 0, start);
    ASSERT_EQ(lines.size(), 1U) << status;
    EXPECT_NE(lines[0].find("request refused with " + std::to_string(status)), std::string::npos)
        << lines[0];
    EXPECT_NE(lines[0].find(", 3 times"), std::string::npos) << lines[0];
    EXPECT_TRUE(log.new_lines(refused(status, 4), 0, start + 1s).empty()) << status;
    EXPECT_EQ(log.new_lines(refused(status, 4), 0, start + fault_log::interval).size(), 1U);
  }
}

TEST(fault_log, logs_a_status_without_a_counter_of_its_own) {
  fault_log log;
  log.new_lines(refused(599, 1), 0, start);
  const auto lines = log.new_lines(refused(599, 1), 0, start);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("a status that has no counter of its own"), std::string::npos);
}

TEST(fault_log, does_not_log_client_errors) {
  fault_log log;
  for (const unsigned status : observe::response_statuses) {
    if (status == 500 || status == 503 || status == 507) continue;
    log.new_lines(refused(status, 1000), 0, start);
    EXPECT_TRUE(log.new_lines(refused(status, 1000), 0, start).empty()) << status;
  }
}

TEST(fault_log, logs_once_if_an_event_also_causes_an_error_response) {
  struct both {
    event what;
    unsigned status;
  };
  for (const both each : {both{event::put_no_room, 503}, both{event::connection_refused, 503},
                          both{event::put_out_of_memory, 507}}) {
    fault_log log;
    observe::counters_snapshot counters = refused(each.status, 7);
    counters.events[static_cast<std::size_t>(each.what)] = 7;
    EXPECT_EQ(log.new_lines(counters, 0, start).size(), 1U);
    EXPECT_TRUE(log.new_lines(counters, 0, start + 1h).empty());
    counters.responses[of_puts][observe::status_slot(each.status)] = 9; // two without an event
    log.new_lines(counters, 0, start + 2h);
    const auto lines = log.new_lines(counters, 0, start + 2h);
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_NE(lines[0].find(", 2 times"), std::string::npos) << lines[0];
  }
}

// Workers continue to count while their counters are read, events first.
TEST(fault_log, is_exact_if_an_event_is_counted_between_two_reads) {
  fault_log log;
  observe::counters_snapshot counters = refused(503, 1);
  EXPECT_TRUE(log.new_lines(counters, 0, start).empty());
  counters.events[static_cast<std::size_t>(event::put_no_room)] = 1;
  const auto lines = log.new_lines(counters, 0, start);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(lines[0].starts_with("PUT refused")) << lines[0];
  EXPECT_TRUE(log.new_lines(counters, 0, start + 1h).empty());
}

// Connections over all limits are closed without a response.
TEST(fault_log, is_exact_if_connections_are_rejected_without_a_response) {
  fault_log log;
  observe::counters_snapshot counters = refused(503, 5);
  log.new_lines(counters, 0, start);
  EXPECT_EQ(log.new_lines(counters, 0, start).size(), 1U);
  counters.events[static_cast<std::size_t>(event::connection_refused)] = 100;
  const auto lines = log.new_lines(counters, 0, start + 1h);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(lines[0].starts_with("connection rejected")) << lines[0];
  EXPECT_TRUE(log.new_lines(counters, 0, start + 2h).empty());
}

TEST(fault_log, does_not_log_503_while_the_service_stops) {
  fault_log log;
  log.on_stopping();
  log.new_lines(refused(503, 3), 0, start);
  EXPECT_TRUE(log.new_lines(refused(503, 3), 0, start).empty());
  log.new_lines(refused(507, 3), 0, start);
  EXPECT_EQ(log.new_lines(refused(507, 3), 0, start).size(), 1U);
}

TEST(fault_log, logs_dropped_access_lines) {
  fault_log log;
  const auto lines = log.new_lines({}, 5, start);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0],
            "access log line dropped: its reader is too slow or has closed, 5 times since the last "
            "such line");
  EXPECT_TRUE(log.new_lines({}, 5, start + 1h).empty());
}

} // namespace
} // namespace kvcache::daemon
