#include "cache/entry_arena.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <new>

#include "cache/thread_number.hpp"

namespace kvcache {
namespace {

// How many classes above its own an entry may be given a block of, by entry_arena::excess.
constexpr size_class classes_above_small = 4;
constexpr size_class classes_above_large = 16;

// Slabs of other sizes that walk_fitting() passes: some 20 ns each.
constexpr std::uint32_t slabs_passed_at_most = 4096;

// How many slabs of a group of equal fullness are looked at.
constexpr unsigned candidates_per_group = 8;

// In the background a class is compacted when at least this part of its blocks is free: less would
// move more bytes than it frees ten times over.
constexpr std::size_t background_free_percent = 8;

constexpr std::uint16_t blocks_per_slab(size_class c) noexcept {
  return static_cast<std::uint16_t>(slab_bytes / block_bytes_of(c));
}

// What is asked of every slab operation, looked up instead of divided out.
struct class_geometry {
  std::uint32_t block_bytes;
  std::uint16_t capacity;
};
constexpr auto geometry = [] {
  std::array<class_geometry, size_class_count> table{};
  for (size_class c = 0; c < size_class_count; ++c) {
    table[c] = {static_cast<std::uint32_t>(block_bytes_of(c)), blocks_per_slab(c)};
  }
  return table;
}();

constexpr std::uint32_t slabs_for(std::size_t bytes) noexcept {
  return static_cast<std::uint32_t>((bytes + slab_bytes - 1) / slab_bytes);
}

entry_arena::status status_of(slab_refusal refusal) noexcept {
  return refusal == slab_refusal::range_full ? entry_arena::status::range_full
                                             : entry_arena::status::out_of_memory;
}

// A counter that only the holder of a lock writes and anyone reads.
template <class Integer, class Delta>
void bump(std::atomic<Integer>& counter, Delta delta) noexcept {
  counter.store(
      static_cast<Integer>(counter.load(std::memory_order_relaxed) + static_cast<Integer>(delta)),
      std::memory_order_relaxed);
}

} // namespace

entry_arena::entry_arena(unsigned stripes, budget& held, memory_source& source)
    : budget_(held),
      source_(source),
      pool_(source),
      stripe_count_(std::max(stripes, 1U)),
      stripes_(std::make_unique<stripe[]>(stripe_count_)) {
  void* table = source_.map(round_up_to_pages(pool_.slab_count() * sizeof(slab)));
  if (table == nullptr) throw std::bad_alloc{};
  slabs_ =
      static_cast<slab*>(table); // zeros are valid but for first_free, which is set at first use
}

entry_arena::~entry_arena() {
  source_.unmap(slabs_, round_up_to_pages(pool_.slab_count() * sizeof(slab)));
}

// ---- allocation -----------------------------------------------------------------------

std::size_t entry_arena::block_bytes_for(std::size_t bytes) noexcept {
  return bytes <= max_small_block_bytes ? geometry[size_class_of(bytes)].block_bytes
                                        : round_up_to_pages(bytes);
}

std::size_t entry_arena::address_bytes_for(std::size_t bytes) noexcept {
  return bytes <= max_small_block_bytes ? slab_bytes : slabs_for(bytes) * slab_bytes;
}

std::size_t entry_arena::block_bytes(entry_handle handle) const noexcept {
  const slab& s = slabs_[handle / handles_per_slab];
  return s.large ? s.large_bytes : geometry[s.klass].block_bytes;
}

entry_arena::allocation entry_arena::allocate(std::size_t bytes,
                                              std::size_t reserved_bytes) noexcept {
  return bytes <= max_small_block_bytes ? allocate_small(size_class_of(bytes))
                                        : allocate_large(bytes, reserved_bytes);
}

entry_arena::allocation entry_arena::allocate_roomier(std::size_t bytes, excess allowed) noexcept {
  if (bytes > max_small_block_bytes) return {status::over_limit, no_entry};
  return take_roomier(size_class_of(bytes), allowed);
}

entry_arena::allocation entry_arena::take_roomier(size_class c, excess allowed) noexcept {
  const size_class classes = allowed == excess::small ? classes_above_small : classes_above_large;
  const size_class largest = std::min(c + classes, size_class_count - 1);
  const unsigned own = this_thread_number() % stripe_count_;
  for (size_class larger = c + 1; larger <= largest; ++larger) {
    for (unsigned i = 0; i < stripe_count_; ++i) {
      stripe& s = stripes_[(own + i) % stripe_count_];
      if (s.counts[larger].freed.load(std::memory_order_relaxed) == 0) continue;
      spin_guard guard{s.lock};
      const allocation taken = take_block(s, larger, growth::freed_blocks_only);
      if (taken.outcome == status::ok) return taken;
    }
  }
  return {status::over_limit, no_entry};
}

entry_arena::allocation entry_arena::allocate_small(size_class c) noexcept {
  const unsigned own = this_thread_number() % stripe_count_;
  {
    stripe& s = stripes_[own];
    spin_guard guard{s.lock};
    const allocation taken = take_block(s, c, growth::charge_pages);
    if (taken.outcome == status::ok) return taken;
  }
  if (const allocation taken = take_elsewhere(own, c, growth::freed_blocks_only);
      taken.outcome == status::ok) {
    return taken;
  }
  const allocation taken = take_from_new_slab(own, c);
  if (taken.outcome == status::ok) return taken;
  // Slabs that have been begun may have room yet: on pages that are held, or on any if it is not
  // pages that are missing.
  const allocation last = take_elsewhere(
      own, c, taken.outcome == status::range_full ? growth::charge_pages : growth::held_pages_only);
  return last.outcome == status::ok ? last : taken;
}

entry_arena::allocation entry_arena::take_block(stripe& s, size_class c, growth how) noexcept {
  // Freed blocks of any slab come before untouched memory.
  const bool any_freed = s.counts[c].freed.load(std::memory_order_relaxed) != 0;
  std::uint32_t index = any_freed ? fullest_slab_with_freed_block(s, c) : no_slab;
  const std::uint32_t block_bytes = geometry[c].block_bytes;
  entry_handle handle = no_entry;
  if (index != no_slab) {
    slab& from = slabs_[index];
    handle = handle_of(index, std::size_t{from.first_free} * block_bytes);
    from.first_free = static_cast<std::uint16_t>(at(handle).next_free());
    bump(s.counts[c].freed, -1);
    bump(s.free_bytes, -std::size_t{block_bytes});
  } else {
    index = carve_block(s, c, how);
    if (index == no_slab) return {status::over_limit, no_entry};
    handle = handle_of(index, (std::size_t{slabs_[index].carved} - 1) * block_bytes);
    at(handle).mark_free(no_slot); // what was here before it was given back is zero; be sure
  }
  assert(!at(handle).meta().live()); // pairs with release()
  slab& home = slabs_[index];
  assert(home.used < home.carved);
  ++home.used;
  if (home.kept_empty) {
    home.kept_empty = false;
    bump(s.kept_empty, -1);
  }
  bump(s.live_bytes, block_bytes);
  relist(s, index);
  return {status::ok, handle};
}

// Full slabs stay full and sparse ones empty out, so that they can be given back.
std::uint32_t entry_arena::fullest_slab_with_freed_block(const stripe& s,
                                                         size_class c) const noexcept {
  const class_lists& lists = s.lists[c];
  for (std::uint32_t groups = lists.groups; groups != 0;) {
    const auto fullest = static_cast<unsigned>(std::bit_width(groups) - 1);
    groups &= ~(1U << fullest);
    std::uint32_t index = lists.heads[fullest];
    for (unsigned i = 0; i < candidates_per_group && index != no_slab; ++i) {
      if (slabs_[index].first_free != no_slot) return index;
      index = slabs_[index].next;
    }
  }
  return no_slab;
}

// Cuts one more block from a slab that has been begun; returns the slab, if there is one.
std::uint32_t entry_arena::carve_block(stripe& s, size_class c, growth how) noexcept {
  if (how == growth::freed_blocks_only) return no_slab;
  for (std::uint32_t groups = s.lists[c].groups; groups != 0; groups &= groups - 1) {
    std::uint32_t index = s.lists[c].heads[static_cast<unsigned>(std::countr_zero(groups))];
    for (unsigned i = 0; i < candidates_per_group && index != no_slab; ++i) {
      slab& from = slabs_[index];
      if (from.carved < geometry[c].capacity && touch_next_block(from, how)) {
        ++from.carved;
        bump(s.counts[c].carved, 1);
        return index;
      }
      index = from.next;
    }
  }
  return no_slab;
}

// Charges the pages that the next block of this slab reaches into; false if that may not be.
bool entry_arena::touch_next_block(slab& from, growth how) noexcept {
  const std::size_t end = (std::size_t{from.carved} + 1) * geometry[from.klass].block_bytes;
  if (end <= from.touched_bytes) return true;
  const std::size_t pages = round_up_to_pages(end) - from.touched_bytes;
  if (how == growth::held_pages_only || !budget_.try_charge(pages)) return false;
  from.touched_bytes += static_cast<std::uint32_t>(pages);
  return true;
}

entry_arena::allocation entry_arena::take_elsewhere(unsigned own, size_class c,
                                                    growth how) noexcept {
  for (unsigned i = 1; i < stripe_count_; ++i) {
    stripe& s = stripes_[(own + i) % stripe_count_];
    if (how == growth::freed_blocks_only &&
        s.counts[c].freed.load(std::memory_order_relaxed) == 0) {
      continue;
    }
    spin_guard guard{s.lock};
    const allocation taken = take_block(s, c, how);
    if (taken.outcome == status::ok) return taken;
  }
  return {status::over_limit, no_entry};
}

entry_arena::allocation entry_arena::take_from_new_slab(unsigned own, size_class c) noexcept {
  // The first page is charged before the kernel is asked for anything.
  const std::size_t first_pages = round_up_to_pages(geometry[c].block_bytes);
  if (!budget_.try_charge(first_pages)) return {status::over_limit, no_entry};
  const slab_run run = pool_.take(1);
  if (run.refusal != slab_refusal::none) {
    budget_.refund(first_pages);
    return {status_of(run.refusal), no_entry};
  }
  charge_descriptors();
  stripe& s = stripes_[own];
  spin_guard guard{s.lock};
  slab& fresh = slabs_[run.first];
  fresh.large = false;
  fresh.evacuating = false;
  fresh.klass = static_cast<std::uint16_t>(c);
  fresh.kept_empty = true; // until a block is taken: it may be one that was freed meanwhile
  bump(s.kept_empty, 1);
  fresh.used = 0;
  fresh.carved = 0;
  fresh.first_free = no_slot;
  fresh.touched_bytes = static_cast<std::uint32_t>(first_pages);
  fresh.first_expiry.store(never, std::memory_order_relaxed);
  fresh.owner.store(own + 1, std::memory_order_relaxed);
  list(s, run.first);
  return take_block(s, c, growth::held_pages_only);
}

entry_arena::allocation entry_arena::allocate_large(std::size_t bytes,
                                                    std::size_t reserved_bytes) noexcept {
  const std::size_t held = round_up_to_pages(bytes);
  if (!budget_.try_charge(held, reserved_bytes)) return {status::over_limit, no_entry};
  const slab_run run = pool_.take(slabs_for(held));
  if (run.refusal != slab_refusal::none) {
    budget_.refund(held);
    return {status_of(run.refusal), no_entry};
  }
  charge_descriptors();
  const unsigned own = this_thread_number() % stripe_count_;
  stripe& s = stripes_[own];
  spin_guard guard{s.lock};
  slab& head = slabs_[run.first];
  head.large = true;
  head.large_bytes = held;
  head.first_expiry.store(never, std::memory_order_relaxed);
  head.owner.store(own + 1, std::memory_order_relaxed);
  at(handle_of(run.first, 0)).mark_free(no_slot);
  bump(s.live_bytes, held);
  return {status::ok, handle_of(run.first, 0)};
}

void entry_arena::charge_descriptors() noexcept {
  const std::uint32_t frontier = pool_.frontier();
  std::uint32_t charged = described_.load(std::memory_order_relaxed);
  while (charged < frontier) {
    if (described_.compare_exchange_weak(charged, frontier, std::memory_order_relaxed)) {
      budget_.charge((frontier - charged) * sizeof(slab));
      return;
    }
  }
}

// ---- release --------------------------------------------------------------------------

void entry_arena::release(entry_handle handle) noexcept {
  const std::uint32_t index = handle / handles_per_slab;
  slab& home = slabs_[index];
  stripe& s = *owner_of(index); // cannot change: the block holds the slab where it is
  if (home.large) {
    release_large(s, index);
    return;
  }
  const size_class c = home.klass;
  const std::uint32_t block_bytes = geometry[c].block_bytes;
  const std::size_t offset = std::size_t{handle % handles_per_slab} * handle_unit_bytes;
  std::uint32_t emptied = no_slab;
  {
    spin_guard guard{s.lock};
    assert(home.used != 0 && offset % block_bytes == 0 && offset / block_bytes < home.carved);
    assert(home.first_free != offset / block_bytes); // not freed twice; pairs with take_block()
    at(handle).mark_free(home.first_free);
    home.first_free = static_cast<std::uint16_t>(offset / block_bytes);
    --home.used;
    bump(s.live_bytes, -std::size_t{block_bytes});
    bump(s.free_bytes, block_bytes);
    bump(s.counts[c].freed, 1);
    if (!home.evacuating) {
      if (home.used == 0 && has_other_room(s, home)) {
        disown(s, index);
        emptied = index;
      } else {
        if (home.used == 0) {
          home.kept_empty = true;
          bump(s.kept_empty, 1);
        }
        relist(s, index);
      }
    }
  }
  if (emptied != no_slab) give_back(emptied, 1, slabs_[emptied].touched_bytes);
}

void entry_arena::release_large(stripe& s, std::uint32_t index) noexcept {
  std::size_t bytes = 0;
  {
    spin_guard guard{s.lock};
    slab& head = slabs_[index];
    bytes = head.large_bytes;
    at(handle_of(index, 0)).mark_free(no_slot);
    head.owner.store(0, std::memory_order_relaxed);
    bump(s.live_bytes, -bytes);
  }
  give_back(index, slabs_for(bytes), bytes);
}

// REQUIRES: nobody owns the slabs any more.
void entry_arena::give_back(std::uint32_t index, std::uint32_t count,
                            std::size_t touched) noexcept {
  source_.give_back(slab_start(index), touched);
  budget_.refund(touched);
  pool_.give(index, count);
}

// The slab is empty: takes it out of its stripe. give_back() must follow, outside the lock.
void entry_arena::disown(stripe& s, std::uint32_t index) noexcept {
  slab& empty = slabs_[index];
  assert(empty.used == 0);
  if (empty.listed) unlist(s, index);
  if (empty.kept_empty) {
    empty.kept_empty = false;
    bump(s.kept_empty, -1);
  }
  class_counts& counts = s.counts[empty.klass];
  bump(counts.freed, -std::uint32_t{empty.carved}); // all that was cut is free
  bump(counts.carved, -std::uint32_t{empty.carved});
  bump(s.free_bytes, -(std::size_t{empty.carved} * geometry[empty.klass].block_bytes));
  empty.owner.store(0, std::memory_order_relaxed);
}

bool entry_arena::trim() noexcept {
  bool any = false;
  for (unsigned i = 0; i < stripe_count_; ++i) {
    stripe& s = stripes_[i];
    for (size_class c = 0; c < size_class_count; ++c) {
      if (s.kept_empty.load(std::memory_order_relaxed) == 0) break;
      std::uint32_t emptied = no_slab;
      {
        spin_guard guard{s.lock};
        const std::uint32_t index = s.lists[c].heads[0]; // few empty ones are kept, mostly one
        for (std::uint32_t at = index; at != no_slab && emptied == no_slab; at = slabs_[at].next) {
          if (slabs_[at].used == 0) emptied = at;
        }
        if (emptied != no_slab) disown(s, emptied);
      }
      if (emptied == no_slab) continue;
      give_back(emptied, 1, slabs_[emptied].touched_bytes);
      any = true;
    }
  }
  return any;
}

// ---- the lists of slabs with room -----------------------------------------------------

void entry_arena::list(stripe& s, std::uint32_t index) noexcept {
  slab& added = slabs_[index];
  const unsigned capacity = geometry[added.klass].capacity;
  const auto group = static_cast<std::uint8_t>(added.used * group_count / capacity);
  class_lists& lists = s.lists[added.klass];
  added.group = group;
  added.listed = true;
  added.previous = no_slab;
  added.next = lists.heads[group];
  if (added.next != no_slab) slabs_[added.next].previous = index;
  lists.heads[group] = index;
  lists.groups |= 1U << group;
}

void entry_arena::unlist(stripe& s, std::uint32_t index) noexcept {
  slab& removed = slabs_[index];
  class_lists& lists = s.lists[removed.klass];
  if (removed.previous != no_slab) {
    slabs_[removed.previous].next = removed.next;
  } else {
    lists.heads[removed.group] = removed.next;
    if (removed.next == no_slab) lists.groups &= ~(1U << removed.group);
  }
  if (removed.next != no_slab) slabs_[removed.next].previous = removed.previous;
  removed.listed = false;
}

// After `used` has changed.
void entry_arena::relist(stripe& s, std::uint32_t index) noexcept {
  const slab& changed = slabs_[index];
  const unsigned capacity = geometry[changed.klass].capacity;
  const bool full = changed.used == capacity;
  if (changed.listed) {
    if (!full && changed.used * group_count / capacity == changed.group) return;
    unlist(s, index);
  }
  if (!full) list(s, index);
}

bool entry_arena::has_other_room(const stripe& s, const slab& but) const noexcept {
  const class_lists& lists = s.lists[but.klass];
  if (!but.listed) return lists.groups != 0;
  return (lists.groups & ~(1U << but.group)) != 0 || but.next != no_slab || but.previous != no_slab;
}

// ---- moving survivors -----------------------------------------------------------------

entry_arena::class_figures entry_arena::figures_of(size_class c) const noexcept {
  class_figures sum;
  for (unsigned i = 0; i < stripe_count_; ++i) {
    sum.freed += stripes_[i].counts[c].freed.load(std::memory_order_relaxed);
    sum.carved += stripes_[i].counts[c].carved.load(std::memory_order_relaxed);
  }
  return sum;
}

// A slab can be gained only where a slab's worth of blocks is free, unless entries may go for it.
bool entry_arena::worth_evacuating(size_class c, urgency how, class_figures f) noexcept {
  if (how == urgency::clearing) return f.freed != 0;
  if (f.freed < geometry[c].capacity) return false;
  return how == urgency::pressing || f.freed * 100 >= f.carved * background_free_percent;
}

// The class with the largest free part costs the fewest moves for a slab; the one with the most
// bytes free, the fewest entries.
std::optional<size_class> entry_arena::class_to_evacuate(urgency how) const noexcept {
  // All blocks of a slab, of any class, are at least that.
  if (free_bytes() < slab_bytes - max_small_block_bytes) return std::nullopt;
  std::optional<size_class> best;
  class_figures best_figures;
  for (size_class c = 0; c < size_class_count; ++c) {
    const class_figures f = figures_of(c);
    if (!worth_evacuating(c, how, f)) continue;
    const bool better =
        best &&
        (how == urgency::clearing
             ? f.freed * geometry[c].block_bytes > best_figures.freed * geometry[*best].block_bytes
             : f.freed * best_figures.carved > best_figures.freed * f.carved);
    if (!best || better) {
      best = c;
      best_figures = f;
    }
  }
  return best;
}

std::uint32_t entry_arena::begin_evacuation(urgency how) noexcept {
  const auto c = class_to_evacuate(how);
  if (!c) return no_slab;
  stripe* chosen = nullptr;
  std::uint32_t sparsest = no_slab;
  std::uint16_t fewest = no_slot;
  for (unsigned i = 0; i < stripe_count_; ++i) {
    stripe& s = stripes_[i];
    spin_guard guard{s.lock};
    const std::uint32_t index = sparsest_slab(s, *c);
    if (index == no_slab || slabs_[index].used >= fewest) continue;
    fewest = slabs_[index].used;
    sparsest = index;
    chosen = &s;
  }
  if (chosen == nullptr) return no_slab;
  spin_guard guard{chosen->lock};
  slab& taken = slabs_[sparsest];
  const bool unchanged = owner_of(sparsest) == chosen && taken.listed && taken.klass == *c;
  if (!unchanged) return no_slab; // another thread was faster; there will be a next time
  unlist(*chosen, sparsest);
  taken.evacuating = true;
  return sparsest;
}

bool entry_arena::begin_evacuation_of(std::uint32_t index) noexcept {
  stripe* s = owner_of(index);
  if (s == nullptr) return false;
  spin_guard guard{s->lock};
  slab& taken = slabs_[index];
  if (owner_of(index) != s || taken.large || taken.evacuating || taken.used == 0) return false;
  if (taken.listed) unlist(*s, index);
  taken.evacuating = true;
  return true;
}

bool entry_arena::walk_within(std::uint32_t index, std::uint32_t& from_slot, const keyed_hash& hash,
                              function_ref<void(walked_entry&)> visit) noexcept {
  walk_cursor cursor{index, from_slot, 0};
  walk_slab(cursor, walk_batch_slots, hash, visit);
  from_slot = cursor.slot;
  return cursor.slab == index;
}

std::uint32_t entry_arena::sparsest_slab(const stripe& s, size_class c) const noexcept {
  std::uint32_t best = no_slab;
  const class_lists& lists = s.lists[c];
  for (std::uint32_t groups = lists.groups; groups != 0 && best == no_slab; groups &= groups - 1) {
    std::uint32_t index = lists.heads[static_cast<unsigned>(std::countr_zero(groups))];
    for (unsigned i = 0; i < candidates_per_group && index != no_slab; ++i) {
      const slab& candidate = slabs_[index];
      // One without freed blocks is being filled, not sparse.
      if (candidate.first_free != no_slot &&
          (best == no_slab || candidate.used < slabs_[best].used)) {
        best = index;
      }
      index = candidate.next;
    }
  }
  return best;
}

bool entry_arena::list_survivors(std::uint32_t index, std::uint32_t& from_slot,
                                 const keyed_hash& hash, std::span<entry_ref> refs,
                                 std::size_t& count) noexcept {
  assert(refs.size() >= walk_batch_slots);
  count = 0;
  return walk_within(index, from_slot, hash, [&](walked_entry& e) { refs[count++] = e.ref(); });
}

entry_handle entry_arena::allocate_beside(std::uint32_t index) noexcept {
  const size_class c = slabs_[index].klass; // an evacuating slab keeps its class
  const unsigned own = this_thread_number() % stripe_count_;
  {
    stripe& s = stripes_[own];
    spin_guard guard{s.lock};
    const allocation taken = take_block(s, c, growth::held_pages_only);
    if (taken.outcome == status::ok) return taken.handle;
  }
  return take_elsewhere(own, c, growth::held_pages_only).handle;
}

entry_handle entry_arena::allocate_roomier_beside(std::uint32_t index) noexcept {
  return take_roomier(slabs_[index].klass, excess::large).handle;
}

bool entry_arena::end_evacuation(std::uint32_t index) noexcept {
  slab& evacuated = slabs_[index];
  {
    stripe& s = *owner_of(index); // cannot change while it is evacuating
    spin_guard guard{s.lock};
    if (evacuated.used != 0) {
      evacuated.evacuating = false;
      relist(s, index);
      return false;
    }
    disown(s, index);
  }
  give_back(index, 1, evacuated.touched_bytes);
  return true;
}

// ---- the walk -------------------------------------------------------------------------

std::size_t entry_arena::walk(walk_cursor& cursor, std::size_t max_slots, const keyed_hash& hash,
                              function_ref<void(walked_entry&)> visit) noexcept {
  std::size_t visited = 0;
  const auto counting = [&](walked_entry& e) {
    ++visited;
    visit(e);
  };
  bool wrapped = false;
  for (std::size_t slots = 0; slots < max_slots;) {
    if (cursor.slab >= pool_.frontier()) {
      cursor.slab = 0;
      cursor.slot = 0;
      ++cursor.laps;
      if (wrapped) break; // nothing at all
      wrapped = true;
    }
    slots += walk_slab(cursor, std::min(max_slots - slots, walk_batch_slots), hash, counting);
  }
  return visited;
}

std::uint32_t entry_arena::walk_fitting(walk_cursor& cursor, std::size_t bytes,
                                        const keyed_hash& hash,
                                        function_ref<void(walked_entry&)> visit) noexcept {
  const size_class least = size_class_of(bytes);
  const size_class most = std::min(least + classes_above_small, size_class_count - 1);
  for (std::uint32_t left = std::min(pool_.frontier(), slabs_passed_at_most); left != 0; --left) {
    if (cursor.slab >= pool_.frontier()) cursor = {.laps = cursor.laps + 1};
    const std::uint32_t index = cursor.slab;
    if (has_blocks_of(index, least, most)) {
      walk_slab(cursor, walk_batch_slots, hash, visit);
      return index;
    }
    cursor = {.slab = index + 1, .laps = cursor.laps};
  }
  return no_slab;
}

bool entry_arena::has_blocks_of(std::uint32_t index, size_class least, size_class most) noexcept {
  stripe* s = owner_of(index);
  if (s == nullptr) return false;
  spin_guard guard{s->lock};
  const slab& seen = slabs_[index];
  return owner_of(index) == s && !seen.large && least <= seen.klass && seen.klass <= most;
}

// Looks at up to `max_slots` slots of the cursor's slab and moves the cursor on, to the next slab
// at the end. Returns the slots looked at, at least 1.
std::size_t entry_arena::walk_slab(walk_cursor& cursor, std::size_t max_slots,
                                   const keyed_hash& hash,
                                   function_ref<void(walked_entry&)> visit) noexcept {
  const std::uint32_t index = cursor.slab;
  const std::uint32_t first = cursor.slot;
  cursor.slab = index + 1;
  cursor.slot = 0;
  stripe* s = owner_of(index);
  if (s == nullptr) return 1;
  spin_guard guard{s->lock};
  const slab& walked = slabs_[index];
  if (owner_of(index) != s) return 1; // it changed hands meanwhile
  const bool large = walked.large;
  const std::size_t block_bytes = large ? walked.large_bytes : geometry[walked.klass].block_bytes;
  const std::uint32_t carved = large ? 1 : walked.carved;
  const auto end = static_cast<std::uint32_t>(std::min<std::size_t>(carved, first + max_slots));
  for (std::uint32_t slot = first; slot < end; ++slot) {
    const entry_handle handle = handle_of(index, slot * block_bytes);
    const entry met = at(handle);
    const entry_meta meta = met.acquire_meta();
    if (!meta.live()) continue;
    walked_entry e{met, handle, meta, block_bytes, hash};
    visit(e);
  }
  if (end < carved) {
    cursor.slab = index;
    cursor.slot = end;
  }
  return std::max<std::size_t>(1, end > first ? end - first : 0);
}

// ---- what expires -----------------------------------------------------------------------

// A hint, and written without a lock: between the look at it and the store another thread's walk
// may begin and miss the entry. Then it is collected by whoever passes all entries, or looks it up.
void entry_arena::note_expiry(entry_handle handle, tick expires_at) noexcept {
  lower_to(slabs_[handle / handles_per_slab].first_expiry, expires_at);
  if (!anything_expires_.load(std::memory_order_relaxed)) {
    anything_expires_.store(true, std::memory_order_relaxed);
  }
}

void entry_arena::lower_to(std::atomic<tick>& first_expiry, tick expires_at) noexcept {
  tick first = first_expiry.load(std::memory_order_relaxed);
  while ((first == never || first > expires_at) &&
         !first_expiry.compare_exchange_weak(first, expires_at, std::memory_order_acq_rel,
                                             std::memory_order_relaxed)) {
  }
}

std::size_t entry_arena::walk_expired(walk_cursor& cursor, tick now, std::size_t max_slots,
                                      std::uint32_t max_slabs, const keyed_hash& hash,
                                      function_ref<void(walked_entry&)> visit) noexcept {
  if (!anything_expires_.load(std::memory_order_relaxed)) return 0;
  std::size_t slots = 0;
  std::uint32_t passed = 0; // slabs in a row in which nothing has expired
  while (slots < max_slots && passed < max_slabs) {
    if (cursor.slab >= pool_.frontier()) {
      cursor = {.slab = 0, .slot = 0, .laps = cursor.laps + 1};
    }
    const std::uint32_t index = cursor.slab;
    std::atomic<tick>& first_expiry = slabs_[index].first_expiry;
    if (cursor.slot == 0) {
      const tick first = first_expiry.load(std::memory_order_relaxed);
      if (first == never || first > now) {
        ++cursor.slab;
        ++passed;
        continue;
      }
      // What is noted from here on stands; what was noted before is live, and met below.
      first_expiry.exchange(never, std::memory_order_acq_rel);
    }
    passed = 0;
    tick first_left = never;
    const auto look = [&](walked_entry& e) {
      const tick expires_at = e.expires_at();
      if (expires_at == never) return;
      if (expires_at <= now) {
        visit(e);
      } else if (first_left == never || expires_at < first_left) {
        first_left = expires_at;
      }
    };
    slots += walk_slab(cursor, std::min(max_slots - slots, walk_batch_slots), hash, look);
    if (first_left != never) lower_to(first_expiry, first_left);
  }
  return slots;
}

entry_arena::stripe* entry_arena::owner_of(std::uint32_t index) const noexcept {
  const std::uint32_t owner = slabs_[index].owner.load(std::memory_order_relaxed);
  return owner == 0 ? nullptr : &stripes_[owner - 1];
}

// ---- figures --------------------------------------------------------------------------

std::size_t entry_arena::live_bytes() const noexcept {
  std::size_t sum = 0;
  for (unsigned i = 0; i < stripe_count_; ++i) {
    sum += stripes_[i].live_bytes.load(std::memory_order_relaxed);
  }
  return sum;
}

std::size_t entry_arena::free_bytes() const noexcept {
  std::size_t sum = 0;
  for (unsigned i = 0; i < stripe_count_; ++i) {
    sum += stripes_[i].free_bytes.load(std::memory_order_relaxed);
  }
  return sum;
}

} // namespace kvcache
