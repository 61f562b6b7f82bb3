// Free room of sizes that nobody asks for is no use: while content has less than it may have,
// nothing that lives is evicted for it, however full of it the store is.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "eviction/cache_alone.hpp"

namespace kvcache {
namespace {

using namespace test;

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

// Small entries, two fifths of them erased in random order, then larger ones.
struct size_change {
  std::uint64_t limit_mib;
  std::size_t small;
  std::size_t erased;
  std::size_t small_value_bytes;
  std::size_t larger;
  std::size_t larger_value_bytes;
  std::size_t puts_a_run; // of the evictor; 0: it does not run meanwhile
};

class stranded_room : public testing::TestWithParam<size_change> {
protected:
  double percent(std::uint64_t bytes) const {
    return 100.0 * static_cast<double>(bytes) / static_cast<double>(GetParam().limit_mib * mib);
  }
  double effective_percent() const { return percent(entries.live_bytes() + entries.index_bytes()); }

  cache_alone cache{GetParam().limit_mib * mib};
  store& entries = cache.entries;
  evictor& evict = cache.evict;
};

TEST_P(stranded_room, evicts_no_entry_below_seventy_percent) {
  const size_change p = GetParam();
  std::vector<std::size_t> numbers(p.small);
  for (std::size_t i = 0; i < p.small; ++i) {
    numbers[i] = i;
    ASSERT_TRUE(put_number(entries, i, p.small_value_bytes)) << i;
  }
  evict.run();
  std::mt19937_64 random{11}; // NOLINT(bugprone-random-generator-seed): repeatable
  std::shuffle(numbers.begin(), numbers.end(), random);
  for (std::size_t i = 0; i < p.erased; ++i) ASSERT_TRUE(entries.erase(key_of(numbers[i])));
  for (std::size_t i = 0; i < p.larger; ++i) {
    if (p.puts_a_run != 0 && i % p.puts_a_run == 0) evict.run();
    ASSERT_TRUE(put_number(entries, p.small + i, p.larger_value_bytes)) << i;
    ASSERT_LE(effective_percent(), 70); // or the test asks for more than is promised
    ASSERT_LT(percent(entries.held_bytes()), 95) << i;
  }
  for (const std::uint64_t count : entries.stats().evictions) EXPECT_EQ(count, 0U);
  EXPECT_EQ(entries.size(), p.small - p.erased + p.larger);
  for (int run = 0; run < 20; ++run) evict.run();
  EXPECT_LE(percent(entries.held_bytes()), 75);
  EXPECT_EQ(entries.size(), p.small - p.erased + p.larger);
}

INSTANTIATE_TEST_SUITE_P(
    sizes, stranded_room,
    testing::Values(size_change{128, 800'000, 320'000, 30, 135'000, 250, 20'000},
                    size_change{128, 800'000, 320'000, 30, 135'000, 250, 0},
                    size_change{64, 400'000, 160'000, 30, 65'000, 250, 0},
                    size_change{64, 600'000, 400'000, 10, 60'000, 250, 0},
                    size_change{64, 600'000, 400'000, 10, 85'000, 250, 0},
                    size_change{64, 600'000, 400'000, 10, 85'000, 250, 20'000}));

} // namespace
} // namespace kvcache
