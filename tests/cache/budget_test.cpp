#include "cache/budget.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <thread>
#include <vector>

namespace kvcache {
namespace {

TEST(budget, admits_what_fits_and_nothing_more) {
  budget b{100};
  EXPECT_TRUE(b.try_charge(60));
  EXPECT_FALSE(b.try_charge(41));
  EXPECT_EQ(b.missing_for(41), 1U);
  EXPECT_EQ(b.missing_for(40), 0U);
  EXPECT_TRUE(b.try_charge(40));
  EXPECT_FALSE(b.try_charge(std::numeric_limits<std::size_t>::max()));
  b.refund(100);
  EXPECT_EQ(b.held_bytes(), 0U);
}

TEST(budget, a_lowered_limit_admits_nothing_until_enough_is_refunded) {
  budget b{0}; // unlimited
  EXPECT_TRUE(b.try_charge(1000));
  b.set_limit_bytes(100);
  EXPECT_TRUE(b.over_limit());
  EXPECT_FALSE(b.try_charge(0));
  EXPECT_EQ(b.missing_for(10), 910U);
  b.refund(910);
  EXPECT_TRUE(b.try_charge(10));
}

TEST(budget, never_exceeds_its_limit_not_even_for_a_moment) {
  constexpr std::size_t limit = 1000;
  budget b{limit};
  std::atomic<bool> stop{false};
  std::atomic<bool> above{false};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200'000; ++i) {
        if (b.try_charge(400)) b.refund(400);
      }
    });
  }
  std::thread watch{[&] {
    while (!stop) {
      if (b.held_bytes() > limit) above = true;
    }
  }};
  for (auto& t : threads) t.join();
  stop = true;
  watch.join();
  EXPECT_FALSE(above);
  EXPECT_EQ(b.held_bytes(), 0U);
}

TEST(budget, only_the_owner_of_a_reservation_may_charge_it) {
  budget held{1000};
  ASSERT_TRUE(held.try_charge(600));
  {
    budget::reservation reserved{held};
    reserved.set(300);
    EXPECT_EQ(held.held_bytes(), 600U);
    EXPECT_TRUE(held.try_charge(100));
    EXPECT_FALSE(held.try_charge(1));
    EXPECT_EQ(held.missing_for(50), 50U);
    EXPECT_EQ(held.missing_for(300, reserved.bytes()), 0U);
    EXPECT_TRUE(held.try_charge(300, reserved.bytes()));
    held.refund(300);
  }
  EXPECT_TRUE(held.try_charge(300));
}

} // namespace
} // namespace kvcache
