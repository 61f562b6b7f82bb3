// Extendible hashing (Fagin et al., 1979) over libcuckoo tables (Fan et al., "MemC3", 2013; Li et
// al., "Algorithmic improvements for fast concurrent cuckoo hashing", 2014).
//
// One table that libcuckoo resizes is no alternative: version 0.3.1 crashes when a table is resized
// under concurrent operations, doubles everything at once, and keeps its old lock arrays. So every
// table is built at its final size, and libcuckoo never resizes one.
//
//   hash bits  24 ... 31, then 0 ... 8   directory position: at most 2^17 segments
//              13 ... 23                 bucket in the table (at most 2,048 buckets)
//               0 ... 12                 make libcuckoo's partial independent of the bucket, as far
//                                        as the segment's entries differ in them: in 8 bits or more
//                                        up to 2^13 segments, in 4 with 2^17
//
// Growth (index_resize.cpp): the inserting thread that finds its segment full builds the next
// larger table, charged to the budget first, locks the segment exclusively, copies the slots, and
// destroys the old table. A segment of the largest size is split in two. One step copies at most as
// many slots as the largest table has, whatever the number of entries.
//
// Table sizes: small tables double and have 4 slots a bucket, whose lock has a cache line of its
// own: while all tables fit the processor's caches, instructions and contention decide. The five
// largest shapes hold the entries of a large index and are packed: 5 to 9 slots a bucket, so fewer
// locks, steps of an eighth to a third, and better filled tables. All segments of an index are
// about equally full, so the largest step decides how much an entry costs at worst. The shape
// before them has 8 slots as well, or it would take more memory than the next.
//
// Concurrency: every operation holds its segment's lock in shared mode while it is inside the
// table, and checks under that lock that the segment still covers its hash. So libcuckoo never
// operates on a table that is being replaced, and no operation misses a key that is being moved.
#include "cache/index.hpp"

#include <cassert>
#include <new>

#include "cache/index_segment.hpp"

namespace kvcache {
namespace {

constexpr std::size_t directory_bytes = max_segments * sizeof(void*);

} // namespace

entry_index::entry_index(const entry_arena& arena, budget& held, memory_source& source,
                         const table_limits& limits)
    : arena_(arena),
      budget_(held),
      source_(source),
      limits_(limits),
      last_position_((1U << limits.initial_depth) - 1) {
  static_assert(sizeof(segment) == 64, "one cache line");
  assert(limits.initial_depth <= limits.largest_depth &&
         limits.largest_depth <= max_directory_depth);
  constexpr table_layout largest = table_layout::of(13, 9);
  static_assert(largest.slots() == 12'288 && largest.buckets <= 1U << 11,
                "the bucket must not use the bits above");
  static_assert(table_layout::grow_in_slots_and_bytes(9));
  assert(1 <= limits.packed_shape && limits.packed_shape <= 9);
  directory_ = static_cast<std::atomic<segment*>*>(source_.map(round_up_to_pages(directory_bytes)));
  segments_ = static_cast<segment*>(source_.map(round_up_to_pages(max_segments * sizeof(segment))));
  bool whole = directory_ != nullptr && segments_ != nullptr;
  for (unsigned prefix = 0; whole && prefix < 1U << limits.initial_depth; ++prefix) {
    table fresh;
    whole = build(0, charging::always, fresh) == replacement::done;
    if (!whole) break;
    spin_guard guard{structure_lock_};
    segment& s = unused_segment();
    s.cover(prefix, limits.initial_depth);
    s.set_table(fresh, 0);
    directory_[prefix].store(&s, std::memory_order_relaxed);
    if (limits.initial_depth == 0) only_segment_.store(&s, std::memory_order_relaxed);
  }
  if (!whole) {
    release_memory();
    throw std::bad_alloc{};
  }
}

entry_index::~entry_index() { release_memory(); }

void entry_index::release_memory() noexcept {
  spin_guard guard{structure_lock_};
  for (unsigned i = 0; segments_ != nullptr && i < segments_made_; ++i) {
    if (segments_[i].slots.map != nullptr) destroy(segments_[i].slots);
  }
  if (segments_ != nullptr) {
    source_.unmap(segments_, round_up_to_pages(max_segments * sizeof(segment)));
  }
  if (directory_ != nullptr) source_.unmap(directory_, round_up_to_pages(directory_bytes));
}

entry_index::segment& entry_index::segment_of(std::uint32_t hash) const noexcept {
  if (segment* only = only_segment_.load(std::memory_order_acquire); only != nullptr) return *only;
  const unsigned mask = last_position_.load(std::memory_order_acquire);
  return *directory_[directory_bits(hash) & mask].load(std::memory_order_acquire);
}

entry_index::segment& entry_index::lock_exclusive(std::uint32_t hash) noexcept {
  for (;;) {
    segment& s = segment_of(hash);
    s.lock.lock();
    if (s.covers(directory_bits(hash))) return s;
    s.lock.unlock();
  }
}

void entry_index::prefetch(std::uint32_t hash) const noexcept {
  const segment& s = segment_of(hash);
  segment::prefetch(s.arrays(), s.buckets_for(hash));
}

[[gnu::flatten]] void entry_index::prefetch_entry(std::uint32_t hash) const noexcept {
  const shared_segment s{*this, hash};
  const locked_slot slot{s.arrays(), hash, s.buckets(), has_hash{}};
  if (slot) arena_.at(slot.handle()).prefetch_both_lines();
}

// ---- operations -----------------------------------------------------------------------
// Flattened: with several operations the compiler does not inline the shared parts by itself, and
// calls cost a tenth of an operation's instructions. `find` passes on the entry that it has read,
// or callers would look it up again.

[[gnu::flatten]] bool
entry_index::find(std::uint32_t hash, std::string_view key,
                  function_ref<void(entry_handle, entry)> see) const noexcept {
  const shared_segment s{*this, hash};
  const has_key wanted{arena_, key};
  const locked_slot slot{s.arrays(), hash, s.buckets(), wanted};
  if (slot) see(slot.handle(), wanted.last);
  return static_cast<bool>(slot);
}

[[gnu::flatten]] bool entry_index::visit(std::uint32_t hash, std::string_view key,
                                         edit on_entry) noexcept {
  return visit_wanted(hash, has_key{arena_, key}, on_entry);
}

[[gnu::flatten]] bool entry_index::visit(entry_ref ref, edit on_entry) noexcept {
  return visit_wanted(ref.hash, is_entry{ref.handle}, on_entry);
}

template <class IsWanted>
bool entry_index::visit_wanted(std::uint32_t hash, IsWanted is_wanted, edit on_entry) noexcept {
  const shared_segment s{*this, hash};
  const locked_slot slot{s.arrays(), hash, s.buckets(), is_wanted};
  if (!slot) return false;
  entry_handle handle = slot.handle();
  const fate decided = on_entry(handle);
  assert(handle != no_entry);
  slot.set_handle(handle);
  if (decided == fate::erase) {
    with_table(s->slots, [&slot](auto& t) { t.erase(slot); });
    s->count.fetch_sub(1, std::memory_order_relaxed);
  }
  return true;
}

entry_index::insertion entry_index::insert(std::uint32_t hash, std::string_view key,
                                           entry_handle handle, edit if_present) noexcept {
  assert(handle != no_entry &&
         arena_.at(handle).meta().live()); // pairs with store::release_unlinked
  insertion refusal = insertion::inserted; // none yet
  for (;;) {
    unsigned seen_shape = 0;
    unsigned seen_depth = 0;
    {
      const shared_segment s{*this, hash};
      seen_shape = s->slots.shape;
      seen_depth = s->depth;
      const bool roomy = s->count.load(std::memory_order_relaxed) < s->grow_at;
      if (roomy || refusal != insertion::inserted) {
        switch (insert_into(*s.operator->(), hash, key, handle, if_present)) {
        case attempt::inserted:
          return insertion::inserted;
        case attempt::present:
          return insertion::present;
        case attempt::full:
          break;
        }
        if (refusal != insertion::inserted) return refusal;
      }
    }
    // An entry that is there needs no larger table.
    if (visit(hash, key, if_present)) return insertion::present;
    switch (grow(hash, seen_shape, seen_depth)) {
    case replacement::done:
      break;
    // The present table may have a place left: one more attempt.
    case replacement::over_limit:
      refusal = insertion::over_limit;
      break;
    case replacement::out_of_memory:
      refusal = insertion::out_of_memory;
      break;
    case replacement::at_maximum:
      refusal = insertion::full;
      break;
    }
  }
}

// Not flattened: libcuckoo's search for a way takes a stack frame of some 200 KiB, each page of
// which would be touched at every insertion (-fstack-clash-protection).
entry_index::attempt entry_index::insert_into(segment& s, std::uint32_t hash, std::string_view key,
                                              entry_handle handle, edit if_present) noexcept {
  const insert_probe probe{{arena_, key}, tag_of(hash), handle};
  bool erased = false;
  bool added = false;
  const auto edit_present = [&probe, &erased, if_present](std::uint8_t&) {
    entry_handle present = probe.matched->handle();
    erased = if_present(present) == fate::erase;
    probe.matched->set_handle(present);
    return erased;
  };
  // Counted first: another thread may erase the slot, and count that, as soon as it is there.
  s.count.fetch_add(1, std::memory_order_relaxed);
  try {
    added = with_table(
        s.slots, [&](auto& t) { return t.map.uprase_fn(probe, edit_present, high_byte_of(hash)); });
  } catch (const table_full&) {
    s.count.fetch_sub(1, std::memory_order_relaxed);
    return attempt::full;
  }
  const std::uint32_t over = (added ? 0U : 1U) + (erased ? 1U : 0U);
  if (over != 0) s.count.fetch_sub(over, std::memory_order_relaxed);
  return added ? attempt::inserted : attempt::present;
}

std::string_view
entry_index::check_slots(function_ref<void(std::uint32_t hash, entry_handle)> visit) {
  spin_guard guard{structure_lock_};
  std::string_view fault;
  std::size_t bytes = segments_made_ * sizeof(segment);
  for (unsigned i = 0; i < segments_made_; ++i) {
    const segment& s = segments_[i];
    if (s.slots.map == nullptr) continue;
    std::size_t slots = 0;
    with_table(s.slots, [&]<class Table>(Table& t) {
      bytes += t.account.bytes + sizeof(Table);
      t.all_slots([&](std::uint32_t hash, entry_handle handle) {
        ++slots;
        visit(hash, handle);
        if (&segment_of(hash) != &s)
          fault = "a slot lies in a segment that the directory does not name for its hash";
        return true;
      });
    });
    if (slots != s.count.load(std::memory_order_relaxed))
      fault = "the count of a segment is not that of its slots";
  }
  if (bytes != this->bytes()) fault = "the bytes of the index are not those of its tables";
  return fault;
}

} // namespace kvcache
