#include "eviction/hit_density.hpp"

#include <gtest/gtest.h>

namespace kvcache {
namespace {

constexpr double entries = 10'000;

// A round of learning from `entries` entries in each age bucket of each class, of which so many
// were used again.
template <class HitsAt>
void learn(hit_density& density, HitsAt hits_at) {
  for (unsigned uses = 0; uses < use_class_count; ++uses) {
    for (unsigned bucket = 0; bucket < age_bucket_count; ++bucket) {
      const auto width = static_cast<double>(least_age_of(bucket + 1) - least_age_of(bucket));
      density.add_exposure(uses, bucket, entries * width);
      density.add_hits(uses, bucket, hits_at(uses, bucket) * width);
    }
  }
  density.learn();
}

void expect_order(const hit_density& density) {
  for (unsigned uses = 0; uses < use_class_count; ++uses) {
    for (unsigned bucket = 1; bucket < age_bucket_count; ++bucket) {
      EXPECT_GE(density.rank(uses, bucket), density.rank(uses, bucket - 1)) << uses << bucket;
    }
  }
}

TEST(hit_density, prefers_the_younger_of_entries_that_are_never_used_again) {
  hit_density density;
  for (int round = 0; round < 500; ++round) learn(density, [](unsigned, unsigned) { return 0.0; });
  for (unsigned bucket = 1; bucket < age_bucket_count; ++bucket) {
    EXPECT_GT(density.rank(0, bucket), density.rank(0, bucket - 1)) << bucket;
  }
}

TEST(hit_density, prefers_young_and_used_entries_before_it_has_seen_any_hit) {
  const hit_density density;
  expect_order(density);
  // Old, but used three times: worth more than a new one of the same age that never was.
  EXPECT_LT(density.rank(3, 10), density.rank(0, 10));
}

TEST(hit_density, learns_how_much_longer_used_entries_are_worth_keeping) {
  hit_density density;
  for (int round = 0; round < 50; ++round) {
    learn(density, [](unsigned uses, unsigned) { return uses == 0 ? 1.0 : 400.0; });
  }
  expect_order(density);
  // Entries without uses are hit so seldom that even the oldest used ones are worth more.
  EXPECT_LT(density.rank(1, age_bucket_count - 1), density.rank(0, 4));
}

TEST(hit_density, rates_classes_alike_where_uses_predict_nothing) {
  hit_density density;
  for (int round = 0; round < 50; ++round) {
    learn(density, [](unsigned, unsigned bucket) { return bucket < 8 ? 2000.0 : 10.0; });
  }
  expect_order(density);
  for (unsigned bucket = 0; bucket < 8; ++bucket) {
    EXPECT_NEAR(density.rank(0, bucket), density.rank(3, bucket), 16) << bucket; // a quarter octave
  }
}

TEST(hit_density, keeps_the_order_of_ages_where_old_entries_are_hit_more_than_young_ones) {
  hit_density density;
  for (int round = 0; round < 50; ++round) { // a loop over more keys than fit
    learn(density,
          [](unsigned uses, unsigned bucket) { return uses == 0 && bucket == 12 ? 5000.0 : 0.0; });
  }
  expect_order(density);
}

TEST(hit_density, forgets_what_no_longer_holds) {
  hit_density density;
  const auto used_are_hit = [](unsigned uses, unsigned) { return uses == 0 ? 1.0 : 400.0; };
  const auto all_are_hit = [](unsigned, unsigned) { return 400.0; };
  for (int round = 0; round < 50; ++round) learn(density, used_are_hit);
  const int gap = density.rank(0, 6) - density.rank(1, 6);
  for (int round = 0; round < 400; ++round) learn(density, all_are_hit);
  EXPECT_LT(density.rank(0, 6) - density.rank(1, 6), gap / 10);
}

} // namespace
} // namespace kvcache
