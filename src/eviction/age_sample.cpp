#include "eviction/age_sample.hpp"

#include <algorithm>

namespace kvcache {

namespace {

// The bound for a small cache in many sparse slabs.
constexpr std::size_t slots_for_all = 2 * age_sample::most_entries;

} // namespace

void age_sample::begin(const store& of, std::size_t entries) noexcept {
  const std::size_t size = of.size();
  count_ = 0;
  all_ = size <= entries;
  cursor_ = {};
  slots_left_ = all_ ? slots_for_all : entries;
  slots_per_slab_ =
      std::max<std::size_t>(slab_bytes * size / std::max<std::size_t>(of.live_bytes(), 1), 1);
}

bool age_sample::gather(store& of, std::size_t slots) noexcept {
  const std::size_t now = std::min(slots, slots_left_);
  slots_left_ -= now;
  if (all_) {
    const epoch now_epoch = of.current_epoch();
    of.walk(cursor_, now, [&](walked_entry& entry) { note(entry, now_epoch); });
    return cursor_.laps > 0 || slots_left_ == 0;
  }
  for (std::size_t looked_at = 0; looked_at < now; ++looked_at) look_anywhere(of);
  return slots_left_ == 0;
}

void age_sample::look_anywhere(store& of) noexcept {
  const std::size_t slabs = of.walk_end();
  if (slabs == 0) return;
  const epoch now = of.current_epoch();
  const auto slab = static_cast<std::uint32_t>(next_random() % slabs);
  walk_cursor here{.slab = slab,
                   .slot = static_cast<std::uint32_t>(next_random() % slots_per_slab_)};
  of.walk(here, 1, [&](walked_entry& entry) { note(entry, now); });
}

void age_sample::note(const walked_entry& entry, epoch now) noexcept {
  if (count_ < ages_.size()) ages_[count_++] = age_of(entry.meta(), now);
}

epoch age_sample::age_of_oldest(std::size_t one_in) noexcept {
  return count_ == 0 ? 0 : age_at(count_ - 1 - count_ / one_in);
}

epoch age_sample::age_beyond_youngest(std::size_t one_in) noexcept {
  return count_ == 0 ? 0 : age_at(count_ / one_in);
}

epoch age_sample::age_at(std::size_t rank) noexcept {
  const auto at = [&](std::size_t index) {
    return ages_.begin() + static_cast<std::ptrdiff_t>(index);
  };
  std::nth_element(ages_.begin(), at(rank), at(count_));
  return *at(rank);
}

// Marsaglia's xorshift.
std::uint64_t age_sample::next_random() noexcept {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return random_;
}

} // namespace kvcache
