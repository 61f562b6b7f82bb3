#include "cache/load_filter.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace kvcache {
namespace {

constexpr std::uint32_t some_hash = 0x9E37'79B9;

bool may_load(load_filter& filter, std::uint32_t hash) {
  return static_cast<bool>(load_filter::permit{filter, hash});
}

TEST(load_filter, permits_what_was_not_written) {
  load_filter filter{system_memory_source()};
  ASSERT_TRUE(filter.begin(1000));
  EXPECT_TRUE(may_load(filter, some_hash));
  filter.note_write(some_hash);
  EXPECT_FALSE(may_load(filter, some_hash));
  EXPECT_TRUE(may_load(filter, some_hash + (1U << 31U)));
}

TEST(load_filter, permits_nothing_once_it_has_ended) {
  load_filter filter{system_memory_source()};
  ASSERT_TRUE(filter.begin(1000));
  filter.end();
  EXPECT_TRUE(filter.ended());
  EXPECT_FALSE(may_load(filter, some_hash));
  filter.note_write(some_hash); // as a write that began before
}

TEST(load_filter, takes_few_written_keys_for_others) {
  load_filter filter{system_memory_source()};
  ASSERT_TRUE(filter.begin(1'000'000));
  for (std::uint32_t i = 0; i < 100'000; ++i) filter.note_write(i * 2'654'435'761U);
  std::uint32_t mistaken = 0;
  for (std::uint32_t i = 100'000; i < 200'000; ++i)
    mistaken += may_load(filter, i * 2'654'435'761U + 0x5555U) ? 0 : 1;
  EXPECT_LT(mistaken, 3'000U);
}

// The order that the store relies on: a write is noted before it looks, and a load looks and
// inserts while it has its permit.
TEST(load_filter, a_write_begins_before_a_permit_or_after_its_insertion) {
  constexpr std::uint32_t rounds = 20'000;
  load_filter filter{system_memory_source()};
  ASSERT_TRUE(filter.begin(rounds));
  std::atomic<std::uint32_t> round{0};
  std::vector<std::atomic<bool>> inserted(rounds);
  std::atomic<std::uint32_t> wrong{0};
  std::thread load{[&] {
    for (std::uint32_t i = 0; i < rounds; ++i) {
      round = i;
      const load_filter::permit permit{filter, i * 2'654'435'761U};
      if (permit) inserted[i] = true;
    }
    round = rounds;
  }};
  for (std::uint32_t i = 0; (i = round) < rounds;) {
    filter.note_write(i * 2'654'435'761U);
    const bool before = inserted[i];
    std::this_thread::yield();
    if (inserted[i] != before) ++wrong; // inserted although the write had begun
  }
  load.join();
  EXPECT_EQ(wrong, 0U);
}

} // namespace
} // namespace kvcache
