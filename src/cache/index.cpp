// Extendible hashing (Fagin et al., 1979) over libcuckoo tables (Fan et al., "MemC3", 2013; Li et
// al., "Algorithmic improvements for fast concurrent cuckoo hashing", 2014).
//
// Why not one table that libcuckoo grows: version 0.3.1 crashes when a table is resized under
// concurrent operations, doubles everything at once, and keeps its old lock arrays. So here every
// table is built at its size and capped there, and libcuckoo never resizes one.
//
//   hash bits   0 … 10   bucket in the table (at most 2,048 buckets)
//              11 … 18   make libcuckoo's partial (the xor of the bytes of bits 0 … 23) independent
//                        of the bucket
//              19 … 31   directory position: at most 2^13 segments
//
// Growing: the inserting thread that finds its segment full builds the next larger table (charged
// to the budget first), takes the segment's lock exclusively, copies the slots over, swaps, and
// frees the old table. A segment of the largest size is split in two. One step moves at most as
// many slots as the largest table has, whatever the number of entries.
//
// Small tables double, and have 4 slots a bucket, whose lock has a line of the processor's cache
// for itself: what has room in the caches costs instructions, and what threads take from one
// another. The three largest are where the entries of a large index are, and are packed: fewer
// buckets, and so fewer locks, of 6 or 8 slots, so that the steps are by a third or a half, and the
// tables are better filled. The one before them is as closely packed, or it would take more than
// the next.
//
// Every operation holds its segment's lock shared while it is inside the table, and checks under
// that lock that the segment still covers its hash; so no libcuckoo operation ever runs on a table
// that is being replaced, and none can miss a key that is being moved.
#include "cache/index.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <new>

#include "cache/announced_lock.hpp"
#include "cache/cuckoo_table.hpp"
#include "cache/thread_cpu_time.hpp"

namespace kvcache {
namespace {

// ---- what of the hash goes where ------------------------------------------------------
constexpr unsigned directory_shift = 19;
constexpr unsigned max_depth = 32 - directory_shift;
constexpr unsigned max_segments = 1U << max_depth;

constexpr unsigned directory_bits(std::uint32_t hash) { return hash >> directory_shift; }

// ---- how full tables are ---------------------------------------------------------------
constexpr std::size_t percent_of(std::size_t slots, unsigned percent) {
  return slots * percent / 100;
}

// Beyond this load insertions search long for a place (libcuckoo gives up at about 97 %).
constexpr unsigned grow_percent = 94;
// A table is replaced by a smaller one when it would fill the next smaller one to less than this;
// well below grow_percent, so that it does not grow right back.
constexpr unsigned shrink_percent = 75;
// Two segments become one when that would fill a table of the split shape to less than this.
constexpr unsigned merge_percent = 70;
// How full a table may be that something is moved into while shrinking.
constexpr unsigned settle_percent = 80;
// How full all tables together may be at their largest. Entries fall on segments at random: at this
// mean the fullest of 2^13 stays below grow_percent by more than six standard deviations.
constexpr unsigned capacity_percent = 85;

// Segments that one call of maintain looks at: some microseconds.
constexpr unsigned positions_per_call = 64;

constexpr std::size_t directory_bytes = max_segments * sizeof(void*);

} // namespace

// ---- table sizes ----------------------------------------------------------------------
//   shape             0    1    2  …      7      8 |     9     10      11   with a packed_shape of
//   9 slots            16   32   64  …  2,048  4,096 | 6,144  8,192  12,288 slots a bucket    4 4
//   4  …      4      8 |     6      8       6

struct entry_index::table_layout {
  std::size_t buckets;
  unsigned bucket_slots;

  static constexpr table_layout of(unsigned shape, unsigned packed_shape) noexcept {
    assert(packed_shape <= 9 && shape <= packed_shape + 2);
    if (shape + 1 < packed_shape) return {std::size_t{4} << shape, 4};
    if (shape + 1 == packed_shape) return {std::size_t{2} << shape, 8};
    const std::size_t buckets = std::size_t{2} << packed_shape;
    if (shape == packed_shape) return {buckets, 6};
    return shape == packed_shape + 1 ? table_layout{buckets, 8} : table_layout{2 * buckets, 6};
  }
  constexpr std::size_t slots() const noexcept { return buckets * bucket_slots; }
  constexpr std::size_t slots_bytes() const noexcept { return slots() * slot_bytes; }
  constexpr std::size_t locks_bytes() const noexcept {
    return buckets * lock_bytes_of(bucket_slots);
  }
  constexpr std::size_t bytes() const noexcept { return slots_bytes() + locks_bytes(); }
  // Whether a table of fewer slots always takes less memory, too: shrinking must not cost any.
  static constexpr bool grow_in_slots_and_bytes(unsigned packed_shape) noexcept {
    for (unsigned shape = 0; shape < packed_shape + 2; ++shape) {
      const table_layout smaller = of(shape, packed_shape);
      const table_layout larger = of(shape + 1, packed_shape);
      if (smaller.slots() >= larger.slots() || smaller.bytes() >= larger.bytes()) return false;
    }
    return true;
  }
};

entry_index::table_layout entry_index::layout_of(unsigned shape) const noexcept {
  return table_layout::of(shape, limits_.packed_shape);
}

// At least what a table of this shape takes: both arrays, and its own few small objects.
std::size_t entry_index::table_bytes(unsigned shape) const noexcept {
  constexpr std::size_t small_objects = 512;
  const table_layout layout = layout_of(shape);
  return allocated_bytes(layout.slots_bytes()) + allocated_bytes(layout.locks_bytes()) +
         small_objects + sizeof(table_of<8>);
}

unsigned entry_index::smallest_shape_for(std::size_t entries) const noexcept {
  unsigned shape = 0;
  while (shape < largest_shape() &&
         entries > percent_of(layout_of(shape).slots(), settle_percent)) {
    ++shape;
  }
  return shape;
}

// ---- segments -------------------------------------------------------------------------

// Covers the hashes whose low `depth` directory bits are `prefix`. The lock is held shared by
// operations in the table and exclusively by whoever replaces it; all but the count belong to it.
struct alignas(64) entry_index::segment {
  announced_lock lock;
  std::uint8_t depth = 0;
  std::atomic<std::uint8_t> bucket_slots{4}; // see `buckets`
  std::atomic<std::uint8_t> hashpower{0};    // see `buckets`
  std::atomic<std::uint32_t> count{0};
  std::uint32_t grow_at = 0;
  std::uint32_t prefix = 1; // with a mask of 0: covers nothing
  std::uint32_t mask = 0;   // the low `depth` bits
  table slots;              // its map is null while the segment is unused
  // What `slots` are like, and where: to prefetch from, also without the lock. What does not belong
  // together then, or is gone, costs the gain and nothing else.
  std::atomic<const std::byte*> buckets{nullptr};
  std::atomic<const std::byte*> locks{nullptr};
  segment* next_unused = nullptr;

  bool covers(unsigned bits) const noexcept { return (bits & mask) == prefix; }
  void cover(unsigned new_prefix, unsigned new_depth) noexcept {
    prefix = new_prefix;
    depth = static_cast<std::uint8_t>(new_depth);
    mask = (1U << new_depth) - 1;
  }
  void leave_unused() noexcept {
    slots = table{};
    prefix = 1;
    mask = 0;
  }
  void set_table(const table& fresh, std::uint32_t entries) noexcept {
    slots = fresh;
    with_table(fresh, [this, &fresh](auto& t) {
      bucket_slots.store(static_cast<std::uint8_t>(fresh.bucket_slots), std::memory_order_relaxed);
      hashpower.store(static_cast<std::uint8_t>(t.map.hashpower()), std::memory_order_relaxed);
      locks.store(t.locks(), std::memory_order_relaxed);
      buckets.store(t.buckets(), std::memory_order_relaxed);
      grow_at = static_cast<std::uint32_t>(percent_of(t.map.capacity(), grow_percent));
    });
    count.store(entries, std::memory_order_relaxed);
  }

  bucket_pair buckets_for(std::uint32_t hash) const noexcept {
    return buckets_of(hash, hashpower.load(std::memory_order_relaxed));
  }

  // Fetches all that is about to be touched, these two buckets and their locks, at once: by itself
  // the processor misses its cache for one after the other. Always inline: gcc takes a function of
  // nothing but prefetches for one without effect, and leaves calls of it out.
  [[gnu::always_inline]] void prefetch(bucket_pair pair) const noexcept {
    const std::size_t slots_each = bucket_slots.load(std::memory_order_relaxed);
    const std::byte* const bucket_array = buckets.load(std::memory_order_relaxed);
    const std::byte* const lock_array = locks.load(std::memory_order_relaxed);
    const std::size_t stride = slots_each * slot_bytes;
    const std::size_t lock_bytes = lock_bytes_of(slots_each);
    const auto [first, second] = pair;
    prefetch_to_write(lock_array + first * lock_bytes);
    prefetch_to_write(lock_array + second * lock_bytes);
    for (const std::size_t bucket : {first, second}) {
      __builtin_prefetch(bucket_array + bucket * stride);
      __builtin_prefetch(bucket_array + (bucket + 1) * stride - 1);
    }
  }
};

// The segment that covers a hash, locked shared; what will be touched in a large index is on its
// way.
class entry_index::shared_segment {
public:
  shared_segment(const entry_index& index, std::uint32_t hash) noexcept {
    for (;;) {
      segment_ = &index.segment_of(hash);
      segment_->lock.lock_shared();
      if (segment_->covers(directory_bits(hash))) break;
      segment_->lock.unlock_shared(); // it was split or merged meanwhile: look again
    }
    buckets_ = segment_->buckets_for(hash);
    // A single table stays in the processor's caches. There locks alone could be missed, where
    // another processor wrote them last, and fetching those ahead costs two threads more than it
    // gains.
    if (segment_->depth != 0) segment_->prefetch(buckets_);
  }
  ~shared_segment() { segment_->lock.unlock_shared(); }
  shared_segment(const shared_segment&) = delete;
  shared_segment& operator=(const shared_segment&) = delete;
  segment* operator->() const noexcept { return segment_; }
  bucket_pair buckets() const noexcept { return buckets_; } // of the hash

private:
  segment* segment_;
  bucket_pair buckets_;
};

entry_index::entry_index(const entry_arena& arena, budget& held, memory_source& source,
                         const table_limits& limits)
    : arena_(arena),
      budget_(held),
      source_(source),
      limits_(limits),
      last_position_((1U << limits.initial_depth) - 1) {
  static_assert(sizeof(segment) == 64, "one line of the processor's cache");
  assert(limits.initial_depth <= limits.largest_depth && limits.largest_depth <= max_depth);
  constexpr table_layout largest = table_layout::of(11, 9);
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
  s.prefetch(s.buckets_for(hash));
}

// ---- operations -----------------------------------------------------------------------
// Flattened: with three types of table and several operations the compiler finds the parts used too
// often to inline them, and calls cost a tenth of an operation's instructions. What is called back
// is captured by value, in lambdas within lambdas too: behind a reference the compiler loses sight
// of what it is, and does not inline it. `find` hands over the entry, which it has read, beside the
// handle, or it would be looked up again.

[[gnu::flatten]] bool
entry_index::find(std::uint32_t hash, std::string_view key,
                  function_ref<void(entry_handle, entry)> see) const noexcept {
  const shared_segment s{*this, hash};
  return with_table(s->slots, [=, this, buckets = s.buckets()]<class Table>(Table& t) {
    const typename Table::locked_slot slot{t, hash, buckets, has_key{arena_, key}};
    if (slot) see(slot.handle(), arena_.at(slot.handle()));
    return static_cast<bool>(slot);
  });
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
  return with_table(s->slots, [&s, hash, is_wanted, on_entry]<class Table>(Table& t) {
    const typename Table::locked_slot slot{t, hash, s.buckets(), is_wanted};
    if (!slot) return false;
    entry_handle handle = slot.handle();
    const fate decided = on_entry(handle);
    assert(handle != no_entry);
    slot.set_handle(handle);
    if (decided == fate::erase) {
      slot.erase();
      s->count.fetch_sub(1, std::memory_order_relaxed);
    }
    return true;
  });
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
    // There may be a place left in the table as it is: one more try.
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

[[gnu::flatten]] entry_index::attempt entry_index::insert_into(segment& s, std::uint32_t hash,
                                                               std::string_view key,
                                                               entry_handle handle,
                                                               edit if_present) noexcept {
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

// ---- growing --------------------------------------------------------------------------

entry_index::replacement entry_index::grow(std::uint32_t hash, unsigned seen_shape,
                                           unsigned seen_depth) noexcept {
  const longest_step measured{longest_step_ns_};
  if (seen_shape < largest_shape()) return enlarge(hash, seen_shape, seen_depth);
  return seen_depth < limits_.largest_depth ? split(hash, seen_depth) : replacement::at_maximum;
}

entry_index::replacement entry_index::enlarge(std::uint32_t hash, unsigned seen_shape,
                                              unsigned seen_depth) noexcept {
  table fresh;
  if (const auto built = build(seen_shape + 1, charging::within_limit, fresh);
      built != replacement::done) {
    return built;
  }
  table obsolete = fresh;
  replacement outcome = replacement::done;
  segment& s = lock_exclusive(hash);
  if (s.slots.shape == seen_shape && s.depth == seen_depth) { // else another thread was faster
    if (copy_slots(s.slots, fresh)) {
      obsolete = s.slots;
      s.set_table(fresh, s.count.load(std::memory_order_relaxed));
    } else {
      outcome = replacement::at_maximum;
    }
  }
  s.lock.unlock();
  destroy(obsolete);
  if (obsolete.map != fresh.map) growths_.fetch_add(1, std::memory_order_relaxed);
  return outcome;
}

entry_index::replacement entry_index::split(std::uint32_t hash, unsigned seen_depth) noexcept {
  table low;
  table high;
  if (const auto built = build(split_shape(), charging::within_limit, low);
      built != replacement::done) {
    return built;
  }
  if (const auto built = build(split_shape(), charging::within_limit, high);
      built != replacement::done) {
    destroy(low);
    return built;
  }
  replacement outcome = replacement::done;
  segment& s = lock_exclusive(hash);
  const bool unchanged = s.slots.shape == largest_shape() && s.depth == seen_depth;
  std::uint32_t high_count = 0;
  const bool copied = unchanged && distribute_slots(s.slots, s.depth, low, high, high_count);
  if (copied) {
    const table obsolete = s.slots;
    s.set_table(low, s.count.load(std::memory_order_relaxed) - high_count);
    publish_split(s, high, high_count);
    s.lock.unlock();
    destroy(obsolete);
    growths_.fetch_add(1, std::memory_order_relaxed);
    return outcome;
  }
  s.lock.unlock();
  destroy(low);
  destroy(high);
  return unchanged ? replacement::at_maximum : outcome;
}

// Half of what `low` covered goes to a new segment. REQUIRES: low.lock held exclusively.
void entry_index::publish_split(segment& low, const table& high,
                                std::uint32_t high_count) noexcept {
  segment* unused = nullptr;
  {
    spin_guard guard{structure_lock_};
    unused = &unused_segment();
  }
  segment& other = *unused;
  other.lock.lock(); // nobody else can want it: it is not in the directory yet
  spin_guard guard{structure_lock_};
  const unsigned last = last_position_.load(std::memory_order_relaxed);
  only_segment_.store(nullptr, std::memory_order_relaxed);
  if (low.mask == last) { // double the directory: both halves point to the same segments at first
    for (unsigned i = 0; i <= last; ++i) {
      directory_[last + 1 + i].store(directory_[i].load(std::memory_order_relaxed),
                                     std::memory_order_relaxed);
    }
    last_position_.store(2 * last + 1, std::memory_order_release);
  }
  other.cover(low.prefix | 1U << low.depth, low.depth + 1);
  other.set_table(high, high_count);
  low.cover(low.prefix, other.depth);
  point_directory(other.prefix, other.depth, &other);
  other.lock.unlock();
}

void entry_index::point_directory(unsigned prefix, unsigned depth, segment* to) noexcept {
  const unsigned last = last_position_.load(std::memory_order_relaxed);
  for (unsigned i = prefix; i <= last; i += 1U << depth) {
    directory_[i].store(to, std::memory_order_release);
  }
}

entry_index::segment& entry_index::unused_segment() noexcept {
  if (unused_ != nullptr) {
    segment& s = *unused_;
    unused_ = s.next_unused;
    return s;
  }
  assert(segments_made_ < max_segments); // each covers at least one directory position
  budget_.charge(sizeof(segment));
  bytes_.fetch_add(sizeof(segment), std::memory_order_relaxed);
  return *new (&segments_[segments_made_++]) segment;
}

// ---- shrinking ------------------------------------------------------------------------

bool entry_index::maintain() noexcept {
  const unsigned positions = last_position_.load(std::memory_order_acquire) + 1;
  for (unsigned i = 0; i < positions_per_call; ++i) {
    const unsigned position = maintain_at_++ % positions;
    if (merge(position) || shrink(position)) {
      maintain_idle_ = 0;
      return true;
    }
    if (++maintain_idle_ >= positions) {
      maintain_idle_ = 0;
      return false;
    }
  }
  return true;
}

bool entry_index::shrink(unsigned position) noexcept {
  segment& s = *directory_[position].load(std::memory_order_acquire);
  s.lock.lock_shared();
  const unsigned shape = s.slots.shape;
  const bool canonical = s.slots.map != nullptr && s.prefix == position;
  const std::size_t count = s.count.load(std::memory_order_relaxed);
  s.lock.unlock_shared();
  const auto too_large = [this](unsigned of_shape, std::size_t entries) {
    return of_shape > 0 && entries <= percent_of(layout_of(of_shape - 1).slots(), shrink_percent);
  };
  if (!canonical || !too_large(shape, count)) return false;

  const longest_step measured{longest_step_ns_};
  table fresh;
  if (build(smallest_shape_for(count), charging::always, fresh) != replacement::done) return false;
  table obsolete = fresh;
  s.lock.lock();
  if (s.slots.shape == shape && too_large(shape, s.count.load(std::memory_order_relaxed)) &&
      copy_slots(s.slots, fresh)) {
    obsolete = s.slots;
    s.set_table(fresh, s.count.load(std::memory_order_relaxed));
  }
  s.lock.unlock();
  destroy(obsolete);
  if (obsolete.map == fresh.map) return false;
  shrinks_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

// Whether two segments with so many entries together should be one.
bool entry_index::merges(std::size_t entries) const noexcept {
  return entries <= percent_of(layout_of(split_shape()).slots(), merge_percent);
}

bool entry_index::merge(unsigned position) noexcept {
  segment& low = *directory_[position].load(std::memory_order_acquire);
  low.lock.lock_shared();
  const unsigned depth = low.depth;
  const bool mergeable = low.slots.map != nullptr && low.prefix == position &&
                         depth > limits_.initial_depth && position < 1U << (depth - 1);
  const std::size_t low_count = low.count.load(std::memory_order_relaxed);
  low.lock.unlock_shared();
  if (!mergeable || !merges(low_count)) return false;

  segment& high = *directory_[position | 1U << (depth - 1)].load(std::memory_order_acquire);
  high.lock.lock_shared();
  const bool as_deep = high.slots.map != nullptr && high.depth == depth;
  high.lock.unlock_shared();
  if (!as_deep) return false; // it has been split further
  const auto sum = [&] {
    return std::size_t{low.count.load(std::memory_order_relaxed)} +
           high.count.load(std::memory_order_relaxed);
  };
  if (&low == &high || !merges(sum())) return false;

  const longest_step measured{longest_step_ns_};
  table fresh;
  if (build(smallest_shape_for(sum()), charging::always, fresh) != replacement::done) return false;
  segment& first = std::less<>{}(&low, &high) ? low : high; // one order for all
  segment& second = &first == &low ? high : low;
  first.lock.lock();
  second.lock.lock();
  const bool done = low.slots.map != nullptr && high.slots.map != nullptr && low.depth == depth &&
                    high.depth == depth && merges(sum()) && copy_slots(low.slots, fresh) &&
                    copy_slots(high.slots, fresh);
  std::array<table, 2> obsolete{fresh, table{}};
  if (done) {
    obsolete = {low.slots, high.slots};
    low.set_table(fresh, static_cast<std::uint32_t>(sum()));
    spin_guard guard{structure_lock_};
    point_directory(high.prefix, depth, &low);
    low.cover(low.prefix, depth - 1);
    if (low.depth == 0) only_segment_.store(&low, std::memory_order_release);
    high.leave_unused();
    high.next_unused = unused_;
    unused_ = &high;
  }
  second.lock.unlock();
  first.lock.unlock();
  for (const table& old : obsolete) {
    if (old.map != nullptr) destroy(old);
  }
  if (done) shrinks_.fetch_add(1, std::memory_order_relaxed);
  return done;
}

std::size_t entry_index::drain(function_ref<void(entry_handle)> take) noexcept {
  std::size_t taken = 0;
  for (unsigned i = 0; i <= last_position_.load(std::memory_order_acquire); ++i) {
    for (;;) {
      segment& s = *directory_[i].load(std::memory_order_acquire);
      s.lock.lock_shared();
      const bool covers = s.covers(i);
      const bool canonical = s.prefix == i;
      s.lock.unlock_shared();
      if (!covers) continue; // it was split meanwhile: look again
      if (canonical) taken += empty(s, take);
      break;
    }
  }
  return taken;
}

// Puts a small, empty table in place of the segment's; what was in the old one is then the caller's
// alone, and is taken out while others go on.
std::size_t entry_index::empty(segment& s, function_ref<void(entry_handle)> take) noexcept {
  std::size_t taken = 0;
  const auto take_all = [&](const table& from) {
    with_table(from, [&](auto& t) {
      t.all_slots([&](std::uint32_t /*hash*/, entry_handle handle) {
        take(handle);
        ++taken;
        return true;
      });
      t.map.clear();
    });
  };
  table fresh;
  const bool built = build(0, charging::always, fresh) == replacement::done;
  s.lock.lock();
  const table old = s.slots;
  if (built) {
    s.set_table(fresh, 0);
  } else { // no memory even for that: others of the segment must wait
    take_all(old);
    s.count.store(0, std::memory_order_relaxed);
  }
  s.lock.unlock();
  if (built) {
    take_all(old);
    destroy(old);
  }
  return taken;
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

std::size_t entry_index::max_entries() const noexcept {
  return percent_of(layout_of(largest_shape()).slots() << limits_.largest_depth, capacity_percent);
}

// ---- tables ---------------------------------------------------------------------------

// REQUIRES (copying): the segments' locks are held exclusively, the target is not in use.
bool entry_index::copy_slots(const table& from, const table& to) noexcept {
  return with_table(from, [&](auto& source) {
    return with_table(to, [&](auto& target) {
      return source.all_slots(
          [&](std::uint32_t hash, entry_handle handle) { return target.add(hash, handle); });
    });
  });
}

bool entry_index::distribute_slots(const table& from, unsigned depth, const table& low,
                                   const table& high, std::uint32_t& high_count) noexcept {
  return with_table(from, [&](auto& source) {
    return with_table(low, [&]<class Table>(Table& low_half) {
      auto& high_half = *static_cast<Table*>(high.map); // of the same shape
      return source.all_slots([&](std::uint32_t hash, entry_handle handle) {
        const bool goes_high = (directory_bits(hash) >> depth & 1U) != 0;
        high_count += goes_high ? 1 : 0;
        return (goes_high ? high_half : low_half).add(hash, handle);
      });
    });
  });
}

entry_index::replacement entry_index::build(unsigned shape, charging how, table& fresh) noexcept {
  const table_layout layout = layout_of(shape);
  const auto make = [&]<class Table>(std::type_identity<Table>) -> replacement {
    const std::size_t charged = table_bytes(shape);
    if (how == charging::always) {
      budget_.charge(charged);
    } else if (!budget_.try_charge(charged)) {
      return replacement::over_limit;
    }
    void* memory = source_.allocate(sizeof(Table));
    try {
      if (memory == nullptr) throw std::bad_alloc{};
      const auto* made = new (memory) Table{source_, layout.slots()};
      const std::size_t bytes = made->account.bytes + sizeof(Table);
      assert(bytes <= charged);
      budget_.refund(charged - bytes);
      bytes_.fetch_add(bytes, std::memory_order_relaxed);
      fresh = {memory, shape, layout.bucket_slots};
      return replacement::done;
    } catch (const std::bad_alloc&) {
      if (memory != nullptr) source_.deallocate(memory, sizeof(Table));
      budget_.refund(charged);
      return replacement::out_of_memory;
    }
  };
  switch (layout.bucket_slots) {
  case 4:
    return make(std::type_identity<table_of<4>>{});
  case 8:
    return make(std::type_identity<table_of<8>>{});
  default:
    return make(std::type_identity<table_of<6>>{});
  }
}

void entry_index::destroy(const table& old) noexcept {
  with_table(old, [&]<class Table>(Table& t) {
    const std::size_t bytes = t.account.bytes + sizeof(Table);
    t.~Table();
    source_.deallocate(&t, sizeof(Table));
    budget_.refund(bytes);
    bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  });
}

std::size_t entry_index::growth_step_bytes(std::uint32_t hash) const noexcept {
  unsigned shape = 0;
  {
    const shared_segment s{*this, hash};
    shape = s->slots.shape;
  }
  return shape < largest_shape() ? table_bytes(shape + 1) : 2 * table_bytes(split_shape());
}

} // namespace kvcache
