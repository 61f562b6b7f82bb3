// Loading into a store that is in use.
#include "snapshot/loader.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "kvcache/value_upload.hpp"
#include "snapshot_support.hpp"

namespace kvcache::snapshot {
namespace {

using test::content_of;
using test::folder;
using test::load_bytes;
using test::save_to;
using test::see;

std::string key_of(int number) { return "key" + std::to_string(number); }

std::string snapshot_of(int entries, std::size_t value_bytes = 100) {
  const folder in;
  store from{{}};
  for (int i = 0; i < entries; ++i)
    from.put(key_of(i), std::string(value_bytes, 'o'), never); // for "old"
  EXPECT_EQ(save_to(in.file("s"), from).error, 0);
  return content_of(in.file("s"));
}

// Runs `use` after the load has begun, before anything is loaded.
template <class Use>
test::loaded load_after(const std::string& bytes, store& to, Use use) {
  bool used = false;
  return load_bytes(bytes, to, test::noon, [&] {
    if (!used) use();
    used = true;
    return UINT64_MAX;
  });
}

constexpr auto always = [](const entry_view*) { return true; };

TEST(snapshot_load, never_loads_over_a_key_that_was_written_since_even_if_it_is_gone) {
  store to{{}};
  const test::loaded got = load_after(snapshot_of(1000), to, [&] {
    to.put(key_of(1), "new", never);
    to.put_if(key_of(2), {"new"}, never, always);
    EXPECT_FALSE(to.erase(key_of(3))); // not there yet: 404
    EXPECT_EQ(to.erase_if(key_of(4), always), erase_outcome::absent);
    to.put(key_of(5), "new", never);
    to.erase(key_of(5));
    EXPECT_EQ(to.touch_if(key_of(6), 77, always), touch_outcome::absent);
    EXPECT_EQ(to.compare_and_swap(key_of(7), "a", "b", never), put_outcome::precondition_failed);
    value_upload upload = to.begin_upload(key_of(8), 100'000);
    upload.free_space()[0] = 'n';
    upload.commit(90'000);
    EXPECT_EQ(upload.finish({}, 0, never, always), put_outcome::inserted);
    to.put(key_of(9), "new", never);
    for (walk_cursor at; at.laps == 0;) { // evicted
      std::vector<entry_ref> met;
      to.walk(at, 64, [&](walked_entry& e) { met.push_back(e.ref()); });
      for (const entry_ref& ref : met)
        to.evict(ref, eviction_cause::lru, [](const store::entry_state&) { return true; });
    }
  });
  EXPECT_EQ(got.state, load_state::loaded);
  for (int i = 1; i <= 9; ++i) EXPECT_FALSE(see(to, key_of(i))) << i;
  EXPECT_TRUE(see(to, key_of(0)));
  EXPECT_GE(got.entries, 980U); // a few are taken for those
  EXPECT_EQ(to.check_invariants(), "");
}

TEST(snapshot_load, an_entry_that_was_put_since_is_not_replaced) {
  store to{{}};
  load_after(snapshot_of(100), to, [&] { to.put(key_of(50), "new", never); });
  EXPECT_EQ(see(to, key_of(50))->bytes, "new");
}

TEST(snapshot_load, ends_when_the_store_is_cleared) {
  store to{{}};
  int blocks = 0;
  const test::loaded got = load_bytes(snapshot_of(20'000), to, test::noon, [&] {
    if (++blocks == 4) to.clear();
    return UINT64_MAX;
  });
  EXPECT_EQ(got.state, load_state::flushed);
  EXPECT_EQ(to.size(), 0U);
}

TEST(snapshot_load, stops_where_memory_ends_and_evicts_nothing_for_it) {
  store to{{}};
  int blocks = 0;
  const test::loaded got = load_bytes(snapshot_of(20'000), to, test::noon,
                                      [&] { return ++blocks > 4 ? 1000U : UINT64_MAX; });
  EXPECT_EQ(got.state, load_state::full);
  EXPECT_GT(got.entries, 5'000U);
  EXPECT_LT(got.entries, 15'000U);
  EXPECT_EQ(to.size(), got.entries);
}

TEST(snapshot_load, stops_at_the_stores_own_limits) {
  store few{{.max_entries = 100}};
  EXPECT_EQ(load_bytes(snapshot_of(1000), few).state, load_state::full);
  EXPECT_EQ(few.size(), 100U);
  store small{{.hold_limit_bytes = 1U << 20U}};
  EXPECT_EQ(load_bytes(snapshot_of(20'000), small).state, load_state::full);
  EXPECT_GT(small.size(), 1000U);
  EXPECT_LE(small.held_bytes(), 1U << 20U);
  EXPECT_EQ(small.check_invariants(), "");
}

TEST(snapshot_load, a_long_value_that_does_not_fit_stops_it) {
  store to{{}};
  const test::loaded got =
      load_bytes(snapshot_of(3, 1'000'000), to, test::noon, [] { return std::uint64_t{900'000}; });
  EXPECT_EQ(got.state, load_state::full);
  EXPECT_EQ(got.entries, 0U);
  EXPECT_EQ(to.check_invariants(), "");
}

TEST(snapshot_load, several_threads_load_every_entry_once) {
  const std::string bytes = snapshot_of(60'000);
  store to{{}};
  test::memory_source_of_bytes source{bytes};
  block_reader reader{source};
  ASSERT_TRUE(to.begin_loading(reader.read_header().header.entries));
  std::atomic<int> ended{0};
  loader loads{{to, test::tagger(), test::noon, [] { return UINT64_MAX; }}, reader};
  loads.start(4, [&] { ++ended; });
  loads.join();
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(loads.result(), load_state::loaded);
  EXPECT_EQ(loads.entries(), 60'000U);
  EXPECT_EQ(to.size(), 60'000U);
  EXPECT_EQ(to.check_invariants(), "");
}

// Each writer owns some keys, and knows what it did last.
TEST(snapshot_load, what_writers_do_meanwhile_is_what_is_there_afterwards) {
  constexpr int keys = 30'000;
  constexpr int writers = 3;
  const std::string bytes = snapshot_of(keys);
  store to{{}};
  test::memory_source_of_bytes source{bytes};
  block_reader reader{source};
  ASSERT_TRUE(to.begin_loading(reader.read_header().header.entries));
  std::atomic<bool> ended{false};
  loader loads{{to, test::tagger(), test::noon, [] { return UINT64_MAX; }}, reader};
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int w = 0; w < writers; ++w)
    threads.emplace_back([&, w] {
      for (int i = w; i < keys; i += 7 * writers) {
        const std::string key = key_of(i);
        if (i % 2 == 0)
          to.put(key, "new", never);
        else
          to.erase(key);
        const auto seen = see(to, key);
        if (i % 2 == 0 ? !seen || seen->bytes != "new" : seen.has_value()) ++wrong;
      }
    });
  loads.start(2, [&] { ended = true; });
  for (std::thread& each : threads) each.join();
  loads.join();
  EXPECT_TRUE(ended);
  for (int w = 0; w < writers; ++w)
    for (int i = w; i < keys; i += 7 * writers) {
      const auto seen = see(to, key_of(i));
      EXPECT_EQ(seen ? seen->bytes : "none", i % 2 == 0 ? "new" : "none") << i;
    }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(to.check_invariants(), "");
}

TEST(snapshot_load, no_table_grows_since_they_are_made_for_the_entries_of_the_file) {
  const std::string bytes = snapshot_of(200'000, 10);
  store to{{}};
  std::uint64_t growths = 0;
  const test::loaded got = load_after(bytes, to, [&] {
    growths = to.stats().index_growths;
    while (to.maintain(10'000)) { // which would shrink tables that are empty
    }
  });
  EXPECT_EQ(got.entries, 200'000U);
  EXPECT_LE(to.stats().index_growths, growths + growths / 20); // some hold more than most
  EXPECT_EQ(to.stats().index_shrinks, 0U);
  EXPECT_EQ(to.check_invariants(), "");
}

TEST(snapshot_load, is_stopped_between_two_entries) {
  const std::string bytes = snapshot_of(20'000);
  store to{{}};
  test::memory_source_of_bytes source{bytes};
  block_reader reader{source};
  ASSERT_TRUE(to.begin_loading(reader.read_header().header.entries));
  loader loads{{to, test::tagger(), test::noon, [&] { return UINT64_MAX; }}, reader};
  loads.stop();
  loads.run();
  EXPECT_EQ(loads.result(), load_state::stopped);
  EXPECT_EQ(to.size(), 0U);
}

} // namespace
} // namespace kvcache::snapshot
