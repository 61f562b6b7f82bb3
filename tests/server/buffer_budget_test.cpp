#include "server/buffer_budget.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <limits>
#include <thread>
#include <vector>

namespace kvcache::http {
namespace {

TEST(buffer_budget, has_room_up_to_its_cap_and_not_for_a_byte_more) {
  buffer_budget budget{1000};
  budget.change(0, 400);
  EXPECT_TRUE(budget.has_room(600));
  EXPECT_FALSE(budget.has_room(601));
  budget.change(400, 100);
  EXPECT_TRUE(budget.has_room(900));
  EXPECT_FALSE(budget.has_room(901));
}

TEST(buffer_budget, without_a_cap_has_room_for_everything_and_is_never_short) {
  buffer_budget budget{0};
  budget.change(0, std::size_t{1} << 40);
  EXPECT_TRUE(budget.has_room(std::size_t{1} << 40));
  EXPECT_EQ(budget.bytes_at_a_time_most(), std::numeric_limits<std::size_t>::max());
  EXPECT_FALSE(budget.is_short());
  EXPECT_FALSE(budget.is_over());
  EXPECT_FALSE(budget.is_far_over());
}

TEST(buffer_budget, is_short_above_three_quarters_of_its_cap_and_over_above_all_of_it) {
  buffer_budget budget{1000};
  budget.change(0, 750);
  EXPECT_FALSE(budget.is_short());
  budget.change(750, 751);
  EXPECT_TRUE(budget.is_short());
  budget.change(751, 1000);
  EXPECT_FALSE(budget.is_over());
  budget.change(1000, 1001);
  EXPECT_TRUE(budget.is_over());
}

TEST(buffer_budget, decides_on_shortage_without_the_connections_blocks) {
  buffer_budget budget{1000};
  budget.change_blocks(0, 900);
  EXPECT_EQ(budget.used_bytes(), 900U);
  EXPECT_FALSE(budget.is_short());
  budget.change(0, 75); // of the 100 that the blocks leave
  EXPECT_FALSE(budget.is_short());
  budget.change(75, 76);
  EXPECT_TRUE(budget.is_short());
  budget.change_blocks(900, 0);
  EXPECT_EQ(budget.used_bytes(), 76U);
  EXPECT_FALSE(budget.is_short());
}

TEST(buffer_budget, is_short_with_the_first_buffer_if_blocks_use_all_of_it) {
  buffer_budget budget{1000};
  budget.change_blocks(0, 1200);
  EXPECT_FALSE(budget.is_short());
  budget.change(0, 1);
  EXPECT_TRUE(budget.is_short());
}

TEST(buffer_budget, is_far_over_only_above_its_cap_and_half_of_it) {
  buffer_budget budget{1000};
  budget.change(0, 1500);
  EXPECT_TRUE(budget.is_over());
  EXPECT_FALSE(budget.is_far_over());
  budget.change(1500, 1501);
  EXPECT_TRUE(budget.is_far_over());
}

TEST(buffer_budget, tolerates_blocks_above_its_cap_up_to_half_of_it_more) {
  buffer_budget budget{1000};
  budget.change_blocks(0, 300);
  budget.change(0, 1500);
  EXPECT_FALSE(budget.is_far_over());
  budget.change(1500, 1501);
  EXPECT_TRUE(budget.is_far_over());
  budget.change_blocks(300, 800); // half of the cap, 500, is what counts of these
  budget.change(1501, 1200);
  EXPECT_FALSE(budget.is_far_over());
  budget.change(1200, 1201);
  EXPECT_TRUE(budget.is_far_over());
}

TEST(buffer_budget, tolerates_an_eighth_of_the_highest_cap_above_a_lowered_one) {
  buffer_budget budget{8000};
  budget.set_limit_bytes(100, 8000);
  EXPECT_EQ(budget.limit_bytes(), 100U);
  budget.change(0, 1100);
  EXPECT_TRUE(budget.is_over());
  EXPECT_FALSE(budget.is_far_over());
  budget.change(1100, 1101);
  EXPECT_TRUE(budget.is_far_over());
}

TEST(buffer_budget, allows_a_request_three_quarters_of_the_highest_cap) {
  buffer_budget budget{1000};
  EXPECT_EQ(budget.bytes_at_a_time_most(), 750U);
  budget.set_limit_bytes(100, 8000);
  EXPECT_EQ(budget.bytes_at_a_time_most(), 6000U);
  budget.set_limit_bytes(100);
  EXPECT_EQ(budget.bytes_at_a_time_most(), 75U);
}

TEST(buffer_budget, grants_its_spare_to_one_at_a_time_and_tolerates_its_bytes) {
  buffer_budget budget{1000};
  EXPECT_TRUE(budget.take_spare(700));
  EXPECT_FALSE(budget.take_spare(1));
  budget.change(0, 2200);
  EXPECT_FALSE(budget.is_far_over());
  budget.change(2200, 2201);
  EXPECT_TRUE(budget.is_far_over());
  budget.give_spare_back();
  budget.change(2201, 1501);
  EXPECT_TRUE(budget.is_far_over());
  EXPECT_TRUE(budget.take_spare(1));
}

TEST(buffer_budget, counts_the_workers_that_wait_and_notes_the_last_admission) {
  buffer_budget budget{1000};
  budget.change_waiting_workers(1);
  budget.change_waiting_workers(1);
  budget.change_waiting_workers(-1);
  EXPECT_EQ(budget.waiting_workers(), 1);
  budget.note_admission(12'345);
  EXPECT_EQ(budget.last_admission_ms(), 12'345U);
}

TEST(buffer_budget, loses_no_change_and_grants_its_spare_to_one_of_several_threads) {
  constexpr int threads = 4;
  constexpr int rounds = 20'000;
  buffer_budget budget{1000};
  std::atomic<int> spares{0};
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t)
    all.emplace_back([&] {
      for (int i = 0; i < rounds; ++i) {
        budget.change(0, 3);
        budget.change(3, 1);
        if (budget.take_spare(1)) ++spares;
      }
    });
  for (std::thread& each : all) each.join();
  EXPECT_EQ(budget.used_bytes(), std::size_t{threads} * rounds);
  EXPECT_EQ(spares, 1);
}

} // namespace
} // namespace kvcache::http
