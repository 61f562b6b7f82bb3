#include "eviction/expired_first.hpp"

#include <algorithm>

namespace kvcache {

namespace {

// What one call looks at: some 10 us where nothing is in a processor's cache. A look that passes so
// many slabs and finds none to enter counts as some batches of slots.
constexpr std::size_t max_batches_per_call = 16;
constexpr std::uint32_t max_slabs_per_look = 2048;
constexpr std::size_t batches_per_vain_look = 4;

// What is known of the share of expired entries comes from so many slots.
constexpr std::size_t slots_of_share = 4096;

constexpr std::uint64_t mark_of(tick now) noexcept { return std::uint64_t{now} + 1; }

} // namespace

expired_first::expired_first(store& entries, unsigned hands)
    : store_(entries),
      hand_count_(std::max(hands, 1U)),
      hands_(std::make_unique<hand[]>(hand_count_)) {}

evicted_entry expired_first::evict_one() noexcept {
  for (unsigned i = 0; i < hand_count_; ++i) {
    hand& h = hands_[i];
    if (!h.lock.try_lock()) continue;
    const evicted_entry gone = advance(h);
    h.lock.unlock();
    return gone;
  }
  return {};
}

double expired_first::expired_share() const noexcept {
  if (!store_.anything_expires() ||
      none_at_.load(std::memory_order_relaxed) == mark_of(store_.now())) {
    return 0;
  }
  return found_share_.load(std::memory_order_relaxed);
}

// Evicting under the hand's lock keeps others from it a little longer, and what was picked is never
// left to somebody who does not come: they take the next hand.
evicted_entry expired_first::advance(hand& h) noexcept {
  for (std::size_t batches = 0;;) {
    while (!h.picked.empty()) {
      const evicted_entry gone = evict(h.picked.take());
      if (gone.bytes != 0) return gone;
    }
    if (none_at_.load(std::memory_order_relaxed) == mark_of(store_.now())) return {};
    if (batches >= max_batches_per_call) return {};
    batches += look_on(h) ? 1 : batches_per_vain_look;
  }
}

// Picks what has expired in the next batch of slots; false if there was no slab to enter.
bool expired_first::look_on(hand& h) noexcept {
  const tick now = store_.now();
  if (h.lap_began != now) { // what was passed before may have expired since
    h.lap_began = now;
    h.slabs_passed = 0;
  }
  h.picked.clear();
  std::size_t found = 0;
  const std::size_t slots =
      store_.walk_expired(h.cursor, hand_batch_slots, max_slabs_per_look, [&](walked_entry& entry) {
        h.picked.add({.ref = entry.ref(), .seen = entry.meta(), .expired = true});
        ++found;
      });
  if (slots != 0) {
    h.looked_at += slots;
    h.found += found;
    found_share_.store(static_cast<double>(h.found) / static_cast<double>(h.looked_at),
                       std::memory_order_relaxed);
    if (h.looked_at >= slots_of_share) { // later ones count more
      h.looked_at /= 2;
      h.found /= 2;
    }
    h.slabs_passed = 0;
    return true;
  }
  h.slabs_passed += max_slabs_per_look;
  if (h.slabs_passed >= store_.walk_end()) none_at_.store(mark_of(now), std::memory_order_relaxed);
  return false;
}

evicted_entry expired_first::evict(const victim& v) noexcept {
  const tick now = store_.now();
  const auto still = [&](const store::entry_state& entry) {
    return has_expired(entry.expires_at, now);
  };
  return {.bytes = store_.evict(v.ref, eviction_cause::expired, still),
          .cause = eviction_cause::expired};
}

} // namespace kvcache
