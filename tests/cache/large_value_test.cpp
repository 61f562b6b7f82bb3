// Large values: pins, which keep a version readable, and uploads, which are written before they are
// stored.
#include "cache/store.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "cache/counting_memory.hpp"
#include "cache/store_support.hpp"

namespace kvcache {
namespace {

using test::counting_memory;
using test::first_met_evictor;
using test::value_of;

constexpr std::size_t large_bytes = 200'000;
const auto always = [](const entry_view*) { return true; };

pinned_value pin(store& s, std::string_view key) {
  pinned_value pinned;
  s.read(key, [&](const entry_view& e) {
    ASSERT_TRUE(e.can_pin());
    pinned = e.pin();
  });
  return pinned;
}

std::string large(char of) { return std::string(large_bytes, of); }

// ---- pins -----------------------------------------------------------------------------

TEST(pinned_value, stays_readable_whatever_happens_to_its_entry) {
  const auto overwrite = [](store& s) { s.put("k", large('b'), never); };
  const auto erase = [](store& s) { s.erase("k"); };
  const auto clear = [](store& s) { s.clear(); };
  const auto evict = [](store& s) {
    first_met_evictor evictor{s};
    EXPECT_TRUE(evictor.make_room(large_bytes, 0));
  };
  const std::vector<void (*)(store&)> events{overwrite, erase, clear, evict};
  for (const auto& event : events) {
    store s{cache_options{}};
    s.put("k", large('a'), never);
    const std::size_t held = s.held_bytes();
    pinned_value pinned = pin(s, "k");
    EXPECT_EQ(pinned.detached_bytes(), 0U);
    EXPECT_EQ(s.held_bytes(), held);
    event(s);
    EXPECT_EQ(pinned.bytes(), large('a'));
    EXPECT_EQ(pinned.detached_bytes(), round_up_to_pages(large_bytes + 9));
    EXPECT_EQ(s.check_invariants(), "");
    // Its addresses are not used again.
    for (int i = 0; i < 3; ++i)
      s.put(test::numbered("other", static_cast<std::size_t>(i)), large('c'), never);
    EXPECT_EQ(pinned.bytes(), large('a'));
    pinned = {};
    EXPECT_EQ(s.check_invariants(), "");
  }
}

TEST(pinned_value, gives_its_memory_back_with_the_last_pin) {
  counting_memory memory;
  store s{cache_options{}, memory};
  const std::size_t before = s.held_bytes();
  s.put("k", large('a'), never);
  std::vector<pinned_value> pins;
  for (int i = 0; i < 4; ++i) pins.push_back(pin(s, "k"));
  s.erase("k");
  EXPECT_EQ(s.live_bytes(), 0U);
  const std::size_t detached = pins[0].detached_bytes();
  EXPECT_EQ(detached, round_up_to_pages(large_bytes + 9) / 4);
  EXPECT_EQ(s.detached_bytes(), 4 * detached);
  while (pins.size() > 1) pins.pop_back();
  EXPECT_EQ(pins[0].detached_bytes(), 4 * detached);
  EXPECT_EQ(pins[0].bytes(), large('a'));
  EXPECT_EQ(s.detached_bytes(), 4 * detached);
  std::thread{[last = std::move(pins[0])] {}}.join();
  EXPECT_EQ(s.detached_bytes(), 0U);
  s.put("k", large('b'), never); // takes the same addresses
  EXPECT_EQ(value_of(s, "k"), large('b'));
  s.erase("k");
  EXPECT_LE(s.held_bytes() - before, std::size_t{64} << 10); // of descriptors and tables
}

TEST(pinned_value, costs_nothing_while_its_entry_lives) {
  store s{cache_options{}};
  s.put("k", large('a'), never);
  const std::size_t held = s.held_bytes();
  {
    const pinned_value first = pin(s, "k");
    const pinned_value second = pin(s, "k");
    EXPECT_EQ(s.held_bytes(), held);
  }
  EXPECT_EQ(value_of(s, "k"), large('a'));
  s.erase("k");
  EXPECT_EQ(s.detached_bytes(), 0U);
  EXPECT_EQ(s.check_invariants(), "");
}

TEST(pinned_value, moves) {
  store s{cache_options{}};
  s.put("a", large('a'), never);
  s.put("b", large('b'), never);
  pinned_value one = pin(s, "a");
  pinned_value two{std::move(one)};
  EXPECT_FALSE(one);
  one = pin(s, "b");
  one = std::move(two);
  EXPECT_EQ(one.bytes(), large('a'));
  s.clear();
  EXPECT_EQ(one.bytes(), large('a'));
}

// ---- uploads --------------------------------------------------------------------------

void write(value_upload& upload, std::string_view text, std::size_t piece) {
  while (!text.empty()) {
    const std::span<char> to = upload.free_space();
    const std::size_t bytes = std::min({piece, to.size(), text.size()});
    std::copy_n(text.data(), bytes, to.data());
    upload.commit(bytes);
    text.remove_prefix(bytes);
  }
}

std::string pattern(std::size_t bytes) {
  std::string text(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>(i * 31 + i / 251);
  return text;
}

TEST(value_upload, has_the_memory_provided_that_is_written_next) {
  counting_memory memory;
  store s{cache_options{}, memory};
  const std::string value = pattern(300'000);
  value_upload upload = s.begin_upload("key", value.size());
  upload.expect(0);
  EXPECT_EQ(memory.populated_bytes(), 0U);
  for (const std::size_t piece : {100'000U, 199'999U, 1U}) { // from the middle of a page on
    upload.expect(piece);
    write(upload, std::string_view{value}.substr(upload.written().size(), piece), piece);
  }
  EXPECT_EQ(memory.populated_bytes(), value.size());
  EXPECT_EQ(upload.finish({}, 0, never, always), put_outcome::inserted);
  EXPECT_TRUE(value_of(s, "key") == value);
  EXPECT_EQ(s.check_invariants(), "");
}

TEST(value_upload, becomes_an_entry_of_any_size_with_or_without_expiry) {
  const std::size_t two_mib = std::size_t{2} << 20;
  for (const bool expires : {false, true}) {
    for (const std::size_t most : {std::size_t{32'768}, std::size_t{65'536}, two_mib - 1, two_mib,
                                   two_mib + 1, 3 * two_mib}) {
      for (const std::size_t bytes : {std::size_t{16'384}, std::size_t{32'000}, most - 6}) {
        store s{cache_options{}};
        value_upload upload = s.begin_upload("key", most);
        ASSERT_TRUE(upload);
        const std::string value = pattern(std::min(bytes, most - 6));
        write(upload, value, 7919);
        EXPECT_EQ(upload.written(), value);
        EXPECT_EQ(s.size(), 0U);
        const tick at = expires ? 50U : never;
        EXPECT_EQ(upload.finish("suffix", 2, at, always), put_outcome::inserted);
        EXPECT_FALSE(upload);
        ASSERT_EQ(s.check_invariants(), "");
        s.read("key", [&](const entry_view& e) {
          EXPECT_TRUE(e.value() == value + "suffix");
          EXPECT_EQ(e.mark(), 2U);
          EXPECT_EQ(e.expires_at(), at);
        });
        // As large as one that was put.
        const std::size_t held = s.held_bytes();
        s.put("key", value + "suffix", at);
        EXPECT_LE(held, s.held_bytes() + page_bytes());
        s.put("key", "short", never);
        EXPECT_EQ(value_of(s, "key"), "short");
        EXPECT_EQ(s.check_invariants(), "");
      }
    }
  }
}

TEST(value_upload, charges_nothing_to_the_cache_before_it_is_finished) {
  store s{cache_options{}};
  s.put("a", "b", never);
  const std::size_t held = s.held_bytes();
  value_upload upload = s.begin_upload("key", cache::max_item_bytes);
  EXPECT_EQ(upload.resident_bytes(), page_bytes());
  write(upload, pattern(100'000), 65'536);
  EXPECT_EQ(upload.resident_bytes(), round_up_to_pages(100'000 + 20 + 3));
  EXPECT_LE(s.held_bytes(), held + (std::size_t{128} << 10)); // descriptors of slabs
  EXPECT_EQ(s.live_bytes(), s.stats().live_bytes);
  upload.finish({}, 0, never, always);
  EXPECT_GE(s.held_bytes(), held + 100'000);
}

TEST(value_upload, gives_everything_back_if_it_is_abandoned) {
  store s{cache_options{}};
  { const value_upload warm = s.begin_upload("key", cache::max_item_bytes); }
  const std::size_t held = s.held_bytes();
  for (int i = 0; i < 2000; ++i) { // more addresses than there are
    value_upload upload = s.begin_upload("key", cache::max_item_bytes);
    ASSERT_TRUE(upload) << i;
    write(upload, "begun", 5);
  }
  EXPECT_EQ(s.held_bytes(), held);
  EXPECT_EQ(s.check_invariants(), "");
  EXPECT_EQ(value_of(s, "key"), "(miss)");
}

TEST(value_upload, is_none_where_addresses_have_run_out) {
  store s{cache_options{}};
  std::vector<value_upload> all;
  for (;;) {
    value_upload next = s.begin_upload("key", cache::max_item_bytes);
    if (!next) break;
    all.push_back(std::move(next));
    ASSERT_LT(all.size(), 100'000U);
  }
  EXPECT_EQ(s.put("other", "small", never), put_outcome::inserted);
  all.pop_back();
  EXPECT_TRUE(s.begin_upload("key", cache::max_item_bytes));
}

TEST(value_upload, leaves_the_old_value_where_its_precondition_fails) {
  store s{cache_options{}};
  s.put("key", "old", never);
  value_upload upload = s.begin_upload("key", 100'000);
  write(upload, pattern(50'000), 4096);
  const auto absent = [](const entry_view* present) { return present == nullptr; };
  EXPECT_EQ(upload.finish({}, 0, never, absent), put_outcome::precondition_failed);
  EXPECT_EQ(value_of(s, "key"), "old");
  EXPECT_EQ(s.check_invariants(), "");
  upload = s.begin_upload("new key", 100'000);
  write(upload, pattern(50'000), 4096);
  const auto present = [](const entry_view* there) { return there != nullptr; };
  EXPECT_EQ(upload.finish({}, 0, never, present), put_outcome::precondition_failed);
  EXPECT_EQ(s.size(), 1U);
  EXPECT_EQ(s.check_invariants(), "");
}

TEST(value_upload, leaves_the_old_value_where_there_is_no_room) {
  store s{cache_options{.hold_limit_bytes = std::size_t{1} << 20}};
  s.put("key", "old", never);
  value_upload upload = s.begin_upload("key", std::size_t{2} << 20);
  write(upload, pattern(std::size_t{3} << 19), 65'536);
  EXPECT_EQ(upload.finish({}, 0, never, always), put_outcome::no_room);
  EXPECT_EQ(value_of(s, "key"), "old");
  EXPECT_LE(s.held_bytes(), s.hold_limit_bytes());
  EXPECT_EQ(s.check_invariants(), "");
}

TEST(value_upload, evicts_others_for_its_memory_when_it_is_finished) {
  store s{cache_options{.hold_limit_bytes = std::size_t{8} << 20}};
  first_met_evictor evictor{s};
  s.set_room_maker(&evictor);
  for (std::size_t i = 0; i < 60'000; ++i)
    ASSERT_EQ(s.put(test::numbered("key", i), std::string(100, 'v'), never), put_outcome::inserted);
  const std::size_t entries = s.size();
  value_upload upload = s.begin_upload("large", std::size_t{4} << 20);
  write(upload, pattern(std::size_t{3} << 20), 65'536);
  EXPECT_EQ(s.size(), entries);
  EXPECT_EQ(upload.finish({}, 0, never, always), put_outcome::inserted);
  EXPECT_LT(s.size(), entries);
  EXPECT_GT(s.size(), entries / 4);
  EXPECT_LE(s.held_bytes(), s.hold_limit_bytes());
  EXPECT_TRUE(value_of(s, "large") == pattern(std::size_t{3} << 20));
  EXPECT_EQ(s.check_invariants(), "");
}

TEST(value_upload, respects_the_limit_of_entries) {
  store s{cache_options{.max_entries = 1}};
  s.put("a", "v", never);
  value_upload upload = s.begin_upload("b", 100'000);
  write(upload, pattern(50'000), 4096);
  EXPECT_EQ(upload.finish({}, 0, never, always), put_outcome::no_room);
  upload = s.begin_upload("a", 100'000);
  write(upload, pattern(50'000), 4096);
  EXPECT_EQ(upload.finish({}, 0, never, always), put_outcome::replaced);
}

TEST(value_upload, is_refused_if_it_is_longer_than_any_item) {
  store s{cache_options{}};
  EXPECT_FALSE(s.begin_upload("key", cache::max_item_bytes + 1));
}

// Readers that pin, writers that upload, put and erase, eviction and clear(), all at once.
TEST(large_values, are_never_torn_while_all_happens_at_once) {
  store s{cache_options{.hold_limit_bytes = std::size_t{8} << 20}};
  first_met_evictor evictor{s};
  s.set_room_maker(&evictor);
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> pinned_count{0};
  std::vector<std::thread> readers;
  const auto key_of = [](std::size_t i) { return test::numbered("key", i); };
  for (unsigned t = 0; t < 2; ++t) {
    readers.emplace_back([&, t] {
      std::mt19937_64 random{t};
      std::vector<pinned_value> kept;
      while (!stop) {
        pinned_value pinned;
        s.read(key_of(random() % 8), [&](const entry_view& e) {
          if (e.can_pin()) pinned = e.pin();
        });
        if (!pinned) continue;
        ++pinned_count;
        kept.push_back(std::move(pinned));
        if (kept.size() < 4) continue;
        for (const pinned_value& each : kept) {
          const std::string_view bytes = each.bytes();
          ASSERT_EQ(bytes.find_first_not_of(bytes.front()), std::string_view::npos);
        }
        kept.clear();
      }
    });
  }
  std::mt19937_64 random{9};
  for (int i = 0; i < 1500 || pinned_count < 500; ++i) {
    const std::string key = key_of(random() % 8);
    const std::string value(40'000 + random() % 400'000, static_cast<char>('a' + random() % 26));
    switch (random() % 8) {
    case 0:
      s.erase(key);
      break;
    case 1:
      s.clear();
      break;
    case 2:
      s.put(key, value, never);
      break;
    default:
      value_upload upload = s.begin_upload(key, std::size_t{1} << 20);
      ASSERT_TRUE(upload);
      write(upload, value, 65'536);
      const put_outcome outcome = upload.finish({}, 1, never, always);
      ASSERT_TRUE(outcome == put_outcome::inserted || outcome == put_outcome::replaced ||
                  outcome == put_outcome::no_room);
    }
  }
  stop = true;
  for (std::thread& each : readers) each.join();
  EXPECT_EQ(s.check_invariants(), "");
  s.clear();
  EXPECT_EQ(s.live_bytes(), 0U);
  EXPECT_EQ(s.check_invariants(), "");
}

} // namespace
} // namespace kvcache
