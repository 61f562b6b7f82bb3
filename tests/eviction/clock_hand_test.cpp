#include "eviction/clock_hand.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "eviction/store_fixture.hpp"

namespace kvcache {
namespace {

using namespace test;

constexpr auto cause = eviction_cause::max_entries;

TEST(clock_hand, evicts_one_entry_per_call_and_returns_the_bytes_freed) {
  store entries(repeatable_options());
  clock_hand hand(entries, 1);
  for (std::size_t i = 0; i < 1000; ++i) put_number(entries, i);
  const std::size_t live_before = entries.live_bytes();
  const std::size_t freed = hand.evict_one(cause).bytes;
  EXPECT_GT(freed, 0U);
  EXPECT_EQ(entries.live_bytes(), live_before - freed);
  EXPECT_EQ(entries.size(), 999U);
  EXPECT_EQ(evictions_of(entries, cause), 1U);
}

TEST(clock_hand, finds_nothing_in_an_empty_store) {
  store entries(repeatable_options());
  clock_hand hand(entries, 1);
  EXPECT_EQ(hand.evict_one(cause).bytes, 0U);
  EXPECT_EQ(evictions_of(entries, cause), 0U);
}

TEST(clock_hand, spares_entries_accessed_after_the_epoch_of_their_insertion) {
  store entries(repeatable_options());
  clock_hand hand(entries, 1);
  for (std::size_t i = 0; i < 1000; ++i) put_number(entries, i);
  entries.advance_epoch();
  for (std::size_t i = 0; i < 1000; i += 4) access_number(entries, i);
  for (int i = 0; i < 750; ++i) hand.evict_one(cause);
  for (std::size_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(holds_number(entries, i), i % 4 == 0) << i;
  }
}

TEST(clock_hand, ages_references_by_demand) {
  store entries(repeatable_options());
  clock_hand hand(entries, 1);
  for (std::size_t i = 0; i < 500; ++i) put_number(entries, i);
  entries.advance_epoch();
  for (std::size_t i = 0; i < 500; ++i) access_number(entries, i);
  // All are referenced: the hand goes round until some are not, and everything can go.
  for (int i = 0; i < 500; ++i) EXPECT_GT(hand.evict_one(cause).bytes, 0U) << i;
  EXPECT_EQ(entries.size(), 0U);
}

TEST(clock_hand, evicts_an_entry_in_bounded_steps_even_if_all_are_referenced) {
  store entries(repeatable_options());
  clock_hand hand(entries, 1);
  for (std::size_t i = 0; i < 20'000; ++i) put_number(entries, i);
  for (int epochs = 0; epochs < 3; ++epochs) {
    entries.advance_epoch();
    for (std::size_t i = 0; i < 20'000; ++i) access_number(entries, i);
  }
  EXPECT_GT(hand.evict_one(cause).bytes, 0U);
  std::size_t aged = 0;
  walk_cursor cursor;
  while (cursor.laps == 0) {
    entries.walk(cursor, 64, [&](walked_entry& e) { aged += e.meta().references() < 3 ? 1 : 0; });
  }
  EXPECT_GT(aged, 0U);
  EXPECT_LT(aged, 6000U);
}

TEST(clock_hand, evicts_expired_entries_first_and_counts_them_as_expired) {
  store entries(repeatable_options());
  clock_hand hand(entries, 1);
  for (std::size_t i = 0; i < 64; ++i) put_number(entries, i, 20, i % 2 == 0 ? 5 : never);
  entries.advance_epoch();
  for (std::size_t i = 0; i < 64; ++i) access_number(entries, i); // all are referenced
  entries.advance_clock(5);
  for (int i = 0; i < 32; ++i) EXPECT_GT(hand.evict_one(cause).bytes, 0U);
  EXPECT_EQ(evictions_of(entries, eviction_cause::expired), 32U);
  EXPECT_EQ(evictions_of(entries, cause), 0U);
  for (std::size_t i = 1; i < 64; i += 2) EXPECT_TRUE(holds_number(entries, i)) << i;
}

TEST(clock_hand, several_threads_evict_different_entries_concurrently) {
  store entries(repeatable_options());
  constexpr unsigned threads = 4;
  clock_hand hand(entries, threads);
  for (std::size_t i = 0; i < 20'000; ++i) put_number(entries, i);
  std::atomic<unsigned> evicted{0};
  std::vector<std::thread> workers;
  for (unsigned t = 0; t < threads; ++t) {
    workers.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) evicted += hand.evict_one(cause).bytes != 0 ? 1U : 0U;
    });
  }
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(evicted, threads * 2000U);
  EXPECT_EQ(entries.size(), 20'000U - evicted);
  EXPECT_EQ(evictions_of(entries, cause), evicted);
}

} // namespace
} // namespace kvcache
