#include "eviction/expiry_sweep.hpp"

#include "eviction/age_sample.hpp"

namespace kvcache {

namespace {
constexpr epoch oldest_age = entry_meta::stamp_mask / 4;

// Slabs skipped in one call: some 10 us.
constexpr std::uint32_t max_slabs_skipped = 2048;
} // namespace

std::size_t expiry_sweep::advance(std::size_t max_slots) noexcept {
  std::size_t evicted = 0;
  for (std::size_t slots = 0; slots < max_slots; slots += hand_batch_slots) {
    evicted += sweep_batch();
  }
  return evicted;
}

std::size_t expiry_sweep::sweep_batch() noexcept {
  const tick now = store_.now();
  const epoch now_epoch = store_.current_epoch();
  expired_.clear();
  store_.walk(cursor_, hand_batch_slots, [&](walked_entry& entry) {
    const entry_meta meta = entry.meta();
    if (has_expired(entry.expires_at(), now)) {
      expired_.add({.ref = entry.ref(), .seen = meta, .expired = true});
    } else if (age_of(meta, now_epoch) > oldest_age) {
      entry.set_meta(meta.with_stamp(now_epoch - oldest_age));
    }
  });
  return evict_expired();
}

expiry_sweep::batch expiry_sweep::advance_to_expired() noexcept {
  batch done;
  expired_.clear();
  done.slots =
      store_.walk_expired(ahead_, hand_batch_slots, max_slabs_skipped, [&](walked_entry& entry) {
        expired_.add({.ref = entry.ref(), .seen = entry.meta(), .expired = true});
      });
  slabs_passed_ = done.slots == 0 ? slabs_passed_ + max_slabs_skipped : 0;
  done.lap_done = slabs_passed_ >= store_.walk_end();
  if (done.lap_done) slabs_passed_ = 0;
  done.evicted = evict_expired();
  return done;
}

std::size_t expiry_sweep::evict_expired() noexcept {
  const tick now = store_.now();
  std::size_t evicted = 0;
  while (!expired_.empty()) {
    const auto still = [&](const store::entry_state& entry) {
      return has_expired(entry.expires_at, now);
    };
    if (store_.evict(expired_.take().ref, eviction_cause::expired, still) != 0) ++evicted;
  }
  return evicted;
}

} // namespace kvcache
