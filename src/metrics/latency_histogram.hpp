// Latencies in fixed memory: log-linear buckets of nanoseconds, as in HdrHistogram.
//
// Every power of two is divided into 16 equal buckets, so a bucket is never wider than 1/16 of the
// values in it. A quantile is at most 6.25 % above the true one and never below it.
// A bucket includes its upper bound, as Prometheus' `le` does, so a power of two is the last value
// of its bucket. Values from 1 to 32 ns are exact; values beyond max_value_ns (68.7 s) are counted
// in the last bucket.
//
//   latency_histogram   what a worker writes (528 counters, 4.2 KiB)
//   latency_snapshot    a plain copy to add, subtract and compute quantiles from
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "metrics/counter.hpp"

namespace kvcache::observe {

// The one rule that maps a value to its bucket and back.
struct latency_buckets {
  static constexpr unsigned sub_bucket_bits = 4; // 16 buckets for each power of two
  static constexpr unsigned value_bits = 36;     // 2^36 ns are 68.7 s
  static constexpr std::uint64_t max_value_ns = std::uint64_t{1} << value_bits;
  static constexpr std::size_t count = std::size_t{value_bits - sub_bucket_bits + 1}
                                       << sub_bucket_bits;

  // REQUIRES: nothing; larger values share the last bucket.
  static constexpr std::size_t index_of(std::uint64_t value_ns) noexcept {
    const std::uint64_t value = std::clamp(value_ns, std::uint64_t{1}, max_value_ns) - 1;
    const auto shift =
        static_cast<unsigned>(std::bit_width(value | sub_bucket_count)) - (sub_bucket_bits + 1);
    return (std::size_t{shift} << sub_bucket_bits) + static_cast<std::size_t>(value >> shift);
  }

  // The smallest and the largest value of a bucket. REQUIRES: index < count.
  static constexpr std::uint64_t lowest_ns(std::size_t index) noexcept {
    return index == 0 ? 0 : highest_ns(index - 1) + 1;
  }
  static constexpr std::uint64_t highest_ns(std::size_t index) noexcept {
    if (index < 2 * sub_bucket_count) return index + 1;
    return (index % sub_bucket_count + sub_bucket_count + 1) << shift_of(index);
  }

private:
  static constexpr std::uint64_t sub_bucket_count = std::uint64_t{1} << sub_bucket_bits;
  static constexpr std::size_t shift_of(std::size_t index) noexcept {
    return (index >> sub_bucket_bits) - 1;
  }
};

// A plain value. Thread-safety: none.
class latency_snapshot {
public:
  // The number of recorded values, and of those up to `bound_ns`. The second is exact if bound_ns
  // is a power of two.
  std::uint64_t count() const noexcept;
  std::uint64_t count_up_to(std::uint64_t bound_ns) const noexcept;

  std::uint64_t sum_ns() const noexcept { return sum_ns_; }
  std::uint64_t max_ns() const noexcept { return max_ns_; }

  // The quantile (clamped to 0…1) by nearest rank, rounded up to the end of its bucket but never
  // above max_ns(); 0 without values.
  std::uint64_t quantile_ns(double quantile) const noexcept;

  latency_snapshot& operator+=(const latency_snapshot& other) noexcept;

  // The values recorded after `earlier`, a snapshot of the same histograms. Their maximum is exact
  // if it is the maximum of all time; otherwise it is the end of its bucket.
  latency_snapshot since(const latency_snapshot& earlier) const noexcept;

private:
  friend class latency_histogram;

  std::array<std::uint64_t, latency_buckets::count> buckets_{};
  std::uint64_t sum_ns_ = 0;
  std::uint64_t max_ns_ = 0;
};

// Thread-safety: one thread writes (record, record_n); any thread may take a snapshot at the same
// time, in which each value is counted completely or not at all.
class latency_histogram {
public:
  void record(std::uint64_t value_ns) noexcept { record_n(value_ns, 1); }

  // `times` values of the same length: one clock reading for a whole pipeline batch.
  void record_n(std::uint64_t value_ns, std::uint64_t times) noexcept {
    buckets_[latency_buckets::index_of(value_ns)].add(times);
    sum_ns_.add(value_ns * times);
    max_ns_.raise_to(value_ns);
  }

  // Adds what has been recorded so far to `sum`.
  void add_to(latency_snapshot& sum) const noexcept;

private:
  std::array<counter, latency_buckets::count> buckets_;
  counter sum_ns_;
  counter max_ns_;
};

} // namespace kvcache::observe
