// What the clock and the LRU have in common: places in entry memory, called hands, from which
// victims are picked. Several threads pick at once without waiting for each other: each takes the
// first hand that nobody else is using, so one thread alone always uses the first, and the policy
// is then exactly that of a single hand.
#pragma once

#include <array>
#include <cstddef>

#include "cache/entry_meta.hpp"
#include "cache/spin_lock.hpp"
#include "cache/walk.hpp"
#include "kvcache/cache_stats.hpp"

namespace kvcache {

// An entry that was picked, and what it looked like then. It is looked at again before it goes.
struct victim {
  entry_ref ref;
  entry_meta seen;
  bool expired = false;
};

// What evicting one entry freed, and the cause it was counted under; no bytes if none was found.
struct evicted_entry {
  std::size_t bytes = 0;
  eviction_cause cause = eviction_cause::expired;
};

// Slots that a hand looks at before it lets go of the store's lock again.
inline constexpr std::size_t hand_batch_slots = 64;

// Picked entries that have not been evicted yet. A batch holds no more slots than this.
class picked_victims {
public:
  bool empty() const noexcept { return next_ == count_; }
  void clear() noexcept { next_ = count_ = 0; }
  void add(const victim& v) noexcept {
    if (count_ < victims_.size()) victims_[count_++] = v;
  }
  const victim& take() noexcept { return victims_[next_++]; } // REQUIRES: !empty()

private:
  std::array<victim, hand_batch_slots> victims_{};
  std::size_t next_ = 0;
  std::size_t count_ = 0;
};

// True for an entry whose time has come; `expires_at` may be never.
constexpr bool has_expired(tick expires_at, tick now) noexcept {
  return expires_at != never && expires_at <= now;
}

} // namespace kvcache
