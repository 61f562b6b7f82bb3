#include "snapshot/save_order.hpp"

#include <gtest/gtest.h>

#include "snapshot_support.hpp"

namespace kvcache::snapshot {
namespace {

constexpr epoch begun = 1000;

entry_meta used(epoch age, unsigned uses = 0) {
  return entry_meta::for_new_entry(begun - 1 - age, false, false).with_uses(uses);
}

TEST(save_order, younger_entries_are_in_earlier_bands) {
  save_order order{test::by_age(), begun};
  for (epoch age = 0; age < 64; ++age) order.count(used(age), 100);
  order.divide();
  unsigned last = 0;
  for (epoch age = 0; age < 64; ++age) {
    EXPECT_GE(order.band_of(used(age)), last);
    last = order.band_of(used(age));
  }
  EXPECT_EQ(order.band_of(used(0)), 0U);
  EXPECT_GT(last, 2U);
  EXPECT_LT(last, save_order::bands);
}

TEST(save_order, follows_the_order_of_eviction_whatever_the_age) {
  auto ranks = test::by_age();
  for (auto& rank : ranks[3]) rank -= 1000; // much-used entries are kept for longest
  save_order order{ranks, begun};
  order.count(used(60, 3), 100);
  order.count(used(0, 0), 100);
  order.divide();
  EXPECT_LT(order.band_of(used(60, 3)), order.band_of(used(0, 0)));
}

TEST(save_order, what_is_used_since_the_beginning_is_in_the_last_band) {
  save_order order{test::by_age(), begun};
  order.count(used(3), 100);
  order.divide();
  const entry_meta touched = used(3).touched(begun);
  EXPECT_EQ(order.band_of(touched), save_order::bands);
  EXPECT_EQ(order.band_of(touched.touched(begun + 500)), save_order::bands);
  EXPECT_EQ(order.age_before(touched), 0U);
}

TEST(save_order, a_few_hot_entries_are_not_mixed_with_many_others) {
  save_order order{test::by_age(), begun};
  order.count(used(0), 100);
  order.count(used(1), 1'000'000);
  order.count(used(100), 50);
  order.divide();
  EXPECT_EQ(order.band_of(used(0)), 0U);
  EXPECT_EQ(order.band_of(used(1)), 1U);
  EXPECT_EQ(order.band_of(used(100)), 2U);
}

TEST(save_order, an_empty_store_has_one_band) {
  save_order order{test::by_age(), begun};
  order.divide();
  EXPECT_EQ(order.band_of(used(7)), 0U);
}

TEST(save_order, the_age_counts_from_the_beginning_across_the_clocks_wrap) {
  save_order order{test::by_age(), 2};
  const entry_meta before_wrap =
      entry_meta::for_new_entry(entry_meta::stamp_mask - 7, false, false);
  EXPECT_EQ(order.age_before(before_wrap), 10U);
  EXPECT_LT(order.band_of(before_wrap), save_order::bands);
}

} // namespace
} // namespace kvcache::snapshot
