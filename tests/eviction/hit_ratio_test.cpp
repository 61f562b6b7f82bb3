// Which entries go matters: replays against the exact policies.
#include "eviction/lru.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "eviction/reference_policies.hpp"
#include "eviction/replay.hpp"
#include "eviction/workloads.hpp"

namespace kvcache {
namespace {

using namespace test;

constexpr double tolerance_points = 0.3;
constexpr double lru_tolerance_points = 0.5;

const std::vector<key_id>& shifting_zipf() {
  static const auto sequence = zipf_with_shifts(20'000, 0.9, 120'000, 20'000);
  return sequence;
}

double median(std::array<double, 5> values) {
  std::nth_element(values.begin(), values.begin() + 2, values.end());
  return values[2];
}

// Exact LRU is the bound where it is at its best, and where it is at its worst.
struct workload {
  const char* name;
  std::vector<key_id> (*make)(unsigned seed);
};
class workloads : public testing::TestWithParam<workload> {};

TEST_P(workloads, the_lru_tier_is_never_much_worse_than_exact_lru) {
  std::array<std::vector<key_id>, 5> sequences;
  for (unsigned seed = 0; seed < sequences.size(); ++seed) sequences[seed] = GetParam().make(seed);
  for (const std::size_t percent : {1U, 10U, 30U}) {
    std::array<double, 5> gain{};
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      const std::size_t entries = count_unique(sequences[i]) * percent / 100;
      const double exact = simulate(list_policy(entries, list_policy::order::lru), sequences[i]);
      gain[i] = replay_lru(entries, sequences[i]) - exact;
    }
    EXPECT_GE(median(gain), -lru_tolerance_points) << percent << " %";
  }
}

std::vector<key_id> steady_zipf(unsigned seed) {
  return zipf_with_shifts(20'000, 0.8, 120'000, 120'000, seed);
}
INSTANTIATE_TEST_SUITE_P(
    hit_ratio, workloads,
    testing::Values(
        workload{"zipf", steady_zipf},
        workload{
            "shifting_zipf",
            [](unsigned seed) { return zipf_with_shifts(20'000, 0.9, 120'000, 20'000, seed); }},
        workload{"fast_shifting_zipf",
                 [](unsigned seed) { return zipf_with_shifts(20'000, 0.9, 120'000, 3000, seed); }},
        workload{"scans",
                 [](unsigned seed) {
                   return zipf_with_scans(20'000, 0.9, 120'000, 10'000, 4000, seed);
                 }},
        workload{"sessions", [](unsigned seed) { return sessions(2000, 4, 120'000, seed); }},
        workload{"sessions_and_zipf",
                 [](unsigned seed) {
                   return interleaved(sessions(500, 4, 60'000, seed),
                                      zipf_with_shifts(10'000, 0.9, 60'000, 10'000, seed));
                 }},
        workload{"loop_and_zipf",
                 [](unsigned seed) { return interleaved(loop(5000, 60'000), steady_zipf(seed)); }},
        workload{"loop", [](unsigned) { return loop(5000, 60'000); }}),
    [](const testing::TestParamInfo<workload>& w) { return std::string(w.param.name); });

TEST(hit_ratio, the_lru_tier_keeps_what_is_used_often_better_than_exact_lru) {
  for (const std::size_t entries : {200U, 2000U, 6000U}) {
    const std::vector<key_id> sequence = steady_zipf(1);
    const double exact = simulate(list_policy(entries, list_policy::order::lru), sequence);
    EXPECT_GE(replay_lru(entries, sequence), exact + 2) << entries;
  }
}

TEST(hit_ratio, the_limit_of_entries_is_as_good_as_two_bit_clock_and_better_than_fifo) {
  for (const std::size_t entries : {600U, 6000U}) {
    const double clock = simulate(clock_policy(entries, 3), shifting_zipf());
    const double fifo = simulate(list_policy(entries, list_policy::order::fifo), shifting_zipf());
    const double ours = replay_clock(entries, shifting_zipf());
    EXPECT_GE(ours, clock - tolerance_points) << entries;
    EXPECT_GT(ours, fifo) << entries;
  }
}

TEST(hit_ratio, a_long_run_of_hits_still_orders_accesses) {
  // Fill, touch the first half, then the second, with no PUT between: the first half is the older.
  constexpr std::size_t entries_max = 2000;
  store entries(replay_options(0));
  entries.set_epoch_accesses(epoch_accesses_for(entries_max));
  const auto access = [&](key_id id) {
    return entries.get(key_text(id).view(), [](std::string_view) {});
  };
  for (key_id id = 0; id < entries_max; ++id) entries.put(key_text(id).view(), "value", never);
  for (key_id id = 0; id < entries_max; ++id) access(id);
  lru oldest(entries, 1);
  for (std::size_t i = 0; i < entries_max / 2; ++i) oldest.evict_one(eviction_cause::lru);
  std::size_t late = 0;
  for (key_id id = entries_max / 2; id < entries_max; ++id) late += access(id) ? 1 : 0;
  EXPECT_GE(late, entries_max / 2 * 96 / 100);
}

} // namespace
} // namespace kvcache
