#include "eviction/lru.hpp"

#include <algorithm>
#include <array>

namespace kvcache {

namespace {

// Victims are taken from the oldest one in so many entries.
constexpr std::size_t oldest_one_in = 32;

// A sample is taken anew after one in so many entries has been picked.
constexpr std::size_t samples_per_turnover = 128;
constexpr std::size_t min_victims_per_sample = 16;

// Up to this many entries all of them are the sample; of more, runs of neighbours all over the
// memory.
constexpr std::size_t max_sample = 2048;
constexpr std::size_t run_slots = 4;

// Slots a hand passes before it takes its threshold for outdated, and before it takes what it has.
constexpr std::size_t max_slots_to_resample = 32 * oldest_one_in;
constexpr std::size_t max_slots_passed = 4 * max_slots_to_resample;

// Victims that turn out to be gone, or in use again, before a call gives up.
constexpr unsigned max_attempts = 64;

// Another thread may let go of a hand just after it was passed over.
constexpr unsigned rounds_over_hands = 2;

// Marsaglia's xorshift: any sequence that goes everywhere will do.
std::uint64_t next_random(std::uint64_t& state) noexcept {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

} // namespace

lru::lru(store& entries, unsigned hands)
    : store_(entries),
      hand_count_(std::max(hands, 1U)),
      hands_(std::make_unique<hand[]>(hand_count_)) {
  for (unsigned i = 0; i < hand_count_; ++i) hands_[i].random = 0x9e3779b97f4a7c15U + i;
}

std::size_t lru::evict_one(eviction_cause cause) noexcept {
  for (unsigned attempt = 0; attempt < max_attempts; ++attempt) {
    const std::optional<victim> v = choose();
    if (!v) return 0;
    const tick now = store_.now();
    const auto still = [&](const store::entry_state& entry) {
      if (v->expired) return has_expired(entry.expires_at, now);
      return entry.meta.stamp() == v->seen.stamp();
    };
    const std::size_t bytes =
        store_.evict(v->ref, v->expired ? eviction_cause::expired : cause, still);
    if (bytes != 0) return bytes;
  }
  return 0;
}

std::optional<victim> lru::choose() noexcept {
  for (unsigned i = 0; i < rounds_over_hands * hand_count_; ++i) {
    hand& h = hands_[i % hand_count_];
    if (!h.lock.try_lock()) continue;
    const std::optional<victim> chosen = advance(h);
    h.lock.unlock();
    return chosen;
  }
  return std::nullopt;
}

std::optional<victim> lru::advance(hand& h) noexcept {
  std::optional<victim> oldest;
  for (std::size_t slots = 0; h.picked.empty() && slots < max_slots_passed;
       slots += hand_batch_slots) {
    const bool outdated = slots == max_slots_to_resample;
    if (h.victims_until_sample == 0 || outdated) sample_ages(h);
    h.picked.clear();
    pass_batch(h.cursor, h.threshold_age, h.picked, oldest);
  }
  if (h.picked.empty()) return oldest;
  if (h.victims_until_sample > 0) --h.victims_until_sample;
  return h.picked.take();
}

void lru::pass_batch(walk_cursor& cursor, epoch threshold_age, picked_victims& picked,
                     std::optional<victim>& oldest) noexcept {
  const tick now = store_.now();
  const epoch now_epoch = store_.current_epoch();
  store_.walk(cursor, hand_batch_slots, [&](walked_entry& entry) {
    const entry_meta meta = entry.meta();
    const epoch age = age_of(meta, now_epoch);
    if (has_expired(entry.expires_at(), now)) {
      picked.add({.ref = entry.ref(), .seen = meta, .expired = true});
    } else if (age >= threshold_age) {
      picked.add({.ref = entry.ref(), .seen = meta});
    } else if (!oldest || age > age_of(oldest->seen, now_epoch)) {
      oldest = victim{.ref = entry.ref(), .seen = meta};
    }
  });
}

void lru::sample_ages(hand& h) noexcept {
  const std::size_t entries = store_.size();
  h.victims_until_sample = std::max(entries / samples_per_turnover, min_victims_per_sample);
  h.threshold_age = 0;

  std::array<epoch, max_sample>
      ages; // NOLINT(cppcoreguidelines-pro-type-member-init): filled below
  std::size_t count = 0;
  const epoch now_epoch = store_.current_epoch();
  const auto note = [&](walked_entry& entry) {
    if (count < ages.size()) ages[count++] = age_of(entry.meta(), now_epoch);
  };
  if (entries <= max_sample) {
    walk_cursor all;
    while (all.laps == 0) store_.walk(all, hand_batch_slots, note);
  } else {
    const std::size_t slabs = store_.walk_end();
    const std::size_t slots_per_slab = std::max<std::size_t>(
        slab_bytes * entries / std::max<std::size_t>(store_.live_bytes(), 1), 1);
    for (std::size_t run = 0; run < max_sample / run_slots; ++run) {
      const auto slab = static_cast<std::uint32_t>(next_random(h.random) % slabs);
      walk_cursor here{.slab = slab,
                       .slot = static_cast<std::uint32_t>(next_random(h.random) % slots_per_slab)};
      // One slot at a time, and never on into the next slab: those after empty ones would count
      // double.
      for (std::size_t slot = 0; slot < run_slots && here.slab == slab; ++slot) {
        store_.walk(here, 1, note);
      }
    }
  }
  if (count == 0) return;
  const auto rank = ages.begin() + static_cast<std::ptrdiff_t>(count - 1 - count / oldest_one_in);
  std::nth_element(ages.begin(), rank, ages.begin() + static_cast<std::ptrdiff_t>(count));
  h.threshold_age = *rank;
}

} // namespace kvcache
