// Compaction: after random erasures every page holds a few entries, so pages can be returned only
// by moving entries into free blocks of other slabs. The compactor takes the sparsest slab out of
// allocation, moves its entries one at a time under their buckets' locks, and returns its pages.
//
// Thread-safety: every member may be called by any thread at any time; two callers work on
// different slabs. A call may leave a slab half empty: the slab returns to allocation, and a later
// call continues with it, since it is the sparsest then. Ownership: borrows arena, index and hash.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "cache/entry_arena.hpp"
#include "cache/index.hpp"
#include "cache/keyed_hash.hpp"
#include "kvcache/function_ref.hpp"

namespace kvcache {

class compactor {
public:
  compactor(entry_arena& arena, entry_index& index, const keyed_hash& hash) noexcept
      : arena_(arena), index_(index), hash_(hash) {}
  compactor(const compactor&) = delete;
  compactor& operator=(const compactor&) = delete;

  enum class progress : std::uint8_t { none, moved, slab_returned };

  struct result {
    progress outcome = progress::none;
    std::size_t moved = 0; // entries
  };
  // Moves at most about `max_moves` entries out of one slab.
  result step(entry_arena::urgency how, std::size_t max_moves) noexcept;

  // Empties one sparse slab: `evict` is called, under no lock, for each entry that has no free
  // block of its size elsewhere, and returns whether it evicted the entry. Otherwise the entry
  // moves to a larger block, or if there is none, `evict_stranded` is called in the same way.
  // `moved` includes the evicted entries.
  result clear_slab(function_ref<bool(entry_ref)> evict,
                    function_ref<bool(entry_ref)> evict_stranded) noexcept;

  // Moves one entry out of a slab that is out of allocation. False if there is no free block for
  // it, or the entry is not in the index.
  bool move_out(entry_ref ref, std::uint32_t slab) noexcept;

  std::uint64_t entries_moved() const noexcept { return moved_.load(std::memory_order_relaxed); }
  std::uint64_t longest_step_ns() const noexcept {
    return longest_step_ns_.load(std::memory_order_relaxed);
  }

private:
  enum class move : std::uint8_t { done, gone, no_place };
  enum class fate : std::uint8_t { evicted, moved, stays }; // of an entry without a place
  template <class NoPlace>
  result work_on(std::uint32_t slab, std::size_t max_moves, NoPlace&& no_place) noexcept;
  move move_entry(entry_ref ref, std::uint32_t slab) noexcept;
  move move_to(entry_ref ref, entry_handle target) noexcept;

  entry_arena& arena_;
  entry_index& index_;
  const keyed_hash& hash_;
  std::atomic<std::uint64_t> moved_{0};
  std::atomic<std::uint64_t> longest_step_ns_{0};
};

} // namespace kvcache
