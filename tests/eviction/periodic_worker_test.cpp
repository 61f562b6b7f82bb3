#include "eviction/periodic_worker.hpp"

#include <atomic>
#include <chrono>

#include <gtest/gtest.h>

namespace kvcache {
namespace {

using namespace std::chrono_literals;

constexpr auto long_enough = 30s;
constexpr periodic_worker::timing often{.interval = 1ms, .rest = 1ms};
constexpr periodic_worker::timing never_by_itself{.interval = 1h, .rest = 1ms};

TEST(periodic_worker, runs_at_once_and_then_periodically) {
  std::atomic<unsigned> runs{0};
  periodic_worker worker([&] { ++runs; }, often);
  EXPECT_TRUE(worker.await_runs(5, long_enough));
  EXPECT_GE(runs, 5U);
  EXPECT_GE(worker.runs(), 5U);
}

TEST(periodic_worker, runs_when_it_is_poked) {
  std::atomic<unsigned> runs{0};
  periodic_worker worker([&] { ++runs; }, never_by_itself);
  ASSERT_TRUE(worker.await_runs(1, long_enough));
  worker.poke();
  EXPECT_TRUE(worker.await_runs(2, long_enough));
  EXPECT_EQ(runs, 2U);
}

TEST(periodic_worker, stops_while_it_waits) {
  std::atomic<unsigned> runs{0};
  {
    periodic_worker worker([&] { ++runs; }, never_by_itself);
    ASSERT_TRUE(worker.await_runs(1, long_enough));
  }
  EXPECT_EQ(runs, 1U);
}

} // namespace
} // namespace kvcache
