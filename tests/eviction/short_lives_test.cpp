// Entries of many sizes and short lives: while what lives is below the mark, none of it is evicted
// and no PUT is refused, whatever has expired and lies where.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "eviction/cache_alone.hpp"

namespace kvcache {
namespace {

using namespace test;

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

struct lives {
  std::uint64_t limit_mib;
  std::size_t least_bytes; // of the values
  std::size_t most_bytes;
  std::size_t puts_a_tick;
  tick life;                 // in ticks
  unsigned permanent_one_in; // so many live for ever; 0: none
};

class short_lives_of_many_sizes : public testing::TestWithParam<lives> {};

TEST_P(short_lives_of_many_sizes, evict_no_living_entry_below_the_mark) {
  const lives p = GetParam();
  cache_alone cache(p.limit_mib * mib);
  std::mt19937_64 random{3}; // NOLINT(bugprone-random-generator-seed): repeatable
  struct put_entry {
    tick expires_at;
    std::size_t bytes;
  };
  std::vector<put_entry> all;
  const std::uint64_t most_permanent = p.limit_mib * mib / 8;
  std::uint64_t permanent_bytes = 0;
  for (tick now = 1; now < 60; ++now) {
    cache.entries.advance_clock(now);
    for (std::size_t i = 0; i < p.puts_a_tick; ++i) {
      const std::size_t bytes = p.least_bytes + random() % (p.most_bytes - p.least_bytes + 1);
      const bool stays = p.permanent_one_in != 0 && random() % p.permanent_one_in == 0 &&
                         permanent_bytes < most_permanent;
      if (stays) permanent_bytes += bytes + 60;
      all.push_back({stays ? never : now + p.life, bytes});
      ASSERT_TRUE(put_number(cache.entries, all.size() - 1, bytes, all.back().expires_at))
          << now << ' ' << i;
    }
    cache.evict.run();
    const std::size_t first = all.size() - std::min(all.size(), p.puts_a_tick * p.life);
    for (std::size_t i = now % 10 == 0 ? 0 : first; i < all.size(); ++i) {
      if (all[i].expires_at != never && all[i].expires_at <= now) continue;
      ASSERT_TRUE(holds_number(cache.entries, i)) << now << ' ' << i;
    }
    ASSERT_LT(cache.entries.held_bytes(), cache.limit * 95 / 100) << now;
  }
  EXPECT_GT(evictions_of(cache.entries, eviction_cause::expired), p.puts_a_tick);
  for (const eviction_cause cause : {eviction_cause::clock, eviction_cause::lru,
                                     eviction_cause::emergency, eviction_cause::max_entries}) {
    EXPECT_EQ(evictions_of(cache.entries, cause), 0U) << static_cast<int>(cause);
  }
}

INSTANTIATE_TEST_SUITE_P(sizes, short_lives_of_many_sizes,
                         testing::Values(lives{16, 1, 30, 5115, 11, 10},
                                         lives{16, 1, 30, 5115, 11, 0},
                                         lives{16, 1, 200, 3000, 11, 8},
                                         lives{32, 1, 1000, 1500, 16, 5},
                                         lives{64, 10, 4000, 600, 21, 4}));

// ---- above the mark -----------------------------------------------------------------------------

// How often the cache is filled. One thread does it, so a sanitizer sees as much in less.
#ifdef KVCACHE_SANITIZED
constexpr std::size_t fillings = 3;
#else
constexpr std::size_t fillings = 16;
#endif

// What is evicted for a PUT of any size is old: what was put just before is still there.
class endless_puts : public testing::TestWithParam<std::pair<std::uint64_t, std::size_t>> {};

TEST_P(endless_puts, evict_no_entry_that_was_put_lately) {
  const auto [limit_mib, most_bytes] = GetParam();
  cache_alone cache(limit_mib * mib);
  std::mt19937_64 random{4}; // NOLINT(bugprone-random-generator-seed): repeatable
  std::size_t number = 0;
  const auto some_bytes = [&] { return 1 + random() % most_bytes; };
  const std::size_t fit = limit_mib * mib * 7 / 10 / (most_bytes / 2 + 64);
  const std::size_t lately = std::min<std::size_t>(1000, fit / 16);
  while (number < fillings * fit) {
    if (number % 1000 == 0) cache.evict.run();
    ASSERT_TRUE(put_number(cache.entries, number, some_bytes())) << number;
    ++number;
    if (number < 2 * fit || number % lately != 0) continue;
    for (std::size_t i = number - lately; i < number; ++i) {
      ASSERT_TRUE(holds_number(cache.entries, i)) << i << " of " << number;
    }
  }
  EXPECT_GT(evictions_of(cache.entries, eviction_cause::lru), fit);
}

INSTANTIATE_TEST_SUITE_P(sizes, endless_puts,
                         testing::Values(std::pair{64U, 1024U}, std::pair{32U, 4000U},
                                         std::pair{16U, 30U}, std::pair{16U, 200U},
                                         std::pair{16U, 1000U}, std::pair{16U, 4000U},
                                         std::pair{24U, 100U}, std::pair{8U, 256U},
                                         std::pair{48U, 512U}));

} // namespace
} // namespace kvcache
