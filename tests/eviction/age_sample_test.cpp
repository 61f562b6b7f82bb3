#include "eviction/age_sample.hpp"

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

TEST(age_sample, of_a_small_cache_contains_every_entry) {
  store entries(repeatable_options());
  put_by_age(entries, 640);
  age_sample sample;
  sample.begin(entries, age_sample::most_entries);
  EXPECT_TRUE(sample.gather(entries, 640 + 640));
  EXPECT_EQ(sample.age_of_oldest(32), 640U - 640 / 32 + 1);
}

TEST(age_sample, is_gathered_in_steps_of_the_requested_size) {
  store entries(repeatable_options());
  put_by_age(entries, 5000);
  age_sample sample;
  sample.begin(entries, 1024);
  for (int step = 1; step < 16; ++step) EXPECT_FALSE(sample.gather(entries, 64)) << step;
  EXPECT_TRUE(sample.gather(entries, 64));
}

TEST(age_sample, estimates_the_age_of_the_oldest_in_a_large_cache) {
  store entries(repeatable_options());
  constexpr std::size_t count = 20'000;
  put_by_age(entries, count);
  age_sample sample;
  sample.begin(entries, age_sample::most_entries);
  EXPECT_TRUE(sample.gather(entries, age_sample::most_entries));
  const epoch wanted = count - count / 32;
  EXPECT_NEAR(sample.age_of_oldest(32), wanted, count / 64);
}

TEST(age_sample, ends_in_a_store_that_became_sparse) {
  store entries(repeatable_options());
  put_by_age(entries, 20'000);
  for (std::size_t i = 0; i < 20'000; ++i)
    if (i % 1000 != 0) entries.erase(key_of(i));
  age_sample sample;
  sample.begin(entries, age_sample::most_entries);
  int steps = 1;
  while (!sample.gather(entries, 64)) ASSERT_LE(++steps, 64);
  EXPECT_GT(sample.age_of_oldest(32), 0U);
}

TEST(age_sample, of_an_empty_cache_reports_age_zero) {
  store entries(repeatable_options());
  age_sample sample;
  sample.begin(entries, 64);
  EXPECT_TRUE(sample.gather(entries, 4096));
  EXPECT_EQ(sample.age_of_oldest(32), 0U);
}

} // namespace
} // namespace kvcache
