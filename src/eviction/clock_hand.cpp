#include "eviction/clock_hand.hpp"

#include <algorithm>

namespace kvcache {

namespace {

// A hand that passed this many slots without a victim takes the least referenced entry it met.
constexpr std::size_t max_slots_passed = 4096;

// Victims that turn out to be gone, or in use again, before a call gives up.
constexpr unsigned max_attempts = 64;

// Another thread may let go of a hand just after it was passed over.
constexpr unsigned rounds_over_hands = 2;

} // namespace

clock_hand::clock_hand(store& entries, unsigned hands)
    : store_(entries),
      hand_count_(std::max(hands, 1U)),
      hands_(std::make_unique<hand[]>(hand_count_)) {}

evicted_entry clock_hand::evict_one(eviction_cause cause) noexcept {
  for (unsigned attempt = 0; attempt < max_attempts; ++attempt) {
    const std::optional<choice> c = choose();
    if (!c) return {};
    const tick now = store_.now();
    const auto still = [&](const store::entry_state& entry) {
      if (c->chosen.expired) return has_expired(entry.expires_at, now);
      return c->forced || entry.meta.references() == 0;
    };
    const eviction_cause counted = c->chosen.expired ? eviction_cause::expired : cause;
    const std::size_t bytes = store_.evict(c->chosen.ref, counted, still);
    if (bytes != 0) return {.bytes = bytes, .cause = counted};
  }
  return {};
}

std::optional<clock_hand::choice> clock_hand::choose() noexcept {
  for (unsigned i = 0; i < rounds_over_hands * hand_count_; ++i) {
    hand& h = hands_[i % hand_count_];
    if (!h.lock.try_lock()) continue;
    const std::optional<choice> chosen = advance(h);
    h.lock.unlock();
    return chosen;
  }
  return std::nullopt;
}

std::optional<clock_hand::choice> clock_hand::advance(hand& h) noexcept {
  const std::optional<victim> least = pass_entries(h.cursor, h.picked);
  if (!h.picked.empty()) return choice{.chosen = h.picked.take()};
  if (least) return choice{.chosen = *least, .forced = true};
  return std::nullopt;
}

// Moves on until something has been picked, within bounds. Returns the least referenced of those
// passed.
std::optional<victim> clock_hand::pass_entries(walk_cursor& cursor,
                                               picked_victims& picked) noexcept {
  const tick now = store_.now();
  std::optional<victim> least;
  const auto look = [&](walked_entry& entry) {
    const entry_meta meta = entry.meta();
    if (has_expired(entry.expires_at(), now)) {
      picked.add({.ref = entry.ref(), .seen = meta, .expired = true});
    } else if (meta.references() == 0) {
      picked.add({.ref = entry.ref(), .seen = meta});
    } else {
      if (!least || meta.references() < least->seen.references()) {
        least = victim{.ref = entry.ref(), .seen = meta};
      }
      entry.set_meta(meta.aged());
    }
  };
  for (std::size_t slots = 0; picked.empty() && slots < max_slots_passed;
       slots += hand_batch_slots) {
    picked.clear();
    store_.walk(cursor, hand_batch_slots, look);
  }
  return least;
}

} // namespace kvcache
