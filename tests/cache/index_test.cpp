#include "cache/index.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cache/counting_memory.hpp"

namespace kvcache {
namespace {

using test::counting_memory;
using fate = entry_index::fate;
using insertion = entry_index::insertion;

constexpr auto keep = [](entry_handle&) { return fate::keep; };
constexpr auto remove = [](entry_handle&) { return fate::erase; };

// An entry of that key and no value.
entry_handle write_entry(entry_arena& arena, std::string_view key) {
  const auto block = arena.allocate(entry_shape{key.size(), 0, false}.total_bytes());
  entry e = arena.at(block.handle);
  e.write(key, {""}, never);
  e.publish(entry_meta::for_new_entry(0, false, false));
  return block.handle;
}

class index_with_small_tables : public testing::Test {
protected:
  std::string key(std::size_t i) const { return "key" + std::to_string(i); }
  insertion add(std::size_t i) {
    const std::string k = key(i);
    handles[i] = write_entry(arena, k);
    return index.insert(hash(k), k, handles[i], keep);
  }
  entry_handle found(std::size_t i) const {
    entry_handle handle = no_entry;
    index.find(hash(key(i)), key(i), [&](entry_handle h, entry) { handle = h; });
    return handle;
  }
  void check_all() const {
    for (const auto& [i, handle] : handles) ASSERT_EQ(found(i), handle) << i;
  }

  counting_memory memory;
  budget held_by_entries{0};
  budget held{0}; // by tables
  entry_arena arena{1, held_by_entries, memory};
  std::size_t mapped_by_the_arena = memory.mapped_bytes();
  entry_index index{arena, held, memory, {.initial_depth = 1, .packed_shape = 3}};
  keyed_hash hash{1, 2};
  std::map<std::size_t, entry_handle> handles;
};

TEST_F(index_with_small_tables, finds_everything_through_growth_splits_shrinks_and_merges) {
  constexpr std::size_t count = 20'000; // over a hundred segments
  const std::size_t empty = index.bytes();
  for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(add(i), insertion::inserted);
  EXPECT_GT(index.growths(), 200U);
  check_all();
  EXPECT_EQ(found(count), no_entry);
  for (std::size_t i = 0; i < count; ++i) {
    if (i % 50 == 0) continue;
    ASSERT_TRUE(index.visit(hash(key(i)), key(i), remove));
    handles.erase(i);
    if (i % 100 == 0) index.maintain();
  }
  const std::size_t sparse = index.bytes();
  while (index.maintain()) {
  }
  EXPECT_GT(index.shrinks(), 100U);
  EXPECT_LT(index.bytes(), sparse / 6);
  check_all();
  for (std::size_t i = 0; i < count; i += 50)
    ASSERT_TRUE(index.visit(hash(key(i)), key(i), remove));
  while (index.maintain()) {
  }
  // The two first tables again; descriptors of segments are kept for the next growth.
  EXPECT_EQ((index.bytes() - empty) % 64, 0U);
  EXPECT_LE(index.bytes(), empty + index.growths() * 64);
  const std::uint64_t shrinks = index.shrinks();
  while (index.maintain()) {
  }
  EXPECT_EQ(index.shrinks(), shrinks); // nothing is left to do
}

TEST_F(index_with_small_tables, a_present_key_needs_no_larger_table) {
  for (std::size_t i = 0; i < 3000; ++i) {
    ASSERT_EQ(add(i), insertion::inserted);
    const std::uint64_t growths = index.growths();
    // Its segment may be just at the mark from which on insertions make it grow.
    ASSERT_EQ(index.insert(hash(key(i)), key(i), handles[i], keep), insertion::present);
    ASSERT_EQ(index.growths(), growths);
  }
}

TEST_F(index_with_small_tables, a_call_of_maintain_replaces_one_table_at_most) {
  for (std::size_t i = 0; i < 20'000; ++i) add(i);
  for (std::size_t i = 0; i < 20'000; ++i) index.visit(hash(key(i)), key(i), remove);
  std::uint64_t before = index.shrinks();
  std::size_t calls_for_nothing = 0;
  while (index.maintain()) {
    ASSERT_LE(index.shrinks(), before + 1);
    calls_for_nothing += index.shrinks() == before ? 1 : 0;
    before = index.shrinks();
  }
  EXPECT_GT(calls_for_nothing, 0U); // it did not look at the whole directory to find the next
}

TEST_F(index_with_small_tables, distinguishes_keys_of_the_same_hash_and_forgets_erased_ones) {
  constexpr std::uint32_t same = 7;
  const auto find = [this](const std::string& k) {
    entry_handle handle = no_entry;
    index.find(same, k, [&](entry_handle h, entry) { handle = h; });
    return handle;
  };
  std::map<std::string, entry_handle> there;
  for (const char* k : {"a", "b", "c", "d", "e"}) { // more than one bucket has slots
    const auto block = arena.allocate(entry_shape{1, 0, false}.total_bytes());
    entry e = arena.at(block.handle);
    e.write(k, {""}, never);
    e.publish(entry_meta::for_new_entry(0, false, false));
    ASSERT_EQ(index.insert(same, k, block.handle, keep), insertion::inserted);
    there[k] = block.handle;
  }
  for (const char* gone : {"c", "a", "e"}) {
    for (const auto& [k, handle] : there) ASSERT_EQ(find(k), handle) << k;
    ASSERT_TRUE(index.visit(same, gone, remove));
    there.erase(gone);
    EXPECT_EQ(find(gone), no_entry); // though its hash still lies in the slot
  }
  for (const auto& [k, handle] : there) EXPECT_EQ(find(k), handle) << k;
  EXPECT_EQ(find("f"), no_entry);
}

TEST_F(index_with_small_tables, keeps_one_slot_for_a_key) {
  ASSERT_EQ(add(1), insertion::inserted);
  const entry_handle first = handles[1];
  EXPECT_EQ(add(1), insertion::present);
  EXPECT_EQ(found(1), first);
  index.insert(hash(key(1)), key(1), handles[1], [&](entry_handle& handle) {
    handle = handles[1]; // swapped under the bucket's lock
    return fate::keep;
  });
  EXPECT_EQ(found(1), handles[1]);
}

TEST_F(index_with_small_tables, finds_an_entry_by_its_exact_handle_only) {
  add(1);
  add(2);
  EXPECT_TRUE(index.visit(entry_ref{handles[1], hash(key(1))}, keep));
  EXPECT_FALSE(index.visit(entry_ref{handles[2], hash(key(1))}, keep)); // another entry's room
  EXPECT_TRUE(index.visit(entry_ref{handles[1], hash(key(1))}, remove));
  EXPECT_FALSE(index.visit(entry_ref{handles[1], hash(key(1))}, keep)); // gone
  EXPECT_EQ(found(2), handles[2]);
}

TEST_F(index_with_small_tables, accounts_for_its_tables_exactly) {
  for (std::size_t i = 0; i < 5000; ++i) add(i);
  // All it has from the kernel and the heap, but for the two fixed tables of addresses.
  const std::size_t directory_and_segments =
      round_up_to_pages(131'072 * 8) + round_up_to_pages(131'072 * 64);
  const std::size_t tables = memory.mapped_bytes() - mapped_by_the_arena - directory_and_segments +
                             memory.allocated_bytes();
  EXPECT_GE(index.bytes(), tables);
  EXPECT_EQ((index.bytes() - tables) % 64, 0U); // the segments' descriptors
  EXPECT_LT(index.bytes() - tables, tables / 4);
}

TEST_F(index_with_small_tables, a_refused_growth_is_reported_and_loses_no_entry) {
  std::size_t i = 0;
  held.set_limit_bytes(held.held_bytes() + (std::size_t{64} << 10));
  while (add(i) == insertion::inserted) ++i;
  handles.erase(i);
  EXPECT_GT(i, 500U);
  check_all();
  held.set_limit_bytes(0);
  EXPECT_EQ(add(i), insertion::inserted); // and then it grows
}

TEST_F(index_with_small_tables, requests_a_table_rarely_while_the_kernel_refuses_memory) {
  for (std::size_t i = 0; i < 200; ++i) ASSERT_EQ(add(i), insertion::inserted);
  const std::uint64_t growths = index.growths();
  memory.refuse(1, counting_memory::all);
  std::size_t refused = 0;
  for (std::size_t i = 200; i < 1200; ++i) {
    if (add(i) == insertion::inserted) continue;
    ++refused;
    arena.release(handles[i]);
    handles.erase(i);
  }
  EXPECT_GT(refused, 500U);
  EXPECT_LE(memory.requests(), 100U);
  check_all();
  memory.refuse_nothing();
  for (std::size_t i = 1200; i < 1250; ++i) add(i);
  EXPECT_GT(index.growths(), growths);
  EXPECT_EQ(add(1250), insertion::inserted);
}

TEST_F(index_with_small_tables, a_growth_step_fits_its_predicted_bytes) {
  for (std::size_t i = 0; i < 2000; ++i) {
    held.set_limit_bytes(held.held_bytes() + index.growth_step_bytes(hash(key(i))));
    ASSERT_EQ(add(i), insertion::inserted) << i;
    held.set_limit_bytes(0);
  }
  EXPECT_GT(index.growths(), 20U);
}

TEST_F(index_with_small_tables, a_small_growth_step_is_not_predicted_as_the_largest) {
  const std::size_t first = index.growth_step_bytes(hash(key(0)));
  std::size_t largest = first;
  for (std::size_t i = 0; i < 2000; ++i) {
    ASSERT_EQ(add(i), insertion::inserted);
    largest = std::max(largest, index.growth_step_bytes(hash(key(i))));
  }
  EXPECT_LT(2 * first, largest);
}

// An entry can be erased as soon as it is in its table: were it counted after that, the count would
// be below zero meanwhile, and whoever inserts then would take the table for full.
// More threads than processors, none of which ever waits: now and then one loses its processor
// right after its entry is there, and the others erase that and insert theirs.
TEST_F(index_with_small_tables, entries_erased_right_after_insertion_grow_no_table) {
  constexpr unsigned steps = 400'000;
  entry_index small{arena, held, memory, {.initial_depth = 0, .packed_shape = 3}};
  const std::array<entry_handle, 2> entries{write_entry(arena, key(0)), write_entry(arena, key(1))};
  std::vector<std::thread> threads;
  for (unsigned number = 0; number < 6; ++number) {
    threads.emplace_back([&, number] {
      for (unsigned step = 0; step < steps; ++step) {
        const std::size_t i = (step / 2 + number) % 2;
        if (step % 2 == 0) {
          small.insert(hash(key(i)), key(i), entries[i], keep);
        } else {
          small.visit(hash(key(i)), key(i), remove);
        }
      }
    });
  }
  for (std::thread& each : threads) each.join();
  EXPECT_EQ(small.growths(), 0U);
}

TEST_F(index_with_small_tables, drain_returns_every_handle_once) {
  for (std::size_t i = 0; i < 3000; ++i) add(i);
  std::set<entry_handle> drained;
  EXPECT_EQ(index.drain([&](entry_handle handle) { EXPECT_TRUE(drained.insert(handle).second); }),
            3000U);
  EXPECT_EQ(drained.size(), 3000U);
  EXPECT_EQ(found(7), no_entry);
  EXPECT_EQ(index.drain([](entry_handle) {}), 0U);
}

TEST_F(index_with_small_tables, drain_blocks_no_other_operation) {
  for (std::size_t i = 0; i < 500; ++i) add(i);
  std::size_t next = 500;
  const std::size_t drained = index.drain([&](entry_handle) {
    for (std::size_t i = 0; i < 20; ++i) found(i); // would wait for ever if a lock were held
    if (next < 600) add(next++);
  });
  EXPECT_GE(drained, 500U);
  std::size_t left = 0;
  for (std::size_t i = 500; i < next; ++i) left += found(i) != no_entry ? 1 : 0;
  EXPECT_EQ(drained + left, next);
  for (std::size_t i = 0; i < 500; ++i) ASSERT_EQ(found(i), no_entry);
}

TEST_F(index_with_small_tables, drain_works_without_memory_for_an_empty_table) {
  for (std::size_t i = 0; i < 500; ++i) add(i);
  memory.refuse(1, counting_memory::all);
  EXPECT_EQ(index.drain([](entry_handle) {}), 500U);
  memory.refuse_nothing();
  for (std::size_t i = 0; i < 500; ++i) ASSERT_EQ(found(i), no_entry);
  EXPECT_EQ(add(1), insertion::inserted);
}

// In a table of 4 or 8 buckets both of such a key's buckets are the same one. What fits into a
// table fits into the next larger one, too: keys that share a bucket there share it in all smaller
// ones.
TEST(entry_index, grows_when_a_bucket_is_full_of_keys_without_a_second_one) {
  budget held{0};
  entry_arena arena{1, held, system_memory_source()};
  entry_index index{arena, held, system_memory_source()};
  constexpr std::uint32_t bucket = 5;
  const auto hash_of = [](std::uint32_t i) {
    const std::uint32_t in_larger_tables = i * 0x9E3779B9 & 0x0007001f; // bits that tell them apart
    return in_larger_tables | bucket << 13 | (bucket ^ 7) << 5;         // a partial of …111
  };
  for (std::uint32_t i = 0; i < 60; ++i) {
    const std::string key = "key" + std::to_string(i);
    ASSERT_EQ(index.insert(hash_of(i), key, write_entry(arena, key), keep), insertion::inserted)
        << i;
  }
  EXPECT_GT(index.growths(), 3U); // more than so few entries take otherwise
  while (index.maintain()) {
  }
  for (std::uint32_t i = 0; i < 60; ++i) { // the tables that would be large enough had no place
    EXPECT_TRUE(index.find(hash_of(i), "key" + std::to_string(i), [](entry_handle, entry) {})) << i;
  }
}

// Two buckets of the largest table, here of 8 with 6 slots, are one in tables of the split shape.
TEST(entry_index, keeps_all_entries_if_half_of_a_segment_has_no_place_for_them) {
  budget held{0};
  entry_arena arena{1, held, system_memory_source()};
  entry_index index{arena, held, system_memory_source(), {.initial_depth = 0, .packed_shape = 1}};
  const auto hash_in = [](std::uint32_t bucket) {
    return bucket << 13 | (bucket ^ 7) << 5; // both of its buckets are this one
  };
  std::vector<std::pair<std::uint32_t, std::string>> there;
  const auto add = [&](std::uint32_t bucket) {
    const std::string key = "key" + std::to_string(there.size());
    const auto outcome = index.insert(hash_in(bucket), key, write_entry(arena, key), keep);
    if (outcome == insertion::inserted) there.emplace_back(hash_in(bucket), key);
    return outcome;
  };
  for (int i = 0; i < 6; ++i) { // for which the table becomes the largest
    for (const std::uint32_t bucket : {0, 2, 3, 4, 6, 7}) {
      ASSERT_EQ(add(bucket), insertion::inserted);
    }
  }
  const std::uint64_t growths = index.growths();
  for (int i = 0; i < 6; ++i) {
    ASSERT_EQ(add(1), insertion::inserted);
    ASSERT_EQ(add(5), insertion::inserted);
  }
  EXPECT_EQ(add(1), insertion::full);
  EXPECT_EQ(index.growths(), growths);
  for (const auto& [hash, key] : there) {
    EXPECT_TRUE(index.find(hash, key, [](entry_handle, entry) {})) << key;
  }
}

TEST(entry_index, never_takes_more_memory_as_its_entries_decrease) {
  budget held_by_entries{0};
  entry_arena arena{1, held_by_entries, system_memory_source()};
  budget held{0};
  entry_index index{arena, held, system_memory_source()};
  std::vector<entry_ref> entries;
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    const std::string k = "key" + std::to_string(i);
    const entry_ref ref{write_entry(arena, k), keyed_hash{1, 2}(k)};
    ASSERT_EQ(index.insert(ref.hash, k, ref.handle, keep), insertion::inserted);
    entries.push_back(ref);
  }
  std::size_t before = index.bytes();
  for (std::size_t erased = 0; !entries.empty(); ++erased) {
    ASSERT_TRUE(index.visit(entries.back(), remove));
    entries.pop_back();
    if (erased % 16 != 0) continue;
    while (index.maintain()) {
    }
    ASSERT_LE(index.bytes(), before) << entries.size();
    before = index.bytes();
  }
  EXPECT_LT(before, 20'000U); // of tables of 16 slots
}

TEST(entry_index, has_places_for_the_entries_of_64_gib_and_touches_no_memory_for_them) {
  budget held{0};
  counting_memory memory;
  entry_arena arena{1, held, memory};
  const std::size_t before = held.held_bytes();
  const entry_index index{arena, held, memory};
  EXPECT_GE(index.max_entries(), 1'300'000'000U);
  EXPECT_LT(held.held_bytes() - before, 4096U);
  EXPECT_EQ(memory.populated_bytes(), 0U);
}

TEST(entry_index, reports_a_full_segment_that_must_not_split) {
  budget held{0};
  entry_arena arena{1, held, system_memory_source()};
  // Every hash the same: all belong to one segment, whatever it is split into, and to two buckets.
  entry_index index{arena, held, system_memory_source(), {.initial_depth = 0, .packed_shape = 1}};
  insertion outcome = insertion::inserted;
  std::size_t inserted = 0;
  for (; outcome == insertion::inserted && inserted < 100; ++inserted) {
    const std::string key = "key" + std::to_string(inserted);
    const auto block = arena.allocate(16);
    arena.at(block.handle).write(key, {""}, never);
    arena.at(block.handle).publish(entry_meta::for_new_entry(0, false, false));
    outcome = index.insert(0x12345678, key, block.handle, keep);
  }
  EXPECT_EQ(outcome, insertion::full);
  EXPECT_GE(inserted, 8U);
}

} // namespace
} // namespace kvcache
