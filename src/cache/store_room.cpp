// The part of store that makes room for a write whose block, or whose larger table of the index,
// the budget or the kernel refuses.
//
// In this order, each only if the ones before did not suffice:
//   1. return empty slabs, and empty sparse slabs by moving their entries    (reclaim)
//   2. have the room_maker evict, more with each request                    (make_room)
//   3. clear a slab: evict from it what has no place elsewhere              (reclaim)
//   4. use a larger block, or evict one entry from a block of fitting size  (allocate_substitute)
// The effort of one write is bounded: see room_effort.
#include <algorithm>
#include <array>

#include "cache/store.hpp"

namespace kvcache {
namespace {

// What one write may spend on making room, all attempts together: requests to the room_maker, and
// moves of entries. The least is enough to empty one slab of any size; a large value may need as
// many evictions and moves as small entries lie in its size. A move takes about 0.3 us; a request
// is bounded by the room_maker to some 100 us.
constexpr std::size_t least_requests = 8;
constexpr std::size_t bytes_per_request = std::size_t{2} << 10;
constexpr std::size_t least_moves = 4096;
constexpr std::size_t bytes_per_move = 16;

// After so many requests a write accepts a larger block than it needs.
constexpr std::size_t requests_before_substitute = 2;

// Larger writes reserve what is freed for them.
constexpr std::size_t most_unreserved_bytes = std::size_t{8} << 10;

// Batches of slots searched for an entry in a block of the needed size.
constexpr unsigned batches_for_one_that_fits = 64;

// Requests grow from try to try up to this: freed blocks help another size only once a whole slab
// of them can be emptied.
constexpr std::size_t max_requested_bytes = std::size_t{1} << 20;
constexpr std::size_t max_request_doublings = 4;

// The age for entries that may be evicted whatever their own.
constexpr epoch as_if_old = entry_meta::stamp_mask / 2;

} // namespace

// Enforces the limit of entries before a new key is inserted. A thread that had to evict one does
// not check again: others may take its place, but each of them evicts one as well, so the limit is
// exceeded by one for each thread at most.
bool store::reserve_entry() noexcept {
  if (!entries_limited_ && !index_.is_deepest()) return true;
  const std::size_t entries = size();
  if (entries < max_entries_) return true;
  room_maker* maker = room_maker_.load(std::memory_order_acquire);
  return maker != nullptr && maker->make_room(0, entries + 1 - max_entries_);
}

store::room_effort store::effort_for(std::size_t bytes) noexcept {
  return {.reserved = budget::reservation{budget_},
          .requests_left = least_requests + bytes / bytes_per_request,
          .moves_left = least_moves + bytes / bytes_per_move};
}

entry_arena::allocation store::allocate_block(std::size_t bytes, room_effort& effort) noexcept {
  using status = entry_arena::status;
  shed_for(arena_.block_bytes_for(bytes));
  for (bool may_fit = true;;) {
    const entry_arena::allocation block = arena_.allocate(bytes, effort.reserved.bytes());
    if (block.outcome == status::ok) return block;
    if (!may_fit || effort.requests >= requests_before_substitute) {
      const entry_arena::allocation substitute = allocate_substitute(bytes, may_fit);
      if (substitute.outcome == status::ok) return substitute;
    }
    if (!may_fit) return block;
    const std::size_t needed = block.outcome == status::range_full
                                   ? entry_arena::address_bytes_for(bytes)
                                   : arena_.block_bytes_for(bytes);
    may_fit = block.outcome == status::out_of_memory
                  ? make_room_after_refusal(needed, room_maker::refused_for::entries, effort)
                  : make_room(needed, effort);
  }
}

// Where eviction has freed blocks of other sizes only: a larger block, which costs less than
// further evictions, or one that is freed for it.
entry_arena::allocation store::allocate_substitute(std::size_t bytes, bool may_fit_later) noexcept {
  using excess = entry_arena::excess;
  entry_arena::allocation block =
      arena_.allocate_roomier(bytes, may_fit_later ? excess::small : excess::large);
  if (block.outcome == entry_arena::status::ok || !evict_one_that_fits(bytes)) return block;
  block = arena_.allocate(bytes);
  if (block.outcome == entry_arena::status::ok) return block;
  return arena_.allocate_roomier(bytes, excess::small);
}

// Inserts the handle, or runs `if_present`, with room made for a larger table where one is needed.
entry_index::insertion store::insert_into_index(const write_request& request, entry_handle fresh,
                                                entry_index::edit if_present,
                                                room_effort& effort) noexcept {
  using insertion = entry_index::insertion;
  for (;;) {
    effort.reserved.set(0); // tables are charged without a reservation
    const insertion outcome = index_.insert(request.hash, request.key, fresh, if_present);
    const bool refused = outcome == insertion::out_of_memory;
    if (!refused && outcome != insertion::over_limit) return outcome;
    const std::size_t needed = index_.growth_step_bytes(request.hash);
    const bool may_fit =
        refused ? make_room_after_refusal(needed, room_maker::refused_for::index, effort)
                : make_room(needed, effort);
    if (!may_fit) return outcome;
  }
}

// True if the write should try again; false once its effort is spent, or nothing can be evicted.
bool store::make_room(std::size_t wanted_bytes, room_effort& effort) noexcept {
  const std::size_t wanted_pages = round_up_to_pages(wanted_bytes);
  // A small write mostly finds a freed block; a large one collects pages while others write.
  if (wanted_bytes > most_unreserved_bytes) effort.reserved.set(wanted_pages);
  const std::size_t missing_bytes = budget_.missing_for(wanted_pages, effort.reserved.bytes());
  const std::size_t needed_bytes = // all of it if addresses are missing and not memory
      missing_bytes == 0 ? wanted_bytes : std::min(missing_bytes, wanted_bytes);
  if (reclaim(needed_bytes, effort)) return true;
  room_maker* maker = room_maker_.load(std::memory_order_acquire);
  if (maker == nullptr || effort.requests_left == 0 || effort.moves_left == 0) return false;
  const std::size_t grown = slab_bytes << std::min(effort.requests, max_request_doublings);
  const std::size_t requested =
      effort.requests == 0
          ? wanted_bytes
          : std::clamp(grown, wanted_bytes, std::max(wanted_bytes, max_requested_bytes));
  effort.count_request();
  return maker->make_room(requested, 0);
}

// Makes room for a block that is charged already, whatever the limit is. False if that is not
// possible; what others hold beyond the limit does not matter.
bool store::make_room_for_adopted(std::size_t bytes, room_effort& effort) noexcept {
  room_maker* maker = room_maker_.load(std::memory_order_acquire);
  for (;;) {
    const std::size_t missing = std::min(budget_.missing_for(0), bytes);
    if (missing == 0) return true;
    if (effort.requests_left == 0 || effort.moves_left == 0) return false;
    effort.count_request();
    if (reclaim(missing, effort)) continue;
    if (maker == nullptr || !maker->make_room(missing, 0)) return budget_.missing_for(0) == 0;
  }
}

// The same where the kernel has refused memory.
bool store::make_room_after_refusal(std::size_t wanted_bytes, room_maker::refused_for what,
                                    room_effort& effort) noexcept {
  room_maker* maker = room_maker_.load(std::memory_order_acquire);
  if (maker == nullptr || effort.requests_left == 0) return false;
  effort.count_request();
  return maker->make_room_after_refusal(wanted_bytes, what);
}

// Where the limit has fallen, the room_maker may evict more than this write takes: otherwise
// writers would fill freed blocks as fast as eviction frees them, and no page would be returned.
void store::shed_for(std::size_t taken_bytes) noexcept {
  if (!budget_.over_limit()) return;
  room_maker* maker = room_maker_.load(std::memory_order_acquire);
  if (maker != nullptr) maker->shed(taken_bytes);
}

// Returns slabs of which all blocks, or most, are free; true if that made enough room.
bool store::reclaim(std::size_t wanted_bytes, room_effort& effort) noexcept {
  const std::size_t before = budget_.held_bytes();
  if (arena_.trim() && budget_.held_bytes() + wanted_bytes <= before) return true;
  const bool last_try = effort.requests_left == 0;
  // With less free than wanted, eviction may yet empty the slabs that moves would be spent on.
  if (arena_.free_bytes() < wanted_bytes && !last_try) return false;
  // A large write needs whole slabs, and has no other way.
  const bool sparing = wanted_bytes <= slab_bytes && !last_try;
  const auto evict_unspared = [&](entry_ref ref) {
    room_maker* maker = sparing ? nullptr : room_maker_.load(std::memory_order_acquire);
    return maker != nullptr && maker->may_evict(as_if_old, wanted_bytes) &&
           evict(ref, eviction_cause::lru, [](const entry_state&) { return true; }) != 0;
  };
  const auto evict_allowed = [&](entry_ref ref) { return evict_for_room(ref, wanted_bytes); };
  // Enough is free, but of many sizes and no slab's worth of any: further evictions would free more
  // of the same. So slabs are cleared. A small write gets one more chance to find a freed block.
  const bool may_clear = effort.requests >= (wanted_bytes > slab_bytes ? 1U : 2U);
  std::size_t gained = 0;
  for (bool clearing = false; gained < wanted_bytes && effort.moves_left != 0;) {
    const compactor::result step =
        clearing ? compactor_.clear_slab(evict_allowed, evict_unspared)
                 : compactor_.step(entry_arena::urgency::pressing, effort.moves_left);
    effort.moves_left -= std::min(effort.moves_left, step.moved);
    if (step.outcome == compactor::progress::slab_returned) {
      gained += slab_bytes;
    } else if (clearing || !may_clear) {
      break;
    } else {
      clearing = true;
    }
  }
  return gained >= wanted_bytes;
}

// The room_maker picks entries by age and in the order of addresses, and a slab holds blocks of one
// size: many evictions in a row may free other sizes. Evicts one entry, as far as the room_maker
// allows, from a block of the right size or a little larger. False if a bounded search finds none.
bool store::evict_one_that_fits(std::size_t bytes) noexcept {
  if (bytes > max_small_block_bytes) return false;
  walk_cursor cursor{.slab = next_fitting_slab_.load(std::memory_order_relaxed)};
  std::array<entry_ref, entry_arena::walk_batch_slots> met;
  for (unsigned batches = 0; batches < batches_for_one_that_fits; ++batches) {
    std::size_t count = 0;
    const std::uint32_t slab =
        arena_.walk_fitting(cursor, bytes, hash_, [&](walked_entry& e) { met[count++] = e.ref(); });
    if (slab == 0) return false;
    for (std::size_t i = 0; i < count; ++i) {
      if (!evict_for_room(met[i], bytes)) continue;
      next_fitting_slab_.store(slab, std::memory_order_relaxed);
      return true;
    }
  }
  next_fitting_slab_.store(cursor.slab, std::memory_order_relaxed);
  return false;
}

// The entries of a slab are of any age: the room_maker judges them. Expired ones are always
// evicted.
bool store::evict_for_room(entry_ref ref, std::size_t wanted_bytes) noexcept {
  room_maker* maker = room_maker_.load(std::memory_order_acquire);
  const epoch now_epoch = current_epoch();
  const auto may_go = [&](const entry_state& e) {
    if (e.expires_at != never && e.expires_at <= now()) return true;
    return maker != nullptr && maker->may_evict(e.meta.age(now_epoch), wanted_bytes);
  };
  return evict(ref, eviction_cause::lru, may_go) != 0;
}

} // namespace kvcache
