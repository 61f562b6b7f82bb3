#include "eviction/expired_first.hpp"

namespace kvcache {

namespace {

// The bounds of one call: some 10 us where no slab is in a processor's cache. Skipping so many
// slabs without entering one counts as several batches of slots.
constexpr std::size_t max_batches_per_call = 16;
constexpr std::uint32_t max_slabs_skipped = 2048;
constexpr std::size_t batches_per_vain_skip = 4;

// The number of slots from which the share of expired entries is estimated.
constexpr std::size_t slots_of_share = 4096;

constexpr std::uint64_t mark_of(tick now) noexcept { return std::uint64_t{now} + 1; }

} // namespace

expired_first::expired_first(store& entries, unsigned hands) : store_(entries), hands_(hands) {}

evicted_entry expired_first::evict_one() noexcept {
  return hands_.advance_free(*this, &expired_first::advance);
}

double expired_first::expired_share() const noexcept {
  if (!store_.anything_expires() ||
      none_at_.load(std::memory_order_relaxed) == mark_of(store_.now())) {
    return 0;
  }
  return found_share_.load(std::memory_order_relaxed);
}

// Evicts under the hand's lock, so that no candidate waits for another call. Other threads use the
// next hand meanwhile.
evicted_entry expired_first::advance(hand& h) noexcept {
  for (std::size_t batches = 0;;) {
    while (!h.picked.empty()) {
      const evicted_entry done = evict(h.picked.take());
      if (done.bytes != 0) return done;
    }
    if (none_at_.load(std::memory_order_relaxed) == mark_of(store_.now())) return {};
    if (batches >= max_batches_per_call) return {};
    batches += pick_next(h) ? 1 : batches_per_vain_skip;
  }
}

// Picks expired entries from the next batch of slots; false if no slab holds any.
bool expired_first::pick_next(hand& h) noexcept {
  const tick now = store_.now();
  if (h.lap_began != now) { // entries passed before may have expired since
    h.lap_began = now;
    h.slabs_passed = 0;
  }
  h.picked.clear();
  std::size_t found = 0;
  const std::size_t slots =
      store_.walk_expired(h.cursor, hand_batch_slots, max_slabs_skipped, [&](walked_entry& entry) {
        h.picked.add({.ref = entry.ref(), .seen = entry.meta(), .expired = true});
        ++found;
      });
  if (slots != 0) {
    h.visited += slots;
    h.found += found;
    found_share_.store(static_cast<double>(h.found) / static_cast<double>(h.visited),
                       std::memory_order_relaxed);
    if (h.visited >= slots_of_share) { // later slots weigh more
      h.visited /= 2;
      h.found /= 2;
    }
    h.slabs_passed = 0;
    return true;
  }
  h.slabs_passed += max_slabs_skipped;
  if (h.slabs_passed >= store_.walk_end()) none_at_.store(mark_of(now), std::memory_order_relaxed);
  return false;
}

evicted_entry expired_first::evict(const candidate& c) noexcept {
  const tick now = store_.now();
  const auto still = [&](const store::entry_state& entry) {
    return has_expired(entry.expires_at, now);
  };
  return {.bytes = store_.evict(c.ref, eviction_cause::expired, still),
          .cause = eviction_cause::expired};
}

} // namespace kvcache
