#include "cache/slab_pool.hpp"

#include <gtest/gtest.h>

#include <new>
#include <set>

#include "cache/counting_memory.hpp"

namespace kvcache {
namespace {

using test::counting_memory;

TEST(slab_pool, never_returns_slab_0_and_returns_each_slab_once) {
  slab_pool pool{system_memory_source()};
  std::set<std::uint32_t> taken;
  for (int i = 0; i < 100; ++i) {
    const auto slab = pool.take(1);
    ASSERT_EQ(slab.refusal, slab_refusal::none);
    EXPECT_NE(slab.first, 0U);
    EXPECT_TRUE(taken.insert(slab.first).second);
    pool.base()[slab.first * slab_bytes] = std::byte{1}; // it is usable
  }
  EXPECT_GT(pool.frontier(), *taken.rbegin());
}

TEST(slab_pool, reuses_the_lowest_free_slab_first) {
  slab_pool pool{system_memory_source()};
  for (int i = 0; i < 10; ++i) pool.take(1);
  pool.give(7, 1);
  pool.give(3, 1);
  EXPECT_EQ(pool.take(1).first, 3U);
  EXPECT_EQ(pool.take(1).first, 7U);
  EXPECT_EQ(pool.take(1).first, 11U);
}

TEST(slab_pool, finds_neighbouring_slabs_for_a_run) {
  slab_pool pool{system_memory_source()};
  for (int i = 0; i < 200; ++i) pool.take(1); // 1 … 200
  pool.give(60, 5);
  pool.give(130, 6);
  EXPECT_EQ(pool.take(6).first, 130U);
  EXPECT_EQ(pool.take(5).first, 60U);
  EXPECT_EQ(pool.take(4).first, 201U);
  pool.give(203, 2); // at the frontier: the run is lengthened beyond it
  EXPECT_EQ(pool.take(10).first, 203U);
}

TEST(slab_pool, says_so_when_the_kernel_refuses) {
  counting_memory memory;
  slab_pool pool{memory};
  memory.refuse(1, counting_memory::all);
  EXPECT_EQ(pool.take(1).refusal, slab_refusal::kernel_refused);
  memory.refuse_nothing();
  EXPECT_EQ(pool.take(1).refusal, slab_refusal::none);
}

TEST(slab_pool, reserves_less_address_space_when_much_is_refused) {
  counting_memory memory;
  memory.refuse(1, 3);
  const slab_pool pool{memory};
  EXPECT_EQ(pool.slab_count() * slab_bytes, std::size_t{4} << 30); // an eighth
}

TEST(slab_pool, reserves_no_more_than_it_is_asked_for) {
  const slab_pool pool{system_memory_source(), std::size_t{128} << 30};
  EXPECT_EQ(pool.range_bytes(), std::size_t{128} << 30);
  const slab_pool small{system_memory_source(), std::size_t{64} << 20};
  EXPECT_EQ(small.range_bytes(), std::size_t{64} << 20);
}

TEST(slab_pool, cannot_start_without_address_space) {
  counting_memory memory;
  memory.refuse(1, counting_memory::all);
  EXPECT_THROW(slab_pool{memory}, std::bad_alloc);
  EXPECT_EQ(memory.reserved_bytes(), 0U);
}

TEST(slab_pool, reports_when_all_addresses_are_used) {
  slab_pool pool{system_memory_source()};
  const std::uint32_t all = pool.slab_count();
  EXPECT_EQ(pool.take(all).refusal, slab_refusal::range_full); // slab 0 is not for use
  ASSERT_EQ(pool.take(all - 2).refusal, slab_refusal::none);
  EXPECT_EQ(pool.take(1).refusal, slab_refusal::none);
  EXPECT_EQ(pool.take(1).refusal, slab_refusal::range_full);
  pool.give(5, 1);
  EXPECT_EQ(pool.take(2).refusal, slab_refusal::range_full); // no two neighbours
  EXPECT_EQ(pool.take(1).first, 5U);
}

} // namespace
} // namespace kvcache
