#include "eviction/lru.hpp"

#include <algorithm>

namespace kvcache {

namespace {

// Victims are taken from the oldest one in so many entries.
constexpr std::size_t oldest_one_in = 32;

// A sample is begun anew after one in so many entries has been picked.
constexpr std::size_t samples_per_turnover = 128;

// Slots of the sample looked at with each victim while one is gathered: some 10 us where none is
// in a processor's cache. It is complete well before the oldest of the last one have all gone.
constexpr std::size_t slots_gathered_at_once = 64;

// What a threshold can be guessed from in some 30 us.
constexpr std::size_t small_sample = 256;

// Slots a hand passes before it takes its threshold for outdated, and before it takes what it has.
constexpr std::size_t max_slots_to_guess = 32 * oldest_one_in;
constexpr std::size_t max_slots_passed = 4 * max_slots_to_guess;

// Victims that turn out to be gone, or in use again, before a call gives up.
constexpr unsigned max_attempts = 64;

// Another thread may let go of a hand just after it was passed over.
constexpr unsigned rounds_over_hands = 2;

} // namespace

lru::lru(store& entries, unsigned hands)
    : store_(entries),
      hand_count_(std::max(hands, 1U)),
      hands_(std::make_unique<hand[]>(hand_count_)) {}

evicted_entry lru::evict_one(eviction_cause cause) noexcept {
  for (unsigned attempt = 0; attempt < max_attempts; ++attempt) {
    const std::optional<victim> v = choose();
    if (!v) return {};
    const tick now = store_.now();
    const auto still = [&](const store::entry_state& entry) {
      if (v->expired) return has_expired(entry.expires_at, now);
      return entry.meta.stamp() == v->seen.stamp();
    };
    const eviction_cause counted = v->expired ? eviction_cause::expired : cause;
    const std::size_t bytes = store_.evict(v->ref, counted, still);
    if (bytes != 0) return {.bytes = bytes, .cause = counted};
  }
  return {};
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
  follow_ages(h);
  std::optional<victim> oldest;
  for (std::size_t slots = 0; h.picked.empty() && slots < max_slots_passed;
       slots += hand_batch_slots) {
    if (!h.has_threshold || slots == max_slots_to_guess) guess_threshold(h);
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

// Keeps the threshold up to date in small steps, one with each victim.
void lru::follow_ages(hand& h) noexcept {
  if (h.victims_until_sample > 0) return;
  if (!h.sampling) {
    h.sample.begin(store_, age_sample::most_entries);
    h.sampling = true;
  }
  if (!h.sample.gather(store_, slots_gathered_at_once)) return;
  h.threshold_age = h.sample.age_of_oldest(oldest_one_in);
  h.sampling = false;
  h.victims_until_sample = store_.size() / samples_per_turnover;
}

// A threshold for now, from a small sample: there is none yet, or it finds nothing any more.
void lru::guess_threshold(hand& h) noexcept {
  h.sample.begin(store_, small_sample);
  h.sample.gather(store_, small_sample);
  h.threshold_age = h.sample.age_of_oldest(oldest_one_in);
  h.has_threshold = true;
  h.sampling = false;
  h.victims_until_sample = 0;
}

} // namespace kvcache
