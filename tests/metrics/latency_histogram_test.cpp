#include "metrics/latency_histogram.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace kvcache::observe {
namespace {

latency_snapshot snapshot_of(const latency_histogram& histogram) {
  latency_snapshot snapshot;
  histogram.add_to(snapshot);
  return snapshot;
}

TEST(latency_buckets, cover_every_value_once_and_in_order) {
  std::uint64_t next = 0;
  for (std::size_t i = 0; i < latency_buckets::count; ++i) {
    ASSERT_EQ(latency_buckets::lowest_ns(i), next) << "bucket " << i;
    ASSERT_GE(latency_buckets::highest_ns(i), next);
    next = latency_buckets::highest_ns(i) + 1;
  }
  EXPECT_EQ(next, latency_buckets::max_value_ns + 1);
}

TEST(latency_buckets, map_both_ends_of_each_bucket_to_it) {
  for (std::size_t i = 0; i < latency_buckets::count; ++i) {
    ASSERT_EQ(latency_buckets::index_of(latency_buckets::lowest_ns(i)), i);
    ASSERT_EQ(latency_buckets::index_of(latency_buckets::highest_ns(i)), i);
  }
}

TEST(latency_buckets, are_at_most_a_sixteenth_of_their_values_wide) {
  for (std::size_t i = 1; i < latency_buckets::count; ++i) { // the first holds 0 and 1
    const std::uint64_t lowest = latency_buckets::lowest_ns(i);
    const std::uint64_t excess = latency_buckets::highest_ns(i) - lowest;
    ASSERT_LE(excess * 16, lowest) << "bucket " << i;
  }
}

TEST(latency_buckets, count_values_beyond_the_range_in_the_last_bucket) {
  constexpr std::size_t last = latency_buckets::count - 1;
  EXPECT_EQ(latency_buckets::index_of(latency_buckets::max_value_ns), last);
  EXPECT_EQ(latency_buckets::index_of(latency_buckets::max_value_ns + 1), last);
  EXPECT_EQ(latency_buckets::index_of(std::numeric_limits<std::uint64_t>::max()), last);
}

TEST(latency_histogram, is_a_few_kilobytes) { EXPECT_LE(sizeof(latency_histogram), 4400U); }

TEST(latency_histogram, contains_only_zeros_while_empty) {
  const latency_snapshot empty = snapshot_of(latency_histogram{});
  EXPECT_EQ(empty.count(), 0U);
  EXPECT_EQ(empty.sum_ns(), 0U);
  EXPECT_EQ(empty.max_ns(), 0U);
  EXPECT_EQ(empty.quantile_ns(0.5), 0U);
  EXPECT_EQ(empty.quantile_ns(1.0), 0U);
  EXPECT_EQ(empty.count_up_to(1 << 20), 0U);
}

TEST(latency_histogram, reports_quantiles_never_below_and_at_most_a_sixteenth_above_the_true_ones) {
  latency_histogram histogram;
  std::vector<std::uint64_t> sorted;
  std::uint64_t value = 900;
  for (int i = 0; i < 10'000; ++i) {
    sorted.push_back(value);
    histogram.record(value);
    value += 1 + value / 700; // from 0.9 µs to about 1.5 s, densest below
  }
  const latency_snapshot snapshot = snapshot_of(histogram);
  for (const double quantile : {0.0001, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999}) {
    const auto rank = static_cast<std::size_t>(std::lround(quantile * 10'000));
    const std::uint64_t truth = sorted[rank - 1];
    EXPECT_GE(snapshot.quantile_ns(quantile), truth) << quantile;
    EXPECT_LE(snapshot.quantile_ns(quantile), truth + truth / 16) << quantile;
  }
  EXPECT_EQ(snapshot.quantile_ns(1.0), sorted.back());
  EXPECT_EQ(snapshot.max_ns(), sorted.back());
}

TEST(latency_histogram, clamps_quantiles_to_zero_and_one) {
  latency_histogram histogram;
  histogram.record(5);
  histogram.record(7);
  const latency_snapshot snapshot = snapshot_of(histogram);
  EXPECT_EQ(snapshot.quantile_ns(-1.0), 5U);
  EXPECT_EQ(snapshot.quantile_ns(0.0), 5U);
  EXPECT_EQ(snapshot.quantile_ns(2.0), 7U);
}

TEST(latency_histogram, never_reports_a_quantile_above_the_maximum) {
  latency_histogram histogram;
  histogram.record_n(1'000'001, 100);
  EXPECT_EQ(snapshot_of(histogram).quantile_ns(0.5), 1'000'001U);
}

TEST(latency_histogram, counts_n_values_like_n_single_ones) {
  latency_histogram batch;
  latency_histogram singles;
  batch.record_n(12'345, 16);
  for (int i = 0; i < 16; ++i) singles.record(12'345);
  EXPECT_EQ(snapshot_of(batch).count(), 16U);
  EXPECT_EQ(snapshot_of(batch).sum_ns(), snapshot_of(singles).sum_ns());
  EXPECT_EQ(snapshot_of(batch).max_ns(), snapshot_of(singles).max_ns());
  EXPECT_EQ(snapshot_of(batch).count_up_to(1 << 14), snapshot_of(singles).count_up_to(1 << 14));
}

TEST(latency_histogram, keeps_the_exact_maximum_of_a_value_beyond_its_range) {
  latency_histogram histogram;
  histogram.record(latency_buckets::max_value_ns * 4);
  EXPECT_EQ(snapshot_of(histogram).max_ns(), latency_buckets::max_value_ns * 4);
  EXPECT_EQ(snapshot_of(histogram).quantile_ns(0.99), latency_buckets::max_value_ns * 4);
}

TEST(latency_snapshot, counts_a_value_at_the_bound_and_none_above_it) {
  latency_histogram histogram;
  histogram.record(0);
  histogram.record(1023);
  histogram.record(1024);
  histogram.record(1025);
  const latency_snapshot snapshot = snapshot_of(histogram);
  EXPECT_EQ(snapshot.count_up_to(1), 1U);
  EXPECT_EQ(snapshot.count_up_to(1024), 3U);
  EXPECT_EQ(snapshot.count_up_to(2048), 4U);
}

TEST(latency_snapshot, sums_histograms) {
  latency_histogram one;
  latency_histogram two;
  one.record_n(100, 3);
  two.record_n(9'000, 1);
  latency_snapshot sum = snapshot_of(one);
  sum += snapshot_of(two);
  EXPECT_EQ(sum.count(), 4U);
  EXPECT_EQ(sum.sum_ns(), 9'300U);
  EXPECT_EQ(sum.max_ns(), 9'000U);
  EXPECT_EQ(sum.quantile_ns(0.75), 100U); // the end of the bucket 97…100
}

TEST(latency_snapshot, contains_the_values_after_an_earlier_snapshot) {
  latency_histogram histogram;
  histogram.record_n(1'000'000, 5);
  const latency_snapshot earlier = snapshot_of(histogram);
  histogram.record_n(1'000, 10);
  const latency_snapshot between = snapshot_of(histogram).since(earlier);
  EXPECT_EQ(between.count(), 10U);
  EXPECT_EQ(between.sum_ns(), 10'000U);
  EXPECT_GE(between.max_ns(), 1'000U); // the end of its bucket: the older maximum hides it
  EXPECT_LE(between.max_ns(), 1'024U);
  EXPECT_LE(between.quantile_ns(0.99), 1'024U);
}

TEST(latency_snapshot, contains_a_new_maximum_exactly) {
  latency_histogram histogram;
  histogram.record(1'000);
  const latency_snapshot earlier = snapshot_of(histogram);
  histogram.record(5'000'003);
  EXPECT_EQ(snapshot_of(histogram).since(earlier).max_ns(), 5'000'003U);
}

TEST(latency_snapshot, has_no_maximum_for_a_time_without_values) {
  latency_histogram histogram;
  histogram.record(1'000);
  const latency_snapshot now = snapshot_of(histogram);
  EXPECT_EQ(now.since(now).max_ns(), 0U);
  EXPECT_EQ(now.since(now).quantile_ns(0.5), 0U);
}

} // namespace
} // namespace kvcache::observe
