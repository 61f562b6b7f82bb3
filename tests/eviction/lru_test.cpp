#include "eviction/lru.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "eviction/expiry_sweep.hpp"
#include "eviction/store_fixture.hpp"

namespace kvcache {
namespace {

using namespace test;

constexpr auto cause = eviction_cause::lru;

// Puts the numbers [from, to), ten to an epoch.
void put_in_order(store& entries, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < to; ++i) {
    put_number(entries, i);
    if (i % 10 == 0) entries.advance_epoch();
  }
}

TEST(lru, evicts_the_oldest) {
  store entries(repeatable_options());
  lru oldest(entries, 1);
  put_in_order(entries, 0, 10'000);
  for (int i = 0; i < 2000; ++i) ASSERT_GT(oldest.evict_one(cause).bytes, 0U);
  EXPECT_EQ(evictions_of(entries, cause), 2000U);
  // Victims come from the oldest 32nd: everything further from the border than that is as it must
  // be.
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < 1600; ++i) wrong += holds_number(entries, i) ? 1 : 0;
  for (std::size_t i = 2400; i < 10'000; ++i) wrong += holds_number(entries, i) ? 0 : 1;
  EXPECT_EQ(wrong, 0U);
}

TEST(lru, an_access_makes_an_entry_young) {
  store entries(repeatable_options());
  lru oldest(entries, 1);
  put_in_order(entries, 0, 5000);
  for (std::size_t i = 0; i < 1000; ++i) access_number(entries, i);
  for (int i = 0; i < 2000; ++i) oldest.evict_one(cause);
  for (std::size_t i = 0; i < 1000; ++i) EXPECT_TRUE(holds_number(entries, i)) << i;
  for (std::size_t i = 1000; i < 2500; ++i) EXPECT_FALSE(holds_number(entries, i)) << i;
}

TEST(lru, entries_read_once_survive_a_flood_of_new_ones_for_most_of_a_turnover) {
  store entries(repeatable_options());
  lru oldest(entries, 1);
  constexpr std::size_t kept = 20'000;
  entries.ghosts().resize(kept);
  entries.set_epoch_accesses(epoch_accesses_for(kept));
  std::size_t number = 0;
  const auto flood = [&](std::size_t count) {
    for (const std::size_t end = number + count; number < end; ++number) {
      put_number(entries, number);
      while (entries.size() > kept) ASSERT_GT(oldest.evict_one(cause).bytes, 0U);
    }
  };
  flood(5 * kept); // has learned that nothing is ever used again
  const std::size_t first = number - kept * 9 / 10;
  for (std::size_t i = first; i < first + kept / 4; ++i) ASSERT_TRUE(access_number(entries, i));
  flood(kept / 2);
  std::size_t lost = 0;
  for (std::size_t i = first; i < first + kept / 4; ++i) lost += holds_number(entries, i) ? 0 : 1;
  EXPECT_LT(lost, kept / 4 / 100);
}

TEST(lru, a_hot_tenth_that_is_read_throughout_survives_a_flood) {
  store entries(repeatable_options());
  lru oldest(entries, 1);
  constexpr std::size_t kept = 20'000;
  constexpr std::size_t hot = kept / 10;
  entries.ghosts().resize(kept);
  entries.set_epoch_accesses(epoch_accesses_for(kept));
  for (std::size_t number = 0; number < 10 * kept; ++number) {
    put_number(entries, number);
    while (entries.size() > kept) ASSERT_GT(oldest.evict_one(cause).bytes, 0U);
    if (number >= hot) access_number(entries, number * 7919 % hot);
  }
  std::size_t lost = 0;
  for (std::size_t i = 0; i < hot; ++i) lost += holds_number(entries, i) ? 0 : 1;
  EXPECT_LE(lost, hot / 100);
}

TEST(lru, remembers_what_it_evicts_and_not_what_expired) {
  store entries(repeatable_options());
  entries.ghosts().resize(1000);
  lru oldest(entries, 1);
  for (std::size_t i = 0; i < 64; ++i) put_number(entries, i, 20, i % 2 == 0 ? never : tick{5});
  entries.advance_clock(5);
  for (int i = 0; i < 64; ++i) ASSERT_GT(oldest.evict_one(cause).bytes, 0U);
  for (std::size_t i = 0; i < 64; ++i) put_number(entries, i);
  walk_cursor cursor;
  std::size_t returned = 0;
  entries.walk(cursor, 4096, [&](walked_entry& e) { returned += e.meta().uses() == 1 ? 1U : 0U; });
  EXPECT_GE(returned, 32U);
}

TEST(lru, spares_a_picked_entry_that_was_accessed_before_its_turn) {
  store entries(repeatable_options());
  lru oldest(entries, 1);
  for (std::size_t i = 0; i < 64; ++i)
    put_number(entries, i); // of one age: one batch picks them all
  entries.advance_epoch();
  ASSERT_GT(oldest.evict_one(cause).bytes, 0U);
  entries.advance_epoch();
  for (std::size_t i = 0; i < 64; i += 2) access_number(entries, i);
  const std::size_t accessed = 32 - (holds_number(entries, 0) ? 0 : 1);
  while (entries.size() > accessed) ASSERT_GT(oldest.evict_one(cause).bytes, 0U);
  for (std::size_t i = 2; i < 64; i += 2) EXPECT_TRUE(holds_number(entries, i)) << i;
}

TEST(lru, evicts_every_entry_and_then_finds_none) {
  store entries(repeatable_options());
  lru oldest(entries, 1);
  put_in_order(entries, 0, 3000);
  for (int i = 0; i < 3000; ++i) ASSERT_GT(oldest.evict_one(cause).bytes, 0U) << i;
  EXPECT_EQ(entries.size(), 0U);
  EXPECT_EQ(oldest.evict_one(cause).bytes, 0U);
}

TEST(lru, finds_candidates_if_all_entries_have_the_same_age) {
  store entries(repeatable_options());
  lru oldest(entries, 1);
  for (std::size_t i = 0; i < 5000; ++i) put_number(entries, i);
  for (int i = 0; i < 1000; ++i) ASSERT_GT(oldest.evict_one(cause).bytes, 0U);
}

TEST(lru, counts_expired_entries_as_expired) {
  store entries(repeatable_options());
  lru oldest(entries, 1);
  for (std::size_t i = 0; i < 64; ++i) put_number(entries, i, 20, 5);
  entries.advance_clock(5);
  EXPECT_GT(oldest.evict_one(cause).bytes, 0U);
  EXPECT_EQ(evictions_of(entries, eviction_cause::expired), 1U);
  EXPECT_EQ(evictions_of(entries, cause), 0U);
}

TEST(lru, several_threads_evict_at_once_while_others_put) {
  store entries(repeatable_options());
  constexpr unsigned threads = 3;
  lru oldest(entries, threads);
  put_in_order(entries, 0, 20'000);
  std::atomic<unsigned> evicted{0};
  std::vector<std::thread> workers;
  for (unsigned t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      for (std::size_t i = 0; i < 2000; ++i) {
        // One that picks what another thread has just taken has nothing, and picks again.
        bool done = false;
        for (unsigned attempt = 0; !done && attempt < 100; ++attempt)
          done = oldest.evict_one(cause).bytes != 0;
        evicted += done ? 1U : 0U;
        put_number(entries, 100'000 + t * 10'000 + i);
      }
    });
  }
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(evicted, threads * 2000U);
  EXPECT_EQ(entries.size(), 20'000U);
}

// ---- stamps wrap around --------------------------------------------------------------

constexpr entry_meta stamped(epoch at) { return entry_meta::for_new_entry(at, false, false); }

TEST(age_of, is_correct_across_a_wrap_around_of_the_clock) {
  EXPECT_EQ(age_of(stamped(entry_meta::stamp_mask - 1), entry_meta::stamp_mask + epoch{5}), 6U);
  EXPECT_EQ(age_of(stamped(UINT32_MAX), epoch{3}), 4U);
  EXPECT_EQ(age_of(stamped(7), epoch{7}), 0U);
}

TEST(age_of, treats_a_stamp_ahead_of_the_clock_as_young) {
  EXPECT_EQ(age_of(stamped(9), epoch{7}), 0U);
}

TEST(epoch_accesses, are_a_24th_of_a_turnover) {
  for (const std::size_t count : {std::size_t{64}, std::size_t{1000}, std::size_t{5'000'000}}) {
    EXPECT_EQ(epoch_accesses_for(count), count / 24);
  }
  EXPECT_EQ(epoch_accesses_for(0), 1U);
}

// ---- the sweep -----------------------------------------------------------------------

TEST(expiry_sweep, collects_expired_entries_and_no_others) {
  store entries(repeatable_options());
  expiry_sweep sweep(entries);
  for (std::size_t i = 0; i < 3000; ++i) put_number(entries, i, 20, i % 3 == 0 ? 10 : never);
  EXPECT_EQ(sweep.advance(4000), 0U);
  entries.advance_clock(10);
  EXPECT_EQ(sweep.advance(8000), 1000U);
  EXPECT_EQ(entries.size(), 2000U);
  EXPECT_EQ(evictions_of(entries, eviction_cause::expired), 1000U);
}

TEST(expiry_sweep, keeps_stamps_within_half_the_range_of_the_clock) {
  store entries(repeatable_options());
  expiry_sweep sweep(entries);
  put_number(entries, 1);
  constexpr epoch quarter = entry_meta::stamp_mask / 4;
  const auto age = [&] {
    epoch found = 0;
    walk_cursor cursor;
    while (cursor.laps == 0) {
      entries.walk(cursor, 64,
                   [&](walked_entry& e) { found = age_of(e.meta(), entries.current_epoch()); });
    }
    return found;
  };
  // An entry stamped long ago, as if the clock had gone on.
  walk_cursor cursor;
  entries.walk(cursor, 64, [&](walked_entry& e) {
    e.set_meta(e.meta().with_stamp(entries.current_epoch() - quarter - 1000));
  });
  ASSERT_EQ(age(), quarter + 1000);
  sweep.advance(200);
  EXPECT_EQ(age(), quarter);
}

} // namespace
} // namespace kvcache
