#include "eviction/age_limits.hpp"

#include <algorithm>
#include <utility>

namespace kvcache {

namespace {

constexpr std::size_t sampled_entries = 1024;
constexpr std::size_t sampled_ghost_buckets = 32;

// Enough to guess limits from.
constexpr std::size_t small_sample = 256;

// A new sample is begun after one in so many entries has been evicted.
constexpr std::size_t samples_per_turnover = 32;

// Slots that are sampled in one step: some 10 us where none is in a processor's cache. The steps of
// a sample are taken while another quarter as many are evicted.
constexpr std::size_t slots_gathered_at_once = 64;
constexpr std::size_t steps_per_turnover = 2048;
constexpr std::size_t most_evictions_between_steps = 64;

// Entries are evicted from the least worth one in so many.
constexpr std::size_t least_worth_one_in = 16;

constexpr std::uint64_t samples_per_round = 2;

// The weight of the last sample in how long ghosts stay.
constexpr float weight_of_last = 0.1F;

constexpr epoch no_limit = entry_meta::stamp_mask;

} // namespace

age_limits::age_limits(store& entries)
    : store_(entries), ghost_epochs_(static_cast<float>(epochs_per_turnover)) {
  for (auto& limit : limits_) limit.store(1, std::memory_order_relaxed);
}

age_limits::limits age_limits::now() const noexcept {
  limits now{};
  for (unsigned uses = 0; uses < use_class_count; ++uses) {
    now[uses] = limits_[uses].load(std::memory_order_relaxed);
  }
  return now;
}

by_use_and_age<int> age_limits::ranks() const noexcept {
  by_use_and_age<int> ranks{};
  spin_guard guard{lock_};
  for (unsigned uses = 0; uses < use_class_count; ++uses) {
    for (unsigned bucket = 0; bucket < age_bucket_count; ++bucket) {
      ranks[uses][bucket] = density_.rank(uses, bucket);
    }
  }
  return ranks;
}

hit_density::experience age_limits::experience() const noexcept {
  spin_guard guard{lock_};
  return density_.so_far();
}

void age_limits::adopt(const hit_density::experience& earlier) noexcept {
  spin_guard guard{lock_};
  density_.adopt(earlier);
}

std::size_t age_limits::evictions_between_steps() const noexcept {
  return std::clamp<std::size_t>(store_.size() / steps_per_turnover, 1,
                                 most_evictions_between_steps);
}

void age_limits::follow(std::size_t evicted) noexcept {
  if (!lock_.try_lock()) return;
  evictions_since_sample_ += evicted;
  evictions_until_sample_ -= std::min(evictions_until_sample_, evicted);
  if (evictions_until_sample_ == 0) {
    if (!sampling_) begin_sample(sampled_entries);
    if (gather(slots_gathered_at_once)) finish_sample();
  }
  lock_.unlock();
}

void age_limits::guess() noexcept {
  if (!lock_.try_lock()) return;
  begin_sample(small_sample);
  gather(small_sample);
  finish_sample();
  evictions_until_sample_ = 0;
  lock_.unlock();
}

void age_limits::begin_sample(std::size_t entries) noexcept {
  sampler_.begin(store_, entries);
  population_ = {};
  sampling_ = true;
}

bool age_limits::gather(std::size_t slots) noexcept {
  const epoch now = store_.current_epoch();
  return sampler_.gather(store_, slots, [&](walked_entry& entry) {
    const entry_meta meta = entry.meta();
    ++population_[meta.uses()][age_bucket_of(age_of(meta, now))];
  });
}

void age_limits::finish_sample() noexcept {
  sampling_ = false;
  evictions_until_sample_ = store_.size() / samples_per_turnover;
  std::size_t sampled = 0;
  for (const auto& of_class : population_) {
    for (const std::uint32_t count : of_class) sampled += count;
  }
  if (sampled == 0) return;
  set_limits(sampled);
  const epoch now = store_.current_epoch();
  const auto epochs = static_cast<float>(now - std::exchange(sampled_at_, now));
  const std::size_t evictions = std::exchange(evictions_since_sample_, 0);
  if (skips_interval_.exchange(false, std::memory_order_relaxed)) {
    count_hits();
    return;
  }
  note_exposure(sampled, epochs);
  follow_ghosts(epochs, evictions);
  if (++samples_ % samples_per_round == 0) {
    add_hits();
    density_.learn();
  }
}

// The rank that one in `least_worth_one_in` of the sample reach.
int age_limits::rank_of_least_worth(std::size_t sampled) const noexcept {
  struct cell {
    int rank;
    std::uint32_t entries;
  };
  std::array<cell, std::size_t{use_class_count} * age_bucket_count> cells;
  std::size_t count = 0;
  for (unsigned uses = 0; uses < use_class_count; ++uses) {
    for (unsigned bucket = 0; bucket < age_bucket_count; ++bucket) {
      if (population_[uses][bucket] == 0) continue;
      cells[count++] = {density_.rank(uses, bucket), population_[uses][bucket]};
    }
  }
  const auto end = cells.begin() + static_cast<std::ptrdiff_t>(count);
  std::sort(cells.begin(), end, [](const cell& a, const cell& b) { return a.rank > b.rank; });
  std::size_t met = 0;
  auto least = cells.begin();
  while (least + 1 != end && (met += least->entries) <= sampled / least_worth_one_in) ++least;
  return least->rank;
}

void age_limits::set_limits(std::size_t sampled) noexcept {
  const int least_rank = rank_of_least_worth(sampled);
  for (unsigned uses = 0; uses < use_class_count; ++uses) {
    unsigned bucket = 0;
    while (bucket < age_bucket_count && density_.rank(uses, bucket) < least_rank) ++bucket;
    const epoch limit =
        bucket == age_bucket_count ? no_limit : std::max<epoch>(least_age_of(bucket), 1);
    limits_[uses].store(limit, std::memory_order_relaxed);
  }
  known_.store(true, std::memory_order_relaxed);
}

void age_limits::note_exposure(std::size_t sampled, float epochs) noexcept {
  const float weight = epochs * static_cast<float>(store_.size()) / static_cast<float>(sampled);
  for (unsigned uses = 0; uses < use_class_count; ++uses) {
    for (unsigned bucket = 0; bucket < age_bucket_count; ++bucket) {
      density_.add_exposure(uses, bucket, weight * static_cast<float>(population_[uses][bucket]));
    }
  }
}

// A ghost was evicted at its class's limit, and has since been moved on by later ones.
epoch age_limits::age_of_ghost(unsigned uses, unsigned place) const noexcept {
  const epoch limit = limits_[uses].load(std::memory_order_relaxed);
  const float since =
      (static_cast<float>(place) + 0.5F) / ghost_table::bucket_ghosts * ghost_epochs_;
  return (limit == no_limit ? 0 : limit) + static_cast<epoch>(since);
}

void age_limits::follow_ghosts(float epochs, std::size_t evictions) noexcept {
  ghost_table& ghosts = store_.ghosts();
  const auto capacity = static_cast<float>(ghosts.capacity());
  if (capacity == 0) return;
  if (evictions > 0 && epochs > 0) {
    const float stay = epochs * capacity / static_cast<float>(evictions);
    ghost_epochs_ += weight_of_last * (stay - ghost_epochs_);
  }
  ghost_table::by_use_and_place<std::uint32_t> counts{};
  const std::size_t buckets = ghosts.capacity() / ghost_table::bucket_ghosts;
  const std::size_t sampled = std::min(buckets, sampled_ghost_buckets);
  for (std::size_t i = 0; i < sampled; ++i) ghosts.count_bucket(sampler_.next_random(), counts);
  const float weight = epochs * static_cast<float>(buckets) / static_cast<float>(sampled);
  for (unsigned uses = 0; uses < use_class_count; ++uses) {
    for (unsigned place = 0; place < ghost_table::bucket_ghosts; ++place) {
      density_.add_exposure(uses, age_bucket_of(age_of_ghost(uses, place)),
                            weight * static_cast<float>(counts[uses][place]));
    }
  }
}

// Those since count_hits().
void age_limits::add_hits() noexcept {
  const auto uses_before = counted_uses_;
  const auto ghosts_before = counted_ghosts_;
  count_hits();
  for (unsigned uses = 0; uses < use_class_count; ++uses) {
    for (unsigned bucket = 0; bucket < age_bucket_count; ++bucket) {
      const std::uint32_t hits = counted_uses_[uses][bucket] - uses_before[uses][bucket];
      density_.add_hits(uses, bucket, static_cast<float>(hits));
    }
    for (unsigned place = 0; place < ghost_table::bucket_ghosts; ++place) {
      const std::uint32_t hits = counted_ghosts_[uses][place] - ghosts_before[uses][place];
      density_.add_hits(uses, age_bucket_of(age_of_ghost(uses, place)), static_cast<float>(hits));
    }
  }
}

void age_limits::count_hits() noexcept {
  counted_uses_ = store_.reuses().sums();
  counted_ghosts_ = store_.ghosts().found();
}

} // namespace kvcache
