#include "eviction/entry_sampler.hpp"

#include <algorithm>

namespace kvcache {

namespace {

// The bound for a small cache in many sparse slabs, and for one that grows meanwhile.
constexpr std::size_t slots_for_each_entry = 2;
constexpr std::size_t least_slots_for_all = 4096;

} // namespace

void entry_sampler::begin(const store& of, std::size_t entries) noexcept {
  const std::size_t size = of.size();
  all_ = size <= entries;
  cursor_ = {};
  slots_left_ = all_ ? std::max(slots_for_each_entry * entries, least_slots_for_all) : entries;
  slots_per_slab_ =
      std::max<std::size_t>(slab_bytes * size / std::max<std::size_t>(of.live_bytes(), 1), 1);
}

bool entry_sampler::gather(store& of, std::size_t slots, visitor visit) noexcept {
  const std::size_t now = std::min(slots, slots_left_);
  slots_left_ -= now;
  if (all_) {
    of.walk(cursor_, now, visit);
    return cursor_.laps > 0 || slots_left_ == 0;
  }
  for (std::size_t visited = 0; visited < now; ++visited) visit_anywhere(of, visit);
  return slots_left_ == 0;
}

void entry_sampler::visit_anywhere(store& of, visitor visit) noexcept {
  const std::size_t slabs = of.walk_end();
  if (slabs == 0) return;
  const auto slab = static_cast<std::uint32_t>(next_random() % slabs);
  walk_cursor here{.slab = slab,
                   .slot = static_cast<std::uint32_t>(next_random() % slots_per_slab_)};
  of.walk(here, 1, visit);
}

// Marsaglia's xorshift.
std::uint64_t entry_sampler::next_random() noexcept {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return random_;
}

} // namespace kvcache
