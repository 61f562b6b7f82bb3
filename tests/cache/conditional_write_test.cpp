// Writes that depend on what is there, marks, and values in two pieces.
#include "cache/store.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cache/store_support.hpp"

namespace kvcache {
namespace {

using test::value_of;

struct seen {
  std::string value;
  unsigned mark = 99;
  tick expires_at = 0;
};

seen look_at(store& s, std::string_view key) {
  seen got;
  s.read(key, [&](const entry_view& e) {
    got = {std::string{e.value()}, e.mark(), e.expires_at()};
  });
  return got;
}

const auto always = [](const entry_view*) { return true; };
const auto not_here = [](const entry_view* present) { return present == nullptr; };
const auto here = [](const entry_view* present) { return present != nullptr; };

TEST(conditional_write, stores_both_pieces_the_mark_and_the_expiry) {
  for (const std::size_t bytes : {0, 1, 100, 5000, 70'000, 3'000'000}) {
    store s{cache_options{}};
    const std::string value(bytes, 'v');
    EXPECT_EQ(s.put_if("k", {value, "suffix", 3}, tick{7}, always), put_outcome::inserted);
    const seen got = look_at(s, "k");
    EXPECT_EQ(got.value, value + "suffix") << bytes;
    EXPECT_EQ(got.mark, 3U);
    EXPECT_EQ(got.expires_at, 7U);
    EXPECT_EQ(s.check_invariants(), "");
  }
}

TEST(conditional_write, changes_the_mark_in_place_and_in_a_new_block) {
  store s{cache_options{}};
  for (const std::size_t bytes : {10, 10, 11, 9000, 10}) {
    for (const std::uint8_t mark : {std::uint8_t{1}, std::uint8_t{2}, std::uint8_t{0}}) {
      s.put_if("k", {std::string(bytes, 'v'), {}, mark}, never, always);
      EXPECT_EQ(look_at(s, "k").mark, mark);
    }
    s.put_if("k", {"x", {}, 3}, never, always);
    s.put("k", "y", never); // an ordinary put
    EXPECT_EQ(look_at(s, "k").mark, 0U);
  }
}

TEST(conditional_write, keeps_the_mark_of_an_entry_that_is_read_or_moved) {
  store s{cache_options{}};
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < 20'000; ++i) {
    keys.push_back(test::numbered("key", i));
    s.put_if(keys[i], {keys[i], {}, static_cast<std::uint8_t>(i % 4)}, never, always);
  }
  for (std::size_t i = 0; i < keys.size(); ++i)
    if (i % 5 != 0) s.erase(keys[i]);
  s.advance_epoch();
  for (std::size_t i = 0; i < keys.size(); i += 5) EXPECT_EQ(value_of(s, keys[i]), keys[i]);
  test::settle(s);
  EXPECT_GT(s.stats().entries_moved, 0U);
  for (std::size_t i = 0; i < keys.size(); i += 5) EXPECT_EQ(look_at(s, keys[i]).mark, i % 4);
}

TEST(conditional_write, asks_about_the_entry_that_is_there) {
  store s{cache_options{}};
  EXPECT_EQ(s.put_if("k", {"1"}, never, here), put_outcome::precondition_failed);
  EXPECT_EQ(s.size(), 0U);
  EXPECT_EQ(s.put_if("k", {"1", {}, 2}, tick{5}, not_here), put_outcome::inserted);
  EXPECT_EQ(s.put_if("k", {"2"}, never, not_here), put_outcome::precondition_failed);
  seen asked;
  const auto look = [&](const entry_view* present) {
    if (present != nullptr)
      asked = {std::string{present->value()}, present->mark(), present->expires_at()};
    return false;
  };
  EXPECT_EQ(s.put_if("k", {"2"}, never, look), put_outcome::precondition_failed);
  EXPECT_EQ(asked.value, "1");
  EXPECT_EQ(asked.mark, 2U);
  EXPECT_EQ(asked.expires_at, 5U);
  EXPECT_EQ(value_of(s, "k"), "1");
  EXPECT_EQ(s.put_if("k", {std::string(100'000, 'v')}, never, here), put_outcome::replaced);
}

TEST(conditional_write, takes_an_expired_entry_for_none) {
  store s{cache_options{}};
  s.put("k", "old", tick{5});
  s.advance_clock(5);
  EXPECT_EQ(s.put_if("k", {"new"}, never, here), put_outcome::precondition_failed);
  EXPECT_EQ(s.put_if("k", {"new"}, never, not_here), put_outcome::inserted);
  EXPECT_EQ(value_of(s, "k"), "new");
  EXPECT_EQ(s.size(), 1U);
}

TEST(conditional_write, does_not_insert_where_the_entry_has_gone_meanwhile) {
  store s{cache_options{}};
  s.put("k", "old", never);
  int calls = 0;
  const auto erased_meanwhile = [&](const entry_view* present) {
    ++calls;
    return present != nullptr;
  };
  // Another size, so a new block: between the two looks at the entry, another thread erases it.
  std::atomic<bool> stop{false};
  std::thread eraser{[&] {
    while (!stop) s.erase("k");
  }};
  for (int i = 0; i < 20'000; ++i) {
    const put_outcome outcome = s.put_if("k", {std::string(200, 'n')}, never, erased_meanwhile);
    ASSERT_NE(outcome, put_outcome::inserted);
    s.put("k", "old", never);
  }
  stop = true;
  eraser.join();
  EXPECT_GT(calls, 20'000);
  EXPECT_EQ(s.check_invariants(), "");
}

TEST(conditional_erase, asks_only_about_an_entry_that_is_there) {
  store s{cache_options{}};
  bool asked = false;
  const auto refuses = [&](const entry_view*) { return asked = true, false; };
  EXPECT_EQ(s.erase_if("k", refuses), erase_outcome::absent);
  EXPECT_FALSE(asked);
  s.put("k", "v", tick{5});
  EXPECT_EQ(s.erase_if("k", refuses), erase_outcome::refused);
  EXPECT_TRUE(asked);
  EXPECT_EQ(value_of(s, "k"), "v");
  EXPECT_EQ(s.erase_if("k", here), erase_outcome::erased);
  EXPECT_EQ(s.erase_if("k", here), erase_outcome::absent);
  s.put("k", "v", tick{5});
  s.advance_clock(5);
  asked = false;
  EXPECT_EQ(s.erase_if("k", refuses), erase_outcome::absent);
  EXPECT_FALSE(asked);
  EXPECT_EQ(s.size(), 0U);
}

TEST(conditional_write, counts_a_look_as_no_access) {
  store s{cache_options{}};
  s.put("k", "v", never);
  s.advance_epoch();
  unsigned seen_mark = 9;
  EXPECT_TRUE(s.inspect("k", [&](const entry_view& e) { seen_mark = e.mark(); }));
  EXPECT_EQ(seen_mark, 0U);
  EXPECT_FALSE(s.inspect("other", [](const entry_view&) { FAIL(); }));
}

// Exactly one writer wins each round, whichever way it writes.
TEST(conditional_write, has_exactly_one_winner_among_writers_that_race) {
  store s{cache_options{}};
  constexpr int rounds = 3000;
  constexpr unsigned writers = 4;
  std::atomic<int> round{0};
  std::atomic<unsigned> ready{0};
  std::vector<std::atomic<int>> winners(rounds);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < writers; ++t) {
    threads.emplace_back([&, t] {
      for (int r = 0; r < rounds; ++r) {
        ready.fetch_add(1);
        while (ready.load() < writers * static_cast<unsigned>(r + 1)) std::this_thread::yield();
        const std::string expected = std::to_string(r);
        // Of four lengths, in place and in new blocks.
        const std::string next = std::to_string(r + 1) + std::string(t * 100, ' ');
        const auto equal = [&](const entry_view* present) {
          return r == 0 ? present == nullptr
                        : present != nullptr && std::stoi(std::string{present->value()}) == r;
        };
        const put_outcome outcome = s.put_if("k", {next}, never, equal);
        if (outcome != put_outcome::precondition_failed) winners[static_cast<std::size_t>(r)]++;
      }
    });
  }
  for (std::thread& each : threads) each.join();
  for (const auto& each : winners) ASSERT_EQ(each, 1);
}

} // namespace
} // namespace kvcache
