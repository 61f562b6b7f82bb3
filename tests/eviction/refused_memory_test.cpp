// Where the kernel refuses memory, that is a limit found by experience: PUTs evict for themselves,
// and a higher level is tried again later.
#include <gtest/gtest.h>

#include <atomic>

#include "cache/counting_memory.hpp"
#include "eviction/cache_alone.hpp"

namespace kvcache {
namespace {

using namespace test;

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

class refused_memory : public testing::Test {
protected:
  counting_memory memory;
  cache_alone cache{1024 * mib, repeatable_options(), memory};
  store& entries = cache.entries;
  evictor& evict = cache.evict;
};

TEST_F(refused_memory, makes_puts_evict_the_oldest_instead_of_failing) {
  constexpr std::size_t before = 50'000;
  constexpr std::size_t more = 100'000;
  for (std::size_t i = 0; i < before; ++i) ASSERT_TRUE(put_number(entries, i, 100));
  memory.refuse(1, counting_memory::all);
  std::size_t stored = 0;
  for (std::size_t i = before; i < before + more; ++i) {
    stored += put_number(entries, i, 100) ? 1 : 0;
    if (i % 5000 == 0) evict.run();
  }
  EXPECT_GE(stored, more - 100);
  EXPECT_GT(entries.size(), before / 2);
  std::size_t fresh = 0;
  for (std::size_t i = before + more - 1000; i < before + more; ++i) {
    fresh += holds_number(entries, i) ? 1 : 0;
  }
  EXPECT_GE(fresh, 995U);
}

TEST_F(refused_memory, is_requested_again_seconds_later) {
  constexpr std::size_t value_bytes = 4000; // blocks are refused before the index is
  std::size_t number = 0;
  for (; number < 2'000; ++number) ASSERT_TRUE(put_number(entries, number, value_bytes));
  memory.refuse(1, counting_memory::all);
  for (std::size_t i = 0; i < 1000; ++i) ASSERT_TRUE(put_number(entries, number++, value_bytes));
  ASSERT_LT(entries.hold_limit_bytes(), 64 * mib);
  const std::size_t limit = entries.hold_limit_bytes();
  EXPECT_GT(evictions_of(entries, eviction_cause::lru), 0U);
  memory.refuse_nothing();
  evict.run();
  EXPECT_EQ(entries.hold_limit_bytes(), limit); // not at once
  entries.advance_clock(entries.now() + 50);
  evict.run();
  EXPECT_GT(entries.hold_limit_bytes(), limit);
  tick now = entries.now();
  for (int probe = 0; probe < 1000 && entries.hold_limit_bytes() < 700 * mib; ++probe) {
    entries.advance_clock(now += 50);
    evict.run();
  }
  EXPECT_GT(entries.hold_limit_bytes(), 700 * mib);
}

} // namespace
} // namespace kvcache
