#include "eviction/hit_density.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace kvcache {

namespace {

// What counts after a round of learning, of what counted before.
constexpr double kept_part = 0.99;

// The assumption, as if seen on so many entries: in their first epochs `assumed_hits[uses] / (age +
// 1)` hits an epoch, and later, by the same rule, what follows from the bucket before.
constexpr std::array<double, use_class_count> assumed_hits{.35, .5, .7, .8};
constexpr double assumed_entries = 30;

constexpr double ranks_per_doubling = 64;

// Hits an epoch below which a density counts as none. Ghosts that are mistaken for others (16 /
// 2^14 for each new key, of which there are at most 1/24 of the entries in an epoch) amount to a
// third.
constexpr double negligible_density = 1.0 / 8192;
constexpr int rank_of_negligible = 13 * static_cast<int>(ranks_per_doubling);

constexpr double width_of(unsigned bucket) noexcept {
  return static_cast<double>(least_age_of(bucket + 1) - least_age_of(bucket));
}

} // namespace

hit_density::experience hit_density::so_far() const noexcept {
  experience made;
  for (unsigned uses = 0; uses < use_class_count; ++uses) {
    for (unsigned bucket = 0; bucket < age_bucket_count; ++bucket) {
      made.hits[uses][bucket] = static_cast<float>(hits_[uses][bucket]);
      made.exposure[uses][bucket] = static_cast<float>(exposure_[uses][bucket]);
    }
  }
  return made;
}

void hit_density::adopt(const experience& earlier) noexcept {
  for (unsigned uses = 0; uses < use_class_count; ++uses) {
    for (unsigned bucket = 0; bucket < age_bucket_count; ++bucket) {
      hits_[uses][bucket] = earlier.hits[uses][bucket];
      exposure_[uses][bucket] = earlier.exposure[uses][bucket];
    }
  }
  rate_all();
}

void hit_density::learn() noexcept {
  rate_all();
  const auto fade = [](by_use_and_age<double>& figures) {
    for (auto& of_class : figures) {
      for (double& figure : of_class) figure *= kept_part;
    }
  };
  fade(hits_);
  fade(exposure_);
}

void hit_density::rate_all() noexcept {
  for (unsigned uses = 0; uses < use_class_count; ++uses) rate(uses);
}

void hit_density::rate(unsigned uses) noexcept {
  std::array<double, age_bucket_count> hit_chance{}; // while an entry passes through the bucket
  double hits_over_life = assumed_hits[uses];        // the rate times the age
  for (unsigned bucket = 0; bucket < age_bucket_count; ++bucket) {
    const double width = width_of(bucket);
    const double age = static_cast<double>(least_age_of(bucket)) + width / 2 + 1;
    const double assumed_rate = hits_over_life / age;
    const double rate = (hits_[uses][bucket] + assumed_entries * width * assumed_rate) /
                        (exposure_[uses][bucket] + assumed_entries * width);
    hit_chance[bucket] = -std::expm1(-rate * width);
    hits_over_life = rate * age;
  }
  for (unsigned from = 0; from < age_bucket_count; ++from) {
    double survival = 1;
    double hits = 0;
    double epochs = 0;
    double best = 0;
    for (unsigned bucket = from; bucket < age_bucket_count; ++bucket) {
      hits += survival * hit_chance[bucket];
      epochs += survival * width_of(bucket) * (1 - hit_chance[bucket] / 2);
      survival *= 1 - hit_chance[bucket];
      best = std::max(best, hits / epochs);
    }
    const int rank = best > negligible_density
                         ? static_cast<int>(-ranks_per_doubling * std::log2(best))
                         : rank_of_negligible + static_cast<int>(from);
    ranks_[uses][from] = from == 0 ? rank : std::max(rank, ranks_[uses][from - 1]);
  }
}

} // namespace kvcache
