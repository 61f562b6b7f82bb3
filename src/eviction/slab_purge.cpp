#include "eviction/slab_purge.hpp"

#include <algorithm>

namespace kvcache {

namespace {

constexpr std::size_t youngest_one_in = 3;

// The most slabs that one step checks: many may have no owner.
constexpr unsigned max_slabs_per_step = 64;

} // namespace

slab_purge::slab_purge(store& entries, unsigned hands) : store_(entries), hands_(hands) {}

void slab_purge::aim(std::uint64_t bytes, sparing spared) noexcept {
  sample_.take(store_);
  // Entries accessed in this epoch are spared as long as there are older ones.
  const epoch beyond_youngest =
      spared == sparing::youngest_third ? sample_.age_beyond_youngest(youngest_one_in) : 0;
  const bool any_older = sample_.oldest() > 0;
  least_age_.store(std::max<epoch>(beyond_youngest, any_older ? 1 : 0), std::memory_order_relaxed);
  vain_slabs_.store(0, std::memory_order_relaxed);
  left_bytes_.store(static_cast<std::int64_t>(bytes), std::memory_order_relaxed);
}

bool slab_purge::step() noexcept { return hands_.advance_free(*this, &slab_purge::advance); }

// Checks under_way() under the hand's lock: end() takes that lock after it has cleared the target,
// so no slab stays out of allocation.
bool slab_purge::advance(hand& h) noexcept {
  const tick now = store_.now();
  const epoch now_epoch = store_.current_epoch();
  const epoch least_age = least_age_.load(std::memory_order_relaxed);
  const auto evictable = [&](const store::entry_state& entry) {
    return has_expired(entry.expires_at, now) || age_of(entry.meta, now_epoch) >= least_age;
  };
  for (unsigned slabs = 0; slabs < max_slabs_per_step && under_way(); ++slabs) {
    if (!h.at_slab) {
      const std::uint32_t end = store_.walk_end();
      if (vain_slabs_.fetch_add(1, std::memory_order_relaxed) > 2 * end) return false;
      h.slab = next_slab_.fetch_add(1, std::memory_order_relaxed) % end;
      h.slot = 0;
      h.at_slab = true;
      h.out_of_allocation = store_.begin_purge_of(h.slab);
    }
    const store::purge_progress done =
        store_.purge_batch(h.slab, h.slot, h.out_of_allocation, evictable);
    const bool was_entered = h.out_of_allocation;
    if (done.at_end) leave_slab(h);
    if (done.evicted_bytes != 0) {
      vain_slabs_.store(0, std::memory_order_relaxed);
      left_bytes_.fetch_sub(static_cast<std::int64_t>(done.evicted_bytes),
                            std::memory_order_relaxed);
    }
    if (was_entered || done.evicted_bytes != 0) break;
  }
  return under_way();
}

void slab_purge::leave_slab(hand& h) noexcept {
  if (h.out_of_allocation) store_.end_purge_of(h.slab);
  h.at_slab = false;
  h.out_of_allocation = false;
}

void slab_purge::end() noexcept {
  left_bytes_.store(0, std::memory_order_relaxed);
  for (hand& h : hands_) {
    const spin_guard guard{h.lock};
    if (h.at_slab) leave_slab(h);
  }
}

} // namespace kvcache
