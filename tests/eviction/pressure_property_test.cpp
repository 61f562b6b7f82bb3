#include "eviction/pressure.hpp"

#include <algorithm>
#include <deque>
#include <random>

#include <gtest/gtest.h>

#include "eviction/simulated_machine.hpp"

namespace kvcache {
namespace {

using test::simulated_machine;

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

// NOLINTBEGIN(bugprone-random-generator-seed): every run of a property is repeatable by its number
std::uint64_t between(std::mt19937_64& random, std::uint64_t low, std::uint64_t high) {
  return low + random() % (high - low + 1);
}

simulated_machine some_machine(std::mt19937_64& random) {
  simulated_machine machine;
  machine.limit = between(random, 64, 16384) * mib;
  machine.others = between(random, 0, 30) * machine.limit / 100;
  return machine;
}

TEST(pressure_property, under_sustained_puts_use_settles_between_68_and_75_percent) {
  for (unsigned run = 0; run < 200; ++run) {
    std::mt19937_64 random(run);
    simulated_machine machine = some_machine(random);
    const std::uint64_t put_bytes = between(random, 1, 500) * machine.limit / 10000; // a tick
    for (int tick = 0; tick < 20000 && machine.use_percent() < 70; ++tick) machine.tick(put_bytes);
    for (int tick = 0; tick < 2000; ++tick) {
      machine.tick(put_bytes);
      ASSERT_GE(machine.use_percent(), 68) << run;
      ASSERT_LE(machine.use_percent(), 75) << run;
    }
    EXPECT_LE(machine.tier_changes, 2U) << run;
    EXPECT_EQ(machine.purges, 0U) << run;
  }
}

TEST(pressure_property, evicts_nothing_below_70_percent) {
  for (unsigned run = 0; run < 200; ++run) {
    std::mt19937_64 random(run);
    simulated_machine machine = some_machine(random);
    for (int tick = 0; tick < 500; ++tick) {
      const std::uint64_t evicted_before = machine.evicted_by_ticks;
      const bool may_evict = machine.effective_percent() > 70;
      const std::uint64_t evicted_by_puts_before = machine.evicted_by_puts;
      machine.tick(between(random, 0, 10) * mib);
      if (!may_evict) {
        ASSERT_EQ(machine.evicted_by_ticks, evicted_before) << run << ' ' << tick;
      }
      if (machine.effective_percent() < 70) {
        ASSERT_EQ(machine.evicted_by_puts, evicted_by_puts_before) << run << ' ' << tick;
      }
      machine.others = between(random, 0, 95) * machine.limit / 100;
    }
  }
}

TEST(pressure_property, eviction_by_ticks_stops_at_the_allowance_and_the_floor) {
  for (unsigned run = 0; run < 200; ++run) {
    std::mt19937_64 random(run);
    simulated_machine machine = some_machine(random);
    machine.content = machine.limit / 2;
    const std::uint64_t floor = floor_bytes(machine.limit, machine.options);
    for (int tick = 0; tick < 500; ++tick) {
      machine.others = std::min<std::uint64_t>(
          between(random, 0, 100) * machine.limit / 100,
          machine.limit > machine.held() ? machine.limit - machine.held() : 0);
      // Noise of ±3 % of the limit on what is read.
      const std::uint64_t noise = between(random, 0, 6) * machine.limit / 100;
      const std::uint64_t seen =
          machine.use() + noise - std::min(machine.use(), 3 * machine.limit / 100);
      const std::uint64_t before = machine.content;
      const std::uint64_t allowed =
          allowance_bytes({.used_bytes = seen, .limit_bytes = machine.limit, .source = "simulated"},
                          {.held = machine.held(), .content = before}, machine.options);
      machine.tick(seen, 0);
      ASSERT_GE(machine.content, floor) << run << ' ' << tick;
      ASSERT_GE(machine.content, std::min(before, allowed)) << run << ' ' << tick;
    }
  }
}

TEST(pressure_property, others_that_come_and_go_change_the_tier_once_each_way) {
  for (unsigned run = 0; run < 100; ++run) {
    std::mt19937_64 random(run);
    simulated_machine machine = some_machine(random);
    machine.others = machine.limit / 10;
    machine.content = machine.limit / 2;
    machine.tick(0);
    ASSERT_EQ(machine.last.tier, pressure_tier::normal);
    for (std::uint64_t tick = 0; tick < 300; ++tick) { // another process takes 30 %
      machine.others =
          machine.limit / 10 + machine.limit * 3 / 1000 * std::min<std::uint64_t>(tick, 100);
      machine.tick(0);
    }
    EXPECT_EQ(machine.last.tier, pressure_tier::pressure) << run;
    EXPECT_NEAR(machine.effective_percent(), 70, 1) << run;
    for (std::uint64_t tick = 0; tick < 300; ++tick) { // and gives it back
      machine.others = machine.limit / 10 +
                       machine.limit * 3 / 1000 * (100 - std::min<std::uint64_t>(tick, 100));
      machine.tick(0);
    }
    EXPECT_EQ(machine.last.tier, pressure_tier::normal) << run;
    EXPECT_EQ(machine.tier_changes, 2U) << run;
    EXPECT_NEAR(static_cast<double>(machine.content), 0.3 * static_cast<double>(machine.limit),
                0.02 * static_cast<double>(machine.limit))
        << run;
  }
}

TEST(pressure_property, noisy_readings_around_the_threshold_do_not_make_the_tier_oscillate) {
  std::mt19937_64 random(7);
  simulated_machine machine{.limit = 1024 * mib, .others = 100 * mib};
  machine.content = 616 * mib; // 70 % with the others
  for (int tick = 0; tick < 1000; ++tick) {
    const std::uint64_t wobble = between(random, 0, 16) * mib; // ±0.8 % of the limit
    machine.tick(machine.use() + wobble - 8 * mib, 0);
  }
  EXPECT_LE(machine.tier_changes, 2U);
  EXPECT_GE(machine.effective_percent(), 69);
}

TEST(pressure_property, a_spike_that_is_over_at_the_confirming_reading_causes_no_purge) {
  for (unsigned run = 0; run < 200; ++run) {
    std::mt19937_64 random(run);
    simulated_machine machine = some_machine(random);
    machine.others = machine.limit / 10;
    machine.content = machine.limit / 2;
    machine.tick(0);
    const std::uint64_t before = machine.content;
    const std::uint64_t spike = between(random, 95, 110) * machine.limit / 100;
    machine.tick(spike, machine.use(), 0);
    EXPECT_EQ(machine.purges, 0U) << run;
    EXPECT_GE(machine.content, before - machine.limit / 50) << run; // the share of one reading
    machine.tick(spike, spike, 0);
    EXPECT_EQ(machine.purges, 1U) << run;
  }
}

TEST(pressure_property, late_readings_neither_empty_the_cache_nor_let_use_grow_unbounded) {
  for (std::size_t delay_ticks = 1; delay_ticks <= 5; ++delay_ticks) {
    simulated_machine machine{.limit = 1024 * mib, .others = 50 * mib};
    std::deque<std::uint64_t> past(delay_ticks, 0);
    for (int tick = 0; tick < 3000; ++tick) {
      past.push_back(machine.use());
      machine.tick(past.front(), 2 * mib);
      past.pop_front();
      ASSERT_LT(machine.use_percent(), 95) << delay_ticks << ' ' << tick;
      if (tick > 1000) {
        ASSERT_GT(machine.effective_percent(), 60) << delay_ticks << ' ' << tick;
      }
    }
  }
}

TEST(pressure_property, a_lowered_limit_causes_one_purge_and_a_raised_one_none) {
  simulated_machine machine{.limit = 1024 * mib, .others = 50 * mib};
  machine.content = 600 * mib;
  machine.tick(0);
  machine.limit = 512 * mib;
  for (int tick = 0; tick < 100; ++tick) machine.tick(0);
  EXPECT_EQ(machine.purges, 1U);
  EXPECT_NEAR(machine.effective_percent(), 70, 1);
  EXPECT_LT(machine.use_percent(), 75);
  const std::uint64_t kept = machine.content;
  machine.limit = 1024 * mib;
  for (int tick = 0; tick < 100; ++tick) machine.tick(0);
  EXPECT_EQ(machine.content, kept);
  EXPECT_EQ(machine.last.tier, pressure_tier::normal);
  EXPECT_EQ(machine.purges, 1U);
}

// What is evicted within `seconds` with a reading every `interval_ms`, from E at `from_percent` on;
// with `pinned` others take whatever is evicted.
double evicted_in(unsigned seconds, unsigned interval_ms, unsigned from_percent, bool pinned) {
  constexpr std::uint64_t limit = 4096 * mib;
  const std::uint64_t use = limit / 100 * from_percent;
  std::uint64_t content = use / 10 * 9;
  std::uint64_t others = use - content;
  const std::uint64_t before = content;
  pressure_history history{.tier = pressure_tier::pressure};
  for (unsigned ms = 0; ms < seconds * 1000; ms += interval_ms) {
    const own_bytes own{.held = content, .content = content};
    const pressure_decision decided =
        decide({.used_bytes = others + content, .limit_bytes = limit, .source = "simulated"}, own,
               {}, history, std::uint64_t{1000} * interval_ms);
    content -= decided.evict_bytes;
    if (pinned) others += decided.evict_bytes;
    history = decided.history;
  }
  return static_cast<double>(before - content);
}

TEST(pressure_property, eviction_depends_on_time_and_not_on_the_number_of_readings) {
  for (const unsigned from_percent : {72U, 80U, 90U, 94U}) {
    for (const unsigned seconds : {1U, 3U}) {
      for (const bool pinned : {false, true}) {
        const double usual = evicted_in(seconds, 100, from_percent, pinned);
        EXPECT_GT(usual, 0);
        for (const unsigned interval_ms : {10U, 50U, 100U, 200U, 250U, 500U, 1000U}) {
          EXPECT_NEAR(evicted_in(seconds, interval_ms, from_percent, pinned), usual, usual * 0.2)
              << interval_ms << " ms at " << from_percent << " % for " << seconds << " s";
        }
      }
    }
  }
}

TEST(pressure_property, a_long_pause_between_readings_counts_as_a_second) {
  const memory_reading reading{
      .used_bytes = 940 * mib, .limit_bytes = 1000 * mib, .source = "simulated"};
  const own_bytes own{.held = 800 * mib, .content = 800 * mib};
  const auto evicted_after = [&](std::uint64_t elapsed_us) {
    return decide(reading, own, {}, {.tier = pressure_tier::pressure}, elapsed_us).evict_bytes;
  };
  EXPECT_EQ(evicted_after(3'600'000'000), evicted_after(1'000'000));
  EXPECT_LT(evicted_after(1'000'000), 200 * mib);
}

TEST(pressure_property, growth_of_others_faster_than_the_cache_shrinks_stops_at_the_floor) {
  simulated_machine machine{.limit = 1024 * mib, .others = 100 * mib};
  machine.content = 500 * mib;
  for (int tick = 0; tick < 2000; ++tick) {
    machine.others = std::min<std::uint64_t>(machine.others + 2 * mib, 1000 * mib);
    machine.tick(mib);
    ASSERT_GE(machine.content, floor_bytes(machine.limit, machine.options) * 9 / 10) << tick;
  }
  EXPECT_LE(machine.content, floor_bytes(machine.limit, machine.options) * 11 / 10);
}
// NOLINTEND(bugprone-random-generator-seed)

} // namespace
} // namespace kvcache
