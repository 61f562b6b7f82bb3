#include "metrics/registry.hpp"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace kvcache::observe {
namespace {

using namespace std::chrono_literals;

TEST(registry, has_a_block_for_each_worker_and_at_least_one) {
  EXPECT_EQ(registry{3}.worker_count(), 3U);
  EXPECT_EQ(registry{0}.worker_count(), 1U);
}

TEST(registry, sums_all_workers) {
  registry counters{3};
  counters.worker(0).add(event::put_inserted, 1);
  counters.worker(1).add(event::put_inserted, 10);
  counters.worker(2).add(event::put_inserted, 100);
  counters.worker(2).put_latency().record(77);
  const counters_report report = counters.report(1s);
  EXPECT_EQ(report.since_start.of(event::put_inserted), 111U);
  EXPECT_EQ(report.since_start.put_latency.max_ns(), 77U);
  EXPECT_EQ(report.uptime, 1s);
}

TEST(registry, reports_its_whole_life_as_the_last_minute_while_younger_than_that) {
  registry counters{1};
  counters.worker(0).add(event::put_inserted, 7);
  for (auto now = 0s; now <= 40s; now += 1s) counters.tick(now);
  const counters_report report = counters.report(42s);
  EXPECT_EQ(report.window, 42s);
  EXPECT_EQ(report.last_minute.of(event::put_inserted), 7U);
}

TEST(registry, excludes_counts_older_than_the_window) {
  registry counters{1};
  counters.worker(0).add(event::put_replaced, 1'000);
  counters.tick(5s);
  for (auto now = 6s; now <= 10min; now += 1s) {
    counters.worker(0).add(event::put_inserted);
    counters.tick(now);
  }
  const counters_report report = counters.report(10min);
  EXPECT_EQ(report.since_start.of(event::put_replaced), 1'000U);
  EXPECT_EQ(report.last_minute.of(event::put_replaced), 0U);
  EXPECT_EQ(report.window, 60s);
  EXPECT_EQ(report.last_minute.of(event::put_inserted), 60U);
}

TEST(registry, keeps_the_window_between_60_and_65_seconds) {
  registry counters{1};
  for (auto now = 0ms; now <= 5min; now += 100ms) {
    counters.tick(now);
    if (now < 60s) continue;
    const counters_report report = counters.report(now);
    ASSERT_GE(report.window, 60s) << now.count();
    ASSERT_LT(report.window, 65s) << now.count();
  }
}

TEST(registry, reports_the_length_of_the_window_after_missed_ticks) {
  registry counters{1};
  counters.tick(5s);
  counters.worker(0).add(event::put_inserted, 3);
  const counters_report report = counters.report(1h);
  EXPECT_EQ(report.window, 1h - 5s);
  EXPECT_EQ(report.last_minute.of(event::put_inserted), 3U);
}

TEST(registry, ignores_a_tick_that_is_too_early_or_in_the_past) {
  registry counters{1};
  counters.tick(100s);
  counters.worker(0).add(event::put_inserted);
  counters.tick(104s); // would move the start of the window after the hit
  counters.tick(3s);
  EXPECT_EQ(counters.report(161s).window, 61s);
  EXPECT_EQ(counters.report(161s).last_minute.of(event::put_inserted), 1U);
}

// Under ThreadSanitizer this proves that tick() and report() need no lock of a worker.
TEST(registry, can_report_while_workers_count_and_another_thread_ticks) {
  constexpr std::size_t workers = 3;
  constexpr std::uint64_t rounds = 50'000;
  registry counters{workers};
  std::atomic<std::size_t> done{0};

  std::vector<std::thread> threads;
  for (std::size_t w = 0; w < workers; ++w)
    threads.emplace_back([&counters, &done, w] {
      for (std::uint64_t i = 0; i < rounds; ++i) {
        counters.worker(w).add(event::put_inserted);
        counters.worker(w).get_latency().record(i);
      }
      done.fetch_add(1);
    });
  threads.emplace_back([&counters, &done] {
    for (auto now = 0s; done.load() < workers; now += 5s) counters.tick(now);
  });

  std::uint64_t previous = 0;
  while (done.load() < workers) {
    const counters_report report = counters.report(1h);
    ASSERT_GE(report.since_start.of(event::put_inserted), previous);
    ASSERT_LE(report.last_minute.of(event::put_inserted),
              report.since_start.of(event::put_inserted));
    previous = report.since_start.of(event::put_inserted);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counters.totals().of(event::put_inserted), workers * rounds);
}

} // namespace
} // namespace kvcache::observe
