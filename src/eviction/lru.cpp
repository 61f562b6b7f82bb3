#include "eviction/lru.hpp"

namespace kvcache {

namespace {

// Candidates are picked from the oldest one in so many entries.
constexpr std::size_t oldest_one_in = 32;

// A new sample is begun after one in so many entries has been picked.
constexpr std::size_t samples_per_turnover = 128;

// Slots that are sampled with each pick: some 10 us where none is in a processor's cache. A sample
// is complete well before the oldest entries of the last one have all been evicted.
constexpr std::size_t slots_gathered_at_once = 64;

// Enough to guess a threshold from, in some 30 us.
constexpr std::size_t small_sample = 256;

// Slots that a hand passes before it treats its threshold as outdated, and before it gives up.
constexpr std::size_t max_slots_to_guess = 32 * oldest_one_in;
constexpr std::size_t max_slots_passed = 4 * max_slots_to_guess;

} // namespace

lru::lru(store& entries, unsigned hands) : store_(entries), hands_(hands) {}

evicted_entry lru::evict_one(eviction_cause cause) noexcept {
  return evict_candidate(
      store_, hands_, *this, &lru::advance, cause,
      [](const candidate& c, entry_meta now) { return now.stamp() == c.seen.stamp(); });
}

std::optional<candidate> lru::advance(hand& h) noexcept {
  follow_ages(h);
  std::optional<candidate> oldest;
  for (std::size_t slots = 0; h.picked.empty() && slots < max_slots_passed;
       slots += hand_batch_slots) {
    if (!h.has_threshold || slots == max_slots_to_guess) guess_threshold(h);
    h.picked.clear();
    pass_batch(h.cursor, h.threshold_age, h.picked, oldest);
  }
  if (h.picked.empty()) return oldest;
  if (h.picks_until_sample > 0) --h.picks_until_sample;
  return h.picked.take();
}

void lru::pass_batch(walk_cursor& cursor, epoch threshold_age, candidate_batch& picked,
                     std::optional<candidate>& oldest) noexcept {
  const tick now = store_.now();
  const epoch now_epoch = store_.current_epoch();
  store_.walk(cursor, hand_batch_slots, [&](walked_entry& entry) {
    const entry_meta meta = entry.meta();
    const epoch age = age_of(meta, now_epoch);
    const bool expired = has_expired(entry.expires_at(), now);
    if (expired || age >= threshold_age) {
      picked.add({.ref = entry.ref(), .seen = meta, .expired = expired});
    } else if (!oldest || age > age_of(oldest->seen, now_epoch)) {
      oldest = candidate{.ref = entry.ref(), .seen = meta};
    }
  });
}

// Keeps the threshold up to date in small steps, one with each pick.
void lru::follow_ages(hand& h) noexcept {
  if (h.picks_until_sample > 0) return;
  if (!h.sampling) {
    h.sample.begin(store_, age_sample::most_entries);
    h.sampling = true;
  }
  if (!h.sample.gather(store_, slots_gathered_at_once)) return;
  h.threshold_age = h.sample.age_of_oldest(oldest_one_in);
  h.sampling = false;
  h.picks_until_sample = store_.size() / samples_per_turnover;
}

// A provisional threshold from a small sample: there is none yet, or it finds no candidate.
void lru::guess_threshold(hand& h) noexcept {
  h.sample.begin(store_, small_sample);
  h.sample.gather(store_, small_sample);
  h.threshold_age = h.sample.age_of_oldest(oldest_one_in);
  h.has_threshold = true;
  h.sampling = false;
  h.picks_until_sample = 0;
}

} // namespace kvcache
