// Sequences of keys that stand for how caches are used. Repeatable: the same arguments give the
// same sequence.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "eviction/reference_policies.hpp"

namespace kvcache::test {

// Keys 0 … keys−1 with popularity ∝ 1 / rank^skew; after each `accesses_per_shift` accesses the
// most popular tenth makes place for others, as news of the day do.
inline std::vector<key_id> zipf_with_shifts(std::size_t keys, double skew, std::size_t accesses,
                                            std::size_t accesses_per_shift) {
  std::vector<double> cumulative(keys);
  double sum = 0;
  for (std::size_t rank = 0; rank < keys; ++rank) {
    sum += 1.0 / std::pow(static_cast<double>(rank + 1), skew);
    cumulative[rank] = sum;
  }
  std::mt19937_64 random(20); // NOLINT(bugprone-random-generator-seed): repeatable on purpose
  std::uniform_real_distribution<double> anywhere(0.0, sum);
  std::vector<key_id> sequence(accesses);
  for (std::size_t i = 0; i < accesses; ++i) {
    const auto rank = static_cast<std::size_t>(
        std::lower_bound(cumulative.begin(), cumulative.end(), anywhere(random)) -
        cumulative.begin());
    const std::size_t shifted = i / accesses_per_shift * (keys / 10);
    // Multiplying by an odd number scatters neighbours in rank over the keys.
    sequence[i] = static_cast<key_id>((rank + shifted) % keys * 2654435761U % (1U << 30));
  }
  return sequence;
}

inline std::size_t count_unique(std::vector<key_id> sequence) {
  std::sort(sequence.begin(), sequence.end());
  return static_cast<std::size_t>(std::unique(sequence.begin(), sequence.end()) - sequence.begin());
}

} // namespace kvcache::test
