#include "eviction/hit_density.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace kvcache {

namespace {

// What counts after a round of learning, of what counted before.
constexpr float kept_part = 0.99F;

// The assumption: `assumed_hits[uses] / (age + 1)` hits an epoch, as if seen on so many entries.
constexpr std::array<float, use_class_count> assumed_hits{.35F, .5F, .7F, .8F};
constexpr float assumed_entries = 30;

constexpr float ranks_per_doubling = 64;
constexpr float least_density = 1e-12F;

constexpr float width_of(unsigned bucket) noexcept {
  return static_cast<float>(least_age_of(bucket + 1) - least_age_of(bucket));
}

} // namespace

void hit_density::learn() noexcept {
  rate_all();
  const auto fade = [](by_use_and_age<float>& figures) {
    for (auto& of_class : figures) {
      for (float& figure : of_class) figure *= kept_part;
    }
  };
  fade(hits_);
  fade(exposure_);
}

void hit_density::rate_all() noexcept {
  for (unsigned uses = 0; uses < use_class_count; ++uses) {
    rate(uses);
    for (unsigned bucket = 0; uses > 0 && bucket < age_bucket_count; ++bucket) {
      ranks_[uses][bucket] = std::min(ranks_[uses][bucket], ranks_[uses - 1][bucket]);
    }
  }
}

void hit_density::rate(unsigned uses) noexcept {
  std::array<float, age_bucket_count> hit_chance{}; // while an entry passes through the bucket
  for (unsigned bucket = 0; bucket < age_bucket_count; ++bucket) {
    const float width = width_of(bucket);
    const float middle = static_cast<float>(least_age_of(bucket)) + width / 2;
    const float assumed = assumed_entries * assumed_hits[uses] * width / (middle + 1);
    const float rate =
        (hits_[uses][bucket] + assumed) / (exposure_[uses][bucket] + assumed_entries * width);
    hit_chance[bucket] = 1 - std::exp(-rate * width);
  }
  for (unsigned from = 0; from < age_bucket_count; ++from) {
    float survival = 1;
    float hits = 0;
    float epochs = 0;
    float best = least_density;
    for (unsigned bucket = from; bucket < age_bucket_count; ++bucket) {
      hits += survival * hit_chance[bucket];
      epochs += survival * width_of(bucket) * (1 - hit_chance[bucket] / 2);
      survival *= 1 - hit_chance[bucket];
      best = std::max(best, hits / epochs);
    }
    const int rank = static_cast<int>(-ranks_per_doubling * std::log2(best));
    ranks_[uses][from] = from == 0 ? rank : std::max(rank, ranks_[uses][from - 1] + 1);
  }
}

} // namespace kvcache
