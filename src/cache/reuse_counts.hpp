// Counts accesses by the uses and the age of the entry at that moment: from this, eviction learns
// how much longer entries are worth keeping.
//
// Thread-safety: every member may be called by any thread at any time. Each thread counts on cache
// lines of its own, up to twice as many threads as stripes; beyond that, threads that share one
// lose counts.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "cache/entry_meta.hpp"
#include "cache/thread_number.hpp"

namespace kvcache {

inline constexpr unsigned use_class_count = entry_meta::max_uses + 1;

// Ages in epochs, two buckets for each doubling: 0, 1, 2, 3, 4-5, 6-7, 8-11, 12-15, ...
inline constexpr unsigned age_bucket_count = 28;

constexpr unsigned age_bucket_of(epoch age) noexcept {
  if (age < 2) return age;
  const auto octave = static_cast<unsigned>(std::bit_width(age)) - 1;
  return std::min(2 * octave + ((age >> (octave - 1)) & 1U), age_bucket_count - 1);
}

// The least age of a bucket; the end of the last one for age_bucket_count.
constexpr epoch least_age_of(unsigned bucket) noexcept {
  return bucket < 2 ? bucket : epoch{2 + (bucket & 1U)} << (bucket / 2 - 1);
}

template <class T>
using by_use_and_age = std::array<std::array<T, age_bucket_count>, use_class_count>;

class reuse_counts {
public:
  explicit reuse_counts(unsigned stripes)
      : mask_(2 * std::bit_ceil(std::max(stripes, 1U)) - 1),
        cells_(std::make_unique<cell[]>(mask_ + 1)) {}

  void count(unsigned uses, epoch age) noexcept {
    std::atomic<std::uint32_t>& mine =
        cells_[this_thread_number() & mask_].counts[uses][age_bucket_of(age)];
    mine.store(mine.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }

  // All accesses so far, modulo 2^32.
  by_use_and_age<std::uint32_t> sums() const noexcept {
    by_use_and_age<std::uint32_t> sums{};
    for (unsigned i = 0; i <= mask_; ++i) {
      for (unsigned uses = 0; uses < use_class_count; ++uses) {
        for (unsigned bucket = 0; bucket < age_bucket_count; ++bucket) {
          sums[uses][bucket] += cells_[i].counts[uses][bucket].load(std::memory_order_relaxed);
        }
      }
    }
    return sums;
  }

private:
  struct alignas(64) cell {
    by_use_and_age<std::atomic<std::uint32_t>> counts{};
  };

  unsigned mask_;
  std::unique_ptr<cell[]> cells_;
};

} // namespace kvcache
