#include "cache/store.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "cache/counting_memory.hpp"
#include "cache/store_support.hpp"
#include "kvcache/cache.hpp"

namespace kvcache {
namespace {

using test::numbered;
using test::value_of;

TEST(store, returns_what_was_put) {
  store s{cache_options{}};
  EXPECT_EQ(s.put("k", "v", never), put_outcome::inserted);
  EXPECT_EQ(value_of(s, "k"), "v");
  EXPECT_EQ(value_of(s, "other"), "(miss)");
  EXPECT_EQ(s.size(), 1U);
}

TEST(store, overwrites_with_values_of_any_length) {
  store s{cache_options{}};
  ASSERT_EQ(s.put("k", "first", never), put_outcome::inserted);
  for (const std::size_t length : {4U, 5U, 6U, 0U, 100U, 101U, 8000U, 100'000U, 3U}) {
    const std::string value(length, static_cast<char>('a' + length % 26));
    EXPECT_EQ(s.put("k", value, never), put_outcome::replaced);
    EXPECT_EQ(value_of(s, "k"), value);
  }
  EXPECT_EQ(s.size(), 1U);
}

TEST(store, keeps_empty_and_binary_keys_and_values) {
  store s{cache_options{}};
  const std::string zeros(3, '\0');
  EXPECT_EQ(s.put("", "", never), put_outcome::inserted);
  EXPECT_EQ(s.put(zeros, zeros, never), put_outcome::inserted);
  EXPECT_EQ(s.put(std::string_view{zeros.data(), 2}, "two", never), put_outcome::inserted);
  EXPECT_EQ(value_of(s, ""), "");
  EXPECT_EQ(value_of(s, zeros), zeros);
  EXPECT_EQ(value_of(s, std::string_view{zeros.data(), 2}), "two");
}

TEST(store, keeps_keys_and_values_too_long_for_the_short_length_word) {
  store s{cache_options{}};
  const std::string key(entry_shape::max_short_key + 1, 'k');
  const std::string value(entry_shape::max_short_value + 1, 'v');
  EXPECT_EQ(s.put(key, value, never), put_outcome::inserted);
  EXPECT_EQ(s.put(key + "2", "small", never), put_outcome::inserted);
  EXPECT_EQ(s.put("k", value, tick{5}), put_outcome::inserted);
  EXPECT_EQ(value_of(s, key), value);
  EXPECT_EQ(value_of(s, key + "2"), "small");
  EXPECT_EQ(value_of(s, "k"), value);
  EXPECT_EQ(s.put(key, "short again", never), put_outcome::replaced);
  EXPECT_EQ(value_of(s, key), "short again");
}

TEST(store, refuses_what_no_entry_can_hold) {
  store s{cache_options{}};
  const std::string huge(cache::max_item_bytes + 1, 'x');
  s.put("k", "old", never);
  EXPECT_EQ(s.put("k", huge, never), put_outcome::too_large);
  EXPECT_EQ(s.put(huge, "v", never), put_outcome::too_large);
  EXPECT_EQ(value_of(s, "k"), "old");
  EXPECT_EQ(s.size(), 1U);
}

TEST(store, erases_once) {
  store s{cache_options{}};
  s.put("k", "v", never);
  EXPECT_TRUE(s.erase("k"));
  EXPECT_FALSE(s.erase("k"));
  EXPECT_EQ(value_of(s, "k"), "(miss)");
  EXPECT_EQ(s.size(), 0U);
  EXPECT_EQ(s.live_bytes(), 0U);
}

TEST(store, puts_if_absent_only_if_the_key_is_absent) {
  store s{cache_options{}};
  EXPECT_EQ(s.put_if_absent("k", "first", never), put_outcome::inserted);
  EXPECT_EQ(s.put_if_absent("k", "second", never), put_outcome::precondition_failed);
  EXPECT_EQ(value_of(s, "k"), "first");
}

TEST(store, swaps_only_if_the_value_is_the_expected_one) {
  store s{cache_options{}};
  EXPECT_EQ(s.compare_and_swap("k", "", "new", never), put_outcome::precondition_failed);
  EXPECT_EQ(s.size(), 0U);
  s.put("k", "old", never);
  EXPECT_EQ(s.compare_and_swap("k", "other", "new", never), put_outcome::precondition_failed);
  EXPECT_EQ(value_of(s, "k"), "old");
  EXPECT_EQ(s.compare_and_swap("k", "old", "new", never), put_outcome::replaced);
  EXPECT_EQ(value_of(s, "k"), "new");
  const std::string longer(500, 'x');
  EXPECT_EQ(s.compare_and_swap("k", "new", longer, never), put_outcome::replaced);
  EXPECT_EQ(value_of(s, "k"), longer);
  EXPECT_EQ(s.size(), 1U);
}

TEST(store, an_expired_entry_is_a_miss_and_its_block_is_freed) {
  store s{cache_options{}};
  s.put("k", "v", tick{10});
  s.advance_clock(9);
  EXPECT_EQ(value_of(s, "k"), "v");
  s.advance_clock(10);
  EXPECT_FALSE(s.peek("k", [](std::string_view) {}));
  EXPECT_EQ(s.size(), 1U); // a peek collects nothing
  EXPECT_EQ(value_of(s, "k"), "(miss)");
  EXPECT_EQ(s.size(), 0U);
  EXPECT_EQ(s.live_bytes(), 0U);
  EXPECT_EQ(s.stats().evictions[static_cast<std::size_t>(eviction_cause::expired)], 1U);
}

TEST(store, an_expired_entry_counts_as_absent_for_writes) {
  store s{cache_options{}};
  s.advance_clock(10);
  s.put("a", "v", tick{5});
  s.put("b", "v", tick{5});
  s.put("c", "v", tick{5});
  s.put("d", "v", tick{5});
  EXPECT_EQ(s.put("a", "w", never), put_outcome::inserted);
  EXPECT_EQ(s.put_if_absent("b", "w", tick{20}), put_outcome::inserted);
  EXPECT_EQ(s.compare_and_swap("c", "v", "w", never), put_outcome::precondition_failed);
  EXPECT_FALSE(s.erase("d"));
  EXPECT_EQ(value_of(s, "a"), "w");
  EXPECT_EQ(value_of(s, "b"), "w");
  EXPECT_EQ(value_of(s, "c"), "(miss)");
  EXPECT_EQ(s.size(), 2U);
}

TEST(store, an_overwrite_sets_the_new_expiry) {
  store s{cache_options{}};
  s.put("k", "v", tick{10});
  s.put("k", "w", tick{20});
  s.advance_clock(15);
  EXPECT_EQ(value_of(s, "k"), "w");
  s.put("k", "x", never);
  s.advance_clock(1000);
  EXPECT_EQ(value_of(s, "k"), "x");
  s.put("k", "y", tick{1001});
  s.advance_clock(1001);
  EXPECT_EQ(value_of(s, "k"), "(miss)");
}

TEST(store, the_clock_never_goes_backwards) {
  store s{cache_options{}};
  s.advance_clock(10);
  s.advance_clock(3);
  EXPECT_EQ(s.now(), 10U);
}

TEST(store, keeps_every_entry_through_growths_and_shrinks) {
  store s{cache_options{}};
  constexpr std::size_t count = 120'000;
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_EQ(s.put(numbered("key", i), numbered("value", i), never), put_outcome::inserted);
  }
  EXPECT_EQ(s.size(), count);
  for (std::size_t i = 0; i < count; ++i)
    ASSERT_EQ(value_of(s, numbered("key", i)), numbered("value", i));
  EXPECT_GT(s.stats().index_growths, 0U);
  const std::size_t full_index_bytes = s.index_bytes();
  for (std::size_t i = 0; i < count; ++i) {
    if (i % 16 != 0) {
      ASSERT_TRUE(s.erase(numbered("key", i)));
    }
  }
  test::settle(s);
  EXPECT_GT(s.stats().index_shrinks, 0U);
  EXPECT_LT(s.index_bytes(), full_index_bytes / 8);
  for (std::size_t i = 0; i < count; i += 16) {
    ASSERT_EQ(value_of(s, numbered("key", i)), numbered("value", i));
  }
}

TEST(store, clear_erases_everything_and_frees_it) {
  store s{cache_options{}};
  for (std::size_t i = 0; i < 50'000; ++i) s.put(numbered("key", i), std::string(50, 'v'), never);
  const std::size_t full = s.held_bytes();
  EXPECT_EQ(s.clear(), 50'000U);
  EXPECT_EQ(s.size(), 0U);
  EXPECT_EQ(s.live_bytes(), 0U);
  test::settle(s);
  EXPECT_LT(s.held_bytes(), full / 10);
  EXPECT_EQ(s.put("key1", "again", never), put_outcome::inserted);
}

TEST(store, clear_counts_entries_and_blocks_no_other_thread) {
  test::counting_memory memory;
  store s{cache_options{}, memory};
  constexpr std::size_t count = 50'000;
  for (std::size_t i = 0; i < count; ++i) {
    s.put(numbered("key", i), std::string(100, 'v'), never);
  }
  std::size_t before = count;
  std::size_t looks = 0;
  memory.on_give_back = [&] { // each time a slab has been emptied
    EXPECT_LT(s.size(), before);
    before = s.size();
    if (++looks % 10 == 0) s.peek(numbered("key", looks), [](std::string_view) {});
  };
  EXPECT_EQ(s.clear(), count);
  memory.on_give_back = nullptr;
  EXPECT_GT(looks, 50U);
  EXPECT_EQ(s.size(), 0U);
}

// Readers of the bucket spin while a value is copied over the old one.
TEST(store, copies_short_values_in_place_and_writes_long_ones_elsewhere) {
  store s{cache_options{}};
  const auto handle = [&] {
    entry_handle seen = no_entry;
    walk_cursor cursor;
    while (cursor.laps == 0) {
      s.walk(cursor, 64, [&](walked_entry& e) { seen = e.ref().handle; });
    }
    return seen;
  };
  for (const auto& [length, in_place] : {std::pair{100U, true}, std::pair{4096U, true},
                                         std::pair{4097U, false}, std::pair{1'000'000U, false}}) {
    s.put("k", std::string(length, 'a'), never);
    const entry_handle before = handle();
    EXPECT_EQ(s.put("k", std::string(length, 'b'), never), put_outcome::replaced);
    EXPECT_EQ(handle() == before, in_place) << length;
    EXPECT_EQ(value_of(s, "k"), std::string(length, 'b'));
  }
}

} // namespace
} // namespace kvcache
