#include "server/fair_coin.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

namespace kvcache::http {
namespace {

constexpr int tosses = 100'000;
constexpr int five_deviations = 800; // the standard deviation of so many tosses is 158

std::vector<bool> tossed(std::uint64_t seed, int times) {
  fair_coin coin{seed};
  std::vector<bool> all;
  for (int i = 0; i < times; ++i) all.push_back(coin.toss());
  return all;
}

TEST(fair_coin, is_fair_for_traffic_of_every_period) {
  for (const std::uint64_t seed : {0U, 1U, 2U, 63U})
    for (const int period : {1, 2, 3, 4, 5, 8, 64}) {
      fair_coin coin{seed};
      std::vector<int> heads(static_cast<std::size_t>(period), 0);
      for (int i = 0; i < tosses * period; ++i)
        heads[static_cast<std::size_t>(i % period)] += coin.toss() ? 1 : 0;
      for (const int each : heads) EXPECT_NEAR(each, tosses / 2, five_deviations) << period;
    }
}

TEST(fair_coin, does_not_depend_on_its_last_toss) {
  const std::vector<bool> all = tossed(1, tosses);
  int changes = 0;
  for (std::size_t i = 1; i < all.size(); ++i) changes += all[i] != all[i - 1] ? 1 : 0;
  EXPECT_NEAR(changes, tosses / 2, five_deviations);
}

TEST(fair_coin, repeats_with_its_seed_and_differs_with_another) {
  constexpr int some = 64;
  EXPECT_EQ(tossed(7, some), tossed(7, some));
  for (std::uint64_t seed = 0; seed < 16; ++seed)
    EXPECT_NE(tossed(seed, some), tossed(seed + 1, some)) << seed;
}

TEST(fair_coin, accepts_every_seed) {
  constexpr std::uint64_t last = std::numeric_limits<std::uint64_t>::max();
  for (const std::uint64_t seed : {std::uint64_t{0}, last - 1, last}) {
    const std::vector<bool> some = tossed(seed, 64);
    EXPECT_NE(some, std::vector<bool>(64, some.front())) << seed;
  }
}

} // namespace
} // namespace kvcache::http
