// Finds entries by key: extendible hashing over many small segments, each a libcuckoo table that
// never resizes itself (cuckoo_table.hpp). The design is described in index.cpp.
//
// A slot is 8 bytes: a handle and the 32 bits of hash that place it, so that tables are replaced
// without reading an entry.
//
// Thread-safety: every member may be called by any thread at any time, except maintain and drain
// (one caller of either at a time). An edit runs under the locks of the entry's two buckets: it
// must be short, and must not call this index or another, allocate, block or log. Ownership: owns
// its tables; the blocks that handles name stay the caller's. Errors: only the constructor and
// check_slots() throw. Complexity: constant expected time; an insertion may replace a table, of
// bounded size.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "cache/budget.hpp"
#include "cache/entry_arena.hpp"
#include "cache/memory_source.hpp"
#include "cache/spin_lock.hpp"
#include "cache/walk.hpp"
#include "kvcache/function_ref.hpp"

namespace kvcache {

// The number of tables at first, and the sizes at which one is packed and then split: see
// index.cpp. The daemon uses the defaults (a step of growth moves at most 12,288 slots); tests
// choose smaller tables, for many splits and merges.
struct table_limits {
  unsigned initial_depth = 0;  // 2^0 tables
  unsigned packed_shape = 9;   // 6,144 slots, then 8,192, 9,216, 10,240 and 12,288
  unsigned largest_depth = 17; // 2^17 tables at most
};

class entry_index {
public:
  enum class fate : std::uint8_t { keep, erase };
  // May change the handle; `erase` removes the slot. What the handle named is then the caller's.
  using edit = function_ref<fate(entry_handle& handle)>;

  enum class insertion : std::uint8_t {
    inserted,
    present,       // the key was present: the edit ran instead
    over_limit,    // the budget refuses a larger table
    out_of_memory, // the kernel refuses a larger table
    full           // no place in its segment, which can neither grow nor be split
  };

  // Throws std::bad_alloc if there is no memory for the first, small tables.
  entry_index(const entry_arena& arena, budget& held, memory_source& source,
              const table_limits& limits = {});
  ~entry_index();
  entry_index(const entry_index&) = delete;
  entry_index& operator=(const entry_index&) = delete;

  // Calls `see` with the entry of that key and its handle, under the same locks as an edit: it may
  // read and change the entry, but not its slot. False if there is none.
  bool find(std::uint32_t hash, std::string_view key,
            function_ref<void(entry_handle, entry)> see) const noexcept;

  // Prefetches what find() will read. A hint: takes no lock, changes nothing.
  void prefetch(std::uint32_t hash) const noexcept;

  // Prefetches the entry that find() will read, if the index has one of that hash. Takes the locks
  // of its buckets, which prefetch() should have fetched before.
  void prefetch_entry(std::uint32_t hash) const noexcept;

  // Runs the edit on the entry of that key, or on exactly that entry; false if there is none.
  bool visit(std::uint32_t hash, std::string_view key, edit on_entry) noexcept;
  bool visit(entry_ref ref, edit on_entry) noexcept;

  // Adds the entry `handle`, or runs the edit if its key is present.
  insertion insert(std::uint32_t hash, std::string_view key, entry_handle handle,
                   edit if_present) noexcept;

  // Makes tables for so many entries, as far as the budget allows: cheaper than growing to them.
  // REQUIRES: it holds few. Others may insert meanwhile.
  void reserve(std::size_t entries) noexcept;

  // Checks the next few segments, and replaces at most one table, or pair of tables, by a smaller
  // one. False once a whole round has found none that is too large.
  bool maintain() noexcept;

  // Removes all slots, table by table, and passes their handles to `take`, under no lock, or under
  // the segment's if there is no memory for an empty table. Returns their number.
  std::size_t drain(function_ref<void(entry_handle)> take) noexcept;

  // Visits all slots, and returns what is wrong with the index itself, "" if nothing is: see
  // invariants.hpp. REQUIRES: no other thread is inside a member.
  std::string_view check_slots(function_ref<void(std::uint32_t hash, entry_handle)> visit);

  // The number of entries it has places for, however unevenly they fall on the segments.
  std::size_t max_entries() const noexcept;
  // Whether it may be near that number; otherwise entries need not be counted.
  bool is_deepest() const noexcept {
    return last_position_.load(std::memory_order_relaxed) + 1 == 1U << limits_.largest_depth;
  }

  // The least that the next growth of this hash's segment takes, until the table it replaces is
  // freed.
  std::size_t growth_step_bytes(std::uint32_t hash) const noexcept;

  std::size_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }
  std::uint64_t growths() const noexcept { return growths_.load(std::memory_order_relaxed); }
  std::uint64_t shrinks() const noexcept { return shrinks_.load(std::memory_order_relaxed); }
  std::uint64_t longest_step_ns() const noexcept {
    return longest_step_ns_.load(std::memory_order_relaxed);
  }

private:
  struct segment;
  struct table_layout;
  struct table { // one of five types, by the slots of its buckets
    void* map = nullptr;
    unsigned shape = 0;
    unsigned bucket_slots = 0;
  };
  class shared_segment;
  enum class replacement : std::uint8_t { done, over_limit, out_of_memory, at_maximum };
  enum class charging : std::uint8_t { within_limit, always };

  template <class IsWanted>
  bool visit_wanted(std::uint32_t hash, IsWanted is_wanted, edit on_entry) noexcept;

  segment& segment_of(std::uint32_t hash) const noexcept;
  segment& lock_exclusive(std::uint32_t hash) noexcept;

  enum class attempt : std::uint8_t { inserted, present, full };
  attempt insert_into(segment& s, std::uint32_t hash, std::string_view key, entry_handle handle,
                      edit if_present) noexcept;

  replacement grow(std::uint32_t hash, unsigned seen_shape, unsigned seen_depth) noexcept;
  replacement enlarge(std::uint32_t hash, unsigned seen_shape, unsigned seen_depth) noexcept;
  replacement split(std::uint32_t hash, unsigned seen_shape, unsigned seen_depth,
                    unsigned shape) noexcept;
  std::pair<unsigned, unsigned> shape_and_depth(std::uint32_t hash) const noexcept;
  void publish_split(segment& low, const table& high, std::uint32_t high_count) noexcept
      KVCACHE_EXCLUDES(structure_lock_);
  std::size_t empty(segment& s, function_ref<void(entry_handle)> take) noexcept;
  bool shrink(unsigned position) noexcept;
  bool merge(unsigned position) noexcept;
  void point_directory(unsigned prefix, unsigned depth, segment* to) noexcept
      KVCACHE_REQUIRES(structure_lock_);
  segment& unused_segment() noexcept KVCACHE_REQUIRES(structure_lock_);

  static constexpr unsigned packed_shapes = 5; // from limits_.packed_shape on
  unsigned largest_shape() const noexcept { return limits_.packed_shape + packed_shapes - 1; }
  // The shape of both halves of a split segment.
  unsigned split_shape() const noexcept { return limits_.packed_shape + 1; }
  table_layout layout_of(unsigned shape) const noexcept;
  std::size_t table_bytes(unsigned shape) const noexcept;
  unsigned smallest_shape_for(std::size_t entries) const noexcept;
  bool merges(std::size_t entries) const noexcept;

  static bool copy_slots(const table& from, const table& to) noexcept;
  static bool distribute_slots(const table& from, unsigned depth, const table& low,
                               const table& high, std::uint32_t& high_count) noexcept;

  replacement build(unsigned shape, charging how, table& fresh) noexcept;
  void destroy(const table& old) noexcept;
  void release_memory() noexcept;

  const entry_arena& arena_;
  budget& budget_;
  memory_source& source_;
  const table_limits limits_;

  // Indexed by the low directory bits of a hash. Segments are never freed, only reused, so a stale
  // pointer is harmless: what the segment covers is checked under its lock.
  std::atomic<segment*>* directory_ = nullptr;
  std::atomic<unsigned> last_position_; // in the directory: 2^depth - 1
  // The segment while there is only one, otherwise null. Unlike the directory it does not depend on
  // the hash, so the processor can fetch the table before the hash is known.
  std::atomic<segment*> only_segment_{nullptr};
  segment* segments_ = nullptr;

  spin_lock structure_lock_; // directory and segment list; taken inside segment locks
  unsigned segments_made_ KVCACHE_GUARDED_BY(structure_lock_) = 0;
  segment* unused_ KVCACHE_GUARDED_BY(structure_lock_) = nullptr;

  // Used by maintain() only: the next directory position, and how many in a row needed no change.
  unsigned maintain_at_ = 0;
  unsigned maintain_idle_ = 0;
  std::atomic<unsigned> growths_to_refuse_{0}; // after a refusal by the kernel
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::uint64_t> growths_{0};
  std::atomic<std::uint64_t> shrinks_{0};
  std::atomic<std::uint64_t> longest_step_ns_{0};
};

} // namespace kvcache
