#include "cache/ghost_table.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "cache/counting_memory.hpp"
#include "cache/store.hpp"

namespace kvcache {
namespace {

constexpr std::size_t one_bucket = ghost_table::bucket_ghosts;

// Hashes that differ in every bit that a table uses.
entry_ref key(std::uint32_t number) {
  return {.handle = 1, .hash = number * 2654435761U, .fingerprint = number * 40503U + 1};
}
std::optional<unsigned> take(ghost_table& ghosts, const entry_ref& of) {
  return ghosts.take(of.hash, of.fingerprint);
}

class ghosts : public testing::Test {
protected:
  budget held_{0};
  ghost_table table_{held_, system_memory_source()};
};

TEST_F(ghosts, are_found_once_with_the_uses_of_the_evicted_entry) {
  table_.resize(1024);
  for (unsigned uses = 0; uses <= entry_meta::max_uses; ++uses) {
    table_.add(key(uses), uses);
    EXPECT_EQ(take(table_, key(uses)), uses);
    EXPECT_EQ(take(table_, key(uses)), std::nullopt);
  }
  EXPECT_EQ(take(table_, key(100)), std::nullopt);
}

TEST_F(ghosts, of_a_bucket_are_forgotten_oldest_first_and_counted_by_place) {
  table_.resize(1);
  // All keys share a bucket if their hashes are equal; the table has whole pages of them.
  const auto in_bucket = [](std::uint32_t number) {
    return entry_ref{.handle = 1, .hash = 5, .fingerprint = number};
  };
  for (std::uint32_t number = 1; number <= one_bucket + 3; ++number)
    table_.add(in_bucket(number), 2);
  for (std::uint32_t number = 1; number <= 3; ++number)
    EXPECT_EQ(take(table_, in_bucket(number)), std::nullopt) << number;
  // The oldest left, the newest, and one between.
  EXPECT_EQ(take(table_, in_bucket(4)), 2U);
  EXPECT_EQ(take(table_, in_bucket(one_bucket + 3)), 2U);
  EXPECT_EQ(take(table_, in_bucket(10)), 2U);
  const auto found = table_.found();
  EXPECT_EQ(found[2][15], 1U);
  EXPECT_EQ(found[2][0], 1U);
  EXPECT_EQ(found[2][8], 1U);
  // Removal has closed the gaps and lost no other.
  ghost_table::by_use_and_place<std::uint32_t> left{};
  for (std::uint64_t number = 0; number < table_.capacity() / one_bucket; ++number)
    table_.count_bucket(number, left);
  for (unsigned place = 0; place < one_bucket; ++place)
    EXPECT_EQ(left[2][place], place < 13 ? 1U : 0U) << place;
  for (std::uint32_t number = 5; number < one_bucket + 3; ++number)
    EXPECT_EQ(take(table_, in_bucket(number)), number == 10 ? std::nullopt : std::optional{2U})
        << number;
}

TEST_F(ghosts, take_hardly_any_new_key_for_an_evicted_one) {
  constexpr std::uint32_t keys = 100'000;
  table_.resize(keys);
  for (std::uint32_t number = 0; number < keys; ++number) table_.add(key(number), 0);
  unsigned mistaken = 0;
  unsigned missed = 0;
  for (std::uint32_t number = 0; number < keys; ++number) {
    mistaken += take(table_, key(keys + number)) ? 1U : 0U;
    missed += take(table_, key(number)) ? 0U : 1U;
  }
  EXPECT_LT(mistaken, keys / 500);
  EXPECT_LT(missed, keys / 6); // of buckets that happened to get more than 16
}

TEST_F(ghosts, are_charged_by_whole_pages_and_returned_on_request) {
  EXPECT_EQ(table_.bytes(), 0U);
  EXPECT_EQ(take(table_, key(1)), std::nullopt);
  table_.add(key(1), 1); // without a table: forgotten
  table_.resize(100'000);
  EXPECT_GE(table_.capacity(), 100'000U);
  EXPECT_EQ(table_.bytes(), round_up_to_pages(200'000));
  EXPECT_EQ(held_.held_bytes(), table_.bytes());
  table_.add(key(1), 1);
  table_.resize(0);
  EXPECT_EQ(held_.held_bytes(), 0U);
  EXPECT_EQ(take(table_, key(1)), std::nullopt);
  table_.resize(100'000);
  EXPECT_EQ(take(table_, key(1)), std::nullopt); // starts empty
}

TEST_F(ghosts, of_a_table_that_grew_to_more_than_four_times_its_first_size_are_fewer) {
  table_.resize(10'000);
  table_.resize(1'000'000);
  EXPECT_LT(table_.capacity(), 50'000U);
  EXPECT_EQ(held_.held_bytes(), table_.bytes());
  table_.add(key(1), 3);
  EXPECT_EQ(take(table_, key(1)), 3U);
}

TEST(ghost_table, stays_empty_where_the_kernel_refuses_memory) {
  budget held{0};
  test::counting_memory memory;
  ghost_table table{held, memory};
  for (const unsigned refused : {1U, 2U}) { // addresses, then pages
    memory.refuse(refused, 1);
    table.resize(1000);
    EXPECT_EQ(table.capacity(), 0U);
    EXPECT_EQ(held.held_bytes(), 0U);
  }
  table.resize(1000);
  table.add(key(1), 1);
  EXPECT_EQ(take(table, key(1)), 1U);
}

TEST(ghost_table, may_be_resized_while_threads_use_it) {
  budget held{0};
  ghost_table table{held, system_memory_source()};
  std::atomic<bool> done{false};
  std::vector<std::thread> users;
  for (std::uint32_t t = 0; t < 2; ++t) {
    users.emplace_back([&, t] {
      for (std::uint32_t number = t; !done; number += 2) {
        table.add(key(number), number % 4);
        EXPECT_LE(take(table, key(number / 2)).value_or(0), entry_meta::max_uses);
      }
    });
  }
  for (std::size_t round = 0; round < 300; ++round) table.resize(round % 3 * 20'000);
  done = true;
  for (auto& user : users) user.join();
  table.resize(0);
  EXPECT_EQ(held.held_bytes(), 0U);
}

// ---- the store's use of them ----------------------------------------------------------

TEST(store_ghosts, give_a_returning_key_its_uses_and_a_new_one_none) {
  store s{cache_options{}};
  s.ghosts().resize(1000);
  const auto uses_of_only_entry = [&](entry_ref* ref = nullptr) {
    unsigned uses = 0;
    walk_cursor cursor;
    s.walk(cursor, 64, [&](walked_entry& e) {
      uses = e.meta().uses();
      if (ref != nullptr) *ref = e.ref();
    });
    return uses;
  };
  s.put("key", "value", never);
  EXPECT_EQ(uses_of_only_entry(), 0U);
  s.advance_epoch();
  s.get("key", [](std::string_view) {});
  entry_ref ref;
  EXPECT_EQ(uses_of_only_entry(&ref), 1U);
  ASSERT_NE(s.evict(ref, eviction_cause::lru, [](const store::entry_state&) { return true; }), 0U);
  s.ghosts().add(ref, 1);
  s.put("key", "another value", never);
  EXPECT_EQ(uses_of_only_entry(), 2U);
  s.erase("key");
  s.put("key", "value", never); // erased by a client: no ghost
  EXPECT_EQ(uses_of_only_entry(), 0U);
  EXPECT_EQ(s.check_invariants(), "");
}

TEST(store_ghosts, replacing_a_value_by_one_of_another_size_keeps_and_counts_the_uses) {
  store s{cache_options{}};
  s.put("key", "value", never);
  s.advance_epoch();
  s.put("key", std::string(500, 'v'), never);
  walk_cursor cursor;
  unsigned uses = 0;
  s.walk(cursor, 4096, [&](walked_entry& e) { uses = e.meta().uses(); });
  EXPECT_EQ(uses, 1U);
  EXPECT_EQ(s.reuses().sums()[0][1], 1U); // no uses before, an epoch old
}

TEST(reuse_counts, divide_ages_into_two_buckets_a_doubling) {
  for (unsigned bucket = 0; bucket < age_bucket_count; ++bucket) {
    EXPECT_EQ(age_bucket_of(least_age_of(bucket)), bucket);
    if (bucket + 1 < age_bucket_count) {
      EXPECT_EQ(age_bucket_of(least_age_of(bucket + 1) - 1), bucket);
    }
  }
  EXPECT_EQ(age_bucket_of(entry_meta::stamp_mask), age_bucket_count - 1);
}

TEST(reuse_counts, count_one_access_an_epoch_by_uses_and_age) {
  store s{cache_options{}};
  s.put("key", "value", never);
  const auto get = [&] { s.get("key", [](std::string_view) {}); };
  get(); // in the epoch of the insertion
  for (int i = 0; i < 5; ++i) s.advance_epoch();
  get();
  get();
  s.advance_epoch();
  s.put("key", "other", never);
  auto sums = s.reuses().sums();
  EXPECT_EQ(sums[0][age_bucket_of(5)], 1U);
  EXPECT_EQ(sums[1][age_bucket_of(1)], 1U);
  unsigned all = 0;
  for (const auto& of_class : sums)
    for (const std::uint32_t count : of_class) all += count;
  EXPECT_EQ(all, 2U);
}

} // namespace
} // namespace kvcache
