// Changing an entry's expiry, and nothing else.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cache/store.hpp"
#include "cache/store_support.hpp"

namespace kvcache {
namespace {

using test::value_of;

const auto always = [](const entry_view*) { return true; };
const auto refuse = [](const entry_view*) { return false; };

tick expiry_of(store& s, std::string_view key) {
  tick at = 99'999;
  s.inspect(key, [&](const entry_view& e) { at = e.expires_at(); });
  return at;
}

TEST(touch, changes_the_expiry_alone_whatever_the_length) {
  for (const std::size_t bytes : {0, 1, 100, 4096, 16'383, 16'384, 70'000, 3'000'000}) {
    for (const tick before : {never, tick{50}}) {
      store s{cache_options{}};
      const std::string value(bytes, 'v');
      s.put_if("k", {value, {}, 2}, before, always);
      for (const tick after : {tick{70}, tick{60}, never, never, tick{80}}) {
        EXPECT_EQ(s.touch_if("k", after, always), touch_outcome::touched);
        EXPECT_EQ(expiry_of(s, "k"), after) << bytes;
      }
      s.read("k", [&](const entry_view& e) {
        EXPECT_TRUE(e.value() == value);
        EXPECT_EQ(e.mark(), 2U);
      });
      EXPECT_EQ(s.size(), 1U);
      EXPECT_EQ(s.check_invariants(), "");
      s.advance_clock(80);
      EXPECT_EQ(value_of(s, "k"), "(miss)");
      EXPECT_EQ(s.size(), 0U);
    }
  }
}

TEST(touch, finds_no_entry_where_there_is_none_or_it_has_expired) {
  store s{cache_options{}};
  EXPECT_EQ(s.touch_if("k", 70, always), touch_outcome::absent);
  s.put("k", "v", 5);
  s.advance_clock(5);
  EXPECT_EQ(s.touch_if("k", 70, refuse), touch_outcome::absent);
}

TEST(touch, changes_nothing_that_its_condition_refuses) {
  store s{cache_options{}};
  s.put("k", "v", never);
  EXPECT_EQ(s.touch_if("k", 70, refuse), touch_outcome::refused);
  EXPECT_EQ(expiry_of(s, "k"), never);
}

TEST(touch, does_not_copy_a_long_value) {
  store s{cache_options{}};
  s.put("k", std::string(1'000'000, 'v'), never);
  const void* where = nullptr;
  s.inspect("k", [&](const entry_view& e) { where = e.value().data(); });
  s.touch_if("k", 70, always);
  s.inspect("k", [&](const entry_view& e) { EXPECT_EQ(e.value().data(), where); });
}

TEST(touch, lets_the_sweep_of_expired_entries_find_what_it_shortened) {
  store s{cache_options{}};
  for (std::size_t i = 0; i < 1000; ++i) s.put(test::numbered("key", i), "v", 1'000'000);
  for (std::size_t i = 0; i < 1000; ++i)
    s.touch_if(test::numbered("key", i), i % 2 == 0 ? tick{10} : never, always);
  s.advance_clock(10);
  std::size_t found = 0;
  walk_cursor cursor;
  while (s.walk_expired(cursor, 4096, 64, [&](walked_entry&) { ++found; }) != 0) {
  }
  EXPECT_EQ(found, 500U);
}

// Each write is whole: a touch never brings back the value of before.
TEST(touch, loses_no_concurrent_write) {
  store s{cache_options{}};
  constexpr int rounds = 20'000;
  std::atomic<bool> ended{false};
  std::vector<std::thread> touching;
  for (tick with : {tick{1000}, never}) {
    touching.emplace_back([&s, &ended, with] {
      while (!ended) s.touch_if("k", with, always);
    });
  }
  int lost = 0;
  for (int i = 0; i < rounds; ++i) {
    const std::string value = test::numbered(std::string(static_cast<std::size_t>(i % 40), 'v'),
                                             static_cast<std::size_t>(i));
    s.put("k", value, i % 3 == 0 ? tick{900} : never);
    if (value_of(s, "k") != value) ++lost;
  }
  ended = true;
  for (std::thread& t : touching) t.join();
  EXPECT_EQ(lost, 0);
  EXPECT_EQ(s.check_invariants(), "");
}

} // namespace
} // namespace kvcache
