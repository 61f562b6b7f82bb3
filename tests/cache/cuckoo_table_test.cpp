#include "cache/cuckoo_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>

namespace kvcache {
namespace {

template <class Table>
class a_cuckoo_table : public testing::Test {
protected:
  using table = Table;
  using bucket = cuckoo_inside::bucket<typename table::cuckoo_map>;
  static constexpr std::size_t bucket_slots = table::cuckoo_map::slot_per_bucket();
  static constexpr std::size_t bucket_count = 64;

  static std::uint32_t hash_of(std::uint32_t i) {
    return static_cast<std::uint32_t>(std::mt19937{i}());
  }
  bucket_pair buckets(std::uint32_t hash) const { return buckets_of(hash, bucket_count - 1); }

  // Entries 0 to count - 1, each with its number as its handle.
  void fill(std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) ASSERT_TRUE(t.add(hash_of(i), i));
  }
  bool holds(std::uint32_t i) {
    const locked_slot slot{t.arrays(), hash_of(i), buckets(hash_of(i)), is_entry{i}};
    return slot && slot.handle() == i;
  }
  bool is_free(std::size_t bucket_number) {
    auto& lock = cuckoo_inside::lock_at(t.map, bucket_number);
    const bool taken = lock.try_lock();
    if (taken) lock.unlock();
    return taken;
  }

  table t{system_memory_source(), bucket_count* bucket_slots};
};

struct slots_in_name {
  template <class Table>
  static std::string GetName(int /*index*/) {
    return std::to_string(Table::cuckoo_map::slot_per_bucket()) + "_slots_a_bucket";
  }
};
using all_tables = testing::Types<table_of<4>, table_of<5>, table_of<6>, table_of<8>, table_of<9>>;
TYPED_TEST_SUITE(a_cuckoo_table, all_tables, slots_in_name);

// Hashes and handles of few different values, so that each shows up where the other one is wanted.
TYPED_TEST(a_cuckoo_table, tells_which_slots_of_a_bucket_hold_a_hash) {
  constexpr std::size_t slots_each = TestFixture::bucket_slots;
  using container = libcuckoo::bucket_container<slot_key, std::uint8_t, table_allocator<index_slot>,
                                                std::uint8_t, slots_each>;
  std::mt19937 random{slots_each};
  const std::array<std::uint32_t, 4> hashes{0, 1, 0xFFFFFFFF, 0x80000001};
  for (int round = 0; round < 1000; ++round) {
    table_account account{&system_memory_source()};
    container buckets{0, table_allocator<index_slot>{&account}};
    std::array<unsigned, hashes.size()> expected{};
    for (unsigned i = 0; i < slots_each; ++i) {
      const std::size_t which = random() % hashes.size();
      const std::uint32_t hash = hashes.at(which);
      const auto handle = static_cast<entry_handle>(hashes.at(random() % hashes.size()));
      buckets.setKV(0, i, 0, slot_key{handle, tag_of(hash)}, high_byte_of(hash));
      expected.at(which) |= 1U << i;
    }
    const auto* const first_bucket = reinterpret_cast<const std::byte*>(&buckets[0]);
    for (std::size_t which = 0; which < hashes.size(); ++which) {
      ASSERT_EQ(slots_with(hashes.at(which), first_bucket, slots_each), expected.at(which));
    }
  }
}

// With few none is moved out of the way; with nine tenths many are, to where the partial says that
// was noted for them.
TYPED_TEST(a_cuckoo_table, adds_entries_where_libcuckoo_would_and_notes_the_same_for_them) {
  for (const std::size_t percent : {20, 90}) {
    const auto count = static_cast<std::uint32_t>(this->t.map.capacity() * percent / 100);
    TypeParam by_us{system_memory_source(), this->t.map.capacity()};
    TypeParam by_libcuckoo{system_memory_source(), this->t.map.capacity()};
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t hash = this->hash_of(i);
      ASSERT_TRUE(by_us.add(hash, i));
      ASSERT_TRUE(by_libcuckoo.map.insert(slot_key{i, tag_of(hash)}, high_byte_of(hash)));
    }
    for (std::size_t number = 0; number < TestFixture::bucket_count; ++number) {
      const auto& ours = cuckoo_inside::bucket_at(by_us.map, number);
      const auto& theirs = cuckoo_inside::bucket_at(by_libcuckoo.map, number);
      for (unsigned i = 0; i < TestFixture::bucket_slots; ++i) {
        ASSERT_EQ(ours.occupied(i), theirs.occupied(i));
        if (!ours.occupied(i)) continue;
        ASSERT_EQ(ours.key(i).handle(), theirs.key(i).handle());
        ASSERT_EQ(ours.partial(i), theirs.partial(i));
      }
    }
  }
}

// Entries of the deepest segments have 17 bits of their hashes in common, and 4 beside the
// bucket's.
TYPED_TEST(a_cuckoo_table, fills_to_94_percent_with_16_alternatives_for_a_bucket) {
  constexpr std::size_t buckets = 2048;
  for (std::uint32_t segment = 0; segment < 4; ++segment) {
    TypeParam large{system_memory_source(), buckets * TestFixture::bucket_slots};
    std::mt19937 random{segment};
    const std::uint32_t shared = static_cast<std::uint32_t>(random()) & 0xff0001ff;
    const std::size_t count = large.map.capacity() * 94 / 100;
    for (entry_handle handle = 0; handle < count; ++handle) {
      const std::uint32_t hash = shared | (static_cast<std::uint32_t>(random()) & 0x00fffe00);
      ASSERT_TRUE(large.add(hash, handle)) << handle << " of " << large.map.capacity();
    }
  }
}

TYPED_TEST(a_cuckoo_table, finds_every_slot_wherever_libcuckoo_has_put_it) {
  const auto count = static_cast<std::uint32_t>(this->t.map.capacity() * 9 / 10);
  this->fill(count);
  EXPECT_EQ(this->t.map.size(), count);
  std::set<bool> in_second; // both happen
  for (std::uint32_t i = 0; i < count; ++i) {
    ASSERT_TRUE(this->holds(i)) << i;
    const bucket_pair pair = this->buckets(this->hash_of(i));
    const table_arrays in = this->t.arrays();
    const unsigned there = slots_with(this->hash_of(i), in.bucket(pair.second), in.bucket_slots);
    in_second.insert(pair.first != pair.second && there != 0);
  }
  EXPECT_EQ(in_second.size(), 2U);
}

TYPED_TEST(a_cuckoo_table, hands_over_every_slot_once_with_its_hash) {
  const auto count = static_cast<std::uint32_t>(this->t.map.capacity() * 9 / 10);
  this->fill(count);
  std::set<entry_handle> handed_over;
  EXPECT_TRUE(this->t.all_slots([&](std::uint32_t hash, entry_handle handle) {
    EXPECT_EQ(hash, this->hash_of(handle));
    return handed_over.insert(handle).second;
  }));
  EXPECT_EQ(handed_over.size(), count);
}

TYPED_TEST(a_cuckoo_table, hands_over_no_more_once_one_was_not_accepted) {
  this->fill(100);
  int seen = 0;
  EXPECT_FALSE(this->t.all_slots([&](std::uint32_t, entry_handle) { return ++seen < 7; }));
  EXPECT_EQ(seen, 7);
}

TYPED_TEST(a_cuckoo_table, refuses_an_entry_that_has_no_place_and_keeps_the_others) {
  const std::uint32_t hash = this->hash_of(0);
  const bucket_pair pair = this->buckets(hash);
  ASSERT_NE(pair.first, pair.second);
  const auto places = static_cast<entry_handle>(2 * TestFixture::bucket_slots);
  for (entry_handle handle = 0; handle < places; ++handle) {
    ASSERT_TRUE(this->t.add(hash, handle));
  }
  EXPECT_FALSE(this->t.add(hash, places));
  EXPECT_EQ(this->t.map.size(), places);
  for (entry_handle handle = 0; handle < places; ++handle) {
    const locked_slot slot{this->t.arrays(), hash, pair, is_entry{handle}};
    ASSERT_TRUE(slot) << handle;
  }
}

TYPED_TEST(a_cuckoo_table, finds_nothing_that_was_erased_and_counts_it_no_more) {
  this->fill(100);
  for (std::uint32_t i = 0; i < 100; i += 2) {
    const std::uint32_t hash = this->hash_of(i);
    const locked_slot slot{this->t.arrays(), hash, this->buckets(hash), is_entry{i}};
    ASSERT_TRUE(slot);
    this->t.erase(slot);
  }
  for (std::uint32_t i = 0; i < 100; ++i) EXPECT_EQ(this->holds(i), i % 2 == 1) << i;
  EXPECT_EQ(this->t.map.size(), 50U);
}

TYPED_TEST(a_cuckoo_table, finds_a_slot_by_the_handle_that_was_set_last) {
  this->fill(1);
  const std::uint32_t hash = this->hash_of(0);
  {
    const locked_slot slot{this->t.arrays(), hash, this->buckets(hash), is_entry{0}};
    slot.set_handle(7);
  }
  const auto finds = [&](entry_handle handle) {
    return bool{locked_slot{this->t.arrays(), hash, this->buckets(hash), is_entry{handle}}};
  };
  EXPECT_TRUE(finds(7));
  EXPECT_FALSE(finds(0));
}

TYPED_TEST(a_cuckoo_table, tells_slots_of_the_same_hash_in_one_bucket_apart) {
  const std::uint32_t hash = this->hash_of(0);
  for (const entry_handle handle : {1, 2, 3}) ASSERT_TRUE(this->t.add(hash, handle));
  for (const entry_handle handle : {1, 2, 3}) {
    const locked_slot slot{this->t.arrays(), hash, this->buckets(hash), is_entry{handle}};
    ASSERT_TRUE(slot);
    EXPECT_EQ(slot.handle(), handle);
  }
}

TYPED_TEST(a_cuckoo_table, keeps_other_threads_out_of_a_slot) {
  this->fill(1);
  const std::uint32_t hash = this->hash_of(0);
  unsigned visits = 0; // guarded by the slot's locks
  const auto visit_often = [&] {
    for (int i = 0; i < 100'000; ++i) {
      const locked_slot slot{this->t.arrays(), hash, this->buckets(hash), is_entry{0}};
      visits += slot ? 1 : 0;
    }
  };
  std::thread other{visit_often};
  visit_often();
  other.join();
  EXPECT_EQ(visits, 200'000U);
}

// As libcuckoo does: in any other order the two could wait for one another.
TYPED_TEST(a_cuckoo_table, takes_the_lock_of_the_bucket_with_the_lower_number_first) {
  std::set<bool> first_is_lower; // both happen
  for (std::uint32_t i = 0; i < 20; ++i) {
    const std::uint32_t hash = this->hash_of(i);
    const bucket_pair pair = this->buckets(hash);
    if (pair.first == pair.second) continue;
    first_is_lower.insert(pair.first < pair.second);
    const auto [lower, upper] = std::minmax(pair.first, pair.second);
    auto& held = cuckoo_inside::lock_at(this->t.map, upper);
    held.lock();
    std::thread other{[&, lock_both = hash] {
      const locked_slot slot{this->t.arrays(), lock_both, this->buckets(lock_both), is_entry{0}};
    }};
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{30};
    while (this->is_free(lower) && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    const bool has_lower = !this->is_free(lower); // and waits for the other one
    held.unlock();
    other.join();
    ASSERT_TRUE(has_lower) << i;
  }
  EXPECT_EQ(first_is_lower.size(), 2U);
}

TYPED_TEST(a_cuckoo_table, holds_the_locks_of_both_buckets_while_it_has_a_slot_and_no_longer) {
  for (std::uint32_t i = 0; i < 10'000; ++i) { // some of which have both in one place
    const std::uint32_t hash = this->hash_of(i);
    const bucket_pair pair = this->buckets(hash);
    {
      const locked_slot slot{this->t.arrays(), hash, pair, is_entry{i}};
      ASSERT_FALSE(this->is_free(pair.first));
      ASSERT_FALSE(this->is_free(pair.second));
    }
    ASSERT_TRUE(this->is_free(pair.first));
    ASSERT_TRUE(this->is_free(pair.second));
  }
}

} // namespace
} // namespace kvcache
