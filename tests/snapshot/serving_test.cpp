// Saving a store that others use.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "snapshot_support.hpp"

namespace kvcache::snapshot {
namespace {

using test::content_of;
using test::folder;
using test::load_bytes;
using test::save_to;
using test::see;

std::string stable(int number) { return "stable" + std::to_string(number); }

// The values of "both" keys change between two; others come and go, so that there is something to
// compact.
TEST(save_while_serving, holds_every_entry_that_was_there_all_the_time) {
  constexpr int keys = 20'000;
  store from{{}};
  for (int i = 0; i < keys; ++i) {
    from.put(stable(i), std::string(40, 's'), never);
    from.put("other" + std::to_string(i), std::string(40, 'o'), never);
    if (i % 500 == 0) from.advance_epoch();
  }
  std::atomic<bool> ends{false};
  std::thread uses{[&] {
    for (int i = 0; !ends; ++i) {
      from.get(stable(i * 7 % keys), [](std::string_view) {}); // they move to another band
      from.put(stable(i * 13 % keys), std::string(40, i % 2 == 0 ? 's' : 't'), never);
      from.erase("other" + std::to_string(i % keys));
      from.put("new" + std::to_string(i % keys), std::string(static_cast<std::size_t>(i % 90), 'n'),
               never);
      if (i % 100 == 0) from.advance_epoch();
    }
  }};
  std::thread maintains{[&] {
    while (!ends) from.maintain(500);
  }};
  for (int round = 0; round < 5; ++round) {
    const folder in;
    const save_result result = save_to(in.file("s"), from);
    ASSERT_EQ(result.error, 0);
    store to{{}};
    const test::loaded got = load_bytes(content_of(in.file("s")), to);
    EXPECT_EQ(got.state, load_state::loaded);
    int missing = 0;
    for (int i = 0; i < keys; ++i) {
      const auto seen = see(to, stable(i));
      missing += seen ? 0 : 1;
      if (seen) {
        EXPECT_TRUE(seen->bytes == std::string(40, 's') || seen->bytes == std::string(40, 't'));
      }
    }
    EXPECT_EQ(missing, 0);
  }
  ends = true;
  uses.join();
  maintains.join();
  EXPECT_EQ(from.check_invariants(), "");
}

TEST(save_while_serving, a_long_value_is_saved_as_it_was_at_one_moment) {
  store from{{}};
  const std::string a(400'000, 'a');
  const std::string b(500'000, 'b');
  from.put("long", a, never);
  std::atomic<bool> ends{false};
  std::thread writes{[&] {
    for (int i = 0; !ends; ++i) from.put("long", i % 2 == 0 ? b : a, never);
  }};
  for (int round = 0; round < 20; ++round) {
    const folder in;
    ASSERT_EQ(save_to(in.file("s"), from).error, 0);
    store to{{}};
    load_bytes(content_of(in.file("s")), to);
    const auto seen = see(to, "long");
    ASSERT_TRUE(seen);
    EXPECT_TRUE(seen->bytes == a || seen->bytes == b);
  }
  ends = true;
  writes.join();
}

} // namespace
} // namespace kvcache::snapshot
