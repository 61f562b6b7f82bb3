// How far handles reach: the unit for a memory limit, and that every mix of sizes finds addresses.
#include "cache/addressing.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "cache/counting_memory.hpp"
#include "cache/entry_arena.hpp"
#include "cache/store.hpp"
#include "cache/store_support.hpp"

namespace kvcache {
namespace {

using test::numbered;
using test::value_of;

constexpr std::size_t gib = std::size_t{1} << 30;

TEST(addressing, counts_units_of_8_bytes_up_to_23_gib_and_of_32_from_48_on) {
  EXPECT_EQ(addressing::for_limit(16 << 20).unit_bytes(), 8U);
  EXPECT_EQ(addressing::for_limit(2 * gib).unit_bytes(), 8U);
  EXPECT_EQ(addressing::for_limit(23 * gib).unit_bytes(), 8U);
  EXPECT_EQ(addressing::for_limit(24 * gib).unit_bytes(), 16U);
  EXPECT_EQ(addressing::for_limit(47 * gib).unit_bytes(), 16U);
  EXPECT_EQ(addressing::for_limit(48 * gib).unit_bytes(), 32U);
  EXPECT_EQ(addressing::for_limit(1024 * gib).unit_bytes(), 32U);
}

TEST(addressing, reaches_seventy_percent_of_a_limit_with_blocks_of_any_size) {
  for (const std::size_t limit : {2 * gib, 23 * gib, 47 * gib, 64 * gib, 80 * gib}) {
    const std::size_t slabs = addressing::for_limit(limit).range_bytes() / slab_bytes - 1;
    ASSERT_GE(limit_addressable_with((slabs + 1) * slab_bytes), limit);
    const std::size_t filled = limit / 100 * 70;
    for (size_class c = 0; c < size_class_count; ++c) {
      const std::size_t block = block_bytes_of(c);
      const std::size_t held_in_slab = slab_bytes / block * block;
      ASSERT_LE(filled / held_in_slab, slabs) << block;
    }
    for (std::size_t block = max_small_block_bytes + page_bytes(); block < 64 * slab_bytes;
         block += page_bytes()) {
      const std::size_t slabs_each = (block + slab_bytes - 1) / slab_bytes;
      ASSERT_LE(filled / block * slabs_each, slabs) << block;
    }
  }
}

TEST(addressing, of_80_gib_is_the_most) {
  EXPECT_EQ(limit_addressable_with(addressing::for_limit(1024 * gib).range_bytes()), 80 * gib);
}

class handles_of_a_unit : public testing::TestWithParam<std::size_t> {
protected:
  const addressing how = addressing::for_limit(GetParam());
};

TEST_P(handles_of_a_unit, name_blocks_that_lie_in_the_upper_half_of_the_range) {
  budget held{0};
  entry_arena arena{1, held, system_memory_source(), how};
  const auto lower = arena.reserve(how.range_bytes() / 2); // addresses only
  ASSERT_EQ(lower.outcome, entry_arena::status::ok);
  std::map<entry_handle, std::string> keys;
  for (std::size_t i = 0; i < 3000; ++i) {
    const std::string key = numbered("key", i);
    const std::size_t value_bytes = i * 37 % 40'000;
    const entry_shape shape = entry_shape::of(key.size(), value_bytes, never);
    const auto block = arena.allocate(shape.total_bytes());
    ASSERT_EQ(block.outcome, entry_arena::status::ok);
    ASSERT_GT(block.handle, lower.handle);
    EXPECT_EQ(arena.block_bytes(block.handle) % how.unit_bytes(), 0U);
    entry e = arena.at(block.handle);
    e.write(key, {std::string(value_bytes, 'v')}, never);
    e.publish(entry_meta::for_new_entry(0, shape.has_expiry, shape.extended()));
    ASSERT_TRUE(keys.emplace(block.handle, key).second);
  }
  for (const auto& [handle, key] : keys) {
    const entry e = arena.at(handle);
    ASSERT_EQ(e.key(e.meta()), key);
    ASSERT_TRUE(arena.holds_entry(handle));
  }
  EXPECT_EQ(arena.take_census().fault, "");
  for (const auto& [handle, key] : keys) arena.release(handle);
  EXPECT_EQ(arena.live_bytes(), 0U);
  arena.abandon(lower.handle, 0);
}

TEST_P(handles_of_a_unit, serve_a_store_that_grows_moves_and_frees_entries) {
  store s{cache_options{.largest_limit_bytes = GetParam(), .hash_seed = std::pair{1U, 2U}}};
  EXPECT_GE(s.addressable_limit_bytes(), GetParam());
  const auto value = [](std::size_t i) { return std::string(i * i % 500, 'v'); };
  for (std::size_t i = 0; i < 30'000; ++i) {
    ASSERT_EQ(s.put(numbered("key", i), value(i), never), put_outcome::inserted);
  }
  for (std::size_t i = 0; i < 30'000; ++i) {
    if (i % 3 == 0) continue;
    ASSERT_TRUE(s.erase(numbered("key", i)));
  }
  test::settle(s);
  EXPECT_GT(s.stats().entries_moved, 0U);
  for (std::size_t i = 0; i < 30'000; i += 3) ASSERT_EQ(value_of(s, numbered("key", i)), value(i));
  EXPECT_EQ(s.check_invariants(), "");
}

INSTANTIATE_TEST_SUITE_P(addressing, handles_of_a_unit,
                         testing::Values(2 * gib, 40 * gib, 64 * gib));

} // namespace
} // namespace kvcache
