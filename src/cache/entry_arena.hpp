// Memory for entries: blocks of exact sizes (size_classes.hpp) cut from slabs of 64 KiB, larger
// blocks as runs of pages. No malloc, no header in front of a block, every byte accounted for.
//
// Stripes: every slab belongs to one stripe, which has its own lock and serves the threads that map
// to it. A thread allocates from its stripe; if that has no free block it takes freed blocks of
// other stripes before a new slab, so that no freed block stays unused. A free goes to the stripe
// that owns the slab, whichever thread frees. All threads share a lock only for taking or returning
// a slab.
//
// Sparse slabs: slabs with free blocks are grouped by fullness. Allocation uses the fullest, so
// that sparse ones become empty; compaction (compactor.hpp) takes the sparsest out of allocation,
// moves its entries and returns its pages. An empty slab is returned to the kernel immediately,
// except the last one of its class that has free blocks, which trim() returns.
//
// Thread-safety: every member may be called by any thread at any time, for blocks the caller owns.
// Ownership: owns all slabs; borrows budget and memory source.
// Accounting: pages are charged to the budget before they are first touched.
// Errors: refusals are reported as status; only the constructor throws.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "cache/addressing.hpp"
#include "cache/budget.hpp"
#include "cache/entry.hpp"
#include "cache/keyed_hash.hpp"
#include "cache/memory_source.hpp"
#include "cache/size_classes.hpp"
#include "cache/slab_pool.hpp"
#include "cache/spin_lock.hpp"
#include "cache/walk.hpp"
#include "kvcache/function_ref.hpp"

namespace kvcache {

class entry_arena {
public:
  enum class status : std::uint8_t {
    ok,
    over_limit,   // the budget is used up
    range_full,   // the addresses are: large blocks take whole slabs of them (not of memory)
    out_of_memory // the kernel refused
  };
  struct allocation {
    status outcome = status::ok;
    entry_handle handle = no_entry;
  };

  // Slots that a walk visits before it releases the stripe's lock: some microseconds at most.
  static constexpr std::size_t walk_batch_slots = 64;

  // Throws std::bad_alloc.
  entry_arena(unsigned stripes, budget& held, memory_source& source, addressing how = {});
  ~entry_arena();
  entry_arena(const entry_arena&) = delete;
  entry_arena& operator=(const entry_arena&) = delete;

  // A block of at least `bytes` (> 0), not live; to be freed by release(). `reserved_bytes`: what
  // the caller has reserved of the budget.
  allocation allocate(std::size_t bytes, std::size_t reserved_bytes = 0) noexcept;

  // A freed block that is larger than needed: by a quarter at most (or 32 bytes), or by as much
  // again (or 128 bytes).
  enum class excess : std::uint8_t { small, large };
  allocation allocate_roomier(std::size_t bytes, excess allowed) noexcept;

  // REQUIRES: no other thread can reach the block except by a walk.
  void release(entry_handle handle) noexcept;

  // ---- large blocks: each lies in slabs of its own -------------------------------------
  // Keeps the block's bytes after release(), until unpin(). REQUIRES: a large block, which the
  // caller prevents from being released now.
  void pin(entry_handle handle) noexcept;
  void unpin(entry_handle handle) noexcept;
  // A pin's share of the block's bytes if it has been released, else 0. REQUIRES: it is pinned.
  std::size_t detached_bytes(entry_handle handle) const noexcept;
  // Of all blocks that have been released and are pinned.
  std::size_t detached_bytes() const noexcept {
    return detached_bytes_.load(std::memory_order_relaxed);
  }

  // A large block of at most `bytes`, of which only addresses are taken: nothing is charged, and no
  // walk visits it, until adopt().
  allocation reserve(std::size_t bytes) noexcept;
  // A part of its bytes is written to next. A hint.
  void populate(char* start, std::size_t bytes) noexcept { source_.populate(start, bytes); }
  // Frees it; its first `touched` bytes have been written to.
  void abandon(entry_handle handle, std::size_t touched) noexcept;
  // Makes a block of its first `bytes`. Charges them, whatever the limit is: they are in use.
  void adopt(entry_handle handle, std::size_t bytes) noexcept;

  entry at(entry_handle handle) const noexcept { return entry{pool_.base() + offset_of(handle)}; }

  // The size of an allocated block, and of the one that allocate(bytes) would return.
  std::size_t block_bytes(entry_handle handle) const noexcept;
  std::size_t block_bytes_for(std::size_t bytes) const noexcept;

  // The bytes of address space that allocate(bytes) may need.
  static std::size_t address_bytes_for(std::size_t bytes) noexcept;

  // The highest memory limit for which the addresses suffice, whatever the sizes of entries.
  std::size_t addressable_limit_bytes() const noexcept {
    return limit_addressable_with(pool_.range_bytes());
  }

  // See store::walk. `hash` is used to name the entries visited.
  std::size_t walk(walk_cursor& cursor, std::size_t max_slots, const keyed_hash& hash,
                   function_ref<void(walked_entry&)> visit) noexcept;
  std::uint32_t walk_end() const noexcept { return pool_.frontier(); }

  // Visits live entries in up to walk_batch_slots slots of the next slab whose blocks are as large
  // as `bytes` need, or larger as with excess::small, and advances the cursor; returns the slab, 0
  // if there is none within a lap or the next few thousand. REQUIRES: bytes <=
  // max_small_block_bytes. Like walk() otherwise.
  std::uint32_t walk_fitting(walk_cursor& cursor, std::size_t bytes, const keyed_hash& hash,
                             function_ref<void(walked_entry&)> visit) noexcept;

  // ---- expiry ---------------------------------------------------------------------------
  // Records that the live entry in that block expires then. REQUIRES: not `never`.
  void note_expiry(entry_handle handle, tick expires_at) noexcept;
  bool anything_expires() const noexcept {
    return anything_expires_.load(std::memory_order_relaxed);
  }
  // See store::walk_expired.
  std::size_t walk_expired(walk_cursor& cursor, tick now, std::size_t max_slots,
                           std::uint32_t max_slabs, const keyed_hash& hash,
                           function_ref<void(walked_entry&)> visit) noexcept;

  // ---- compaction: used by the compactor -------------------------------------------------
  enum class urgency : std::uint8_t {
    background, // only where a notable part of a class is free
    pressing,   // wherever a slab can be emptied
    clearing    // in the class with the most free bytes
  };
  // Takes a sparse slab out of allocation; 0 if there is none.
  std::uint32_t begin_evacuation(urgency how) noexcept;
  // Takes that slab out of allocation; false if it holds no small blocks, or is out already.
  bool begin_evacuation_of(std::uint32_t slab) noexcept;
  // Visits live entries in up to walk_batch_slots slots of that slab from `from_slot` on, which it
  // advances; false at the end. Like walk() otherwise.
  bool walk_within(std::uint32_t slab, std::uint32_t& from_slot, const keyed_hash& hash,
                   function_ref<void(walked_entry&)> visit) noexcept;
  // Lists live entries in the same way.
  bool list_survivors(std::uint32_t slab, std::uint32_t& from_slot, const keyed_hash& hash,
                      std::span<entry_ref> refs, std::size_t& count) noexcept;
  // A block of the same class on held pages of another slab; no_entry if there is none.
  entry_handle allocate_beside(std::uint32_t slab) noexcept;
  // A freed block of a larger class, as with excess::large.
  entry_handle allocate_roomier_beside(std::uint32_t slab) noexcept;
  // Returns the slab's pages if it is empty (true), otherwise the slab to allocation. Ends
  // begin_evacuation() and begin_evacuation_of().
  bool end_evacuation(std::uint32_t slab) noexcept;

  // Returns the pages of kept empty slabs; true if there were any.
  bool trim() noexcept;

  // ---- figures ------------------------------------------------------------------------
  std::size_t live_bytes() const noexcept; // allocated blocks
  std::size_t free_bytes() const noexcept; // freed blocks in held slabs

  // ---- invariants (invariants.cpp). REQUIRES: no other thread is inside a member --------------
  struct census {
    std::size_t held_bytes = 0; // pages and descriptors, slab by slab
    std::size_t blocks = 0;     // allocated
    std::string_view fault{};   // an invariant of the arena's own that does not hold
  };
  census take_census() const noexcept;
  // Whether an allocated block begins there and holds a live entry.
  bool holds_entry(entry_handle handle) const noexcept;

private:
  static constexpr unsigned group_count = 16; // of fullness; full slabs are in none
  static constexpr std::uint16_t no_slot = 0xffff;
  static constexpr std::uint32_t no_slab = 0;

  // A slab's descriptor. Any thread may read `owner`. `large`, `klass` and `large_bytes` do not
  // change while a block of the slab is allocated, so the owner of a block may read them; the lock
  // of the stripe that owns the slab guards the rest.
  struct alignas(64) slab {
    std::atomic<std::uint32_t> owner{0}; // stripe + 1; 0: no owner
    std::uint16_t klass = 0;
    bool large = false; // one block, at the start; its further slabs have no owner
    bool evacuating = false;
    bool listed = false;
    bool kept_empty = false; // has no block allocated, and its pages were not returned
    std::uint8_t group = 0;
    std::uint16_t used = 0;   // allocated blocks
    std::uint16_t carved = 0; // blocks ever carved; memory above was never touched
    std::uint16_t first_free = no_slot;
    std::uint32_t touched_bytes = 0; // whole pages, charged
    std::uint32_t next = no_slab;
    std::uint32_t previous = no_slab;
    std::size_t large_bytes = 0;
    std::atomic<std::uint32_t> holds{0}; // on a large block: one until release(), one of each pin
    // No entry in it expires before that, except a few: see note_expiry(). Any thread may write it.
    std::atomic<tick> first_expiry{never};
  };

  // Slabs of one class with free blocks, by fullness.
  struct class_lists {
    std::array<std::uint32_t, group_count> heads{};
    std::uint32_t groups = 0; // bit g: heads[g] is not empty
  };
  // Written under the stripe's lock, read by anyone.
  struct class_counts {
    std::atomic<std::uint32_t> freed{0};  // freed blocks, in evacuating slabs too
    std::atomic<std::uint32_t> carved{0}; // blocks carved in all its slabs
  };

  struct alignas(64) stripe {
    spin_lock lock;
    std::array<class_lists, size_class_count> lists KVCACHE_GUARDED_BY(lock);
    std::atomic<std::size_t> live_bytes{0};
    std::atomic<std::size_t> free_bytes{0};
    std::atomic<std::uint32_t> kept_empty{0}; // slabs
    std::array<class_counts, size_class_count> counts;
  };

  // The means that take_block may use.
  enum class growth : std::uint8_t { charge_pages, held_pages_only, freed_blocks_only };

  allocation allocate_small(size_class c, std::size_t reserved_bytes) noexcept;
  allocation allocate_large(std::size_t bytes, std::size_t reserved_bytes) noexcept;
  allocation take_roomier(size_class c, excess allowed) noexcept;
  allocation take_block(stripe& s, size_class c, growth how,
                        std::size_t reserved_bytes = 0) noexcept KVCACHE_REQUIRES(s.lock);
  std::uint32_t fullest_slab_with_freed_block(const stripe& s, size_class c) const noexcept
      KVCACHE_REQUIRES(s.lock);
  std::uint32_t carve_block(stripe& s, size_class c, growth how,
                            std::size_t reserved_bytes) noexcept KVCACHE_REQUIRES(s.lock);
  bool touch_next_block(slab& from, growth how, std::size_t reserved_bytes) noexcept;
  allocation take_elsewhere(unsigned own, size_class c, growth how,
                            std::size_t reserved_bytes = 0) noexcept;
  allocation take_from_new_slab(unsigned own, size_class c, std::size_t reserved_bytes) noexcept;
  void charge_descriptors() noexcept;

  void list(stripe& s, std::uint32_t index) noexcept KVCACHE_REQUIRES(s.lock);
  void unlist(stripe& s, std::uint32_t index) noexcept KVCACHE_REQUIRES(s.lock);
  void relist(stripe& s, std::uint32_t index) noexcept KVCACHE_REQUIRES(s.lock);
  void disown(stripe& s, std::uint32_t index) noexcept KVCACHE_REQUIRES(s.lock);
  void give_back(std::uint32_t index, std::uint32_t count, std::size_t touched) noexcept;
  bool has_other_room(const stripe& s, const slab& but) const noexcept KVCACHE_REQUIRES(s.lock);
  void release_large(stripe& s, std::uint32_t index) noexcept KVCACHE_EXCLUDES(s.lock);
  void prepare_large(std::uint32_t index, std::size_t bytes) noexcept;
  void own_large(std::uint32_t index) noexcept;
  std::uint32_t sparsest_slab(const stripe& s, size_class c) const noexcept
      KVCACHE_REQUIRES(s.lock);

  struct class_figures {
    std::size_t freed = 0;
    std::size_t carved = 0;
  };
  class_figures figures_of(size_class c) const noexcept;
  static bool worth_evacuating(size_class c, urgency how, class_figures f) noexcept;
  std::optional<size_class> class_to_evacuate(urgency how) const noexcept;

  static void lower_to(std::atomic<tick>& first_expiry, tick expires_at) noexcept;

  std::size_t walk_slab(walk_cursor& cursor, std::size_t max_slots, const keyed_hash& hash,
                        function_ref<void(walked_entry&)> visit) noexcept;

  bool has_blocks_of(std::uint32_t index, size_class least, size_class most) noexcept;
  std::string_view fault_of(std::uint32_t index) const noexcept;

  stripe* owner_of(std::uint32_t index) const noexcept;
  std::size_t sum_over_stripes(std::atomic<std::size_t> stripe::*figure) const noexcept;
  std::byte* slab_start(std::uint32_t index) const noexcept {
    return pool_.base() + std::size_t{index} * slab_bytes;
  }
  entry_handle handle_of(std::uint32_t index, std::size_t offset) const noexcept {
    return static_cast<entry_handle>((std::size_t{index} * slab_bytes + offset) >>
                                     addressing_.unit_shift);
  }
  // From the start of the range. A multiplication: one instruction, as a lookup has no shift of
  // variable length that is one.
  std::size_t offset_of(entry_handle handle) const noexcept { return handle * unit_bytes_; }
  std::uint32_t slab_of(entry_handle handle) const noexcept {
    return static_cast<std::uint32_t>(offset_of(handle) / slab_bytes);
  }
  size_class class_for(std::size_t bytes) const noexcept {
    return size_class_of((bytes + unit_bytes_ - 1) & ~(unit_bytes_ - 1));
  }

  budget& budget_;
  memory_source& source_;
  const addressing addressing_;
  const std::size_t unit_bytes_ = addressing_.unit_bytes();
  slab_pool pool_;
  slab* slabs_ = nullptr; // one for each slab of the pool; touched as the frontier advances
  unsigned stripe_count_;
  std::unique_ptr<stripe[]> stripes_;
  std::atomic<std::size_t> detached_bytes_{0};
  std::atomic<std::uint32_t> described_{0};   // slabs whose descriptor has been charged
  std::atomic<bool> anything_expires_{false}; // or ever did
};

} // namespace kvcache
