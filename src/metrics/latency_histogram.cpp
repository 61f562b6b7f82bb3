#include "metrics/latency_histogram.hpp"

#include <cmath>
#include <numeric>

namespace kvcache::observe {

std::uint64_t latency_snapshot::count() const noexcept {
  return std::accumulate(buckets_.begin(), buckets_.end(), std::uint64_t{0});
}

std::uint64_t latency_snapshot::count_up_to(std::uint64_t bound_ns) const noexcept {
  std::uint64_t counted = 0;
  for (std::size_t i = 0; i < buckets_.size() && latency_buckets::highest_ns(i) <= bound_ns; ++i)
    counted += buckets_[i];
  return counted;
}

std::uint64_t latency_snapshot::quantile_ns(double quantile) const noexcept {
  const std::uint64_t total = count();
  if (total == 0) return 0;
  const double share = std::clamp(quantile, 0.0, 1.0);
  const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(total)));
  const std::uint64_t rank = std::clamp(wanted, std::uint64_t{1}, total);
  if (rank == total) return max_ns_;

  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) return std::min(latency_buckets::highest_ns(i), max_ns_);
  }
  return max_ns_;
}

latency_snapshot& latency_snapshot::operator+=(const latency_snapshot& other) noexcept {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  sum_ns_ += other.sum_ns_;
  max_ns_ = std::max(max_ns_, other.max_ns_);
  return *this;
}

latency_snapshot latency_snapshot::since(const latency_snapshot& earlier) const noexcept {
  latency_snapshot difference;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    difference.buckets_[i] = buckets_[i] - earlier.buckets_[i];
    if (difference.buckets_[i] != 0)
      difference.max_ns_ = std::min(latency_buckets::highest_ns(i), max_ns_);
  }
  difference.sum_ns_ = sum_ns_ - earlier.sum_ns_;
  // A maximum that has risen since was recorded since, so it is exact.
  if (max_ns_ > earlier.max_ns_) difference.max_ns_ = max_ns_;
  return difference;
}

void latency_histogram::add_to(latency_snapshot& sum) const noexcept {
  std::uint64_t max_ns = max_ns_.value();
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    const std::uint64_t n = buckets_[i].value();
    if (n == 0) continue;
    sum.buckets_[i] += n;
    // A value may be visible in its bucket before it is in the maximum.
    max_ns = std::max(max_ns, latency_buckets::lowest_ns(i));
  }
  sum.sum_ns_ += sum_ns_.value();
  sum.max_ns_ = std::max(sum.max_ns_, max_ns);
}

} // namespace kvcache::observe
