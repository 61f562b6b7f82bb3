#include "cache/entry_arena.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cache/counting_memory.hpp"

namespace kvcache {
namespace {

using test::counting_memory;
using status = entry_arena::status;
using urgency = entry_arena::urgency;

class entry_arena_of_one_stripe : public testing::Test {
protected:
  entry_handle add(const std::string& key, std::size_t value_bytes) {
    const std::string value(value_bytes, 'v');
    const entry_shape shape = entry_shape::of(key.size(), value_bytes, never);
    const auto block = arena.allocate(shape.total_bytes());
    EXPECT_EQ(block.outcome, status::ok);
    entry e = arena.at(block.handle);
    e.write(key, {value}, never);
    e.publish(entry_meta::for_new_entry(0, shape.has_expiry, shape.extended()));
    return block.handle;
  }
  std::vector<entry_handle> add_many(std::size_t count, std::size_t block_bytes) {
    std::vector<entry_handle> handles;
    for (std::size_t i = 0; i < count; ++i) handles.push_back(arena.allocate(block_bytes).handle);
    return handles;
  }
  counting_memory memory;
  budget held{0};
  entry_arena arena{1, held, memory};
  keyed_hash hash{1, 2};
};

TEST_F(entry_arena_of_one_stripe, accounts_for_blocks_exactly) {
  const std::size_t block = arena.block_bytes_for(100);
  EXPECT_EQ(block, 104U);
  const auto handles = add_many(1000, 100);
  EXPECT_EQ(arena.live_bytes(), 1000 * block);
  EXPECT_EQ(arena.free_bytes(), 0U);
  EXPECT_EQ(arena.block_bytes(handles[0]), block);
  for (std::size_t i = 0; i < 500; ++i) arena.release(handles[i]);
  EXPECT_EQ(arena.live_bytes(), 500 * block);
  EXPECT_EQ(arena.free_bytes(), 500 * block);
}

TEST_F(entry_arena_of_one_stripe, charges_only_pages_that_are_touched) {
  arena.allocate(100);
  const std::size_t first = held.held_bytes();
  EXPECT_LE(first, page_bytes() + 4096);
  for (std::size_t i = 1; i < page_bytes() / 104; ++i) arena.allocate(100);
  EXPECT_EQ(held.held_bytes(), first);
  arena.allocate(100);
  EXPECT_EQ(held.held_bytes(), first + page_bytes());
}

TEST_F(entry_arena_of_one_stripe, reuses_freed_blocks_before_it_takes_new_memory) {
  const auto handles = add_many(2000, 64);
  const std::size_t before = held.held_bytes();
  std::set<entry_handle> freed;
  for (std::size_t i = 0; i < 2000; i += 3) {
    arena.release(handles[i]);
    freed.insert(handles[i]);
  }
  while (!freed.empty()) EXPECT_EQ(freed.erase(arena.allocate(64).handle), 1U);
  EXPECT_EQ(held.held_bytes(), before);
}

TEST_F(entry_arena_of_one_stripe, returns_an_emptied_slab_to_the_kernel) {
  const std::size_t per_slab = slab_bytes / 128;
  const auto handles = add_many(3 * per_slab, 128);
  const std::size_t full = held.held_bytes();
  for (std::size_t i = 0; i < 2 * per_slab; ++i) arena.release(handles[i]);
  EXPECT_EQ(memory.given_back_bytes(), slab_bytes); // the other empty one is kept for the next put
  EXPECT_EQ(held.held_bytes(), full - slab_bytes);
  EXPECT_TRUE(arena.trim());
  EXPECT_EQ(held.held_bytes(), full - 2 * slab_bytes);
  EXPECT_EQ(arena.free_bytes(), 0U);
  EXPECT_FALSE(arena.trim());
}

TEST_F(entry_arena_of_one_stripe, returns_a_new_slab_without_allocated_blocks) {
  std::vector<entry_handle> handles = add_many(1, 128); // the first slabs are there
  // Slabs are fetched some at a time. Once more of them are, all blocks are taken; meanwhile one
  // comes free, and is taken first.
  bool released = false;
  memory.on_commit = [&] {
    if (!released) arena.release(handles.back());
    released = true;
  };
  std::size_t full = 0;
  while (!released) {
    full = held.held_bytes();
    handles.push_back(arena.allocate(128).handle);
  }
  EXPECT_EQ(handles.back(), handles[handles.size() - 2]);
  EXPECT_GT(held.held_bytes(), full + page_bytes() - 1);
  EXPECT_TRUE(arena.trim());
  EXPECT_LT(held.held_bytes(), full + page_bytes());
  EXPECT_FALSE(arena.trim());
}

TEST_F(entry_arena_of_one_stripe, a_large_block_takes_whole_pages_of_its_own) {
  const std::size_t before = held.held_bytes();
  const auto large = arena.allocate(200'001);
  ASSERT_EQ(large.outcome, status::ok);
  EXPECT_EQ(arena.block_bytes(large.handle), round_up_to_pages(200'001));
  EXPECT_EQ(arena.live_bytes(), round_up_to_pages(200'001));
  EXPECT_GE(held.held_bytes() - before, arena.live_bytes());
  arena.at(large.handle).write("k", {std::string(199'000, 'v')}, never);
  arena.release(large.handle);
  EXPECT_EQ(arena.live_bytes(), 0U);
  EXPECT_EQ(memory.given_back_bytes(), round_up_to_pages(200'001));
  EXPECT_EQ(arena.allocate(200'001).handle, large.handle); // the addresses are reused
}

TEST_F(entry_arena_of_one_stripe, refuses_at_the_limit_and_changes_nothing) {
  add_many(10, 64);
  const std::size_t before = held.held_bytes();
  held.set_limit_bytes(before);
  EXPECT_EQ(arena.allocate(128).outcome, status::over_limit);
  EXPECT_EQ(arena.allocate(20'000).outcome, status::over_limit);
  EXPECT_EQ(held.held_bytes(), before);
  EXPECT_EQ(arena.allocate(64).outcome, status::ok); // its page is held already
}

TEST_F(entry_arena_of_one_stripe, says_so_when_the_kernel_refuses) {
  memory.refuse(1, counting_memory::all);
  EXPECT_EQ(arena.allocate(64).outcome, status::out_of_memory);
  EXPECT_EQ(arena.allocate(20'000).outcome, status::out_of_memory);
  EXPECT_EQ(held.held_bytes(), 0U);
}

TEST_F(entry_arena_of_one_stripe, a_walk_visits_every_live_entry_once_a_lap) {
  std::set<entry_handle> expected;
  for (std::size_t i = 0; i < 3000; ++i) {
    const auto handle = add("key" + std::to_string(i), i % 7 * 60);
    if (i % 3 == 0) {
      arena.release(handle);
    } else {
      expected.insert(handle);
    }
  }
  expected.insert(add("large", 100'000));
  arena.allocate(64); // not published: not met
  for (const std::size_t step : {1U, 10U, 1000U}) {
    walk_cursor cursor;
    std::set<entry_handle> met;
    entry_handle last = no_entry;
    while (cursor.laps == 0) {
      arena.walk(cursor, step, hash, [&](walked_entry& e) {
        if (cursor.laps != 0) return; // the walk went on into the next lap
        const entry_ref ref = e.ref();
        EXPECT_GT(ref.handle, last); // in the order of addresses
        last = ref.handle;
        EXPECT_TRUE(met.insert(ref.handle).second);
        EXPECT_EQ(ref.hash, hash(arena.at(ref.handle).key(e.meta())));
        EXPECT_EQ(e.block_bytes(), arena.block_bytes(ref.handle));
      });
    }
    EXPECT_EQ(met, expected);
  }
}

TEST_F(entry_arena_of_one_stripe, a_walk_over_an_empty_arena_ends) {
  walk_cursor cursor;
  EXPECT_EQ(arena.walk(cursor, 1000, hash, [](walked_entry&) {}), 0U);
  EXPECT_GT(cursor.laps, 0U);
}

TEST_F(entry_arena_of_one_stripe, evacuates_only_where_a_slab_can_be_emptied) {
  const std::size_t per_slab = slab_bytes / 128;
  auto handles = add_many(4 * per_slab, 128);
  EXPECT_EQ(arena.begin_evacuation(urgency::pressing), 0U); // nothing is free
  for (std::size_t i = 0; i < per_slab - 1; ++i) arena.release(handles[i * 4]);
  EXPECT_EQ(arena.begin_evacuation(urgency::pressing), 0U); // less than a slab
  arena.release(handles[1]);
  const std::uint32_t slab = arena.begin_evacuation(urgency::background);
  EXPECT_NE(slab, 0U);
  // Its blocks are not handed out while it is evacuated.
  for (std::size_t i = 0; i < per_slab / 2; ++i) {
    const entry_handle beside = arena.allocate_beside(slab);
    ASSERT_NE(beside, no_entry);
    EXPECT_NE(beside / (slab_bytes / 8), slab);
  }
  EXPECT_FALSE(arena.end_evacuation(slab)); // there are entries in it: back to allocation
}

TEST(entry_arena, blocks_freed_by_another_thread_are_reused) {
  budget held{0};
  entry_arena arena{2, held, system_memory_source()};
  constexpr std::size_t count = 5000;
  std::vector<entry_handle> handles;
  for (std::size_t i = 0; i < count; ++i) handles.push_back(arena.allocate(200).handle);
  const std::size_t full = held.held_bytes();
  // Other threads, on either stripe: they free half, and then allocate as much.
  for (int round = 0; round < 4; ++round) {
    std::thread{[&] {
      for (std::size_t i = 0; i < count; i += 2) arena.release(handles[i]);
    }}.join();
    std::thread{[&] {
      for (std::size_t i = 0; i < count; i += 2) handles[i] = arena.allocate(200).handle;
    }}.join();
    EXPECT_LE(held.held_bytes(), full + slab_bytes);
  }
}

} // namespace
} // namespace kvcache
