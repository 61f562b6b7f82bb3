// What is damaged is skipped, and nothing wrong is ever loaded.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "snapshot/block_writer.hpp"
#include "snapshot_support.hpp"

namespace kvcache::snapshot {
namespace {

using test::content_of;
using test::folder;
using test::load_bytes;
using test::save_to;
using test::see;

using entries = std::map<std::string, std::string>;

// A file with several small blocks, and a long entry of three.
std::string small_file(const entries& in_it, std::uint64_t sync = 0x0123'4567'89AB'CDEF) {
  const folder in;
  atomic_file file{in.file("s")};
  EXPECT_EQ(file.open(), 0);
  block_writer writer{file};
  EXPECT_EQ(writer.begin({sync, test::noon.unix_ms, in_it.size()}), 0);
  std::size_t count = 0;
  for (const auto& [key, value] : in_it) {
    const entry_header header{
        .is_utf8 = true, .key_bytes = key.size(), .value_bytes = value.size()};
    if (value.size() > block_writer::short_entry_bytes_most) {
      EXPECT_EQ(writer.write_long(header, key, value), 0);
    } else {
      writer.append(header, key, value);
    }
    if (++count % 3 == 0) {
      EXPECT_EQ(writer.finish_block(), 0);
    }
  }
  EXPECT_EQ(writer.end({in_it.size(), 0, true}), 0);
  EXPECT_EQ(file.commit(), 0);
  return content_of(in.file("s"));
}

entries some_entries() {
  entries some;
  for (int i = 0; i < 12; ++i) some["key" + std::to_string(i)] = "value" + std::to_string(i);
  return some;
}

// The number that is there. Whatever is there is as it was saved.
std::size_t expect_nothing_wrong(store& in, const entries& saved) {
  std::size_t there = 0;
  for (const auto& [key, value] : saved) {
    const auto seen = see(in, key);
    if (!seen) continue;
    ++there;
    EXPECT_EQ(seen->bytes, value);
  }
  EXPECT_EQ(in.size(), there);
  return there;
}

TEST(damaged_snapshot, at_every_point_of_truncation_loads_the_blocks_that_are_whole) {
  const entries saved = some_entries();
  const std::string whole = small_file(saved);
  std::size_t last = 0;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    store to{{}};
    const test::loaded got = load_bytes(whole.substr(0, length), to);
    const std::size_t there = expect_nothing_wrong(to, saved);
    EXPECT_GE(there, last) << length;
    last = there;
    if (got.fault == header_fault::none) {
      EXPECT_EQ(got.state, load_state::damaged) << length;
    }
  }
  EXPECT_EQ(last, saved.size()); // only the end is missing
}

TEST(damaged_snapshot, with_any_bit_changed_loses_one_block_or_the_whole_file) {
  const entries saved = some_entries();
  const std::string whole = small_file(saved);
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string changed = whole;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    store to{{}};
    const test::loaded got = load_bytes(changed, to);
    const std::size_t there = expect_nothing_wrong(to, saved);
    if (bit / 8 < file_header_bytes) {
      EXPECT_NE(got.fault, header_fault::none) << bit;
      EXPECT_EQ(there, 0U) << bit;
    } else {
      EXPECT_EQ(got.state, load_state::damaged) << bit;
      EXPECT_EQ(got.skipped_blocks, 1U) << bit;
      EXPECT_GE(there, saved.size() - 3) << bit;
    }
  }
}

TEST(damaged_snapshot, a_damaged_part_of_a_long_entry_costs_that_entry_alone) {
  entries saved = some_entries();
  saved["key5long"] = std::string(600'000, 'x');
  const std::string whole = small_file(saved);
  const std::size_t begin = whole.find("key5long");
  for (const std::size_t at : {begin - 20, begin + 100, begin + 250'000, begin + 262'200,
                               begin + 300'000, begin + 599'000}) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 4);
    store to{{}};
    const test::loaded got = load_bytes(changed, to);
    EXPECT_EQ(got.state, load_state::damaged) << at;
    EXPECT_EQ(expect_nothing_wrong(to, saved), saved.size() - 1) << at;
    EXPECT_FALSE(see(to, "key5long")) << at;
    EXPECT_EQ(to.check_invariants(), "");
  }
}

TEST(damaged_snapshot, a_missing_part_of_a_long_entry_is_noticed) {
  entries saved = some_entries();
  saved["key5long"] = std::string(600'000, 'x');
  const std::string whole = small_file(saved);
  const std::string sync = whole.substr(16, 8);
  const std::size_t second = whole.find(sync, whole.find("key5long"));
  const std::size_t third = whole.find(sync, second + 1);
  store to{{}};
  const test::loaded got = load_bytes(whole.substr(0, second) + whole.substr(third), to);
  EXPECT_EQ(got.state, load_state::damaged);
  EXPECT_EQ(expect_nothing_wrong(to, saved), saved.size() - 1);
}

// Who stores values does not know the mark, so that no part of a value is taken for a block.
TEST(damaged_snapshot, a_value_that_looks_like_a_snapshot_is_not_read_as_one) {
  entries inner = some_entries();
  for (auto& [key, value] : inner) value = "forged";
  entries saved = some_entries();
  saved["key5"] = small_file(inner, 0x1111'2222'3333'4444);
  const std::string whole = small_file(saved);
  const std::string sync = whole.substr(16, 8);
  for (std::size_t at = whole.find(sync, 24); at != std::string::npos;
       at = whole.find(sync, at + 1)) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 1); // no block begins there now
    store to{{}};
    load_bytes(changed, to);
    expect_nothing_wrong(to, saved);
  }
}

TEST(damaged_snapshot, a_block_that_is_no_list_of_entries_is_skipped) {
  const folder in;
  atomic_file file{in.file("s")};
  ASSERT_EQ(file.open(), 0);
  block_writer writer{file};
  ASSERT_EQ(writer.begin({1, 2, 3}), 0);
  writer.append({.key_bytes = 900, .value_bytes = 5}, "short", "value"); // longer than the block
  ASSERT_EQ(writer.finish_block(), 0);
  writer.append({.key_bytes = 0, .value_bytes = 1}, "", "v"); // no key is empty
  writer.append({.key_bytes = 4, .value_bytes = 1}, "good", "v");
  ASSERT_EQ(writer.end({3, 0, true}), 0);
  ASSERT_EQ(file.commit(), 0);
  store to{{}};
  const test::loaded got = load_bytes(content_of(in.file("s")), to);
  EXPECT_EQ(got.state, load_state::damaged);
  EXPECT_EQ(got.skipped_blocks, 2U);
  EXPECT_EQ(got.entries, 1U);
  EXPECT_TRUE(see(to, "good"));
}

// It would go into the head of responses.
TEST(damaged_snapshot, an_entry_with_a_type_that_is_none_is_not_loaded) {
  const folder in;
  atomic_file file{in.file("s")};
  ASSERT_EQ(file.open(), 0);
  block_writer writer{file};
  ASSERT_EQ(writer.begin({1, 2, 3}), 0);
  writer.append({.type = "a/b\r\nX: y", .key_bytes = 3, .value_bytes = 1}, "bad", "v");
  ASSERT_EQ(writer.finish_block(), 0);
  ASSERT_EQ(
      writer.write_long({.type = "a/b\r\nX: y", .key_bytes = 4, .value_bytes = 1}, "long", "v"), 0);
  ASSERT_EQ(writer.end({2, 0, true}), 0);
  ASSERT_EQ(file.commit(), 0);
  store to{{}};
  EXPECT_EQ(load_bytes(content_of(in.file("s")), to).state, load_state::damaged);
  EXPECT_EQ(to.size(), 0U);
}

TEST(damaged_snapshot, a_failed_read_ends_it_with_what_was_read) {
  class failing final : public byte_source {
  public:
    explicit failing(std::string_view bytes) : bytes_(bytes) {}
    ssize_t read(char* to, std::size_t count) noexcept override {
      return failed_ || bytes_.read(to, std::min<std::size_t>(count, 100)) < 100 ? fail() : 100;
    }

  private:
    ssize_t fail() noexcept {
      failed_ = true;
      return -EIO;
    }
    test::memory_source_of_bytes bytes_;
    bool failed_ = false;
  };
  const std::string whole = small_file(some_entries());
  failing source{whole};
  block_reader reader{source};
  ASSERT_EQ(reader.read_header().fault, header_fault::none);
  store to{{}};
  ASSERT_TRUE(to.begin_loading(10));
  loader loads{{to, test::tagger(), test::noon, [] { return UINT64_MAX; }}, reader};
  loads.run();
  EXPECT_EQ(loads.read_error(), EIO);
  EXPECT_EQ(loads.result(), load_state::damaged);
  EXPECT_GT(loads.entries(), 0U);
}

} // namespace
} // namespace kvcache::snapshot
