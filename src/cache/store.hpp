// The store: combines index and entry arena into the operations of kvcache::cache, and lets
// eviction pick and remove entries. Concurrency is described at the top of store.cpp.
//
// Thread-safety: every member may be called by any thread at any time unless it says otherwise.
// Ownership: owns all entry memory and tables; borrows the memory_source and the room_maker, which
// must outlive it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string_view>

#include "cache/access_clock.hpp"
#include "cache/budget.hpp"
#include "cache/compactor.hpp"
#include "cache/entry.hpp"
#include "cache/entry_arena.hpp"
#include "cache/ghost_table.hpp"
#include "cache/index.hpp"
#include "cache/keyed_hash.hpp"
#include "cache/load_filter.hpp"
#include "cache/memory_source.hpp"
#include "cache/reuse_counts.hpp"
#include "cache/room_maker.hpp"
#include "cache/striped_counter.hpp"
#include "cache/walk.hpp"
#include "kvcache/cache.hpp"
#include "kvcache/cache_options.hpp"
#include "kvcache/cache_stats.hpp"
#include "kvcache/function_ref.hpp"

namespace kvcache {

// An entry as a snapshot holds it, valid only during the call that receives it.
struct saved_entry {
  std::string_view key;
  entry_view view;
  entry_meta meta;
};

// An entry to be loaded: from a snapshot.
struct older_entry {
  std::string_view key;
  std::size_t value_bytes = 0; // with its suffix
  std::uint8_t mark = 0;
  tick expires_at = never;
  unsigned references = 0;
  unsigned uses = 0;
  epoch age_epochs = 0; // since its last access
};

enum class load_outcome : std::uint8_t {
  loaded,
  superseded, // the key is present, or was written since the load began
  ended,      // no more is loaded: the store was cleared
  no_room,    // nothing is evicted for it
  unreadable  // its value could not be written, or it is none
};

class store {
public:
  // Throws std::bad_alloc if there is no memory for the first tables, or no address range.
  explicit store(const cache_options& options, memory_source& source = system_memory_source(),
                 const table_limits& tables = {});
  store(const store&) = delete;
  store& operator=(const store&) = delete;

  // ---- operations: see kvcache/cache.hpp ----------------------------------------------
  bool get(std::string_view key, cache::value_visitor visit) noexcept;
  bool peek(std::string_view key, cache::value_visitor visit) const noexcept;
  bool get_marked(std::string_view key, cache::marked_visitor visit) noexcept;
  bool read(std::string_view key, cache::entry_visitor visit) noexcept;
  bool inspect(std::string_view key, cache::entry_visitor visit) noexcept;
  bool prefetch_pays() const noexcept;
  void prefetch(std::string_view key) const noexcept { index_.prefetch(hash_(key)); }
  void prefetch_entry(std::string_view key) const noexcept { index_.prefetch_entry(hash_(key)); }
  put_outcome put(std::string_view key, std::string_view value, tick expires_at) noexcept;
  put_outcome put_if_absent(std::string_view key, std::string_view value,
                            tick expires_at) noexcept {
    return put_if(key, {value}, expires_at,
                  [](const entry_view* present) { return present == nullptr; });
  }
  put_outcome compare_and_swap(std::string_view key, std::string_view expected,
                               std::string_view desired, tick expires_at) noexcept {
    return put_if(key, {desired}, expires_at, [expected](const entry_view* present) {
      return present != nullptr && present->value() == expected;
    });
  }
  put_outcome put_if(std::string_view key, const new_value& value, tick expires_at,
                     precondition when) noexcept;
  bool erase(std::string_view key) noexcept;
  erase_outcome erase_if(std::string_view key, precondition when) noexcept;
  touch_outcome touch_if(std::string_view key, tick expires_at, precondition when) noexcept;
  std::size_t clear() noexcept;
  // `urgently`: compacts even where many entries must be moved for a slab.
  bool maintain(unsigned budget_us, bool urgently = false) noexcept; // one caller at a time

  // ---- large values -------------------------------------------------------------------
  pinned_value pin(entry_handle block, std::string_view value) noexcept {
    arena_.pin(block);
    return {this, block, value};
  }
  void unpin(entry_handle block) noexcept { arena_.unpin(block); }
  std::size_t detached_bytes(entry_handle block) const noexcept {
    return arena_.detached_bytes(block);
  }
  std::size_t detached_bytes() const noexcept { return arena_.detached_bytes(); }
  std::size_t addressable_limit_bytes() const noexcept { return arena_.addressable_limit_bytes(); }
  void populate(char* start, std::size_t bytes) noexcept { arena_.populate(start, bytes); }
  value_upload begin_upload(std::string_view key, std::size_t most_bytes) noexcept;
  put_outcome finish_upload(const value_upload& upload, const new_value& value, tick expires_at,
                            precondition when) noexcept;
  void abandon_upload(const value_upload& upload) noexcept {
    arena_.abandon(upload.block_, upload.resident_bytes());
  }

  // ---- time ---------------------------------------------------------------------------
  tick now() const noexcept { return now_.load(std::memory_order_relaxed); }
  void advance_clock(tick now) noexcept;

  // The logical clock that stamps accesses: see access_clock.
  epoch current_epoch() const noexcept { return accesses_.now(); }
  void advance_epoch() noexcept { accesses_.advance(); }
  void set_epoch_accesses(std::uint32_t accesses) noexcept {
    accesses_.set_epoch_accesses(accesses);
  }

  // ---- eviction -----------------------------------------------------------------------
  // Visits the live entries in about `max_slots` slots (an empty slab counts as one) from the
  // cursor on, in the order of addresses, and advances the cursor. Returns the number visited.
  // `visit` runs under the lock of the slab's stripe: it must be short and must not call the store.
  // Collect refs and evict them after the walk has returned.
  std::size_t walk(walk_cursor& cursor, std::size_t max_slots,
                   function_ref<void(walked_entry&)> visit) noexcept;

  // Visits expired entries only, and skips slabs without any at one load each. Ends after about
  // `max_slots` slots, or after `max_slabs` slabs without expired entries. Returns the slots
  // passed: 0 if no slab had any. Like walk() otherwise. An entry is not visited again: evict it. A
  // few that are put at the same moment may be missed; walk() visits those.
  std::size_t walk_expired(walk_cursor& cursor, std::size_t max_slots, std::uint32_t max_slabs,
                           function_ref<void(walked_entry&)> visit) noexcept;

  // What eviction learns from, and the keys that were evicted lately. Empty until eviction calls
  // ghosts().resize(); get and put count and ask by themselves.
  const reuse_counts& reuses() const noexcept { return reuses_; }
  ghost_table& ghosts() noexcept { return ghosts_; }

  // Whether any entry has ever had an expiry.
  bool anything_expires() const noexcept { return arena_.anything_expires(); }

  // All slabs of a walk are below this.
  std::uint32_t walk_end() const noexcept { return arena_.walk_end(); }

  // The state of an entry at the moment of its eviction.
  struct entry_state {
    entry_meta meta;
    tick expires_at = never;
  };
  // Evicts the entry if `ref` still names one and `still` returns true; counts it under `cause`, or
  // as expired if it was. `still` runs under the bucket's lock. Returns the bytes of the freed
  // block, 0 if no entry was evicted.
  std::size_t evict(entry_ref ref, eviction_cause cause,
                    function_ref<bool(const entry_state&)> still) noexcept;

  // ---- purging: slabs are emptied one by one, and their pages returned to the kernel at once
  // Takes that slab out of allocation until end_purge_of(). False if it holds no small blocks, or
  // is out already: its entries may then be evicted, but not moved.
  bool begin_purge_of(std::uint32_t slab) noexcept { return arena_.begin_evacuation_of(slab); }
  struct purge_progress {
    std::size_t evicted_bytes = 0; // of blocks
    bool at_end = false;           // of the slab
  };
  // Visits the next 64 slots of the slab from `slot` on, which it advances: evicts the entries for
  // which `evictable` returns true, and with `moving` moves the others to free blocks of other
  // slabs, as far as there are any. `evictable` runs under locks: it must be short and must not
  // call the store.
  purge_progress purge_batch(std::uint32_t slab, std::uint32_t& slot, bool moving,
                             function_ref<bool(const entry_state&)> evictable) noexcept;
  // Returns the slab's pages to the kernel if it is empty, otherwise the slab to allocation.
  // REQUIRES: begin_purge_of() returned true.
  void end_purge_of(std::uint32_t slab) noexcept { arena_.end_evacuation(slab); }
  // Replaces at most one table that is too large, as maintain() does; false if there is none now.
  bool shrink_index() noexcept; // one caller at a time

  // ---- snapshots: store_snapshot.cpp ----------------------------------------------------
  // Calls `see` under the bucket's lock, unless the entry has gone, moved or expired. False then.
  bool visit(entry_ref ref, function_ref<void(const saved_entry&)> see) noexcept;

  // Visits the live entries in up to 64 slots of that slab from `slot` on, which it advances; false
  // at the end of the slab. The slabs are those below walk_end(). Like walk() otherwise.
  bool walk_slab(std::uint32_t slab, std::uint32_t& slot,
                 function_ref<void(walked_entry&)> visit) noexcept {
    return arena_.walk_within(slab, slot, hash_, visit);
  }
  void prefetch(entry_ref ref) const noexcept { index_.prefetch(ref.hash); }

  // While it exists, maintain() moves no entry unless memory is short: a walk meets every one.
  class unmoved {
  public:
    explicit unmoved(store& entries) noexcept : holds_(entries.unmoved_) { ++holds_; }
    ~unmoved() { --holds_; }
    unmoved(const unmoved&) = delete;
    unmoved& operator=(const unmoved&) = delete;

  private:
    std::atomic<unsigned>& holds_;
  };

  // About so many entries will be loaded: makes tables for them. Until end_loading(), the keys that
  // are written are noted. False if the kernel refuses memory. REQUIRES: called once, before any
  // write.
  bool begin_loading(std::size_t entries) noexcept {
    if (!loads_.begin(entries)) return false;
    index_.reserve(entries); // not shrunk by maintain() until end_loading()
    return true;
  }
  void end_loading() noexcept { loads_.end(); }
  // `write_value` fills the value's memory, and returns whether it could. REQUIRES: begin_loading()
  // returned true.
  load_outcome load(const older_entry& older,
                    function_ref<bool(std::span<char>)> write_value) noexcept;

  // ---- figures, each a few relaxed loads ----------------------------------------------
  std::size_t size() const noexcept;
  // Whether the options limit the entries.
  bool entries_limited() const noexcept { return entries_limited_; }
  // The limit of the options, or the capacity of the index if that is lower.
  std::size_t max_entries() const noexcept { return max_entries_; }
  std::size_t live_bytes() const noexcept { return arena_.live_bytes(); }
  std::size_t free_bytes() const noexcept { return arena_.free_bytes(); }
  std::size_t table_bytes() const noexcept { return index_.bytes(); } // without the ghosts
  std::size_t ghost_bytes() const noexcept { return ghosts_.bytes(); }
  std::size_t index_bytes() const noexcept { return table_bytes() + ghost_bytes(); }
  std::size_t held_bytes() const noexcept { return budget_.held_bytes(); }
  cache_stats stats() const noexcept;

  // Describes the first violated invariant, "" if none is: see invariants.hpp.
  // REQUIRES: no other thread is inside a member.
  std::string_view check_invariants();

  // ---- limits, and the room_maker -----------------------------------------------------
  void set_hold_limit_bytes(std::size_t bytes) noexcept { budget_.set_limit_bytes(bytes); }
  std::size_t hold_limit_bytes() const noexcept { return budget_.limit_bytes(); }
  // Only if it still is `from`: otherwise another thread has set it meanwhile.
  void raise_hold_limit_bytes(std::size_t from, std::size_t to) noexcept {
    budget_.exchange_limit_bytes(from, to);
  }
  void set_room_maker(room_maker* maker) noexcept { room_maker_.store(maker); }

private:
  struct write_request {
    std::string_view key;
    new_value value;
    tick expires_at;
    const precondition* when = nullptr; // always
    std::uint32_t hash = 0;
    std::uint32_t fingerprint = 0; // the rest of the hash
    entry_shape shape{};
  };
  // What a write finds at its key, and whether its condition holds.
  struct finding {
    bool present = false; // there is an entry
    bool expired = false; // it counts as absent
    bool allowed = false; // the condition holds
    bool written = false; // the entry was overwritten in place
  };

  // What one write has spent on making room, and may still spend.
  struct room_effort {
    budget::reservation reserved;  // of the budget, while room is being made
    std::size_t requests_left = 0; // to the room_maker
    std::size_t moves_left = 0;    // of entries
    std::size_t requests = 0;      // so far
    void count_request() noexcept {
      --requests_left;
      ++requests;
    }
  };

  template <class Visit>
  bool access(std::string_view key, Visit visit) noexcept;
  entry_view view(entry_handle handle, entry e, entry_meta meta) noexcept {
    return {this, handle, e.value(meta), meta.mark(), e.expires_at(meta)};
  }
  void count_use(entry_meta before, epoch now) noexcept {
    reuses_.count(before.uses(), age_of(before, now));
  }
  // An access: at most one relaxed store to the entry, none if its stamp is that of this epoch.
  void touch(entry e, entry_meta before) noexcept {
    const epoch now = current_epoch();
    if (!before.accessed_in(now)) touch_in_new_epoch(e, before, now);
  }
  void touch_in_new_epoch(entry e, entry_meta before, epoch now) noexcept;
  entry_meta meta_for_new(const write_request& request, bool is_new) noexcept;
  write_request make_request(std::string_view key, const new_value& value, tick expires_at,
                             const precondition* when, const entry_shape& shape) const noexcept;
  static bool allows_absent(const write_request& request) noexcept;
  put_outcome finish(const write_request& request, finding found) noexcept;
  put_outcome write_new_block(const write_request& request, bool is_new) noexcept;
  put_outcome link_block(const write_request& request, entry_handle fresh,
                         room_effort& effort) noexcept;
  finding examine(const write_request& request, entry_handle handle, entry e,
                  entry_meta meta) noexcept;
  bool overwrite_in_place(entry_handle handle, entry e, entry_meta meta, bool expired,
                          const entry_shape& shape, const new_value& value,
                          tick expires_at) noexcept;
  bool fit_in_place(entry e, entry_meta meta, const entry_shape& shape) const noexcept;
  put_outcome outcome_of(const finding& f) noexcept;

  load_outcome link_loaded(std::string_view key, entry_handle block) noexcept;

  bool has_expired(entry e, entry_meta meta) const noexcept;
  void release_unlinked(entry_handle handle) noexcept;
  void collect_expired(std::uint32_t hash, std::string_view key) noexcept;
  void count_eviction(eviction_cause cause) noexcept;

  // ---- making room: store_room.cpp ------------------------------------------------------
  bool reserve_entry() noexcept;
  room_effort effort_for(std::size_t bytes) noexcept;
  entry_arena::allocation allocate_block(std::size_t bytes, room_effort& effort) noexcept;
  entry_arena::allocation allocate_substitute(std::size_t bytes, bool may_fit_later) noexcept;
  entry_index::insertion insert_into_index(const write_request& request, entry_handle fresh,
                                           entry_index::edit if_present,
                                           room_effort& effort) noexcept;
  bool make_room(std::size_t wanted_bytes, room_effort& effort) noexcept;
  bool make_room_for_adopted(std::size_t bytes, room_effort& effort) noexcept;
  void shed_for(std::size_t taken_bytes) noexcept;
  bool make_room_after_refusal(std::size_t wanted_bytes, room_maker::refused_for what,
                               room_effort& effort) noexcept;
  bool reclaim(std::size_t wanted_bytes, room_effort& effort) noexcept;
  bool evict_for_room(entry_ref ref, std::size_t wanted_bytes) noexcept;
  bool evict_one_that_fits(std::size_t bytes) noexcept;

  const keyed_hash hash_;
  budget budget_;
  entry_arena arena_;
  entry_index index_;
  const std::size_t max_entries_;
  const bool entries_limited_; // by the options
  compactor compactor_;
  striped_counter entries_;
  access_clock accesses_;
  reuse_counts reuses_;
  ghost_table ghosts_;
  load_filter loads_;
  std::atomic<unsigned> unmoved_{0}; // how many want that nothing moves
  std::atomic<tick> now_{0};
  std::atomic<room_maker*> room_maker_{nullptr};
  std::array<striped_counter, eviction_cause_count> evictions_;
  std::atomic<std::uint32_t> next_fitting_slab_{0}; // where evict_one_that_fits() continues
  std::mutex maintenance_;                          // compaction and shrinking exclude clear()
};

} // namespace kvcache
