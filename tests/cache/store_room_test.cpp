// Limits: bytes and entries, who is asked for room, and that freed room serves any size.
#include "cache/store.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cache/counting_memory.hpp"
#include "cache/store_support.hpp"

namespace kvcache {
namespace {

using test::counting_memory;
using test::first_met_evictor;
using test::numbered;
using test::settle;
using test::value_of;

constexpr std::size_t limit_bytes = std::size_t{12} << 20;

TEST(store_room, refuses_entries_that_do_not_fit_without_a_room_maker) {
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

TEST(store_room, makes_room_in_a_full_range_of_addresses_as_for_bytes) {
  counting_memory memory;
  memory.reserve_at_most(std::size_t{64} << 20);
  store s{cache_options{.hash_seed = std::pair{5U, 6U}}, memory};
  const auto put = [&](std::size_t i, std::size_t length) {
    return s.put(numbered("key", i), std::string(length, 'v'), never);
  };
  std::size_t stored = 0;
  put_outcome last = put_outcome::inserted;
  while (last == put_outcome::inserted) last = put(stored++, 33'000);
  EXPECT_EQ(last, put_outcome::no_room); // the kernel has refused nothing
  EXPECT_GT(stored, 1000U);
  EXPECT_LT(s.held_bytes(), std::size_t{40} << 20); // of addresses a slab each, of memory 36 KiB
  first_met_evictor evictor{s};
  s.set_room_maker(&evictor);
  for (std::size_t i = 0; i < 3000; ++i) {
    ASSERT_EQ(put(stored + i, i % 3 == 0 ? 100 : 33'000), put_outcome::inserted);
  }
  EXPECT_GT(s.size(), 900U);
  EXPECT_EQ(put(1'000'000, 1'000'000), put_outcome::inserted); // a run of neighbours
}

TEST(store_room, small_entries_use_partly_carved_slabs_when_the_addresses_are_used_up) {
  counting_memory memory;
  memory.reserve_at_most(std::size_t{64} << 20);
  store s{cache_options{.stripes = 1}, memory};
  s.put("small", "v", never); // begins a slab
  std::size_t stored = 0;
  while (s.put(numbered("key", stored), std::string(33'000, 'v'), never) == put_outcome::inserted) {
    ++stored;
  }
  for (std::size_t i = 0; i < 2000; ++i) {
    ASSERT_EQ(s.put(std::to_string(100'000 + i), "v", never), put_outcome::inserted) << i;
  }
}

TEST(store_room, evicts_when_the_index_is_as_full_as_it_may_be) {
  const table_limits small{.initial_depth = 1, .packed_shape = 7, .largest_depth = 2};
  constexpr std::size_t places = 4 * 3072;
  store s{cache_options{.hash_seed = std::pair{7U, 8U}}, system_memory_source(), small};
  EXPECT_EQ(s.max_entries(), places * 85 / 100);
  std::size_t stored = 0;
  while (s.put(numbered("key", stored), "v", never) == put_outcome::inserted) ++stored;
  EXPECT_EQ(stored, s.max_entries());
  first_met_evictor evictor{s};
  s.set_room_maker(&evictor);
  for (std::size_t i = 0; i < 40'000; ++i) {
    ASSERT_EQ(s.put(numbered("next", i), "v", never), put_outcome::inserted) << i;
    ASSERT_LE(s.size(), s.max_entries());
  }
  EXPECT_GT(s.size(), s.max_entries() - 100);
  const store limited{cache_options{.max_entries = 5}, system_memory_source(), small};
  EXPECT_EQ(limited.max_entries(), 5U);
  const store unlimited{cache_options{.max_entries = places * 2}, system_memory_source(), small};
  EXPECT_EQ(unlimited.max_entries(), places * 85 / 100);
}

// Evicts entries that lie far apart, as the least recently used do, some for each request.
class scattered_evictor final : public room_maker {
public:
  scattered_evictor(store& s, std::size_t per_request) : store_(s), per_request_(per_request) {
    walk_cursor cursor;
    while (cursor.laps == 0) {
      s.walk(cursor, 64, [&](walked_entry& e) { refs_.push_back(e.ref()); });
    }
    std::shuffle(refs_.begin(), refs_.end(), std::mt19937_64{1});
  }
  bool make_room(std::size_t /*wanted_bytes*/, std::size_t /*entries_over*/) noexcept override {
    ++requests;
    std::size_t evicted = 0;
    while (evicted < per_request_ && !refs_.empty()) {
      evicted += store_.evict(refs_.back(), eviction_cause::lru,
                              [](const store::entry_state&) { return true; }) != 0
                     ? 1
                     : 0;
      refs_.pop_back();
    }
    return evicted != 0;
  }
  std::size_t requests = 0;

private:
  store& store_;
  std::size_t per_request_;
  std::vector<entry_ref> refs_;
};

struct large_put {
  std::size_t value_bytes;
  std::size_t requests_max;
  std::size_t moves_max;
};
class a_large_put : public testing::TestWithParam<large_put> {};

TEST_P(a_large_put, into_a_full_cache_of_small_entries_does_bounded_work) {
  const large_put p = GetParam();
  store s{cache_options{.hold_limit_bytes = limit_bytes, .hash_seed = std::pair{1U, 2U}}};
  std::size_t stored = 0;
  while (s.put(numbered("key", stored), std::string(100, 'v'), never) == put_outcome::inserted) {
    ++stored;
  }
  scattered_evictor evictor{s, 128}; // as many as the real one does a request
  s.set_room_maker(&evictor);
  EXPECT_EQ(s.put("large", std::string(p.value_bytes, 'l'), never), put_outcome::inserted);
  EXPECT_LE(evictor.requests, p.requests_max);
  EXPECT_LE(s.stats().entries_moved, p.moves_max + 64);
  EXPECT_LE(s.held_bytes(), s.hold_limit_bytes());
}

// An ask for each 2 KiB, a move for each 16 bytes, and what every write has.
INSTANTIATE_TEST_SUITE_P(store_room, a_large_put,
                         testing::Values(large_put{5000, 10, 4096 + 314},
                                         large_put{100'000, 56, 4096 + 6251},
                                         large_put{1'000'000, 496, 4096 + 62'501},
                                         large_put{3'000'000, 1472, 4096 + 187'501}));

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

// How full the tables are when the limit is met depends a little on the hashes: the same in every
// run.
const cache_options repeatable_options{.hold_limit_bytes = limit_bytes,
                                       .hash_seed = std::pair{std::uint64_t{1}, std::uint64_t{2}}};

std::size_t live_bytes_of_a_fresh_store(std::size_t value_bytes) {
  store s{repeatable_options};
  first_met_evictor evictor{s};
  s.set_room_maker(&evictor);
  fill(s, entries_that_pass_the_limit(value_bytes), value_bytes);
  return s.live_bytes();
}

class size_change : public testing::TestWithParam<std::pair<std::size_t, std::size_t>> {};

TEST_P(size_change, leaves_no_memory_unusable) {
  const auto [first_size, second_size] = GetParam();
  store s{repeatable_options};
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
    EXPECT_EQ(s.live_bytes() - live, round_up_to_pages(value.size() + 13));
    EXPECT_TRUE(s.erase("large"));
    EXPECT_LT(s.held_bytes() - held, 2 * page_bytes()); // what describes the slabs stays
    EXPECT_EQ(s.live_bytes(), live);
  }
}

TEST(store_room, compaction_waits_for_a_clear_under_way) {
  counting_memory memory;
  store s{cache_options{}, memory};
  for (std::size_t i = 0; i < 5000; ++i) s.put(numbered("key", i), std::string(100, 'v'), never);
  unsigned calls = 0;
  bool more = true;
  memory.on_give_back = [&] {
    if (calls++ == 0) std::thread{[&] { more = s.maintain(1000); }}.join();
  };
  EXPECT_EQ(s.clear(), 5000U);
  EXPECT_GT(calls, 0U);
  EXPECT_FALSE(more);
}

TEST(store_room, erasing_in_random_order_returns_memory) {
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
