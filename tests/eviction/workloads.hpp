// Sequences of keys that stand for how caches are used. Repeatable: the same arguments give the
// same sequence.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "eviction/reference_policies.hpp"

namespace kvcache::test {

// Keys 0 ... keys-1 with a popularity of 1 / rank^skew.
class zipf {
public:
  zipf(std::size_t keys, double skew) : cumulative_(keys) {
    double sum = 0;
    for (std::size_t rank = 0; rank < keys; ++rank) {
      sum += 1.0 / std::pow(static_cast<double>(rank + 1), skew);
      cumulative_[rank] = sum;
    }
  }
  template <class Random>
  std::size_t draw_rank(Random& random) const {
    std::uniform_real_distribution<double> anywhere(0.0, cumulative_.back());
    const auto at = std::lower_bound(cumulative_.begin(), cumulative_.end(), anywhere(random));
    return static_cast<std::size_t>(at - cumulative_.begin());
  }

private:
  std::vector<double> cumulative_;
};

// Zipf; after each `accesses_per_shift` accesses, others take the place of the most popular tenth,
// as news of the day do.
inline std::vector<key_id> zipf_with_shifts(std::size_t keys, double skew, std::size_t accesses,
                                            std::size_t accesses_per_shift, unsigned seed = 20) {
  const zipf popularity(keys, skew);
  std::mt19937_64 random(seed);
  std::vector<key_id> sequence(accesses);
  for (std::size_t i = 0; i < accesses; ++i) {
    const std::size_t shifted = i / accesses_per_shift * (keys / 10);
    // Multiplying by an odd number scatters neighbours in rank over the keys.
    sequence[i] = static_cast<key_id>((popularity.draw_rank(random) + shifted) % keys *
                                      2654435761U % (1U << 30));
  }
  return sequence;
}

// All keys one after the other, over and over, as a nightly job does.
inline std::vector<key_id> loop(std::size_t keys, std::size_t accesses) {
  std::vector<key_id> sequence(accesses);
  for (std::size_t i = 0; i < accesses; ++i) sequence[i] = static_cast<key_id>(i % keys);
  return sequence;
}

// Zipf, and after each `accesses_per_scan` accesses so many keys that are never used again.
inline std::vector<key_id> zipf_with_scans(std::size_t keys, double skew, std::size_t accesses,
                                           std::size_t accesses_per_scan, std::size_t scan,
                                           unsigned seed) {
  const zipf popularity(keys, skew);
  std::mt19937_64 random(seed);
  std::vector<key_id> sequence;
  std::size_t scanned = keys;
  while (sequence.size() < accesses) {
    sequence.push_back(static_cast<key_id>(popularity.draw_rank(random)));
    if (sequence.size() % accesses_per_scan != 0) continue;
    for (std::size_t i = 0; i < scan; ++i) sequence.push_back(static_cast<key_id>(scanned++));
  }
  return sequence;
}

// Every key is used a few times soon after its first use, and then never again, as the pages of a
// session are: what LRU is made for.
inline std::vector<key_id> sessions(std::size_t open, std::size_t uses_each, std::size_t accesses,
                                    unsigned seed) {
  std::mt19937_64 random(seed);
  std::vector<key_id> now(open);
  key_id next = 0;
  for (key_id& key : now) key = next++;
  std::vector<key_id> sequence(accesses);
  for (key_id& access : sequence) {
    key_id& key = now[random() % open];
    access = key;
    if (random() % uses_each == 0) key = next++;
  }
  return sequence;
}

// Two sequences, an access of each in turn.
inline std::vector<key_id> interleaved(const std::vector<key_id>& first,
                                       const std::vector<key_id>& second) {
  constexpr key_id of_second = 1U << 30;
  std::vector<key_id> sequence;
  for (std::size_t i = 0; i < std::min(first.size(), second.size()); ++i) {
    sequence.push_back(first[i]);
    sequence.push_back(second[i] + of_second);
  }
  return sequence;
}

inline std::size_t count_unique(std::vector<key_id> sequence) {
  std::sort(sequence.begin(), sequence.end());
  return static_cast<std::size_t>(std::unique(sequence.begin(), sequence.end()) - sequence.begin());
}

// A trace: one key a line.
inline std::vector<key_id> read_trace(const char* path) {
  std::ifstream in(path);
  std::unordered_map<std::string, key_id> ids;
  std::vector<key_id> sequence;
  for (std::string line; std::getline(in, line);) {
    sequence.push_back(ids.emplace(line, static_cast<key_id>(ids.size())).first->second);
  }
  return sequence;
}

} // namespace kvcache::test
