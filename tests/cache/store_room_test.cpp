// Limits: bytes and entries, who is asked for room, and that freed room serves any size.
#include "cache/store.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "cache/store_support.hpp"

namespace kvcache {
namespace {

using test::first_met_evictor;
using test::numbered;
using test::settle;
using test::value_of;

constexpr std::size_t limit_bytes = std::size_t{12} << 20;

TEST(store_room, refuses_what_does_not_fit_when_nobody_makes_room) {
  store s{cache_options{.hold_limit_bytes = std::size_t{2} << 20}};
  std::size_t stored = 0;
  while (s.put(numbered("key", stored), std::string(200, 'v'), never) == put_outcome::inserted) {
    ++stored;
  }
  EXPECT_GT(stored, 6000U);
  EXPECT_LE(s.held_bytes(), s.hold_limit_bytes());
  EXPECT_EQ(s.size(), stored);
  EXPECT_EQ(s.put("key0", std::string(5000, 'w'), never), put_outcome::no_room);
  EXPECT_EQ(value_of(s, "key0"), std::string(200, 'v'));
  EXPECT_EQ(s.put("key0", std::string(200, 'w'), never), put_outcome::replaced); // in place
  EXPECT_TRUE(s.erase("key1"));
  EXPECT_EQ(s.put("one more", std::string(196, 'v'), never), put_outcome::inserted);
}

TEST(store_room, a_raised_limit_admits_more) {
  store s{cache_options{.hold_limit_bytes = std::size_t{1} << 20}};
  std::size_t stored = 0;
  const auto fill = [&] {
    while (s.put(numbered("key", stored), std::string(100, 'v'), never) == put_outcome::inserted) {
      ++stored;
    }
  };
  fill();
  const std::size_t before = stored;
  s.set_hold_limit_bytes(std::size_t{2} << 20);
  fill();
  EXPECT_GT(stored, before + before / 2);
}

TEST(store_room, never_holds_more_than_its_limit_while_entries_are_evicted) {
  store s{cache_options{.hold_limit_bytes = std::size_t{4} << 20}};
  first_met_evictor evictor{s};
  s.set_room_maker(&evictor);
  for (std::size_t i = 0; i < 60'000; ++i) {
    ASSERT_EQ(s.put(numbered("key", i), std::string(i % 300, 'v'), never), put_outcome::inserted);
    ASSERT_LE(s.held_bytes(), s.hold_limit_bytes());
    ASSERT_EQ(value_of(s, numbered("key", i)).size(), i % 300);
  }
  EXPECT_GT(s.live_bytes(), s.hold_limit_bytes() / 2);
  EXPECT_GT(s.stats().evictions[static_cast<std::size_t>(eviction_cause::emergency)], 0U);
}

TEST(store_room, never_holds_more_entries_than_its_limit) {
  store s{cache_options{.max_entries = 100}};
  EXPECT_EQ(s.put("a", "v", never), put_outcome::inserted);
  for (std::size_t i = 1; i < 100; ++i) s.put(numbered("key", i), "v", never);
  EXPECT_EQ(s.put("one more", "v", never), put_outcome::no_room);
  EXPECT_EQ(s.put("a", "w", never), put_outcome::replaced);
  EXPECT_EQ(s.size(), 100U);
  first_met_evictor evictor{s};
  s.set_room_maker(&evictor);
  for (std::size_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(s.put(numbered("next", i), "v", never), put_outcome::inserted);
    ASSERT_LE(s.size(), 100U);
    ASSERT_GT(s.size(), 80U);
  }
}

constexpr std::size_t entries_that_pass_the_limit(std::size_t value_bytes) {
  return limit_bytes / (value_bytes + 40) * 4 / 3;
}

// Puts that many entries, with the evictor making room, and background work as the daemon does it.
void fill(store& s, std::size_t entries, std::size_t value_bytes) {
  for (std::size_t i = 0; i < entries; ++i) {
    const put_outcome outcome = s.put(numbered("key", i), std::string(value_bytes, 'v'), never);
    ASSERT_TRUE(outcome == put_outcome::inserted || outcome == put_outcome::replaced);
    if (i % 512 == 0) s.maintain(500);
  }
}

std::size_t live_bytes_of_a_fresh_store(std::size_t value_bytes) {
  store s{cache_options{.hold_limit_bytes = limit_bytes}};
  first_met_evictor evictor{s};
  s.set_room_maker(&evictor);
  fill(s, entries_that_pass_the_limit(value_bytes), value_bytes);
  return s.live_bytes();
}

class size_change : public testing::TestWithParam<std::pair<std::size_t, std::size_t>> {};

TEST_P(size_change, strands_no_memory) {
  const auto [first_size, second_size] = GetParam();
  store s{cache_options{.hold_limit_bytes = limit_bytes}};
  first_met_evictor evictor{s};
  s.set_room_maker(&evictor);
  fill(s, entries_that_pass_the_limit(first_size), first_size);
  // All of them again, and as many as pass the limit.
  fill(s,
       std::max(entries_that_pass_the_limit(first_size), entries_that_pass_the_limit(second_size)),
       second_size);
  EXPECT_LE(s.held_bytes(), limit_bytes);
  EXPECT_GE(s.live_bytes() * 10, live_bytes_of_a_fresh_store(second_size) * 9);
}

INSTANTIATE_TEST_SUITE_P(store_room, size_change,
                         testing::Values(std::pair{30U, 250U}, std::pair{250U, 30U},
                                         std::pair{250U, 5000U}, std::pair{20'000U, 30U}));

TEST(store_room, large_values_are_charged_and_freed_exactly) {
  store s{cache_options{}};
  s.put("small", "v", never);
  const std::size_t held = s.held_bytes();
  const std::size_t live = s.live_bytes();
  const std::string value(4'000'000, 'v'); // a million characters of four bytes
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(s.put("large", value, never), put_outcome::inserted);
    EXPECT_EQ(value_of(s, "large"), value);
    EXPECT_GE(s.held_bytes() - held, value.size());
    EXPECT_LT(s.held_bytes() - held, value.size() + 3 * page_bytes());
    EXPECT_EQ(s.live_bytes() - live, entry_arena::block_bytes_for(value.size() + 13));
    EXPECT_TRUE(s.erase("large"));
    EXPECT_LT(s.held_bytes() - held, 2 * page_bytes()); // what describes the slabs stays
    EXPECT_EQ(s.live_bytes(), live);
  }
}

TEST(store_room, erasing_in_random_order_gives_memory_back) {
  for (const std::size_t kept_of_ten : {5U, 1U}) {
    constexpr std::size_t count = 60'000;
    store s{cache_options{.hash_seed = std::pair{1U, 2U}}};
    for (std::size_t i = 0; i < count; ++i) s.put(numbered("key", i), std::string(100, 'v'), never);
    const auto kept = [&](std::size_t i) { return i * 2654435761U % 4093 % 10 < kept_of_ten; };
    for (std::size_t i = 0; i < count; ++i) {
      if (!kept(i)) s.erase(numbered("key", i));
    }
    settle(s);
    store fresh{cache_options{}};
    for (std::size_t i = 0; i < count; ++i) {
      if (!kept(i)) continue;
      ASSERT_EQ(value_of(s, numbered("key", i)), std::string(100, 'v'));
      fresh.put(numbered("key", i), std::string(100, 'v'), never);
    }
    EXPECT_LE(s.held_bytes() * 100, fresh.held_bytes() * 120);
    EXPECT_EQ(s.size(), fresh.size());
    EXPECT_GT(s.stats().entries_moved, 0U);
  }
}

} // namespace
} // namespace kvcache
