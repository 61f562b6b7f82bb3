// Each invariant is broken once, as a fault in the store would break it.
#include "cache/invariants.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace kvcache {
namespace {

class invariants : public testing::Test {
protected:
  static constexpr std::size_t entries = 300;

  invariants() {
    for (std::size_t i = 0; i < entries; ++i) handle_ = put("key" + std::to_string(i), i * 50);
    arena_.release(unlink("key7"));
  }

  entry_handle write(std::string_view key, std::size_t value_bytes = 0) {
    const entry_shape shape = entry_shape::of(key.size(), value_bytes, never);
    const entry_handle handle = arena_.allocate(shape.total_bytes()).handle;
    entry e = arena_.at(handle);
    e.write(key, {std::string(value_bytes, 'v')}, never);
    e.publish(entry_meta::for_new_entry(0, shape.has_expiry, shape.extended()));
    return handle;
  }
  entry_index::insertion link(std::uint32_t hash, std::string_view key, entry_handle handle) {
    return index_.insert(hash, key, handle, [](entry_handle&) { return entry_index::fate::keep; });
  }
  entry_handle put(const std::string& key, std::size_t value_bytes) {
    const entry_handle handle = write(key, value_bytes);
    EXPECT_EQ(link(hash_(key), key, handle), entry_index::insertion::inserted);
    return handle;
  }
  entry_handle unlink(std::string_view key) {
    entry_handle gone = no_entry;
    index_.visit(hash_(key), key, [&](entry_handle& handle) {
      gone = handle;
      return entry_index::fate::erase;
    });
    return gone;
  }
  std::string_view broken(std::size_t count = entries - 1) {
    return find_broken_invariant(arena_, index_, ghosts_, held_, hash_, count);
  }

  budget held_{0};
  entry_arena arena_{2, held_, system_memory_source()};
  entry_index index_{
      arena_, held_, system_memory_source(), {.initial_depth = 1, .packed_shape = 3}};
  ghost_table ghosts_{held_, system_memory_source()};
  keyed_hash hash_{1, 2};
  entry_handle handle_ = no_entry; // of the last entry, of a large block
};

TEST_F(invariants, hold_for_entries_of_all_sizes) { EXPECT_EQ(broken(), ""); }

TEST_F(invariants, hold_for_an_empty_store) {
  for (std::size_t i = 0; i < entries; ++i) {
    if (i != 7) arena_.release(unlink("key" + std::to_string(i)));
  }
  EXPECT_EQ(broken(0), "");
  EXPECT_EQ(arena_.live_bytes(), 0U);
}

TEST_F(invariants, report_a_block_that_was_leaked) {
  EXPECT_NE(unlink("key8"), no_entry);
  EXPECT_EQ(broken(entries - 2), "an allocated block is not in the index");
}

TEST_F(invariants, report_a_block_that_was_never_published) {
  arena_.allocate(100);
  EXPECT_EQ(broken(), "an allocated block holds no live entry");
}

TEST_F(invariants, report_a_small_block_that_was_freed_but_is_in_the_index) {
  arena_.release(put("another", 10));
  EXPECT_EQ(broken(entries), "a slot of the index names a block without a live entry");
}

TEST_F(invariants, report_a_large_block_that_was_freed_but_is_in_the_index) {
  arena_.release(handle_);
  EXPECT_EQ(broken(), "a slot of the index names a block without a live entry");
}

TEST_F(invariants, report_a_slot_with_the_hash_of_another_key) {
  EXPECT_EQ(link(hash_("another") ^ 1U, "another", write("another")),
            entry_index::insertion::inserted);
  EXPECT_EQ(broken(entries), "a slot of the index has the hash of another key");
}

TEST_F(invariants, report_two_slots_for_one_block) {
  index_.visit(hash_("key1"), "key1", [&](entry_handle& handle) {
    handle_ = handle;
    return entry_index::fate::keep;
  });
  EXPECT_EQ(link(hash_("key1"), "a key that is not there", handle_),
            entry_index::insertion::inserted);
  EXPECT_EQ(broken(entries), "two slots of the index name the same block");
}

TEST_F(invariants, report_a_wrong_count_of_entries) {
  EXPECT_EQ(broken(entries), "the count of entries is not that of the slots");
}

TEST_F(invariants, report_bytes_that_were_charged_but_are_not_held) {
  held_.charge(1);
  EXPECT_EQ(broken(), "the budget has not charged what arena, index and ghosts hold");
}

} // namespace
} // namespace kvcache
