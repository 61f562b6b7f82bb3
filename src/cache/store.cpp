// Concurrency
// ===========
// One rule: *an entry may be read and changed only under the lock of its bucket in the index, and
// the index is the only authority on which entries live.* Every operation takes the locks of its
// key's two buckets. A handle found there names a complete block that cannot be freed before the
// lock is released, because a block is freed only after its handle has been removed or replaced
// under that lock. So there are no epochs and no grace period, entries need no reference count, and
// a freed block can be reused immediately.
//
//   get      finds the handle and copies the value out, under the bucket's lock.
//   put      overwrites a value of the same block size in place, under the lock. Otherwise it
//            writes a new block outside all locks, swaps the handle under the lock, and then frees
//            the old block.
//   evict    names an entry by hash and handle only (walk.hpp). Under the bucket's lock it searches
//            for that very handle. If the handle is absent, the entry was erased, moved or
//            replaced, and no memory that may have been reused is read. If it is present, the
//            predicate decides by the entry's present state.
//   move     makes the same check, then copies the block and changes the handle, under the lock.
//            Readers see either the old block or the new one.
//   walk     reads what may be read without the bucket's lock: meta, lengths and expiry, which are
//            atomic, and the key, which never changes. It holds the lock of the stripe that owns
//            the slab, so no block there can be freed and reused meanwhile.
//
//   pin      holds a large block, under the bucket's lock, beyond the release of its entry. Such a
//            block is given back when its last hold is gone. Only large blocks have a count of
//            holds, in their slab's descriptor: smaller values are copied under the lock.
//   upload   writes a block that no other thread knows, and puts it into the index like any other.
//
// Rejected: epoch-based reclamation and hazard pointers (freed blocks would stay for a while, which
// the accounting would have to follow); reference counts (four bytes an entry and a shared write
// for every read).
//
// Lock order: segment -> bucket (libcuckoo), segment -> stripe (drain), segment -> structure.
// Never: stripe -> segment, bucket -> stripe. Budget, page pool and counters are leaves. The
// room_maker is called under no lock, except may_evict(), under the bucket's.
//
// How a write gets memory when the budget or the kernel refuses it: store_room.cpp.
#include "cache/store.hpp"

#include <algorithm>
#include <cassert>
#include <random>

#include "cache/invariants.hpp"
#include "cache/thread_cpu_time.hpp"
#include "memory/meminfo.hpp"

namespace kvcache {
namespace {

// Longer values are not copied under the bucket's lock, which readers wait for, but written to a
// new block first.
constexpr std::size_t max_in_place_bytes = 4096;

// Smaller indexes stay in the processor's caches.
constexpr std::size_t index_bytes_worth_prefetching = std::size_t{512} << 10;

// Entries moved between two checks of the time.
constexpr std::size_t moves_per_step = 64;

keyed_hash make_hash(const cache_options& options) {
  if (options.hash_seed) return {options.hash_seed->first, options.hash_seed->second};
  std::random_device random;
  const auto draw = [&] { return std::uint64_t{random()} << 32 | random(); };
  const std::uint64_t k0 = draw();
  return {k0, draw()};
}

// The workers, and others beside them.
unsigned counter_stripes(const cache_options& options) { return 2 * std::max(options.stripes, 1U); }

addressing addressing_for(const cache_options& options) noexcept {
  for (const std::size_t limit : {options.largest_limit_bytes, options.hold_limit_bytes}) {
    if (limit != 0) return addressing::for_limit(limit);
  }
  return addressing::for_limit(read_machine_memory().total_bytes);
}

} // namespace

store::store(const cache_options& options, memory_source& source, const table_limits& tables)
    : hash_(make_hash(options)),
      budget_(options.hold_limit_bytes),
      arena_(options.stripes, budget_, source, addressing_for(options)),
      index_(arena_, budget_, source, tables),
      max_entries_(options.max_entries == 0 ? index_.max_entries()
                                            : std::min(options.max_entries, index_.max_entries())),
      entries_limited_(options.max_entries != 0),
      compactor_(arena_, index_, hash_),
      entries_(counter_stripes(options)),
      accesses_(options.stripes),
      reuses_(options.stripes),
      ghosts_(budget_, source),
      loads_(source),
      evictions_{
          striped_counter{counter_stripes(options)}, striped_counter{counter_stripes(options)},
          striped_counter{counter_stripes(options)}, striped_counter{counter_stripes(options)},
          striped_counter{counter_stripes(options)}} {}

// ---- reading --------------------------------------------------------------------------
// get and put are flattened, each with its own copy of the lookup: a call would cost a tenth of
// their instructions. Rare cases stay out of line.

// Out of line: it would cost the lookup registers.
[[gnu::noinline]] void store::touch_in_new_epoch(entry e, entry_meta before, epoch now) noexcept {
  e.store_meta(before.touched(now));
  count_use(before, now);
}

template <class Visit>
inline bool store::access(std::string_view key, Visit visit) noexcept {
  const std::uint32_t hash = hash_(key);
  bool hit = false;
  const bool found = index_.find(hash, key, [&](entry_handle handle, entry e) {
    const entry_meta meta = e.meta();
    if (has_expired(e, meta)) return;
    hit = true;
    touch(e, meta);
    visit(handle, e, meta);
  });
  if (hit) accesses_.count_access();
  if (found && !hit) collect_expired(hash, key);
  return hit;
}

[[gnu::flatten]] bool store::get(std::string_view key, cache::value_visitor visit) noexcept {
  return access(key,
                [&](entry_handle, entry e, entry_meta meta) noexcept { visit(e.value(meta)); });
}

[[gnu::flatten]] bool store::get_marked(std::string_view key,
                                        cache::marked_visitor visit) noexcept {
  return access(key, [&](entry_handle, entry e, entry_meta meta) noexcept {
    visit(e.value(meta), meta.mark());
  });
}

[[gnu::flatten]] bool store::read(std::string_view key, cache::entry_visitor visit) noexcept {
  return access(key, [&](entry_handle handle, entry e, entry_meta meta) noexcept {
    visit(view(handle, e, meta));
  });
}

bool store::inspect(std::string_view key, cache::entry_visitor visit) noexcept {
  bool hit = false;
  index_.find(hash_(key), key, [&](entry_handle handle, entry e) {
    const entry_meta meta = e.meta();
    if (has_expired(e, meta)) return;
    hit = true;
    visit(view(handle, e, meta));
  });
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
  if (!meta.has_expiry()) return false;
  const tick expires_at = e.expires_at(meta);
  return expires_at != never && expires_at <= now();
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

// Most writes replace a value of the same size: the fast path tries that with as few instructions
// as possible.
[[gnu::flatten]] put_outcome store::put(std::string_view key, std::string_view value,
                                        tick expires_at) noexcept {
  if (std::max(key.size(), value.size()) > cache::max_item_bytes) return put_outcome::too_large;
  const std::uint64_t wide = hash_.wide(key);
  const auto hash = static_cast<std::uint32_t>(wide >> 32);
  loads_.note_write(hash);
  const entry_shape shape = entry_shape::of(key.size(), value.size(), expires_at);
  finding found;
  index_.find(hash, key, [this, shape, value, expires_at, &found](entry_handle handle, entry e) {
    const entry_meta meta = e.meta();
    const bool expired = has_expired(e, meta);
    const bool written = overwrite_in_place(handle, e, meta, expired, shape, {value}, expires_at);
    found = {.present = true, .expired = expired, .allowed = true, .written = written};
  });
  accesses_.count_access();
  if (found.written) return outcome_of(found);
  return finish({key, {value}, expires_at, nullptr, hash, static_cast<std::uint32_t>(wide), shape},
                found);
}

put_outcome store::put_if(std::string_view key, const new_value& value, tick expires_at,
                          precondition when) noexcept {
  const std::size_t value_bytes = value.bytes.size() + value.suffix.size();
  if (std::max(key.size(), value_bytes) > cache::max_item_bytes) return put_outcome::too_large;
  const write_request request = make_request(key, value, expires_at, &when,
                                             entry_shape::of(key.size(), value_bytes, expires_at));
  loads_.note_write(request.hash);
  finding found;
  index_.find(request.hash, key, [&](entry_handle handle, entry e) {
    const entry_meta meta = e.meta();
    found = examine(request, handle, e, meta);
    found.written = found.allowed && overwrite_in_place(handle, e, meta, found.expired,
                                                        request.shape, value, expires_at);
  });
  accesses_.count_access();
  return finish(request, found);
}

store::write_request store::make_request(std::string_view key, const new_value& value,
                                         tick expires_at, const precondition* when,
                                         const entry_shape& shape) const noexcept {
  const std::uint64_t wide = hash_.wide(key);
  return {key,
          value,
          expires_at,
          when,
          static_cast<std::uint32_t>(wide >> 32),
          static_cast<std::uint32_t>(wide),
          shape};
}

// Completes a write after its key has been looked up.
[[gnu::noinline]] put_outcome store::finish(const write_request& request, finding found) noexcept {
  if (!found.present) found.allowed = allows_absent(request);
  if (found.written || !found.allowed) return outcome_of(found);
  if (!found.present && !reserve_entry()) return put_outcome::no_room;
  return write_new_block(request, !found.present);
}

bool store::allows_absent(const write_request& request) noexcept {
  return request.when == nullptr || (*request.when)(nullptr);
}

// REQUIRES: the bucket's lock is held.
store::finding store::examine(const write_request& request, entry_handle handle, entry e,
                              entry_meta meta) noexcept {
  finding f{.present = true, .expired = has_expired(e, meta)};
  if (request.when == nullptr) {
    f.allowed = true;
  } else {
    const entry_view present = view(handle, e, meta);
    f.allowed = (*request.when)(f.expired ? nullptr : &present);
  }
  return f;
}

// REQUIRES: the bucket's lock is held.
inline bool store::overwrite_in_place(entry_handle handle, entry e, entry_meta meta, bool expired,
                                      const entry_shape& shape, const new_value& value,
                                      tick expires_at) noexcept {
  if (shape.value_bytes > max_in_place_bytes) return false;
  if (!e.has_shape(meta, shape) && !fit_in_place(e, meta, shape)) return false;
  e.assign_value(meta, shape.key_bytes, value, expires_at);
  if (expired) { // counts as a new entry, without the accesses of the old one
    e.store_meta(
        entry_meta::for_new_entry(current_epoch(), meta.has_expiry(), meta.extended(), value.mark));
  } else {
    const epoch now = current_epoch();
    const entry_meta after = meta.with_mark(value.mark).touched(now);
    if (after != meta) {
      e.store_meta(after);
      if (after.stamp() != meta.stamp()) count_use(meta, now);
    }
  }
  if (expires_at != never) arena_.note_expiry(handle, expires_at);
  return true;
}

// Changes the lengths to those of another value, if that needs a block of the same size: a shorter
// value must not keep a larger block.
[[gnu::noinline]] bool store::fit_in_place(entry e, entry_meta meta,
                                           const entry_shape& shape) const noexcept {
  const std::size_t bytes = arena_.block_bytes_for(shape.total_bytes());
  if (bytes > max_small_block_bytes || !e.same_layout(meta, shape) || // a large one may be pinned
      bytes != arena_.block_bytes_for(e.shape(meta).total_bytes()))
    return false;
  e.store_lengths(shape);
  return true;
}

put_outcome store::outcome_of(const finding& f) noexcept {
  if (!f.allowed) return put_outcome::precondition_failed;
  if (f.present && f.expired) count_eviction(eviction_cause::expired);
  return f.present && !f.expired ? put_outcome::replaced : put_outcome::inserted;
}

// An entry whose key was evicted lately starts with its earlier uses, and this one.
entry_meta store::meta_for_new(const write_request& request, bool is_new) noexcept {
  const entry_meta meta = entry_meta::for_new_entry(current_epoch(), request.shape.has_expiry,
                                                    request.shape.extended(), request.value.mark);
  if (!is_new) return meta; // link_block() sets its uses
  const std::optional<unsigned> uses = ghosts_.take(request.hash, request.fingerprint);
  return uses ? meta.with_uses(std::min(*uses + 1, entry_meta::max_uses)) : meta;
}

put_outcome store::write_new_block(const write_request& request, bool is_new) noexcept {
  using status = entry_arena::status;
  room_effort effort = effort_for(request.shape.total_bytes());
  const entry_arena::allocation block = allocate_block(request.shape.total_bytes(), effort);
  if (block.outcome == status::out_of_memory) return put_outcome::out_of_memory;
  if (block.outcome != status::ok) return put_outcome::no_room;
  effort.reserved.set(0);
  entry fresh = arena_.at(block.handle);
  fresh.write(request.key, request.value, request.expires_at);
  fresh.publish(meta_for_new(request, is_new));
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
    found = examine(request, handle, present, before);
    if (!found.allowed) return entry_index::fate::keep;
    entry e = arena_.at(fresh);
    if (!found.expired) {
      const epoch now = current_epoch();
      const entry_meta after = before.touched(now);
      if (after != before) count_use(before, now);
      e.store_meta(e.meta().with_references(after.references()).with_uses(after.uses()));
    }
    unused = handle;
    handle = fresh;
    return entry_index::fate::keep;
  };
  if (!allows_absent(request)) { // must not insert
    index_.visit(request.hash, request.key, replace);
    arena_.release(unused);
    return outcome_of(found);
  }
  const entry_index::insertion outcome = insert_into_index(request, fresh, replace, effort);
  switch (outcome) {
  case entry_index::insertion::inserted:
    entries_.add(1);
    return put_outcome::inserted;
  case entry_index::insertion::present:
    arena_.release(unused);
    return outcome_of(found);
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
  const std::uint32_t hash = hash_(key);
  loads_.note_write(hash);
  index_.visit(hash, key, [&](entry_handle& handle) {
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

erase_outcome store::erase_if(std::string_view key, precondition when) noexcept {
  entry_handle gone = no_entry;
  erase_outcome outcome = erase_outcome::absent;
  const std::uint32_t hash = hash_(key);
  loads_.note_write(hash);
  index_.visit(hash, key, [&](entry_handle& handle) {
    const entry e = arena_.at(handle);
    const entry_meta meta = e.meta();
    if (!has_expired(e, meta)) {
      const entry_view present = view(handle, e, meta);
      outcome = when(&present) ? erase_outcome::erased : erase_outcome::refused;
    }
    if (outcome == erase_outcome::refused) return entry_index::fate::keep;
    gone = handle;
    return entry_index::fate::erase;
  });
  if (gone == no_entry) return outcome;
  release_unlinked(gone);
  if (outcome == erase_outcome::absent) count_eviction(eviction_cause::expired);
  return outcome;
}

std::size_t store::clear() noexcept {
  loads_.end();
  const std::lock_guard lock{maintenance_}; // a merge would move entries past the drain
  return index_.drain([&](entry_handle handle) { release_unlinked(handle); });
}

// Frees the block of an entry that was just removed from the index: no other thread can reach it.
void store::release_unlinked(entry_handle handle) noexcept {
  assert(arena_.at(handle).meta().live()); // pairs with entry_index::insert()
  arena_.release(handle);
  entries_.add(-1);
}

bool store::maintain(unsigned budget_us, bool urgently) noexcept {
  const std::unique_lock lock{maintenance_, std::try_to_lock};
  if (!lock.owns_lock()) return false; // a clear() is under way
  const std::uint64_t end_ns = thread_cpu_ns() + std::uint64_t{budget_us} * 1000;
  const auto time_left = [&] { return thread_cpu_ns() < end_ns; };
  // Each call may replace a table, which takes longer than all else.
  const std::uint64_t shrinks_before = index_.shrinks();
  // Tables for the entries of a load are still empty.
  while ((urgently || !loads_.is_loading()) && index_.maintain()) {
    if (!time_left() || index_.shrinks() != shrinks_before) return true;
  }
  const auto urgency = [&] {
    return urgently || budget_.over_limit() ? entry_arena::urgency::pressing
                                            : entry_arena::urgency::background;
  };
  const bool rests = unmoved_.load(std::memory_order_relaxed) != 0 &&
                     urgency() == entry_arena::urgency::background;
  while (!rests &&
         compactor_.step(urgency(), moves_per_step).outcome != compactor::progress::none) {
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

// The buckets that each entry of the batch needs are prefetched while the others are worked on.
store::purge_progress
store::purge_batch(std::uint32_t slab, std::uint32_t& slot, bool moving,
                   function_ref<bool(const entry_state&)> evictable) noexcept {
  struct found {
    entry_ref ref;
    bool evictable;
  };
  std::array<found, entry_arena::walk_batch_slots> batch;
  std::size_t count = 0;
  purge_progress done;
  done.at_end = !arena_.walk_within(slab, slot, hash_, [&](walked_entry& e) {
    const bool evicts = evictable({e.meta(), e.expires_at()});
    if (!evicts && !moving) return;
    batch[count] = {e.ref(), evicts};
    index_.prefetch(batch[count++].ref.hash);
  });
  for (std::size_t i = 0; i < count; ++i) {
    const found& e = batch[i];
    if (e.evictable) {
      done.evicted_bytes += evict(e.ref, eviction_cause::emergency, evictable);
    } else {
      compactor_.move_out(e.ref, slab);
    }
  }
  return done;
}

void store::count_eviction(eviction_cause cause) noexcept {
  evictions_[static_cast<std::size_t>(cause)].add(1);
}

// ---- time and figures -----------------------------------------------------------------

void store::advance_clock(tick now) noexcept {
  tick before = now_.load(std::memory_order_relaxed);
  while (before < now && !now_.compare_exchange_weak(before, now, std::memory_order_relaxed)) {
  }
}

std::size_t store::size() const noexcept { return entries_.value(); }

std::string_view store::check_invariants() {
  return find_broken_invariant(arena_, index_, ghosts_, budget_, hash_, size());
}

cache_stats store::stats() const noexcept {
  cache_stats s;
  s.entries = size();
  s.live_bytes = live_bytes();
  s.free_bytes = free_bytes();
  s.index_bytes = index_bytes();
  s.held_bytes = held_bytes();
  for (std::size_t i = 0; i < eviction_cause_count; ++i) {
    s.evictions[i] = evictions_[i].value();
  }
  s.index_growths = index_.growths();
  s.index_shrinks = index_.shrinks();
  s.entries_moved = compactor_.entries_moved();
  s.longest_growth_step_ns = index_.longest_step_ns();
  s.longest_move_slice_ns = compactor_.longest_step_ns();
  return s;
}

} // namespace kvcache
