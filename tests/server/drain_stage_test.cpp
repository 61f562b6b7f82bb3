#include "server/drain_stage.hpp"

#include <gtest/gtest.h>

namespace kvcache::http {
namespace {

using namespace std::chrono_literals;

constexpr drain_clock::time_point now{1h};

TEST(drain_stage, lasts_as_long_as_wanted_if_there_is_time) {
  EXPECT_EQ(drain_stage(50ms, now, now + 8s), 50ms);
  EXPECT_EQ(drain_stage(50ms, now, now + 100ms), 50ms);
}

TEST(drain_stage, leaves_half_of_the_time_to_the_rest) {
  EXPECT_EQ(drain_stage(50ms, now, now + 60ms), 30ms);
  EXPECT_EQ(drain_stage(500ms, now, now + 1ms), 500us);
}

TEST(drain_stage, lasts_no_time_at_the_end) {
  EXPECT_EQ(drain_stage(50ms, now, now), 0ms);
  EXPECT_EQ(drain_stage(50ms, now, now - 1h), 0ms);
}

TEST(drain_stage, never_exceeds_the_end_with_several_stages) {
  for (const auto timeout : {1ms, 10ms, 99ms, 100ms, 550ms, 3000ms}) {
    const auto end = now + timeout;
    const auto listening_ends = now + drain_stage(50ms, now, end);
    const auto idling_ends = listening_ends + drain_stage(500ms, listening_ends, end);
    EXPECT_LT(idling_ends, end);
  }
}

} // namespace
} // namespace kvcache::http
