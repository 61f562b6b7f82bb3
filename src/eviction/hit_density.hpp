// How much longer entries are worth keeping, by their uses and age: the hits that one more epoch of
// such an entry can be expected to bring, if it is kept for as long as that pays best.
//
// Learned from hits (at which ages entries are used again) and exposure (how long entries of each
// age were there to be used). Their quotient is the hit rate of an age. It is not learned from the
// entries in the cache alone: ghosts tell about ages beyond eviction. Where little has been seen,
// an assumption fills in: the rate falls with the inverse of the age, and rises with the uses.
//
// Source: hit density is Beckmann, Chen and Cidon, "LHD: improving cache hit rate by maximizing hit
// density", NSDI 2018; the best time to stop is Gittins, "Bandit processes and dynamic allocation
// indices", 1979.
//
// Thread-safety: none; its owner guards it.
#pragma once

#include "cache/reuse_counts.hpp"

namespace kvcache {

class hit_density {
public:
  // What was learned from, for another instance to begin with. Finite, and not negative.
  struct experience {
    by_use_and_age<float> hits{};
    by_use_and_age<float> exposure{};
  };

  hit_density() noexcept { rate_all(); }

  experience so_far() const noexcept;
  void adopt(const experience& earlier) noexcept; // instead of its own

  void add_hits(unsigned uses, unsigned age_bucket, double hits) noexcept {
    hits_[uses][age_bucket] += hits;
  }
  // In entries times epochs.
  void add_exposure(unsigned uses, unsigned age_bucket, double exposure) noexcept {
    exposure_[uses][age_bucket] += exposure;
  }

  // Follows what has been added, and lets what is older fade. Some 20 us.
  void learn() noexcept;

  // The lower, the more worth keeping: -64 times the binary logarithm of the density. Does not fall
  // with age, so that the oldest of a class is evicted first.
  int rank(unsigned uses, unsigned age_bucket) const noexcept { return ranks_[uses][age_bucket]; }

private:
  void rate_all() noexcept;
  void rate(unsigned uses) noexcept;

  by_use_and_age<double> hits_{};
  by_use_and_age<double> exposure_{};
  by_use_and_age<int> ranks_{};
};

} // namespace kvcache
