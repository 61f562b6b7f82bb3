#include "eviction/age_sample.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "eviction/store_fixture.hpp"

namespace kvcache {
namespace {

using namespace test;

// So many entries, each an epoch older than the next.
void put_by_age(store& entries, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    put_number(entries, i);
    entries.advance_epoch();
  }
}

TEST(entry_sampler, visits_every_entry_of_a_small_cache) {
  store entries(repeatable_options());
  put_by_age(entries, 640);
  entry_sampler sampler;
  sampler.begin(entries, 1024);
  std::vector<unsigned> visits(641);
  const auto visit = [&](walked_entry& e) { ++visits[e.meta().age(entries.current_epoch())]; };
  int steps = 1;
  while (!sampler.gather(entries, 64, visit)) ASSERT_LE(++steps, 40);
  for (epoch age = 1; age <= 640; ++age) EXPECT_GE(visits[age], 1U) << age;
}

TEST(entry_sampler, gathers_in_steps_of_the_requested_size) {
  store entries(repeatable_options());
  put_by_age(entries, 5000);
  entry_sampler sampler;
  sampler.begin(entries, 1024);
  std::size_t visits = 0;
  const auto visit = [&](walked_entry&) { ++visits; };
  for (int step = 1; step < 16; ++step) EXPECT_FALSE(sampler.gather(entries, 64, visit)) << step;
  EXPECT_TRUE(sampler.gather(entries, 64, visit));
  EXPECT_GT(visits, 256U); // a position may hold no entry
}

TEST(entry_sampler, ends_in_a_store_that_became_sparse) {
  store entries(repeatable_options());
  put_by_age(entries, 20'000);
  for (std::size_t i = 0; i < 20'000; ++i)
    if (i % 1000 != 0) entries.erase(key_of(i));
  entry_sampler sampler;
  sampler.begin(entries, 2048);
  std::size_t visits = 0;
  int steps = 1;
  while (!sampler.gather(entries, 64, [&](walked_entry&) { ++visits; })) ASSERT_LE(++steps, 64);
  EXPECT_GT(visits, 0U);
}

TEST(entry_sampler, of_an_empty_cache_visits_none_and_ends) {
  store entries(repeatable_options());
  entry_sampler sampler;
  sampler.begin(entries, 64);
  EXPECT_TRUE(sampler.gather(entries, 4096, [](walked_entry&) { FAIL(); }));
}

TEST(age_sample, estimates_the_age_that_all_but_the_youngest_third_have) {
  store entries(repeatable_options());
  constexpr std::size_t count = 20'000;
  put_by_age(entries, count);
  age_sample sample;
  sample.take(entries);
  EXPECT_NEAR(sample.age_beyond_youngest(3), count / 3, count / 12);
  EXPECT_GT(sample.oldest(), count * 9 / 10);
}

TEST(age_sample, of_an_empty_cache_reports_age_zero) {
  store entries(repeatable_options());
  age_sample sample;
  sample.take(entries);
  EXPECT_EQ(sample.age_beyond_youngest(3), 0U);
  EXPECT_EQ(sample.oldest(), 0U);
}

} // namespace
} // namespace kvcache
