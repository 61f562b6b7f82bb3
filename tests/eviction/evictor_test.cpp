#include "eviction/evictor.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <numeric>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eviction/store_fixture.hpp"

namespace kvcache {
namespace {

using namespace test;
using ::testing::HasSubstr;

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

// A store with its evictor on a machine in figures: use is what others have and what the store
// holds.
class machine {
public:
  explicit machine(std::uint64_t limit_bytes,
                   const cache_options& store_options = repeatable_options(),
                   evictor_options options = {})
      : limit(limit_bytes), entries(store_options), evict(entries, options, surroundings()) {
    entries.set_room_maker(&evict);
  }
  ~machine() { entries.set_room_maker(nullptr); }

  // An interval passes.
  void tick() { evict.run(); }

  std::uint64_t use() const { return others + buffers + entries.held_bytes(); }
  double use_percent() const {
    return 100.0 * static_cast<double>(use()) / static_cast<double>(limit);
  }
  std::uint64_t evicted() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : entries.stats().evictions) sum += count;
    return sum;
  }

  std::uint64_t limit;
  std::uint64_t others = 0;
  std::uint64_t buffers = 0;
  std::uint64_t host_limit = 0; // of a further level; 0: there is none
  std::uint64_t host_use = 0;
  bool readable = true;
  std::vector<tier_change> changes;
  unsigned wakes = 0;
  unsigned estimates_told = 0;
  std::chrono::milliseconds paused{0};
  std::function<void()> meanwhile; // happens in each pause
  memory_report report;
  store entries;
  evictor evict;

private:
  evictor_surroundings surroundings() {
    return {
        .read_memory = [this](std::uint64_t own) -> const memory_report& {
          const bool estimate = !readable;
          report.estimate_began = estimate && !report.estimated;
          report.estimated = estimate;
          report.levels = {{.used_bytes = estimate ? own : use(),
                            .limit_bytes = limit,
                            .source = estimate ? "estimate" : "fake"}};
          if (host_limit != 0) {
            report.levels.push_back(
                {.used_bytes = host_use, .limit_bytes = host_limit, .source = "host"});
            report.fullest = host_use / (host_limit / 100) > use() / (limit / 100) ? 1 : 0;
          }
          return report;
        },
        .thread_cpu_ns = [] { return std::uint64_t{0}; },
        .buffer_bytes = [this] { return buffers; },
        .wake = [this] { ++wakes; },
        .on_tier_change = [this](const tier_change& change) { changes.push_back(change); },
        .on_estimate = [this](const memory_reading&) { ++estimates_told; },
        .pause =
            [this](std::chrono::milliseconds time) {
              paused += time;
              if (meanwhile) meanwhile();
            },
    };
  }
};

// Up to 65 % of the limit.
void fill_with_small_entries(machine& m) {
  m.tick();
  std::size_t number = 0;
  while (m.use_percent() < 65) {
    for (int i = 0; i < 2000; ++i) put_number(m.entries, number++, 20);
    m.tick();
  }
}

TEST(evictor, evicts_nothing_below_seventy_percent) {
  machine m(16 * mib);
  m.others = 4 * mib;
  m.tick();
  std::size_t number = 0;
  while (m.use_percent() < 69) {
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(put_number(m.entries, number++, 400));
    m.tick();
  }
  EXPECT_EQ(m.evicted(), 0U);
  EXPECT_EQ(m.entries.size(), number);
  for (std::size_t i = 0; i < number; ++i) ASSERT_TRUE(holds_number(m.entries, i)) << i;
  EXPECT_EQ(m.evict.status().tier, pressure_tier::normal);
  EXPECT_TRUE(m.changes.empty());
}

TEST(evictor, reports_the_containers_limit_even_if_the_host_is_fuller) {
  machine m(64 * mib);
  m.host_limit = 1024 * mib;
  m.host_use = 300 * mib;
  m.tick();
  EXPECT_EQ(m.report.fullest, 1U);
  const eviction_status calm = m.evict.status();
  EXPECT_EQ(calm.reading.source, "fake");
  EXPECT_EQ(calm.reading.limit_bytes, 64 * mib);
  EXPECT_LE(calm.allowance_bytes, 64 * mib / 100 * 70 + mib);

  m.host_use = 900 * mib;
  m.tick();
  const eviction_status short_of_memory = m.evict.status();
  EXPECT_EQ(short_of_memory.tier, pressure_tier::pressure);
  EXPECT_EQ(short_of_memory.reading.source, "host");
}

TEST(evictor, under_sustained_puts_use_stays_between_68_and_75_percent_without_refusals) {
  machine m(24 * mib);
  m.others = 4 * mib;
  m.tick();
  std::size_t number = 0;
  std::size_t refused = 0;
  for (int run = 0; run < 150; ++run) {
    for (int i = 0; i < 500; ++i) {
      refused += put_number(m.entries, number, 300 + number % 200) ? 0 : 1;
      ++number;
    }
    m.tick();
    if (run > 100) {
      EXPECT_GE(m.use_percent(), 68) << run;
    }
    ASSERT_LE(m.use_percent(), 75) << run;
  }
  EXPECT_EQ(refused, 0U);
  EXPECT_GT(m.evicted(), 0U);
  EXPECT_GT(evictions_of(m.entries, eviction_cause::lru), 0U);
  EXPECT_LE(m.evict.status().tier_changes, 4U);
  EXPECT_EQ(m.evict.status().purges, 0U);
  EXPECT_GT(m.entries.live_bytes(), 9 * mib);
}

TEST(evictor, purges_at_once_in_an_emergency_and_only_down_to_the_allowance) {
  machine m(32 * mib);
  m.tick();
  std::size_t number = 0;
  while (m.use_percent() < 65) put_number(m.entries, number++, 300);
  m.tick();
  ASSERT_EQ(m.evicted(), 0U);
  m.others = 10 * mib; // from 65 % to over 96 %
  m.tick();
  const eviction_status status = m.evict.status();
  EXPECT_EQ(status.tier, pressure_tier::emergency);
  EXPECT_EQ(status.purges, 1U);
  EXPECT_GT(evictions_of(m.entries, eviction_cause::emergency), 0U);
  EXPECT_EQ(status.evictions[static_cast<std::size_t>(pressure_tier::emergency)]
                            [static_cast<std::size_t>(eviction_cause::emergency)],
            evictions_of(m.entries, eviction_cause::emergency));
  const std::uint64_t content = m.entries.live_bytes() + m.entries.index_bytes();
  const std::uint64_t allowed = 32 * mib * 70 / 100 - m.others;
  EXPECT_LE(content, allowed + mib / 2); // the index may have more to give
  EXPECT_GE(content, allowed - mib / 2);
  for (int run = 0; run < 30; ++run) m.tick(); // survivors move, pages go back
  EXPECT_LE(m.use_percent(), 75);
  EXPECT_GE(m.entries.live_bytes() + m.entries.index_bytes(), allowed - mib);
  EXPECT_EQ(m.evict.status().purges, 1U);
}

TEST(evictor, a_spike_that_ends_before_the_confirming_reading_causes_no_purge) {
  machine m(32 * mib);
  m.tick();
  std::size_t number = 0;
  while (m.use_percent() < 65) put_number(m.entries, number++, 300);
  m.tick();
  ASSERT_EQ(m.paused.count(), 0);
  m.others = 10 * mib; // from 65 % to over 96 %
  m.meanwhile = [&] { m.others = 0; };
  m.tick();
  EXPECT_GE(m.paused.count(), 10);
  EXPECT_LE(m.paused.count(), 100);
  EXPECT_EQ(m.evict.status().purges, 0U);
  EXPECT_EQ(m.evict.status().tier, pressure_tier::normal);
  EXPECT_LE(m.evicted(), number / 40); // the share of the first reading
}

TEST(evictor, confirms_an_emergency_sooner_near_the_limit) {
  machine m(32 * mib);
  m.tick();
  std::size_t number = 0;
  while (m.use_percent() < 65) put_number(m.entries, number++, 300);
  m.tick();
  m.others = 11 * mib; // to over 99 %
  m.tick();
  EXPECT_EQ(m.evict.status().purges, 1U);
  EXPECT_EQ(m.paused.count(), 5);
}

TEST(evictor, an_emergency_is_confirmed_after_one_pause_and_purged_without_further_ones) {
  machine m(64 * mib);
  fill_with_small_entries(m);
  unsigned pauses = 0;
  m.meanwhile = [&] { ++pauses; };
  m.others = 21 * mib; // over 95 %: more entries go than are evicted for one reading
  m.tick();
  EXPECT_EQ(m.evict.status().purges, 1U);
  EXPECT_GT(evictions_of(m.entries, eviction_cause::emergency), 65'536U);
  EXPECT_EQ(pauses, 1U);
}

TEST(evictor, never_pauses_for_longer_than_its_interval) {
  machine m(32 * mib, repeatable_options(), {.pressure = {}, .interval_ms = 10});
  m.tick();
  std::size_t number = 0;
  while (m.use_percent() < 65) put_number(m.entries, number++, 300);
  m.others = 10 * mib;
  m.tick();
  EXPECT_EQ(m.evict.status().purges, 1U);
  EXPECT_EQ(m.paused.count(), 10);
}

TEST(evictor, is_woken_by_the_first_put_at_the_mark_and_by_each_in_an_emergency) {
  machine m(24 * mib);
  m.others = 4 * mib;
  m.tick();
  std::size_t number = 0;
  while (m.evicted() == 0) ASSERT_TRUE(put_number(m.entries, number++, 400));
  EXPECT_EQ(m.wakes, 1U); // it is ahead of the reading
  for (int i = 0; i < 1000; ++i) put_number(m.entries, number++, 400);
  EXPECT_EQ(m.wakes, 1U); // the others make their room and are done
  m.tick();
  EXPECT_EQ(m.evict.status().tier, pressure_tier::pressure);
  for (int i = 0; i < 1000; ++i) put_number(m.entries, number++, 400);
  EXPECT_EQ(m.wakes, 1U);

  m.others = 24 * mib - m.entries.held_bytes(); // all of a sudden
  m.tick();
  ASSERT_EQ(m.evict.status().tier, pressure_tier::emergency);
  m.wakes = 0;
  for (int i = 0; i < 10'000 && m.wakes == 0; ++i) put_number(m.entries, number++, 400);
  EXPECT_GT(m.wakes, 0U);
}

TEST(evictor, a_purge_of_many_entries_with_several_readings_ends_at_the_allowance) {
  machine m(64 * mib);
  fill_with_small_entries(m);
  ASSERT_EQ(m.evicted(), 0U);
  m.others = 21 * mib; // over 95 %, and 93 % again after a few of the entries
  m.tick();
  EXPECT_GT(evictions_of(m.entries, eviction_cause::emergency), 65'536U);
  const std::uint64_t allowed = 64 * mib * 70 / 100 - m.others;
  const std::uint64_t content = m.entries.live_bytes() + m.entries.index_bytes();
  EXPECT_LE(content, allowed + 4 * mib); // the index has more to give
  EXPECT_GE(m.entries.live_bytes(), allowed / 2);
  EXPECT_EQ(m.evict.status().purges, 1U);
}

TEST(evictor, evictions_of_living_entries_for_bytes_are_never_counted_as_normal) {
  machine m(24 * mib);
  m.others = 4 * mib;
  m.tick();
  std::size_t number = 0;
  while (m.evicted() == 0) ASSERT_TRUE(put_number(m.entries, number++, 400));
  const eviction_status before_the_reading = m.evict.status();
  ASSERT_EQ(before_the_reading.tier, pressure_tier::normal);
  const auto of = [](const eviction_status& status, pressure_tier tier) {
    const auto& causes = status.evictions[static_cast<std::size_t>(tier)];
    return std::accumulate(causes.begin(), causes.end(), std::uint64_t{0});
  };
  EXPECT_EQ(of(before_the_reading, pressure_tier::normal), 0U);
  EXPECT_EQ(of(before_the_reading, pressure_tier::pressure), m.evicted());
  m.tick();
  EXPECT_EQ(of(m.evict.status(), pressure_tier::normal), 0U);
  EXPECT_EQ(of(m.evict.status(), pressure_tier::pressure), m.evicted());
}

TEST(evictor, evicts_the_oldest_first) {
  machine m(32 * mib);
  m.tick();
  std::size_t number = 0;
  while (m.use_percent() < 69) {
    for (int i = 0; i < 500; ++i) put_number(m.entries, number++, 300);
    m.tick();
  }
  for (std::size_t i = 0; i < number / 4; ++i) access_number(m.entries, i);
  m.others = 4 * mib;
  for (int run = 0; run < 200; ++run) m.tick();
  ASSERT_GT(m.evicted(), 0U);
  ASSERT_LT(m.evicted(), number / 2);
  std::size_t young_lost = 0;
  for (std::size_t i = 0; i < number / 4; ++i) young_lost += holds_number(m.entries, i) ? 0 : 1;
  EXPECT_LT(young_lost, number / 4 / 50);
}

// ---- ghosts ---------------------------------------------------------------------------

// Puts until the cache has been at its limit for some runs.
void fill_beyond_the_mark(machine& m) {
  std::size_t number = 0;
  for (int at_limit = 0; at_limit<20; at_limit += m.evicted()> 0 ? 1 : 0) {
    for (int i = 0; i < 500; ++i) put_number(m.entries, number++, 300);
    m.tick();
  }
}

TEST(evictor, remembers_as_many_evicted_keys_as_there_are_entries_only_once_it_evicts) {
  machine m(32 * mib);
  m.tick();
  for (std::size_t i = 0; m.use_percent() < 69; ++i) put_number(m.entries, i, 300);
  m.tick();
  EXPECT_EQ(m.entries.ghost_bytes(), 0U);
  fill_beyond_the_mark(m);
  EXPECT_GE(m.entries.ghosts().capacity(), m.entries.size() / 2);
  EXPECT_LE(m.entries.ghosts().capacity(), m.entries.size() * 2);
  EXPECT_LT(m.use_percent(), 73); // they count as content
  EXPECT_EQ(m.entries.check_invariants(), "");
}

TEST(evictor, gives_up_the_ghosts_first_in_an_emergency) {
  machine m(32 * mib);
  m.tick();
  fill_beyond_the_mark(m);
  ASSERT_GT(m.entries.ghost_bytes(), 0U);
  const std::uint64_t before = m.evicted();
  m.others = 8 * mib;
  bool confirmed = false;
  m.meanwhile = [&] { // after the first reading of the emergency, which may yet be a spike
    EXPECT_EQ(m.entries.ghost_bytes(), 0U);
    EXPECT_LT(m.evicted() - before, m.entries.size() / 10);
    confirmed = true;
    m.meanwhile = {};
  };
  m.tick();
  EXPECT_TRUE(confirmed);
  EXPECT_EQ(m.entries.check_invariants(), "");
}

TEST(evictor, takes_no_memory_for_ghosts_while_others_use_what_an_emergency_has_freed) {
  machine m(32 * mib);
  m.tick();
  fill_beyond_the_mark(m);
  m.others = 27 * mib; // 84 %: after the purge, use stays above the middle of the marks
  for (int run = 0; run < 50; ++run) m.tick();
  ASSERT_EQ(m.evict.status().tier, pressure_tier::pressure);
  ASSERT_GT(m.use_percent(), 83);
  EXPECT_EQ(m.entries.ghost_bytes(), 0U);
  m.others = 0;
  std::size_t number = 1'000'000;
  for (int run = 0; run < 1000 && m.entries.ghost_bytes() == 0; ++run) {
    for (int i = 0; i < 500; ++i) put_number(m.entries, number++, 300);
    m.tick();
  }
  EXPECT_GT(m.entries.ghost_bytes(), 0U);
}

TEST(evictor, gives_up_the_ghosts_of_a_cache_that_became_small) {
  machine m(32 * mib);
  m.tick();
  fill_beyond_the_mark(m);
  ASSERT_GT(m.entries.ghost_bytes(), 0U);
  m.entries.clear();
  for (int run = 0; run < 5; ++run) m.tick();
  EXPECT_EQ(m.entries.ghost_bytes(), 0U);
}

TEST(evictor, keeps_the_floor_while_others_use_the_memory) {
  machine m(64 * mib);
  m.tick();
  std::size_t number = 0;
  while (m.use_percent() < 50) put_number(m.entries, number++, 500);
  m.others = 60 * mib;
  for (int run = 0; run < 100; ++run) m.tick();
  const std::uint64_t content = m.entries.live_bytes() + m.entries.index_bytes();
  EXPECT_GE(content, floor_bytes(m.limit, {}) * 95 / 100);
  EXPECT_LE(content, floor_bytes(m.limit, {}));
  const std::uint64_t evicted = m.evicted();
  for (int run = 0; run < 50; ++run) m.tick();
  EXPECT_EQ(m.evicted(), evicted);
}

TEST(evictor, connection_buffers_reduce_the_allowance_of_entries) {
  machine m(32 * mib);
  m.buffers = 10 * mib;
  m.tick();
  std::size_t number = 0;
  for (int run = 0; run < 60; ++run) {
    for (int i = 0; i < 1000; ++i) put_number(m.entries, number++, 400);
    m.tick();
    ASSERT_LE(m.use_percent(), 75) << run;
  }
  EXPECT_LE(m.entries.held_bytes(), 14 * mib);
}

TEST(evictor, the_tier_follows_what_others_use_and_each_change_is_reported) {
  machine m(32 * mib);
  m.tick();
  std::size_t number = 0;
  while (m.use_percent() < 60) put_number(m.entries, number++, 300);
  m.others = 5 * mib;
  for (int run = 0; run < 100; ++run) m.tick();
  m.others = 0;
  for (int run = 0; run < 100; ++run) m.tick();
  ASSERT_EQ(m.changes.size(), 2U);
  EXPECT_EQ(m.changes[0].from, pressure_tier::normal);
  EXPECT_EQ(m.changes[0].to, pressure_tier::pressure);
  EXPECT_EQ(m.changes[0].reading.source, "fake");
  EXPECT_EQ(m.changes[1].to, pressure_tier::normal);
  EXPECT_EQ(m.evict.status().tier_changes, 2U);
}

TEST(evictor, the_hold_limit_follows_a_lowered_and_raised_limit) {
  machine m(64 * mib);
  m.tick();
  EXPECT_NEAR(static_cast<double>(m.entries.hold_limit_bytes()), 46.0 * mib, 1.0 * mib);
  m.limit = 32 * mib;
  m.tick();
  EXPECT_NEAR(static_cast<double>(m.entries.hold_limit_bytes()), 23.0 * mib, 0.5 * mib);
  m.limit = 128 * mib;
  m.tick();
  EXPECT_NEAR(static_cast<double>(m.entries.hold_limit_bytes()), 92.0 * mib, 2.0 * mib);
}

TEST(evictor, refuses_a_value_that_would_empty_the_cache) {
  machine m(32 * mib);
  m.tick();
  std::size_t number = 0;
  for (int i = 0; i < 60'000; ++i) put_number(m.entries, number++, 400);
  const std::size_t before = m.entries.size();
  EXPECT_EQ(m.entries.put("huge", std::string(20 * mib, 'x'), never), put_outcome::no_room);
  EXPECT_GE(m.entries.size(), before * 9 / 10);
  EXPECT_EQ(m.entries.put("large", std::string(mib / 2, 'x'), never), put_outcome::inserted);
}

TEST(evictor, the_limit_of_entries_evicts_only_the_excess) {
  cache_options options = repeatable_options();
  options.max_entries = 1000;
  machine m(1024 * mib, options);
  m.tick();
  for (std::size_t i = 0; i < 1500; ++i) {
    ASSERT_TRUE(put_number(m.entries, i));
    ASSERT_LE(m.entries.size(), 1000U);
  }
  EXPECT_EQ(m.entries.size(), 1000U);
  EXPECT_EQ(evictions_of(m.entries, eviction_cause::max_entries), 500U);
  EXPECT_EQ(m.evicted(), 500U);
  EXPECT_EQ(m.evict.status().evictions[static_cast<std::size_t>(pressure_tier::normal)]
                                      [static_cast<std::size_t>(eviction_cause::max_entries)],
            500U);
}

TEST(evictor, the_limit_of_entries_is_exceeded_by_one_per_putting_thread_at_most) {
  constexpr unsigned threads = 4;
  cache_options options = repeatable_options();
  options.max_entries = 2000;
  options.stripes = threads;
  machine m(1024 * mib, options, {.pressure = {}, .interval_ms = 100, .threads = threads});
  m.tick();
  std::atomic<std::size_t> refused{0};
  for (std::size_t round = 0; round < 20; ++round) {
    std::vector<std::thread> workers;
    for (std::size_t t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] {
        for (std::size_t i = 0; i < 500; ++i) {
          refused += put_number(m.entries, (round * threads + t) * 1000 + i) ? 0U : 1U;
        }
      });
    }
    for (auto& worker : workers) worker.join();
    ASSERT_LE(m.entries.size(), 2000U + threads) << round;
    ASSERT_GE(m.entries.size(), 2000U - 4 * threads) << round;
  }
  EXPECT_EQ(refused, 0U);
}

TEST(evictor, collects_entries_that_have_expired_by_the_stores_clock) {
  machine m(1024 * mib);
  for (std::size_t i = 0; i < 1000; ++i) put_number(m.entries, i, 20, 10);
  for (int run = 0; run < 100; ++run) m.tick();
  EXPECT_EQ(m.entries.now(), 0U);
  EXPECT_EQ(m.entries.size(), 1000U);
  m.entries.advance_clock(10);
  for (int run = 0; run < 100; ++run) m.tick();
  EXPECT_EQ(m.entries.size(), 0U);
  EXPECT_EQ(evictions_of(m.entries, eviction_cause::expired), 1000U);
}

TEST(evictor, sweeps_all_entries_about_once_a_minute_at_any_interval) {
  struct some {
    unsigned interval_ms;
    std::size_t entries;
  };
  for (const some& each : {some{100, 10'000}, some{eviction_interval_most_ms, 500'000}}) {
    machine m(1024 * mib, repeatable_options(), {.pressure = {}, .interval_ms = each.interval_ms});
    for (std::size_t i = 0; i < each.entries; ++i)
      put_number(m.entries, i, 8, i % 100 == 0 ? 10 : 1000);
    m.entries.advance_clock(10);
    for (unsigned ms = 0; ms < 70'000; ms += each.interval_ms) m.tick();
    EXPECT_EQ(m.entries.size(), each.entries - each.entries / 100) << each.interval_ms;
  }
}

TEST(evictor, uses_an_estimate_where_no_level_can_be_read_and_reports_it_once) {
  machine m(32 * mib);
  m.readable = false;
  m.tick();
  std::size_t number = 0;
  for (int run = 0; run < 60; ++run) {
    for (int i = 0; i < 1000; ++i) put_number(m.entries, number++, 500);
    m.tick();
  }
  EXPECT_EQ(m.estimates_told, 1U);
  EXPECT_TRUE(m.evict.status().estimated);
  EXPECT_LE(m.entries.held_bytes(), 24 * mib);
  EXPECT_GE(m.entries.held_bytes(), 21 * mib);
}

TEST(evictor, keeps_its_last_decision_when_a_reading_runs_out_of_memory) {
  store entries(repeatable_options());
  bool fail = false;
  memory_report report{.levels = {{.used_bytes = 0, .limit_bytes = 64 * mib, .source = "fake"}}};
  evictor evict(entries, {},
                {.read_memory = [&](std::uint64_t) -> const memory_report& {
                   if (fail) throw std::bad_alloc();
                   return report;
                 },
                 .thread_cpu_ns = [] { return std::uint64_t{0}; },
                 .buffer_bytes = {},
                 .wake = {},
                 .on_tier_change = {},
                 .on_estimate = {}});
  evict.run();
  const std::size_t limit = entries.hold_limit_bytes();
  EXPECT_GT(limit, 0U);
  fail = true;
  evict.run();
  EXPECT_EQ(entries.hold_limit_bytes(), limit);
  EXPECT_EQ(evict.status().failed_readings, 1U);
}

TEST(evictor, slices_end_when_their_time_is_up) {
  store entries(repeatable_options());
  std::uint64_t cpu_ns = 0;
  memory_report report{
      .levels = {{.used_bytes = 40 * mib, .limit_bytes = 40 * mib, .source = "fake"}}};
  evictor evict(entries, {},
                {.read_memory = [&](std::uint64_t) -> const memory_report& { return report; },
                 .thread_cpu_ns = [&] { return cpu_ns += 100'000; }, // each look costs 0.1 ms
                 .buffer_bytes = {},
                 .wake = {},
                 .on_tier_change = {},
                 .on_estimate = {}});
  for (std::size_t i = 0; i < 20'000; ++i) put_number(entries, i, 600);
  evict.run();
  EXPECT_GT(entries.stats().evictions[static_cast<std::size_t>(eviction_cause::emergency)], 1000U);
  EXPECT_GT(evict.status().longest_slice_ns, 0U);
  EXPECT_LT(evict.status().longest_slice_ns, 500'000U);
}

// Processor time as the work that is done takes it at most: an eviction with its share of the pages
// given back, a table replaced by a smaller one.
std::uint64_t time_of_work_ns(const store& entries) {
  const cache_stats done = entries.stats();
  std::uint64_t evicted = 0;
  for (const std::uint64_t count : done.evictions) evicted += count;
  return evicted * 2'000 + done.index_shrinks * 300'000;
}

TEST(evictor, slices_stay_short_when_many_entries_expire_and_while_the_index_shrinks) {
  store entries(repeatable_options());
  memory_report report{
      .levels = {{.used_bytes = 40 * mib, .limit_bytes = 1024 * mib, .source = "fake"}}};
  evictor evict(entries, {},
                {.read_memory = [&](std::uint64_t) -> const memory_report& { return report; },
                 .thread_cpu_ns = [&] { return time_of_work_ns(entries); },
                 .buffer_bytes = {},
                 .wake = {},
                 .on_tier_change = {},
                 .on_estimate = {}});
  for (std::size_t i = 0; i < 100'000; ++i) put_number(entries, i, 50, i % 50 == 0 ? never : 10);
  entries.advance_clock(10);
  for (int run = 0; run < 200; ++run) evict.run();
  EXPECT_EQ(entries.size(), 2000U);
  EXPECT_GT(entries.stats().index_shrinks, 1U);
  EXPECT_GT(evict.status().longest_slice_ns, 200'000U);
  EXPECT_LT(evict.status().longest_slice_ns, 500'000U);
}

TEST(evictor, counts_expired_entries_by_the_tier_of_their_eviction) {
  machine m(64 * mib);
  m.tick();
  for (std::size_t i = 0; i < 1000; ++i) put_number(m.entries, i, 20, 10);
  m.entries.advance_clock(10);
  m.tick();
  m.others = 60 * mib;
  m.tick();
  constexpr auto expired = static_cast<std::size_t>(eviction_cause::expired);
  EXPECT_EQ(m.evict.status().evictions[static_cast<std::size_t>(pressure_tier::normal)][expired],
            1000U);
  for (std::size_t i = 0; i < 500; ++i) put_number(m.entries, i, 20, 20);
  m.entries.advance_clock(20);
  m.tick();
  const eviction_status status = m.evict.status();
  EXPECT_NE(status.tier, pressure_tier::normal);
  EXPECT_EQ(status.evictions[static_cast<std::size_t>(pressure_tier::normal)][expired], 1000U);
  EXPECT_EQ(status.evictions[static_cast<std::size_t>(status.tier)][expired], 500U);
}

TEST(evictor_options, are_checked) {
  EXPECT_EQ(find_fault(evictor_options{}), std::nullopt);
  EXPECT_THAT(find_fault(evictor_options{.pressure = {}, .interval_ms = 9}).value_or(""),
              HasSubstr("--eviction-interval-ms"));
  EXPECT_THAT(find_fault(evictor_options{.pressure = {}, .interval_ms = 1001}).value_or(""),
              HasSubstr("--eviction-interval-ms"));
  EXPECT_THAT(find_fault(evictor_options{.pressure = {.pressure_percent = 99}}).value_or(""),
              HasSubstr("--pressure-percent"));
}

} // namespace
} // namespace kvcache
