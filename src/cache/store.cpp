// How readers, writers, eviction and the mover are kept apart
// ============================================================
// One rule carries everything: *an entry may be read and changed only under the lock of its bucket
// in the index, and the index is the only authority on what lives.* Every operation takes the locks
// of its key's two buckets; finding a handle there means that the block it names is
// complete and cannot be freed before the lock is let go, because a block is freed only after its
// handle has been removed or replaced under that lock. So there is no reference count, no epoch and
// no grace period, and a freed block can be reused at once.
//
//   get      finds the handle and copies the value out, under the bucket's lock.
//   put      a value that fits the block is written in place, under the lock. Else the new block is
//            written outside all locks, its handle swapped in under the lock, and the old block
//            freed after it.
//   evict    knows an entry by hash and handle only (walk.hpp). Under the bucket's lock it looks
//            for exactly that handle: if it is not there, the entry has gone, moved, or was
//            replaced, and nothing is read from memory that may have been reused. If it is there,
//            the predicate decides on what the entry looks like now.
//   move     the same check; then copies the block and changes the handle, under the lock. A reader
//            sees the old block or the new one, never half of one.
//   walk     reads what may be read without the bucket's lock: meta, lengths and expiry, which are
//            atomic, and the key, which never changes. It holds the lock of the stripe that owns
//            the slab, so no block there can be freed and reused under its eyes.
//
// Rejected: epoch-based reclamation and hazard pointers for blocks (freed ones would stay for a
// while, which the accounting would have to chase); reference counts (four bytes an entry and a
// shared write for every read).
//
// Lock order: segment → bucket (libcuckoo) and segment → stripe (drain) and segment → structure.
// Never: stripe → segment, bucket → stripe. The budget, the page pool and the counters are leaves.
// The room_maker is called under no lock at all.
#include "cache/store.hpp"

#include <algorithm>
#include <cassert>
#include <random>

#include "cache/invariants.hpp"
#include "cache/thread_cpu_time.hpp"

namespace kvcache {
namespace {

// What a write may do to gain room before it is refused, all its attempts together: ask the
// room_maker so often, and move so many entries. An ordinary write has the least of both: enough to
// empty one slab, whatever lies in it. A larger one has more, as many entries have to leave and to
// move for it as lie in so much memory, with some to spare in blocks of 32 bytes. Moves take about
// 0.3 µs each; how much the room_maker does for one request is its own bound, some 100 µs.
constexpr std::size_t least_asks_per_write = 8;
constexpr std::size_t bytes_for_another_ask = std::size_t{2} << 10;
constexpr std::size_t least_moves_per_write = 4096;
constexpr std::size_t bytes_for_another_move = 16;

// Values up to this length are copied over the old one, under the bucket's lock, which readers of
// the bucket wait for; larger ones are written to a new block first.
constexpr std::size_t max_in_place_bytes = 4096;

// Smaller indexes stay in the processor's caches by themselves.
constexpr std::size_t index_bytes_worth_prefetching = std::size_t{512} << 10;

// After so many requests for room a write takes a somewhat larger block than it needs.
constexpr std::size_t asks_before_roomier = 2;

// How many batches of 64 slots it looks through for an entry of the size it needs.
constexpr unsigned batches_for_one_that_fits = 64;

// A request for room grows from try to try, up to this: freed blocks help another size only once a
// whole slab of them can be emptied.
constexpr std::size_t max_wanted_bytes = std::size_t{1} << 20;

constexpr epoch as_if_old = entry_meta::stamp_mask / 2;

// Entries moved between two looks at the clock.
constexpr std::size_t moves_per_step = 64;

keyed_hash make_hash(const cache_options& options) {
  if (options.hash_seed) return {options.hash_seed->first, options.hash_seed->second};
  std::random_device random;
  const auto draw = [&] { return std::uint64_t{random()} << 32 | random(); };
  const std::uint64_t k0 = draw();
  return {k0, draw()};
}

} // namespace

store::store(const cache_options& options, memory_source& source, const table_limits& tables)
    : hash_(make_hash(options)),
      budget_(options.hold_limit_bytes),
      arena_(options.stripes, budget_, source),
      index_(arena_, budget_, source, tables),
      max_entries_(options.max_entries == 0 ? index_.max_entries()
                                            : std::min(options.max_entries, index_.max_entries())),
      entries_limited_(options.max_entries != 0),
      compactor_(arena_, index_, hash_),
      entries_(2 * std::max(options.stripes, 1U)), // the workers, and others beside them
      accesses_(options.stripes) {}

// ---- reading --------------------------------------------------------------------------
// get and put are flattened, each with its own copy of the look-up: as a call, the look-up takes 40
// instructions more, a tenth. What is seldom come to is kept out of them.

[[gnu::flatten]] bool store::get(std::string_view key, cache::value_visitor visit) noexcept {
  const std::uint32_t hash = hash_(key);
  bool hit = false;
  const bool found = index_.find(hash, key, [&](entry_handle, entry e) {
    const entry_meta meta = e.meta();
    if (has_expired(e, meta)) return;
    hit = true;
    e.touch(meta, current_epoch());
    visit(e.value(meta));
  });
  if (hit) accesses_.count_access();
  if (found && !hit) collect_expired(hash, key);
  return hit;
}

bool store::prefetch_pays() const noexcept {
  return index_.bytes() >= index_bytes_worth_prefetching;
}

bool store::peek(std::string_view key, cache::value_visitor visit) const noexcept {
  bool hit = false;
  index_.find(hash_(key), key, [&](entry_handle, entry e) {
    const entry_meta meta = e.meta();
    if (has_expired(e, meta)) return;
    hit = true;
    visit(e.value(meta));
  });
  return hit;
}

bool store::has_expired(entry e, entry_meta meta) const noexcept {
  return meta.has_expiry() && e.expires_at(meta) <= now();
}

[[gnu::noinline]] void store::collect_expired(std::uint32_t hash, std::string_view key) noexcept {
  entry_handle gone = no_entry;
  index_.visit(hash, key, [&](entry_handle& handle) {
    const entry e = arena_.at(handle);
    if (!has_expired(e, e.meta())) return entry_index::fate::keep; // replaced meanwhile
    gone = handle;
    return entry_index::fate::erase;
  });
  if (gone == no_entry) return;
  release_unlinked(gone);
  count_eviction(eviction_cause::expired);
}

// ---- writing --------------------------------------------------------------------------

// Most of what is put replaces a value of the same size. That is tried first, with as little as it
// takes; what the rest needs is put together only where there is a rest.
[[gnu::flatten]] put_outcome store::put(std::string_view key, std::string_view value,
                                        tick expires_at) noexcept {
  if (std::max(key.size(), value.size()) > cache::max_item_bytes) return put_outcome::too_large;
  const std::uint32_t hash = hash_(key);
  const entry_shape shape{key.size(), value.size(), expires_at != never};
  finding found;
  index_.find(hash, key, [this, shape, value, expires_at, &found](entry_handle handle, entry e) {
    const entry_meta meta = e.meta();
    const bool expired = has_expired(e, meta);
    const bool written = overwrite_in_place(handle, e, meta, expired, shape, value, expires_at);
    found = {.present = true, .expired = expired, .allowed = true, .written = written};
  });
  accesses_.count_access();
  if (found.written) return outcome_of(condition::always, found);
  return finish({key, value, expires_at, condition::always, {}, hash, shape}, found);
}

put_outcome store::put_if_absent(std::string_view key, std::string_view value,
                                 tick expires_at) noexcept {
  return write_if({key, value, expires_at, condition::if_absent});
}

put_outcome store::compare_and_swap(std::string_view key, std::string_view expected,
                                    std::string_view desired, tick expires_at) noexcept {
  return write_if({key, desired, expires_at, condition::if_equal, expected});
}

put_outcome store::write_if(write_request request) noexcept {
  if (std::max(request.key.size(), request.value.size()) > cache::max_item_bytes) {
    return put_outcome::too_large;
  }
  request.hash = hash_(request.key);
  request.shape = {request.key.size(), request.value.size(), request.expires_at != never};
  finding found;
  index_.find(request.hash, request.key, [&](entry_handle handle, entry e) {
    const entry_meta meta = e.meta();
    found = examine(request, e, meta);
    found.written =
        found.allowed && overwrite_in_place(handle, e, meta, found.expired, request.shape,
                                            request.value, request.expires_at);
  });
  accesses_.count_access();
  return finish(request, found);
}

// What is left to do after the entry, if there is one, was looked at.
[[gnu::noinline]] put_outcome store::finish(const write_request& request, finding found) noexcept {
  if (!found.present) found.allowed = request.when != condition::if_equal;
  if (found.written || !found.allowed) return outcome_of(request.when, found);
  if (!found.present && !reserve_entry()) return put_outcome::no_room;
  return write_new_block(request);
}

// REQUIRES: the bucket's lock is held.
store::finding store::examine(const write_request& request, entry e,
                              entry_meta meta) const noexcept {
  finding f{.present = true, .expired = has_expired(e, meta)};
  switch (request.when) {
  case condition::always:
    f.allowed = true;
    break;
  case condition::if_absent:
    f.allowed = f.expired;
    break;
  case condition::if_equal:
    f.allowed = !f.expired && e.value(meta) == request.expected;
    break;
  }
  return f;
}

// REQUIRES: the bucket's lock is held.
inline bool store::overwrite_in_place(entry_handle handle, entry e, entry_meta meta, bool expired,
                                      const entry_shape& shape, std::string_view value,
                                      tick expires_at) noexcept {
  if (value.size() > max_in_place_bytes) return false;
  if (!e.has_shape(meta, shape) && !fit_in_place(e, meta, shape)) return false;
  e.assign_value(meta, shape.key_bytes, value, expires_at);
  if (expired) { // what was there counts as gone, and so do its accesses
    e.store_meta(entry_meta::for_new_entry(current_epoch(), meta.has_expiry(), meta.extended()));
  } else {
    e.touch(meta, current_epoch());
  }
  if (expires_at != never) arena_.note_expiry(handle, expires_at);
  return true;
}

// Makes the lengths those of another value, if it may lie in this entry's block: in one of the same
// size, not just a sufficient one, so that a shorter value gives its room back. An entry's block
// always is of the size for what it holds.
[[gnu::noinline]] bool store::fit_in_place(entry e, entry_meta meta,
                                           const entry_shape& shape) noexcept {
  if (!e.same_layout(meta, shape) || entry_arena::block_bytes_for(e.shape(meta).total_bytes()) !=
                                         entry_arena::block_bytes_for(shape.total_bytes())) {
    return false;
  }
  e.store_lengths(shape);
  return true;
}

put_outcome store::outcome_of(condition when, const finding& f) noexcept {
  if (f.allowed) {
    if (f.present && f.expired) count_eviction(eviction_cause::expired);
    return f.present && !f.expired ? put_outcome::replaced : put_outcome::inserted;
  }
  return when == condition::if_absent ? put_outcome::exists : put_outcome::mismatch;
}

put_outcome store::write_new_block(const write_request& request) noexcept {
  using status = entry_arena::status;
  const std::size_t bytes = request.shape.total_bytes();
  const std::size_t block_bytes = entry_arena::block_bytes_for(bytes);
  shed_for(block_bytes);
  room_effort effort = effort_for(bytes);
  entry_arena::allocation block = arena_.allocate(bytes);
  while (block.outcome != status::ok) {
    const std::size_t wanted =
        block.outcome == status::range_full ? entry_arena::address_bytes_for(bytes) : block_bytes;
    const bool refused = block.outcome == status::out_of_memory;
    const bool may_fit =
        refused ? make_room_after_refusal(wanted, room_maker::refused_for::entries, effort)
                : make_room(wanted, effort);
    if (may_fit) block = arena_.allocate(bytes, effort.reserved.bytes());
    // What was freed is of other sizes. A block that is a little too large costs less than going
    // on.
    if (block.outcome != status::ok && (!may_fit || effort.asked >= asks_before_roomier)) {
      const auto roomier = arena_.allocate_roomier(bytes, may_fit ? entry_arena::excess::small
                                                                  : entry_arena::excess::large);
      if (roomier.outcome == status::ok) {
        block = roomier;
        break;
      }
      if (evict_one_that_fits(bytes)) {
        block = arena_.allocate(bytes);
        if (block.outcome != status::ok) {
          block = arena_.allocate_roomier(bytes, entry_arena::excess::small);
        }
        if (block.outcome == status::ok) break;
      }
    }
    if (!may_fit) return refused ? put_outcome::out_of_memory : put_outcome::no_room;
  }
  effort.reserved.set(0);
  entry fresh = arena_.at(block.handle);
  fresh.write(request.key, request.value, request.expires_at);
  fresh.publish(entry_meta::for_new_entry(current_epoch(), request.shape.has_expiry,
                                          request.shape.extended()));
  if (request.expires_at != never) arena_.note_expiry(block.handle, request.expires_at);
  return link_block(request, block.handle, effort);
}

// Puts the written block into the index, or frees it.
put_outcome store::link_block(const write_request& request, entry_handle fresh,
                              room_effort& effort) noexcept {
  finding found;
  entry_handle unused = fresh; // to be freed: the new block, or the one it replaces
  const auto replace = [&](entry_handle& handle) {
    const entry present = arena_.at(handle);
    const entry_meta before = present.meta();
    found = examine(request, present, before);
    if (!found.allowed) return entry_index::fate::keep;
    entry e = arena_.at(fresh);
    if (!found.expired) {
      e.store_meta(e.meta().with_references(before.touched(current_epoch()).references()));
    }
    unused = handle;
    handle = fresh;
    return entry_index::fate::keep;
  };
  const auto insert = [&] { return index_.insert(request.hash, request.key, fresh, replace); };

  if (request.when == condition::if_equal) { // must not insert
    index_.visit(request.hash, request.key, replace);
    arena_.release(unused);
    return outcome_of(request.when, found);
  }
  const auto can_retry = [&](entry_index::insertion refusal) {
    const std::size_t wanted = index_.growth_step_bytes(request.hash);
    switch (refusal) {
    case entry_index::insertion::over_limit:
      return make_room(wanted, effort);
    case entry_index::insertion::out_of_memory:
      return make_room_after_refusal(wanted, room_maker::refused_for::index, effort);
    default:
      return false;
    }
  };
  entry_index::insertion outcome = insert();
  while (can_retry(outcome)) {
    effort.reserved.set(0); // the table is charged without one
    outcome = insert();
  }
  switch (outcome) {
  case entry_index::insertion::inserted:
    entries_.add(1);
    return put_outcome::inserted;
  case entry_index::insertion::present:
    arena_.release(unused);
    return outcome_of(request.when, found);
  case entry_index::insertion::out_of_memory:
    arena_.release(fresh);
    return put_outcome::out_of_memory;
  case entry_index::insertion::over_limit:
  case entry_index::insertion::full:
    break;
  }
  arena_.release(fresh);
  return put_outcome::no_room;
}

bool store::erase(std::string_view key) noexcept {
  entry_handle gone = no_entry;
  bool expired = false;
  index_.visit(hash_(key), key, [&](entry_handle& handle) {
    const entry e = arena_.at(handle);
    expired = has_expired(e, e.meta());
    gone = handle;
    return entry_index::fate::erase;
  });
  if (gone == no_entry) return false;
  release_unlinked(gone);
  if (expired) count_eviction(eviction_cause::expired);
  return !expired;
}

std::size_t store::clear() noexcept {
  const std::lock_guard lock{maintenance_}; // merging would carry entries past the sweep
  return index_.drain([&](entry_handle handle) { release_unlinked(handle); });
}

// Frees the block of an entry that the index has just given up: nobody else can reach it.
void store::release_unlinked(entry_handle handle) noexcept {
  assert(arena_.at(handle).meta().live()); // pairs with entry_index::insert()
  arena_.release(handle);
  entries_.add(-1);
}

// ---- room -----------------------------------------------------------------------------

// Before a new key: under the limit of entries, where there is one in reach. Who had to evict one
// goes on without another look: what it freed may be taken by others meanwhile, again and again,
// but each of them evicts for what is over then. So the limit is passed by one for each thread at
// most.
bool store::reserve_entry() noexcept {
  if (!entries_limited_ && !index_.is_deepest()) return true;
  const std::size_t entries = size();
  if (entries < max_entries_) return true;
  room_maker* maker = room_maker_.load(std::memory_order_acquire);
  return maker != nullptr && maker->make_room(0, entries + 1 - max_entries_);
}

store::room_effort store::effort_for(std::size_t bytes) noexcept {
  return {.reserved = budget::reservation{budget_},
          .asks = least_asks_per_write + bytes / bytes_for_another_ask,
          .moves = least_moves_per_write + bytes / bytes_for_another_move};
}

// True if the write should try again; false once its effort is spent, or nothing can be evicted.
bool store::make_room(std::size_t wanted_bytes, room_effort& effort) noexcept {
  // What is missing in the budget; all of it if it is addresses that are.
  const std::size_t wanted_pages = round_up_to_pages(wanted_bytes);
  // Small writes find a freed block mostly; large ones gather pages while others write.
  if (wanted_bytes > max_small_block_bytes) effort.reserved.set(wanted_pages);
  const std::size_t missing_bytes = budget_.missing_for(wanted_pages, effort.reserved.bytes());
  const std::size_t needed_bytes =
      missing_bytes == 0 ? wanted_bytes : std::min(missing_bytes, wanted_bytes);
  if (reclaim(needed_bytes, effort)) return true; // costs no entry, or few
  room_maker* maker = room_maker_.load(std::memory_order_acquire);
  if (maker == nullptr || effort.asked == effort.asks || effort.moves == 0) return false;
  const std::size_t share = slab_bytes << std::min<std::size_t>(effort.asked, 4);
  const std::size_t asked =
      effort.asked == 0 ? wanted_bytes
                        : std::clamp(share, wanted_bytes, std::max(wanted_bytes, max_wanted_bytes));
  ++effort.asked;
  return maker->make_room(asked, 0);
}

// The same where the kernel has refused memory.
bool store::make_room_after_refusal(std::size_t wanted_bytes, room_maker::refused_for what,
                                    room_effort& effort) noexcept {
  room_maker* maker = room_maker_.load(std::memory_order_acquire);
  if (maker == nullptr || effort.asked == effort.asks) return false;
  ++effort.asked;
  return maker->make_room_after_refusal(wanted_bytes, what);
}

// Where the limit has fallen, freed blocks are to go back to the kernel: the room_maker may evict
// more than is taken, or writers would fill them as fast as eviction frees them.
void store::shed_for(std::size_t taken_bytes) noexcept {
  if (!budget_.over_limit()) return;
  room_maker* maker = room_maker_.load(std::memory_order_acquire);
  if (maker != nullptr) maker->shed(taken_bytes);
}

// Gives whole slabs back that hold only, or mostly, free blocks; true if that made enough room.
bool store::reclaim(std::size_t wanted_bytes, room_effort& effort) noexcept {
  const std::size_t before = budget_.held_bytes();
  if (arena_.trim() && budget_.held_bytes() + wanted_bytes <= before) return true;
  // While less is free than is wanted, moves would be spent on slabs that eviction may empty yet.
  if (arena_.free_bytes() < wanted_bytes && effort.asked != effort.asks) return false;
  // A small write has other ways to try; a large one needs whole slabs, and what else stands in its
  // way goes as if it were old, if anything may.
  const bool sparing = wanted_bytes <= slab_bytes && effort.asked != effort.asks;
  const auto evict_unspared = [&](entry_ref ref) {
    room_maker* maker = sparing ? nullptr : room_maker_.load(std::memory_order_acquire);
    return maker != nullptr && maker->may_evict(as_if_old, wanted_bytes) &&
           evict(ref, eviction_cause::lru, [](const entry_state&) { return true; }) != 0;
  };
  std::size_t gained = 0;
  entry_arena::urgency how = entry_arena::urgency::pressing;
  while (gained < wanted_bytes && effort.moves != 0) {
    const compactor::result step =
        how == entry_arena::urgency::clearing
            ? compactor_.clear_slab(
                  [&](entry_ref ref) { return evict_for_room(ref, wanted_bytes); }, evict_unspared)
            : compactor_.step(how, effort.moves);
    effort.moves -= std::min(effort.moves, step.moved);
    if (step.outcome == compactor::progress::slab_given_back) {
      gained += slab_bytes;
      continue;
    }
    // As much is free as is wanted, but of many sizes, and no slab's worth of any. More evictions
    // would free more of the same: now what has no place any more goes, slab by slab, as far as the
    // room_maker allows. A small write is given one more chance to find a block.
    const std::size_t asked_before = wanted_bytes > slab_bytes ? 1 : 2;
    if (how == entry_arena::urgency::clearing || effort.asked < asked_before) break;
    how = entry_arena::urgency::clearing;
  }
  return gained >= wanted_bytes;
}

// The room_maker picks by age, in the order of addresses, and a slab holds blocks of one size: many
// evictions in a row may all be of another. Here one of the right size, or a little larger, goes
// that the room_maker allows. False if there is none, or none was found soon.
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

// What lies in a slab is of any age, and the room_maker judges it. Expired entries always go.
bool store::evict_for_room(entry_ref ref, std::size_t wanted_bytes) noexcept {
  room_maker* maker = room_maker_.load(std::memory_order_acquire);
  const epoch now_epoch = current_epoch();
  const auto may_go = [&](const entry_state& e) {
    if (e.expires_at != never && e.expires_at <= now()) return true;
    return maker != nullptr && maker->may_evict(e.meta.age(now_epoch), wanted_bytes);
  };
  return evict(ref, eviction_cause::lru, may_go) != 0;
}

bool store::maintain(unsigned budget_us, bool urgently) noexcept {
  const std::unique_lock lock{maintenance_, std::try_to_lock};
  if (!lock.owns_lock()) return false; // a clear() is under way: nothing to do until it is over
  const std::uint64_t end_ns = thread_cpu_ns() + std::uint64_t{budget_us} * 1000;
  const auto time_left = [&] { return thread_cpu_ns() < end_ns; };
  // Each look may replace a table, which takes longer than all else: one is a slice.
  const std::uint64_t shrinks_before = index_.shrinks();
  while (index_.maintain()) {
    if (!time_left() || index_.shrinks() != shrinks_before) return true;
  }
  const auto urgency = [&] {
    return urgently || budget_.over_limit() ? entry_arena::urgency::pressing
                                            : entry_arena::urgency::background;
  };
  while (compactor_.step(urgency(), moves_per_step).outcome != compactor::progress::none) {
    if (!time_left()) return true;
  }
  arena_.trim();
  return false;
}

bool store::shrink_index() noexcept {
  const std::unique_lock lock{maintenance_, std::try_to_lock};
  return lock.owns_lock() && index_.maintain();
}

// ---- eviction -------------------------------------------------------------------------

std::size_t store::walk(walk_cursor& cursor, std::size_t max_slots,
                        function_ref<void(walked_entry&)> visit) noexcept {
  return arena_.walk(cursor, max_slots, hash_, visit);
}

std::size_t store::walk_expired(walk_cursor& cursor, std::size_t max_slots, std::uint32_t max_slabs,
                                function_ref<void(walked_entry&)> visit) noexcept {
  return arena_.walk_expired(cursor, now(), max_slots, max_slabs, hash_, visit);
}

std::size_t store::evict(entry_ref ref, eviction_cause cause,
                         function_ref<bool(const entry_state&)> still) noexcept {
  bool gone = false;
  bool expired = false;
  index_.visit(ref, [&](entry_handle& handle) {
    const entry e = arena_.at(handle);
    const entry_meta meta = e.meta();
    expired = has_expired(e, meta);
    gone = still({meta, e.expires_at(meta)});
    return gone ? entry_index::fate::erase : entry_index::fate::keep;
  });
  if (!gone) return 0;
  const std::size_t bytes = arena_.block_bytes(ref.handle);
  release_unlinked(ref.handle);
  count_eviction(expired ? eviction_cause::expired : cause);
  return bytes;
}

// What each entry of the batch needs of the index is fetched while the others are worked on.
store::purge_progress store::purge_batch(std::uint32_t slab, std::uint32_t& slot, bool moving,
                                         function_ref<bool(const entry_state&)> goes) noexcept {
  struct found {
    entry_ref ref;
    bool goes;
  };
  std::array<found, entry_arena::walk_batch_slots> batch;
  std::size_t count = 0;
  purge_progress done;
  done.at_end = !arena_.walk_within(slab, slot, hash_, [&](walked_entry& e) {
    const bool evicted = goes({e.meta(), e.expires_at()});
    if (!evicted && !moving) return;
    batch[count] = {e.ref(), evicted};
    index_.prefetch(batch[count++].ref.hash);
  });
  for (std::size_t i = 0; i < count; ++i) {
    const found& e = batch[i];
    if (!e.goes) {
      compactor_.move_out(e.ref, slab);
      continue;
    }
    done.evicted_bytes += evict(e.ref, eviction_cause::emergency, goes);
  }
  return done;
}

void store::count_eviction(eviction_cause cause) noexcept {
  evictions_[static_cast<std::size_t>(cause)].fetch_add(1, std::memory_order_relaxed);
}

// ---- time and figures -----------------------------------------------------------------

void store::advance_clock(tick now) noexcept {
  tick before = now_.load(std::memory_order_relaxed);
  while (before < now && !now_.compare_exchange_weak(before, now, std::memory_order_relaxed)) {
  }
}

std::size_t store::size() const noexcept { return entries_.value(); }

std::string_view store::check_invariants() {
  return find_broken_invariant(arena_, index_, budget_, hash_, size());
}

cache_stats store::stats() const noexcept {
  cache_stats s;
  s.entries = size();
  s.live_bytes = live_bytes();
  s.free_bytes = free_bytes();
  s.index_bytes = index_bytes();
  s.held_bytes = held_bytes();
  for (std::size_t i = 0; i < eviction_cause_count; ++i) {
    s.evictions[i] = evictions_[i].load(std::memory_order_relaxed);
  }
  s.index_growths = index_.growths();
  s.index_shrinks = index_.shrinks();
  s.entries_moved = compactor_.entries_moved();
  s.longest_growth_step_ns = index_.longest_step_ns();
  s.longest_move_slice_ns = compactor_.longest_step_ns();
  return s;
}

} // namespace kvcache
