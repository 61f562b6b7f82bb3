// A cache whose addresses end before its memory does, in small: below 70 % of the limit that they
// reach, nothing is evicted, whatever the sizes; at that limit, entries are evicted as for memory.
#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <vector>

#include "cache/addressing.hpp"
#include "cache/counting_memory.hpp"
#include "eviction/cache_alone.hpp"

namespace kvcache {
namespace {

using namespace test;

constexpr std::size_t range_bytes = std::size_t{256} << 20;
constexpr std::size_t limit_bytes = limit_addressable_with(range_bytes);

struct sizes {
  const char* name;
  std::vector<std::size_t> value_bytes; // of which each value has one, at random
};

class an_addressable_limit : public testing::TestWithParam<sizes> {
protected:
  std::size_t next_size() {
    const std::vector<std::size_t>& all = GetParam().value_bytes;
    return all[random() % all.size()];
  }
  bool put_next() {
    const std::size_t size = next_size();
    put_bytes += size;
    return put_number(entries, next++, size);
  }
  double percent(std::uint64_t bytes) const {
    return 100.0 * static_cast<double>(bytes) / static_cast<double>(limit_bytes);
  }
  std::uint64_t evicted() const {
    const auto& counts = entries.stats().evictions;
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  }

  std::mt19937_64 random{7}; // NOLINT(bugprone-random-generator-seed): repeatable
  std::size_t next = 0;
  std::uint64_t put_bytes = 0;
  counting_memory memory;
  bool bounded = (memory.reserve_at_most(range_bytes), true);
  cache_alone cache{limit_bytes, repeatable_options(), memory};
  store& entries = cache.entries;
  evictor& evict = cache.evict;
};

TEST_P(an_addressable_limit, evicts_nothing_below_seventy_percent) {
  ASSERT_EQ(entries.addressable_limit_bytes(), limit_bytes);
  while (percent(entries.held_bytes()) < 69.5) {
    ASSERT_TRUE(put_next()) << next;
    if (next % 1000 == 0) evict.run();
  }
  EXPECT_EQ(evicted(), 0U);
  EXPECT_EQ(entries.size(), next);
}

TEST_P(an_addressable_limit, evicts_as_for_memory_above) {
  while (percent(put_bytes) < 300) {
    ASSERT_TRUE(put_next()) << next;
    if (next % 1000 == 0) evict.run();
    ASSERT_LT(percent(entries.held_bytes()), 95);
  }
  EXPECT_GT(evicted(), 0U);
  evict.run();
  EXPECT_GT(percent(entries.live_bytes()), 60);
}

INSTANTIATE_TEST_SUITE_P(
    mixes, an_addressable_limit,
    testing::Values(sizes{"nine_kilobytes", {9'000}}, sizes{"two_blocks_a_slab", {21'700}},
                    sizes{"just_over_a_small_block", {33'000}}, sizes{"just_over_a_slab", {65'600}},
                    sizes{"just_over_two_slabs", {131'200}},
                    sizes{"small_and_just_over_a_slab", {100, 300, 65'600}},
                    sizes{"all", {30, 1'000, 9'000, 17'000, 33'000, 65'600, 200'000}}),
    [](const auto& instance) { return instance.param.name; });

} // namespace
} // namespace kvcache
