#include "eviction/lru.hpp"

namespace kvcache {

namespace {

// Slots that a hand passes before it treats the limits as outdated, and before it gives up.
constexpr std::size_t max_slots_to_guess = 1024;
constexpr std::size_t max_slots_passed = 4 * max_slots_to_guess;

} // namespace

lru::lru(store& entries, unsigned hands) : store_(entries), limits_(entries), hands_(hands) {}

evicted_entry lru::evict_one(eviction_cause cause) noexcept {
  const evicted_entry done = evict_candidate(
      store_, hands_, *this, &lru::advance, cause,
      [](const candidate& c, entry_meta now) { return now.stamp() == c.seen.stamp(); });
  if (done.bytes != 0 && done.cause == cause)
    store_.ghosts().add(done.what.ref, done.what.seen.uses());
  return done;
}

std::optional<candidate> lru::advance(hand& h) noexcept {
  follow_limits(h);
  std::optional<candidate> oldest;
  for (std::size_t slots = 0; h.picked.empty() && slots < max_slots_passed;
       slots += hand_batch_slots) {
    if (!limits_.known() || slots == max_slots_to_guess) limits_.guess();
    h.picked.clear();
    pass_batch(h.cursor, h.picked, oldest);
  }
  if (h.picked.empty()) return oldest;
  ++h.picks;
  return h.picked.take();
}

void lru::pass_batch(walk_cursor& cursor, candidate_batch& picked,
                     std::optional<candidate>& oldest) noexcept {
  const tick now = store_.now();
  const epoch now_epoch = store_.current_epoch();
  const age_limits::limits limits = limits_.now();
  store_.walk(cursor, hand_batch_slots, [&](walked_entry& entry) {
    const entry_meta meta = entry.meta();
    const epoch age = age_of(meta, now_epoch);
    const bool expired = has_expired(entry.expires_at(), now);
    if (expired || age >= limits[meta.uses()]) {
      picked.add({.ref = entry.ref(), .seen = meta, .expired = expired});
    } else if (!oldest || age > age_of(oldest->seen, now_epoch)) {
      oldest = candidate{.ref = entry.ref(), .seen = meta};
    }
  });
}

// In small steps, a few with the picks of each hand.
void lru::follow_limits(hand& h) noexcept {
  if (h.picks < h.picks_between_steps) return;
  limits_.follow(h.picks);
  h.picks = 0;
  h.picks_between_steps = limits_.evictions_between_steps();
}

} // namespace kvcache
