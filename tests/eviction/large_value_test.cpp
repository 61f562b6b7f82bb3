// Large values into a full cache of small entries: stored at the first try, for about as many bytes
// of entries as they take.
#include <gtest/gtest.h>

#include <random>

#include "eviction/cache_alone.hpp"

namespace kvcache {
namespace {

using namespace test;

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

constexpr std::size_t any_length = 0;

struct large_value {
  std::uint64_t limit_mib;
  std::size_t value_bytes;
  std::size_t small_bytes; // of the values that fill the cache; any_length: 1 to 1,000
};

class a_large_value : public testing::TestWithParam<large_value> {
protected:
  std::uint64_t evicted() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : entries.stats().evictions) sum += count;
    return sum;
  }

  cache_alone cache{GetParam().limit_mib * mib};
  store& entries = cache.entries;
  evictor& evict = cache.evict;
};

TEST_P(a_large_value, evicts_about_its_own_size_of_entries_from_a_full_cache) {
  const large_value p = GetParam();
  std::mt19937_64 random{5}; // NOLINT(bugprone-random-generator-seed): repeatable
  const auto small = [&] {
    return p.small_bytes == any_length ? 1 + random() % 1000 : p.small_bytes;
  };
  std::size_t number = 0;
  while (evicted() < 20'000) {
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(put_number(entries, number++, small()));
    if (number % 10'000 == 0) evict.run();
  }
  for (std::size_t i = 0; i < number; i += 1 + random() % 3) access_number(entries, i);
  for (int run = 0; run < 20; ++run) evict.run();
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(put_number(entries, number++, small()));
  int asked_again = 0;
  for (std::size_t i = 0; i < 6; ++i) {
    const std::size_t live = entries.live_bytes();
    const std::uint64_t moved = entries.stats().entries_moved;
    ASSERT_EQ(entries.put("large" + std::to_string(i), std::string(p.value_bytes, 'l'), never),
              put_outcome::inserted)
        << i;
    // It is live itself now; a slab is the least that helps, and one more may be the last call's
    // that evicts. Where what was evicted first lies badly, as much is evicted once more: so it is
    // for one value in fifty.
    const std::size_t live_then = entries.live_bytes() + p.value_bytes / 4 + 2 * slab_bytes;
    asked_again += live > live_then ? 1 : 0;
    EXPECT_LE(live, live_then + p.value_bytes + slab_bytes) << i;
    EXPECT_LE(entries.stats().entries_moved - moved, 4096 + p.value_bytes / 16 + 1) << i;
    EXPECT_LE(entries.held_bytes(), entries.hold_limit_bytes() + 4096) << i; // bookkeeping
    for (int k = 0; k < 200; ++k) ASSERT_TRUE(put_number(entries, number++, small()));
  }
  EXPECT_LE(asked_again, 1);
}

INSTANTIATE_TEST_SUITE_P(
    large_values, a_large_value,
    testing::Values(large_value{64, 100'000, 100}, large_value{64, 1'000'000, 100},
                    large_value{64, 3'000'000, 100}, large_value{64, 4'000'000, 100},
                    large_value{64, 1'000'000, 10}, large_value{64, 100'000, any_length},
                    large_value{64, 1'000'000, any_length}, large_value{64, 3'000'000, any_length},
                    large_value{256, 4'000'000, any_length}));

} // namespace
} // namespace kvcache
