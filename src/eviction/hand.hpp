// What the pickers (CLOCK, LRU, expired_first, slab_purge) share. A hand is a position in entry
// memory from which a picker continues, with a lock of its own. Several threads pick at once
// without waiting: each takes the first hand that no other uses. So a single thread always uses the
// first hand, and the policy is then exactly that of one hand. A hand for each thread would spare
// the first one's cache line, but hands that catch up with each other pick the same entries.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <optional>

#include "cache/entry_meta.hpp"
#include "cache/spin_lock.hpp"
#include "cache/store.hpp"
#include "cache/walk.hpp"
#include "kvcache/cache_stats.hpp"

namespace kvcache {

// Slots that a hand visits before it releases the store's lock.
inline constexpr std::size_t hand_batch_slots = 64;

// True for an entry that has expired; `expires_at` may be `never`.
constexpr bool has_expired(tick expires_at, tick now) noexcept {
  return expires_at != never && expires_at <= now;
}

// An eviction candidate, and its state when it was picked. It is checked again before its eviction.
struct candidate {
  entry_ref ref;
  entry_meta seen;
  bool expired = false;
  bool forced = false; // evict it even if it was accessed meanwhile
};

// The bytes freed by evicting one entry, and the cause it was counted under; no bytes if no entry
// was evicted.
struct evicted_entry {
  std::size_t bytes = 0;
  eviction_cause cause = eviction_cause::expired;
  candidate what{}; // the entry, as it was picked
};

// Candidates that have not been evicted yet. A batch has no more slots than this.
class candidate_batch {
public:
  bool empty() const noexcept { return next_ == count_; }
  void clear() noexcept { next_ = count_ = 0; }
  void add(const candidate& c) noexcept {
    if (count_ < candidates_.size()) candidates_[count_++] = c;
  }
  const candidate& take() noexcept { return candidates_[next_++]; } // REQUIRES: !empty()

private:
  std::array<candidate, hand_batch_slots> candidates_{};
  std::size_t next_ = 0;
  std::size_t count_ = 0;
};

// The hands of one picker, at least one. `Hand` has a spin_lock `lock` that guards the rest of it.
template <class Hand>
class hand_set {
public:
  explicit hand_set(unsigned count)
      : count_(std::max(count, 1U)), hands_(std::make_unique<Hand[]>(count_)) {}

  // Calls (picker.*advance)(hand) with the first hand that no other thread uses, locked. Returns
  // Result{} if all are in use in every round.
  template <class Picker, class Result>
  Result advance_free(Picker& picker, Result (Picker::*advance)(Hand&) noexcept,
                      unsigned rounds = 1) noexcept KVCACHE_NO_THREAD_SAFETY_ANALYSIS {
    for (unsigned i = 0; i < rounds * count_; ++i) {
      Hand& h = hands_[i % count_];
      if (!h.lock.try_lock()) continue;
      const Result result = (picker.*advance)(h);
      h.lock.unlock();
      return result;
    }
    return Result{};
  }
  Hand* begin() noexcept { return hands_.get(); }
  Hand* end() noexcept { return hands_.get() + count_; }

private:
  unsigned count_;
  std::unique_ptr<Hand[]> hands_;
};

// Evicts one entry for a picker of living entries: advance a free hand, take its candidate, and
// evict that if it has expired or `still(candidate, its present meta)` holds. Counted under
// `cause`, or as expired. No bytes if a bounded number of attempts find none.
template <class Picker, class Hand, class Still>
evicted_entry evict_candidate(store& entries, hand_set<Hand>& hands, Picker& picker,
                              std::optional<candidate> (Picker::*advance)(Hand&) noexcept,
                              eviction_cause cause, Still still) noexcept {
  constexpr unsigned max_attempts = 64; // candidates may be gone or accessed again
  constexpr unsigned rounds = 2;        // a hand may become free just after it was passed over
  for (unsigned attempt = 0; attempt < max_attempts; ++attempt) {
    const std::optional<candidate> c = hands.advance_free(picker, advance, rounds);
    if (!c) return {};
    const tick now = entries.now();
    const eviction_cause counted = c->expired ? eviction_cause::expired : cause;
    const std::size_t bytes = entries.evict(c->ref, counted, [&](const store::entry_state& entry) {
      return c->expired ? has_expired(entry.expires_at, now) : still(*c, entry.meta);
    });
    if (bytes != 0) return {.bytes = bytes, .cause = counted, .what = *c};
  }
  return {};
}

} // namespace kvcache
