#include "eviction/age_sample.hpp"

#include <algorithm>

namespace kvcache {

namespace {

constexpr std::size_t slots_at_most = 4096;

} // namespace

void age_sample::take(store& of) noexcept {
  const epoch now = of.current_epoch();
  count_ = 0;
  sampler_.begin(of, most_entries);
  sampler_.gather(of, slots_at_most, [&](walked_entry& entry) {
    if (count_ < ages_.size()) ages_[count_++] = age_of(entry.meta(), now);
  });
}

epoch age_sample::age_beyond_youngest(std::size_t one_in) noexcept {
  if (count_ == 0) return 0;
  const auto rank = ages_.begin() + static_cast<std::ptrdiff_t>(count_ / one_in);
  std::nth_element(ages_.begin(), rank, ages_.begin() + static_cast<std::ptrdiff_t>(count_));
  return *rank;
}

epoch age_sample::oldest() const noexcept {
  epoch oldest = 0;
  for (std::size_t i = 0; i < count_; ++i) oldest = std::max(oldest, ages_[i]);
  return oldest;
}

} // namespace kvcache
