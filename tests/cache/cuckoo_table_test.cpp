#include "cache/cuckoo_table.hpp"

#include <gtest/gtest.h>

#include <random>

namespace kvcache {
namespace {

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

TEST(cuckoo_table, the_second_bucket_of_a_key_leads_back_to_its_first) {
  std::mt19937 random{1};
  for (int i = 0; i < 10'000; ++i) {
    const std::uint32_t tag = tag_of(static_cast<std::uint32_t>(random()));
    const bucket_pair pair = bucket_pair::of(tag, 511);
    ASSERT_LE(pair.first, 511U);
    ASSERT_LE(pair.second, 511U);
    // A tag with the same partial, whose first bucket is this one's second.
    const std::uint32_t low = static_cast<std::uint32_t>(pair.second) & 0xFF;
    const std::uint32_t middle = (tag >> 8 & 0xFE) | static_cast<std::uint32_t>(pair.second >> 8);
    const std::uint32_t partial = (tag ^ tag >> 8 ^ tag >> 16) & 0xFF;
    const std::uint32_t other = low | middle << 8 | (partial ^ low ^ middle) << 16;
    ASSERT_EQ(bucket_pair::of(other, 511).first, pair.second);
    ASSERT_EQ(bucket_pair::of(other, 511).second, pair.first);
  }
}

} // namespace
} // namespace kvcache
