#include "eviction/clock_hand.hpp"

namespace kvcache {

namespace {

// A hand that passed this many slots without a candidate picks the least referenced entry it met.
constexpr std::size_t max_slots_passed = 4096;

} // namespace

clock_hand::clock_hand(store& entries, unsigned hands) : store_(entries), hands_(hands) {}

evicted_entry clock_hand::evict_one(eviction_cause cause) noexcept {
  return evict_candidate(
      store_, hands_, *this, &clock_hand::advance, cause,
      [](const candidate& c, entry_meta now) { return c.forced || now.references() == 0; });
}

std::optional<candidate> clock_hand::advance(hand& h) noexcept {
  const std::optional<candidate> least = pass_entries(h.cursor, h.picked);
  return h.picked.empty() ? least : h.picked.take();
}

// Advances until an entry has been picked, within bounds. Returns the least referenced of those
// passed.
std::optional<candidate> clock_hand::pass_entries(walk_cursor& cursor,
                                                  candidate_batch& picked) noexcept {
  const tick now = store_.now();
  std::optional<candidate> least;
  const auto visit = [&](walked_entry& entry) {
    const entry_meta meta = entry.meta();
    const bool expired = has_expired(entry.expires_at(), now);
    if (expired || meta.references() == 0) {
      picked.add({.ref = entry.ref(), .seen = meta, .expired = expired});
      return;
    }
    if (!least || meta.references() < least->seen.references()) {
      least = candidate{.ref = entry.ref(), .seen = meta, .forced = true};
    }
    entry.set_meta(meta.aged());
  };
  for (std::size_t slots = 0; picked.empty() && slots < max_slots_passed;
       slots += hand_batch_slots) {
    picked.clear();
    store_.walk(cursor, hand_batch_slots, visit);
  }
  return least;
}

} // namespace kvcache
