#include "daemon/watchdog.hpp"

#include <gtest/gtest.h>

#include <array>

namespace kvcache::daemon {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t worker = 0;
constexpr std::size_t evictor = 1;
constexpr std::size_t clock_thread = 2;

// One worker, the evictor and the clock, under a timeout of 8 s that begins at 0.
class watchdog_of_three : public testing::Test {
protected:
  watchdog::decision at(std::chrono::milliseconds time) {
    return watchdog_.decide(progress_, watchdog::clock::time_point{time});
  }
  void all_proceed() {
    for (std::uint64_t& each : progress_) ++each;
  }

  std::array<std::uint64_t, 3> progress_{7, 7, 7};
  watchdog watchdog_{8s, progress_, watchdog::clock::time_point{}};
};

TEST_F(watchdog_of_three, is_fed_at_half_of_its_timeout_while_all_threads_proceed) {
  all_proceed();
  EXPECT_FALSE(at(3999ms).feed);
  EXPECT_TRUE(at(4000ms).feed);
  all_proceed();
  EXPECT_FALSE(at(7999ms).feed); // half of the timeout later
  EXPECT_TRUE(at(8000ms).feed);
}

TEST_F(watchdog_of_three, is_not_fed_while_any_of_its_threads_hangs) {
  auto time = 0ms;
  for (const std::size_t hanging : {worker, evictor, clock_thread}) {
    all_proceed();
    --progress_[hanging];
    EXPECT_FALSE(at(time + 4000ms).feed) << hanging;
    EXPECT_FALSE(at(time + 8000ms).feed) << hanging;
    ++progress_[hanging];
    EXPECT_TRUE(at(time + 8001ms).feed) << hanging;
    time += 8001ms;
  }
}

TEST_F(watchdog_of_three, is_fed_as_soon_as_the_slowest_thread_proceeds) {
  ++progress_[worker];
  ++progress_[clock_thread];
  EXPECT_FALSE(at(4000ms).feed);
  EXPECT_FALSE(at(5000ms).feed);
  ++progress_[evictor];
  EXPECT_TRUE(at(5250ms).feed);
  all_proceed();
  EXPECT_FALSE(at(9249ms).feed); // since then
  EXPECT_TRUE(at(9250ms).feed);
}

TEST_F(watchdog_of_three, does_not_count_progress_that_preceded_the_last_feeding) {
  all_proceed();
  EXPECT_TRUE(at(6000ms).feed);
  EXPECT_FALSE(at(12000ms).feed);
}

TEST_F(watchdog_of_three, accepts_counters_that_wrap) {
  progress_ = {UINT64_MAX, 0, 1};
  EXPECT_TRUE(at(4000ms).feed);
  progress_ = {0, 1, 2};
  EXPECT_TRUE(at(8000ms).feed);
}

TEST_F(watchdog_of_three, reports_a_stalled_thread_once_before_the_timeout) {
  all_proceed();
  --progress_[evictor];
  EXPECT_FALSE(at(5999ms).stalled);
  EXPECT_EQ(at(6000ms).stalled, evictor);
  EXPECT_FALSE(at(6250ms).stalled);
}

TEST_F(watchdog_of_three, reports_a_thread_that_stalls_a_second_time) {
  EXPECT_EQ(at(6000ms).stalled, worker);
  all_proceed();
  EXPECT_TRUE(at(7000ms).feed);
  EXPECT_EQ(at(13000ms).stalled, worker);
}

TEST(watchdog, warns_of_a_timeout_that_threads_which_work_may_miss) {
  EXPECT_FALSE(find_timeout_too_short(1s, 100ms));
  EXPECT_FALSE(find_timeout_too_short(4s, 1000ms));
  EXPECT_TRUE(find_timeout_too_short(999ms, 100ms));
  const auto warning = find_timeout_too_short(3999ms, 1000ms);
  ASSERT_TRUE(warning);
  EXPECT_NE(warning->find("at least 4000 ms"), std::string::npos) << *warning;
}

TEST(watchdog, names_the_thread_that_hangs) {
  EXPECT_NE(explain_stall(0, 2, 30s).find("worker 1"), std::string::npos);
  EXPECT_NE(explain_stall(1, 2, 30s).find("worker 2"), std::string::npos);
  EXPECT_NE(explain_stall(2, 2, 30s).find("evictor"), std::string::npos);
  EXPECT_NE(explain_stall(3, 2, 30s).find("clock"), std::string::npos);
}

} // namespace
} // namespace kvcache::daemon
