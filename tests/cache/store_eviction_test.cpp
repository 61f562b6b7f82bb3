// What the eviction room builds on: the walk, references that outlive it, and evict().
#include "cache/store.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "cache/store_support.hpp"

namespace kvcache {
namespace {

using test::numbered;
using test::settle;
using test::value_of;

std::vector<entry_ref> all_refs(store& s) {
  std::vector<entry_ref> refs;
  walk_cursor cursor;
  while (cursor.laps == 0) {
    s.walk(cursor, 64, [&](walked_entry& e) {
      if (cursor.laps == 0) refs.push_back(e.ref());
    });
  }
  return refs;
}

constexpr auto always = [](const store::entry_state&) { return true; };

TEST(store_eviction, evicts_visited_entries_and_counts_them_by_cause) {
  store s{cache_options{}};
  for (std::size_t i = 0; i < 1000; ++i) s.put(numbered("key", i), "value", never);
  const auto refs = all_refs(s);
  ASSERT_EQ(refs.size(), 1000U);
  const std::size_t live = s.live_bytes();
  EXPECT_EQ(s.evict(refs[0], eviction_cause::lru, always), live / 1000);
  EXPECT_EQ(s.evict(refs[0], eviction_cause::lru, always), 0U); // it has gone
  EXPECT_EQ(s.size(), 999U);
  EXPECT_LT(s.live_bytes(), live);
  EXPECT_EQ(s.stats().evictions[static_cast<std::size_t>(eviction_cause::lru)], 1U);
}

TEST(store_eviction, the_predicate_sees_the_entry_as_it_is_now) {
  store s{cache_options{}};
  s.put("k", "v", tick{50});
  const auto refs = all_refs(s);
  s.advance_epoch();
  value_of(s, "k");
  const auto referenced = [&](const store::entry_state& now) {
    EXPECT_EQ(now.expires_at, 50U);
    EXPECT_EQ(now.meta.references(), entry_meta::references_per_access);
    EXPECT_EQ(now.meta.age(s.current_epoch()), 0U);
    return false;
  };
  EXPECT_EQ(s.evict(refs[0], eviction_cause::clock, referenced), 0U);
  EXPECT_EQ(value_of(s, "k"), "v");
}

TEST(store_eviction, an_entry_that_replaces_an_expired_one_starts_unreferenced) {
  store s{cache_options{}};
  s.put("k", "v", tick{5});
  s.advance_epoch();
  value_of(s, "k");
  s.advance_clock(tick{5});
  EXPECT_EQ(s.put("k", "w", tick{9}), put_outcome::inserted); // as long, so in the same block
  const auto unreferenced = [](const store::entry_state& now) {
    EXPECT_EQ(now.meta.references(), 0U);
    return false;
  };
  s.evict(all_refs(s).at(0), eviction_cause::clock, unreferenced);
  EXPECT_EQ(value_of(s, "k"), "w");
}

TEST(store_eviction, a_replaced_or_reused_block_is_not_evicted) {
  store s{cache_options{}};
  s.put("k", "v", never);
  const auto refs = all_refs(s);
  s.put("k", std::string(500, 'w'), never); // lives elsewhere now
  EXPECT_EQ(s.evict(refs[0], eviction_cause::lru, always), 0U);
  s.put("x", "v", never); // takes the freed block
  EXPECT_EQ(all_refs(s)[0].handle, refs[0].handle);
  EXPECT_EQ(s.evict(refs[0], eviction_cause::lru, always), 0U);
  EXPECT_EQ(s.size(), 2U);
}

TEST(store_eviction, a_moved_entry_is_found_by_its_new_handle_only) {
  store s{cache_options{}};
  for (std::size_t i = 0; i < 20'000; ++i) s.put(numbered("key", i), std::string(80, 'v'), never);
  for (std::size_t i = 0; i < 20'000; ++i) {
    if (i % 4 != 0) s.erase(numbered("key", i));
  }
  const auto before = all_refs(s);
  settle(s);
  const auto after = all_refs(s);
  ASSERT_EQ(before.size(), 5000U);
  ASSERT_EQ(after.size(), 5000U);
  EXPECT_GT(s.stats().entries_moved, 1000U);
  for (const entry_ref ref : after) EXPECT_NE(s.evict(ref, eviction_cause::lru, always), 0U);
  EXPECT_EQ(s.size(), 0U);
  for (const entry_ref ref : before) EXPECT_EQ(s.evict(ref, eviction_cause::lru, always), 0U);
}

TEST(store_eviction, the_hand_ages_entries_that_it_passes_and_accesses_count_again) {
  store s{cache_options{}};
  s.put("k", "v", never);
  unsigned references = 99;
  const auto pass = [&] {
    walk_cursor cursor;
    s.walk(cursor, 64, [&](walked_entry& e) {
      if (cursor.laps != 0) return;
      references = e.meta().references();
      e.set_meta(e.meta().aged());
    });
  };
  const auto access = [&] {
    s.advance_epoch();
    value_of(s, "k");
  };
  access();
  for (unsigned left = entry_meta::references_per_access; left > 0; --left) {
    pass();
    EXPECT_EQ(references, left);
  }
  pass();
  EXPECT_EQ(references, 0U);
  access();
  pass();
  EXPECT_EQ(references, entry_meta::references_per_access);
}

TEST(store_eviction, overwrites_count_as_accesses_but_peeks_and_insertions_do_not) {
  store s{cache_options{}};
  const auto references = [&] {
    unsigned seen = 99;
    walk_cursor cursor;
    s.walk(cursor, 64, [&](walked_entry& e) { seen = e.meta().references(); });
    return seen;
  };
  s.put("k", "v", never);
  EXPECT_EQ(references(), 0U);
  s.advance_epoch();
  s.peek("k", [](std::string_view) {});
  EXPECT_EQ(references(), 0U);
  s.put("k", "w", never);
  EXPECT_EQ(references(), entry_meta::references_per_access);
  s.advance_epoch();
  s.put("k", std::string(300, 'x'), never); // in a new block
  EXPECT_EQ(references(), entry_meta::max_references);
}

TEST(store_eviction, stamps_stay_correct_when_the_epoch_wraps_around) {
  store s{cache_options{}};
  for (epoch i = 0; i < 5; ++i) s.advance_epoch();
  s.put("k", "v", never);
  const auto age_at = [&](epoch now) {
    epoch age = 0;
    walk_cursor cursor;
    s.walk(cursor, 64, [&](walked_entry& e) { age = e.meta().age(now); });
    return age;
  };
  EXPECT_EQ(age_at(s.current_epoch()), 0U);
  EXPECT_EQ(age_at(s.current_epoch() + 100), 100U);
  EXPECT_EQ(age_at(s.current_epoch() + entry_meta::stamp_mask + 1 + 7), 7U); // a full turn later
}

} // namespace
} // namespace kvcache
