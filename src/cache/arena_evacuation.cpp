// The part of entry_arena that compaction uses: choosing sparse slabs, and taking them out of
// allocation until they are empty.
#include <bit>
#include <cassert>

#include "cache/entry_arena.hpp"
#include "cache/slab_geometry.hpp"
#include "cache/thread_number.hpp"

namespace kvcache {
namespace {

// In the background a class is compacted when at least this part of its blocks is free. With less,
// more than ten times as many bytes would be moved as are freed.
constexpr std::size_t background_free_percent = 8;

} // namespace

entry_arena::class_figures entry_arena::figures_of(size_class c) const noexcept {
  class_figures sum;
  for (unsigned i = 0; i < stripe_count_; ++i) {
    sum.freed += stripes_[i].counts[c].freed.load(std::memory_order_relaxed);
    sum.carved += stripes_[i].counts[c].carved.load(std::memory_order_relaxed);
  }
  return sum;
}

// A slab can be emptied only where a slab's worth of blocks is free, unless entries may be evicted.
bool entry_arena::worth_evacuating(size_class c, urgency how, class_figures f) noexcept {
  if (how == urgency::clearing) return f.freed != 0;
  if (f.freed < geometry[c].capacity) return false;
  return how == urgency::pressing || f.freed * 100 >= f.carved * background_free_percent;
}

// The class with the largest free part costs the fewest moves for a slab; the one with the most
// bytes free, the fewest entries.
std::optional<size_class> entry_arena::class_to_evacuate(urgency how) const noexcept {
  // No slab of any class has fewer bytes in its blocks.
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
  if (!unchanged) return no_slab; // another thread was faster
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

std::uint32_t entry_arena::sparsest_slab(const stripe& s, size_class c) const noexcept {
  std::uint32_t best = no_slab;
  const class_lists& lists = s.lists[c];
  for (std::uint32_t groups = lists.groups; groups != 0 && best == no_slab; groups &= groups - 1) {
    std::uint32_t index = lists.heads[static_cast<unsigned>(std::countr_zero(groups))];
    for (unsigned i = 0; i < candidates_per_group && index != no_slab; ++i) {
      const slab& candidate = slabs_[index];
      // A slab without freed blocks is being filled and not sparse.
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

} // namespace kvcache
