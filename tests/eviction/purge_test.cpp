// An emergency under way: others go on growing while the cache makes room, on a machine whose time
// passes with the work that is done.
#include "eviction/evictor.hpp"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "eviction/store_fixture.hpp"

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

  growing_neighbour() { entries.set_room_maker(&evict); }
  ~growing_neighbour() override {
    entries.set_room_maker(nullptr);
    EXPECT_EQ(entries.check_invariants(), "");
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
  memory_report report;
  store entries{repeatable_options()};
  evictor evict{entries,
                {},
                {.read_memory = [this](std::uint64_t) -> const memory_report& {
                   ++readings;
                   seen.push_back(part(use()));
                   report.levels = {{.used_bytes = use(), .limit_bytes = limit, .source = "fake"}};
                   return report;
                 },
                 .thread_cpu_ns = [this] { return cpu_ns(); },
                 .buffer_bytes = {},
                 .wake = {},
                 .on_tier_change = {},
                 .on_estimate = {},
                 .now_ns = [this] { return now_ns(); },
                 .on_reading = {}}};
};

TEST_P(growing_neighbour, pushes_use_to_the_limit_at_no_reading) {
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

class puts_in_an_emergency : public testing::Test {
protected:
  puts_in_an_emergency() { entries.set_room_maker(&evict); }
  ~puts_in_an_emergency() override { entries.set_room_maker(nullptr); }

  // What happens while the evictor takes its second reading, as if it got no processor after that.
  std::function<void()> before_second_reading;
  std::uint64_t limit = 32 * mib;
  std::uint64_t others = 0;
  unsigned readings = 0;
  memory_report report;
  store entries{repeatable_options()};
  evictor evict{entries,
                {},
                {.read_memory = [this](std::uint64_t) -> const memory_report& {
                   ++readings;
                   if (readings == 4 && before_second_reading) before_second_reading();
                   report.levels = {{.used_bytes = others + entries.held_bytes(),
                                     .limit_bytes = limit,
                                     .source = "fake"}};
                   return report;
                 },
                 .thread_cpu_ns = [] { return std::uint64_t{0}; },
                 .buffer_bytes = {},
                 .wake = {},
                 .on_tier_change = {},
                 .on_estimate = {}}};
};

TEST_F(puts_in_an_emergency, take_part_in_the_purge_and_return_pages) {
  evict.run();
  std::size_t number = 0;
  while (entries.held_bytes() < limit * 70 / 100) {
    ASSERT_TRUE(put_number(entries, number++, 20));
  }
  for (std::size_t i = 0; i < number; ++i) access_number(entries, i * 7919 % number);
  readings = 0;
  others = limit * 28 / 100;
  std::size_t held_before = 0;
  std::size_t held_after = 0;
  // The first reading and the second, which confirms it, begin the purge; between the third and the
  // fourth the evictor stands still.
  before_second_reading = [&] {
    held_before = entries.held_bytes();
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(put_number(entries, number++, 20));
    held_after = entries.held_bytes();
  };
  evict.run();
  ASSERT_GE(readings, 4U);
  EXPECT_LT(held_after, held_before - mib);
  for (std::size_t i = number - 1000; i < number; ++i) ASSERT_TRUE(holds_number(entries, i)) << i;
}

TEST_F(puts_in_an_emergency, leave_no_slab_out_of_allocation) {
  evict.run();
  std::size_t number = 0;
  while (entries.held_bytes() < limit * 70 / 100) put_number(entries, number++, 20);
  others = limit * 28 / 100;
  evict.run();
  others = 0;
  evict.run();
  // All gaps can be filled again.
  std::size_t put = 0;
  while (entries.free_bytes() > slab_bytes && put < number) {
    ASSERT_TRUE(put_number(entries, number + put++, 20));
  }
  EXPECT_LE(entries.free_bytes(), slab_bytes);
}

} // namespace
} // namespace kvcache
