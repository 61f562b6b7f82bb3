// A limit that falls below what the cache holds: writers evict the excess, and pages are returned.
#include "eviction/evictor.hpp"

#include <gtest/gtest.h>

#include "eviction/store_fixture.hpp"

namespace kvcache {
namespace {

using namespace test;

constexpr std::uint64_t mib = std::uint64_t{1} << 20;
constexpr std::size_t entries_put = 40'000;
constexpr std::size_t value_bytes = 300;

// A full store whose evictor never runs by itself: only PUTs and maintain() act.
class falling_limit : public testing::Test {
protected:
  falling_limit() {
    entries.set_room_maker(&evict);
    for (std::size_t i = 0; i < entries_put; ++i) put_number(entries, i, value_bytes);
  }
  ~falling_limit() override {
    entries.set_room_maker(nullptr);
    EXPECT_EQ(entries.check_invariants(), "");
  }

  std::size_t content() const { return entries.live_bytes() + entries.index_bytes(); }

  // As the evictor does periodically.
  void compact() {
    while (entries.maintain(1'000'000)) {
    }
  }

  memory_report report{.levels = {{.used_bytes = 0, .limit_bytes = 1024 * mib, .source = "fake"}}};
  store entries{repeatable_options()};
  evictor evict{entries,
                {},
                {.read_memory = [this](std::uint64_t) -> const memory_report& { return report; },
                 .thread_cpu_ns = [] { return std::uint64_t{0}; },
                 .buffer_bytes = {},
                 .wake = {},
                 .on_tier_change = {},
                 .on_estimate = {}}};
};

TEST_F(falling_limit, each_write_evicts_more_than_it_takes_until_the_content_fits) {
  const std::size_t before = content();
  const std::size_t limit = entries.held_bytes() / 2;
  entries.set_hold_limit_bytes(limit);
  std::size_t written = 0;
  while (content() > limit) {
    ASSERT_TRUE(put_number(entries, entries_put + written, value_bytes)) << written;
    ASSERT_LT(++written, entries_put);
  }
  // Two are evicted for each one written.
  EXPECT_GE(evictions_of(entries, eviction_cause::lru), 2 * written - 2);
  EXPECT_GE(written * (value_bytes + 20), before - content() - mib);
  compact();
  EXPECT_LE(entries.held_bytes(), limit);
}

TEST_F(falling_limit, no_entry_is_evicted_while_the_content_fits) {
  for (std::size_t i = 0; i < entries_put; i += 2) entries.erase(key_of(i));
  entries.set_hold_limit_bytes(content() + mib); // most freed blocks are still held
  for (std::size_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(put_number(entries, entries_put + i, value_bytes)) << i;
  }
  EXPECT_EQ(evictions_of(entries, eviction_cause::lru), 0U);
}

TEST_F(falling_limit, sparse_slabs_are_compacted_further_than_without_need) {
  for (std::size_t i = 0; i < entries_put; i += 10) entries.erase(key_of(i));
  compact();
  const std::size_t unhurried = entries.held_bytes();
  entries.set_hold_limit_bytes(content());
  compact();
  EXPECT_LT(entries.held_bytes(), unhurried - mib / 2);
  for (std::size_t i = 0; i < entries_put; ++i) {
    ASSERT_EQ(holds_number(entries, i), i % 10 != 0) << i;
  }
}

} // namespace
} // namespace kvcache
