#include "cache/entry_arena.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <new>

#include "cache/slab_geometry.hpp"
#include "cache/thread_number.hpp"

namespace kvcache {
namespace {

// How many classes above its own an entry may get a block of, with excess::large.
constexpr size_class classes_above_large = 16;

constexpr std::uint32_t slabs_for(std::size_t bytes) noexcept {
  return static_cast<std::uint32_t>((bytes + slab_bytes - 1) / slab_bytes);
}

entry_arena::status status_of(slab_refusal refusal) noexcept {
  return refusal == slab_refusal::range_full ? entry_arena::status::range_full
                                             : entry_arena::status::out_of_memory;
}

// Adds to a counter that only the holder of a lock writes and any thread reads.
template <class Integer, class Delta>
void bump(std::atomic<Integer>& counter, Delta delta) noexcept {
  counter.store(
      static_cast<Integer>(counter.load(std::memory_order_relaxed) + static_cast<Integer>(delta)),
      std::memory_order_relaxed);
}

} // namespace

entry_arena::entry_arena(unsigned stripes, budget& held, memory_source& source, addressing how)
    : budget_(held),
      source_(source),
      addressing_(how),
      pool_(source, how.range_bytes()),
      stripe_count_(std::max(stripes, 1U)),
      stripes_(std::make_unique<stripe[]>(stripe_count_)) {
  void* table = source_.map(round_up_to_pages(pool_.slab_count() * sizeof(slab)));
  if (table == nullptr) throw std::bad_alloc{};
  slabs_ = static_cast<slab*>(table); // zeroed; first_free is set at first use
}

entry_arena::~entry_arena() {
  source_.unmap(slabs_, round_up_to_pages(pool_.slab_count() * sizeof(slab)));
}

// ---- allocation -----------------------------------------------------------------------

std::size_t entry_arena::block_bytes_for(std::size_t bytes) const noexcept {
  return bytes <= max_small_block_bytes ? geometry[class_for(bytes)].block_bytes
                                        : round_up_to_pages(bytes);
}

std::size_t entry_arena::address_bytes_for(std::size_t bytes) noexcept {
  return bytes <= max_small_block_bytes ? slab_bytes : slabs_for(bytes) * slab_bytes;
}

std::size_t entry_arena::block_bytes(entry_handle handle) const noexcept {
  const slab& s = slabs_[slab_of(handle)];
  return s.large ? s.large_bytes : geometry[s.klass].block_bytes;
}

entry_arena::allocation entry_arena::allocate(std::size_t bytes,
                                              std::size_t reserved_bytes) noexcept {
  return bytes <= max_small_block_bytes ? allocate_small(class_for(bytes), reserved_bytes)
                                        : allocate_large(bytes, reserved_bytes);
}

entry_arena::allocation entry_arena::allocate_roomier(std::size_t bytes, excess allowed) noexcept {
  if (bytes > max_small_block_bytes) return {status::over_limit, no_entry};
  return take_roomier(class_for(bytes), allowed);
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

entry_arena::allocation entry_arena::allocate_small(size_class c,
                                                    std::size_t reserved_bytes) noexcept {
  const unsigned own = this_thread_number() % stripe_count_;
  {
    stripe& s = stripes_[own];
    spin_guard guard{s.lock};
    const allocation taken = take_block(s, c, growth::charge_pages, reserved_bytes);
    if (taken.outcome == status::ok) return taken;
  }
  if (const allocation taken = take_elsewhere(own, c, growth::freed_blocks_only);
      taken.outcome == status::ok) {
    return taken;
  }
  const allocation taken = take_from_new_slab(own, c, reserved_bytes);
  if (taken.outcome == status::ok) return taken;
  // Partly carved slabs may have more blocks: on held pages, or on any if memory is not what is
  // missing.
  const allocation last = take_elsewhere(
      own, c, taken.outcome == status::range_full ? growth::charge_pages : growth::held_pages_only,
      reserved_bytes);
  return last.outcome == status::ok ? last : taken;
}

entry_arena::allocation entry_arena::take_block(stripe& s, size_class c, growth how,
                                                std::size_t reserved_bytes) noexcept {
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
    index = carve_block(s, c, how, reserved_bytes);
    if (index == no_slab) return {status::over_limit, no_entry};
    handle = handle_of(index, (std::size_t{slabs_[index].carved} - 1) * block_bytes);
    at(handle).mark_free(no_slot);
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

// Full slabs stay full and sparse ones become empty, so that their pages can be returned.
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

// Carves one more block from a partly carved slab and returns the slab, or no_slab.
std::uint32_t entry_arena::carve_block(stripe& s, size_class c, growth how,
                                       std::size_t reserved_bytes) noexcept {
  if (how == growth::freed_blocks_only) return no_slab;
  for (std::uint32_t groups = s.lists[c].groups; groups != 0; groups &= groups - 1) {
    std::uint32_t index = s.lists[c].heads[static_cast<unsigned>(std::countr_zero(groups))];
    for (unsigned i = 0; i < candidates_per_group && index != no_slab; ++i) {
      slab& from = slabs_[index];
      if (from.carved < geometry[c].capacity && touch_next_block(from, how, reserved_bytes)) {
        ++from.carved;
        bump(s.counts[c].carved, 1);
        return index;
      }
      index = from.next;
    }
  }
  return no_slab;
}

// Charges the pages that the next block of this slab reaches into; false if the budget refuses.
bool entry_arena::touch_next_block(slab& from, growth how, std::size_t reserved_bytes) noexcept {
  const std::size_t end = (std::size_t{from.carved} + 1) * geometry[from.klass].block_bytes;
  if (end <= from.touched_bytes) return true;
  const std::size_t pages = round_up_to_pages(end) - from.touched_bytes;
  if (how == growth::held_pages_only || !budget_.try_charge(pages, reserved_bytes)) return false;
  from.touched_bytes += static_cast<std::uint32_t>(pages);
  return true;
}

entry_arena::allocation entry_arena::take_elsewhere(unsigned own, size_class c, growth how,
                                                    std::size_t reserved_bytes) noexcept {
  for (unsigned i = 1; i < stripe_count_; ++i) {
    stripe& s = stripes_[(own + i) % stripe_count_];
    if (how == growth::freed_blocks_only &&
        s.counts[c].freed.load(std::memory_order_relaxed) == 0) {
      continue;
    }
    spin_guard guard{s.lock};
    const allocation taken = take_block(s, c, how, reserved_bytes);
    if (taken.outcome == status::ok) return taken;
  }
  return {status::over_limit, no_entry};
}

entry_arena::allocation entry_arena::take_from_new_slab(unsigned own, size_class c,
                                                        std::size_t reserved_bytes) noexcept {
  // The first pages are charged before any memory is requested from the kernel.
  const std::size_t first_pages = round_up_to_pages(geometry[c].block_bytes);
  if (!budget_.try_charge(first_pages, reserved_bytes)) return {status::over_limit, no_entry};
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
  fresh.kept_empty = true; // until a block of it is taken
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
  prepare_large(run.first, held);
  own_large(run.first);
  return {status::ok, handle_of(run.first, 0)};
}

// REQUIRES: the slabs have no owner.
void entry_arena::prepare_large(std::uint32_t index, std::size_t bytes) noexcept {
  charge_descriptors();
  slab& head = slabs_[index];
  head.large = true;
  head.large_bytes = bytes;
  head.holds.store(1, std::memory_order_relaxed);
  head.first_expiry.store(never, std::memory_order_relaxed);
  at(handle_of(index, 0)).mark_free(no_slot);
}

void entry_arena::own_large(std::uint32_t index) noexcept {
  const unsigned own = this_thread_number() % stripe_count_;
  stripe& s = stripes_[own];
  spin_guard guard{s.lock};
  slabs_[index].owner.store(own + 1, std::memory_order_relaxed);
  bump(s.live_bytes, slabs_[index].large_bytes);
}

entry_arena::allocation entry_arena::reserve(std::size_t bytes) noexcept {
  const std::size_t most = round_up_to_pages(bytes);
  const slab_run run = pool_.take(slabs_for(most));
  if (run.refusal != slab_refusal::none) return {status_of(run.refusal), no_entry};
  prepare_large(run.first, most);
  return {status::ok, handle_of(run.first, 0)};
}

void entry_arena::abandon(entry_handle handle, std::size_t touched) noexcept {
  const std::uint32_t index = slab_of(handle);
  source_.give_back(slab_start(index), round_up_to_pages(touched));
  pool_.give(index, slabs_for(slabs_[index].large_bytes));
}

void entry_arena::adopt(entry_handle handle, std::size_t bytes) noexcept {
  const std::uint32_t index = slab_of(handle);
  slab& head = slabs_[index];
  const std::uint32_t reserved = slabs_for(head.large_bytes);
  head.large_bytes = round_up_to_pages(bytes);
  const std::uint32_t used = slabs_for(head.large_bytes);
  if (used < reserved) pool_.give(index + used, reserved - used);
  budget_.charge(head.large_bytes);
  own_large(index);
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
  const std::uint32_t index = slab_of(handle);
  slab& home = slabs_[index];
  stripe& s = *owner_of(index); // cannot change while a block of the slab is allocated
  if (home.large) {
    release_large(s, index);
    return;
  }
  const size_class c = home.klass;
  const std::uint32_t block_bytes = geometry[c].block_bytes;
  const std::size_t offset = offset_of(handle) % slab_bytes;
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
  slab& head = slabs_[index];
  {
    spin_guard guard{s.lock};
    bytes = head.large_bytes;
    at(handle_of(index, 0)).mark_free(no_slot);
    head.owner.store(0, std::memory_order_relaxed);
    bump(s.live_bytes, -bytes);
  }
  detached_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  if (head.holds.fetch_sub(1, std::memory_order_acq_rel) != 1) {
    budget_.refund(bytes); // what pins keep is no longer the cache's
    return;
  }
  detached_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  give_back(index, slabs_for(bytes), bytes);
}

void entry_arena::pin(entry_handle handle) noexcept {
  slab& head = slabs_[slab_of(handle)];
  assert(head.large);
  head.holds.fetch_add(1, std::memory_order_relaxed);
}

void entry_arena::unpin(entry_handle handle) noexcept {
  const std::uint32_t index = slab_of(handle);
  slab& head = slabs_[index];
  const std::size_t bytes = head.large_bytes;
  if (head.holds.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  detached_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  source_.give_back(slab_start(index), bytes);
  pool_.give(index, slabs_for(bytes));
}

std::size_t entry_arena::detached_bytes(entry_handle handle) const noexcept {
  const slab& head = slabs_[slab_of(handle)];
  if (head.owner.load(std::memory_order_relaxed) != 0) return 0;
  return head.large_bytes / std::max(head.holds.load(std::memory_order_relaxed), 1U);
}

// REQUIRES: the slabs have no owner.
void entry_arena::give_back(std::uint32_t index, std::uint32_t count,
                            std::size_t touched) noexcept {
  source_.give_back(slab_start(index), touched);
  budget_.refund(touched);
  pool_.give(index, count);
}

// Removes an empty slab from its stripe. The caller returns its pages outside the lock.
void entry_arena::disown(stripe& s, std::uint32_t index) noexcept {
  slab& empty = slabs_[index];
  assert(empty.used == 0);
  if (empty.listed) unlist(s, index);
  if (empty.kept_empty) {
    empty.kept_empty = false;
    bump(s.kept_empty, -1);
  }
  class_counts& counts = s.counts[empty.klass];
  bump(counts.freed, -std::uint32_t{empty.carved}); // all its blocks are free
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
        const std::uint32_t index = s.lists[c].heads[0];
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

// ---- lists of slabs with free blocks --------------------------------------------------

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

entry_arena::stripe* entry_arena::owner_of(std::uint32_t index) const noexcept {
  const std::uint32_t owner = slabs_[index].owner.load(std::memory_order_relaxed);
  return owner == 0 ? nullptr : &stripes_[owner - 1];
}

// ---- figures --------------------------------------------------------------------------

std::size_t entry_arena::sum_over_stripes(std::atomic<std::size_t> stripe::*figure) const noexcept {
  std::size_t sum = 0;
  for (unsigned i = 0; i < stripe_count_; ++i) {
    sum += (stripes_[i].*figure).load(std::memory_order_relaxed);
  }
  return sum;
}

std::size_t entry_arena::live_bytes() const noexcept {
  return sum_over_stripes(&stripe::live_bytes);
}

std::size_t entry_arena::free_bytes() const noexcept {
  return sum_over_stripes(&stripe::free_bytes);
}

} // namespace kvcache
