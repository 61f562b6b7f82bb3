// The part of the evictor that other threads run: making room in bounded steps, inside PUTs, and
// taking part in a purge, after batches of requests.
#include <algorithm>

#include "cache/memory_source.hpp"
#include "eviction/evictor.hpp"

namespace kvcache {

namespace {

// By how much a PUT raises the hold limit for itself and those that follow.
constexpr std::size_t growth_step_bytes = std::size_t{256} << 10;

// Steps of a purge in one PUT, of up to 64 entries each: 100 to 200 us. Near the limit all requests
// run so many times as many steps: about 100 us for each of theirs.
constexpr std::size_t purge_steps_per_put = 8;
constexpr std::size_t near_limit_factor = 8;

// Accessed lately: in the last twelfth of a turnover, the present epoch not counted.
constexpr epoch lately_epochs = epochs_per_turnover / 12 + 1;

// Bytes that a PUT evicts for each one it takes while content exceeds the hold limit.
constexpr std::size_t shed_factor = 2;

// The most entries that one call evicts, in some 100 us; a PUT makes up to eight calls, or more for
// a large value.
constexpr unsigned max_evictions_per_call = 128;

// A PUT asks for this much after three calls that did not suffice.
constexpr std::size_t repeated_request_bytes = 8 * slab_bytes;

// Where old entries are hard to find, a call ends after this much processor time, which is checked
// every few evictions.
constexpr std::uint64_t room_making_ns = 200'000;
constexpr unsigned evictions_between_checks = 8;
constexpr std::size_t max_entries_per_call = 16;

} // namespace

bool evictor::make_room(std::size_t wanted_bytes, std::size_t entries_over) noexcept {
  return entries_over > 0 ? make_room_for_entries(entries_over) : make_room_for_bytes(wanted_bytes);
}

// The evictor's thread may get too little processor time to keep up with the growth of others.
void evictor::help(std::size_t steps) noexcept {
  const bool hurried = is_hurried_.load(std::memory_order_relaxed);
  const std::size_t most = hurried ? near_limit_factor * steps : steps;
  for (std::size_t done = 0; done < most && purge_.step(); ++done) {
  }
}

void evictor::shed(std::size_t taken_bytes) noexcept {
  if (purge_.under_way()) {
    help(purge_steps_per_put);
  } else if (store_.live_bytes() + store_.index_bytes() > store_.hold_limit_bytes()) {
    make_room_for_bytes(shed_factor * taken_bytes);
  }
}

bool evictor::make_room_for_entries(std::size_t entries_over) noexcept {
  // If more are over, as many threads are here, each of which evicts its own.
  const std::size_t wanted = std::min(entries_over, max_entries_per_call);
  std::size_t evicted = 0;
  while (evicted < wanted) {
    evicted_entry done = expired_.evict_one();
    if (done.bytes == 0) done = clock_.evict_one(eviction_cause::max_entries);
    if (done.bytes == 0) break;
    ++evicted;
  }
  return evicted > 0;
}

bool evictor::make_room_for_bytes(std::size_t wanted_bytes) noexcept {
  // A value of more than half the hold limit would empty the cache, and hardly fit then.
  const std::size_t limit_bytes = store_.hold_limit_bytes(); // 0: none
  if (limit_bytes != 0 && wanted_bytes > limit_bytes / 2) return false;
  bool grown = false;
  bool evicted_living = false;
  const auto evict_one = [&](std::size_t missing_bytes) -> std::size_t {
    const std::size_t block = expired_.evict_one().bytes;
    if (block != 0) return block;
    // A request that was repeated several times asks for more than its PUT misses.
    grown = grow_into_free_room(missing_bytes) ||
            (wanted_bytes >= repeated_request_bytes && grow_into_free_room(page_bytes()));
    if (grown) return 0;
    evicted_living = true;
    return evict_least_recent();
  };
  std::size_t freed = evict_one(wanted_bytes);
  // A repeated request asks for a slab or more: the expired entries were of other sizes.
  if (!grown && !evicted_living && wanted_bytes >= slab_bytes) {
    grown = grow_into_free_room(page_bytes());
  }
  if (grown) return true;
  // In an emergency each reading decides whether a purge is due or the emergency is over. In the
  // normal tier, the first PUT that reaches the hold limit triggers a reading.
  const pressure_tier tier = tier_.load(std::memory_order_relaxed);
  const bool first_at_mark = evicted_living && tier == pressure_tier::normal &&
                             !woken_at_mark_.load(std::memory_order_relaxed) &&
                             !woken_at_mark_.exchange(true, std::memory_order_relaxed);
  if ((tier == pressure_tier::emergency || freed == 0 || first_at_mark) && surroundings_.wake) {
    surroundings_.wake();
  }
  if (freed == 0) return false;
  if (freed >= wanted_bytes) return true; // the common case: reads no clock
  const std::uint64_t end_ns = surroundings_.thread_cpu_ns() + room_making_ns;
  for (unsigned evicted = 1; freed < wanted_bytes && evicted < max_evictions_per_call; ++evicted) {
    if (evicted % evictions_between_checks == 0 && surroundings_.thread_cpu_ns() >= end_ns) break;
    const std::size_t block = evict_one(wanted_bytes - freed);
    if (block == 0) break;
    freed += block;
  }
  return true;
}

// No living entry is evicted while the living ones are below their allowance. Expired entries that
// have not been collected do not count.
bool evictor::spares_living(std::size_t wanted_bytes) const noexcept {
  if (tier_.load(std::memory_order_relaxed) == pressure_tier::emergency) return false;
  const double living = static_cast<double>(content_bytes()) * (1 - expired_.expired_share());
  return static_cast<std::uint64_t>(living) + wanted_bytes <=
         spared_content_bytes_.load(std::memory_order_relaxed);
}

bool evictor::may_evict(std::uint32_t age_epochs, std::size_t wanted_bytes) noexcept {
  const bool seems_ahead = age_epochs > entry_meta::stamp_mask / 2; // see age_of()
  return age_epochs >= lately_epochs && !seems_ahead && !can_grow_for(wanted_bytes);
}

bool evictor::can_grow_for(std::size_t wanted_bytes) const noexcept {
  return store_.held_bytes() + round_up_to_pages(wanted_bytes) <=
             hold_ceiling_bytes_.load(std::memory_order_relaxed) &&
         spares_living(wanted_bytes);
}

// While living entries are spared, free blocks of unused sizes fill the store up to its limit. The
// limit is raised, and the evictor is woken to compact them.
bool evictor::grow_into_free_room(std::size_t wanted_bytes) noexcept {
  const std::size_t limit = store_.hold_limit_bytes();
  const std::size_t held = store_.held_bytes();
  const std::uint64_t ceiling = hold_ceiling_bytes_.load(std::memory_order_relaxed);
  // Whole pages are charged. If they fit, it is addresses that are used up and not the limit.
  const std::uint64_t needed = held + round_up_to_pages(wanted_bytes);
  if (limit == 0 || needed <= limit || !can_grow_for(wanted_bytes)) return false;
  store_.raise_hold_limit_bytes(limit, std::min(needed + growth_step_bytes, ceiling));
  if (surroundings_.wake) surroundings_.wake();
  return true;
}

// Freed blocks are reused without the kernel. For the index, entries are evicted until the full
// table has probably lost one: evictions fall on the tables at random.
bool evictor::make_room_after_refusal(std::size_t wanted_bytes, refused_for what) noexcept {
  if (what == refused_for::entries) {
    const std::uint64_t held = store_.held_bytes();
    refused_at_.store(store_.now(), std::memory_order_relaxed);
    refused_at_bytes_.store(held, std::memory_order_relaxed);
    hold_ceiling_bytes_.store(held, std::memory_order_relaxed);
    store_.set_hold_limit_bytes(held);
  }
  std::size_t freed = 0;
  std::size_t evicted = 0;
  const auto enough = [&] {
    return what == refused_for::entries ? freed >= wanted_bytes : evicted == max_evictions_per_call;
  };
  for (; !enough() && evicted < max_evictions_per_call; ++evicted) {
    std::size_t block = expired_.evict_one().bytes;
    if (block == 0) block = evict_least_recent();
    if (block == 0) break;
    freed += block;
  }
  return freed != 0;
}

// CLOCK takes over where LRU finds no old entry in bounded time.
std::size_t evictor::evict_least_recent() noexcept {
  const bool emergency = tier_.load(std::memory_order_relaxed) == pressure_tier::emergency;
  evicted_entry done = lru_.evict_one(emergency ? eviction_cause::emergency : eviction_cause::lru);
  if (done.bytes == 0) done = clock_.evict_one(eviction_cause::clock);
  return done.bytes;
}

} // namespace kvcache
