// An emergency under way: others go on growing while the cache makes room, on a machine whose time
// passes with the work that is done.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <vector>

#include "eviction/cache_alone.hpp"

namespace kvcache {
namespace {

using namespace test;

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

struct load {
  std::uint64_t limit_mib;
  std::size_t value_bytes;
  double processor_share; // of one processor, that the evictor gets
};

// Others jump, and then grow with time. An eviction takes 2 us of processor time, a move half a
// microsecond, a reading 100 us.
class growing_neighbour : public testing::TestWithParam<load> {
protected:
  static constexpr double first_jump = 0.28;
  static constexpr double growth_a_second = 0.06;

  growing_neighbour() {
    cache.at_reading = [this] {
      ++readings;
      seen.push_back(part(use()));
      cache.others = use() - entries.held_bytes();
    };
    cache.cpu_ns = [this] { return cpu_ns(); };
    cache.now_ns = [this] { return now_ns(); };
  }

  std::uint64_t cpu_ns() const {
    const cache_stats done = entries.stats();
    std::uint64_t evicted = 0;
    for (const std::uint64_t count : done.evictions) evicted += count;
    return evicted * 2'000 + done.entries_moved * 500 + readings * 100'000;
  }
  std::uint64_t now_ns() const {
    return 1 + idle_ns +
           static_cast<std::uint64_t>(static_cast<double>(cpu_ns()) / GetParam().processor_share);
  }
  double part(std::uint64_t bytes) const {
    return static_cast<double>(bytes) / static_cast<double>(limit);
  }
  double others() const {
    if (jumped_ns == 0) return 0;
    const double seconds = static_cast<double>(now_ns() - jumped_ns) / 1e9;
    return std::min(first_jump + growth_a_second * seconds, others_most);
  }
  std::uint64_t use() const {
    return static_cast<std::uint64_t>(others() * static_cast<double>(limit)) + entries.held_bytes();
  }

  // Up to 68 % of the limit, then accessed in random order.
  void fill() {
    evict.run();
    while (part(entries.held_bytes()) < 0.68) {
      for (int i = 0; i < 1000; ++i) {
        ASSERT_TRUE(put_number(entries, number++, GetParam().value_bytes));
      }
      if (number % 10'000 == 0) evict.run();
    }
    for (std::size_t i = 0; i < number; ++i) access_number(entries, random() % number);
    evict.run();
  }

  const std::uint64_t limit = GetParam().limit_mib * mib;
  std::uint64_t readings = 0;
  std::uint64_t idle_ns = 0;
  std::uint64_t jumped_ns = 0; // 0: not yet
  double others_most = 0.85;   // what is left is what the floor and free blocks need
  std::vector<double> seen;
  std::size_t number = 0;
  std::mt19937_64 random{9}; // NOLINT(bugprone-random-generator-seed): repeatable
  cache_alone cache{limit};
  store& entries = cache.entries;
  evictor& evict = cache.evict;
};

TEST_P(growing_neighbour, never_drives_use_to_the_limit) {
  fill();
  jumped_ns = now_ns();
  seen.clear();
  evict.run(); // the purge
  const std::vector<double> purge = seen;
  ASSERT_GT(purge.size(), 4U);
  EXPECT_GE(purge[0], 0.95);
  EXPECT_LT(purge[purge.size() / 2], purge.front()); // pages go back while it runs
  EXPECT_LT(part(use()), 0.85);
  constexpr std::uint64_t interval_ns = 100'000'000;
  while (others() < others_most) { // each run begins an interval after the last one did
    const std::uint64_t began_ns = now_ns();
    evict.run();
    idle_ns += interval_ns - std::min(interval_ns, now_ns() - began_ns);
    seen.push_back(part(use()));
  }
  for (int run = 0; run < 20; ++run) {
    evict.run();
    seen.push_back(part(use()));
  }
  EXPECT_LT(*std::max_element(seen.begin(), seen.end()), 0.98);
  EXPECT_GT(entries.size(), 0U);
}

INSTANTIATE_TEST_SUITE_P(evictor, growing_neighbour,
                         testing::Values(load{512, 1000, 1}, load{32, 20, 1},
                                         load{256, 1000, 0.2}));

// ---- what PUTs do meanwhile ---------------------------------------------------------------------

class serving_in_an_emergency : public testing::Test {
protected:
  // Up to 70 %, then accessed in another order; then others jump.
  void begin_emergency() {
    while (entries.held_bytes() < cache.limit * 70 / 100) {
      ASSERT_TRUE(put_number(entries, number++, 20));
    }
    for (std::size_t i = 0; i < number; ++i) access_number(entries, i * 7919 % number);
    cache.others = cache.limit * 28 / 100;
  }

  // The second reading confirms the first and begins the purge. Then the evictor gets no
  // processor time until `serve` has run, just before the given reading. Returns the bytes that
  // were returned.
  std::size_t bytes_returned_by(const std::function<void()>& serve, unsigned before_reading = 4) {
    unsigned readings = 0;
    std::size_t before = 0;
    std::size_t after = 0;
    cache.at_reading = [&] {
      if (++readings != before_reading) return;
      before = entries.held_bytes();
      serve();
      after = entries.held_bytes();
    };
    evict.run();
    cache.at_reading = {};
    EXPECT_GE(readings, before_reading);
    return before > after ? before - after : 0;
  }

  std::size_t number = 0;
  cache_alone cache{32 * mib};
  store& entries = cache.entries;
  evictor& evict = cache.evict;
};

TEST_F(serving_in_an_emergency, puts_take_part_in_the_purge_and_return_pages) {
  begin_emergency();
  const std::size_t returned = bytes_returned_by([&] {
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(put_number(entries, number++, 20));
  });
  EXPECT_GT(returned, mib);
  for (std::size_t i = number - 1000; i < number; ++i) ASSERT_TRUE(holds_number(entries, i)) << i;
}

TEST_F(serving_in_an_emergency, threads_that_only_read_take_part_when_asked) {
  EXPECT_FALSE(evict.wants_help());
  begin_emergency();
  const std::size_t returned = bytes_returned_by([&] {
    ASSERT_TRUE(evict.wants_help());
    evict.help(1000);
  });
  EXPECT_GT(returned, mib);
  EXPECT_FALSE(evict.wants_help());
  const std::size_t left = entries.size();
  evict.help(1000);
  EXPECT_EQ(entries.size(), left);
}

TEST_F(serving_in_an_emergency, requests_evict_more_near_the_limit) {
  const auto evicted_by_one_step = [&](std::uint64_t others) {
    cache.others = others;
    std::size_t evicted = 0;
    const auto help = [&] {
      const std::size_t before = entries.size();
      evict.help(1);
      evicted = before - entries.size();
    };
    bytes_returned_by(help, 3);
    return evicted;
  };
  begin_emergency();
  EXPECT_LE(evicted_by_one_step(cache.limit * 26 / 100), 64U);
  // The ghosts are given up at once.
  const std::size_t held = entries.held_bytes() - entries.ghost_bytes();
  const std::uint64_t to_99_percent = cache.limit * 99 / 100 - held;
  EXPECT_GT(evicted_by_one_step(to_99_percent), 256U);
}

TEST_F(serving_in_an_emergency, leaves_no_slab_out_of_allocation) {
  begin_emergency();
  evict.run();
  cache.others = 0;
  evict.run();
  // All gaps can be filled again.
  std::size_t put = 0;
  while (entries.free_bytes() > slab_bytes && put < number) {
    ASSERT_TRUE(put_number(entries, number + put++, 20));
  }
  EXPECT_LE(entries.free_bytes(), slab_bytes);
}

// ---- what else the evictor does -----------------------------------------------------------------

// A machine on which the evictor gets a twentieth of a processor.
class evictor_under_a_quota : public testing::Test {
protected:
  static constexpr std::uint64_t ms = 1'000'000;

  evictor_under_a_quota() {
    cache.cpu_ns = [this] { return cpu_ns += 10'000; }; // of work, between two looks
    cache.now_ns = [this] { return 1 + 20 * cpu_ns; };
    cache.at_reading = [this] { read_ns = cache.now_ns(); };
  }

  std::uint64_t cpu_ns = 0;
  std::uint64_t read_ns = 0;
  cache_alone cache{256 * mib};
};

TEST_F(evictor_under_a_quota, reads_memory_before_it_has_collected_all_expired_entries) {
  constexpr std::size_t count = 400'000;
  for (std::size_t i = 0; i < count; ++i) ASSERT_TRUE(put_number(cache.entries, i, 20, 1));
  cache.entries.advance_clock(2);
  cache.evict.run();
  EXPECT_LT(cache.now_ns() - read_ns, 150 * ms);
  EXPECT_GT(cache.entries.size(), 0U);
  for (int run = 0; run < 100 && cache.entries.size() != 0; ++run) cache.evict.run();
  EXPECT_EQ(cache.entries.size(), 0U); // the others are collected later
}

TEST_F(evictor_under_a_quota, reads_memory_sooner_in_an_emergency) {
  constexpr std::size_t count = 400'000;
  for (std::size_t i = 0; i < count; ++i) ASSERT_TRUE(put_number(cache.entries, i, 20, 1));
  cache.others = cache.limit * 96 / 100; // and content at its floor: nothing is to be evicted
  for (std::size_t i = 1000; i < count; ++i) cache.entries.erase(key_of(i));
  cache.entries.advance_clock(2);
  cache.evict.run();
  ASSERT_EQ(cache.evict.status().tier, pressure_tier::emergency);
  EXPECT_LT(cache.now_ns() - read_ns, 30 * ms);
}

} // namespace
} // namespace kvcache
