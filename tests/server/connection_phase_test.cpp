#include "server/connection_phase.hpp"

#include <gtest/gtest.h>

namespace kvcache::http {
namespace {

deadlines distinct() {
  deadlines after;
  after.head_timeout_ms = 1;
  after.body_timeout_ms = 2;
  after.idle_timeout_ms = 3;
  after.write_timeout_ms = 4;
  after.health_timeout_ms = 5;
  after.linger_timeout_ms = 6;
  return after;
}

TEST(connection_phase, has_the_timeout_of_what_it_waits_for) {
  const deadlines after = distinct();
  EXPECT_EQ(timeout_ms(phase::head, after, true, false), 1U);
  EXPECT_EQ(timeout_ms(phase::body, after, true, false), 2U);
  EXPECT_EQ(timeout_ms(phase::idle, after, true, false), 3U);
  EXPECT_EQ(timeout_ms(phase::sending, after, true, false), 4U);
  EXPECT_EQ(timeout_ms(phase::room, after, true, false), 4U);
  EXPECT_EQ(timeout_ms(phase::linger, after, true, false), 6U);
  for (const phase each : {phase::serving, phase::deferred, phase::closed})
    EXPECT_EQ(timeout_ms(each, after, true, false), 0U);
}

TEST(connection_phase, allows_a_first_request_no_more_time_than_its_head) {
  deadlines after = distinct();
  EXPECT_EQ(timeout_ms(phase::idle, after, false, false), 1U);
  after.head_timeout_ms = 9;
  EXPECT_EQ(timeout_ms(phase::idle, after, false, false), 3U);
}

TEST(connection_phase, allows_connections_over_the_limit_the_time_of_a_health_check) {
  const deadlines after = distinct();
  EXPECT_EQ(timeout_ms(phase::idle, after, false, true), 5U);
  EXPECT_EQ(timeout_ms(phase::sending, after, true, true), 5U);
  EXPECT_EQ(timeout_ms(phase::linger, after, true, true), 6U);
}

} // namespace
} // namespace kvcache::http
