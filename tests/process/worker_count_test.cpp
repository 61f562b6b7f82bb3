#include "process/worker_count.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <limits>

namespace kvcache::config {
namespace {

TEST(worker_count, is_the_number_of_processors_without_a_quota) {
  EXPECT_EQ(worker_count(1, std::nullopt), 1U);
  EXPECT_EQ(worker_count(64, std::nullopt), 64U);
}

TEST(worker_count, follows_a_lower_quota_rounded_up) {
  EXPECT_EQ(worker_count(8, 2.0), 2U);
  EXPECT_EQ(worker_count(8, 1.5), 2U);
  EXPECT_EQ(worker_count(8, 0.1), 1U);
}

TEST(worker_count, never_exceeds_the_number_of_processors) {
  EXPECT_EQ(worker_count(2, 2.5), 2U);
  EXPECT_EQ(worker_count(2, 1e300), 2U);
  EXPECT_EQ(worker_count(2, std::numeric_limits<double>::infinity()), 2U);
}

TEST(worker_count, is_at_least_one) {
  EXPECT_EQ(worker_count(0, std::nullopt), 1U);
  EXPECT_EQ(worker_count(4, 0.0), 1U);
  EXPECT_EQ(worker_count(4, -1.0), 1U);
  EXPECT_EQ(worker_count(4, std::numeric_limits<double>::quiet_NaN()), 4U);
}

TEST(worker_count, counts_the_processors_of_the_affinity_mask) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  EXPECT_EQ(processors_by_affinity(), static_cast<unsigned>(CPU_COUNT(&before)));

  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(processors_by_affinity(), 1U);
  ASSERT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
}

} // namespace
} // namespace kvcache::config
