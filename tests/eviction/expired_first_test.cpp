// What has expired goes before anything that lives: for room in bytes, and under a limit of
// entries.
#include "eviction/expired_first.hpp"

#include <gtest/gtest.h>

#include "eviction/cache_alone.hpp"
#include "eviction/store_fixture.hpp"

namespace kvcache {
namespace {

using namespace test;

constexpr std::uint64_t mib = std::uint64_t{1} << 20;
constexpr std::size_t permanent = 12'000;
constexpr std::size_t value_bytes = 100;

TEST(expired_first, evicts_every_expired_entry_and_no_other) {
  store entries(repeatable_options());
  expired_first hand(entries, 1);
  for (std::size_t i = 0; i < 30'000; ++i) {
    ASSERT_TRUE(put_number(entries, i, value_bytes, i % 7 == 0 ? 10 : i % 7 == 1 ? 1000 : never));
  }
  EXPECT_EQ(hand.evict_one().bytes, 0U);
  entries.advance_clock(10);
  std::size_t evicted = 0;
  while (hand.evict_one().bytes != 0) ++evicted;
  EXPECT_EQ(evicted, (30'000U + 6) / 7);
  EXPECT_EQ(evictions_of(entries, eviction_cause::expired), evicted);
  for (std::size_t i = 0; i < 30'000; ++i) ASSERT_EQ(holds_number(entries, i), i % 7 != 0);
  entries.advance_clock(1000);
  while (hand.evict_one().bytes != 0) ++evicted;
  EXPECT_EQ(evicted, (30'000U + 6) / 7 + (30'000U + 5) / 7);
}

TEST(expired_first, finds_expiries_set_by_overwrites_and_entries_that_moved) {
  store entries(repeatable_options());
  expired_first hand(entries, 1);
  for (std::size_t i = 0; i < 20'000; ++i) put_number(entries, i, value_bytes, 1000);
  for (std::size_t i = 0; i < 20'000; i += 10) put_number(entries, i, value_bytes, 10); // in place
  for (std::size_t i = 0; i < 20'000; ++i) {
    if (i % 10 != 0 && i % 4 != 0) entries.erase(key_of(i));
  }
  while (entries.maintain(1'000'000)) {
  }
  ASSERT_GT(entries.stats().entries_moved, 1000U);
  entries.advance_clock(10);
  std::size_t evicted = 0;
  while (hand.evict_one().bytes != 0) ++evicted;
  EXPECT_EQ(evicted, 2000U);
}

TEST(expired_first, spares_an_entry_whose_expiry_was_extended) {
  store entries(repeatable_options());
  expired_first hand(entries, 1);
  for (std::size_t i = 0; i < 1000; ++i) put_number(entries, i, value_bytes, 10);
  for (std::size_t i = 0; i < 1000; ++i) put_number(entries, i, value_bytes, 20);
  entries.advance_clock(10);
  EXPECT_EQ(hand.evict_one().bytes, 0U);
  entries.advance_clock(20);
  EXPECT_NE(hand.evict_one().bytes, 0U);
}

// Entries that live for ever, then ten seconds of a stream of entries that live for one: as many
// live at once as half of what fits, but ten times as many are put. `runs`: the evictor keeps up.
void put_short_lives(cache_alone& cache, bool runs) {
  for (std::size_t i = 0; i < permanent; ++i) {
    ASSERT_TRUE(put_number(cache.entries, i, value_bytes));
  }
  std::size_t number = permanent;
  for (tick now = 0; now < 10 * ticks_per_second; ++now) {
    cache.entries.advance_clock(now);
    for (int i = 0; i < 500; ++i) {
      ASSERT_TRUE(put_number(cache.entries, number++, value_bytes, now + ticks_per_second + 1));
    }
    if (runs) cache.evict.run();
  }
  for (std::size_t i = 0; i < permanent; ++i) ASSERT_TRUE(holds_number(cache.entries, i)) << i;
  for (std::size_t i = number - 5000; i < number; ++i) {
    ASSERT_TRUE(holds_number(cache.entries, i)) << i;
  }
  EXPECT_GT(evictions_of(cache.entries, eviction_cause::expired), 10'000U);
  for (const eviction_cause cause : {eviction_cause::clock, eviction_cause::lru,
                                     eviction_cause::emergency, eviction_cause::max_entries}) {
    EXPECT_EQ(evictions_of(cache.entries, cause), 0U) << static_cast<int>(cause);
  }
}

constexpr std::uint64_t limit_for_twice_the_living = 8 * mib;

TEST(short_lives, evict_no_living_entry_for_bytes) {
  cache_alone cache(limit_for_twice_the_living, repeatable_options());
  put_short_lives(cache, true);
}

TEST(short_lives, evict_no_living_entry_for_bytes_even_if_only_puts_make_room) {
  cache_alone cache(limit_for_twice_the_living, repeatable_options());
  put_short_lives(cache, false);
}

TEST(short_lives, evict_no_living_entry_under_a_limit_of_entries) {
  cache_options options = repeatable_options();
  options.max_entries = 2 * permanent;
  cache_alone cache(1024 * mib, options);
  put_short_lives(cache, false);
}

TEST(short_lives, are_collected_at_once_if_many_have_expired) {
  cache_alone cache(1024 * mib, repeatable_options());
  for (std::size_t i = 0; i < 100'000; ++i) {
    put_number(cache.entries, i, value_bytes, i < 50'000 ? never : tick{10});
  }
  cache.entries.advance_clock(10);
  for (int run = 0; run < 3; ++run) cache.evict.run();
  EXPECT_EQ(cache.entries.size(), 50'000U);
}

} // namespace
} // namespace kvcache
