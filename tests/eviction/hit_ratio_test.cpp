// Which entries go matters: replays against the exact policies.
#include "eviction/lru.hpp"

#include <gtest/gtest.h>

#include "eviction/reference_policies.hpp"
#include "eviction/replay.hpp"
#include "eviction/workloads.hpp"

namespace kvcache {
namespace {

using namespace test;

constexpr double tolerance_points = 0.3;

const std::vector<key_id>& shifting_zipf() {
  static const auto sequence = zipf_with_shifts(20'000, 0.9, 120'000, 20'000);
  return sequence;
}

TEST(hit_ratio, the_lru_tier_is_as_good_as_exact_lru) {
  for (const std::size_t entries : {600U, 6000U}) {
    const double exact = simulate(list_policy(entries, list_policy::order::lru), shifting_zipf());
    EXPECT_GE(replay_lru(entries, shifting_zipf()), exact - tolerance_points) << entries;
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
