#include "cache/cuckoo_table.hpp"

#include <gtest/gtest.h>

#include <random>
#include <type_traits>

// libcuckoo's friend: so what the table relies on of its inside can be compared with it.
namespace libcuckoo {
class UnitTestInternalAccess {
public:
  template <class Map>
  static constexpr bool asks_for_equality_at_once = Map::is_simple();
  template <class Map>
  using bucket = typename Map::bucket;
  template <class Map>
  static constexpr std::size_t lock_bytes = sizeof(typename Map::spinlock);

  template <class Map>
  static kvcache::bucket_pair buckets_of(std::size_t tag, std::size_t hashpower) {
    const std::size_t first = Map::index_hash(hashpower, tag);
    return {first, Map::alt_index(hashpower, Map::partial_key(tag), first)};
  }
  template <class Map>
  static const void* buckets(const Map& map) {
    return &map.buckets_[0];
  }
  template <class Map>
  static const void* locks(const Map& map) {
    return map.get_current_locks().data();
  }
};
} // namespace libcuckoo

namespace kvcache {
namespace {

using inside = libcuckoo::UnitTestInternalAccess;

// Hashes and handles of few different values, so that each shows up where the other one is wanted.
template <std::size_t SlotsPerBucket>
void expect_slots_found() {
  using container = libcuckoo::bucket_container<slot_key, std::uint8_t, table_allocator<index_slot>,
                                                std::uint8_t, SlotsPerBucket>;
  std::mt19937 random{SlotsPerBucket};
  memory_source& source = system_memory_source();
  const std::array<std::uint32_t, 4> hashes{0, 1, 0xFFFFFFFF, 0x80000001};
  for (int round = 0; round < 1000; ++round) {
    table_account account{&source, 1};
    container buckets{0, table_allocator<index_slot>{&account}};
    std::array<unsigned, hashes.size()> expected{};
    for (unsigned i = 0; i < SlotsPerBucket; ++i) {
      const std::size_t which = random() % hashes.size();
      const std::uint32_t hash = hashes.at(which);
      const auto handle = static_cast<entry_handle>(hashes.at(random() % hashes.size()));
      buckets.setKV(0, i, 0, slot_key{handle, tag_of(hash)}, high_byte_of(hash));
      expected.at(which) |= 1U << i;
    }
    for (std::size_t which = 0; which < hashes.size(); ++which) {
      ASSERT_EQ(slots_with<SlotsPerBucket>(hashes.at(which), buckets[0]), expected.at(which));
    }
  }
}

TEST(cuckoo_table, a_bucket_of_any_size_tells_which_of_its_slots_hold_a_hash) {
  expect_slots_found<4>();
  expect_slots_found<6>();
  expect_slots_found<8>();
}

template <std::size_t SlotsPerBucket>
void expect_as_libcuckoo_has_it() {
  using map = typename table_of<SlotsPerBucket>::cuckoo_map;
  static_assert(inside::asks_for_equality_at_once<map>);
  static_assert(std::is_same_v<inside::bucket<map>, bucket_of<SlotsPerBucket>>);
  static_assert(sizeof(bucket_of<SlotsPerBucket>) == SlotsPerBucket * slot_bytes);
  static_assert(inside::lock_bytes<map> == lock_bytes);

  for (std::size_t hashpower = 1; hashpower <= 11; ++hashpower) {
    for (std::size_t tag = 0; tag < std::size_t{1} << tag_bits; tag += 251) { // a prime
      const bucket_pair theirs = inside::buckets_of<map>(tag, hashpower);
      const bucket_pair ours = bucket_pair::of(tag, (std::size_t{1} << hashpower) - 1);
      ASSERT_EQ(ours.first, theirs.first) << tag;
      ASSERT_EQ(ours.second, theirs.second) << tag;
    }
  }
  for (const std::size_t bucket_count : {4, 64, 2048}) {
    const table_of<SlotsPerBucket> table{system_memory_source(), bucket_count * SlotsPerBucket};
    EXPECT_EQ(table.account.buckets, inside::buckets(table.map));
    EXPECT_EQ(table.account.locks, inside::locks(table.map));
  }
}

TEST(cuckoo_table, relies_on_nothing_that_libcuckoo_does_not_do) {
  expect_as_libcuckoo_has_it<4>();
  expect_as_libcuckoo_has_it<6>();
  expect_as_libcuckoo_has_it<8>();
}

} // namespace
} // namespace kvcache
